"""What a health message says of the service as a whole: its outbox, its storage, what is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgetally.messaging.messages import (
    HealthMessage,
    ModelReference,
    OutboxHealth,
    StorageHealth,
    TransportHealth,
)
from edgetally.messaging.topics import Topics
from edgetally.shortened import shortened

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from edgetally.config import Config
    from edgetally.counting.ledger import OutboxStatus, StorageState
    from edgetally.detector import Detector
    from edgetally.messaging.messages import CameraHealth
    from edgetally.messaging.publisher import TransportStatus


def outbox_health(outbox: OutboxStatus, transports: Mapping[str, TransportStatus]) -> OutboxHealth:
    """Tell how the messages are that wait."""
    return OutboxHealth(
        waiting=outbox.waiting,
        bytes=outbox.bytes,
        dropped=dict(outbox.dropped),
        oldest_age=outbox.oldest_age,
        transports={
            name: TransportHealth(
                state=status.state,
                waiting=status.waiting,
                reason=None if status.reason is None else shortened(status.reason),
            )
            for name, status in transports.items()
        },
    )


def storage_health(storage: StorageState) -> StorageHealth:
    """Tell whether what is counted reaches the disk."""
    return StorageHealth(state=storage.state, reason=storage.reason)


def state_reason(
    cameras: Mapping[str, CameraHealth],
    outbox: OutboxHealth,
    storage: StorageHealth,
    trouble: str | None = None,
) -> str | None:
    """Tell in one line what is wrong, what threatens the counts first; None where nothing is.

    trouble: of the service itself.
    """
    wrong = _wrong(cameras, outbox, storage)
    return "; ".join([*wrong, *([shortened(trouble, 400)] if trouble else [])]) or None


def last_will(config: Config, detector: Detector, started: float) -> tuple[str, str]:
    """Return topic and body of what a broker tells when it loses the device.

    started: seconds since the Unix epoch.
    """
    topics = Topics(config.publish.topic_prefix, config.publish.thing)
    model = ModelReference.of(detector.bundle)
    engine, precision = detector.engine_name, detector.precision
    will = HealthMessage.last_will(started, topics.thing, model, engine, precision)
    return topics.health, will.to_json()


def _wrong(
    cameras: Mapping[str, CameraHealth], outbox: OutboxHealth, storage: StorageHealth
) -> Iterator[str]:
    if storage.reason is not None:
        yield shortened(storage.reason, 400)  # what to do stands at its end
    for name, camera in cameras.items():
        if camera.problem is not None:
            yield f"camera {name}: {camera.problem}"
        elif camera.state in {"stalled", "lost"}:
            yield f"camera {name} is {camera.state}"
    for name, transport in outbox.transports.items():
        if transport.state != "ok":
            told = f"{name} does not take messages"
            reason = (transport.reason or "").removeprefix(f"{name}: ")
            yield f"{told}: {reason}" if reason else told
