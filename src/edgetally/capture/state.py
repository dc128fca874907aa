"""How a camera is doing: its state and its counters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

CameraState: TypeAlias = Literal["connecting", "streaming", "stalled", "lost", "ended"]
"""connecting: the first attempt is under way. streaming: frames come. stalled: none has come for
a while, though nothing failed. lost: it did not open or broke off; it is tried for ever. ended:
the file is over, or the camera was stopped."""


@dataclass(frozen=True)
class CameraCounters:
    """What a camera has done so far.

    captured: frames handed over, with those that were dropped as "newer".
    dropped: frames lost, by reason. newer: a newer one came before it was taken. broken: it could
        not be decoded. late: it came after the wait for it was given up. missed: its time passed
        while the one before waited for its reader; only a pattern can tell.
    reconnects: how often a lost camera came back.
    frame_age: seconds since the newest frame was handed over; None before the first.
    """

    captured: int
    dropped: Mapping[str, int]
    reconnects: int
    frame_age: float | None
