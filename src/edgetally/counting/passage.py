"""`Passage`: one object's way past a line, and what of it counts."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edgetally.counting.continuation import LONGEST_GAP, latest_motion
from edgetally.counting.crossing import Change, Crossing
from edgetally.counting.geometry import (
    Border,
    Vector,
    anchor_of,
    dot,
    minus,
    reaches_edge,
    velocity,
)
from edgetally.counting.track import Box, Sighting, Track, size_of
from edgetally.counting.tremble import Tremble

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edgetally.config import LineConfig
    from edgetally.counting.frame_pace import FramePace

_BAND_PER_SIZE = 0.1  # a large box trembles more than a small one
_BAND_PER_TREMBLE = 4.0  # standard deviations
_LARGEST_TREMBLE = 0.5  # of the box's size
_AGREEMENT = 0.25
_BELIEVED = 1.0  # a single sighting can't say more for a side
_DEEPEST = 1 + _BELIEVED  # bands from the line: further on every sighting says the same
_ROUNDING = 1e-6  # seconds, or 0-1 of the frame
_OUT_OF_VIEW = 1.0  # seconds from the edge, at most, from where who is lost has left
_MAX_STEP = 0.5  # seconds for which a last motion is carried on, or to the next frame
_STEPS = 1.5  # frames, likewise; frames come unevenly
_ENOUGH = 8  # sightings, from which on nobody asks in how many frames
_FAIR_SHARE = 0.3  # of the frames


@dataclass(slots=True)
class _State:
    """What is known of the way so far.

    side: where the object is settled: 1 IN, -1 OUT, 0 not known; since: its first sighting there.
    is_believed: whether that is certain; here, there: what speaks for this side until it is, and
    for the other. far: sightings on the other side that are not yet believed; approach: the two
    sightings before them. distance: of the latest sighting, signed as side is.
    through: when and where the anchor last went over the line.
    staying: a change that counts once the object stayed; unsure: changes that count once the
    track is trusted.
    """

    side: int = 0
    since: Sighting | None = None
    is_believed: bool = False
    here: float = 0.0
    there: float = 0.0
    far: list[Sighting] = field(default_factory=list)
    approach: tuple[Sighting, ...] = ()
    distance: float | None = None
    tremble: Tremble = field(default_factory=Tremble)
    through: tuple[float, Vector] | None = None
    latest: deque[Sighting] = field(default_factory=lambda: deque(maxlen=2))
    staying: Change | None = None
    unsure: list[Change] = field(default_factory=list)


def _evidence(depth: float) -> float:
    """What a sighting so many bands deep in a side says for it; in the band it speaks against."""
    return min(depth - 1, _BELIEVED)


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
        self._deep = _DEEPEST * max(line.dead_band, _ROUNDING)
        self._state = _State()

    @property
    def side(self) -> int:
        """Where it is settled: 1 IN, -1 OUT, 0 not known."""
        return self._state.side

    @property
    def has_found(self) -> bool:
        """Whether there are changes of sides that count as soon as the track may."""
        return bool(self._state.unsure)

    @property
    def has_uncounted(self) -> bool:
        """Whether a change of sides was found that may still count."""
        return bool(self._state.unsure) or self._state.staying is not None

    def take_over(self, earlier: Passage) -> None:
        """Go on where another passage ended; before any sighting is taken."""
        self._state = earlier._state

    def look_back(
        self, path: Iterable[Sighting], rested: float, earlier: Passage | None = None
    ) -> None:
        """Take what was seen before the line was here, so that the sides are known.

        What went over its place then does not count, but what `earlier`, the passage at the line
        as it was before, had found and not counted yet. rested: as in `take`.
        """
        for sighting in path:
            self.take(sighting, rested)
        if earlier is None or not earlier.has_uncounted:
            self._state.unsure, self._state.staying = [], None

    def take(self, sighting: Sighting, rested: float) -> None:
        """Take the next sighting; rested: seconds that are not in its time."""
        state, box = self._state, sighting.box
        distance, before = self._border.distance_of(box, self._anchor), state.distance
        state.distance = distance
        state.tremble.see(sighting.time, distance)
        if self._goes_on_here(distance, before, box):
            state.latest.append(sighting)
            return
        if before is not None and (before < 0) != (distance < 0):
            share = before / (before - distance)
            state.through = self._between(state.latest[-1], sighting, share)
        depth = self._depth(distance, box)
        if not state.side and abs(depth) > 1:
            state.side, state.since = (1 if depth > 0 else -1), sighting
        here, there = _evidence(depth * state.side), _evidence(-depth * state.side)
        if not state.is_believed and there <= 0:
            state.is_believed = state.here >= _BELIEVED
            state.here = max(0.0, state.here + here)
        state.there = max(0.0, state.there + there)
        if there > 0:
            if not state.far:
                state.approach = tuple(state.latest)
            state.far.append(sighting)
        elif not state.there:
            state.far.clear()
        if state.there > _BELIEVED:
            self._change_sides(rested)
            here = there
        if here > 0:
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

    def end(self, *, is_cut_off: bool, is_there: bool = False) -> list[Crossing]:
        """Decide what is under way, because the object is gone; return what counts of it.

        is_cut_off: it is the video that ended, not the track. is_there: one like it was found
        where it was seen last, or stands where it was before.
        """
        state = self._state
        returned = bool(state.far)
        if returned and self._left_view_on_far_side(is_cut_off=is_cut_off, is_there=is_there):
            # Who came back before the stay was over never counted, and has not left again.
            if state.staying is None:
                state.unsure += self._changes(state.far[0].time)
        elif state.staying is not None and not returned and (is_cut_off or self._goes_out()):
            state.unsure.append(state.staying)
        state.staying = None
        return self.counted()

    @property
    def is_staying(self) -> bool:
        """Whether it has crossed, and has neither stayed there long enough nor gone on out."""
        return self._state.staying is not None and not self._goes_out()

    @property
    def is_leaving(self) -> bool:
        """Whether the latest motion leads out of the view."""
        latest = self._state.latest
        if len(latest) < 2:
            return False
        before, last = latest
        return reaches_edge(last.box, velocity(before, last), self._step(before, last))

    def _goes_out(self) -> bool:
        """Whether its way leads out of the view soon; who is lost there has left it."""
        motion = latest_motion(self.track.path)
        return reaches_edge(motion[-1].box, velocity(*motion), _OUT_OF_VIEW)

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
        interval = self._pace.interval
        longest = min(max(_MAX_STEP, interval), LONGEST_GAP)
        return min(after.time - before.time, _STEPS * interval, longest)

    def _goes_on_here(self, distance: float, before: float | None, box: Box) -> bool:
        """Whether all is as it was: a quick answer, as most objects are far from most lines.

        Deep in the side where it is settled a sighting says nothing new, however it trembles.
        """
        state = self._state
        if not state.is_believed or state.far or state.staying is not None or before is None:
            return False
        deep = max(self._deep, box[2] - box[0], box[3] - box[1])
        return distance * state.side >= deep and before * state.side > 0

    def _depth(self, distance: float, box: Box) -> float:
        """How far beyond the line a sighting is, in bands, in which it is on neither side."""
        size = size_of(box)
        least = max(self._dead_band, _BAND_PER_SIZE * size, _ROUNDING)
        if abs(distance) >= _DEEPEST * max(least, _LARGEST_TREMBLE * size):
            return _DEEPEST if distance > 0 else -_DEEPEST
        trembles = min(_BAND_PER_TREMBLE * self._state.tremble.deviation, _LARGEST_TREMBLE * size)
        return distance / max(least, trembles)

    def _change_sides(self, rested: float) -> None:
        state, first = self._state, self._state.far[0]
        if state.staying is not None:
            state.staying = None  # it came back too soon: neither way counts
        elif self._came_credibly():
            (state.staying,) = self._changes(first.time + rested) or (None,)
        state.side, state.since = -state.side, first
        state.is_believed, state.there = True, 0.0
        state.far.clear()

    def _has_stayed(self, now: float) -> None:
        staying = self._state.staying
        if staying is not None and now - staying.since >= self._min_stay - _ROUNDING:
            self._state.unsure.append(staying)
            self._state.staying = None

    def _left_view_on_far_side(self, *, is_cut_off: bool, is_there: bool) -> bool:
        """Decide on a track that was seen on the far side once and never again."""
        state = self._state
        if not self._came_credibly():
            return False
        if is_there and not state.is_believed:
            return False  # it stands where it should have left: its other sighting was misplaced
        far, last = state.far[0], state.approach[-1]
        if len(state.approach) == 2 and not self._agree(
            self._speed(state.approach[0], last), self._speed(last, far), -state.side
        ):
            return False
        return is_cut_off or reaches_edge(far.box, velocity(last, far), self._step(last, far))

    def _came_credibly(self) -> bool:
        """Whether it was on this side: it is believed, or its motion over the line bears it out."""
        state = self._state
        if state.is_believed:
            return True
        first, last = state.far[0], state.approach[-1]
        if state.since not in state.approach:
            return False
        if len(state.far) > 1:
            onward = self._speed(first, state.far[1])
            return self._agree(self._speed(last, first), onward, -state.side)
        step = velocity(last, first)
        came_in = reaches_edge(last.box, (-step[0], -step[1]), self._step(last, first))
        return came_in and self._pace.are_neighbours(last.time, first.time)

    def _agree(self, one: Vector, other: Vector, side: int) -> bool:
        """Whether both motions lead to that side, and similarly fast."""
        normal = self._border.normal
        speeds = side * dot(normal, one), side * dot(normal, other)
        return min(speeds) > 0 and min(speeds) >= _AGREEMENT * max(speeds)

    def _changes(self, since: float) -> list[Change]:
        """Return the change to the other side, if the way led through the line itself."""
        state = self._state
        if state.through is None or not self._border.reaches(state.through[1]):
            return []
        time, point = state.through
        return [Change("out" if state.side > 0 else "in", time, point, since)]

    def _point(self, sighting: Sighting) -> Vector:
        return anchor_of(sighting.box, self._anchor)

    def _speed(self, before: Sighting, after: Sighting) -> Vector:
        return velocity(before, after, self._anchor)

    def _between(self, before: Sighting, after: Sighting, share: float) -> tuple[float, Vector]:
        start, end = self._point(before), self._point(after)
        way = minus(end, start)
        point = (start[0] + share * way[0], start[1] + share * way[1])
        return before.time + share * (after.time - before.time), point
