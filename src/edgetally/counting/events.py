"""What counting tells the rest: `CountEvent`, `ZoneEvent` and `CameraUpdate`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edgetally.counting.track import Track
    from edgetally.detections import Detections


@dataclass(frozen=True)
class CountEvent:
    """An object crossed a line.

    time: seconds on the clock of the caller; point: where, (x, y) in 0-1 of the frame.
    """

    camera: str
    line: str
    direction: Literal["in", "out"]
    class_name: str
    track_id: int
    time: float
    score: float
    point: tuple[float, float]


@dataclass(frozen=True)
class ZoneEvent:
    """An object entered a zone, left it, or stays in it for long.

    What stands in a zone from the start never entered it, but may leave it.
    time: when it did, in seconds on the clock of the caller; a dwell later it is told. seconds:
    inside so far, 0 for entered.
    """

    camera: str
    zone: str
    kind: Literal["entered", "left", "loitering"]
    class_name: str
    track_id: int
    time: float
    seconds: float


@dataclass(frozen=True)
class CameraUpdate:
    """What one frame of a camera came to.

    detections: with track ids. tracks: all that are believed, seen or waiting. occupancy:
    objects in each zone, by zone and class name. in_view: tracks by class name. zone_events: who
    came into a zone, left it or loiters.
    """

    detections: Detections
    tracks: tuple[Track, ...]
    events: tuple[CountEvent, ...]
    occupancy: Mapping[str, Mapping[str, int]]
    in_view: Mapping[str, int]
    zone_events: tuple[ZoneEvent, ...] = ()
