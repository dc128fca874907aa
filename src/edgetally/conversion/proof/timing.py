"""What a frame costs on this machine, in each installed engine and precision."""

from __future__ import annotations

import platform
import statistics
import time
from typing import TYPE_CHECKING, cast

import numpy as np

from edgetally.conversion.report.record import Machine, Timing
from edgetally.detector.preprocessing import fit_input
from edgetally.engines import available_engines, create_engine
from edgetally.engines.device import installed_version, this_device
from edgetally.errors import EdgetallyError, InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from edgetally.bundle import ModelBundle
    from edgetally.config import EngineName, Precision
    from edgetally.engines import Engine

_PRECISIONS: tuple[Precision, ...] = ("fp32", "bf16", "int8")
_WARM_UPS = 2
_MOST_RUNS = 10
_MOST_SECONDS = 2.0
_PACKAGES = (
    "openvino",
    "onnxruntime",
    "mxnet",
    "numpy",
    "opencv-python",
    "opencv-python-headless",
    "onnx",
)


def measure_timings(
    bundle: ModelBundle,
    frames: Sequence[NDArray[np.uint8]] = (),
    tell: Callable[[str], None] | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> tuple[Timing, ...]:
    """Time each installed engine in each precision that it, the CPU and the bundle offer.

    frames: pictures, uint8 BGR [H, W, 3], that the runs take in turn; without any, noise.
    tell: hears a line for each figure. clock: seconds that only grow.

    Frames go through one at a time, after a warm-up: at most 10, and no more are begun once 2
    seconds are over. An engine that can't do a precision is left out; one that can't run the
    model at all is told and left out.
    """
    size = bundle.input_size
    batches = [fit_input(frame, size)[np.newaxis] for frame in frames]
    if not batches:
        batches = [np.random.default_rng(0).integers(0, 256, (1, size, size, 3), np.uint8)]
    timings = []
    for name in available_engines():
        for precision in _PRECISIONS:
            try:
                engine = create_engine(bundle, cast("EngineName", name), precision)
            except InputError:
                continue
            except EdgetallyError as error:
                if tell:
                    tell(f"{name} {precision} is not timed: {error}")
                continue
            try:
                timing = _timed(engine, name, precision, batches, clock)
            finally:
                engine.close()
            if tell:
                tell(f"{name} {precision}: {timing.milliseconds:.1f} ms a frame")
            timings.append(timing)
    return tuple(timings)


def _timed(
    engine: Engine,
    name: str,
    precision: str,
    batches: Sequence[NDArray[np.uint8]],
    clock: Callable[[], float],
) -> Timing:
    for run in range(_WARM_UPS):
        engine.infer(batches[run % len(batches)])
    seconds: list[float] = []
    start = end = clock()
    while len(seconds) < _MOST_RUNS and end - start < _MOST_SECONDS:
        begun = clock()
        engine.infer(batches[len(seconds) % len(batches)])
        end = clock()
        seconds.append(end - begun)
    return Timing(
        engine=name,
        precision=precision,
        milliseconds=statistics.median(seconds) * 1000,
        frames=len(seconds),
    )


def machine() -> Machine:
    """Name this machine's processor, the cores this process may use, and what is installed."""
    versions = {name: installed_version(name) for name in _PACKAGES}
    device = this_device()
    return Machine(
        processor=device.processor,
        cores=device.cores,
        python=platform.python_version(),
        packages={name: version for name, version in versions.items() if version},
    )
