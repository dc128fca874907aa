"""The ONNX Runtime engine: `model.onnx`, or its int8 form, on the CPU."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from edgetally.engines.engine import RawPredictions, WorkerEngine, network_input

# Otherwise newer versions report each import to their makers over the network, and write into the
# home folder.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import onnxruntime

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from edgetally.bundle import ModelBundle


class OnnxRuntimeEngine(WorkerEngine):
    """A session that spreads one frame at a time over the process's CPUs."""

    name = "onnxruntime"

    def __init__(self, bundle: ModelBundle, precision: str) -> None:
        self._session = _session(bundle.file("onnx-int8" if precision == "int8" else "onnx"))
        self._bundle = bundle
        super().__init__(precision, bundle.input_size, workers=1)

    def _predict(self, frame: NDArray[np.uint8]) -> RawPredictions:
        bundle = self._bundle
        data = network_input(frame, bundle.colour_order, bundle.mean, bundle.scale)
        boxes, scores = self._session.run(["boxes", "scores"], {"data": data})
        return RawPredictions(boxes, scores)


def load(bundle: ModelBundle, precision: str) -> OnnxRuntimeEngine:
    """Load the bundle's model; precision is "fp32" or "int8"."""
    return OnnxRuntimeEngine(bundle, precision)


def run_model(
    model: bytes, outputs: Sequence[str], inputs: Iterable[Mapping[str, NDArray[np.float32]]]
) -> Iterator[list[NDArray[np.float32]]]:
    """Run any serialized ONNX model on each of the inputs, by name; yield its outputs."""
    session = _session(model)
    for each in inputs:
        yield session.run(list(outputs), each)


def _session(model: Path | bytes) -> Any:
    options = onnxruntime.SessionOptions()
    # By default it counts the machine's CPUs and pins threads, also those a container lacks.
    options.intra_op_num_threads = _usable_cpus()
    options.inter_op_num_threads = 1
    # Threads that spin while they wait take the CPU from decoding, which runs beside.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3  # errors; they are raised, warnings would go to stderr
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def _usable_cpus() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
