"""`Region`: the part of a frame that the detector sees."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgetally.capture import Image
    from edgetally.detections import Detections


@dataclass(frozen=True)
class Region:
    """A rectangle in 0-1 of the frame, cut out along whole pixels: rather one more than less."""

    xmin: float
    ymin: float
    xmax: float
    ymax: float

    def crop(self, image: Image) -> Image:
        """Return the part of an image [H, W, 3], without copying it; at least a pixel."""
        left, top, right, bottom = self._pixels(image)
        return image[top:bottom, left:right]

    def in_frame(self, found: Detections, image: Image) -> Detections:
        """Turn boxes in 0-1 of `crop(image)` into boxes in 0-1 of the image."""
        height, width = image.shape[:2]
        left, top, right, bottom = self._pixels(image)
        size = np.array([right - left, bottom - top] * 2, np.float32)
        whole = np.array([width, height] * 2, np.float32)
        corner = np.array([left, top] * 2, np.float32)
        boxes: NDArray[np.float32] = (found.boxes * size + corner) / whole
        return replace(found, boxes=boxes)

    def _pixels(self, image: Image) -> tuple[int, int, int, int]:
        height, width = image.shape[:2]
        left, top = int(self.xmin * width), int(self.ymin * height)
        return left, top, math.ceil(self.xmax * width), math.ceil(self.ymax * height)
