"""What many tests need: a SageMaker-shaped artifact with random weights, and its bundle."""

from __future__ import annotations

import json
import tarfile
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from edgetally.conversion import convert
from edgetally.demo.network import training_symbol
from edgetally.mxnet_compat import import_mxnet

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from edgetally.bundle import ModelBundle

CLASSES = ("blue box", "yellow box")
INPUT_SIZE = 300


def write_artifact(
    folder: Path,
    *,
    network: str = "resnet-50",
    num_classes: int = 2,
    size: int = INPUT_SIZE,
    force_suppress: bool = False,
    nms_threshold: float = 0.45,
    nms_topk: int = 400,
    spread: float = 0.003,
    norms_trained: bool = False,
    seed: int = 1,
) -> Path:
    """Write `model.tar.gz` as a training job leaves it, with an untrained network.

    spread is the deviation of the heads' weights, small enough that scores lie between 0 and 1.
    norms_trained gives every BatchNorm statistics, a scale and a shift as a training leaves them.
    """
    mx = import_mxnet()
    mx.random.seed(seed)
    settings: dict[str, Any] = {
        "width": 0.125,
        "nms_threshold": nms_threshold,
        "nms_topk": nms_topk,
        "force_suppress": force_suppress,
    }
    if network == "vgg-16":
        from vgg16_network import training_symbol as vgg16_symbol

        symbol = vgg16_symbol(num_classes, size, **settings)
    else:
        symbol = training_symbol(num_classes, **settings)
    module = mx.mod.Module(symbol, data_names=["data"], label_names=["label"], context=mx.cpu())
    module.bind([("data", (1, 3, size, size))], [("label", (1, 1, 5))], for_training=False)
    heads = mx.init.Normal(spread)
    module.init_params(mx.init.Mixed([".*_pred_conv_weight", ".*"], [heads, mx.init.Xavier()]))
    if norms_trained:
        _train_norms(mx, module, seed)
    module.save_checkpoint(str(folder / "model_algo_1"), 0)
    hyperparameters = {
        "base_network": network,
        "num_classes": str(num_classes),
        "image_shape": str(size),
        "nms_threshold": str(nms_threshold),
        "nms_topk": str(nms_topk),
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


def _train_norms(mx: Any, module: Any, seed: int) -> None:
    rng = np.random.default_rng(seed)
    arguments, states = module.get_params()
    for arrays in (arguments, states):
        for name, array in arrays.items():
            size = 60.0 if name.startswith("bn_data") else 1.0  # pixels lie between 0 and 255
            values = {
                "gamma": rng.uniform(0.5, 1.5, array.shape),
                "beta": rng.normal(0, 0.3, array.shape),
                "mean": rng.normal(2 if size > 1 else 0, 0.3, array.shape) * size,
                "var": rng.uniform(0.5, 1.5, array.shape) * size**2,
            }.get(name.rpartition("_")[2])
            if values is not None:
                array[:] = mx.nd.array(values)
    module.set_params(arguments, states)


@pytest.fixture(scope="session", autouse=True)
def untuned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep what this user's `edgetally tune` chose out of the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGETALLY_TUNING", str(tmp_path_factory.mktemp("tuning") / "tuning.json"))
        yield


@pytest.fixture(scope="session")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_artifact(tmp_path_factory.mktemp("artifact"))


@pytest.fixture(scope="session")
def bundle(artifact: Path, tmp_path_factory: pytest.TempPathFactory) -> ModelBundle:
    folder = tmp_path_factory.mktemp("bundle") / "boxes"
    return convert(artifact, folder, classes=CLASSES)
