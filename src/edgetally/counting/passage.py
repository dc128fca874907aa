"""`Passage`: one object's way past a line, and what of it counts."""

from __future__ import annotations

import statistics
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from edgetally.counting.geometry import (
    Border,
    Vector,
    anchor_of,
    dot,
    minus,
    reaches_edge,
    velocity,
)
from edgetally.counting.track import Sighting, Track, size_of

if TYPE_CHECKING:
    from edgetally.config import LineConfig

Direction = Literal["in", "out"]

_BAND_PER_SIZE = 0.1  # a large box trembles more than a small one
_AGREEMENT = 0.25
_ROUNDING = 1e-6  # seconds
_MAX_STEP = 0.5  # seconds for which a last motion is carried on
_STEPS = 1.5  # frames, likewise; frames come unevenly
_ENOUGH = 8  # sightings, from which on nobody asks in how many frames
_FAIR_SHARE = 0.3  # of the frames


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
class _Change:
    """A change of sides. since: when it was first seen on the far side, with its rests."""

    direction: Direction
    time: float
    point: Vector
    since: float


@dataclass(slots=True)
class _State:
    """What is known of the way so far.

    side: where the object is settled: 1 IN, -1 OUT, 0 not known; since: its first sighting there;
    stay: how many. far: sightings on the other side that are not yet believed; approach: the
    two sightings before them. distance: of the latest sighting, signed as side is.
    through: when and where the anchor last went over the line.
    staying: a change that counts once the object stayed; unsure: changes that count once the
    track is trusted.
    """

    side: int = 0
    since: Sighting | None = None
    stay: int = 0
    far: list[Sighting] = field(default_factory=list)
    approach: tuple[Sighting, ...] = ()
    distance: float | None = None
    through: tuple[float, Vector] | None = None
    latest: deque[Sighting] = field(default_factory=lambda: deque(maxlen=2))
    staying: _Change | None = None
    unsure: list[_Change] = field(default_factory=list)


class FramePace:
    """How far apart a camera's frames are, as a rule: the median of the latest gaps.

    interval: seconds; that of one frame a second before two have come.
    """

    def __init__(self) -> None:
        self.interval = 1.0
        self._last: float | None = None
        self._gaps: deque[float] = deque(maxlen=15)

    def frame(self, time: float) -> None:
        """A frame was taken at `time`, in seconds."""
        if self._last is not None and time > self._last:
            self._gaps.append(time - self._last)
            self.interval = statistics.median(self._gaps)
        self._last = time


class Passage:
    """Takes the sightings of one track, and says which changes of sides count.

    track: as it was when last among the camera's tracks; is_over: whether it has ended.
    """

    def __init__(self, track: Track, line: LineConfig, border: Border, pace: FramePace) -> None:
        self.track = track
        self._pace = pace
        self.is_over = False
        self._border = border
        self._anchor = line.anchor
        self._dead_band = line.dead_band
        self._min_stay = line.min_stay
        self._state = _State()

    @property
    def side(self) -> int:
        """Where it is settled: 1 IN, -1 OUT, 0 not known."""
        return self._state.side

    def take_over(self, earlier: Passage) -> None:
        """Go on where another passage ended; before any sighting is taken."""
        self._state = earlier._state

    def take(self, sighting: Sighting, rested: float) -> None:
        """Take the next sighting; rested: seconds that are not in its time."""
        state, box = self._state, sighting.box
        distance, before = self._border.distance(anchor_of(box, self._anchor)), state.distance
        state.distance = distance
        if before is not None and (before < 0) != (distance < 0):
            share = before / (before - distance)
            state.through = self._between(state.latest[-1], sighting, share)
        far = abs(distance)
        is_near = far <= self._dead_band or far <= _BAND_PER_SIZE * size_of(box)
        side = 0 if is_near else 1 if distance > 0 else -1
        if side and state.side in {0, side}:
            state.side = side
            state.since = state.since or sighting
            state.stay += 1
            if state.far:
                state.far.clear()
            if state.staying is not None:
                self._has_stayed(sighting.time + rested)
        elif side:
            if not state.far:
                state.approach = tuple(state.latest)
            state.far.append(sighting)
            if len(state.far) == 2:
                self._change_sides(side, rested)
                self._has_stayed(sighting.time + rested)
        state.latest.append(sighting)

    def counted(self) -> list[Crossing]:
        """Return the crossings that count by now, each once."""
        unsure = self._state.unsure
        if not unsure or not self.track.is_trusted or not self._is_seen_enough():
            return []
        self._state.unsure = []
        track = self.track
        return [
            Crossing(track.id, track.class_id, c.direction, c.time, c.point, track.score)
            for c in unsure
        ]

    def end(self, *, is_cut_off: bool) -> list[Crossing]:
        """Decide what is under way, because the object is gone; return what counts of it.

        is_cut_off: it is the video that ended, not the track.
        """
        state = self._state
        returned = bool(state.far)
        if returned and self._left_view_on_far_side(is_cut_off=is_cut_off):
            # Who came back before the stay was over never counted, and has not left again.
            if state.staying is None:
                state.unsure += self._changes(state.far[0].time)
        elif state.staying is not None and not returned:
            state.unsure.append(state.staying)
        state.staying = None
        return self.counted()

    @property
    def is_leaving(self) -> bool:
        """Whether the latest motion leads out of the view."""
        latest = self._state.latest
        if len(latest) < 2:
            return False
        before, last = latest
        return reaches_edge(last.box, velocity(before, last), self._step(before, last))

    def _is_seen_enough(self) -> bool:
        """Whether it was seen in a fair share of the frames; false boxes in one track are not.

        An object is missed now and then, or for a second or two; detections that show nothing come
        far apart.
        """
        track = self.track
        frames = 1 + (track.last_seen - track.first_seen) / self._pace.interval
        return track.hits >= _ENOUGH or track.hits >= _FAIR_SHARE * frames

    def _step(self, before: Sighting, after: Sighting) -> float:
        """Seconds until the next frame, in which a motion between two sightings is carried on."""
        return min(after.time - before.time, _STEPS * self._pace.interval, _MAX_STEP)

    def _change_sides(self, side: int, rested: float) -> None:
        state, first = self._state, self._state.far[0]
        if state.staying is not None:
            state.staying = None  # it came back too soon: neither way counts
        elif self._came_credibly():
            (state.staying,) = self._changes(first.time + rested) or (None,)
        state.side, state.since, state.stay = side, first, 2
        state.far.clear()

    def _has_stayed(self, now: float) -> None:
        staying = self._state.staying
        if staying is not None and now - staying.since >= self._min_stay - _ROUNDING:
            self._state.unsure.append(staying)
            self._state.staying = None

    def _left_view_on_far_side(self, *, is_cut_off: bool) -> bool:
        """Decide on a track that was seen on the far side once and never again."""
        state = self._state
        if not self._came_credibly():
            return False
        far, last = state.far[0], state.approach[-1]
        if len(state.approach) == 2 and not self._agree(
            self._speed(state.approach[0], last), self._speed(last, far), -state.side
        ):
            return False
        return is_cut_off or reaches_edge(far.box, velocity(last, far), self._step(last, far))

    def _came_credibly(self) -> bool:
        state = self._state
        if state.stay >= 2 or state.since is None:
            return True
        first, last = state.far[0], state.approach[-1]
        step = velocity(last, first)
        if reaches_edge(state.since.box, (-step[0], -step[1]), self._step(last, first)):
            return True
        return len(state.far) == 2 and self._agree(
            self._speed(last, first), self._speed(first, state.far[1]), -state.side
        )

    def _agree(self, one: Vector, other: Vector, side: int) -> bool:
        """Whether both motions lead to that side, and similarly fast."""
        normal = self._border.normal
        speeds = side * dot(normal, one), side * dot(normal, other)
        return min(speeds) > 0 and min(speeds) >= _AGREEMENT * max(speeds)

    def _changes(self, since: float) -> list[_Change]:
        """Return the change to the other side, if the way led through the line itself."""
        state = self._state
        if state.through is None or not self._border.reaches(state.through[1]):
            return []
        time, point = state.through
        return [_Change("out" if state.side > 0 else "in", time, point, since)]

    def _point(self, sighting: Sighting) -> Vector:
        return anchor_of(sighting.box, self._anchor)

    def _speed(self, before: Sighting, after: Sighting) -> Vector:
        return velocity(before, after, self._anchor)

    def _between(self, before: Sighting, after: Sighting, share: float) -> tuple[float, Vector]:
        start, end = self._point(before), self._point(after)
        way = minus(end, start)
        point = (start[0] + share * way[0], start[1] + share * way[1])
        return before.time + share * (after.time - before.time), point
