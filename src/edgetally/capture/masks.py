"""Privacy masks: areas of an image that nothing may see."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgetally.capture.frame import Image

_SUBPIXEL_BITS = 8


def black_out(image: Image, polygons: Sequence[Sequence[tuple[float, float]]]) -> None:
    """Blacken polygons, corners (x, y) in 0-1 of the image, in place.

    Every pixel whose centre lies in a polygon is black afterwards, and some a pixel or two
    outside: rather too much than an edge that fillPoly rounds away.
    """
    height, width = image.shape[:2]
    for polygon in polygons:
        # OpenCV's pixel (0, 0) is centred on (0, 0), so the picture's corner is at -0.5.
        corners = np.asarray(polygon, np.float64) * (width, height) - 0.5
        fixed = np.rint(corners * (1 << _SUBPIXEL_BITS)).astype(np.int32)
        cv2.fillPoly(image, [fixed], (0, 0, 0), shift=_SUBPIXEL_BITS)
        cv2.polylines(
            image, [fixed], isClosed=True, color=(0, 0, 0), thickness=2, shift=_SUBPIXEL_BITS
        )
