"""The int8 form of a bundle: `int8/model.onnx`, for OpenVINO and for ONNX Runtime alike."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import numpy as np

from edgetally.bundle import BundleFile, FileRole, sha256_of
from edgetally.conversion.pixels import network_input
from edgetally.detector.preprocessing import fit_input
from edgetally.errors import EdgetallyError, InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray
    from onnx import ModelProto

    from edgetally.bundle import ModelBundle
    from edgetally.conversion.onnx_model.int8_graph import QuantizedValues

INT8_PATH = "int8/model.onnx"
ENOUGH_IMAGES = 20


def quantize(
    bundle: ModelBundle,
    frames: Iterable[NDArray[np.uint8]],
    folder: Path,
    tell: Callable[[str], None],
) -> dict[FileRole, BundleFile]:
    """Write the bundle's network in int8 into its folder and return the new file.

    frames: calibration pictures, uint8 BGR [H, W, 3]; one at a time is held. The same pictures
    give the same bytes. tell: hears where there are few of them.

    Raises InputError where onnx or onnxruntime is missing or there are no frames, EdgetallyError
    where the network's values are not finite on a frame.
    """
    try:
        import onnx  # noqa: PLC0415 - an extra

        from edgetally.conversion.onnx_model import int8_graph  # noqa: PLC0415 - owns onnx

        importlib.import_module("edgetally.engines.onnxruntime")
    except ImportError as error:
        raise InputError(
            f"--calibration needs onnx and onnxruntime ({error}); pip install 'edgetally[convert]'"
        ) from None
    model = onnx.load(bundle.file("onnx"))
    int8_graph.without_batch_norms(model)
    values = int8_graph.values_to_quantize(model)
    extremes = _measured(bundle, model, values, frames)
    if len(extremes) < ENOUGH_IMAGES:
        tell(
            f"int8 was calibrated on {len(extremes)} image{'s' * (len(extremes) > 1)} only; "
            "a hundred of what the cameras will see make it more exact"
        )
    int8_graph.quantize_graph(model, values, _ranges(bundle, model, values, extremes))
    onnx.checker.check_model(model, full_check=True)
    path = folder / INT8_PATH
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(model.SerializeToString(deterministic=True))
    return {"onnx-int8": BundleFile(path=INT8_PATH, sha256=sha256_of(path))}


def _measured(
    bundle: ModelBundle,
    model: ModelProto,
    values: QuantizedValues,
    frames: Iterable[NDArray[np.uint8]],
) -> NDArray[np.float64]:
    """The least and largest number of each value on each frame, [N, V, 2]."""
    import onnx  # noqa: PLC0415 - an extra

    from edgetally.engines.onnxruntime import run_model  # noqa: PLC0415 - an extra

    measuring = onnx.ModelProto()
    measuring.CopyFrom(model)
    outputs = []
    for number, name in enumerate(values.names):
        for kind in ("ReduceMin", "ReduceMax"):
            output = f"measured/{number}/{kind}"
            outputs.append(output)
            node = onnx.helper.make_node(kind, [name], [output], name=output, keepdims=0)
            measuring.graph.node.append(node)
            entry = onnx.helper.make_tensor_value_info(output, onnx.TensorProto.FLOAT, ())
            measuring.graph.output.append(entry)

    def inputs() -> Iterator[dict[str, NDArray[np.float32]]]:
        for frame in frames:
            square = fit_input(frame, bundle.input_size)[np.newaxis]
            yield {"data": network_input(square, bundle)}

    rows = list(run_model(measuring.SerializeToString(), outputs, inputs()))
    if not rows:
        raise InputError("there are no calibration images; give --calibration some")
    extremes = np.array(rows, np.float64).reshape(len(rows), len(values.names), 2)
    for number, row in enumerate(extremes, start=1):
        if not np.isfinite(row).all():
            name = values.names[int(np.argmin(np.isfinite(row).all(axis=1)))]
            raise EdgetallyError(
                f"the network's {name} is not finite on calibration image {number}; "
                "leave that image out, or train the model again"
            )
    return extremes


def _ranges(
    bundle: ModelBundle,
    model: ModelProto,
    values: QuantizedValues,
    extremes: NDArray[np.float64],
) -> dict[str, tuple[float, float]]:
    # The median over the frames: a trained network has pictures on which a value grows a hundred
    # times as large as on all others, and their range would leave the others few steps of 256.
    least = np.median(extremes[:, :, 0], axis=0)
    largest = np.median(extremes[:, :, 1], axis=0)
    # A value that is never negative needs no half of its steps below zero.
    least = np.where((extremes[:, :, 0] >= 0).all(axis=0), 0, np.minimum(least, 0))
    measured = zip(values.names, least.tolist(), largest.tolist(), strict=True)
    ranges = {name: (low, max(high, 0.0)) for name, low, high in measured}
    return ranges | dict.fromkeys((entry.name for entry in model.graph.input), _pixels(bundle))


def _pixels(bundle: ModelBundle) -> tuple[float, float]:
    """The range of what the network reads; no picture needs to be asked."""
    mean, scale = np.array(bundle.mean), np.array(bundle.scale)
    ends: Any = np.stack([(0 - mean) * scale, (255 - mean) * scale])
    return float(ends.min()), float(ends.max())
