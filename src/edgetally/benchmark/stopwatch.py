"""`Stopwatch`: frames and CPU time between two moments, each at the end of a frame."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, NamedTuple

from edgetally.benchmark.measurement import Measured
from edgetally.benchmark.process import memory, thread_cpu

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_FEWEST = 8  # frames, so that a slow one can be told from a fast one
_LONGEST = 4  # times the seconds that were asked for


class _Moment(NamedTuple):
    """The end of a frame: how many there were, the time and the CPU seconds used so far."""

    frames: int
    time: float
    cpu: float


class Stopwatch:
    """Call `frame` as each frame is done, from any thread; it is counted once `begin` was called.

    Counting from the end of one frame to the end of another cuts none in two. Where there were
    none after `begin`, because a short video was over, those before count. Nothing grows with
    the number of frames.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._first: _Moment | None = None
        self._begun: _Moment | None = None
        self._last = _Moment(0, 0.0, 0.0)
        self._has_begun = False
        self._threads: Mapping[str, float] = {}

    def begin(self) -> None:
        """Count from the next frame on."""
        with self._lock:
            self._threads = thread_cpu()
            self._has_begun = True

    def frame(self) -> None:
        """A frame is done."""
        with self._lock:
            self._last = _Moment(self._last.frames + 1, time.perf_counter(), time.process_time())
            if self._first is None:
                self._first = self._last
            if self._has_begun and self._begun is None:
                self._begun = self._last

    def is_enough(self, seconds: float) -> bool:
        """Whether it has run for so long, over frames enough."""
        with self._lock:
            if self._begun is None:
                return False
            elapsed = time.perf_counter() - self._begun.time
            frames = self._last.frames - self._begun.frames
            return elapsed >= seconds and (frames >= _FEWEST or elapsed >= seconds * _LONGEST)

    def end(self) -> Measured:
        """Stop, and tell what it came to."""
        with self._lock:
            begun, last = self._begun, self._last
            if begun is None or begun == last:
                begun = self._first or last
            peak, now = memory()
            used = thread_cpu()
        return Measured(
            frames=last.frames - begun.frames,
            seconds=last.time - begun.time,
            cpu=last.cpu - begun.cpu,
            peak_memory=peak,
            memory=now,
            threads={
                kind: round(seconds - self._threads.get(kind, 0.0), 3)
                for kind, seconds in used.items()
                if seconds > self._threads.get(kind, 0.0)
            },
        )


def time_steps(step: Callable[[], None], *, warm_up: float, seconds: float) -> Measured:
    """Repeat what does one frame until it is enough."""
    watch = Stopwatch()
    start = time.perf_counter()
    step()
    while time.perf_counter() - start < warm_up:
        step()
    watch.begin()
    while not watch.is_enough(seconds):
        step()
        watch.frame()
    return watch.end()
