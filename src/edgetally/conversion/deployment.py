"""The cut: from the graph a training job leaves to the graph a device runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from edgetally.bundle import NmsSettings, Setting, Source
from edgetally.conversion.archive import HYPERPARAMETERS_NAME
from edgetally.conversion.symbol import Entry, Graph, Node
from edgetally.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from edgetally.conversion.archive import TrainingArtifact

CLASSES_NAME = "cls_prob"
LOCATIONS_NAME = "multibox_loc_pred"
ANCHORS_NAME = "multibox_anchors"
DETECTION_NAME = "detection"
INPUT_NAME = "data"
_DETECTION_OP = "_contrib_MultiBoxDetection"
_VARIANCES = (0.1, 0.1, 0.2, 0.2)
_ASK_FOR_DETECTION = "is this a SageMaker object detection artifact?"

T = TypeVar("T")


@dataclass(frozen=True)
class Deployment:
    """The graph from `data` to `detection`, its parameters (float32) and its NMS settings.

    detection's rows are [class_id, score, xmin, ymin, xmax, ymax], class_id -1 for none. Its
    inputs are the nodes `classes` [N, C + 1, A], `locations` [N, A * 4] and `anchors` [1, A, 4].
    """

    graph: Graph
    params: dict[str, NDArray[np.float32]]
    nms: NmsSettings

    @property
    def heads(self) -> tuple[int, int, int]:
        """The nodes of classes, locations and anchors."""
        classes, locations, anchors = (entry[0] for entry in self.graph.nodes[-1].inputs)
        return classes, locations, anchors


def deploy(artifact: TrainingArtifact, tell: Callable[[str], None]) -> Deployment:
    """Cut the training graph: heads for training go, MultiBoxDetection stays as the only one.

    tell hears of a contradiction between symbol and hyperparameters. InputError where the graph
    is not that of the Object Detection algorithm, or a parameter is missing or not finite.
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
    nms = _nms_settings(detection_of(graph), artifact.hyperparameters, tell)
    nodes = list(graph.nodes)
    nodes[classes] = Node("softmax", CLASSES_NAME, {"axis": "1"}, graph.nodes[classes].inputs[:1])
    inputs: tuple[Entry, ...] = ((classes, 0, 0), (locations, 0, 0), (anchors, 0, 0))
    nodes.append(Node(_DETECTION_OP, DETECTION_NAME, _attributes(nms), inputs))
    cut = Graph(tuple(nodes), ((len(nodes) - 1, 0, 0),), graph.attrs).pruned()
    return Deployment(cut, _remaining(cut, artifact.params), nms)


def detection_of(graph: Graph) -> Node | None:
    """Return the MultiBoxDetection that the training job watched its mAP with, if it has one."""
    return next((node for node in graph.nodes if node.op == _DETECTION_OP), None)


def _head(graph: Graph, name: str) -> int:
    found = graph.find(name)
    if found is None:
        raise InputError(f"the network has no node {name}; {_ASK_FOR_DETECTION}")
    return found


def _nms_settings(
    trained: Node | None, hyperparameters: Any, tell: Callable[[str], None]
) -> NmsSettings:
    symbol: list[tuple[Source, Node]] = [("symbol", trained)] if trained else []
    job = Node("hyperparameters", HYPERPARAMETERS_NAME, hyperparameters)
    both: list[tuple[Source, Node]] = [*symbol, ("hyperparameters", job)]
    if trained and trained.integer("background_id", 0) != 0:
        raise InputError(f"{trained}: a background_id other than 0 is not supported")

    def variances(node: Node) -> tuple[float, float, float, float]:
        found = node.numbers("variances", _VARIANCES)
        if len(found) != 4 or min(found) <= 0:
            raise InputError(f"{node}: variances={found} should be four numbers above 0")
        return found[0], found[1], found[2], found[3]

    # The defaults are those of MXNet's MultiBoxDetectionParam.
    return NmsSettings(
        threshold=_chosen("nms_threshold", both, lambda n: n.number("nms_threshold", 0.5), tell),
        topk=_chosen("nms_topk", both, lambda n: n.integer("nms_topk", -1), tell),
        force_suppress=_chosen(
            "force_suppress", symbol, lambda n: n.flag("force_suppress", False), tell
        ),
        score_floor=_chosen("threshold", symbol, lambda n: n.number("threshold", 0.01), tell),
        clip=_chosen("clip", symbol, lambda n: n.flag("clip", True), tell),
        variances=_chosen("variances", symbol, variances, tell),
    )


def _chosen(
    key: str,
    sources: Sequence[tuple[Source, Node]],
    read: Callable[[Node], T],
    tell: Callable[[str], None],
) -> Setting[T]:
    found = [(read(node), source) for source, node in sources if key in node.attrs]
    if not found:
        return Setting(value=read(Node("", "", {})), source="default")
    (value, source), *others = found
    for other, elsewhere in others:
        if other != value:
            tell(f"{key} is {value} in the {source} but {other} in {elsewhere}; the {source} wins")
    return Setting(value=value, source=source)


def _attributes(nms: NmsSettings) -> dict[str, str]:
    return {
        "clip": str(nms.clip.value),
        "force_suppress": str(nms.force_suppress.value),
        "nms_threshold": str(nms.threshold.value),
        "nms_topk": str(nms.topk.value),
        "threshold": str(nms.score_floor.value),
        "variances": str(nms.variances.value),
    }


def _remaining(graph: Graph, params: Any) -> dict[str, NDArray[np.float32]]:
    kept: dict[str, NDArray[np.float32]] = {}
    for node in graph.nodes:
        if node.op != "null" or node.name == INPUT_NAME:
            continue
        name = next((n for n in (f"arg:{node.name}", f"aux:{node.name}") if n in params), None)
        if name is None:
            raise InputError(
                f"the parameters hold no {node.name}, which the network needs; "
                "symbol and parameters must come from the same training job"
            )
        kept[name] = params[name].astype(np.float32)
        if not np.isfinite(kept[name]).all():
            raise InputError(f"parameter {node.name} is not finite; train the model again")
    return kept
