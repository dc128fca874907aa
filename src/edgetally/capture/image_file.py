"""Read one picture from a file."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from edgetally.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from edgetally.capture.frame import Image

# OpenCV's own complaints of what it can't read; ours are enough.
if not os.environ.get("OPENCV_LOG_LEVEL"):
    # 4.11 has the switch at the top, later versions in utils.logging
    _switch: Any = cv2 if hasattr(cv2, "setLogLevel") else vars(cv2.utils)["logging"]
    _switch.setLogLevel(0)


def read_image(path: Path) -> Image:
    """Return the picture in a file, uint8 BGR [H, W, 3]. InputError where there is none."""
    try:
        content = path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"image {path}: {reason}; give a readable image file") from None
    image = _decode(content)
    if image is None:
        raise InputError(f"image {path}: not a picture that OpenCV reads; give a JPEG or PNG file")
    return image


def _decode(content: bytes) -> Image | None:
    if not content or _is_cut_jpeg(content):
        return None
    try:
        image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:  # more pixels than OpenCV allows
        return None
    return None if image is None else np.asarray(image, np.uint8)


def _is_cut_jpeg(content: bytes) -> bool:
    # libjpeg fills what is missing of a cut JPEG with grey. A whole one has an end (FFD9) after
    # the start of its last scan (FFDA); the end alone may be that of a thumbnail in its head.
    start, end = b"\xff\xda", b"\xff\xd9"
    return content.startswith(b"\xff\xd8") and end not in content[max(0, content.rfind(start)) :]
