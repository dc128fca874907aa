"""Networks of GluonCV's model zoo: an exported SSD, cut to what a device runs.

`HybridBlock.export` leaves a graph that decodes boxes in pixels (`_contrib_box_decode`), lays the
rows of each class one after the other and ends in `_contrib_box_nms`. Here boxes are decoded in
0-1 of the frame instead, from anchors that are divided by the input's size; the rest stays.
The structure is that of gluoncv 0.10.5 (model_zoo/ssd/ssd.py, nn/coder.py).
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from edgetally.bundle import NmsSettings, Setting
from edgetally.conversion.artifact.symbol import Entry, Graph, Node
from edgetally.conversion.network.deployment import (
    ANCHORS_NAME,
    CLASSES_NAME,
    DETECTION_NAME,
    LOCATIONS_NAME,
    UPGRADED,
    Deployment,
    NetworkInput,
    refuse_strangers,
    remaining,
)
from edgetally.conversion.network.settings import Chooser, NmsOverrides
from edgetally.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from numpy.typing import NDArray

    from edgetally.conversion.artifact.archive import TrainingArtifact

_NMS_OP = "_contrib_box_nms"
_DECODE_OP = "_contrib_box_decode"
_FLOOR_OP = "_greater_scalar"
# ImageNet's mean and deviation, with which gluoncv normalizes pictures of 0-1.
_MEAN = (123.675, 116.28, 103.53)
_SCALE = (1 / 58.395, 1 / 57.12, 1 / 57.375)
_REMEDY = "export an SSD of GluonCV's model zoo with HybridBlock.export"


@dataclass(frozen=True)
class Parts:
    """Where the nodes lie that an exported SSD is cut and read at, by index."""

    probabilities: int
    decode: int
    nms: int
    rows: int


def is_gluoncv(graph: Graph) -> bool:
    """Tell whether a graph suppresses as GluonCV's detectors do."""
    return any(node.op == _NMS_OP for node in graph.nodes)


def parts_of(graph: Graph) -> Parts:
    """Find the parts of an SSD. InputError where the graph is another kind of detector."""

    def only(op: str) -> int:
        found = [index for index, node in enumerate(graph.nodes) if node.op == op]
        if len(found) != 1 or not graph.nodes[found[0]].inputs:
            raise InputError(
                f"the network has {len(found)} nodes of {op} where an SSD has one; {_REMEDY}"
            )
        return found[0]

    nms = only(_NMS_OP)
    cut = [
        index
        for index, node in enumerate(graph.nodes)
        if node.op == "slice_axis"
        and node.inputs[0][0] == nms
        and (node.integer("axis", 0), node.text("begin", "")) == (1, "0")
    ]
    parts = Parts(only("softmax"), only(_DECODE_OP), nms, cut[0] if cut else nms)
    softmax, decode, node = (graph.nodes[i] for i in (parts.probabilities, parts.decode, nms))
    wanted = {"id_index": 0, "score_index": 1, "coord_start": 2, "background_id": -1}
    defaults = {"id_index": -1, "score_index": 1, "coord_start": 2, "background_id": -1}
    if any(node.integer(key, defaults[key]) != value for key, value in wanted.items()) or any(
        node.text(key, "corner") != "corner" for key in ("in_format", "out_format")
    ):
        raise InputError(f"{node}: rows other than (id, score, corners) are not supported")
    if decode.text("format", "center") != "center" or decode.number("clip", -1) > 0:
        raise InputError(f"{decode}: only unclipped boxes from centre anchors are supported")
    if softmax.integer("axis", -1) not in {-1, 2}:
        raise InputError(f"{softmax}: classes must lie on the last axis")
    return parts


def deploy_gluoncv(
    artifact: TrainingArtifact,
    overrides: NmsOverrides,
    image_shape: int | None,
    warn: Callable[[str], None],
) -> Deployment:
    """Cut an exported SSD. image_shape is the input's side; None takes it from the anchors.

    InputError where the graph is no SSD of GluonCV, or its parameters do not fit.
    """
    graph = artifact.graph
    parts = parts_of(graph)
    size = image_shape or _input_size(graph, parts, artifact.params)
    _tell_other_size(size, graph, parts, artifact.params, warn)
    nms = _nms_settings(graph, parts, overrides, warn)
    cut = _normalized(with_settings(graph, nms), parts, size)
    refuse_strangers(graph, artifact.params)
    return Deployment(
        cut,
        remaining(cut, artifact.params),
        nms,
        NetworkInput(size, _MEAN, _SCALE),
        artifact.name,
    )


def with_settings(graph: Graph, nms: NmsSettings) -> Graph:
    """Write settings into an exported graph's own nodes."""
    floor = str(nms.score_floor.value)
    attributes = {
        _NMS_OP: {
            "overlap_thresh": str(nms.threshold.value),
            "topk": str(nms.topk.value),
            "force_suppress": str(nms.force_suppress.value),
            "valid_thresh": floor,
        },
        _FLOOR_OP: {"scalar": floor},
    }
    nodes = [
        replace(node, attrs={**node.attrs, **attributes[node.op]})
        if node.op in attributes
        else node
        for node in graph.nodes
    ]
    return replace(graph, nodes=tuple(nodes))


def _nms_settings(
    graph: Graph, parts: Parts, overrides: NmsOverrides, warn: Callable[[str], None]
) -> NmsSettings:
    node, decode, rows = (graph.nodes[i] for i in (parts.nms, parts.decode, parts.rows))
    chosen = Chooser(node, None, warn)
    floor = chosen("valid_thresh", lambda n: n.number("valid_thresh", 0), overrides.score_floor)
    floors = [n.number("scalar", 0) for n in graph.nodes if n.op == _FLOOR_OP]
    if overrides.score_floor is None and max(floors, default=0) > floor.value:
        floor = Setting(value=max(floors), source="symbol")
    std = [decode.number(f"std{i}", 1) for i in range(4)]
    topk = chosen("topk", lambda n: n.integer("topk", -1), overrides.topk)
    if topk.value == 0:
        raise InputError(f"{node}: topk=0, which suppresses nothing, is not supported")
    return NmsSettings(
        algorithm="box_nms",
        threshold=chosen(
            "overlap_thresh", lambda n: n.number("overlap_thresh", 0.5), overrides.threshold
        ),
        topk=topk,
        force_suppress=chosen(
            "force_suppress", lambda n: n.flag("force_suppress", False), overrides.force_suppress
        ),
        score_floor=floor,
        clip=Setting(value=False, source="symbol"),
        variances=Setting(value=(std[0], std[1], std[2], std[3]), source="symbol"),
        max_detections=Setting(
            value=rows.integer("end", -1) if rows is not node else -1, source="symbol"
        ),
    )


def _tell_other_size(
    size: int,
    graph: Graph,
    parts: Parts,
    params: Mapping[str, NDArray[Any]],
    warn: Callable[[str], None],
) -> None:
    with suppress(InputError):  # then only the command line tells
        made_for = _input_size(graph, parts, params)
        if made_for != size:
            warn(
                f"image_shape is {size} on the command line but the anchors are for {made_for}; "
                "the command line wins"
            )


def _input_size(graph: Graph, parts: Parts, params: Mapping[str, NDArray[Any]]) -> int:
    """Read the input's side off the anchors: those of the last scale are one input apart."""
    anchors = graph.nodes[parts.decode].inputs[1][0]
    steps = []
    for index in graph.ancestors([anchors]):
        node = graph.nodes[index]
        if node.op != "slice_like":
            continue
        array = params.get(f"arg:{graph.nodes[node.inputs[0][0]].name}")
        if array is not None and array.ndim == 5 and array.shape[3] > 1:
            steps.append(float(array[0, 0, 0, 1, 0] - array[0, 0, 0, 0, 0]))
    if not steps or not max(steps) >= 1 or max(steps) != round(max(steps)):
        raise InputError(
            "the input's size can't be read off the network's anchors; give it with --image-shape"
        )
    return round(max(steps))


def _normalized(graph: Graph, parts: Parts, size: int) -> Graph:
    """Decode in 0-1 of the frame, and name the nodes that a `Deployment` promises."""
    nodes: list[Node] = []
    moved: dict[int, Entry] = {}

    def add(op: str, name: str, attrs: dict[str, str], *inputs: Entry) -> Entry:
        nodes.append(Node(op, name, attrs, inputs))
        return len(nodes) - 1, 0, 0

    for index in graph.ancestors([parts.rows]):
        node = graph.nodes[index]
        inputs = tuple((moved[i][0], output, version) for i, output, version in node.inputs)
        if index == parts.probabilities:
            turned = add("transpose", "cls_pred", {"axes": "(0, 2, 1)"}, *inputs)
            softmax = add("softmax", CLASSES_NAME, {"axis": "1"}, turned)
            moved[index] = add("transpose", "anchor_cls_prob", {"axes": "(0, 2, 1)"}, softmax)
        elif index == parts.decode:
            flat = add("Flatten", LOCATIONS_NAME, {}, inputs[0])
            shaped = add("Reshape", "loc_pred", {"shape": "(0, -1, 4)"}, flat)
            corners = _corner_anchors(add, inputs[1], size)
            attrs = {**node.attrs, "format": "corner"}
            moved[index] = add(node.op, node.name, attrs, shaped, corners)
        else:
            name = DETECTION_NAME if index == parts.rows else node.name
            moved[index] = add(node.op, name, dict(node.attrs), *inputs)
    return Graph(tuple(nodes), (moved[parts.rows],), UPGRADED)


def _corner_anchors(add: Callable[..., Entry], anchors: Entry, size: int) -> Entry:
    scaled = add("_div_scalar", "anchors", {"scalar": str(size)}, anchors)
    centre = add("slice_axis", "anchor_centre", {"axis": "2", "begin": "0", "end": "2"}, scaled)
    side = add("slice_axis", "anchor_side", {"axis": "2", "begin": "2", "end": "4"}, scaled)
    half = add("_div_scalar", "anchor_half_side", {"scalar": "2"}, side)
    low = add("elemwise_sub", "anchor_low_corner", {}, centre, half)
    high = add("elemwise_add", "anchor_high_corner", {}, centre, half)
    return add("Concat", ANCHORS_NAME, {"dim": "2", "num_args": "2"}, low, high)
