"""Folders and files that every user may read, whatever the umask: a nucleus is another user."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from edgetally.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_FOLDER = 0o755
_FILE = 0o644


def make_folder(path: Path) -> Path:
    """Make a folder, and those above it that are missing. InputError where it can't be made."""
    with writing(path):
        missing = [each for each in (path, *path.parents) if not each.exists()]
        path.mkdir(parents=True, exist_ok=True)
        for each in missing:
            each.chmod(_FOLDER)
    return path


def open_file(path: Path) -> Path:
    """Let every user read a file that was written."""
    path.chmod(_FILE)
    return path


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Raise InputError where the system lets nothing be written to a path."""
    try:
        yield
    except OSError as error:
        raise InputError(
            f"{path} can't be written: {error.strerror or error}; give a folder that is yours, "
            "with room on its disk"
        ) from None
