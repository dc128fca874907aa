"""The ways to run a bundle that are worth a measurement."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from edgetally.engines import EngineSettings, available_engines

if TYPE_CHECKING:
    from typing import Literal

    from edgetally.bundle import ModelBundle

    Runtime = Literal["openvino", "onnxruntime", "mxnet"]
    Arithmetic = Literal["fp32", "bf16", "int8"]

_PRECISIONS: dict[Runtime, tuple[Arithmetic, ...]] = {
    "openvino": ("fp32", "bf16", "int8"),
    "onnxruntime": ("fp32", "int8"),
    "mxnet": ("fp32",),
}


@dataclass(frozen=True)
class Candidate:
    """An engine, its precision, and the cores that it gets."""

    engine: Runtime
    precision: Arithmetic
    settings: EngineSettings = field(default_factory=EngineSettings)

    def __str__(self) -> str:
        cores = [
            f"{number} {name}{'' if number == 1 else 's'}"
            for number, name in (
                (self.settings.threads, "thread"),
                (self.settings.streams, "stream"),
            )
            if number is not None
        ]
        return ", ".join([f"{self.engine} {self.precision}", *cores])


def runnable(bundle: ModelBundle) -> list[Candidate]:
    """Each installed engine in each precision that it and the bundle have.

    fp32 comes first, which the others are compared with, and MXNet, which is slowest, last.
    Whether the processor has bf16 only shows when the engine is loaded.
    """
    installed = available_engines()
    found = [
        Candidate(engine, precision)
        for engine, precisions in _PRECISIONS.items()
        for precision in precisions
        if engine in installed and (precision != "int8" or "onnx-int8" in bundle.files)
    ]
    return sorted(found, key=lambda each: (each.engine == "mxnet", each.precision != "fp32"))


def divisions(candidate: Candidate, cores: int) -> list[Candidate]:
    """Divide all cores, and half of them, into 1, 2, 4, … streams up to a stream a core.

    Half is for a device whose cores are busy with video. MXNet takes none of it.
    """
    if candidate.engine == "mxnet":
        return []
    found = []
    for threads in dict.fromkeys((cores, max(1, cores // 2))):
        streams = [2**power for power in range(threads.bit_length()) if 2**power < threads]
        found += [
            replace(candidate, settings=EngineSettings(threads, count))
            for count in (*streams, threads)
        ]
    return found
