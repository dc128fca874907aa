"""Mean average precision: how well detections meet the boxes that are true."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edgetally.detector.postprocessing import intersection_over_union

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from edgetally.detections import Detections

_THRESHOLDS = tuple(np.arange(0.5, 1.0, 0.05).round(2).tolist())


@dataclass(frozen=True, eq=False)
class TrueBoxes:
    """Of one picture: boxes float [N, 4] in 0-1, class_ids int64 [N]."""

    boxes: NDArray[np.float64]
    class_ids: NDArray[np.int64]


@dataclass(frozen=True)
class MeanAveragePrecision:
    """mAP at an overlap of 0.5, and its mean over 0.5 to 0.95 in steps of 0.05."""

    at_50: float
    at_50_95: float


def mean_average_precision(
    found: Sequence[Detections], truths: Sequence[TrueBoxes], classes: int
) -> MeanAveragePrecision:
    """Measure pictures' detections, of any score, by VOC2010's rule: the area under all points.

    A detection is right where the box of its class that it overlaps most (IoU) is overlapped by
    the threshold at least and was not found by a better one (Everingham et al. 2010, "The PASCAL
    Visual Object Classes Challenge", 4.2). Classes that are nowhere are left out.
    """
    by_threshold = np.array(
        [
            [_average_precision(found, truths, class_id, limit) for class_id in range(classes)]
            for limit in _THRESHOLDS
        ]
    )
    means = np.nanmean(by_threshold, axis=1)
    return MeanAveragePrecision(at_50=float(means[0]), at_50_95=float(means.mean()))


def _average_precision(
    found: Sequence[Detections], truths: Sequence[TrueBoxes], class_id: int, limit: float
) -> float:
    scores: list[float] = []
    is_right: list[bool] = []
    total = 0
    for detections, truth in zip(found, truths, strict=True):
        boxes = truth.boxes[truth.class_ids == class_id].astype(np.float32)
        total += len(boxes)
        own = detections.select(detections.class_ids == class_id)
        own = own.select(np.argsort(-own.scores, kind="stable"))
        scores += own.scores.tolist()
        is_right += _matches(own, boxes, limit)
    if not total:
        return float("nan")
    order = np.argsort(-np.array(scores), kind="stable")
    right = np.cumsum(np.array(is_right, np.bool_)[order])
    recall = right / total
    precision = right / np.arange(1, len(right) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.sum(np.diff(recall, prepend=0.0) * envelope))


def _matches(own: Detections, boxes: NDArray[np.float32], limit: float) -> list[bool]:
    if not len(boxes):
        return [False] * len(own)
    overlaps = intersection_over_union(own.boxes, boxes)
    is_taken = np.zeros(len(boxes), np.bool_)
    matches = []
    for row in overlaps:
        best = int(row.argmax())
        is_match = bool(row[best] >= limit and not is_taken[best])
        is_taken[best] |= is_match
        matches.append(is_match)
    return matches
