"""The cut: from the graph a training job leaves to the graph a device runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edgetally.bundle import NmsSettings
from edgetally.conversion.artifact.archive import HYPERPARAMETERS_NAME
from edgetally.conversion.artifact.symbol import Entry, Graph, Node
from edgetally.conversion.network.settings import LEAST, MOST, Chooser, NmsOverrides
from edgetally.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from edgetally.conversion.artifact.archive import TrainingArtifact

CLASSES_NAME = "cls_prob"
LOCATIONS_NAME = "multibox_loc_pred"
ANCHORS_NAME = "multibox_anchors"
DETECTION_NAME = "detection"
INPUT_NAME = "data"
UPGRADED = {"mxnet_version": ["int", 10901]}
"""What a graph says of itself whose attributes are written as MXNet 1.9.1 writes them."""
DETECTION_HEAD = "det_out"
_FED = {INPUT_NAME, "label"}
_WRAPPERS = {"MakeLoss", "make_loss", "BlockGrad", "stop_gradient", "_copy", "identity"}
_DETECTION_OP = "_contrib_MultiBoxDetection"
_VARIANCES = (0.1, 0.1, 0.2, 0.2)
_ASK_FOR_DETECTION = "is this a SageMaker object detection artifact?"


@dataclass(frozen=True)
class NetworkInput:
    """What the network reads: RGB [N, 3, size, size], (pixel - mean) * scale of 0-255 values."""

    size: int
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    scale: tuple[float, float, float] = (1.0, 1.0, 1.0)


@dataclass(frozen=True)
class Deployment:
    """The graph from `data` to `detection`, its parameters (float32) and its settings.

    detection's rows are [class_id, score, xmin, ymin, xmax, ymax], class_id -1 for none. On the
    way lie the nodes `cls_prob` [N, C + 1, A], `multibox_loc_pred` [N, A * 4] and
    `multibox_anchors` [1, A, 4], corner form in 0-1.
    """

    graph: Graph
    params: dict[str, NDArray[np.float32]]
    nms: NmsSettings
    network_input: NetworkInput
    architecture: str

    @property
    def heads(self) -> tuple[int, int, int]:
        """The nodes of classes, locations and anchors."""
        classes, locations, anchors = (
            _head(self.graph, name) for name in (CLASSES_NAME, LOCATIONS_NAME, ANCHORS_NAME)
        )
        return classes, locations, anchors


def deploy_sagemaker(
    artifact: TrainingArtifact, overrides: NmsOverrides, warn: Callable[[str], None]
) -> Deployment:
    """Cut the training graph: heads for training go, MultiBoxDetection stays as the only one.

    warn hears of a contradiction between command line, symbol and hyperparameters. InputError
    where the graph is not that of the Object Detection algorithm, or its parameters do not fit.
    """
    graph = artifact.graph
    classes = _head(graph, CLASSES_NAME)
    if graph.nodes[classes].op in {"softmax", "SoftmaxActivation"}:
        raise InputError(
            "this artifact was deployed already; give the model.tar.gz that the training job wrote"
        )
    if graph.nodes[classes].op != "SoftmaxOutput" or not graph.nodes[classes].inputs:
        raise InputError(f"{graph.nodes[classes]} should be a SoftmaxOutput; {_ASK_FOR_DETECTION}")
    locations = _head(graph, LOCATIONS_NAME)
    anchors = _head(graph, ANCHORS_NAME)
    nms = _nms_settings(detection_of(graph), artifact.hyperparameters, overrides, warn)
    nodes = list(graph.nodes)
    nodes[classes] = Node("softmax", CLASSES_NAME, {"axis": "1"}, graph.nodes[classes].inputs[:1])
    inputs: tuple[Entry, ...] = ((classes, 0, 0), (locations, 0, 0), (anchors, 0, 0))
    nodes.append(Node(_DETECTION_OP, DETECTION_NAME, detection_attributes(nms), inputs))
    cut = Graph(tuple(nodes), ((len(nodes) - 1, 0, 0),), UPGRADED).pruned()
    _refuse_other_detection(graph)
    refuse_strangers(graph, artifact.params)
    return Deployment(
        cut,
        remaining(cut, artifact.params),
        nms,
        NetworkInput(whole_number(artifact.hyperparameters, "image_shape")),
        _architecture(graph, artifact.hyperparameters, warn),
    )


def _architecture(
    graph: Graph, hyperparameters: Mapping[str, str], warn: Callable[[str], None]
) -> str:
    """Tell the two networks of the algorithm apart: only resnet-50 normalizes batches."""
    is_resnet = any(node.op == "BatchNorm" for node in graph.nodes)
    found = "resnet-50" if is_resnet else "vgg-16"
    told = hyperparameters.get("base_network", found)
    if told != found and told in {"resnet-50", "vgg-16"}:
        warn(
            f"base_network is {found} in the symbol but {told} in the hyperparameters; "
            "the symbol wins"
        )
        return found
    return told


def detection_of(graph: Graph) -> Node | None:
    """Return the MultiBoxDetection that the training job watched its mAP with, if it has one."""
    return next((node for node in graph.nodes if node.op == _DETECTION_OP), None)


def detection_attributes(nms: NmsSettings) -> dict[str, str]:
    """Write settings as the attributes of a MultiBoxDetection node."""
    return {
        "clip": str(nms.clip.value),
        "force_suppress": str(nms.force_suppress.value),
        "nms_threshold": str(nms.threshold.value),
        "nms_topk": str(nms.topk.value),
        "threshold": str(nms.score_floor.value),
        "variances": str(nms.variances.value),
    }


def whole_number(settings: Mapping[str, str], key: str) -> int:
    """Return a hyperparameter as a positive whole number. InputError where it is none."""
    if key not in settings:
        raise InputError(f"{HYPERPARAMETERS_NAME} lacks {key}; {_ASK_FOR_DETECTION}")
    try:
        value = int(settings[key])
    except ValueError:
        value = 0
    if value < 1:
        raise InputError(
            f"{HYPERPARAMETERS_NAME}: {key} is {settings[key]!r}, which is no positive whole "
            f"number; {_ASK_FOR_DETECTION}"
        )
    return value


def refuse_strangers(graph: Graph, params: Mapping[str, NDArray[np.generic]]) -> None:
    """Raise InputError where the parameters hold something that the network does not name."""
    states = _states(graph)
    known = {
        f"{'aux' if index in states else 'arg'}:{node.name}"
        for index, node in enumerate(graph.nodes)
        if node.op == "null" and node.name not in _FED
    }
    for name in params:
        if name not in known:
            raise InputError(
                f"the parameters hold {name}, which the network does not have; "
                "symbol and parameters must come from the same training job"
            )


def remaining(
    graph: Graph, params: Mapping[str, NDArray[np.generic]]
) -> dict[str, NDArray[np.float32]]:
    """Return the parameters that a graph needs, as float32, in its order.

    InputError where one is missing, is no number or not finite.
    """
    kept: dict[str, NDArray[np.float32]] = {}
    states = _states(graph)
    for index, node in enumerate(graph.nodes):
        if node.op != "null" or node.name == INPUT_NAME:
            continue
        name = f"{'aux' if index in states else 'arg'}:{node.name}"
        if name not in params:
            raise InputError(
                f"the parameters hold no {node.name}, which the network needs as {name}; "
                "symbol and parameters must come from the same training job"
            )
        if not params[name].size:
            raise InputError(f"parameter {node.name} holds no number; train the model again")
        with np.errstate(over="ignore"):
            kept[name] = params[name].astype(np.float32, copy=False)
        if not np.isfinite(kept[name]).all():
            raise InputError(f"parameter {node.name} is not finite; train the model again")
    return kept


def _states(graph: Graph) -> set[int]:
    """Find MXNet's auxiliary states: the moving mean and variance of each BatchNorm."""
    return {
        source
        for node in graph.nodes
        if node.op == "BatchNorm"
        for source, _, _ in node.inputs[3:5]
    }


def _refuse_other_detection(graph: Graph) -> None:
    """Refuse a head that detects by an operator which the deployable graph would not have."""
    for name in (DETECTION_HEAD, DETECTION_NAME):
        index = graph.find(name)
        while index is not None and graph.nodes[index].op in _WRAPPERS:
            index = graph.nodes[index].inputs[0][0] if graph.nodes[index].inputs else None
        if index is not None and graph.nodes[index].op != _DETECTION_OP:
            raise InputError(
                f"{graph.nodes[index]} should be a {_DETECTION_OP}; {_ASK_FOR_DETECTION}"
            )


def _head(graph: Graph, name: str) -> int:
    found = graph.find(name)
    if found is None:
        raise InputError(f"the network has no node {name}; {_ASK_FOR_DETECTION}")
    return found


def _nms_settings(
    trained: Node | None,
    hyperparameters: Mapping[str, str],
    overrides: NmsOverrides,
    warn: Callable[[str], None],
) -> NmsSettings:
    if trained and trained.integer("background_id", 0) != 0:
        raise InputError(f"{trained}: a background_id other than 0 is not supported")
    job = Node("hyperparameters", HYPERPARAMETERS_NAME, hyperparameters)
    chosen = Chooser(trained, job, warn)

    def variances(node: Node) -> tuple[float, float, float, float]:
        found = node.numbers("variances", _VARIANCES)
        if len(found) != 4 or not LEAST <= min(found) <= max(found) <= 1 / LEAST:
            raise InputError(f"{node}: variances={found} should be four numbers above 0")
        return found[0], found[1], found[2], found[3]

    def topk(node: Node) -> int:
        found = node.integer("nms_topk", -1)
        if not -MOST <= found <= MOST:
            raise InputError(f"{node}: nms_topk={found} should be at most {MOST}")
        return found

    # The defaults are those of MXNet's MultiBoxDetectionParam.
    return NmsSettings(
        threshold=chosen(
            "nms_threshold", lambda n: n.number("nms_threshold", 0.5), overrides.threshold
        ),
        topk=chosen("nms_topk", topk, overrides.topk),
        force_suppress=chosen(
            "force_suppress", lambda n: n.flag("force_suppress", False), overrides.force_suppress
        ),
        score_floor=chosen(
            "threshold", lambda n: n.number("threshold", 0.01), overrides.score_floor
        ),
        clip=chosen("clip", lambda n: n.flag("clip", True)),
        variances=chosen("variances", variances),
    )
