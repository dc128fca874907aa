"""From predictions of every anchor to detections, as MXNet's MultiBoxDetection makes them.

Follows `MultiBoxDetectionForward` of MXNet 1.9.1 (src/operator/contrib/multibox_detection.cc)
row for row and in float32, so that the thresholds cut where the operator's cut.
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
    """Take each anchor's best class, drop low scores, suppress what overlaps a better row.

    boxes: float32 [A, 4], corner form. scores: float32 [A, C], 0-1, without background.
    thresholds: float32 [C], the lowest score kept of each class, on top of the operator's own.
    Returns rows by falling score (in anchor order where the settings switch suppression off).
    """
    floor = np.float32(nms.score_floor.value)
    if thresholds is not None:
        # A row under every threshold is sorted, cut and suppressed after all that may stay.
        floor = max(floor, thresholds.min())
    num_classes = scores.shape[1]
    rows = np.unique(np.flatnonzero(scores >= floor) // num_classes)
    class_ids = scores[rows].argmax(axis=1)
    found = Detections(boxes[rows], scores[rows, class_ids], class_ids)

    nms_threshold = np.float32(nms.threshold.value)
    if 0 < nms_threshold <= 1:
        order = np.argsort(-found.scores, kind="stable")
        found = found.select(order[: nms.topk.value] if nms.topk.value > 0 else order)
        found = found.select(_unsuppressed(found, nms_threshold, across=nms.force_suppress.value))
    if thresholds is not None:
        found = found.select(found.scores >= thresholds[found.class_ids])
    return found


def _unsuppressed(found: Detections, threshold: np.float32, *, across: bool) -> NDArray[np.bool_]:
    """Mask the rows that no better surviving row of their class (or any, across) overlaps."""
    alive = np.ones(len(found), np.bool_)
    for start in range(0, len(found), _BLOCK):
        stop = start + _BLOCK
        rows = start + np.flatnonzero(alive[start:stop])
        overlaps = _overlap(found.boxes[rows], found.boxes[start:]) >= threshold
        if not across:
            overlaps &= found.class_ids[rows, None] == found.class_ids[start:]
        for row, overlapped in zip(rows, overlaps, strict=True):
            if alive[row]:
                alive[row + 1 :] &= ~overlapped[row + 1 - start :]
    return alive


def _overlap(first: NDArray[np.float32], second: NDArray[np.float32]) -> NDArray[np.float32]:
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
