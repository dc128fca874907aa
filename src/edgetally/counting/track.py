"""`Track`: one object as it is followed from frame to frame."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

Box = tuple[float, float, float, float]
"""(xmin, ymin, xmax, ymax) in 0-1 of the frame."""


def centre_of(box: Box) -> tuple[float, float]:
    """Return the middle (x, y) of a box."""
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


def size_of(box: Box) -> float:
    """Return the side of the square with the box's area, in 0-1 of the frame."""
    return math.sqrt(max(0.0, box[2] - box[0]) * max(0.0, box[3] - box[1]))


class Sighting(NamedTuple):  # made for each track in each frame, hence no dataclass: too slow
    """A box that a detection gave a track, and when, in seconds."""

    time: float
    box: Box


class Track(NamedTuple):
    """A followed object at one moment.

    class_id: what the object was called, weighted by score; it changes only on clear evidence.
    box: where it was detected, or where it is believed to be while unseen.
    score: of its latest detection.
    velocity: of the centre, in frames a second (x, y).
    hits: detections so far, confident_hits: the confident ones of them; path: the latest,
    oldest first.
    """

    id: int
    class_id: int
    box: Box
    score: float
    velocity: tuple[float, float]
    first_seen: float
    last_seen: float
    hits: int
    confident_hits: int
    is_seen_now: bool
    path: tuple[Sighting, ...]

    @property
    def state(self) -> Literal["confirmed", "waiting"]:
        """Seen in the latest frame, or expected at `box`; what is tentative is no track yet."""
        return "confirmed" if self.is_seen_now else "waiting"

    @property
    def is_trusted(self) -> bool:
        """Whether at least half of its detections are confident: else it may be no object."""
        return 2 * self.confident_hits >= self.hits


class EndedTrack(NamedTuple):
    """A track that is no longer followed; reason: why, in one line."""

    id: int
    class_id: int
    reason: str
