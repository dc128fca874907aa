"""`model.onnx`: the deployable graph up to decoded boxes and class scores, before NMS."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from onnx import TensorProto, ValueInfoProto, checker, helper, shape_inference

from edgetally.conversion.anchors import anchors_of
from edgetally.conversion.deployment import INPUT_NAME
from edgetally.conversion.onnx_operators import OnnxNodes, Value, emit
from edgetally.errors import EdgetallyError, InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgetally.bundle import NmsSettings
    from edgetally.conversion.deployment import Deployment

_OPSET = 17
_IR_VERSION = 8  # the one of opset 17's release; older runtimes refuse newer ones


@dataclass(frozen=True)
class OnnxModel:
    """A serialized ONNX model, and how many classes (without background) and anchors it has."""

    content: bytes
    classes: int
    anchors: int


def export_onnx(deployment: Deployment, input_size: int) -> OnnxModel:
    """Translate a deployment to ONNX, opset 17, standard operators only.

    Input `data` float32 [1, 3, S, S], RGB 0-255. Outputs `boxes` float32 [1, A, 4], corners in
    0-1 of the frame, and `scores` float32 [1, A, C]. InputError where the network can't be
    translated or its parameters do not fit.
    """
    graph = deployment.graph
    classes, locations, anchors = deployment.heads
    weights = {name.partition(":")[2]: value for name, value in deployment.params.items()}
    target = OnnxNodes()
    values: dict[int, Value] = {}
    for index in graph.ancestors((classes, locations)):
        node = graph.nodes[index]
        if node.name == INPUT_NAME:
            values[index] = Value(INPUT_NAME, (1, 3, input_size, input_size))
        elif node.op == "null":
            weight = weights[node.name]
            values[index] = Value(target.constant(node.name, weight), weight.shape)
        else:
            if any(output for _, output, _ in node.inputs):
                raise InputError(f"{node} reads a second output, which is not supported")
            values[index] = emit(target, node, [values[i] for i, _, _ in node.inputs])
    shapes = {index: value.shape for index, value in values.items() if len(value.shape) == 4}
    boxes = anchors_of(graph, anchors, shapes)
    probabilities = values[classes]
    count = len(boxes)
    if probabilities.shape[::2] != (1, count) or values[locations].shape != (1, 4 * count):
        raise InputError(
            f"{count} anchors, classes {list(probabilities.shape)} and locations "
            f"{list(values[locations].shape)} do not belong together; "
            "image_shape must be the one that the network was trained with"
        )
    _decode(target, values[locations], boxes, deployment.nms)
    _scores(target, probabilities)
    class_count = probabilities.shape[1] - 1
    return OnnxModel(_serialized(target, input_size, count, class_count), class_count, count)


def _decode(
    target: OnnxNodes, locations: Value, anchors: NDArray[np.float32], nms: NmsSettings
) -> None:
    # TransformLocations of MXNet's src/operator/contrib/multibox_detection.cc.
    variances = np.array(nms.variances.value, np.float32)
    low, high = anchors[:, :2], anchors[:, 2:]
    sides, centres = high - low, (low + high) / 2
    split = target.constant("decode/split", np.array([2, 2], np.int64))
    rows = target.constant("decode/locations_shape", np.array([0, -1, 4], np.int64))
    centre_scale = target.constant("decode/centre_scale", (sides * variances[:2])[None])
    centre = target.constant("decode/centre", centres[None])
    half_variance = target.constant("decode/side_variance", variances[None, None, 2:])
    half_side = target.constant("decode/half_side", (sides / 2)[None])
    target.add("Reshape", [locations.name, rows], "decode/locations")
    target.add(
        "Split",
        ["decode/locations", split],
        "decode/split_locations",
        ["decode/shift", "decode/stretch"],
        axis=2,
    )
    target.add(
        "Add",
        [target.add("Mul", ["decode/shift", centre_scale], "decode/moved"), centre],
        "decode/middle",
    )
    grown = target.add(
        "Exp",
        [target.add("Mul", ["decode/stretch", half_variance], "decode/growth")],
        "decode/grown",
    )
    target.add("Mul", [grown, half_side], "decode/reach")
    low_name = target.add("Sub", ["decode/middle", "decode/reach"], "decode/low_corner")
    high_name = target.add("Add", ["decode/middle", "decode/reach"], "decode/high_corner")
    if not nms.clip.value:
        target.add("Concat", [low_name, high_name], "boxes", axis=2)
        return
    target.add("Concat", [low_name, high_name], "decode/corners", axis=2)
    bounds = [
        target.constant(name, np.array(bound, np.float32))
        for name, bound in (("decode/frame_start", 0), ("decode/frame_end", 1))
    ]
    target.add("Clip", ["decode/corners", *bounds], "boxes")


def _scores(target: OnnxNodes, probabilities: Value) -> None:
    first = target.constant("decode/first_class", np.array([1], np.int64))
    end = target.constant("decode/class_end", np.array([probabilities.shape[1]], np.int64))
    axis = target.constant("decode/class_axis", np.array([1], np.int64))
    target.add("Slice", [probabilities.name, first, end, axis], "decode/class_scores")
    target.add("Transpose", ["decode/class_scores"], "scores", perm=[0, 2, 1])


def _serialized(target: OnnxNodes, size: int, anchors: int, classes: int) -> bytes:
    def tensor(name: str, *shape: int) -> ValueInfoProto:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    graph = helper.make_graph(
        target.nodes,
        "edgetally",
        [tensor(INPUT_NAME, 1, 3, size, size)],
        [tensor("boxes", 1, anchors, 4), tensor("scores", 1, anchors, classes)],
        initializer=list(target.constants.values()),
    )
    model = helper.make_model(
        graph,
        producer_name="edgetally",
        ir_version=_IR_VERSION,
        opset_imports=[helper.make_opsetid("", _OPSET)],
    )
    try:
        checker.check_model(model, full_check=True)
    except (checker.ValidationError, shape_inference.InferenceError) as error:
        reason = str(error).splitlines()[0]
        raise EdgetallyError(f"the ONNX model does not pass its checker ({reason})") from error
    content: bytes = model.SerializeToString(deterministic=True)
    return content
