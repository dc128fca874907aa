"""`Ink`: strokes and texts that can be read on any picture, dark or bright, small or large."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from edgetally.capture import Image
    from edgetally.counting.geometry import Vector

Colour = tuple[int, int, int]
"""BGR."""

WHITE: Colour = (255, 255, 255)
_BLACK: Colour = (0, 0, 0)
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_USUAL = 480  # pixels of the shorter side at which a stroke is one or two pixels wide
_TEXT = 0.45
_WIDEST = 0.6  # of the picture that a text may take
_SUBPIXEL_BITS = 4


class Ink:
    """Draws on a picture, uint8 [H, W, 3], in place; points are (x, y) in 0-1 of it.

    Every stroke has a dark rim and every text a dark plate, so that both stand out anywhere.
    """

    def __init__(self, picture: Image) -> None:
        self.picture = picture
        self.height, self.width = picture.shape[:2]
        self.unit = max(1.0, min(self.height, self.width) / _USUAL)
        self._taken: list[tuple[int, int, int, int]] = []

    def pixels(self, point: Vector) -> tuple[float, float]:
        """Return where a point is, in pixels."""
        return point[0] * self.width, point[1] * self.height

    def stroke(
        self, points: Sequence[Vector], colour: Colour, width: float = 2.0, *, closed: bool = False
    ) -> None:
        """Draw along the points."""
        fixed = [self._fixed(points)]
        thin = max(1, round(width * self.unit))
        rim = thin + 2 * max(1, round(self.unit))
        for shade, thickness in ((_BLACK, rim), (colour, thin)):
            cv2.polylines(
                self.picture, fixed, closed, shade, thickness, cv2.LINE_AA, _SUBPIXEL_BITS
            )

    def fill(self, polygon: Sequence[Vector], colour: Colour) -> None:
        """Fill a polygon."""
        cv2.fillPoly(self.picture, [self._fixed(polygon)], colour, cv2.LINE_AA, _SUBPIXEL_BITS)

    def wash(self, polygon: Sequence[Vector], colour: Colour, share: float) -> None:
        """Tint what lies in a polygon."""
        washed = Ink(self.picture.copy())
        washed.fill(polygon, colour)
        cv2.addWeighted(washed.picture, share, self.picture, 1 - share, 0, dst=self.picture)

    def hairlines(self, ways: Iterable[tuple[Vector, Vector]], share: float) -> None:
        """Draw thin lines that let the picture through: white, with a dark one beside."""
        drawn = self.picture.copy()
        thin = max(1, round(self.unit * 0.75))
        for start, end in ways:
            for shift, shade in ((thin, _BLACK), (0, WHITE)):
                x, y = (round(value) + shift for value in self.pixels(start))
                x_end, y_end = (round(value) + shift for value in self.pixels(end))
                cv2.line(drawn, (x, y), (x_end, y_end), shade, thin)
        cv2.addWeighted(drawn, share, self.picture, 1 - share, 0, dst=self.picture)

    def text(self, text: str, places: Sequence[Vector], colour: Colour) -> None:
        """Write a text around the first of the places where it covers no other, else the first."""
        scale, thickness = _TEXT * self.unit, max(1, round(self.unit))
        text = self._shortened(text, scale, thickness)
        (width, height), base = cv2.getTextSize(text, _FONT, scale, thickness)
        pad = max(2, round(2 * self.unit))
        size = (width + 2 * pad, height + base + 2 * pad)
        plates = [self._plate(place, size) for place in places]
        free = (p for p in plates if not any(_overlap(p, taken) for taken in self._taken))
        left, top, right, bottom = plate = next(free, plates[0])
        self._taken.append(plate)
        under = self.picture[top:bottom, left:right]
        np.copyto(under, (under * 0.25).astype(np.uint8))
        origin = (left + pad, bottom - pad - base)
        cv2.putText(self.picture, text, origin, _FONT, scale, colour, thickness, cv2.LINE_AA)

    def _plate(self, middle: Vector, size: tuple[int, int]) -> tuple[int, int, int, int]:
        x, y = self.pixels(middle)
        left = round(min(max(0.0, x - size[0] / 2), max(0, self.width - size[0])))
        top = round(min(max(0.0, y - size[1] / 2), max(0, self.height - size[1])))
        return left, top, left + size[0], top + size[1]

    def _shortened(self, text: str, scale: float, thickness: int) -> str:
        shown = text
        while len(shown) > 1:
            (width, _), _ = cv2.getTextSize(shown, _FONT, scale, thickness)
            if width <= _WIDEST * self.width:
                return shown
            text = text[:-1]
            shown = f"{text}..."
        return shown

    def _fixed(self, points: Sequence[Vector]) -> NDArray[np.int32]:
        # OpenCV's pixel (0, 0) is centred on (0, 0), so the picture's corner is at -0.5.
        placed = np.asarray(points, np.float64) * (self.width, self.height) - 0.5
        fixed: NDArray[np.int32] = np.rint(placed * (1 << _SUBPIXEL_BITS)).astype(np.int32)
        return fixed


def in_ascii(text: str) -> str | None:
    """Return a text in the letters that OpenCV can draw; None where that is not possible."""
    bare = unicodedata.normalize("NFKD", text.replace("ß", "ss"))
    bare = "".join(char for char in bare if not unicodedata.combining(char))
    return bare if bare.isascii() and bare.isprintable() else None


def _overlap(one: tuple[int, int, int, int], other: tuple[int, int, int, int]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
