"""Measure one model in every way, the ways in turn, over several rounds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from edgetally.benchmark.measurement import Job, measure_apart
from edgetally.benchmark.report import (
    EngineRow,
    Figures,
    ModelReport,
    Percentiles,
    below_engine,
    over_sample,
)
from edgetally.engines import available_engines
from edgetally.errors import EdgetallyError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from edgetally.benchmark.measurement import Measured
    from edgetally.bundle import ModelBundle
    from edgetally.config import EngineName, Precision

VNNI = "AVX512_CORE_VNNI"
_WARM_UP = 0.5
_PRECISIONS: dict[EngineName, tuple[Precision, ...]] = {
    "openvino": ("fp32", "bf16", "int8"),
    "onnxruntime": ("fp32", "int8"),
    "mxnet": ("fp32",),
}


class Way(NamedTuple):
    """An engine and precision, perhaps held to some instructions."""

    engine: EngineName
    precision: Precision
    held_to: str = ""

    @property
    def environment(self) -> Mapping[str, str]:
        """Variables for its process."""
        return {"ONEDNN_MAX_CPU_ISA": self.held_to} if self.held_to else {}


class LiveTimes(NamedTuple):
    """Seconds that live streams are measured, after a warm-up.

    In the warm-up, what a stream sends at once on opening is done with.
    """

    warm_up: float
    seconds: float


DEFAULT = Way("auto", "auto")


def possible_ways(*, every: bool, may_hold: bool) -> tuple[Way, ...]:
    """List the default and, where every is wanted, each installed engine's precisions.

    may_hold: whether the CPU has more than AVX-512 VNNI or just that, so that int8 held to it runs.
    """
    ways = [DEFAULT]
    if every:
        installed = available_engines()
        ways += [
            Way(engine, precision)
            for engine, precisions in _PRECISIONS.items()
            if engine in installed
            for precision in precisions
        ]
        if may_hold and "openvino" in installed:
            ways.append(Way("openvino", "int8", VNNI))
    return tuple(ways)


def measure_model(
    folder: Path,
    bundle: ModelBundle,
    ways: tuple[Way, ...],
    *,
    file: str,
    live: str,
    rounds: int,
    seconds: float,
    cores: int,
    live_times: LiveTimes | None,
    tell: Callable[[str], None],
) -> ModelReport:
    """Measure the sample's way, and loop and bare engine in each way, once in each round.

    live: URL of a live stream for the latencies, taken once the rounds are over; live_times None
    leaves them out. A way that this machine or bundle can't do is told and left out.
    """
    sample: list[Measured] = []
    decoding: list[Measured] = []
    loops: dict[Way, list[Measured]] = {way: [] for way in ways}
    bares: dict[Way, list[Measured]] = {way: [] for way in ways}
    common: dict[str, Any] = {"bundle": str(folder), "sources": (file,), "seconds": seconds}
    common["warm_up"] = min(_WARM_UP, seconds)
    for number in range(1, rounds + 1):
        tell(f"{bundle.name}: round {number} of {rounds}")
        decoding.append(measure_apart(Job(kind="decoding", **common)))
        if "mxnet" in available_engines():
            sample.append(measure_apart(Job(kind="sample", **common)))
        for way in list(loops):
            settings = {**common, "engine": way.engine, "precision": way.precision}
            try:
                loops[way].append(measure_apart(Job(kind="loop", **settings), way.environment))
                bares[way].append(measure_apart(Job(kind="bare", **settings), way.environment))
            except EdgetallyError as error:
                tell(f"left out: {error}")
                del loops[way]
    latencies = {
        way: measure_latency(folder, way, live, live_times) if live_times else None for way in loops
    }
    return ModelReport(
        name=bundle.name,
        input_size=bundle.input_size,
        sample=Figures.of(sample) if sample else None,
        decoding=Figures.of(decoding),
        rows=tuple(
            EngineRow(
                engine=measured[0].engine,
                precision=measured[0].precision,
                is_default=way == DEFAULT,
                held_to=way.held_to,
                loop=Figures.of(measured),
                bare=Figures.of(bares[way]),
                over_sample=over_sample(measured, sample),
                below_engine=below_engine(measured, bares[way], decoding, cores),
                latency=latencies[way],
            )
            for way, measured in loops.items()
        ),
    )


def measure_latency(folder: Path, way: Way, live: str, times: LiveTimes) -> Percentiles | None:
    """Time one live camera's frames until their messages."""
    job = Job(
        kind="loop",
        bundle=str(folder),
        engine=way.engine,
        precision=way.precision,
        sources=(live,),
        every_frame=True,
        warm_up=times.warm_up,
        seconds=times.seconds,
    )
    try:
        return Percentiles.of(measure_apart(job, way.environment).latencies)
    except EdgetallyError:
        return None
