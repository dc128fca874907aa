"""`Pace`: how fast a camera's frames come through, and how long each takes."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from edgetally.messaging.messages import Latency

_WINDOW = 30.0  # seconds
_LATENCIES = 512
_WARM_UP = 1.0  # seconds: a camera that has just begun owes its first frames to nobody
# What may be missing without anyone being short: frames that are under way, a camera's clock.
_FRAMES_UNDER_WAY = 3
_INEXACT = 0.02


@dataclass(frozen=True)
class Progress:
    """Counts so far, at a moment: processed, still (not looked at), lost (a newer one came).

    stream: number of the connection that streams now; None where none does, or where its frames
    wait for their reader.
    """

    time: float
    processed: int
    still: int
    lost: int
    stream: int | None


class Pace:
    """Rates over the latest half minute, latencies of the latest frames.

    `took` and `note` may be called by different threads; times are seconds that never go back.
    """

    def __init__(self) -> None:
        self._marks: deque[tuple[Progress, bool]] = deque()  # and whether its stream is warm
        self._stream: int | None = None
        self._began = 0.0
        self._latencies: deque[float] = deque(maxlen=_LATENCIES)

    def took(self, seconds: float) -> None:
        """Remember the latency of a frame."""
        self._latencies.append(max(0.0, seconds))

    def note(self, now: Progress) -> None:
        """Remember the counts of a moment."""
        if now.stream is not None and now.stream != self._stream:
            self._stream, self._began = now.stream, now.time
        is_warm = now.stream is not None and now.time >= self._began + _WARM_UP
        self._marks.append((now, is_warm))
        while self._marks[0][0].time < now.time - _WINDOW:
            self._marks.popleft()

    def processed(self) -> float:
        """Return frames a second over the moments noted; 0 before the second."""
        marks = list(self._marks)
        if len(marks) < 2:
            return 0.0
        first, last = marks[0][0], marks[-1][0]
        return (last.processed - first.processed) / max(last.time - first.time, 1e-3)

    def shortfall(self, wanted: float | None) -> float:
        """Return frames a second missing from those wanted, while a stream ran steadily.

        What was still is not missing. Where nobody knows how many are wanted, those lost.
        """
        seconds, seen, lost = 0.0, 0, 0
        for (before, is_warm), (after, _) in pairwise(list(self._marks)):
            if is_warm and before.stream == after.stream:
                seconds += after.time - before.time
                seen += after.processed + after.still - before.processed - before.still
                lost += after.lost - before.lost
        if seconds <= 0:
            return 0.0
        if wanted is None:
            return lost / seconds
        missing = wanted * seconds - seen
        bound = max(_FRAMES_UNDER_WAY, _INEXACT * wanted * seconds)
        return missing / seconds if missing > bound else 0.0

    def latency(self) -> Latency | None:
        """Return the latency's percentiles; None before the first frame."""
        latencies = list(self._latencies)
        if not latencies:
            return None
        p50, p95, p99 = np.percentile(latencies, (50, 95, 99)).tolist()
        return Latency(p50=p50, p95=p95, p99=p99)
