"""`TrackLog`: what becomes of each track, in lines of debug output.

A track is tentative until it was detected often enough, then confirmed; while it is not seen it is
waiting; and it ends for a reason.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgetally.counting.following import Following

    Rows = NDArray[np.intp]

_log = logging.getLogger(__name__)


class TrackLog:
    """Tells of some rows of what is followed, one line each."""

    def __init__(self, following: Following, camera: str) -> None:
        """`camera` goes before each line, if it has a name."""
        self._following = following
        self._camera = f"{camera}: " if camera else ""

    @property
    def is_heard(self) -> bool:
        """Whether anyone listens: else nothing need be found out."""
        return _log.isEnabledFor(logging.DEBUG)

    def began(self, rows: Rows) -> None:
        """A confident detection of what was not followed."""
        for row in rows.tolist():
            self._tell(row, f"begins at {self._place(row)}")

    def confirmed(self, rows: Rows) -> None:
        """Detected often enough."""
        following = self._following
        for row in rows.tolist():
            seconds = following.last_seen[row] - following.first_seen[row]
            self._tell(row, f"is confirmed: {following.hits[row]} detections in {seconds:.1f} s")

    def changed(self, was_seen: NDArray[np.bool_], waited: NDArray[np.float64]) -> None:
        """Who is lost since the frame before, and who was found again after `waited` seconds."""
        is_seen = self._following.is_seen[: len(was_seen)]
        for row in np.flatnonzero(was_seen & ~is_seen).tolist():
            self._tell(row, f"is waiting at {self._place(row)}")
        for row in np.flatnonzero(~was_seen & is_seen).tolist():
            self._tell(row, f"is found again after {waited[row]:.1f} s")

    def ended(self, row: int, reason: str) -> None:
        """It is no longer followed."""
        self._tell(row, f"ended: {reason}")

    def _place(self, row: int) -> str:
        x, y = self._following.motions.position[row]
        return f"({x:.2f}, {y:.2f})"

    def _tell(self, row: int, what: str) -> None:
        following = self._following
        number = following.ids[row]
        name = f"track {number}" if number else "a tentative track"
        _log.debug("%s%s (class %d) %s", self._camera, name, following.class_ids[row], what)
