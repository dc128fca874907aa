"""Which frames are taken when fewer a second are wanted than come."""

from __future__ import annotations

import math
from typing import Protocol

_ROUNDING = 1e-3  # seconds, to which Matroska and others round their times
_SAVED = 1.5  # frames' time that one who is late may catch up: what 30 % of jitter needs
_EARLY = 0.25  # of a frame's time, by which the second one after a gap may be early
_GAP = 4.0  # frames' time without one, after which nothing is made up for
_BELIEVED = 2.0  # seconds by which a stream's own time may go wrong, as it comes in bursts
_BELIEVED_SHARE, _MOST_BELIEVED = 0.1, 10.0  # and after a while more


class Sampler(Protocol):
    """Decides frame by frame; times in seconds since the start, never falling."""

    def wants(self, time: float) -> bool:
        """Tell whether the frame of that time is to be taken."""

    def took(self, time: float) -> None:
        """Remember that it was; one that turned out broken is not."""


class EveryFrame:
    """Takes them all."""

    def wants(self, time: float) -> bool:  # noqa: ARG002 - a Sampler
        """Tell that it is to be taken."""
        return True

    def took(self, time: float) -> None:
        """Remember nothing."""


class Slots:
    """Takes the first frame of each slot of 1/fps seconds: for files, whose times are exact."""

    def __init__(self, fps: float) -> None:
        self._fps = fps
        self._slot = -1

    def wants(self, time: float) -> bool:
        """Tell whether a new slot has begun."""
        return self._slot_of(time) != self._slot

    def took(self, time: float) -> None:
        """Close the slot."""
        self._slot = self._slot_of(time)

    def _slot_of(self, time: float) -> int:
        return math.floor((time + _ROUNDING) * self._fps)


class Pace:
    """Takes fps frames a second on average: for live sources, whose frames come unevenly."""

    def __init__(self, fps: float) -> None:
        self._interval = 1 / fps
        self._due = -math.inf

    def wants(self, time: float) -> bool:
        """Tell whether one is due."""
        return time >= self._due

    def took(self, time: float) -> None:
        """Say when the next is due."""
        if time - self._due >= _GAP * self._interval:
            self._due = time + (1 - _EARLY) * self._interval
        else:
            self._due = max(self._due, time - _SAVED * self._interval) + self._interval


class PacingTime:
    """The time by which a live source is paced: its own where it has one, else that of arrival.

    Pictures that come in bursts carry the times at which they were taken. Timestamps that run away
    from the clock tell nothing, and are not looked at again before the next connection.
    """

    def __init__(self) -> None:
        self._seconds = 0.0
        self._arrival = 0.0
        self._timestamp: float | None = None
        self._untold = 0.0  # seconds by arrival that were given since the latest timestamp
        self._since = 0.0
        self._ahead = 0.0
        self._is_believed = True

    def reconnect(self) -> None:
        """Begin to believe another connection's timestamps."""
        self._timestamp = None
        self._untold = 0.0
        self._is_believed = True
        self._ahead = 0.0
        self._since = self._arrival

    def at(self, arrival: float, timestamp: float | None) -> float:
        """Return the time of the next image, in seconds; never falls."""
        passed = arrival - self._arrival
        given, self._untold = self._untold, self._untold + passed
        if timestamp is not None and self._timestamp is not None and self._is_believed:
            told = max(0.0, timestamp - self._timestamp)
            self._ahead += told - self._untold
            longer = _BELIEVED_SHARE * (arrival - self._since)
            self._is_believed = abs(self._ahead) <= min(_BELIEVED + longer, _MOST_BELIEVED)
            passed = max(0.0, told - given)
        self._arrival = arrival
        if timestamp is not None:
            self._timestamp, self._untold = timestamp, 0.0
        self._seconds += passed
        return self._seconds


def sampler(fps: float | None, *, is_live: bool) -> Sampler:
    """Return the sampler for a wanted rate; None is every frame."""
    if fps is None:
        return EveryFrame()
    return Pace(fps) if is_live else Slots(fps)
