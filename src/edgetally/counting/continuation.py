"""Whether a track that begins is the object of another one that was lost a moment before.

The tracker follows an object through a gap of a second or two and keeps its id. Where it could
not, because the object moved further than that allows, a line would miss the crossing that lies
in the gap. Whether two tracks show one object is told by their motion alone, so all of it must
agree: how the first went until it was lost, the way over the gap, and how the second went on.
Who stood still, turned round or came in over the edge of the picture is never taken for another.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING

from edgetally.counting.geometry import Vector, dot, minus, reaches_edge, velocity
from edgetally.counting.track import Sighting, centre_of, size_of

if TYPE_CHECKING:
    from collections.abc import Sequence

LONGEST_GAP = 1.25
"""Seconds between two sightings of an object that is lost for one, and seen a few times a second.

Who is found later is another one."""
MOTION_SECONDS = 0.5
"""Seconds of sightings that tell how fast an object goes."""

_MAX_SPEED = 1.5  # of the frame a second, as the tracker has it
_LARGEST_GROWTH = 2.0
_TURN = 0.8  # cosine between two motions of one object
_PACE = 0.4  # its slowest speed by its fastest
_IN_PLACE = 0.5  # of its own size
_LEAST_WAY = 0.25  # of its own size: less may be trembling


def farness(lost: Sequence[Sighting], found: Sighting) -> float:
    """Return how far from where it was expected an object would have been found.

    In sizes of the box; infinite where it can't be that object. lost: its sightings, the latest
    last.
    """
    last = lost[-1]
    gap = found.time - last.time
    small, large = sorted((size_of(last.box), size_of(found.box)))
    if not 0 < gap <= LONGEST_GAP or large > _LARGEST_GROWTH * small or not large:
        return math.inf
    size = (small + large) / 2
    step = minus(centre_of(found.box), centre_of(last.box))
    if math.hypot(*step) > _MAX_SPEED * gap + size:
        return math.inf
    speed = velocity(*latest_motion(lost))
    return math.hypot(step[0] - speed[0] * gap, step[1] - speed[1] * gap) / size


def goes_on(lost: Sequence[Sighting], found: Sequence[Sighting]) -> bool:
    """Tell whether the motion of the one is carried on by the other, over the gap between them.

    lost, found: two sightings of each or more, the oldest first.
    """
    before, after = latest_motion(lost), _first(found)
    ways = (before, (lost[-1], found[0]), after)
    motions = [velocity(*ends) for ends in ways]
    if not all(map(_is_moving, ways)):
        return False
    if not all(_agree(one, other) for one, other in pairwise(motions)):
        return False
    (x, y), seconds = motions[2], found[1].time - found[0].time
    came_in = reaches_edge(found[0].box, (-x, -y), seconds)
    went_out = reaches_edge(lost[-1].box, motions[0], lost[-1].time - lost[-2].time)
    return not (came_in or went_out)


def displacement(lost: Sighting, found: Sighting) -> float:
    """Return how far from its place a resting object would have been found, in sizes.

    Infinite where it can't be that object.
    """
    small, large = sorted((size_of(lost.box), size_of(found.box)))
    if large > _LARGEST_GROWTH * small or not large:
        return math.inf
    far = math.hypot(*minus(centre_of(found.box), centre_of(lost.box))) / large
    return far if far <= _IN_PLACE else math.inf


def latest_motion(sightings: Sequence[Sighting]) -> tuple[Sighting, Sighting]:
    """Return the latest sighting, and one half a second before it or the one before."""
    last = sightings[-1]
    recent = [s for s in sightings[:-1] if last.time - s.time <= MOTION_SECONDS]
    return recent[0] if recent else sightings[max(len(sightings) - 2, 0)], last


def _first(sightings: Sequence[Sighting]) -> tuple[Sighting, Sighting]:
    """Return the first sighting, and one half a second after it or the one after."""
    first = sightings[0]
    soon = [s for s in sightings[1:] if s.time - first.time <= MOTION_SECONDS]
    return first, soon[-1] if soon else sightings[1]


def _is_moving(ends: tuple[Sighting, Sighting]) -> bool:
    """Whether an object went further than a box trembles."""
    start, end = ends
    way = math.hypot(*minus(centre_of(end.box), centre_of(start.box)))
    return way >= _LEAST_WAY * min(size_of(start.box), size_of(end.box))


def _agree(one: Vector, other: Vector) -> bool:
    slow, fast = sorted((math.hypot(*one), math.hypot(*other)))
    return slow >= _PACE * fast and dot(one, other) >= _TURN * slow * fast
