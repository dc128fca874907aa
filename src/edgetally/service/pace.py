"""`Pace`: how fast a camera's frames come through, and how long each takes."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from edgetally.messaging.messages import Latency

_WINDOW = 30.0  # seconds
_LATENCIES = 512


@dataclass(frozen=True)
class Progress:
    """Counts so far, at a moment: processed, and lost because the device was behind."""

    time: float
    processed: int
    lost: int


class Pace:
    """Rates over the latest half minute, latencies of the latest frames.

    `took` and `note` may be called by different threads; times are seconds that never go back.
    """

    def __init__(self) -> None:
        self._marks: deque[Progress] = deque()
        self._latencies: deque[float] = deque(maxlen=_LATENCIES)

    def took(self, seconds: float) -> None:
        """Remember the latency of a frame."""
        self._latencies.append(max(0.0, seconds))

    def note(self, now: Progress) -> None:
        """Remember the counts of a moment."""
        self._marks.append(now)
        while self._marks[0].time < now.time - _WINDOW:
            self._marks.popleft()

    def rates(self) -> tuple[float, float]:
        """Return (processed, lost) frames a second over the moments noted; 0 before the second."""
        if len(self._marks) < 2:
            return 0.0, 0.0
        first, last = self._marks[0], self._marks[-1]
        seconds = max(last.time - first.time, 1e-3)
        return (last.processed - first.processed) / seconds, (last.lost - first.lost) / seconds

    def latency(self) -> Latency | None:
        """Return the latency's percentiles; None before the first frame."""
        latencies = list(self._latencies)
        if not latencies:
            return None
        p50, p95, p99 = np.percentile(latencies, (50, 95, 99)).tolist()
        return Latency(p50=p50, p95=p95, p99=p99)
