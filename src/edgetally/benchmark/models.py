"""The models that are measured: the demo's own, and a full-size resnet-50 at 512."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from edgetally import __version__
from edgetally.benchmark.videos import frames_of
from edgetally.bundle import ModelBundle, sha256_of
from edgetally.conversion import convert
from edgetally.demo import CLASSES
from edgetally.demo.artifact import write_archive
from edgetally.demo.dataset import network_input
from edgetally.demo.network import training_symbol
from edgetally.demo.scene.random_scenes import samples
from edgetally.errors import InputError
from edgetally.mxnet_compat import import_mxnet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from numpy.typing import NDArray

FULL_NAME = "resnet-50-512"
_SIZE = 512
_TRAINED_AT = 128  # the network is fully convolutional; statistics need no larger pictures
_STATISTICS_STEPS = 25
_MOMENTUM = 0.8
_LOGIT_SPREAD = 4.0
_OBJECTS = 20  # anchors of a picture that score above a half
_FULL_CALIBRATION = 20
_DEMO_CALIBRATION_SCENES = 60


def make_demo_bundle(archive: Path, folder: Path, *, tell: Callable[[str], None]) -> Path:
    """Convert the demo's artifact, with an int8 form; return the bundle's folder.

    Calibrated on rendered scenes as the training saw them. InputError where there is no artifact.
    """
    if not archive.exists():
        raise InputError(f"{archive} is missing; run from the top of the repository")
    bundle = folder / "boxes"
    made_of = {"edgetally": __version__, "artifact": sha256_of(archive)}
    if not _is_made(bundle, made_of):
        tell("converting the demo model (once)")
        pictures = (picture for picture, _ in samples("train", 0, _DEMO_CALIBRATION_SCENES, 2))
        _convert(archive, bundle, pictures, made_of)
    return bundle


def make_full_bundle(folder: Path, video: Path, *, tell: Callable[[str], None]) -> Path | None:
    """Make a resnet-50 at 512 with random weights, convert it, with an int8 form.

    Its statistics fit the video's pictures, and its scores lie as a trained network's do: a few
    anchors above a half, most next to nothing. None where MXNet, which builds it, is missing.
    """
    bundle = folder / FULL_NAME
    made_of = {"edgetally": __version__}
    if _is_made(bundle, made_of):
        return bundle
    try:
        import_mxnet()
    except InputError as error:
        tell(f"no full-size network: {error}")
        return None
    tell("making a full-size resnet-50 with random weights (once)")
    pictures = frames_of(video, _FULL_CALIBRATION)
    archive = folder / f"{FULL_NAME}.tar.gz"
    _write_untrained(archive, pictures)
    _convert(archive, bundle, pictures, made_of)
    archive.unlink()
    return bundle


def _is_made(bundle: Path, made_of: dict[str, str]) -> bool:
    try:
        known = json.loads((bundle.parent / f"{bundle.name}.made").read_text(encoding="utf-8"))
        ModelBundle.load(bundle)
    except (OSError, ValueError, InputError):
        return False
    return bool(known == made_of)


def _convert(
    archive: Path, bundle: Path, pictures: Iterable[NDArray[np.uint8]], made_of: dict[str, str]
) -> None:
    calibration = bundle.with_name(f"{bundle.name}-calibration")
    calibration.mkdir(exist_ok=True)
    for number, picture in enumerate(pictures):
        cv2.imwrite(str(calibration / f"{number:03}.jpg"), picture)
    convert(
        archive,
        bundle,
        classes=CLASSES,
        calibration=str(calibration),
        verify=False,
        timings=False,
        overwrite=True,
    )
    made = bundle.with_name(f"{bundle.name}.made")
    made.write_text(json.dumps(made_of), encoding="utf-8")


def _write_untrained(archive: Path, pictures: list[NDArray[np.uint8]]) -> None:
    mx = import_mxnet()
    mx.random.seed(1)
    np.random.seed(1)  # noqa: NPY002 - MXNet's initializers draw from it
    symbol = training_symbol(len(CLASSES))
    arguments, auxiliary = _with_statistics(mx, symbol, pictures)
    _spread_scores(mx, symbol, arguments, auxiliary, pictures[0])
    hyperparameters = {
        "base_network": "resnet-50",
        "num_classes": str(len(CLASSES)),
        "image_shape": str(_SIZE),
        "nms_threshold": "0.45",
        "nms_topk": "400",
        "overlap_threshold": "0.5",
    }
    write_archive(archive, symbol, arguments, auxiliary, hyperparameters)


def _with_statistics(
    mx: Any, symbol: Any, pictures: list[NDArray[np.uint8]]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Draw weights, and let every BatchNorm see pictures, as a training would."""
    remembered = json.loads(symbol.tojson())
    for node in remembered["nodes"]:
        if node["op"] == "BatchNorm":
            node["attrs"]["momentum"] = str(_MOMENTUM)
    quick = mx.sym.load_json(json.dumps(remembered))
    size = _TRAINED_AT
    module = mx.mod.Module(quick, data_names=["data"], label_names=["label"], context=mx.cpu())
    module.bind([("data", (1, 3, size, size))], [("label", (1, 1, 5))], for_training=True)
    module.init_params(mx.init.Xavier())
    label = mx.nd.array([[[0, 0.3, 0.3, 0.6, 0.6]]])
    for step in range(_STATISTICS_STEPS):
        data = mx.nd.array(network_input(pictures[step % len(pictures)], size)[np.newaxis])
        module.forward(mx.io.DataBatch([data], [label]), is_train=True)
        module.backward()  # MXNet moves the statistics here; no weight is updated
    return module.get_params()  # type: ignore[no-any-return]


def _spread_scores(
    mx: Any,
    symbol: Any,
    arguments: dict[str, Any],
    auxiliary: dict[str, Any],
    picture: NDArray[np.uint8],
) -> None:
    """Scale and shift the class heads, in place, so that few anchors find something."""
    logits_of = symbol.get_internals()["multibox_cls_pred_output"]
    heads = [name for name in arguments if "_cls_pred_conv_" in name]

    def margins() -> NDArray[np.float32]:
        # a module of its own each time: one that has run keeps the weights it had
        module = mx.mod.Module(logits_of, data_names=["data"], label_names=None, context=mx.cpu())
        module.bind([("data", (1, 3, _SIZE, _SIZE))], for_training=False)
        module.set_params(arguments, auxiliary, allow_extra=True)
        data = mx.nd.array(network_input(picture, _SIZE)[np.newaxis])
        module.forward(mx.io.DataBatch([data]), is_train=False)
        logits = module.get_outputs()[0].asnumpy()[0]
        return np.asarray(logits[1:].max(axis=0) - logits[0], np.float32)

    scale = _LOGIT_SPREAD / float(margins().std())
    for name in heads:
        arguments[name] *= scale
    found = np.sort(margins())
    shift = float(found[-min(_OBJECTS, len(found))])
    for name in heads:
        if name.endswith("_bias"):  # an anchor's background comes first, then its classes
            bias = arguments[name].asnumpy()
            bias[:: len(CLASSES) + 1] += shift
            arguments[name][:] = bias
