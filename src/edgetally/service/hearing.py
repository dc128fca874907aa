"""`Hearing`: the topics of the transports that hear, and who answers what comes there."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from edgetally.messaging.topics import Topics
from edgetally.messaging.transports import Receiving
from edgetally.service.looking import Looking
from edgetally.service.on_demand import OnDemand

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edgetally.capture import Camera
    from edgetally.config import Config
    from edgetally.messaging.transports import Transport
    from edgetally.service.answers import Answers
    from edgetally.service.model_exchange import ModelExchange
    from edgetally.service.model_in_use import ModelInUse
    from edgetally.service.on_demand import Kind
    from edgetally.service.recorder import Recorder
    from edgetally.service.turns import Turns


class Hearing:
    """Answers requests while `requests.enabled` says so, where a transport hears at all."""

    def __init__(
        self,
        models: ModelInUse,
        recorder: Recorder,
        exchange: ModelExchange,
        *,
        notify: Callable[[], None],
        clock: Callable[[], float],
    ) -> None:
        self._models, self._recorder, self._exchange = models, recorder, exchange
        self._notify, self._clock = notify, clock
        self._on_demand: OnDemand | None = None
        self._subscribed: list[tuple[Receiving, str]] = []

    def renew(
        self,
        config: Config,
        transports: Sequence[Transport],
        cameras: Sequence[Camera],
        turns: Turns,
        answers: Answers,
        *,
        patience: float = 1.0,
    ) -> None:
        """Answer as configured from now on; wait so many seconds for who is answered now."""
        before = self._on_demand
        receiving = [transport for transport in transports if isinstance(transport, Receiving)]
        if not (receiving and config.requests.enabled):
            self.close(patience)
            return
        looking = Looking(
            config,
            self._models,
            turns,
            {camera.name: camera for camera in cameras},
            clock=self._clock,
        )
        on_demand = self._on_demand = OnDemand(
            looking.look,
            self._recorder,
            answers,
            ask_model=self._exchange.ask,
            sites=[camera.site for camera in config.cameras],
            max_rate=config.requests.max_rate,
            notify=self._notify,
            clock=self._clock,
            steady=time.monotonic,
        )
        on_demand.start(before.close(patience) if before is not None else ())
        topics = Topics(config.publish.topic_prefix, config.publish.thing)
        self._subscribed = [each for each in self._subscribed if each[0] in receiving]
        for transport in receiving:
            self._subscribe(transport, topics.inference_request, self._inference)
            self._subscribe(transport, topics.inventory_set, self._correction)
            self._subscribe(transport, topics.model_set, self._model)

    def close(self, timeout: float) -> None:
        """Answer no more; wait so many seconds for the request that is being answered."""
        on_demand, self._on_demand = self._on_demand, None
        if on_demand is not None:
            on_demand.close(timeout)

    def _subscribe(
        self, transport: Receiving, topic: str, heard: Callable[[str, bytes], None]
    ) -> None:
        if (transport, topic) not in self._subscribed:
            self._subscribed.append((transport, topic))
            transport.subscribe(topic, heard)

    def _inference(self, _: str, body: bytes) -> None:
        self._hear("inference", body)

    def _correction(self, _: str, body: bytes) -> None:
        self._hear("correction", body)

    def _model(self, _: str, body: bytes) -> None:
        self._hear("model", body)

    def _hear(self, kind: Kind, body: bytes) -> None:
        """Give it to who answers now; where that one was just closed, to the next."""
        while (on_demand := self._on_demand) is not None and not on_demand.hear(kind, body):
            pass
