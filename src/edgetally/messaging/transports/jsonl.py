"""JSON Lines: each message appended to a file, as `{"topic": …, "message": {…}}`."""

from __future__ import annotations

import json
import os
import stat
from typing import TYPE_CHECKING

from edgetally.errors import EdgetallyError, InputError
from edgetally.messaging.transports.transport import done

if TYPE_CHECKING:
    from concurrent.futures import Future
    from io import FileIO
    from pathlib import Path


def line_of(topic: str, body: str) -> str:
    """Return the line of a message: an object with its topic and, as it was sent, itself."""
    return f'{{"topic":{json.dumps(topic, ensure_ascii=False)},"message":{body}}}\n'


class JsonlTransport:
    """Appends messages to a file, each with a single write.

    The file and its folder are made where missing. A last line that a crash cut short is ended
    first, so that it spoils no other. Where the file is moved or deleted, a new one is begun.
    InputError where the file can't be opened.
    """

    max_bytes: int | None = None
    window = 1

    def __init__(self, path: Path) -> None:
        self._path = path
        self.name = f"jsonl {path}"
        try:
            self._file, self._torn = _opened(path)
        except (OSError, ValueError) as error:  # ValueError: a NUL in the path
            reason = getattr(error, "strerror", None) or error
            raise InputError(
                f"messages file {path}: {reason}; give a file that can be written"
            ) from None

    def __str__(self) -> str:
        return self.name

    def send(self, topic: str, body: str) -> Future[None]:
        """Append one message. EdgetallyError where it could not be written in full."""
        line = line_of(topic, body).encode()
        try:
            if not self._is_in_place():
                # The old one stays open until there is another: a closed one is closed for good.
                file, self._torn = _opened(self._path)
                self._file.close()
                self._file = file
            if self._torn:
                line = b"\n" + line
            written = self._file.write(line)
        except OSError as error:
            raise EdgetallyError(
                f"messages file {self._path}: {error.strerror}; make room or give another file"
            ) from None
        except ValueError:
            raise EdgetallyError(f"messages file {self._path} is closed") from None
        if written != len(line):
            if written:
                self._torn = not line[:written].endswith(b"\n")
            raise EdgetallyError(f"messages file {self._path}: the disk is full; make room")
        self._torn = False
        return done()

    def _is_in_place(self) -> bool:
        ours = os.fstat(self._file.fileno())
        try:
            there = self._path.stat()
        except FileNotFoundError:
            return False
        return (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _opened(path: Path) -> tuple[FileIO, bool]:
    """Return the file, and whether it ends within a line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.open("ab", buffering=0), _ends_within_a_line(path)


def _ends_within_a_line(path: Path) -> bool:
    details = path.stat()
    if not stat.S_ISREG(details.st_mode) or details.st_size == 0:
        return False
    with path.open("rb") as stream:
        stream.seek(-1, os.SEEK_END)
        return stream.read(1) != b"\n"
