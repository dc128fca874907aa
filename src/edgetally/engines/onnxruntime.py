"""The ONNX Runtime engine: `model.onnx`, or its int8 form, on a GPU that it can use or the CPU."""

from __future__ import annotations

import logging
import os
import threading
import warnings
from typing import TYPE_CHECKING, Any

from edgetally.engines.device import usable_cores
from edgetally.engines.engine import RawPredictions, WorkerEngine
from edgetally.engines.onnx_pixels import PIXELS, reading_pixels

# Otherwise newer versions report each import to their makers over the network, and write into the
# home folder.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import onnxruntime

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from edgetally.bundle import ModelBundle
    from edgetally.engines.settings import EngineSettings

_CPU = "CPUExecutionProvider"
_GPUS_FASTEST_FIRST = ("TensorrtExecutionProvider", "CUDAExecutionProvider")
_log = logging.getLogger(__name__)


class OnnxRuntimeEngine(WorkerEngine):
    """A session that, unless told otherwise, spreads one frame at a time over the process's CPUs.

    `provider` names what computes, as ONNX Runtime calls it.
    """

    name = "onnxruntime"

    def __init__(self, bundle: ModelBundle, precision: str, settings: EngineSettings) -> None:
        streams = settings.streams or 1
        # A thread that waits for a run computes, too; the session's own stand beside them.
        threads = max(1, (settings.threads or usable_cores()) - streams + 1)
        path = bundle.file("onnx-int8" if precision == "int8" else "onnx")
        # TensorRT takes only int8 whose zero is 0, and CUDA computes none of it in integers.
        gpus = _GPUS_FASTEST_FIRST if precision == "fp32" else ()
        with reading_pixels(path, bundle) as model:
            self._session, self.provider = _session(model, threads, gpus)
        self._turns = threading.Semaphore(streams)
        # One more than compute at once: it ends the frame before.
        super().__init__(precision, bundle.input_size, workers=streams + 1)

    def _predict(self, frame: NDArray[np.uint8]) -> RawPredictions:
        with self._turns:
            boxes, scores = self._session.run(["boxes", "scores"], {PIXELS: frame})
        return RawPredictions(boxes, scores)


def load(bundle: ModelBundle, precision: str, settings: EngineSettings) -> OnnxRuntimeEngine:
    """Load the bundle's model; precision is "fp32" or "int8"."""
    return OnnxRuntimeEngine(bundle, precision, settings)


def run_model(
    model: bytes, outputs: Sequence[str], inputs: Iterable[Mapping[str, NDArray[np.float32]]]
) -> Iterator[list[NDArray[np.float32]]]:
    """Run any serialized ONNX model on each of the inputs, by name; yield its outputs."""
    session, _ = _session(model, usable_cores(), ())
    for each in inputs:
        yield session.run(list(outputs), each)


def _session(model: str | bytes, threads: int, gpus: Sequence[str]) -> tuple[Any, str]:
    """Open a session on the first of the GPUs' providers that works, or else on the CPU.

    Returns the provider, too. A build offers what it was compiled for, whether or not the device
    has the driver: what does not load is told in one line.
    """
    offered = onnxruntime.get_available_providers()
    failed = []
    for provider in (name for name in gpus if name in offered):
        try:
            # What a GPU can't compute, its session leaves to those that follow.
            session = _opened(model, threads, [provider, *_after(provider, offered)])
        except Exception as error:  # noqa: BLE001 - each provider raises kinds of its own
            reason = (str(error).strip() or type(error).__name__).splitlines()[-1]
        else:
            if session.get_providers()[0] == provider:
                return session, provider
            reason = "it does not load"
        failed.append(f"{provider} ({reason})")
    if failed:
        _log.warning("ONNX Runtime can't use %s; taking the CPU", " nor ".join(failed))
    return _opened(model, threads, [_CPU]), _CPU


def _after(provider: str, offered: Sequence[str]) -> list[str]:
    place = _GPUS_FASTEST_FIRST.index(provider) + 1
    return [*(name for name in _GPUS_FASTEST_FIRST[place:] if name in offered), _CPU]


def _opened(model: str | bytes, threads: int, providers: Sequence[str]) -> Any:
    options = onnxruntime.SessionOptions()
    # By default it counts the machine's CPUs and pins threads, also those a container lacks.
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Threads that spin while they wait take the CPU from decoding, which runs beside.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3  # errors; they are raised, warnings would go to stderr
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of providers that do not load; we tell of them
        return onnxruntime.InferenceSession(model, options, providers=list(providers))
