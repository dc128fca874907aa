"""`Pattern`: the source `test:`, a square that wanders over a picture, without any camera."""

from __future__ import annotations

import re
import threading
import time
from typing import TYPE_CHECKING

import cv2
import numpy as np

from edgetally.capture.source import Source
from edgetally.errors import InputError

if TYPE_CHECKING:
    from edgetally.capture.frame import Image

SCHEME = "test:"
_FPS = 10.0
_SIZE = (640, 480)
_SMALLEST, _LARGEST = 16, 8192
_STEP = 1 / 64  # of the way, each image


class Pattern(Source):
    """Images at a steady pace; each depends on its number and the size alone.

    Who is slow misses images, as with a camera.
    """

    def __init__(self, width: int, height: int, fps: float) -> None:
        super().__init__(is_live=True, fps=fps)
        down, across = np.mgrid[0:height, 0:width]
        shades = (across * 255 // width, down * 255 // height, (across + down) % 256)
        self._background: Image = np.stack(shades, axis=-1).astype(np.uint8)
        self._interval = 1 / fps
        self._started: float | None = None
        self._woken = threading.Event()

    def grab(self) -> bool:
        """Wait for the next image's time; False once woken."""
        now = time.monotonic()
        if self._started is None:
            self._started = now
        due = max(self.index + 1, int((now - self._started) / self._interval))
        self.missed += due - self.index - 1
        self.index = due
        return not self._woken.wait(max(0.0, self._started + self.index * self._interval - now))

    def retrieve(self) -> Image | None:
        """Draw the image."""
        image = self._background.copy()
        height, width = image.shape[:2]
        side = min(width, height) // 4
        there_and_back = abs((self.index * _STEP) % 2 - 1)
        left = round((width - side) * (1 - there_and_back))
        top = round((height - side) * abs((self.index * _STEP * 0.7) % 2 - 1))
        image[top : top + side, left : left + side] = (255, 255, 255)
        cv2.putText(
            image,
            str(self.index),
            (left, top + side // 2),
            cv2.FONT_HERSHEY_PLAIN,
            side / 40,
            (0, 0, 0),
        )
        return image

    def wake(self) -> None:
        """End the waiting."""
        self._woken.set()


def open_pattern(source: str, fps: float | None) -> Pattern:
    """Open `test:` or `test:WIDTHxHEIGHT`. InputError where it is neither."""
    size = source[len(SCHEME) :].strip()
    width, height = _SIZE
    if size:
        found = re.fullmatch(r"([0-9]{1,5})x([0-9]{1,5})", size)
        width, height = (int(found[1]), int(found[2])) if found else (0, 0)
        if not (_SMALLEST <= width <= _LARGEST and _SMALLEST <= height <= _LARGEST):
            raise InputError(
                f"{SCHEME} is followed by nothing or a size such as 1280x720, "
                f"each {_SMALLEST} to {_LARGEST}"
            )
    return Pattern(width, height, fps or _FPS)
