"""`Tracker`: gives the detections of successive frames the identity of the objects they show.

After ByteTrack (Zhang et al. 2022, arXiv:2110.06864): confident detections are matched first,
weak ones may then continue a track but never begin one. Made for slow cameras, where a box can
move further than its own width between two frames.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING

import numpy as np

from edgetally.counting.assignment import assign
from edgetally.counting.motion import Motion
from edgetally.counting.track import Box, Sighting, Track, centre_of, size_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from edgetally.detections import Detections

_PATH_LENGTH = 64
_NOISE = 0.05  # of a detected centre, relative to the box's size
_MIN_NOISE = 0.003
_CLASS_COST = 0.25
_GAP_COST = 0.1
_SIZE_COST = 0.2
_MAX_GROWTH = float(np.log(3.0))
_COST_LIMIT = 1.25
_OVERLAP_AFTER_SILENCE = 0.3
_WAVER = 0.6
_EDGE = 0.01


@dataclass(frozen=True)
class TrackerSettings:
    """What a tracker tolerates.

    high_score: detections from here on begin tracks; low_score: weaker ones down to here only
        keep a track alive that expects them; below, they are ignored.
    min_hits: detections until a track is believed; more suppress false ones, but show later.
    max_gap: seconds a track waits, unseen, before it ends.
    doubt_gap: the same for a track not yet believed, or one last seen at the frame's edge.
    max_speed: fastest plausible object, in frame widths (or heights) a second.
    max_reach: furthest that an object may reappear from where it was expected, in 0-1.
    duplicate_overlap: of two detections that overlap more (IoU), the weaker is the same object.
    begin_overlap: a detection that overlaps a followed one more than this begins no track.
    """

    high_score: float = 0.5
    low_score: float = 0.2
    min_hits: int = 2
    max_gap: float = 2.0
    doubt_gap: float = 0.5
    max_speed: float = 1.5
    max_reach: float = 0.35
    duplicate_overlap: float = 0.6
    begin_overlap: float = 0.4


@dataclass(eq=False, slots=True)
class _Follow:
    """A track in the making: what changes from frame to frame."""

    motion: Motion
    box: Box
    score: float
    first_seen: float
    last_seen: float
    path: deque[Sighting]
    votes: dict[int, float] = field(default_factory=dict)
    class_id: int = -1
    hits: int = 0
    confident_hits: int = 0
    id: int = 0

    def expected(self, motion: Motion) -> Box:
        """Place the box, as large as it was last seen, at the motion's position."""
        (x, y), (xmin, ymin, xmax, ymax) = motion.position, self.box
        half_width, half_height = (xmax - xmin) / 2, (ymax - ymin) / 2
        return x - half_width, y - half_height, x + half_width, y + half_height


class Tracker:
    """Follows the objects of one camera.

    >>> tracker = Tracker()
    >>> tracker.update(detections, time=0.0).track_ids  # doctest: +SKIP
    array([-1])
    >>> tracker.update(detections, time=0.2).track_ids  # doctest: +SKIP
    array([1])
    """

    def __init__(self, settings: TrackerSettings | None = None) -> None:
        self._settings = settings or TrackerSettings()
        self._follows: list[_Follow] = []
        self._ids = count(1)
        self._time: float | None = None
        self._tracks: tuple[Track, ...] = ()

    @property
    def tracks(self) -> tuple[Track, ...]:
        """The believed tracks after the latest update, seen or waiting, by id."""
        return self._tracks

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
        if self._time is not None and time < self._time:
            raise ValueError(f"time went back from {self._time} to {time}")
        gap = 0.0 if self._time is None else time - self._time
        self._time = time
        for follow in self._follows:
            follow.motion = follow.motion.after(gap)

        if confident is None:
            confident = detections.scores >= self._settings.high_score
        boxes = detections.boxes.astype(np.float64)
        overlap = _overlaps(boxes, boxes)
        usable = self._distinct(detections, confident, overlap)
        is_high = confident[usable]
        owners: dict[int, _Follow] = {}
        for rows, may_waver in ((usable[is_high], True), (usable[~is_high], False)):
            if not len(rows):
                continue
            taken = set(owners.values())
            waiting = [f for f in self._follows if f not in taken]
            owners.update(self._matched(waiting, rows, detections, time, may_waver=may_waver))
        places: list[Box] = [(box[0], box[1], box[2], box[3]) for box in boxes.tolist()]
        for row in usable[is_high].tolist():
            # A detection beside a followed object, overlapping it, may show that object again.
            if row not in owners and not np.any(
                overlap[row, list(owners)] > self._settings.begin_overlap
            ):
                owners[row] = self._begin(places[row], time)
        scores, class_ids = detections.scores.tolist(), detections.class_ids.tolist()
        is_confident = confident.tolist()
        track_ids = [-1] * len(places)
        for row, follow in owners.items():
            self._see(follow, places[row], scores[row], class_ids[row], time)
            follow.confident_hits += is_confident[row]
            track_ids[row] = follow.id or -1
        self._follows = [f for f in self._follows if not self._is_over(f, time)]
        seen = set(owners.values())
        tracks = (_snapshot(f, is_seen=f in seen) for f in self._follows if f.id)
        self._tracks = tuple(sorted(tracks, key=lambda track: track.id))
        return detections.with_track_ids(np.array(track_ids, np.int64))

    def _matched(
        self,
        follows: list[_Follow],
        rows: NDArray[np.intp],
        detections: Detections,
        time: float,
        *,
        may_waver: bool,
    ) -> Iterator[tuple[int, _Follow]]:
        if not follows:
            return
        costs = self._costs(follows, detections.select(rows), time, may_waver=may_waver)
        for index, column in assign(costs, _COST_LIMIT):
            yield int(rows[column]), follows[index]

    def _costs(
        self, follows: list[_Follow], detections: Detections, time: float, *, may_waver: bool
    ) -> NDArray[np.float64]:
        expected = np.array([f.expected(f.motion) for f in follows], np.float64)
        boxes = detections.boxes.astype(np.float64)
        overlap = _overlaps(expected, boxes)
        offsets = _centres(expected).T[:, :, None] - _centres(boxes).T[:, None]
        distance = np.hypot(offsets[0], offsets[1])
        own_size, size = _sizes(expected)[:, None], _sizes(boxes)[None]
        mean_size = (own_size + size) / 2
        growth = np.abs(np.log(size / own_size))
        waited = np.array([time - f.last_seen for f in follows])[:, None]
        is_other = np.array([f.class_id for f in follows])[:, None] != detections.class_ids[None]
        costs = (
            0.5 * (1 - overlap)
            + 0.5 * distance / (distance + mean_size)
            + _SIZE_COST * growth
            + _CLASS_COST * is_other
            + _GAP_COST * np.minimum(1, waited / self._settings.max_gap)
        )
        reach = np.array([f.motion.reach for f in follows])[:, None]
        reach = np.minimum(reach, self._settings.max_reach) + _NOISE * size
        is_possible = (distance <= reach) & (growth <= _MAX_GROWTH)
        # A detector wavers between classes in place; elsewhere, or where it is not even confident,
        # another class is another object.
        if may_waver:
            is_possible &= ~is_other | (distance <= _WAVER * (own_size + size) / 2)
        else:
            is_possible &= ~is_other
        # The camera itself was silent for long: only what still lies there is the same object.
        is_possible &= (waited <= self._settings.max_gap) | (overlap >= _OVERLAP_AFTER_SILENCE)
        return np.where(is_possible, costs, np.inf)

    def _distinct(
        self,
        detections: Detections,
        confident: NDArray[np.bool_],
        overlap: NDArray[np.float64],
    ) -> NDArray[np.intp]:
        """Leave out rows too weak to use, and those that name a better row's object again."""
        is_usable = confident | (detections.scores >= self._settings.low_score)
        order: NDArray[np.intp] = np.argsort(-detections.scores, kind="stable")
        order = order[is_usable[order]]
        is_same = overlap > self._settings.duplicate_overlap
        np.fill_diagonal(is_same, val=False)
        if not is_same.any():
            return order
        rows: list[int] = []
        for row in order.tolist():
            if not is_same[row, rows].any():
                rows.append(row)
        return np.array(rows, np.intp)

    def _begin(self, box: Box, time: float) -> _Follow:
        motion = Motion.start(centre_of(box), _noise(box), self._settings.max_speed)
        follow = _Follow(motion, box, 0.0, time, time, deque(maxlen=_PATH_LENGTH))
        self._follows.append(follow)
        return follow

    def _see(self, follow: _Follow, box: Box, score: float, class_id: int, time: float) -> None:
        follow.box = box
        follow.score = score
        votes = follow.votes
        votes[class_id] = votes.get(class_id, 0.0) + score
        follow.class_id = class_id if len(votes) == 1 else max(votes, key=votes.__getitem__)
        follow.last_seen = time
        follow.hits += 1
        follow.path.append(Sighting(time, box))
        if follow.hits > 1:
            follow.motion = follow.motion.seen_at(centre_of(box), _noise(box))
        if not follow.id and follow.hits >= self._settings.min_hits:
            follow.id = next(self._ids)

    def _is_over(self, follow: _Follow, time: float) -> bool:
        waited = time - follow.last_seen
        if waited <= min(self._settings.max_gap, self._settings.doubt_gap):
            return False
        is_leaving = min(follow.box) < _EDGE or max(follow.box) > 1 - _EDGE
        is_inside = all(0 <= value <= 1 for value in follow.motion.position)
        is_trusted = follow.id and is_inside and not is_leaving
        return waited > (self._settings.max_gap if is_trusted else self._settings.doubt_gap)


def _snapshot(follow: _Follow, *, is_seen: bool) -> Track:
    return Track(
        id=follow.id,
        class_id=follow.class_id,
        box=follow.box if is_seen else follow.expected(follow.motion),
        score=follow.score,
        velocity=follow.motion.velocity,
        first_seen=follow.first_seen,
        last_seen=follow.last_seen,
        hits=follow.hits,
        confident_hits=follow.confident_hits,
        is_seen_now=is_seen,
        path=tuple(follow.path),
    )


def _noise(box: Box) -> float:
    return _MIN_NOISE + _NOISE * size_of(box)


def _centres(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    return (boxes[:, :2] + boxes[:, 2:]) / 2


def _sizes(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 1e-4)  # a box without area has a size, too
    sizes: NDArray[np.float64] = np.sqrt(sides[:, 0] * sides[:, 1])
    return sizes


def _overlaps(boxes: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """Intersection over union of [N, 4] with [M, 4], as [N, M]."""
    ours, theirs = boxes.T[:, :, None], others.T[:, None]
    corner = np.maximum(ours[:2], theirs[:2])
    sides = np.maximum(np.minimum(ours[2:], theirs[2:]) - corner, 0)
    shared = sides[0] * sides[1]
    area = _sizes(boxes)[:, None] ** 2 + _sizes(others)[None] ** 2
    return np.asarray(shared / (area - shared))
