"""What a run of the benchmark found, as it is written to JSON."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from edgetally.benchmark.accuracy import Accuracy  # noqa: TC001 - pydantic reads them
from edgetally.benchmark.measurement import Value
from edgetally.benchmark.own_work import OwnWork  # noqa: TC001
from edgetally.benchmark.surroundings import Machine  # noqa: TC001
from edgetally.benchmark.videos import Video  # noqa: TC001

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgetally.benchmark.measurement import Measured


class Percentiles(Value):
    """Milliseconds that half, 95 and 99 of 100 took at most, of so many."""

    p50: float
    p95: float
    p99: float
    count: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Percentiles | None:
        """The nearest ranks; None of nothing."""
        if not values:
            return None
        ordered = sorted(values)

        def rank(share: float) -> float:
            return round(ordered[max(0, -int(-share * len(ordered) // 1) - 1)], 1)

        return cls(p50=rank(0.50), p95=rank(0.95), p99=rank(0.99), count=len(ordered))


class Figures(Value):
    """Medians over the rounds; fps of each round. CPU in milliseconds a frame, memory in bytes.

    threads: CPU milliseconds a frame by kind of thread, over all rounds.
    """

    fps: float
    fps_of_rounds: tuple[float, ...]
    cpu_per_frame: float
    peak_memory: int
    threads: dict[str, float]
    latency: Percentiles | None

    @classmethod
    def of(cls, rounds: Sequence[Measured]) -> Figures:
        """Sum up the rounds of one measurement."""
        frames = sum(measured.frames for measured in rounds) or 1
        kinds = sorted({kind for measured in rounds for kind in measured.threads})
        return cls(
            fps=statistics.median(measured.fps for measured in rounds),
            fps_of_rounds=tuple(round(measured.fps, 2) for measured in rounds),
            cpu_per_frame=statistics.median(m.cpu_per_frame for m in rounds) * 1000,
            peak_memory=max(measured.peak_memory for measured in rounds),
            threads={
                kind: round(sum(m.threads.get(kind, 0.0) for m in rounds) / frames * 1000, 2)
                for kind in kinds
            },
            latency=Percentiles.of([one for measured in rounds for one in measured.latencies]),
        )


class EngineRow(Value):
    """One engine and precision.

    held_to: the instructions that oneDNN was held to, where it was. over_sample: how many times
    the sample's way, the median over the rounds. below_engine: the share of the bare engine's
    frames that the loop loses, decoding set aside, likewise. latency: from a live camera's
    capture to the message.
    """

    engine: str
    precision: str
    is_default: bool
    held_to: str
    loop: Figures
    bare: Figures
    over_sample: float | None
    below_engine: float | None
    latency: Percentiles | None


class ModelReport(Value):
    """One model, over the file."""

    name: str
    input_size: int
    sample: Figures | None
    decoding: Figures
    rows: tuple[EngineRow, ...]


class CamerasRow(Value):
    """So many live cameras on the default engine. fps: of all; memory in bytes."""

    cameras: int
    fps_wanted: float
    fps: float
    cpu_per_frame: float
    cores: float
    latency: Percentiles | None
    peak_memory: int
    memory: int


class StillCameras(Value):
    """Live cameras of a still scene with the motion gate, in CPU cores."""

    cameras: int
    fps_each: float
    cores: float
    cores_decoding: float
    skipped_share: float

    @property
    def cores_beyond(self) -> float:
        """What is used besides decoding."""
        return self.cores - self.cores_decoding


class Target(Value):
    """What was aimed at, what was found; met is None where it was not measured."""

    what: str
    target: str
    found: str
    met: bool | None
    limit: str


class Report(Value):
    """A whole run."""

    schema_: Literal["edgetally.benchmark/1"] = Field("edgetally.benchmark/1", alias="schema")
    time: str
    rounds: int
    seconds: float
    machine: Machine
    load: tuple[float, float]
    file: Video
    live: Video
    models: tuple[ModelReport, ...]
    cameras_model: str
    cameras: tuple[CamerasRow, ...]
    still: StillCameras | None
    own_work: OwnWork
    accuracy: tuple[Accuracy, ...]
    targets: tuple[Target, ...] = ()


def over_sample(loop: Sequence[Measured], sample: Sequence[Measured]) -> float | None:
    """How many times as many frames as the sample's way; each round is compared with itself."""
    pairs = [
        mine.fps / theirs.fps
        for mine, theirs in zip(loop, sample, strict=False)
        if mine.fps and theirs.fps
    ]
    return statistics.median(pairs) if pairs else None


def below_engine(
    loop: Sequence[Measured], bare: Sequence[Measured], decoding: Sequence[Measured], cores: int
) -> float | None:
    """The share by which the loop stays below the bare engine, once decoding is set aside.

    A second of CPU that decodes is one that the engine does not get, and all cores compute: so
    the loop's time a frame, less that of decoding spread over the cores, against the engine's.
    """
    shares = []
    for whole, engine, reading in zip(loop, bare, decoding, strict=False):
        if not (whole.fps and engine.fps):
            continue
        left = 1 / whole.fps - reading.cpu_per_frame / cores
        if left > 0:
            shares.append(1 - 1 / (left * engine.fps))
    return statistics.median(shares) if shares else None
