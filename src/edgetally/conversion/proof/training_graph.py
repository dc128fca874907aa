"""The network as it was trained, in MXNet: what every file of a bundle is held against."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from edgetally.conversion.network import gluoncv
from edgetally.conversion.network.deployment import (
    ANCHORS_NAME,
    CLASSES_NAME,
    INPUT_NAME,
    LOCATIONS_NAME,
    detection_attributes,
    detection_of,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgetally.bundle import ModelBundle, NmsSettings
    from edgetally.conversion.artifact.archive import TrainingArtifact
    from edgetally.conversion.artifact.symbol import Graph

    Arrays = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]

_DETECTION_HEAD = "det_out"


class TrainingGraph:
    """The artifact's own graph, bound for one frame. Only NMS settings from elsewhere are new.

    A label that the graph asks for is a dummy: no output that is read here depends on it.
    """

    def __init__(self, mx: Any, artifact: TrainingArtifact, bundle: ModelBundle) -> None:
        self._mx = mx
        self._nms = bundle.nms
        self._size = bundle.input_size
        self._is_gluoncv = gluoncv.is_gluoncv(artifact.graph)
        graph = _with_overrides(artifact.graph, bundle.nms)
        wanted = _gluoncv_outputs(graph) if self._is_gluoncv else _sagemaker_outputs(graph)
        symbol = mx.sym.load_json(graph.to_json())
        internals = symbol.get_internals()
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

    def run(self, data: Any) -> Arrays:
        """Run a frame, an NDArray [1, 3, S, S] as the network reads it.

        Returns every anchor's box [A, 4] and scores [A, C], and rows [K, 6] of
        (class_id, score, corners), class_id -1 for none. Boxes are in 0-1 of the frame.
        """
        outputs = self._executor.forward(is_train=False, data=data)
        if self._is_gluoncv:
            boxes, classes, ids, scores, corners = (o.asnumpy()[0] for o in outputs)
            rows = np.concatenate([ids, scores, corners / np.float32(self._size)], axis=1)
            return boxes / np.float32(self._size), np.ascontiguousarray(classes[:, 1:]), rows
        classes, locations, anchors, *detection = outputs
        nms = self._nms
        boxes_only = {"variances": nms.variances.value, "clip": nms.clip.value}
        operator = self._mx.nd.contrib.MultiBoxDetection
        # With neither floor nor suppression the operator gives each anchor's box, in order.
        every = operator(classes, locations, anchors, threshold=0, nms_threshold=0, **boxes_only)
        rows = (
            detection[0]
            if detection
            else operator(
                classes,
                locations,
                anchors,
                threshold=nms.score_floor.value,
                nms_threshold=nms.threshold.value,
                nms_topk=nms.topk.value,
                force_suppress=nms.force_suppress.value,
                **boxes_only,
            )
        )
        return (
            every.asnumpy()[0, :, 2:],
            np.ascontiguousarray(classes.asnumpy()[0, 1:].T),
            rows.asnumpy()[0],
        )


def _with_overrides(graph: Graph, nms: NmsSettings) -> Graph:
    settings = (nms.threshold, nms.topk, nms.force_suppress, nms.score_floor)
    if all(setting.source in {"symbol", "default"} for setting in settings):
        return graph
    if nms.algorithm == "box_nms":
        return gluoncv.with_settings(graph, nms)
    trained = detection_of(graph)
    nodes = tuple(
        replace(node, attrs={**node.attrs, **detection_attributes(nms)})
        if node is trained
        else node
        for node in graph.nodes
    )
    return replace(graph, nodes=nodes)


def _sagemaker_outputs(graph: Graph) -> list[str]:
    heads = [CLASSES_NAME, LOCATIONS_NAME, ANCHORS_NAME]
    if graph.find(_DETECTION_HEAD) is not None:
        return [*heads, _DETECTION_HEAD]
    trained = detection_of(graph)
    return [*heads, trained.name] if trained else heads


def _gluoncv_outputs(graph: Graph) -> list[str]:
    parts = gluoncv.parts_of(graph)
    heads = [head for head, _, _ in graph.heads]
    return [graph.nodes[i].name for i in (parts.decode, parts.probabilities, *heads)]
