"""What everything else gets to see of a camera's image: turned upright, then masked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from edgetally.capture.masks import black_out

if TYPE_CHECKING:
    from edgetally.capture.frame import Image
    from edgetally.config import CameraConfig

_TURNS = {90: cv2.ROTATE_90_CLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_COUNTERCLOCKWISE}


def viewed(image: Image, config: CameraConfig) -> Image:
    """Return an image, uint8 [H, W, 3], as configured; the masks lie in 0-1 of the turned one."""
    if config.rotate:
        image = np.asarray(cv2.rotate(image, _TURNS[config.rotate]), np.uint8)
    black_out(image, config.masks)
    return image
