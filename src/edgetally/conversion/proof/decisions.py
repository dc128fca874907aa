"""Comparing the rows of two runs, where rounding may decide a row.

Two runtimes add in different orders, so that their numbers stand a few rounding errors apart. A
row that only such an error lets in, throws out or moves is no disagreement; any other is one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edgetally.detections import Detections

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgetally.bundle import NmsSettings

TOLERANCE = 1e-3
_FAR = 1000.0  # frames away from the picture: rounding there is of no account


@dataclass(frozen=True)
class Margin:
    """How far a score (0-1) and a side of a box (0-1 of the frame) may move by rounding."""

    score: float
    box: float


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a run says of a frame.

    boxes: float32 [A, 4], corners in 0-1 of the frame. scores: float32 [A, C], without background.
    rows: what is left of them after suppression.
    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    rows: Detections


@dataclass(frozen=True)
class Comparison:
    """undecided counts rows that only rounding decides; fault is None where the runs agree."""

    undecided: int
    fault: str | None


@dataclass(frozen=True)
class _Candidates:
    rows: Detections
    sure: NDArray[np.bool_]

    def select(self, mask: NDArray[np.bool_] | NDArray[np.intp]) -> _Candidates:
        return _Candidates(self.rows.select(mask), self.sure[mask])


def box_differences(one: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float64]:
    """How far corners stand apart, in frames; where a box reaches out of it, in its own reach.

    Both [..., 4]; a decoder that does not clip can throw a box far out, where a float32 no longer
    resolves 1e-3. Not a number differs from everything but itself.
    """
    a, b = (np.clip(boxes.astype(np.float64), -_FAR, _FAR) for boxes in (one, other))
    reach = np.fmax(np.abs(a), np.abs(b)).max(axis=-1, keepdims=True, initial=1)
    apart = np.abs(a - b) / np.fmax(reach, 1)
    return np.where(np.isnan(a) & np.isnan(b), 0, np.where(np.isnan(apart), np.inf, apart))


def compare(
    reference: Prediction, found: Detections, nms: NmsSettings, margin: Margin
) -> Comparison:
    """Hold a run's rows against the reference's: what it must give, may give by rounding, or can't.

    The rows agree where each is the reference's: same count, order and classes, boxes and scores
    within 1e-3. Where they are not, each row that the reference gives beyond rounding must be
    there once, every other be one that rounding may give, and all stand in the reference's order.
    """
    if _same(reference.rows, found):
        return Comparison(0, None)
    possible = _possible(reference.boxes, reference.scores, nms, margin)
    sure, unsure = possible.select(possible.sure).rows, possible.select(~possible.sure).rows
    free = np.ones(len(found), np.bool_)
    partners = _paired(sure, found, free, margin)
    if np.any(partners < 0):
        return Comparison(0, f"lacks {_told(sure, int(partners.argmin()))}")
    scores = np.empty(len(found), np.float32)  # what the reference says of each found row
    scores[partners] = sure.scores
    rest = np.flatnonzero(free)
    others = _paired(found.select(rest), unsure, np.ones(len(unsure), np.bool_), margin)
    if np.any(others < 0):
        extra = rest[int(others.argmin())]
        return Comparison(0, f"has {_told(found, extra)}, which the reference has not")
    scores[rest] = unsure.scores[others]
    if _is_sorted(nms):
        highest = np.maximum.accumulate(scores[::-1])[::-1]
        moved = np.flatnonzero(highest - scores > 4 * margin.score)
        if len(moved):
            return Comparison(0, f"has {_told(found, int(moved[0]))} in another place")
    return Comparison(_excused(reference.rows, found, margin), None)


def _excused(wanted: Detections, found: Detections, margin: Margin) -> int:
    """Count rows that one run has and the other has not, or that stand in another order."""
    free = np.ones(len(wanted), np.bool_)
    pairs = _paired(found, wanted, free, margin)
    shared = pairs[pairs >= 0]
    swapped = np.count_nonzero(shared < np.maximum.accumulate(shared)) if len(shared) else 0
    return int(np.count_nonzero(pairs < 0) + np.count_nonzero(free) + swapped)


def _same(wanted: Detections, found: Detections) -> bool:
    return (
        len(wanted) == len(found)
        and np.array_equal(wanted.class_ids, found.class_ids)
        and bool(np.all(np.abs(wanted.scores - found.scores) <= TOLERANCE))
        and bool(np.all(box_differences(wanted.boxes, found.boxes) <= TOLERANCE))
    )


def _possible(
    boxes: NDArray[np.float32], scores: NDArray[np.float32], nms: NmsSettings, margin: Margin
) -> _Candidates:
    """Every row that the reference gives, sure or by rounding, by falling score."""
    found = _candidates(boxes, scores, nms, margin)
    if not _is_sorted(nms):
        return found
    found = found.select(np.argsort(-found.rows.scores, kind="stable"))
    found = _cut(found, nms.topk.value, margin)
    found = _suppressed(found, nms, margin)
    if nms.algorithm == "box_nms":
        found = _cut(found, nms.max_detections.value, margin)
    return found


def _is_sorted(nms: NmsSettings) -> bool:
    return nms.algorithm == "box_nms" or 0 < nms.threshold.value <= 1


def _candidates(
    boxes: NDArray[np.float32], scores: NDArray[np.float32], nms: NmsSettings, margin: Margin
) -> _Candidates:
    floor = nms.score_floor.value
    likely = scores >= floor - margin.score
    sure = scores > floor + margin.score
    if nms.algorithm == "MultiBoxDetection":
        best = scores.max(axis=1, keepdims=True)
        near = scores >= best - 2 * margin.score
        likely &= near
        sure &= near.sum(axis=1, keepdims=True) == 1
    anchors, class_ids = np.nonzero(likely)
    rows = Detections(boxes[anchors], scores[anchors, class_ids], class_ids)
    return _Candidates(rows, sure[anchors, class_ids])


def _cut(found: _Candidates, limit: int, margin: Margin) -> _Candidates:
    """Keep the best `limit`, and as unsure those that may be among them."""
    if limit <= 0 or len(found.rows) <= limit:
        return found
    scores = found.rows.scores
    sure_scores = scores[found.sure]
    # At least `limit` sure rows beat what lies below this; at most `limit` rows lie above that.
    low = sure_scores[limit - 1] if len(sure_scores) >= limit else np.float32(-1)
    high = scores[limit]
    kept = _Candidates(found.rows, found.sure & (scores > high + 2 * margin.score))
    return kept.select(scores >= low - 2 * margin.score)


def _suppressed(found: _Candidates, nms: NmsSettings, margin: Margin) -> _Candidates:
    """Drop what a sure row suppresses beyond rounding; unsure is what an unsure one may."""
    rows, count = found.rows, len(found.rows)
    sure, alive = found.sure.copy(), np.ones(count, np.bool_)
    sides = _Sides.of(rows.boxes, margin.box)
    threshold = nms.threshold.value
    for row in range(count):
        if not alive[row]:
            continue
        after = row + 1 + np.flatnonzero(alive[row + 1 :])
        if not nms.force_suppress.value:
            after = after[rows.class_ids[after] == rows.class_ids[row]]
        after = after[sides.overlaps(row, after, 1) >= threshold]
        behind = rows.scores[after] < rows.scores[row] - 2 * margin.score
        sure[row] &= bool(behind.all())  # by rounding the others may come first
        if sure[row]:
            alive[after[behind & (sides.overlaps(row, after, -1) > threshold)]] = False
        sure[after] = False
    return _Candidates(rows, sure).select(alive)


@dataclass(frozen=True)
class _Sides:
    """Boxes [N, 4], and how far each one's sides may move, [N]; nan for what lies too far out."""

    boxes: NDArray[np.float64]
    move: NDArray[np.float64]

    @classmethod
    def of(cls, boxes: NDArray[np.float32], margin: float) -> _Sides:
        exact = boxes.astype(np.float64)
        outside = np.maximum(1, np.abs(exact).max(axis=1, initial=0))
        usable = outside < _FAR  # also false where a side is not a number
        return cls(
            np.where(usable[:, None], exact, 0), np.where(usable, 2 * margin * outside, np.nan)
        )

    def overlaps(self, row: int, others: NDArray[np.intp], sign: int) -> NDArray[np.float64]:
        """The most (sign 1) or least (-1) intersection over union that rounding can make of it."""
        left, top, right, bottom = self.boxes[row]
        other_left, other_top, other_right, other_bottom = self.boxes[others].T
        move = sign * np.maximum(self.move[row], self.move[others])

        def area(width: NDArray[np.float64], height: NDArray[np.float64]) -> NDArray[np.float64]:
            return np.asarray(np.maximum(width, 0) * np.maximum(height, 0))

        common = area(
            np.minimum(right, other_right) - np.maximum(left, other_left) + move,
            np.minimum(bottom, other_bottom) - np.maximum(top, other_top) + move,
        )
        own = area(right - left - move, bottom - top - move)
        union = (
            own + area(other_right - other_left - move, other_bottom - other_top - move) - common
        )
        overlap: NDArray[np.float64] = np.ones_like(common)
        np.divide(common, union, out=overlap, where=union > 0)
        overlap[common <= 0] = 0
        overlap[np.isnan(move)] = np.inf if sign > 0 else 0
        return overlap


def _paired(
    rows: Detections,
    partners: Detections,
    free: NDArray[np.bool_],
    margin: Margin,
) -> NDArray[np.intp]:
    """Give each row a partner of those that are free, within the tolerance: its index, or -1.

    Among partners that rounding can't tell apart that is the first, so that none is taken which a
    later row needs; else the nearest. The partners taken are no longer free.
    """
    pairs = np.full(len(rows), -1, np.intp)
    for row in range(len(rows)):
        moved = box_differences(partners.boxes, rows.boxes[row]).max(axis=1, initial=0)
        apart = np.abs(partners.scores - rows.scores[row]).astype(np.float64)
        alike = (moved <= 2 * margin.box) & (apart <= 2 * margin.score)
        apart = np.where(alike, 0, np.maximum(apart, moved))
        apart[~free | (partners.class_ids != rows.class_ids[row])] = np.inf
        if len(apart) and apart.min() <= TOLERANCE:
            pairs[row] = apart.argmin()
            free[pairs[row]] = False
    return pairs


def _told(rows: Detections, row: int | np.intp) -> str:
    box = " ".join(f"{side:.4f}" for side in rows.boxes[row])
    return f"class {rows.class_ids[row]} of score {rows.scores[row]:.4f} at {box}"
