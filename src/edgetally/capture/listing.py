"""`Listing`: the images of a folder or glob, listed again and again at little cost."""

from __future__ import annotations

import errno
import fnmatch
import glob
import math
import os
import re
import stat
import time
from pathlib import Path
from typing import TYPE_CHECKING

from edgetally.capture.image_names import is_image_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# A folder's time of change may be told in steps of two seconds (FAT), so a second change may
# hide behind the first for as long.
_STEP_SECONDS = 3.0
_LONGEST = 10.0  # seconds: some network file systems tell no change at all


class Listing:
    """Lists a folder, or the folder of a glob such as `in/*.jpg`, when it has changed.

    A glob with signs in the name of a folder is searched each time.
    """

    def __init__(self, place: str, clock: Callable[[], float] = time.monotonic) -> None:
        """Look at it. OSError where that is no folder, or can't be read."""
        self._place, self._clock = place, clock
        self._folder, self._pattern = _parts(place)
        self._is_search = os.sep in self._pattern or self._pattern == "**"
        self._version: tuple[int, ...] = ()
        self._changed = self._listed = -math.inf
        if not stat.S_ISDIR(self._folder.stat().st_mode):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))

    def images(self, alive: Callable[[], None]) -> dict[str, int] | None:
        """Return the images' paths, each with a number that another file of that name changes.

        None: those of the last time. alive: called now and then. OSError where the folder is gone.
        """
        status = self._folder.stat()
        now = self._clock()
        version = (status.st_dev, status.st_ino, status.st_mtime_ns, status.st_ctime_ns)
        if version != self._version:
            self._version, self._changed = version, now
        elif not self._is_search and now - self._listed < _LONGEST:
            is_settled = self._listed - self._changed > _STEP_SECONDS
            if is_settled:
                return None
        self._listed = now
        found = {}
        for path, number in self._search() if self._is_search else self._scan():
            found[path] = number
            alive()
        return found

    def _scan(self) -> Iterator[tuple[str, int]]:
        matches = re.compile(fnmatch.translate(self._pattern)).match
        with os.scandir(self._folder) as entries:
            for entry in entries:
                if is_image_name(entry.name) and matches(entry.name):
                    yield entry.path, entry.inode()

    def _search(self) -> Iterator[tuple[str, int]]:
        for path in glob.iglob(self._place, recursive=True):  # noqa: PTH207 - Path.glob takes no absolute pattern
            if is_image_name(Path(path).name):
                yield path, 0


def _parts(place: str) -> tuple[Path, str]:
    """Return the folder that is there whatever the images are called, and what follows."""
    path = Path(place)
    if not glob.has_magic(place) or path.is_dir():
        return path, "*"
    folder = path.parent
    while glob.has_magic(str(folder)):
        folder = folder.parent
    return folder, str(path.relative_to(folder))
