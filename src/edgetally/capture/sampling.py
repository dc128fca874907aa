"""Which frames are taken when fewer a second are wanted than come."""

from __future__ import annotations

import math
from typing import Protocol

# A camera that runs at the wanted rate is early as often as late; each of its frames counts.
_EARLY = 0.25


class Sampler(Protocol):
    """Decides frame by frame; times in seconds since the start, never falling."""

    def wants(self, media_time: float) -> bool:
        """Tell whether the frame of that time is to be taken."""

    def took(self, media_time: float) -> None:
        """Remember that it was; one that turned out broken is not."""


class EveryFrame:
    """Takes them all."""

    def wants(self, media_time: float) -> bool:  # noqa: ARG002 - a Sampler
        """Tell that it is to be taken."""
        return True

    def took(self, media_time: float) -> None:
        """Remember nothing."""


class Slots:
    """Takes the first frame of each slot of 1/fps seconds: for files, whose times are exact."""

    def __init__(self, fps: float) -> None:
        self._fps = fps
        self._slot = -1

    def wants(self, media_time: float) -> bool:
        """Tell whether a new slot has begun."""
        return self._slot_of(media_time) != self._slot

    def took(self, media_time: float) -> None:
        """Close the slot."""
        self._slot = self._slot_of(media_time)

    def _slot_of(self, media_time: float) -> int:
        return math.floor(media_time * self._fps + 1e-3)


class Pace:
    """Takes fps frames a second on average: for live sources, whose frames come unevenly."""

    def __init__(self, fps: float) -> None:
        self._interval = 1 / fps
        self._due = -math.inf

    def wants(self, media_time: float) -> bool:
        """Tell whether one is due, or nearly."""
        return media_time >= self._due - _EARLY * self._interval

    def took(self, media_time: float) -> None:
        """Say when the next is due; after a gap, nothing is made up for."""
        late = media_time - self._due
        start = self._due if late < self._interval else media_time
        self._due = start + self._interval


def sampler(fps: float | None, *, is_live: bool) -> Sampler:
    """Return the sampler for a wanted rate; None is every frame."""
    if fps is None:
        return EveryFrame()
    return Pace(fps) if is_live else Slots(fps)
