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
    """Return what a network is that classifies pictures and finds no boxes, or None."""
    classifies = any(graph.nodes[node].op == "SoftmaxOutput" for node, _, _ in graph.heads)
    finds = any("MultiBox" in node.op or "box_nms" in node.op for node in graph.nodes)
    return _CLASSIFIER if classifies and not finds else None
