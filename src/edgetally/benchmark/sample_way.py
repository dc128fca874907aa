"""The way of the original sample: read, convert, run and filter a frame, one after the other.

This is what people wrote around SageMaker's artifact on Greengrass v1, in our own words: nothing
runs beside anything else, and MXNet's graph ends in its own `MultiBoxDetection`.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import cv2
import numpy as np

from edgetally.benchmark.stopwatch import time_steps
from edgetally.errors import EdgetallyError
from edgetally.mxnet_compat import import_mxnet

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgetally.benchmark.measurement import Measured
    from edgetally.bundle import ModelBundle

_THRESHOLD = 0.5


def measure_sample(bundle: ModelBundle, video: str, *, warm_up: float, seconds: float) -> Measured:
    """Run it over a video, again from the start when that ends.

    Latencies count from the end of `read` until the boxes are known. InputError without MXNet.
    """
    mx = import_mxnet()
    size = bundle.input_size
    symbol = mx.sym.load(str(bundle.file("mxnet-symbol")))
    stored = mx.nd.load(str(bundle.file("mxnet-params")))
    module = mx.mod.Module(symbol=symbol, label_names=None, context=mx.cpu())
    module.bind(for_training=False, data_shapes=[("data", (1, 3, size, size))])
    module.set_params(
        *(
            {name[4:]: array for name, array in stored.items() if name.startswith(kind)}
            for kind in ("arg:", "aux:")
        ),
        allow_missing=True,
        allow_extra=True,
    )
    capture = cv2.VideoCapture(video)
    latencies: list[float] = []

    def step() -> None:
        nonlocal capture
        has_frame, frame = capture.read()
        if not has_frame:
            capture = cv2.VideoCapture(video)
            has_frame, frame = capture.read()
            if not has_frame:
                raise EdgetallyError(f"{video} can't be read")
        began = time.perf_counter()
        picture = cv2.resize(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB), (size, size))
        picture = np.swapaxes(np.swapaxes(picture, 0, 2), 1, 2)[np.newaxis]
        module.forward(mx.io.DataBatch([mx.nd.array(picture)]), is_train=False)
        _found(module.get_outputs()[0].asnumpy())
        latencies.append((time.perf_counter() - began) * 1000)

    measured = time_steps(step, warm_up=warm_up, seconds=seconds)
    return measured.model_copy(
        update={
            "engine": "mxnet",
            "precision": "fp32",
            "latencies": tuple(latencies[-measured.frames :]),
        }
    )


def _found(output: NDArray[np.float32]) -> list[tuple[int, float, list[float]]]:
    """Rows (class, score, box) of MultiBoxDetection's output [1, A, 6] above the threshold."""
    return [
        (int(row[0]), float(row[1]), row[2:].tolist())
        for row in np.squeeze(output, axis=0)
        if row[0] >= 0 and row[1] > _THRESHOLD
    ]
