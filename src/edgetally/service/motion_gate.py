"""`MotionGate`: tells whether a frame is worth looking at, from a thumbnail of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgetally.config.camera import MotionGateConfig

_WIDTH, _HEIGHT = 96, 54
_SAMPLED_WIDTH = 480  # every nth pixel down to here: averaging all of a large frame costs more
_SETTLING = 1.0  # seconds after a change: longer than it takes to believe a track or its zone
_ADAPTING = 3.0  # seconds in which the memory comes to 63 % of a new still picture
_CONTRAST = 6.0  # grey levels: with the next, what a compressed still picture does not reach
_RELATIVE_CONTRAST = 0.04
_NOISE_FACTOR = 8.0
_SMALLEST = 3  # pixels of the thumbnail
_OVEREXPOSED = 240  # from here on a pixel does not follow the light
_NEW_LIGHT = 0.2  # of the brightness


class MotionGate:
    """Compares each frame with a memory of the still picture, about 96 x 54 pixels in colour.

    The memory follows slow changes, and a change of the whole picture's brightness is taken out
    before the comparison. Where anything differs, the frame becomes the memory, so that what came
    to rest is still from then on; what creeps adds up until it is seen.

    is_moving: whether something changed in the last frame, or a second before it.
    """

    def __init__(self, config: MotionGateConfig) -> None:
        self.is_moving = False
        self._max_idle = config.max_idle
        self._memory: NDArray[np.float32] | None = None
        self._time = 0.0
        self._until = 0.0
        self._looked = 0.0

    def moved(self, image: NDArray[np.uint8], media_time: float) -> bool:
        """Tell whether to look at the next frame, uint8 BGR [H, W, 3], of any size.

        True while something changes and a second longer; also at the first frame, and when none
        was worth a look for `max_idle` seconds. media_time: seconds, never going back.
        """
        seen = _thumbnail(image)
        elapsed, self._time = media_time - self._time, media_time
        if self._memory is None or _differs(seen, self._memory):
            self._memory = seen
            self._until = media_time + _SETTLING
        else:
            cv2.accumulateWeighted(seen, self._memory, 1 - np.exp(-elapsed / _ADAPTING))
            np.copyto(self._memory, seen, where=seen >= _OVEREXPOSED)
        self.is_moving = media_time < self._until
        if self.is_moving or media_time - self._looked >= self._max_idle:
            self._looked = media_time
            return True
        return False


def _differs(seen: NDArray[np.float32], memory: NDArray[np.float32]) -> bool:
    """Tell whether something else is seen; give the memory the brightness of what is."""
    # Medians: most of the picture is the room, whatever moves in it.
    brightness = float(np.median((seen[..., 1] + 1) / (memory[..., 1] + 1)))
    if abs(brightness - 1) > _NEW_LIGHT:
        return True
    memory *= np.float32(brightness)
    white = np.float32(_OVEREXPOSED)
    difference = cv2.absdiff(np.minimum(seen, white), np.minimum(memory, white))
    limit = max(_CONTRAST, _NOISE_FACTOR * float(np.median(difference)))
    is_other = (difference > limit + np.float32(_RELATIVE_CONTRAST) * memory).any(axis=2)
    return int(np.count_nonzero(is_other)) >= _SMALLEST


def _thumbnail(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Average the frame's colours, float32 [54, 96, 3], without its finest detail."""
    height, width = image.shape[:2]
    if width > _SAMPLED_WIDTH:
        size = (_SAMPLED_WIDTH, max(1, round(height * _SAMPLED_WIDTH / width)))
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_NEAREST), np.uint8)
    small = cv2.resize(image, (_WIDTH, _HEIGHT), interpolation=cv2.INTER_AREA)
    blurred = cv2.GaussianBlur(small.astype(np.float32), (3, 3), 0)
    return np.asarray(blurred, np.float32)
