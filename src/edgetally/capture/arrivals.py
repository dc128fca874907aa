"""`Arrivals`: which files of a folder are new, or written anew, by looking again and again."""

from __future__ import annotations

import os
import stat
import time
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING

from edgetally.capture.image_names import natural_order

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from edgetally.capture.listing import Listing

_HASTY = 3  # looks at which a file was another each time, until it is read all the same
_STAYS_SECONDS = 5.0  # what is broken for so long is not being written any more
_SOME = 64  # files that each look looks at again: of the latest, and of all in turn
_REMEMBERED = 10_000  # files that are gone: a network folder may come back with all it had

_Stamp = tuple[int, int, int, int]  # number, size, change of the content, change of anything


@dataclass
class _File:
    """What is known of a file.

    number: as listed; None where it is gone. seen: as last looked at. done: as read, whole or not.
    content: a hash of the picture that was taken. changes: looks in a row that saw another one.
    """

    number: int | None = None
    seen: _Stamp | None = None
    done: _Stamp | None = None
    content: int | None = None
    changes: int = 0


class Arrivals:
    """Tells which files to read, and is told what became of that.

    A file is to be read when it stayed the same between two looks, when another one has taken its
    name, or when it has changed at each of some looks. Those that changed last are looked at each
    time, the others in turn, so that a folder of 20,000 is no more work than one of a hundred.
    """

    def __init__(self, listing: Listing, before: Arrivals | None = None) -> None:
        """Begin, or go on with what was known before, in a thread that may still hang."""
        self._listing = listing
        known = dict(before._files) if before else {}  # noqa: SLF001 - another one of this class
        # The latest change last.
        self._files: dict[str, _File] = {path: replace(file) for path, file in known.items()}
        self._unsettled = {path for path, file in self._files.items() if file.seen != file.done}
        self._suspects: dict[str, float] = {}  # read, and broken: since when
        self._in_turn: Iterator[str] = iter(())

    def look(self, alive: Callable[[], None]) -> list[str]:
        """Return the files to read now, in the order people number them.

        alive: called now and then. OSError where the folder is gone.
        """
        listed = self._listing.images(alive)
        if listed is not None:
            self._compare(listed)
        ready = []
        for path in self._to_look_at():
            if self._is_ready(path):
                ready.append(path)
            alive()
        return sorted(ready, key=natural_order)

    def is_known(self, path: str, status: os.stat_result, content: int) -> bool:
        """Tell whether this was taken before, and only its rights or links have changed since."""
        file = self._files[path]
        same = file.done is not None and file.done[:3] == _stamp(status)[:3]
        return same and file.content == content

    def note_read(self, path: str, status: os.stat_result, content: int) -> None:
        """Note that a file was read and holds a whole picture; content: its hash."""
        file = self._files[path]
        file.seen = file.done = _stamp(status)
        file.content = content
        self._unsettled.discard(path)

    def note_broken(self, path: str) -> None:
        """Note that a file was read and holds no whole picture."""
        if path not in self._unsettled:  # those are still written, and read again soon
            file = self._files[path]
            file.done, file.content = file.seen, None
            self._suspects[path] = time.monotonic()

    def count_broken(self) -> int:
        """Return how many files have stayed broken, of those that were not counted yet."""
        latest = time.monotonic() - _STAYS_SECONDS
        stayed = [path for path, since in self._suspects.items() if since <= latest]
        for path in stayed:
            del self._suspects[path]
        return len(stayed)

    def _compare(self, listed: dict[str, int]) -> None:
        """Note which files are new, which have become others, and which are gone."""
        for path, number in listed.items():
            file = self._files.get(path)
            if file is None:
                file = self._files[path] = _File()
            if file.number != number:
                file.number = number
                self._unsettled.add(path)
        for path in self._files.keys() - listed.keys():
            file = self._files[path]
            file.number = file.content = None  # the same picture may be put there again
            self._unsettled.discard(path)
            self._suspects.pop(path, None)
        if len(self._files) > 2 * len(listed) + _REMEMBERED:
            self._files = {path: file for path, file in self._files.items() if path in listed}

    def _to_look_at(self) -> set[str]:
        in_turn = list(islice(self._in_turn, _SOME))
        if len(in_turn) < _SOME:
            self._in_turn = iter(list(self._files))
        some = [*islice(reversed(self._files), _SOME), *in_turn]
        there = (path for path in some if path in self._files)
        return {
            *self._unsettled,
            *self._suspects,
            *(path for path in there if self._files[path].number is not None),
        }

    def _is_ready(self, path: str) -> bool:
        file = self._files[path]
        try:
            status = os.stat(path)  # noqa: PTH116 - thousands of times
        except OSError:  # gone since it was listed
            self._suspects.pop(path, None)
            return False
        found = _stamp(status)
        if found == file.done or not stat.S_ISREG(status.st_mode):
            self._unsettled.discard(path)
            file.changes = 0
            return False
        before, file.seen = file.seen, found
        if found == before:
            self._unsettled.discard(path)
            file.changes = 0
            return True
        file.changes += 1
        self._suspects.pop(path, None)
        self._unsettled.add(path)
        self._files[path] = self._files.pop(path)
        return file.changes >= _HASTY or (before is not None and before[0] != found[0])


def _stamp(status: os.stat_result) -> _Stamp:
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
