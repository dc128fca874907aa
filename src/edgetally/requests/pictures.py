"""Pictures that a request names or brings: only from folders that are allowed, never too large."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import TYPE_CHECKING

from edgetally.capture.image_file import decode_image
from edgetally.capture.picture_size import picture_size
from edgetally.errors import InputError
from edgetally.ordinary_file import open_ordinary
from edgetally.requests.parsing import RefusedRequestError
from edgetally.shortened import shortened

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgetally.capture import Image

_LARGEST_FILE = 32 << 20
_KNOWN = (b"\xff\xd8", b"\x89PNG\r\n\x1a\n")
_MOST_PIXELS = 25_000_000  # 75 MB once decoded


def read_picture(given: str, folders: Sequence[Path]) -> bytes:
    """Return a file's content; a relative path is looked for in each folder in turn.

    It must lie under one of the folders once all links are followed: nothing is told of any other
    file, not even whether it is there. RefusedRequestError says what is wrong.
    """
    if not folders:
        raise RefusedRequestError(
            "forbidden", "no folder is open to requests; name some in requests.folders"
        )
    allowed = [real for folder in folders if (real := _real(folder)) is not None]
    inside = [path for folder in folders if _is_under(path := folder / given, allowed)]
    # Unlike pathlib's, it takes what can be no path.
    there = next((path for path in inside if os.path.exists(path)), None)  # noqa: PTH110
    if there is None and len(inside) < len(folders):  # of a link in one folder as in the only one
        raise RefusedRequestError(
            "forbidden", "filePath lies in no folder that is open to requests"
        )
    try:
        return _content(there or inside[0], allowed)
    except FileNotFoundError:
        raise RefusedRequestError(
            "notFound", f"there is no file {shortened(given)} in the folders open to requests"
        ) from None
    except OSError as error:
        raise RefusedRequestError(
            "unreadable", f"filePath {shortened(given)}: {error.strerror}"
        ) from None


def decode_picture(content: bytes) -> Image:
    """Return the picture in a JPEG or PNG, uint8 BGR [H, W, 3]. RefusedRequestError."""
    # Of other formats a decoder may find more pictures than the one whose size stands in front.
    is_known = content.startswith(_KNOWN)
    size = picture_size(io.BytesIO(content)) if is_known else None
    if size is None:
        raise RefusedRequestError("unreadable", "this is no picture; give a JPEG or PNG")
    width, height = size
    if not (width and height):
        raise RefusedRequestError("unreadable", "the picture has no pixels; give a JPEG or PNG")
    if width * height > _MOST_PIXELS:
        raise RefusedRequestError(
            "tooBig", f"the picture has {width} x {height} pixels; {_MOST_PIXELS} at most"
        )
    try:
        return decode_image(content, "the picture")
    except InputError as error:
        raise RefusedRequestError("unreadable", str(error)) from None


def _content(path: Path, allowed: Sequence[Path]) -> bytes:
    with open_ordinary(path, _LARGEST_FILE) as stream:
        # What was opened, whatever links were changed since the path was looked at.
        opened = Path(os.readlink(f"/proc/self/fd/{stream.fileno()}"))  # noqa: PTH115 - no path
        if not any(opened.is_relative_to(folder) for folder in allowed):
            raise RefusedRequestError(
                "forbidden", "filePath lies in no folder that is open to requests"
            )
        content = stream.read(_LARGEST_FILE + 1)
    if len(content) > _LARGEST_FILE:  # it grew meanwhile
        raise RefusedRequestError("tooBig", f"the file has more than {_LARGEST_FILE} bytes")
    return content


def _is_under(path: Path, allowed: Sequence[Path]) -> bool:
    real = _real(path)
    return real is not None and any(real.is_relative_to(folder) for folder in allowed)


def _real(path: Path) -> Path | None:
    try:
        return path.resolve()
    except (OSError, ValueError, RuntimeError):  # no possible path, or links in a ring
        return None
