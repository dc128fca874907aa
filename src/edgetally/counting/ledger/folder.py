"""`Folder`: where the ledger's file lies, for one service at a time."""

from __future__ import annotations

import errno
import fcntl
import os
from contextlib import suppress
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from edgetally.counting.ledger.schema import FILE_NAME
from edgetally.errors import InputError
from edgetally.ordinary_file import read_ordinary

if TYPE_CHECKING:
    from pathlib import Path

_LOCK_NAME = "ledger.lock"
BUILDING_NAME = f"{FILE_NAME}.building"
_READY_NAME = f"{FILE_NAME}.new"
_NOTE_NAME = f"{FILE_NAME}.note"
_LONGEST_NOTE = 10_000
# What waiting or making room can't mend: the path itself is wrong.
_WRONG_PATH = {errno.ENOTDIR, errno.EEXIST, errno.ENAMETOOLONG, errno.ELOOP, errno.EISDIR}


class FolderInUseError(InputError):
    """Another service has the folder."""


class Folder:
    """A folder that one service owns from `take` until `leave`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file = path / FILE_NAME
        self._lock: int | None = None
        self._mark: int | None = None

    def take(self) -> None:
        """Make the folder where it is missing, and keep other services out.

        OSError where the disk does not let it, for now; InputError where the path can't be a
        folder or another service has it. Harmless when repeated.
        """
        if self._lock is not None and self._is_in_place(self._lock):
            return
        self.leave()
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock = self._open_lock()
        except (OSError, ValueError) as error:  # ValueError: a NUL in the path
            if isinstance(error, OSError) and error.errno not in _WRONG_PATH:
                raise
            reason = getattr(error, "strerror", None) or error
            raise InputError(
                f"storage folder {self.path}: {reason}; give a writable folder"
            ) from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(lock)
            if error.errno not in {errno.EWOULDBLOCK, errno.EACCES}:
                raise
            raise FolderInUseError(
                f"storage folder {self.path} is in use by another edgetally; stop that one, or "
                "give another folder"
            ) from None
        self._lock = lock

    def leave(self) -> None:
        """Let another service have it."""
        self.unmark()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def mark(self) -> None:
        """Let others know that what is counted does not reach the file, see `is_left`.

        By a lock on the folder itself: for that, nothing need be written, and it ends with the
        process. Where there is no folder that could be locked, nobody knows.
        """
        self.unmark()
        with suppress(OSError, ValueError):
            self._mark = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
            fcntl.flock(self._mark, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def unmark(self) -> None:
        """What is counted reaches the file again."""
        if self._mark is not None:
            os.close(self._mark)
            self._mark = None

    def is_left(self) -> bool:
        """Whether a service counts elsewhere than in the file, for now."""
        try:
            asked = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except (OSError, ValueError):
            return False
        try:
            fcntl.flock(asked, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError as error:
            return error.errno == errno.EWOULDBLOCK
        finally:
            os.close(asked)
        return False

    def note(self, reason: str) -> None:
        """Keep what somebody has to be told, until `forget`; as far as the disk lets it."""
        with suppress(OSError):
            (self.path / _NOTE_NAME).write_text(reason, encoding="utf-8")

    def noted(self) -> str | None:
        """Return what was not told yet."""
        with suppress(OSError, ValueError):
            return read_ordinary(self.path / _NOTE_NAME, _LONGEST_NOTE).decode() or None
        return None

    def forget(self) -> None:
        """It was told."""
        with suppress(OSError):
            (self.path / _NOTE_NAME).unlink(missing_ok=True)

    def begin_building(self) -> Path:
        """Return where another file may be built; what was left of an earlier one is gone."""
        for suffix in ("-journal", "-shm", "-wal", ""):
            (self.path / f"{BUILDING_NAME}{suffix}").unlink(missing_ok=True)
        return self.path / BUILDING_NAME

    def replace(self, now: float, why: str) -> Path | None:
        """Put what was built in the ledger's place; return what that is called now, if it was.

        A kill at any instant costs nothing: `finish` does what is left of it. now: seconds since
        the Unix epoch, for the name; why: the same. OSError where the disk does not let it.
        """
        (self.path / BUILDING_NAME).rename(self.path / _READY_NAME)
        return self.finish(now, why)

    def finish(self, now: float, why: str) -> Path | None:
        """Go on with a `replace` that was cut short, if one was."""
        ready = self.path / _READY_NAME
        if not ready.exists():
            return None
        aside = self._set_aside(now, why)
        ready.rename(self.file)
        folder = os.open(self.path, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        return aside

    def _set_aside(self, now: float, why: str) -> Path | None:
        when = datetime.fromtimestamp(now, timezone.utc).strftime("%Y-%m-%dT%H%M%SZ")
        aside = self.path / f"{FILE_NAME}.{why}-{when}"
        number = 1
        while aside.exists():
            number += 1
            aside = self.path / f"{FILE_NAME}.{why}-{when}-{number}"
        if not self.file.exists():
            for suffix in ("-shm", "-wal"):  # of one that was moved or deleted
                (self.path / f"{FILE_NAME}{suffix}").unlink(missing_ok=True)
            return None
        # The file last: should this be cut short, no log is left beside a file it is not of.
        for suffix in ("-shm", "-wal", ""):
            part = self.path / f"{FILE_NAME}{suffix}"
            if part.exists():
                part.rename(aside.with_name(aside.name + suffix))
        return aside

    def _is_in_place(self, lock: int) -> bool:
        try:
            return (self.path / _LOCK_NAME).stat().st_ino == os.fstat(lock).st_ino
        except FileNotFoundError:
            return False

    def _open_lock(self) -> int:
        path = self.path / _LOCK_NAME
        try:
            return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError:
            if path.exists():  # on a disk that can't be written
                return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            raise
