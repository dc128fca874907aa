"""The OpenVINO engine: `model.onnx`, or its int8 form, on the CPU plugin."""

from __future__ import annotations

import sys
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from edgetally.engines.engine import RawPredictions, WorkerEngine
from edgetally.errors import InputError

# Where this package is found, `import openvino` reports itself to its makers over the network and
# writes into the home folder; without it, it does neither.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]

import openvino  # noqa: E402 - after the line above
from openvino.preprocess import ColorFormat, PrePostProcessor  # noqa: E402

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgetally.bundle import ModelBundle

_SIDE_BY_SIDE = 4  # frames at most; more would leave one camera's frames few cores each


class OpenVinoEngine(WorkerEngine):
    """Several infer requests of one compiled model, a worker thread each."""

    name = "openvino"

    def __init__(self, bundle: ModelBundle, precision: str) -> None:
        # First used in two threads at once, this conversion can deadlock: use it before them.
        openvino.Type.u8.to_dtype()
        core = openvino.Core()
        if precision == "bf16" and "BF16" not in core.get_property(
            "CPU", "OPTIMIZATION_CAPABILITIES"
        ):
            raise InputError("this CPU has no bf16 arithmetic; use precision fp32")
        path = bundle.file("onnx-int8" if precision == "int8" else "onnx")
        model = _reading_frames(core.read_model(path), bundle)
        settings = {
            # Left to itself the plugin runs what is fp32 in bf16 wherever the CPU has it.
            "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32",
            # Frames side by side, rather than each spread over all cores, do more in a second. But
            # 2026.4, preparing two streams, now and then compiles an int8 network that is wrong.
            "PERFORMANCE_HINT": "LATENCY" if precision == "int8" else "THROUGHPUT",
            "PERFORMANCE_HINT_NUM_REQUESTS": _SIDE_BY_SIDE,
        }
        compiled = core.compile_model(model, "CPU", settings)
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


def load(bundle: ModelBundle, precision: str) -> OpenVinoEngine:
    """Load the bundle's model; precision is "fp32", "bf16" or "int8"."""
    return OpenVinoEngine(bundle, precision)


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
