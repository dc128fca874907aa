"""From predictions of every anchor to detections, as MXNet's own operators make them.

Follows `MultiBoxDetectionForward` (src/operator/contrib/multibox_detection.cc) and `BoxNMSForward`
(src/operator/contrib/bounding_box-inl.h) of MXNet 1.9.1 row for row and in float32, so that the
thresholds cut where the operators' cut.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgetally.detections import Detections

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgetally.bundle import NmsSettings

_BLOCK = 64  # rows compared with all that follow at once: what one cache holds


def postprocess(
    boxes: NDArray[np.float32],
    scores: NDArray[np.float32],
    nms: NmsSettings,
    thresholds: NDArray[np.float32] | None = None,
) -> Detections:
    """Choose candidates, drop low scores, suppress what overlaps a better row.

    boxes: float32 [A, 4], corner form. scores: float32 [A, C], 0-1, without background.
    thresholds: float32 [C], the lowest score kept of each class, on top of the operator's own.
    Returns rows by falling score (in anchor order where the settings switch suppression off).
    """
    # A row under every threshold is sorted, cut and suppressed after all that may stay.
    lowest = np.float32(0) if thresholds is None else thresholds.min()
    if nms.algorithm == "box_nms":
        found = suppress(every_class(boxes, scores, nms, lowest), nms)
        if nms.max_detections.value >= 0:
            found = found.select(np.arange(len(found))[: nms.max_detections.value])
    else:
        found = best_class(boxes, scores, nms, lowest)
        if 0 < np.float32(nms.threshold.value) <= 1:
            found = suppress(found, nms)
    if thresholds is not None:
        found = found.select(found.scores >= thresholds[found.class_ids])
    return found


def best_class(
    boxes: NDArray[np.float32],
    scores: NDArray[np.float32],
    nms: NmsSettings,
    lowest: np.float32,
) -> Detections:
    """Take each anchor's best class, from the score floor on: MultiBoxDetection's candidates."""
    floor = max(np.float32(nms.score_floor.value), lowest)
    rows = np.unique(np.flatnonzero(scores >= floor) // scores.shape[1])
    class_ids = scores[rows].argmax(axis=1)
    return Detections(boxes[rows], scores[rows, class_ids], class_ids)


def every_class(
    boxes: NDArray[np.float32],
    scores: NDArray[np.float32],
    nms: NmsSettings,
    lowest: np.float32,
) -> Detections:
    """Take each class of each anchor, above the score floor: the candidates of GluonCV's SSD."""
    by_class = scores.T
    class_ids, rows = np.nonzero(
        (by_class > np.float32(nms.score_floor.value)) & (by_class >= lowest)
    )
    return Detections(boxes[rows], by_class[class_ids, rows], class_ids)


def suppress(found: Detections, nms: NmsSettings) -> Detections:
    """Sort by score, keep the first topk, drop what a better row suppresses."""
    order = np.argsort(-found.scores, kind="stable")
    found = found.select(order[: nms.topk.value] if nms.topk.value > 0 else order)
    alive = np.ones(len(found), np.bool_)
    for start in range(0, len(found), _BLOCK):
        stop = start + _BLOCK
        rows = start + np.flatnonzero(alive[start:stop])
        overlaps = overlapping(found.boxes[rows], found.boxes[start:], nms)
        if not nms.force_suppress.value:
            overlaps &= found.class_ids[rows, None] == found.class_ids[start:]
        for row, overlapped in zip(rows, overlaps, strict=True):
            if alive[row]:
                alive[row + 1 :] &= ~overlapped[row + 1 - start :]
    return found.select(alive)


def overlapping(
    first: NDArray[np.float32], second: NDArray[np.float32], nms: NmsSettings
) -> NDArray[np.bool_]:
    """Tell which boxes [N, 4] and [M, 4] overlap so much that one suppresses the other: [N, M]."""
    threshold = np.float32(nms.threshold.value)
    overlap = intersection_over_union(first, second)
    return overlap > threshold if nms.algorithm == "box_nms" else overlap >= threshold


def intersection_over_union(
    first: NDArray[np.float32], second: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Intersection over union [N, M] of boxes [N, 4] and [M, 4]; 0 where the union is none."""
    left, top, right, bottom = (first[:, column, None] for column in range(4))
    other_left, other_top, other_right, other_bottom = second.T
    zero = np.float32(0)
    with np.errstate(all="ignore"):
        width = np.minimum(right, other_right) - np.maximum(left, other_left)
        height = np.minimum(bottom, other_bottom) - np.maximum(top, other_top)
        intersection = np.maximum(width, zero) * np.maximum(height, zero)
        area = (right - left) * (bottom - top)
        other_area = (other_right - other_left) * (other_bottom - other_top)
        union = area + other_area - intersection
        return np.where(union <= 0, zero, intersection / union)
