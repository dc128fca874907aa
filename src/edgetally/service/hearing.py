"""Where requests are heard: the topics of the transports that hear, and who answers."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from edgetally.messaging.topics import Topics
from edgetally.messaging.transports import Receiving
from edgetally.service.answers import Answers
from edgetally.service.looking import Looking
from edgetally.service.on_demand import OnDemand

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from edgetally.capture import Camera
    from edgetally.config import Config
    from edgetally.counting.ledger import Storage
    from edgetally.detector import Detector
    from edgetally.messaging.transports import Transport
    from edgetally.service.recorder import Recorder
    from edgetally.service.turns import Turns


def hear_requests(
    config: Config,
    transports: Sequence[Transport],
    detector: Detector,
    turns: Turns,
    cameras: Sequence[Camera],
    recorder: Recorder,
    storage: Storage,
    *,
    thresholds: NDArray[np.float32],
    notify: Callable[[], None],
    clock: Callable[[], float],
) -> OnDemand | None:
    """Begin to answer what the transports hear; None where none hears, or none may.

    thresholds: float32 [C], as for `Looking`.
    """
    receiving = [transport for transport in transports if isinstance(transport, Receiving)]
    if not (receiving and config.requests.enabled):
        return None
    looking = Looking(
        config,
        detector,
        turns,
        {camera.name: camera for camera in cameras},
        thresholds=thresholds,
        clock=clock,
    )
    on_demand = OnDemand(
        looking.look,
        recorder,
        Answers(config, detector.bundle, storage),
        sites=[camera.site for camera in config.cameras],
        max_rate=config.requests.max_rate,
        notify=notify,
        clock=clock,
        steady=time.monotonic,
    )
    on_demand.start()
    topics = Topics(config.publish.topic_prefix, config.publish.thing)
    for transport in receiving:
        transport.subscribe(topics.inference_request, on_demand.inference)
        transport.subscribe(topics.inventory_set, on_demand.correction)
    return on_demand
