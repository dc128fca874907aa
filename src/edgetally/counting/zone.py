"""`Zone`: how many objects of each class are in an area, and who comes and goes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from edgetally.counting.frame_pace import FramePace
from edgetally.counting.geometry import Vector, anchor_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from edgetally.config import ZoneConfig
    from edgetally.counting.track import Track

_START = 0.5  # seconds: who is in view by then was there before
_START_FRAMES = 3.0  # likewise, because a detector misses what is there in one or two of them
_LONGEST_INTERVAL = 1.0  # seconds; slower cameras are no reason to wait longer
_DWELL_FRAMES = 1.5  # more than two neighbouring ones: those may be misplaced by their jitter
_ROUNDING = 1e-6  # seconds
_INSIDE_VIEW = 1e-6  # a box that the frame's edge cuts off is inside a zone that ends there


@dataclass(frozen=True)
class Stay:
    """What is told of an object in a zone: it entered, left, or has been there for long.

    time: when (seconds); seconds: inside so far.
    """

    kind: Literal["entered", "left", "loitering"]
    track_id: int
    class_id: int
    time: float
    seconds: float


@dataclass(frozen=True, slots=True)
class _Moment:
    """A time, and the seconds that the camera had rested until then, which are not in it."""

    time: float
    rested: float

    def seconds_since(self, other: _Moment) -> float:
        """Seconds that have passed between the two."""
        return self.time + self.rested - other.time - other.rested


@dataclass(slots=True)
class _Presence:
    """What the zone knows of one track.

    class_id: under which it counts. since: when it came inside; None: it is not. changed: since
    when it seems otherwise, or None. seen: when it was seen last. is_told: that it loiters.
    """

    class_id: int
    seen: _Moment
    since: _Moment | None = None
    changed: _Moment | None = None
    is_told: bool = False


class Zone:
    """Counts the tracks whose anchor is in a polygon.

    A track has entered or left when it is seen to have stayed so for the dwell, which, if there is
    one, is longer than from one frame to the next; the time of that is when it first was there. One
    that is not seen stays where it was, and leaves, as of its latest sighting, when it ends. What
    stands inside from the first half second or the first frames on counts as soon as it is
    believed; nothing is told of it, because it did not enter. Therefore, for each class, the
    occupancy always is what stood there, plus `entered`, less `left`. A track inside whose class
    changes leaves as the one and enters as the other.

    Where a polygon's edges cross, a point is inside if a way out of it crosses an odd number of
    them, as pictures are filled. Of what touches the edge of the frame, the anchor is in the view.
    """

    def __init__(self, zone: ZoneConfig, classes: Sequence[str]) -> None:
        """Watch `zone`; `classes` are the model's."""
        self._zone = zone
        self._polygon = zone.polygon
        self._anchor = zone.anchor
        self._dwell = zone.dwell
        self._loitering = zone.loitering
        self._class_ids = _counted(zone, classes)
        self._presences: dict[int, _Presence] = {}
        self._pace = FramePace()
        self._began: float | None = None
        self._older: frozenset[int] = frozenset()

    def begin_among(self, tracks: Iterable[Track]) -> None:
        """Begin while there are tracks: those inside always stood there."""
        self._older = frozenset(track.id for track in tracks)

    def become(self, zone: ZoneConfig, classes: Sequence[str]) -> None:
        """Go on as another area: who is inside one and outside the other has left, or entered."""
        self._zone, self._polygon, self._anchor = zone, zone.polygon, zone.anchor
        self._dwell, self._loitering = zone.dwell, zone.loitering
        self._class_ids = _counted(zone, classes)

    def know(self, classes: Sequence[str]) -> None:
        """Take the names of the class ids, where there are more now."""
        self._class_ids = _counted(self._zone, classes)

    @property
    def occupancy(self) -> dict[int, int]:
        """How many are inside, by class id; every class that the zone counts is there."""
        inside = [p.class_id for p in self._presences.values() if p.since is not None]
        return {class_id: inside.count(class_id) for class_id in self._class_ids}

    def update(self, tracks: Iterable[Track], time: float, rested: float = 0.0) -> list[Stay]:
        """Take a camera's tracks after a frame at `time` (seconds); return what is to be told.

        A track that is no longer among them has ended. rested: seconds so far in which nothing
        moved, and which are in no time.
        """
        self._pace.frame(time)
        if self._began is None:
            self._began = time
        now = _Moment(time, rested)
        before, self._presences = self._presences, {}
        told: list[Stay] = []
        for track in tracks:
            presence = before.pop(track.id, None)
            if presence is None:
                presence = self._begun(track, now)
            self._presences[track.id] = presence
            if presence.class_id != track.class_id:
                told += self._reclassified(presence, track, now)
            if track.is_seen_now:
                presence.seen = now
                told += self._moved(presence, track, now)
        for track_id, presence in before.items():
            told += self._left(presence, track_id, presence.changed or presence.seen)
        return [stay for stay in told if stay.class_id in self._class_ids]

    def _begun(self, track: Track, now: _Moment) -> _Presence:
        """Look back on what a track did before it was believed."""
        presence = _Presence(track.class_id, now)
        if track.id in self._older:
            if self._holds(anchor_of(track.box, self._anchor)):
                presence.since = now
        elif all(self._holds(anchor_of(sighting.box, self._anchor)) for sighting in track.path):
            first = _Moment(track.first_seen, now.rested)
            if self._is_start(track.first_seen):
                presence.since = first
            else:
                presence.changed = first
        return presence

    def _is_start(self, time: float) -> bool:
        """Whether what was in view at a time was there before the zone was watched."""
        if self._began is None:
            return False
        start = max(_START, _START_FRAMES * self._interval)
        return time - self._began <= start + _ROUNDING

    @property
    def _interval(self) -> float:
        return min(self._pace.interval, _LONGEST_INTERVAL)

    @property
    def _least_dwell(self) -> float:
        return max(self._dwell, _DWELL_FRAMES * self._interval) if self._dwell else 0.0

    def _reclassified(self, presence: _Presence, track: Track, now: _Moment) -> list[Stay]:
        told, since = [], presence.since
        if since is not None:
            told = self._left(presence, track.id, now)
            told.append(Stay("entered", track.id, track.class_id, now.time, 0.0))
        presence.class_id, presence.since = track.class_id, since
        return told

    def _moved(self, presence: _Presence, track: Track, now: _Moment) -> list[Stay]:
        if self._holds(anchor_of(track.box, self._anchor)) == (presence.since is not None):
            presence.changed = None
            return self._loiters(presence, track, now)
        changed = presence.changed = presence.changed or now
        if now.seconds_since(changed) < self._least_dwell - _ROUNDING:
            return []
        presence.changed = None
        if presence.since is not None:
            return self._left(presence, track.id, changed)
        presence.since, presence.is_told = changed, False
        entered = Stay("entered", track.id, presence.class_id, changed.time, 0.0)
        return [entered, *self._loiters(presence, track, now)]

    def _loiters(self, presence: _Presence, track: Track, now: _Moment) -> list[Stay]:
        if presence.since is None or self._loitering is None or presence.is_told:
            return []
        seconds = now.seconds_since(presence.since)
        if seconds < self._loitering - _ROUNDING:
            return []
        presence.is_told = True
        return [Stay("loitering", track.id, presence.class_id, now.time, seconds)]

    def _left(self, presence: _Presence, track_id: int, when: _Moment) -> list[Stay]:
        if presence.since is None:
            return []
        seconds = when.seconds_since(presence.since)
        presence.since = None
        return [Stay("left", track_id, presence.class_id, when.time, seconds)]

    def _holds(self, point: Vector) -> bool:
        """Cast a ray to the right and count the polygon's edges that it meets (even-odd)."""
        x, y = point
        x = min(max(x, _INSIDE_VIEW), 1 - _INSIDE_VIEW)
        y = min(max(y, _INSIDE_VIEW), 1 - _INSIDE_VIEW)
        is_inside = False
        x_before, y_before = self._polygon[-1]
        for x_corner, y_corner in self._polygon:
            if (y_corner > y) != (y_before > y):
                meets = x_corner + (y - y_corner) * (x_before - x_corner) / (y_before - y_corner)
                is_inside ^= x < meets
            x_before, y_before = x_corner, y_corner
        return is_inside


def _counted(zone: ZoneConfig, classes: Sequence[str]) -> list[int]:
    """Return the ids of the classes that count in a zone."""
    return [index for index, name in enumerate(classes) if not zone.classes or name in zone.classes]
