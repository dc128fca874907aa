"""`model.onnx`: the deployable graph up to decoded boxes and class scores, before NMS."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from edgetally.conversion.network.anchors import anchors_of
from edgetally.conversion.network.deployment import INPUT_NAME
from edgetally.conversion.onnx_model.folding import fold_batch_norms
from edgetally.conversion.onnx_model.graph import OnnxNodes, Value, serialized
from edgetally.conversion.onnx_model.operators import emit
from edgetally.conversion.onnx_model.variances import with_defined_variances
from edgetally.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgetally.bundle import NmsSettings
    from edgetally.conversion.artifact.symbol import Graph
    from edgetally.conversion.network.deployment import Deployment

_BOXES, _SCORES = "boxes", "scores"


@dataclass(frozen=True)
class OnnxModel:
    """A serialized ONNX model, and how many classes (without background) and anchors it has.

    nodes counts those of the model, folded the BatchNorms that its convolutions took in.
    """

    content: bytes
    classes: int
    anchors: int
    nodes: int
    folded: int


def export_onnx(deployment: Deployment, input_size: int) -> OnnxModel:
    """Translate a deployment to ONNX, opset 17, standard operators only.

    Input `data` float32 [1, 3, S, S], RGB 0-255. Outputs `boxes` float32 [1, A, 4], corners in
    0-1 of the frame, and `scores` float32 [1, A, C]. Nothing between them holds the number of
    frames: who loads the model may set another. InputError where the network can't be translated
    or its parameters do not fit.
    """
    classes, locations, anchors = deployment.heads
    params = {name.partition(":")[2]: value for name, value in deployment.params.items()}
    params = with_defined_variances(deployment.graph, params)
    graph, weights, folded = fold_batch_norms(deployment.graph, params)
    graph, by_anchor = _with_classes_last(graph, classes)
    target = OnnxNodes(taken={INPUT_NAME, _BOXES, _SCORES})
    values: dict[int, Value] = {}
    constants: dict[str, Value] = {}
    for index in graph.ancestors((classes, locations)):
        node = graph.nodes[index]
        if node.name == INPUT_NAME:
            values[index] = Value(INPUT_NAME, (1, 3, input_size, input_size))
        elif node.op == "null":
            if node.name not in constants:
                weight = weights.pop(node.name)
                constants[node.name] = Value(target.constant(node.name, weight), weight.shape)
            values[index] = constants[node.name]
        else:
            if any(output for _, output, _ in node.inputs):
                raise InputError(f"{node} reads a second output, which is not supported")
            values[index] = emit(target, node, [values[i] for i, _, _ in node.inputs])
    shapes = {index: value.shape for index, value in values.items() if len(value.shape) == 4}
    # Of the folded graph, whose copies are left out: what they copied has a shape here.
    boxes = anchors_of(
        graph, anchors, shapes, deployment.params, most=values[locations].shape[-1] // 4
    )
    count = len(boxes)
    probabilities = values[classes]
    anchor_axis, class_axis = (1, 2) if by_anchor else (2, 1)
    if (
        len(probabilities.shape) != 3
        or (probabilities.shape[0], probabilities.shape[anchor_axis]) != (1, count)
        or values[locations].shape != (1, 4 * count)
    ):
        raise InputError(
            f"{count} anchors, classes {list(probabilities.shape)} and locations "
            f"{list(values[locations].shape)} do not belong together; "
            "image_shape must be the one that the network was trained with"
        )
    _decode(target, values[locations], boxes, deployment.nms)
    _score(target, probabilities, class_axis)
    class_count = probabilities.shape[class_axis] - 1
    nodes = len(target.nodes)
    content = serialized(
        target,
        {INPUT_NAME: (1, 3, input_size, input_size)},
        {_BOXES: (1, count, 4), _SCORES: (1, count, class_count)},
    )
    return OnnxModel(content, class_count, count, nodes, folded)


def _with_classes_last(graph: Graph, classes: int) -> tuple[Graph, bool]:
    """Let the node of the classes give [N, A, C + 1] instead of [N, C + 1, A], where it can.

    Only its own transposition stands between the two, and turning it back costs as much again.
    """
    node = graph.nodes[classes]
    softmax = node.op == "softmax" and node.integer("axis", -1) in {1, -2}
    turned = graph.nodes[node.inputs[0][0]] if softmax else node
    if turned.op != "transpose" or turned.integers("axes", ()) != (0, 2, 1):
        return graph, False
    if softmax:
        last = replace(node, attrs={**node.attrs, "axis": "2"}, inputs=turned.inputs)
    else:
        last = replace(node, op="identity", attrs={})
    nodes = (*graph.nodes[:classes], last, *graph.nodes[classes + 1 :])
    return replace(graph, nodes=nodes), True


def _decode(
    target: OnnxNodes, locations: Value, anchors: NDArray[np.float32], nms: NmsSettings
) -> None:
    # TransformLocations of MXNet's src/operator/contrib/multibox_detection.cc.
    variances = np.array(nms.variances.value, np.float32)
    low, high = anchors[:, :2], anchors[:, 2:]
    sides, centres = high - low, (low + high) / 2

    def constant(name: str, value: NDArray[np.float32] | NDArray[np.int64]) -> str:
        return target.constant(f"decode/{name}", value)

    shape = constant("locations_shape", np.array([0, -1, 4], np.int64))
    rows = target.add("Reshape", [locations.name, shape], "decode/locations")
    halves = constant("split", np.array([2, 2], np.int64))
    shift, stretch = target.add_many(
        "Split", [rows, halves], ("decode/shift", "decode/stretch"), axis=2
    )
    centre_scale = constant("centre_scale", (sides * variances[:2])[None])
    moved = target.add("Mul", [shift, centre_scale], "decode/moved")
    middle = target.add("Add", [moved, constant("centre", centres[None])], "decode/middle")
    side_variance = constant("side_variance", variances[None, None, 2:])
    growth = target.add("Mul", [stretch, side_variance], "decode/growth")
    grown = target.add("Exp", [growth], "decode/grown")
    half_side = constant("half_side", (sides / np.float32(2))[None])
    reach = target.add("Mul", [grown, half_side], "decode/reach")
    corners = [
        target.add("Sub", [middle, reach], "decode/low_corner"),
        target.add("Add", [middle, reach], "decode/high_corner"),
    ]
    if not nms.clip.value:
        target.add_last("Concat", corners, _BOXES, axis=2)
        return
    joined = target.add("Concat", corners, "decode/corners", axis=2)
    start, end = (
        constant(name, np.array(bound, np.float32))
        for name, bound in (("frame_start", 0), ("frame_end", 1))
    )
    target.add_last("Clip", [joined, start, end], _BOXES)


def _score(target: OnnxNodes, probabilities: Value, class_axis: int) -> None:
    bounds = [
        target.constant(f"decode/{name}", np.array([number], np.int64))
        for name, number in (
            ("first_class", 1),
            ("class_end", probabilities.shape[class_axis]),
            ("class_axis", class_axis),
        )
    ]
    cut = [probabilities.name, *bounds]
    if class_axis == 2:
        target.add_last("Slice", cut, _SCORES)
        return
    by_class = target.add("Slice", cut, "decode/class_scores")
    target.add_last("Transpose", [by_class], _SCORES, perm=[0, 2, 1])
