"""JSON Lines: each message appended to a file, as `{"topic": …, "message": {…}}`."""

from __future__ import annotations

import json
import os
import stat
from typing import TYPE_CHECKING

from edgetally.errors import EdgetallyError, InputError

if TYPE_CHECKING:
    from pathlib import Path


def line_of(topic: str, body: str) -> str:
    """Return the line of a message: an object with its topic and, as it was sent, itself."""
    return f'{{"topic":{json.dumps(topic, ensure_ascii=False)},"message":{body}}}\n'


class JsonlTransport:
    """Appends messages to a file, each with a single write.

    The file and its folder are made where missing. A last line that a crash cut short is ended
    first, so that it spoils no other. InputError where the file can't be opened.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("ab", buffering=0)
            self._torn = _ends_in_a_line(path)
        except (OSError, ValueError) as error:  # ValueError: a NUL in the path
            reason = getattr(error, "strerror", None) or error
            raise InputError(
                f"messages file {path}: {reason}; give a file that can be written"
            ) from None

    def __str__(self) -> str:
        return f"jsonl {self._path}"

    def send(self, topic: str, body: str) -> None:
        """Append one message. EdgetallyError where it could not be written in full."""
        line = line_of(topic, body).encode()
        if self._torn:
            line = b"\n" + line
        try:
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

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _ends_in_a_line(path: Path) -> bool:
    details = path.stat()
    if not stat.S_ISREG(details.st_mode) or details.st_size == 0:
        return False
    with path.open("rb") as stream:
        stream.seek(-1, os.SEEK_END)
        return stream.read(1) != b"\n"
