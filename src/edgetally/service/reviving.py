"""`Reviving`: when what failed for good is tried again, in a service that must not end."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgetally.service.camera_loop import CameraLoop

_FIRST = 60.0  # seconds
_LONGEST = 900.0


class Reviving:
    """Waits a minute after a failure, then twice as long each time, up to a quarter of an hour."""

    def __init__(self) -> None:
        self._delay = _FIRST
        self._due: float | None = None

    def is_due(self, loops: Sequence[CameraLoop], now: float) -> bool:
        """Tell whether it is time; now: in seconds that never go back."""
        if not any(_is_lost(loop) for loop in loops):
            if self._due is None and loops and all(loop.processed for loop in loops):
                self._delay = _FIRST
            self._due = None
            return False
        if self._due is None:
            self._due = now + self._delay
        if now < self._due:
            return False
        self._due, self._delay = None, min(2 * self._delay, _LONGEST)
        return True


def _is_lost(loop: CameraLoop) -> bool:
    """Whether it failed, or hangs, and could work again; a file would be counted twice."""
    return (loop.error is not None or loop.is_overdue) and loop.camera.planned().can_be_lost
