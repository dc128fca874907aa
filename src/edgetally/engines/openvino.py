"""The OpenVINO engine: `model.onnx`, or its int8 form, on the CPU plugin."""

from __future__ import annotations

import logging
import sys
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from edgetally.engines.engine import RawPredictions, WorkerEngine
from edgetally.errors import InputError

# Where this package is found, `import openvino` reports itself to its makers over the network and
# writes into the home folder; without it, it does neither.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]

import openvino  # noqa: E402 - after the line above
from openvino.preprocess import ColorFormat, PrePostProcessor  # noqa: E402

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgetally.bundle import ModelBundle
    from edgetally.engines.settings import EngineSettings

_SIDE_BY_SIDE = 4  # frames at most; more would leave one camera's frames few cores each
_SAME = 1e-3  # of a score, or of the frame; streams of one model were equal bit for bit
_COMPILATIONS = 3
_log = logging.getLogger(__name__)


class OpenVinoEngine(WorkerEngine):
    """Several infer requests of one compiled model, a worker thread each."""

    name = "openvino"

    def __init__(self, bundle: ModelBundle, precision: str, settings: EngineSettings) -> None:
        # First used in two threads at once, this conversion can deadlock: use it before them.
        openvino.Type.u8.to_dtype()
        core = openvino.Core()
        if precision == "bf16" and "BF16" not in core.get_property(
            "CPU", "OPTIMIZATION_CAPABILITIES"
        ):
            raise InputError("this CPU has no bf16 arithmetic; use precision fp32")
        model = _Model(core, bundle, precision)
        if precision == "int8" and settings.streams != 1:
            compiled = compiled_and_checked(model, settings.threads, settings.streams)
        else:
            compiled = model.compiled(settings.threads, settings.streams)
        # One more than compute at once, so that the next frame waits inside the runtime.
        count = int(compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS")) + 1
        self._idle: SimpleQueue[Any] = SimpleQueue()
        for _ in range(count):
            self._idle.put(compiled.create_infer_request())
        super().__init__(precision, bundle.input_size, workers=count)

    def _predict(self, frame: NDArray[np.uint8]) -> RawPredictions:
        request = self._idle.get()
        try:
            # Outputs are copied: the next frame overwrites the request's own memory.
            outputs = request.infer([frame], share_inputs=True, share_outputs=False)
            return RawPredictions(outputs["boxes"], outputs["scores"])
        finally:
            self._idle.put(request)


def load(bundle: ModelBundle, precision: str, settings: EngineSettings) -> OpenVinoEngine:
    """Load the bundle's model; precision is "fp32", "bf16" or "int8"."""
    return OpenVinoEngine(bundle, precision, settings)


class Compiler(Protocol):
    """A network that can be compiled for threads and streams, and asked for its answers."""

    def compiled(self, threads: int | None, streams: int | None) -> Any:
        """Compile it."""

    def answers(self, compiled: Any, pictures: int) -> list[NDArray[np.float32]]:
        """Show one drawn picture so many times at once; boxes and scores [A * (4 + C)] of each."""


class _Model:
    """A bundle's network in one precision, to be compiled for threads and streams."""

    def __init__(self, core: Any, bundle: ModelBundle, precision: str) -> None:
        self._core = core
        self._bundle = bundle
        self._precision = precision
        path = bundle.file("onnx-int8" if precision == "int8" else "onnx")
        self._read = _reading_frames(core.read_model(path), bundle)

    def compiled(self, threads: int | None, streams: int | None) -> Any:
        chosen: dict[str, str | int] = {
            # Left to itself the plugin runs what is fp32 in bf16 wherever the CPU has it.
            "INFERENCE_PRECISION_HINT": "bf16" if self._precision == "bf16" else "f32",
        }
        if threads is not None:
            chosen["INFERENCE_NUM_THREADS"] = threads
        if streams is not None:
            chosen["NUM_STREAMS"] = streams
        else:
            # Frames side by side, rather than each spread over all cores, do more in a second.
            chosen["PERFORMANCE_HINT"] = "THROUGHPUT"
            chosen["PERFORMANCE_HINT_NUM_REQUESTS"] = _SIDE_BY_SIDE
        return self._core.compile_model(self._read, "CPU", chosen)

    def answers(self, compiled: Any, pictures: int) -> list[NDArray[np.float32]]:
        size = self._bundle.input_size
        side = -(-size // 8)
        blocks = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
        drawn = blocks.repeat(side, 0).repeat(side, 1)[np.newaxis, :size, :size]
        frame = np.ascontiguousarray(drawn)
        requests = [compiled.create_infer_request() for _ in range(pictures)]
        requests[0].infer([frame])  # its first two pictures at once can deadlock the runtime
        for request in requests:
            request.start_async([frame], share_inputs=True)
        for request in requests:
            request.wait()
        return [
            np.concatenate([request.get_tensor(name).data.ravel() for name in ("boxes", "scores")])
            for request in requests
        ]


def compiled_and_checked(model: Compiler, threads: int | None, streams: int | None) -> Any:
    """Compile int8 for several streams, and believe it only if it answers as one stream does.

    OpenVINO 2026.4, preparing two streams, now and then compiles an int8 network that is wrong;
    compiled for one stream it never was.
    """
    alone = model.compiled(threads, 1)
    (expected,) = model.answers(alone, 1)
    for _ in range(_COMPILATIONS):
        compiled = model.compiled(threads, streams)
        answers = model.answers(compiled, 2 * (streams or _SIDE_BY_SIDE))
        if all(np.abs(answer - expected).max() <= _SAME for answer in answers):
            return compiled
    _log.warning(
        "OpenVINO's int8 in %s streams differs from that in one; taking one stream",
        streams or "several",
    )
    return alone


def _reading_frames(model: Any, bundle: ModelBundle) -> Any:
    """Put the conversion from uint8 BGR pixels in front, where the runtime can fuse it."""
    processor = PrePostProcessor(model)
    source = processor.input("data")
    source.tensor().set_element_type(openvino.Type.u8)
    source.tensor().set_layout(openvino.Layout("NHWC")).set_color_format(ColorFormat.BGR)
    source.model().set_layout(openvino.Layout("NCHW"))
    steps = source.preprocess().convert_element_type(openvino.Type.f32)
    if bundle.colour_order == "RGB":
        steps.convert_color(ColorFormat.RGB)
    steps.mean(list(bundle.mean)).scale([1 / factor for factor in bundle.scale])
    return processor.build()
