"""Read one picture from a file."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from edgetally.capture.picture_size import picture_size
from edgetally.errors import InputError
from edgetally.ordinary_file import read_ordinary

if TYPE_CHECKING:
    from pathlib import Path

    from edgetally.capture.frame import Image

# OpenCV's own complaints of what it can't read; ours are enough.
if not os.environ.get("OPENCV_LOG_LEVEL"):
    # 4.11 has the switch at the top, later versions in utils.logging
    _switch: Any = cv2 if hasattr(cv2, "setLogLevel") else vars(cv2.utils)["logging"]
    _switch.setLogLevel(0)


LARGEST_FILE = 64 << 20
_MOST_PIXELS = 100_000_000  # decoded: 300 MB
_PNG = b"\x89PNG\r\n\x1a\n"
_ANIMATION = {b"acTL", b"fcTL", b"fdAT"}


def read_image(path: Path, called: str | None = None) -> Image:
    """Return the picture in a file, uint8 BGR [H, W, 3].

    called: its name in messages, by default the path. InputError where there is no ordinary file
    with a whole picture, of a size that memory suffices for.
    """
    shown = f"image {path if called is None else called}"
    try:
        content = read_ordinary(path, LARGEST_FILE)
    except OSError as error:
        raise InputError(f"{shown}: {error.strerror}; give a readable image file") from None
    return decode_image(content, shown)


def decode_image(content: bytes, shown: str) -> Image:
    """Return the picture that a file's content is, uint8 BGR [H, W, 3].

    shown: how the InputError begins where it is none that can be decoded, is cut off, or has too
    many pixels.
    """
    size = picture_size(io.BytesIO(content))
    if size is not None and size[0] * size[1] > _MOST_PIXELS:
        raise InputError(
            f"{shown} has {size[0]} x {size[1]} pixels, more than the {_MOST_PIXELS // 10**6} "
            "million that are decoded; give a smaller one"
        )
    image = None if size is None or _is_cut(content) else _decoded(content)
    if image is None:
        raise InputError(f"{shown}: not a picture that OpenCV reads; give a JPEG or PNG file")
    return image


def _decoded(content: bytes) -> Image | None:
    try:
        image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:
        return None
    return None if image is None else np.asarray(image, np.uint8)


def _is_cut(content: bytes) -> bool:
    if content.startswith(_PNG):  # libpng would say so on stderr
        return not _is_whole_png(content)
    return content.startswith(b"\xff\xd8") and _is_cut_jpeg(content)


def _is_whole_png(content: bytes) -> bool:
    # OpenCV 4.11 takes as much memory as a chunk claims to need, up to two gigabytes; in search of
    # an IDAT it reads on behind the end; and a frame larger than the picture ends the process.
    place = len(_PNG)
    has_pixels = False
    while len(content) >= place + 12:
        kind = content[place + 4 : place + 8]
        if (kind == b"IHDR") != (place == len(_PNG)) or kind in _ANIMATION:
            return False
        place += 12 + int.from_bytes(content[place : place + 4], "big")
        has_pixels = has_pixels or bool(kind == b"IDAT")
        if kind == b"IEND":
            return has_pixels and place <= len(content)
    return False


def _is_cut_jpeg(content: bytes) -> bool:
    # libjpeg fills what is missing of a cut JPEG with grey. A whole one has an end (FFD9) after
    # the start of its last scan (FFDA); the end alone may be that of a thumbnail in its head.
    start, end = b"\xff\xda", b"\xff\xd9"
    return end not in content[max(0, content.rfind(start)) :]
