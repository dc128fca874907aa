"""`Tracker`: gives the detections of successive frames the identity of the objects they show.

After ByteTrack (Zhang et al. 2022, arXiv:2110.06864): confident detections are matched first,
weak ones may then continue a track but never begin one. Made for slow cameras, where a box can
move further than its own width between two frames.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

import numpy as np

from edgetally.counting.assignment import assign
from edgetally.counting.association import (
    Boxes,
    Expected,
    Pairs,
    leaving,
    overlapping,
    possible_pairs,
)
from edgetally.counting.following import Following, Sightings
from edgetally.counting.track import EndedTrack
from edgetally.counting.track_log import TrackLog

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgetally.counting.track import Track
    from edgetally.detections import Detections

    Floats = NDArray[np.float64]
    Rows = NDArray[np.intp]

_LONGEST_INTERVAL = 1.0  # seconds between frames; a longer gap is a silence
_HABIT = 0.2  # share of a new gap in what is the usual one
_ROUNDING = 1e-6  # seconds


@dataclass(frozen=True)
class TrackerSettings:
    """What a tracker tolerates.

    high_score: detections from here on begin tracks; low_score: weaker ones down to here only
        keep a track alive that expects them; below, they are ignored.
    min_hits: detections until a track is believed; more suppress false ones, but show later.
    max_gap: seconds for which a track may be missed before it ends.
    rest_gap: the same for a track that stood, whoever bends over it.
    doubt_gap: the same for a track not yet believed, or one left over the frame's edge.
    max_speed: fastest plausible object, in frame widths (or heights) a second.
    max_reach: furthest that an object may reappear from where it was expected, in 0-1.
    duplicate_overlap: of two detections that overlap more (IoU), the weaker is the same object.
    begin_overlap: a detection that overlaps a followed one more than this begins no track.
    """

    high_score: float = 0.5
    low_score: float = 0.2
    min_hits: int = 2
    max_gap: float = 2.0
    rest_gap: float = 3.0
    doubt_gap: float = 0.5
    max_speed: float = 2.0
    max_reach: float = 0.5
    duplicate_overlap: float = 0.6
    begin_overlap: float = 0.4


class Tracker:
    """Follows the objects of one camera.

    >>> tracker = Tracker()
    >>> tracker.update(detections, time=0.0).track_ids  # doctest: +SKIP
    array([-1])
    >>> tracker.update(detections, time=0.2).track_ids  # doctest: +SKIP
    array([1])
    """

    def __init__(self, settings: TrackerSettings | None = None, *, name: str = "") -> None:
        """Follow with these settings; `name` of the camera goes before each debug line."""
        self._settings = settings or TrackerSettings()
        self._following = Following()
        self._log = TrackLog(self._following, name)
        self._ids = count(1)
        self._time: float | None = None
        self._interval = 0.0
        self._tracks: tuple[Track, ...] = ()
        self._ended: tuple[EndedTrack, ...] = ()

    @property
    def tracks(self) -> tuple[Track, ...]:
        """The believed tracks after the latest update, seen or waiting, by id."""
        return self._tracks

    @property
    def ended(self) -> tuple[EndedTrack, ...]:
        """The believed tracks that ended in the latest update, and why."""
        return self._ended

    def update(
        self,
        detections: Detections,
        time: float,
        confident: NDArray[np.bool_] | None = None,
    ) -> Detections:
        """Take the detections of one frame; return them with track ids.

        time: seconds, never less than at the update before (else ValueError).
        confident: bool [N], the rows that may begin tracks; absent: those from high_score on.
        A row that no believed track owns has the track id -1.
        """
        gap = self._pass_time(time)
        if confident is None:
            confident = detections.scores >= self._settings.high_score
        if len(detections):
            self._following.make_room_for(int(detections.class_ids.max()) + 1)
        following, settings = self._following, self._settings
        boxes = Boxes.of(detections.boxes.astype(np.float64))
        found = Sightings(detections, boxes, confident, time)
        rows, others, overlap = overlapping(boxes.corners)
        usable = self._usable(found, rows, others, overlap > settings.duplicate_overlap)
        owners, turned = self._matched(found, usable, gap)
        was_seen, waited = following.is_seen.copy(), following.motions.waited.copy()
        owned = (owners >= 0).nonzero()[0]
        following.is_seen[:] = False
        if len(owned):
            following.see(owners[owned], found, owned, turned[owned], settings.max_speed)
        # A detection beside a followed object, overlapping it, may show that object again.
        is_free = usable & confident & (owners < 0)
        if len(rows):
            is_free[rows[(overlap > settings.begin_overlap) & (owners[others] >= 0)]] = False
        fresh = is_free.nonzero()[0]
        if len(fresh):
            fresh = fresh[np.argsort(-detections.scores[fresh], kind="stable")]
            owners[fresh] = following.begin(found, fresh, settings.max_speed)
        if self._log.is_heard:
            self._log.changed(was_seen, waited)
            self._log.began(owners[fresh])
        self._believe()
        track_ids = np.full(len(detections), -1, np.int64)
        owned = (owners >= 0).nonzero()[0]
        ids = following.ids[owners[owned]]
        track_ids[owned] = np.where(ids > 0, ids, -1)
        following.keep(~self._end())
        self._tracks = following.snapshots()
        self._get_used_to(gap)
        return detections.with_track_ids(track_ids)

    def _pass_time(self, time: float) -> float:
        gap = 0.0 if self._time is None else time - self._time
        if gap < 0:
            raise ValueError(f"time went back from {self._time} to {time}")
        self._time = time
        self._following.pass_time(gap)
        if not self._interval:
            self._interval = min(gap, _LONGEST_INTERVAL)
        return gap

    def _get_used_to(self, gap: float) -> None:
        """Learn how often this camera gives a frame."""
        if gap > 0:
            self._interval += _HABIT * (min(gap, _LONGEST_INTERVAL) - self._interval)

    def _matched(
        self, found: Sightings, usable: NDArray[np.bool_], gap: float
    ) -> tuple[Rows, Floats]:
        """The row that each detection continues, -1 for none: confident ones choose first.

        With it, how likely each tells that the object did otherwise than expected.
        """
        following = self._following
        owners, turned = np.full(len(usable), -1, np.intp), np.zeros(len(usable))
        if not len(following) or not usable.any():
            return owners, turned
        class_ids = found.detections.class_ids
        pairs = possible_pairs(
            Expected(
                following.motions,
                following.expected_corners(),
                following.sizes,
                following.likeness,
                following.hits == 1,
            ),
            found.boxes,
            found.detections,
            found.is_confident,
            max_reach=self._settings.max_reach,
            gap=gap,
            silence=self._patience(self._settings.rest_gap),
        )
        chosen = _assigned(pairs, (usable & found.is_confident)[pairs.columns])
        # Another class, and not even confident: another object.
        is_second = (usable & ~found.is_confident)[pairs.columns]
        is_second &= following.class_ids[pairs.rows] == class_ids[pairs.columns]
        if is_second.any():
            is_waiting = np.ones(len(following), np.bool_)
            is_waiting[pairs.rows[chosen]] = False
            is_second &= is_waiting[pairs.rows]
            chosen = np.concatenate([chosen, _assigned(pairs, is_second)])
        columns = pairs.columns[chosen]
        owners[columns] = pairs.rows[chosen]
        turned[columns] = pairs.turned[chosen]
        return owners, turned

    def _usable(
        self, found: Sightings, rows: Rows, others: Rows, is_same: NDArray[np.bool_]
    ) -> NDArray[np.bool_]:
        """Leave out rows too weak to use, and those that name a better row's object again."""
        scores = found.detections.scores
        is_usable: NDArray[np.bool_] = found.is_confident | (scores >= self._settings.low_score)
        if is_same.any():
            again: dict[int, list[int]] = {}
            for row, other in zip(rows[is_same].tolist(), others[is_same].tolist(), strict=True):
                again.setdefault(row, []).append(other)
            for row in sorted(again, key=lambda row: -scores[row]):
                if is_usable[row]:
                    is_usable[again[row]] = False
        return is_usable

    def _believe(self) -> None:
        following = self._following
        is_new = (following.ids == 0) & (following.hits >= self._settings.min_hits)
        rows = is_new.nonzero()[0]
        if len(rows):
            following.ids[rows] = [next(self._ids) for _ in rows]
            self._log.confirmed(rows)

    def _patience(self, seconds: float) -> float:
        """So long unseen, and so many seconds were missed: the first gap is between frames."""
        return seconds + self._interval - _ROUNDING

    def _end(self) -> NDArray[np.bool_]:
        """Tell whose time is up, [N], and why."""
        following, settings = self._following, self._settings
        self._ended = ()
        doubt = self._patience(min(settings.doubt_gap, settings.max_gap))
        waited = following.motions.waited
        is_over: NDArray[np.bool_] = (waited >= doubt) & (waited > 0)
        if not is_over.any():
            return is_over
        position = following.motions.position
        is_leaving = leaving(following.boxes, following.motions.velocity)
        is_outside = ((position < 0) | (position > 1)).any(axis=1)
        is_doubted = (following.ids == 0) | is_leaving | is_outside
        patience = np.where(following.motions.rests, settings.rest_gap, settings.max_gap)
        limit = np.where(is_doubted, doubt, patience + self._patience(0.0))
        is_over &= waited >= limit
        ended = []
        for row in np.flatnonzero(is_over).tolist():
            if not following.ids[row]:
                why = f"{following.hits[row]} of {settings.min_hits} detections"
            elif is_leaving[row]:
                why = "left over the frame's edge"
            elif is_outside[row]:
                why = "expected outside the frame"
            else:
                why = "not found again"
            why += f", unseen for {waited[row]:.1f} s"
            if following.ids[row]:
                track = EndedTrack(int(following.ids[row]), int(following.class_ids[row]), why)
                ended.append(track)
            self._log.ended(row, why)
        self._ended = tuple(ended)
        return is_over


def _assigned(pairs: Pairs, is_open: NDArray[np.bool_]) -> Rows:
    """Which of the pairs that are open are made."""
    some = is_open.nonzero()[0]
    return np.asarray(some[assign(pairs.rows[some], pairs.columns[some], pairs.costs[some])])
