"""Read one picture from a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from edgetally.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from edgetally.capture.frame import Image


def read_image(path: Path) -> Image:
    """Return the picture in a file. InputError where there is none."""
    try:
        content = np.frombuffer(path.read_bytes(), np.uint8)
    except OSError as error:
        raise InputError(
            f"image {path}: {error.strerror or error}; give a readable image file"
        ) from None
    image = cv2.imdecode(content, cv2.IMREAD_COLOR) if len(content) else None
    if image is None:
        raise InputError(f"image {path}: not a picture that OpenCV reads; give a JPEG or PNG file")
    return np.asarray(image, np.uint8)
