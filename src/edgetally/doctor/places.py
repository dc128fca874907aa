"""Places on disks: can something be written there, and what helps where it can't."""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_FULL = {errno.ENOSPC, errno.EDQUOT}
_FORBIDDEN = {errno.EACCES, errno.EPERM}


def nearest(path: Path) -> Path:
    """Return a file or folder, or of those above it the first that is there."""
    place = path.absolute()
    while not os.path.exists(place) and place != place.parent:  # noqa: PTH110 - may be forbidden
        place = place.parent
    return place


def why_not_made(folder: Path) -> OSError | None:
    """Say why nothing can be written in a folder that is there; None where it can."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"edgetally")
    except OSError as error:
        return error
    return None


def why_not_appended(file: Path) -> OSError | None:
    """Say why lines can't be appended to a file, that is made with its folders where missing."""
    place = nearest(file)
    if place != file:
        return why_not_made(place)
    try:
        # Appending looks at the last line of what is there.
        access = os.O_RDWR if stat.S_ISREG(file.stat().st_mode) else os.O_WRONLY
        os.close(os.open(file, access | os.O_APPEND | os.O_NONBLOCK | os.O_CLOEXEC))
    except OSError as error:
        return error
    return None


def remedy(error: OSError, place: Path) -> str:
    """Say what to do about an error of writing to a place that is there."""
    if error.errno in _FULL:
        return f"make room on the disk of {place}"
    if error.errno in _FORBIDDEN:
        return f"let this user write to {place}, or give another path"
    if error.errno == errno.EROFS:
        return f"mount the disk of {place} to be written, or give another path"
    if error.errno == errno.ENOTDIR:
        return f"{place} is no folder; give another path"
    if error.errno == errno.EISDIR:
        return "give the path of a file"
    return "give another path"
