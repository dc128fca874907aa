"""Artifacts that are not of SageMaker's Object Detection, told apart so that it can be said.

File names and hyperparameters are those of SageMaker's documentation of its built-in algorithms
(Image Classification - MXNet, Semantic Segmentation) and of the containers' own artifacts.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from edgetally.conversion.artifact.symbol import Graph

_ONLY = "only an object detection artifact can be converted"
_CLASSIFICATION = (
    "this is the artifact of SageMaker's image classification algorithm, not of object "
    f"detection; {_ONLY}"
)
_CLASSIFIER = (
    "this network classifies pictures and finds no boxes, like that of SageMaker's image "
    f"classification algorithm; {_ONLY}"
)
_SEGMENTATION = (
    "this is the artifact of SageMaker's semantic segmentation algorithm, not of object "
    f"detection; {_ONLY}"
)
_NO_SSD = "only an SSD can be converted: train SageMaker's Object Detection or GluonCV's ssd_…"
_RCNN = f"this network is a Faster R-CNN or Mask R-CNN, like those of GluonCV; {_NO_SSD}"
_YOLO = f"this network is a YOLO, like those of GluonCV; {_NO_SSD}"
_CENTERNET = f"this network is a CenterNet, like those of GluonCV; {_NO_SSD}"
_OTHER_DETECTOR = f"this network is a detector of GluonCV that is no SSD; {_NO_SSD}"
# What proposes regions and looks at them again (gluoncv model_zoo/rcnn, MXNet's own example).
_REGIONS = frozenset(
    {"_contrib_ROIAlign", "ROIPooling", "_contrib_Proposal", "_contrib_MultiProposal"}
)
# The decoders of gluoncv model_zoo/yolo/yolo3.py, and of model_zoo/center_net with nn/coder.py.
_YOLO_DECODER = frozenset({"sigmoid", "exp", "_contrib_box_nms"})
_CENTERNET_DECODER = frozenset({"sigmoid", "topk", "gather_nd"})
_NEWER = (
    "not of the built-in Object Detection algorithm (MXNet), whose artifact holds "
    "model_algo_1-symbol.json; train with that one"
)
# The first that fits a name counts.
_NAMES = (
    (
        re.compile(r"deploy_model_algo_1-.*\.(json|params)"),
        "this artifact was deployed already; give the training job's own model.tar.gz",
    ),
    (re.compile(r"image-classification-.*\.(json|params)"), _CLASSIFICATION),
    (re.compile(r"model_algo-1"), _SEGMENTATION),
    (re.compile(r"saved_model\.pb(txt)?"), f"this is a TensorFlow SavedModel, {_NEWER}"),
    (
        re.compile(r".*\.(pt|pth|torchscript|safetensors)|pytorch_model\.bin"),
        f"this is a PyTorch model, {_NEWER}",
    ),
    (re.compile(r"xgboost-model"), f"this is an XGBoost model, {_NEWER}"),
)


def foreign_names(names: Iterable[str]) -> str | None:
    """Return what an artifact of these files is and what to do, or None where they don't tell."""
    held = tuple(names)
    return next(
        (said for pattern, said in _NAMES if any(pattern.fullmatch(name) for name in held)), None
    )


def foreign_settings(hyperparameters: Mapping[str, str]) -> str | None:
    """Return what a job of these hyperparameters trained and what to do, or None."""
    # Object Detection's image_shape is one number, Image Classification's "3,224,224".
    if "num_layers" in hyperparameters or "," in hyperparameters.get("image_shape", ""):
        return _CLASSIFICATION
    if "backbone" in hyperparameters or "crop_size" in hyperparameters:
        return _SEGMENTATION
    return None


def foreign_graph(graph: Graph) -> str | None:
    """Return what a network is that classifies pictures or detects as no SSD does, or None."""
    operators = {node.op for node in graph.nodes}
    if any("MultiBox" in operator for operator in operators):
        return None
    if operators & _REGIONS:
        return _RCNN
    if "_contrib_box_nms" in operators:
        # An SSD chooses one class by softmax, with whatever operators its boxes are decoded.
        if operators & {"softmax", "_contrib_box_decode"}:
            return None
        return _YOLO if operators >= _YOLO_DECODER else _OTHER_DETECTOR
    if operators >= _CENTERNET_DECODER:
        return _CENTERNET
    classifies = any(graph.nodes[node].op == "SoftmaxOutput" for node, _, _ in graph.heads)
    return _CLASSIFIER if classifies else None
