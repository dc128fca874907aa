"""Decode an SSD's location predictions into boxes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def decode_boxes(
    loc_pred: NDArray[np.float32],
    anchors: NDArray[np.float32],
    variances: tuple[float, float, float, float],
    *,
    clip: bool,
) -> NDArray[np.float32]:
    """Move and stretch each anchor as predicted; clip cuts boxes to 0-1.

    loc_pred: float32 [N, A * 4], rows (x, y, w, h). anchors: float32 [A, 4], corner form.
    Returns float32 [N, A, 4], corner form. Computed in float32, as `TransformLocations` of
    MXNet 1.9.1 does (src/operator/contrib/multibox_detection.cc).
    """
    left_top, right_bottom = anchors[:, :2], anchors[:, 2:]
    size = right_bottom - left_top
    centre = (left_top + right_bottom) / np.float32(2)
    scaled = loc_pred.reshape(len(loc_pred), -1, 4) * np.array(variances, np.float32)
    new_centre = scaled[..., :2] * size + centre
    with np.errstate(over="ignore"):  # an untrained network's box may be without end
        half = np.exp(scaled[..., 2:]) * size / np.float32(2)
    boxes: NDArray[np.float32] = np.concatenate([new_centre - half, new_centre + half], axis=-1)
    return boxes.clip(0, 1) if clip else boxes
