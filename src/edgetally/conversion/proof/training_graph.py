"""The network as it was trained, in MXNet: what every file of a bundle is held against."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from edgetally.conversion.network import gluoncv
from edgetally.conversion.network.deployment import (
    ANCHORS_NAME,
    CLASSES_NAME,
    DETECTION_HEAD,
    INPUT_NAME,
    LOCATIONS_NAME,
    detection_attributes,
    detection_of,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from edgetally.bundle import ModelBundle, NmsSettings, Setting
    from edgetally.conversion.artifact.archive import TrainingArtifact
    from edgetally.conversion.artifact.symbol import Graph

    Array = NDArray[np.float32]


class TrainingGraph:
    """The artifact's own graph, bound for one frame. Only NMS settings from elsewhere are new.

    A label that the graph asks for is a dummy: no output that is read here depends on it.
    """

    def __init__(self, mx: Any, artifact: TrainingArtifact, bundle: ModelBundle) -> None:
        self._mx = mx
        self._size = bundle.input_size
        self._is_gluoncv = gluoncv.is_gluoncv(artifact.graph)
        self._graph = graph = _with_overrides(artifact.graph, bundle.nms)
        trained = detection_of(graph)
        self._attributes = detection_attributes(bundle.nms) if trained is None else trained.attrs
        wanted = _gluoncv_outputs(graph) if self._is_gluoncv else _sagemaker_outputs(graph)
        internals = mx.sym.load_json(graph.to_json()).get_internals()
        group = mx.sym.Group([internals[f"{name}_output"] for name in wanted])
        shapes: dict[str, tuple[int, ...]] = {INPUT_NAME: (1, 3, self._size, self._size)}
        if "label" in group.list_arguments():
            shapes["label"] = (1, 1, 5)
        self._executor = group.simple_bind(mx.cpu(), grad_req="null", **shapes)
        arrays = {
            name: mx.nd.array(value, dtype="float32") for name, value in artifact.params.items()
        }
        self._executor.copy_params_from(
            {name[4:]: array for name, array in arrays.items() if name.startswith("arg:")},
            {name[4:]: array for name, array in arrays.items() if name.startswith("aux:")},
            allow_extra_params=True,
        )

    def run(self, data: Any) -> tuple[Array, Array, Array]:
        """Run a frame, an NDArray [1, 3, S, S] as the network reads it.

        Returns every anchor's box [A, 4] and scores [A, C], and rows [K, 6] of
        (class_id, score, corners), class_id -1 for none. Boxes are in 0-1 of the frame.
        """
        outputs = self._executor.forward(is_train=False, data=data)
        if self._is_gluoncv:
            boxes, classes, *heads = (output.asnumpy()[0] for output in outputs)
            scores = np.ascontiguousarray(classes[:, 1:])
            return boxes / np.float32(self._size), scores, self._gluoncv_rows(heads)
        classes, locations, anchors, *detection = outputs
        rows = detection[0] if detection else self._detect(classes, locations, anchors)
        every = self._detect(classes, locations, anchors, suppress=False)
        scores = np.ascontiguousarray(classes.asnumpy()[0, 1:].T)
        return every.asnumpy()[0, :, 2:], scores, rows.asnumpy()[0]

    def choose(self, locations: Array, anchors: Array, boxes: Array, scores: Array) -> Array:
        """Run only what the graph does after its convolutions, on predictions of one's own.

        locations: [A * 4] and anchors: [A, 4], corner form, of a SageMaker network; boxes: [A, 4]
        in 0-1 of the frame, of GluonCV's. scores: [A, C]. Returns rows as `run` does.
        """
        mx = self._mx
        background = np.zeros((len(scores), 1), np.float32)
        classes = np.hstack([background, scores])
        if self._is_gluoncv:
            parts = gluoncv.parts_of(self._graph)
            fed = {parts.probabilities: classes[None], parts.decode: boxes[None] * self._size}
            return self._gluoncv_rows([o[0] for o in self._tail(fed)])
        arrays = (classes.T[None], locations[None], anchors[None])
        return np.asarray(self._detect(*(mx.nd.array(each) for each in arrays)).asnumpy()[0])

    def _detect(self, classes: Any, locations: Any, anchors: Any, *, suppress: bool = True) -> Any:
        """Run MultiBoxDetection as it was trained, or let it only decode, each box in its place."""
        decode_only = {} if suppress else {"threshold": "0", "nms_threshold": "0"}
        return self._mx.nd.contrib.MultiBoxDetection(
            classes, locations, anchors, **{**self._attributes, **decode_only}
        )

    def _tail(self, fed: Mapping[int, Array]) -> list[Array]:
        nodes = list(self._graph.nodes)
        for index in fed:
            nodes[index] = replace(nodes[index], op="null", attrs={}, inputs=())
        graph = replace(self._graph, nodes=tuple(nodes)).pruned()
        arrays = {nodes[index].name: self._mx.nd.array(array) for index, array in fed.items()}
        symbol = self._mx.sym.load_json(graph.to_json())
        executor = symbol.bind(self._mx.cpu(), arrays)
        return [output.asnumpy() for output in executor.forward(is_train=False)]

    def _gluoncv_rows(self, heads: list[Array]) -> Array:
        ids, scores, corners = heads
        return np.concatenate([ids, scores, corners / np.float32(self._size)], axis=1)


def _with_overrides(graph: Graph, nms: NmsSettings) -> Graph:
    settings: tuple[Setting[Any], ...] = (
        nms.threshold,
        nms.topk,
        nms.force_suppress,
        nms.score_floor,
    )
    if all(setting.source in {"symbol", "default"} for setting in settings):
        return graph
    if nms.algorithm == "box_nms":
        return gluoncv.with_settings(graph, nms)
    trained = detection_of(graph)
    written = detection_attributes(nms)
    names = ("nms_threshold", "nms_topk", "force_suppress", "threshold")
    changed = {
        name: written[name]
        for name, setting in zip(names, settings, strict=True)
        if setting.source in {"command line", "hyperparameters"}
    }
    nodes = tuple(
        replace(node, attrs={**node.attrs, **changed}) if node is trained else node
        for node in graph.nodes
    )
    return replace(graph, nodes=nodes)


def _sagemaker_outputs(graph: Graph) -> list[str]:
    heads = [CLASSES_NAME, LOCATIONS_NAME, ANCHORS_NAME]
    if graph.find(DETECTION_HEAD) is not None:
        return [*heads, DETECTION_HEAD]
    trained = detection_of(graph)
    return [*heads, trained.name] if trained else heads


def _gluoncv_outputs(graph: Graph) -> list[str]:
    parts = gluoncv.parts_of(graph)
    heads = [head for head, _, _ in graph.heads]
    return [graph.nodes[i].name for i in (parts.decode, parts.probabilities, *heads)]
