"""`LineCounter`: who crossed a line, and which way."""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edgetally.counting.continuation import (
    LONGEST_GAP,
    MOTION_SECONDS,
    displacement,
    farness,
    goes_on,
)
from edgetally.counting.crossing import Crossing
from edgetally.counting.frame_pace import FramePace
from edgetally.counting.geometry import Border
from edgetally.counting.passage import Passage

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from edgetally.config import LineConfig
    from edgetally.counting.track import Sighting, Track

__all__ = ["Crossing", "LineCounter"]

_REMEMBERED = 2.5  # seconds: who was found in time may be believed later
_REMEMBERED_THERE = 10.0  # likewise: who was lost while it stayed on the far side, and lies there
_MOST_ALIKE = 5  # lost ones that a found one is compared with


@dataclass(slots=True)
class _Followed:
    """A track at the line.

    taken: its sightings so far. waiting: those that its passage did not take yet, with the rests
    before them. may_be: the lost tracks that it may go on with, each with how far it was found
    from where that was expected, by id. first: its first sighting.
    """

    passage: Passage
    taken: int = 0
    waiting: list[tuple[Sighting, float]] = field(default_factory=list)
    may_be: dict[int, float] = field(default_factory=dict)
    first: Sighting = field(init=False)

    def __post_init__(self) -> None:
        self.first = self.track.path[0]

    @property
    def track(self) -> Track:
        """As it was when last among the camera's tracks."""
        return self.passage.track

    @property
    def nearest(self) -> tuple[float, int]:
        """Which of the lost ones it fits best: how far from it, and its id; 0: none."""
        return min(((far, lost) for lost, far in self.may_be.items()), default=(0.0, 0))

    def see(self, track: Track, rested: float) -> None:
        """Take what is new of the track, or note it while it waits."""
        self.passage.track, self.passage.is_over = track, False
        fresh = min(track.hits - self.taken, len(track.path))
        self.taken = track.hits
        if fresh == 1 and not self.waiting and not self.may_be:
            self.passage.take(track.path[-1], rested)
            return
        if fresh:
            self.waiting += [(sighting, rested) for sighting in track.path[-fresh:]]
        if not self.may_be:
            self.pass_on()

    def moved_to(self, passage: Passage, rested: float) -> _Followed:
        """Follow it at another line, from what is known of its way."""
        path = self.track.path
        passage.is_over = self.passage.is_over
        passage.look_back(path[: len(path) - len(self.waiting)], rested, self.passage)
        return _Followed(passage, self.taken, list(self.waiting), dict(self.may_be))

    def pass_on(self) -> None:
        """Let the passage take what waited."""
        for sighting, rested in self.waiting:
            self.passage.take(sighting, rested)
        self.waiting.clear()


class LineCounter:
    """Counts the tracks that come from one side of a line and settle on the other.

    The anchor of the box counts. Around the line lies a dead band, wider for an object that
    trembles. Each sighting beyond it speaks for that side, the more the deeper it lies, but never
    enough alone; one in the band speaks against it. So trembling on the line or turning back there
    counts nothing, nor does a misplaced box. A single sighting on either side is believed where
    the motion bears it out, because a fast box is not seen more often; but of two sightings the
    first was misplaced where another track begins at the second, as one that left is not there,
    and the second was misplaced where another track then begins at the first, and stands there.
    The way must lead through the line itself, not through its extension. A track that is unseen for
    a while keeps its side. What hardly a confident detection made counts when the track is trusted,
    or never.

    With a minimum stay, a crossing counts at a sighting on the far side so long after the first
    one there; who comes back sooner counts neither way. A track that ends before that counts where
    it was about to leave the picture. Else one that begins in its place goes on with it; without
    one, nothing counts.

    A track that ended is gone on with by one that began within a second, if their motions
    agree (`continuation`). The new one waits with what it did until the old one has ended, so
    that an object which comes back in its own place is never another's beginning.
    """

    def __init__(self, line: LineConfig, classes: Sequence[str]) -> None:
        """Count over `line`; `classes` are the model's."""
        self.line = line
        self._border = Border(line)
        self.know(classes)
        self._pace = FramePace()
        self._followed: dict[int, _Followed] = {}
        self._rested = 0.0

    def know(self, classes: Sequence[str]) -> None:
        """Take the names of the class ids, where there are more now."""
        self._class_ids = {
            index
            for index, name in enumerate(classes)
            if not self.line.classes or name in self.line.classes
        }

    def moved(self, line: LineConfig, classes: Sequence[str]) -> LineCounter:
        """Return the counter of a line that takes this one's place, with the same objects."""
        other = LineCounter(line, classes)
        other._pace = self._pace
        for track_id, followed in self._followed.items():
            passage = Passage(followed.track, line, other._border, other._pace)
            other._followed[track_id] = followed.moved_to(passage, self._rested)
        return other

    def begin_among(self, tracks: Iterable[Track]) -> None:
        """Begin while there are tracks: what they did so far tells on which side they are."""
        for track in tracks:
            passage = Passage(track, self.line, self._border, self._pace)
            passage.look_back(track.path, self._rested)
            self._followed[track.id] = _Followed(passage, track.hits)

    def update(self, tracks: Iterable[Track], time: float, rested: float = 0.0) -> list[Crossing]:
        """Take a camera's tracks after a frame at `time` (seconds); return who has crossed.

        A track that is no longer among them has ended. rested: seconds so far in which nothing
        moved, and which are in no time.
        """
        self._pace.frame(time)
        self._rested = rested
        current = {track.id: track for track in tracks}
        for track_id, track in current.items():
            followed = self._followed.get(track_id)
            if followed is None:
                followed = self._followed[track_id] = self._begun(track)
            followed.see(track, rested)
        for track_id in self._followed.keys() - current.keys():
            self._followed[track_id].passage.is_over = True
        wanted = self._rejoin()
        crossings: list[Crossing] = []
        for track_id, followed in [*self._followed.items()]:
            passage = followed.passage
            if passage.has_found:
                crossings += passage.counted()
            if passage.is_over and track_id not in wanted and _is_gone(followed, time):
                del self._followed[track_id]
                is_there = self._is_there(passage.track)
                crossings += passage.end(is_cut_off=False, is_there=is_there)
        return self._counting(crossings)

    def finish(self) -> list[Crossing]:
        """End every track, because the video ends; return who has crossed in its last frame."""
        cut_off = [f.track.id for f in self._followed.values() if not f.passage.is_over]
        for followed in self._followed.values():
            followed.passage.is_over = True
        self._rejoin()
        passages = [followed.passage for followed in self._followed.values()]
        crossings = [
            p.end(is_cut_off=p.track.id in cut_off, is_there=self._is_there(p.track))
            for p in passages
        ]
        self._followed.clear()
        return self._counting(crossing for some in crossings for crossing in some)

    def _counting(self, crossings: Iterable[Crossing]) -> list[Crossing]:
        return [crossing for crossing in crossings if crossing.class_id in self._class_ids]

    def _is_there(self, lost: Track) -> bool:
        """Whether one of its class shows that it has not left.

        Found soon after it was lost, where it was seen last; or where it was seen before, and
        standing there, as another that comes the same way does not.
        """
        last, before = lost.path[-1], lost.path[-2:-1]
        return any(
            _is_at(last, other.first)
            or any(_is_at(one, other.first) and _is_at(one, other.track.path[-1]) for one in before)
            for other in self._followed.values()
            if _may_be(lost, other.track) and other.first.time - last.time <= LONGEST_GAP
        )

    def _begun(self, track: Track) -> _Followed:
        alike = [
            (_farness(lost, track.path[0]), lost_id)
            for lost_id, lost in self._followed.items()
            if _may_be(lost.track, track)
        ]
        nearest = heapq.nsmallest(_MOST_ALIKE, alike)
        return _Followed(
            Passage(track, self.line, self._border, self._pace),
            may_be={lost_id: far for far, lost_id in nearest if far < math.inf},
        )

    def _rejoin(self) -> set[int]:
        """Let each track that waits go on, as another one or as itself, once that is known.

        Return the lost ones that others may still be.
        """
        waiting = [followed for followed in self._followed.values() if followed.may_be]
        while waiting:
            for found in waiting:
                self._leave_out_who_is_there(found)
            ready = [found for found in waiting if self._is_known(found)]
            for found in sorted(ready, key=lambda found: found.nearest):
                self._go_on(found)
            waiting = [found for found in waiting if found.waiting] if ready else []
        return {lost_id for found in self._followed.values() for lost_id in found.may_be}

    def _leave_out_who_is_there(self, found: _Followed) -> None:
        """Forget those that it can't be: who was seen again, or went on as another one."""
        found.may_be = {
            lost_id: far
            for lost_id, far in found.may_be.items()
            if lost_id in self._followed and _may_be(self._followed[lost_id].track, found.track)
        }

    def _is_known(self, found: _Followed) -> bool:
        """Whether its motion is known, and all that it may be have ended, as who they were."""
        lost = [self._followed[lost_id] for lost_id in found.may_be]
        if not all(one.passage.is_over and not one.waiting for one in lost):
            return False
        (first, _), (last, _) = found.waiting[0], found.waiting[-1]
        is_watched = last.time - first.time >= MOTION_SECONDS
        return not lost or is_watched or found.passage.is_over

    def _go_on(self, found: _Followed) -> None:
        self._leave_out_who_is_there(found)
        _, lost_id = found.nearest
        lost = self._followed.get(lost_id)
        sightings = [sighting for sighting, _ in found.waiting]
        if lost and lost.track.is_trusted and _goes_on(lost, sightings):
            found.passage.take_over(lost.passage)
            del self._followed[lost_id]
        found.may_be.clear()
        found.pass_on()


def _is_gone(lost: _Followed, time: float) -> bool:
    """Whether nobody will go on with a track that has ended."""
    passage = lost.passage
    if lost.waiting:
        return False
    if not passage.side or not lost.track.is_trusted or passage.is_leaving:
        return True
    remembered = _REMEMBERED_THERE if passage.is_staying else _REMEMBERED
    return time - lost.track.last_seen > remembered


def _farness(lost: _Followed, found: Sighting) -> float:
    """How far from where it was expected an object would have been found, in its sizes."""
    far = farness(lost.track.path, found)
    if lost.passage.is_staying:
        far = min(far, displacement(lost.track.path[-1], found))
    return far


def _is_at(place: Sighting, found: Sighting) -> bool:
    return displacement(place, found) < math.inf


def _goes_on(lost: _Followed, found: Sequence[Sighting]) -> bool:
    """Whether it is the one that was lost: by its motion, or as it stays where that one stayed."""
    if lost.passage.is_staying and _is_at(lost.track.path[-1], found[0]):
        return True
    return goes_on(lost.track.path, found)


def _may_be(lost: Track, found: Track) -> bool:
    """Whether a track was lost before the other was found, and is of its class."""
    return lost.class_id == found.class_id and lost.last_seen < found.first_seen
