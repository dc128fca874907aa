"""How fast one engine is on this device, alone and with several pictures in flight."""

from __future__ import annotations

import statistics
import time
from collections import deque
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from edgetally.detector.postprocessing import postprocess

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Future

    import numpy as np
    from numpy.typing import NDArray

    from edgetally.bundle import ModelBundle
    from edgetally.detections import Detections
    from edgetally.engines import Engine, RawPredictions

    Batch = NDArray[np.uint8]

_MOST_ALONE = 5
_SHARE_ALONE = 0.25  # of the time, for pictures one after the other
_PARTS = 3
_FEWEST_A_PART = 8


@dataclass(frozen=True)
class Speed:
    """What was measured: frames a second with several in flight, seconds of one frame alone.

    frames_per_second is that of the best third of the time, for what else the device does only
    slows; latency is the median. cpu_time is seconds a frame of all cores together.
    """

    frames_per_second: float
    latency: float
    cpu_time: float


def measure_speed(
    engine: Engine,
    batches: Sequence[Batch],
    *,
    in_flight: int,
    seconds: float,
    clock: Callable[[], float] = time.perf_counter,
    cpu_clock: Callable[[], float] = time.process_time,
) -> Speed:
    """Run pictures, uint8 [1, S, S, 3], in turn for about `seconds`, and no fewer than in_flight.

    Of an engine too slow for so many it is two, and one before them: it is warm from when it was
    created. clock: seconds that only grow. cpu_clock: seconds that this process computed.
    """
    start = clock()
    engine.infer(batches[0])
    alone = [clock() - start]
    is_slow = alone[0] > seconds
    if not is_slow:
        alone.clear()  # it warmed up
        start = clock()
    while not alone or (len(alone) < _MOST_ALONE and clock() - start < seconds * _SHARE_ALONE):
        begun = clock()
        engine.infer(batches[len(alone) % len(batches)])
        alone.append(clock() - begun)
    flying: deque[Future[RawPredictions]] = deque()
    count = 0
    in_flight = min(in_flight, max(2, int(seconds / max(alone[-1], 1e-9))))
    until = start + seconds
    computed = cpu_clock()
    ends = [clock()]
    while count < in_flight or ends[-1] < until:
        flying.append(engine.submit(batches[count % len(batches)]))
        count += 1
        if len(flying) == in_flight:
            flying.popleft().result()
            ends.append(clock())
    for future in flying:
        future.result()
        ends.append(clock())
    cpu_time = (cpu_clock() - computed) / count
    return Speed(_best_rate(ends), statistics.median(alone), cpu_time)


def faster(one: Speed, other: Speed) -> Speed:
    """Join two measurements of one engine: what else the device did only made it slower."""
    return Speed(
        max(one.frames_per_second, other.frames_per_second),
        min(one.latency, other.latency),
        min(one.cpu_time, other.cpu_time),
    )


def _best_rate(ends: Sequence[float]) -> float:
    """Frames a second of the best third, or of all where they are few; ends[0] is the start."""
    count = len(ends) - 1
    parts = _PARTS if count >= _PARTS * _FEWEST_A_PART else 1
    bounds = [part * count // parts for part in range(parts + 1)]
    return max(
        (last - first) / max(ends[last] - ends[first], 1e-9) for first, last in pairwise(bounds)
    )


def detections(engine: Engine, bundle: ModelBundle, batches: Sequence[Batch]) -> list[Detections]:
    """Run pictures and give each one's detections, down to the model's own score floor."""
    found = []
    for batch in batches:
        raw = engine.infer(batch)
        found.append(postprocess(raw.boxes[0], raw.scores[0], bundle.nms))
    return found
