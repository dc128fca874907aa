"""What many tests need: a SageMaker-shaped artifact with random weights, and its bundle."""

from __future__ import annotations

import json
import tarfile
from typing import TYPE_CHECKING

import pytest

from edgetally.conversion import convert
from edgetally.demo.network import training_symbol
from edgetally.mxnet_compat import import_mxnet

if TYPE_CHECKING:
    from pathlib import Path

    from edgetally.bundle import ModelBundle

CLASSES = ("blue box", "yellow box")
INPUT_SIZE = 300


def write_artifact(
    folder: Path, *, num_classes: int = 2, size: int = INPUT_SIZE, seed: int = 1
) -> Path:
    """Write `model.tar.gz` as a training job leaves it, with an untrained network."""
    mx = import_mxnet()
    mx.random.seed(seed)
    symbol = training_symbol(num_classes, width=0.125)
    module = mx.mod.Module(symbol, data_names=["data"], label_names=["label"], context=mx.cpu())
    module.bind([("data", (2, 3, size, size))], [("label", (2, 1, 5))], for_training=True)
    heads = mx.init.Normal(0.003)  # small enough that scores spread between 0 and 1
    module.init_params(mx.init.Mixed([".*_pred_conv_weight", ".*"], [heads, mx.init.Xavier()]))
    module.save_checkpoint(str(folder / "model_algo_1"), 0)
    hyperparameters = {
        "base_network": "resnet-50",
        "num_classes": str(num_classes),
        "image_shape": str(size),
        "nms_threshold": "0.45",
        "nms_topk": "400",
        "overlap_threshold": "0.5",
    }
    (folder / "hyperparams.json").write_text(json.dumps(hyperparameters))
    archive = folder / "model.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        for name in (
            "model_algo_1-symbol.json",
            "model_algo_1-0000.params",
            "hyperparams.json",
        ):
            tar.add(folder / name, arcname=name)
    return archive


@pytest.fixture(scope="session")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_artifact(tmp_path_factory.mktemp("artifact"))


@pytest.fixture(scope="session")
def bundle(artifact: Path, tmp_path_factory: pytest.TempPathFactory) -> ModelBundle:
    folder = tmp_path_factory.mktemp("bundle") / "boxes"
    return convert(artifact, folder, classes=CLASSES)
