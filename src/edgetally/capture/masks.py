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
        corners = tuple((x, y) for x, y in polygon)
        fixed = _fixed(corners, width, height)
        cv2.fillPoly(image, [fixed], (0, 0, 0), shift=_SUBPIXEL_BITS)
        cv2.polylines(
            image, [fixed], isClosed=True, color=(0, 0, 0), thickness=2, shift=_SUBPIXEL_BITS
        )
        for hole in _holes(corners, width, height):
            cv2.fillPoly(image, [hole], (0, 0, 0))


def _fixed(corners: _Polygon, width: int, height: int) -> NDArray[np.int32]:
    # OpenCV's pixel (0, 0) is centred on (0, 0), so the picture's corner is at -0.5.
    pixels = np.asarray(corners, np.float64) * (width, height) - 0.5
    return np.asarray(np.rint(pixels * (1 << _SUBPIXEL_BITS)), np.int32)


@lru_cache(maxsize=64)
def _holes(corners: _Polygon, width: int, height: int) -> list[NDArray[np.int32]]:
    """Return the outlines of what fillPoly leaves free: the insides of loops that overlap."""
    drawn = np.zeros((height + 2 * _MARGIN, width + 2 * _MARGIN), np.uint8)
    outline = _fixed(corners, width, height)
    cv2.fillPoly(drawn, [outline], (1,), shift=_SUBPIXEL_BITS, offset=(_MARGIN, _MARGIN))
    found, tree = cv2.findContours(
        drawn, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE, offset=(-_MARGIN, -_MARGIN)
    )
    if tree is None:
        return []
    around = zip(found, tree[0], strict=True)
    return [np.asarray(outline, np.int32) for outline, (*_, parent) in around if parent >= 0]
