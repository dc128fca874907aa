"""`Complaint`: when the nucleus may be told that we are ERRORED."""

from __future__ import annotations

import logging
import math
import time
from typing import TYPE_CHECKING

from edgetally.ordinary_file import read_ordinary

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_NAME = "errored"
_LARGEST = 64  # bytes
# A Java nucleus gives up who is ERRORED three times, each within an hour of the one before.
_APART = 3600.0 + 300.0  # seconds
_log = logging.getLogger(__name__)


class Complaint:
    """Keeps in a folder when telling it had us stopped, for the process that follows.

    A Java nucleus stops a component that is ERRORED, starts it again, and gives it up the third
    time; a nucleus lite only shows it. clock: seconds since the Unix epoch.
    """

    def __init__(self, folder: Path, clock: Callable[[], float] = time.time) -> None:
        self._file, self._clock = folder / _NAME, clock

    @property
    def wait(self) -> float:
        """Seconds until it may be told (again); 0: now."""
        since = self._clock() - self._told_at()
        return _APART - since if 0 <= since < _APART else 0.0

    def note(self) -> None:
        """Note that it has us stopped now."""
        new = self._file.with_name(f"{_NAME}.new")
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            new.write_text(f"{self._clock():.0f}\n", encoding="ascii")
            new.replace(self._file)
        except OSError as error:
            _log.debug("%s can't be written: %s", self._file, error.strerror)

    def _told_at(self) -> float:
        try:
            return float(read_ordinary(self._file, _LARGEST))
        except (OSError, ValueError):
            return -math.inf
