"""`LineCounter`: who crossed a line, and which way."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from edgetally.counting.track import Box, Sighting, Track, centre_of, size_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from edgetally.config import LineConfig

Direction = Literal["in", "out"]
Vector = tuple[float, float]

_BAND_PER_SIZE = 0.1  # a large box's centre trembles more than a small one's
_AGREEMENT = 0.25
_MAX_STEP = 0.5  # seconds for which a last motion is carried on
_EDGE = 0.01


@dataclass(frozen=True)
class Crossing:
    """A track went over the line: where, and when (seconds) between two of its sightings."""

    track_id: int
    class_id: int
    direction: Direction
    time: float
    point: Vector
    score: float


@dataclass(slots=True)
class _Passage:
    """What the line remembers of one track.

    side: where it is settled: 1 IN, -1 OUT, 0 not known; since: its first sighting there;
    stay: how many. far: sightings on the other side that are not yet believed; approach: the
    two sightings before them. distance: of the latest sighting, signed as side is.
    through: when and where the centre last went over the line.
    withheld: crossings that count once the track is trusted.
    """

    track: Track
    taken: int = 0
    side: int = 0
    since: Sighting | None = None
    stay: int = 0
    far: list[Sighting] = field(default_factory=list)
    approach: tuple[Sighting, ...] = ()
    distance: float | None = None
    through: tuple[float, Vector] | None = None
    latest: deque[Sighting] = field(default_factory=lambda: deque(maxlen=2))
    withheld: list[Crossing] = field(default_factory=list)


class LineCounter:
    """Counts the tracks that come from one side of a line and settle on the other.

    A box's centre counts. Around the line lies a dead band in which nothing is decided, so
    trembling on the line or turning back there counts nothing. A side is believed after two
    sightings; a single one, where the same motion leads over the frame's edge in one more step,
    because a fast box is not seen more often. The way must lead through the line itself, not
    through its extension. A track that is unseen for a while keeps its side. What hardly a
    confident detection made counts when the track is trusted, or never.
    """

    def __init__(
        self, line: LineConfig, classes: Sequence[str], *, dead_band: float = 0.015
    ) -> None:
        """Count over `line`; `classes` are the model's.

        dead_band: half its width, in 0-1 of the frame; at least a tenth of the box's size.
        """
        along = _minus(line.end, line.start)
        self._start = line.start
        self._length = math.hypot(*along)
        self._along = (along[0] / self._length, along[1] / self._length)
        across = (-self._along[1], self._along[0])
        sign = math.copysign(1, _dot(across, line.in_direction))
        self._normal = (sign * across[0], sign * across[1])
        self._class_ids = {
            index for index, name in enumerate(classes) if not line.classes or name in line.classes
        }
        self._dead_band = dead_band
        self._passages: dict[int, _Passage] = {}

    def update(self, tracks: Iterable[Track]) -> list[Crossing]:
        """Take a camera's tracks after a frame; return who has crossed.

        A track that is no longer among them has ended.
        """
        crossings: list[Crossing] = []
        current = set()
        for track in tracks:
            current.add(track.id)
            passage = self._passages.get(track.id)
            if passage is None:
                passage = self._passages[track.id] = _Passage(track)
            passage.track = track
            fresh = min(track.hits - passage.taken, len(track.path))
            passage.taken = track.hits
            for sighting in track.path[len(track.path) - fresh :]:
                self._take(passage, sighting)
            if passage.withheld:
                crossings += _released(passage)
        for track_id in sorted(self._passages.keys() - current):
            crossings += self._ended(self._passages.pop(track_id), is_cut_off=False)
        return crossings

    def finish(self) -> list[Crossing]:
        """End every track, because the video ends; return who has crossed in its last frame."""
        passages, self._passages = self._passages, {}
        return [c for passage in passages.values() for c in self._ended(passage, is_cut_off=True)]

    def _take(self, passage: _Passage, sighting: Sighting) -> None:
        distance, before = self._distance(sighting), passage.distance
        passage.distance = distance
        if before is not None and (before < 0) != (distance < 0):
            share = before / (before - distance)
            passage.through = _between(passage.latest[-1], sighting, share)
        band = max(self._dead_band, _BAND_PER_SIZE * size_of(sighting.box))
        side = 0 if abs(distance) <= band else 1 if distance > 0 else -1
        if side and passage.side in {0, side}:
            passage.side = side
            passage.since = passage.since or sighting
            passage.stay += 1
            passage.far.clear()
        elif side:
            if not passage.far:
                passage.approach = tuple(passage.latest)
            passage.far.append(sighting)
            if len(passage.far) == 2:
                if self._came_credibly(passage):
                    passage.withheld += self._crossing(passage)
                passage.side, passage.since, passage.stay = side, passage.far[0], 2
                passage.far.clear()
        passage.latest.append(sighting)

    def _ended(self, passage: _Passage, *, is_cut_off: bool) -> list[Crossing]:
        passage.withheld += self._last_crossing(passage, is_cut_off=is_cut_off)
        return _released(passage)

    def _last_crossing(self, passage: _Passage, *, is_cut_off: bool) -> list[Crossing]:
        """Decide on a track that was seen on the far side once and never again."""
        if not passage.far or not self._came_credibly(passage):
            return []
        far, last = passage.far[0], passage.approach[-1]
        step = _velocity(last, far)
        if len(passage.approach) == 2 and not self._agree(
            _velocity(passage.approach[0], last), step, -passage.side
        ):
            return []
        is_leaving = _reaches_edge(far.box, step, min(far.time - last.time, _MAX_STEP))
        return self._crossing(passage) if is_leaving or is_cut_off else []

    def _came_credibly(self, passage: _Passage) -> bool:
        if passage.stay >= 2 or passage.since is None:
            return True
        first, last = passage.far[0], passage.approach[-1]
        step = _velocity(last, first)
        seconds = min(first.time - last.time, _MAX_STEP)
        if _reaches_edge(passage.since.box, (-step[0], -step[1]), seconds):
            return True
        return len(passage.far) == 2 and self._agree(
            step, _velocity(first, passage.far[1]), -passage.side
        )

    def _agree(self, one: Vector, other: Vector, side: int) -> bool:
        """Whether both motions lead to that side, and similarly fast."""
        speeds = side * _dot(self._normal, one), side * _dot(self._normal, other)
        return min(speeds) > 0 and min(speeds) >= _AGREEMENT * max(speeds)

    def _crossing(self, passage: _Passage) -> list[Crossing]:
        if passage.through is None or passage.track.class_id not in self._class_ids:
            return []
        time, point = passage.through
        if not 0 <= _dot(self._along, _minus(point, self._start)) <= self._length:
            return []
        track = passage.track
        direction: Direction = "out" if passage.side > 0 else "in"
        return [Crossing(track.id, track.class_id, direction, time, point, track.score)]

    def _distance(self, sighting: Sighting) -> float:
        (x, y), start, normal = centre_of(sighting.box), self._start, self._normal
        return normal[0] * (x - start[0]) + normal[1] * (y - start[1])


def _released(passage: _Passage) -> list[Crossing]:
    if not passage.track.is_trusted:
        return []
    released, passage.withheld = passage.withheld, []
    return released


def _dot(one: Vector, other: Vector) -> float:
    return one[0] * other[0] + one[1] * other[1]


def _minus(one: Vector, other: Vector) -> Vector:
    return one[0] - other[0], one[1] - other[1]


def _between(before: Sighting, after: Sighting, share: float) -> tuple[float, Vector]:
    start, way = centre_of(before.box), _minus(centre_of(after.box), centre_of(before.box))
    point = (start[0] + share * way[0], start[1] + share * way[1])
    return before.time + share * (after.time - before.time), point


def _velocity(before: Sighting, after: Sighting) -> Vector:
    way = _minus(centre_of(after.box), centre_of(before.box))
    seconds = max(after.time - before.time, 1e-3)
    return way[0] / seconds, way[1] / seconds


def _reaches_edge(box: Box, velocity: Vector, seconds: float) -> bool:
    """Whether the box, moving on, comes to the edge of the frame that it moves towards."""
    axis = 0 if abs(velocity[0]) >= abs(velocity[1]) else 1
    way = velocity[axis] * seconds
    if way < 0:
        return box[axis] + way <= _EDGE
    return way > 0 and box[axis + 2] + way >= 1 - _EDGE
