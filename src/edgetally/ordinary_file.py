"""Reading files that someone else gave: never a pipe or a device, never more than is expected."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_STEP = 1 << 20


def read_ordinary(path: Path, limit: int) -> bytes:
    """Return the content of an ordinary file, links followed, of at most `limit` bytes.

    Raises OSError, always with a `strerror`, where it can't be read; is a folder, a pipe or a
    device, which might never end; is larger; or where `path` can be no file's name.
    """
    blocks = []
    length = 0
    with open_ordinary(path, limit) as stream:
        while block := stream.read(_STEP):
            blocks.append(block)
            length += len(block)
            _refuse_large(length, limit, path)  # it may grow, and files of /proc have the size 0
    return b"".join(blocks)


@contextmanager
def open_ordinary(path: Path, limit: int) -> Iterator[BinaryIO]:
    """Open an ordinary file of at most `limit` bytes, to read it in parts; errors as above."""
    # Before it is opened, too: to open a device may start something.
    _refuse(status_of(path), limit, path)
    with open(path, "rb", opener=_without_waiting) as stream:
        _refuse(os.fstat(stream.fileno()), limit, path)
        yield stream


def status_of(path: Path) -> os.stat_result:
    """Return what a path leads to. OSError where it is missing, hidden, or can be no path."""
    try:
        return path.stat()
    except ValueError:  # a NUL character, or a lone surrogate
        raise OSError(errno.EINVAL, "no possible path", str(path)) from None


def _without_waiting(path: str, flags: int) -> int:
    # A pipe that was put there in between would otherwise wait for someone to write.
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _refuse(status: os.stat_result, limit: int, path: Path) -> None:
    if not stat.S_ISREG(status.st_mode):
        what = "it is a folder" if stat.S_ISDIR(status.st_mode) else "it is no ordinary file"
        raise OSError(errno.EINVAL, what, str(path))
    _refuse_large(status.st_size, limit, path)


def _refuse_large(size: int, limit: int, path: Path) -> None:
    if size > limit:
        raise OSError(errno.EFBIG, f"it has more than {limit} bytes", str(path))
