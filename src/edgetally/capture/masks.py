"""Privacy masks: areas of an image that nothing may see."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias

import cv2
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from edgetally.capture.frame import Image

_SUBPIXEL_BITS = 8
_MARGIN = 2  # pixels around the picture: an outline along its edge is closed there

_Polygon: TypeAlias = tuple[tuple[float, float], ...]


def black_out(image: Image, polygons: Sequence[Sequence[tuple[float, float]]]) -> None:
    """Blacken polygons, corners (x, y) in 0-1 of the image, in place.

    Every pixel whose centre lies within a polygon's outline is black afterwards, however the
    outline crosses itself, and some a pixel or two outside: rather too much than an edge that
    fillPoly rounds away.
    """
    height, width = image.shape[:2]
    for polygon in polygons:
        for outline in _outlines(tuple((x, y) for x, y in polygon), width, height):
            cv2.fillPoly(image, [outline], (0, 0, 0))


def _fixed(corners: _Polygon, width: int, height: int) -> NDArray[np.int32]:
    # OpenCV's pixel (0, 0) is centred on (0, 0), so the picture's corner is at -0.5.
    pixels = np.asarray(corners, np.float64) * (width, height) - 0.5
    return np.asarray(np.rint(pixels * (1 << _SUBPIXEL_BITS)), np.int32)


@lru_cache(maxsize=64)
def _outlines(corners: _Polygon, width: int, height: int) -> list[NDArray[np.int32]]:
    """Return what a polygon goes around, without holes, as outlines in whole pixels.

    fillPoly alone leaves free the insides of loops that overlap.
    """
    drawn = np.zeros((height + 2 * _MARGIN, width + 2 * _MARGIN), np.uint8)
    fixed = _fixed(corners, width, height)
    cv2.fillPoly(drawn, [fixed], (1,), shift=_SUBPIXEL_BITS, offset=(_MARGIN, _MARGIN))
    moved = fixed + np.int32(_MARGIN << _SUBPIXEL_BITS)
    cv2.polylines(drawn, [moved], isClosed=True, color=(1,), thickness=2, shift=_SUBPIXEL_BITS)
    found, _ = cv2.findContours(
        drawn, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE, offset=(-_MARGIN, -_MARGIN)
    )
    return [np.asarray(outline, np.int32) for outline in found]
