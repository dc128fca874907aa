"""What the ledger gives and takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edgetally.counting.events import CountEvent, ZoneEvent

Totals = dict[str, dict[str, dict[str, dict[str, int]]]]
"""{camera: {line: {class: {"in": n, "out": n}}}}"""

MessageKind = Literal[
    "detections",
    "health",
    "inference_result",
    "inventory_response",
    "model_response",
    "inventory",
    "zone_event",
    "count_event",
    "stock",
]
"""What a message is, in the order in which messages are dropped when the outbox is full."""


@dataclass(frozen=True)
class Stock:
    """How much of a class is at a site."""

    baseline: int = 0
    in_: int = 0
    out: int = 0

    @property
    def count(self) -> int:
        """Pieces that should be there."""
        return self.baseline + self.in_ - self.out


@dataclass(frozen=True)
class SeenStock:
    """What zones that see a site's stock saw last, by site and class.

    time: when, in seconds since the Unix epoch; None: never.
    """

    counts: Mapping[str, Mapping[str, int]]
    time: float | None


@dataclass(frozen=True)
class Correction:
    """Somebody counted: so much of a class is at a site.

    before: what the ledger had. time: seconds since the Unix epoch. request_id: of the message
    that asked for it, if one did.
    """

    site: str
    class_name: str
    count: int
    before: int
    author: str
    note: str
    time: float
    request_id: str | None = None


@dataclass(frozen=True)
class RecordedCrossing:
    """A crossing as the ledger keeps it."""

    site: str
    event: CountEvent

    @property
    def time(self) -> float:
        """Seconds since the Unix epoch."""
        return self.event.time


@dataclass(frozen=True)
class RecordedZoneEvent:
    """What happened in a zone, as the ledger keeps it."""

    site: str
    event: ZoneEvent

    @property
    def time(self) -> float:
        """Seconds since the Unix epoch."""
        return self.event.time


Record = RecordedCrossing | RecordedZoneEvent | Correction


@dataclass(frozen=True)
class OutboxMessage:
    """A message that waits to be delivered."""

    id: int
    topic: str
    body: str


@dataclass(frozen=True)
class OutboxBounds:
    """How much may wait.

    max_bytes: of topics and bodies. max_age: seconds that those may wait whose worth fades.
    """

    max_bytes: int = 100_000_000
    max_age: float = 604_800.0


@dataclass(frozen=True)
class OutboxStatus:
    """How the outbox is.

    waiting: messages that some transport did not deliver. dropped: since the ledger began, by
    kind, those that had to give way. oldest_age: seconds; None where nothing waits.
    """

    waiting: int
    bytes: int
    dropped: Mapping[str, int]
    oldest_age: float | None


@dataclass(frozen=True)
class StorageState:
    """Whether counts reach the disk.

    memory: they do not, for now. reason: what is wrong, or was when the service began; else None.
    """

    state: Literal["ok", "memory"] = "ok"
    reason: str | None = None
