"""Points, ways and sides in the picture: what lines and zones measure with."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from edgetally.counting.track import Box, Sighting, centre_of

if TYPE_CHECKING:
    from edgetally.config import LineConfig
    from edgetally.config.fields import Anchor

Vector = tuple[float, float]

_EDGE = 0.01


class Border:
    """A line with two sides: IN, where distances are positive, and OUT."""

    def __init__(self, line: LineConfig) -> None:
        along = minus(line.end, line.start)
        self._start = line.start
        self._length = math.hypot(*along)
        self._along = (along[0] / self._length, along[1] / self._length)
        across = (-self._along[1], self._along[0])
        sign = math.copysign(1, dot(across, line.in_direction))
        self.normal = (sign * across[0], sign * across[1])
        """Of length 1, to the IN side."""
        self._offset = dot(self.normal, line.start)

    def distance(self, point: Vector) -> float:
        """Return how far a point lies from the line or its extension; negative: on side OUT."""
        return self.normal[0] * point[0] + self.normal[1] * point[1] - self._offset

    def distance_of(self, box: Box, anchor: Anchor) -> float:
        """Return the distance of a box's anchor; the quickest way, as it is asked most often."""
        if anchor != "centre":
            return self.distance(anchor_of(box, anchor))
        xmin, ymin, xmax, ymax = box
        across, down = self.normal
        return across * ((xmin + xmax) / 2) + down * ((ymin + ymax) / 2) - self._offset

    def reaches(self, point: Vector) -> bool:
        """Tell whether a point beside the line lies between its ends."""
        return 0 <= dot(self._along, minus(point, self._start)) <= self._length


def anchor_of(box: Box, anchor: Anchor) -> Vector:
    """Return the point (x, y) of a box that stands for it."""
    if anchor == "centre":
        return centre_of(box)
    xmin, ymin, xmax, ymax = box
    if anchor == "topCentre":
        return (xmin + xmax) / 2, ymin
    if anchor == "bottomCentre":
        return (xmin + xmax) / 2, ymax
    if anchor == "leftCentre":
        return xmin, (ymin + ymax) / 2
    return xmax, (ymin + ymax) / 2


def dot(one: Vector, other: Vector) -> float:
    """Return the scalar product."""
    return one[0] * other[0] + one[1] * other[1]


def minus(one: Vector, other: Vector) -> Vector:
    """Return the way from the other to the one."""
    return one[0] - other[0], one[1] - other[1]


def velocity(before: Sighting, after: Sighting, anchor: Anchor = "centre") -> Vector:
    """Return how fast a box went between two sightings, in frames a second (x, y)."""
    way = minus(anchor_of(after.box, anchor), anchor_of(before.box, anchor))
    seconds = max(after.time - before.time, 1e-3)
    return way[0] / seconds, way[1] / seconds


def reaches_edge(box: Box, speed: Vector, seconds: float) -> bool:
    """Tell whether a box, moving on, comes to the edge of the frame that it moves towards."""
    axis = 0 if abs(speed[0]) >= abs(speed[1]) else 1
    way = speed[axis] * seconds
    if way < 0:
        return box[axis] + way <= _EDGE
    return way > 0 and box[axis + 2] + way >= 1 - _EDGE
