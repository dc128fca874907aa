"""`Crossing`: that a track went over a line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from edgetally.counting.geometry import Vector

Direction = Literal["in", "out"]


@dataclass(frozen=True)
class Crossing:
    """A track went over the line: where, and when (seconds) between two of its sightings."""

    track_id: int
    class_id: int
    direction: Direction
    time: float
    point: Vector
    score: float


@dataclass(frozen=True, slots=True)
class Change:
    """A change of sides. since: when it was first seen on the far side, with its rests."""

    direction: Direction
    time: float
    point: Vector
    since: float
