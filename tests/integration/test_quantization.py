"""The int8 form of a bundle: made from pictures, run by both engines that have one."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import onnx
import pytest

from conftest import CLASSES, write_artifact
from edgetally.bundle import ModelBundle
from edgetally.conversion import convert
from edgetally.conversion.onnx_model.quantization import quantize
from edgetally.engines import create_engine
from edgetally.errors import EdgetallyError, InputError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    Frame = NDArray[np.uint8]

SIZE = 300
ENGINES = ("openvino", "onnxruntime")


def picture(seed: int) -> Frame:
    rng = np.random.default_rng(seed)
    frame = rng.integers(60, 130, (SIZE, SIZE, 3), np.uint8)
    for _ in range(12):
        corners = rng.integers(0, SIZE, (2, 2))
        colour = rng.integers(0, 256, 3).tolist()
        cv2.rectangle(frame, corners[0].tolist(), corners[1].tolist(), colour, -1)
    return frame


def with_int8(bundle: ModelBundle, folder: Path, frames: list[Frame]) -> ModelBundle:
    shutil.copytree(bundle.file("onnx").parent, folder)
    copied = ModelBundle.load(folder)
    files = dict(copied.files) | quantize(copied, frames, folder, lambda _: None)
    copied.model_copy(update={"files": files}).write(folder)
    return ModelBundle.load(folder)


def predicted(bundle: ModelBundle, engine: Any, precision: Any) -> Any:
    loaded = create_engine(bundle, engine, precision)
    try:
        assert loaded.precision == precision
        return loaded.infer(picture(100)[np.newaxis])
    finally:
        loaded.close()


@pytest.fixture(scope="module")
def frames() -> list[Frame]:
    return [picture(seed) for seed in range(8)]


@pytest.fixture(scope="module")
def trained_norms(tmp_path_factory: pytest.TempPathFactory) -> ModelBundle:
    """A network whose values differ from channel to channel, as a trained one's do."""
    folder = tmp_path_factory.mktemp("trained")
    artifact = write_artifact(folder, norms_trained=True, seed=2)
    return convert(artifact, folder / "bundle", classes=CLASSES, verify=False)


@pytest.fixture(scope="module")
def vgg(tmp_path_factory: pytest.TempPathFactory) -> ModelBundle:
    folder = tmp_path_factory.mktemp("vgg")
    artifact = write_artifact(folder, network="vgg-16", seed=3)
    return convert(artifact, folder / "bundle", classes=CLASSES, verify=False)


@pytest.fixture(scope="module", params=["bundle", "trained_norms", "vgg"])
def small(
    request: pytest.FixtureRequest,
    frames: list[Frame],
    tmp_path_factory: pytest.TempPathFactory,
) -> ModelBundle:
    folder = tmp_path_factory.mktemp("int8") / request.param
    return with_int8(request.getfixturevalue(request.param), folder, frames)


@pytest.mark.parametrize("engine", ENGINES)
def test_int8_gives_nearly_what_fp32_gives(small: ModelBundle, engine: str) -> None:
    exact = predicted(small, engine, "fp32")

    found = predicted(small, engine, "int8")

    assert np.ptp(exact.scores) > 0.05  # there is something to get wrong
    assert found.boxes.shape == exact.boxes.shape
    assert found.scores.shape == exact.scores.shape
    # Measured: 0.024 and 0.0016 of the frame, 0.12 and 0.014; the middle of three networks is at
    # a tenth of that. Rounding in random weights goes its own way through fifty layers.
    boxes, scores = np.abs(found.boxes - exact.boxes), np.abs(found.scores - exact.scores)
    assert 0 < boxes.max() < 0.06
    assert boxes.mean() < 0.004
    assert 0 < scores.max() < 0.25
    assert scores.mean() < 0.03


def test_what_is_between_convolutions_is_int8_and_the_rest_float(small: ModelBundle) -> None:
    model = onnx.load(small.file("onnx-int8"))
    onnx.checker.check_model(model, full_check=True)
    made_by = {name: node for node in model.graph.node for name in node.output}
    types = {tensor.name: tensor.data_type for tensor in model.graph.initializer}

    convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
    for node in convolutions:
        reads = [made_by[name] for name in node.input]
        assert {read.op_type for read in reads} == {"DequantizeLinear"}
        assert types[reads[1].input[0]] == onnx.TensorProto.INT8
    operators = [node.op_type for node in model.graph.node]
    assert "BatchNormalization" not in operators
    for node in model.graph.node:
        if node.op_type in {"Exp", "Softmax"}:
            assert made_by[node.input[0]].op_type not in {"DequantizeLinear", "QuantizeLinear"}
    assert len(convolutions) > 20
    before, after = (small.file(role).stat().st_size for role in ("onnx", "onnx-int8"))
    assert after < before / 2


def test_no_sum_of_two_products_overflows_16_bits(small: ModelBundle) -> None:
    """CPUs without VNNI add two products of uint8 and int8 in 16 bits and cut what is beyond."""
    model = onnx.load(small.file("onnx-int8"))
    weights = [
        onnx.numpy_helper.to_array(tensor).astype(np.int32)
        for tensor in model.graph.initializer
        if tensor.data_type == onnx.TensorProto.INT8
    ]

    largest = max(np.abs(weight).max() for weight in weights)

    assert largest > 32
    assert 2 * 255 * largest <= np.iinfo(np.int16).max


def test_the_same_pictures_give_the_same_bytes(
    bundle: ModelBundle, frames: list[Frame], tmp_path: Path
) -> None:
    first, second, other = (
        with_int8(bundle, tmp_path / name, some).file("onnx-int8").read_bytes()
        for name, some in (("a", frames), ("b", frames), ("c", frames[:3]))
    )

    assert first == second
    assert first != other


def test_one_strange_picture_does_not_move_the_ranges(
    bundle: ModelBundle, frames: list[Frame], tmp_path: Path
) -> None:
    usual = with_int8(bundle, tmp_path / "usual", [frames[0]] * 3)
    strange = with_int8(bundle, tmp_path / "strange", [frames[0], ~frames[0], frames[0]])

    assert usual.file("onnx-int8").read_bytes() == strange.file("onnx-int8").read_bytes()


def test_few_pictures_are_enough_but_told(
    bundle: ModelBundle, frames: list[Frame], tmp_path: Path
) -> None:
    told: list[str] = []

    quantize(bundle, [np.vstack([frames[0]] * 2)], tmp_path, told.append)  # any size of picture

    assert len(told) == 1
    assert "calibrated on 1 image" in told[0]
    with pytest.raises(InputError, match="no calibration images"):
        quantize(bundle, [], tmp_path, told.append)


def test_a_network_that_overflows_is_told_with_the_picture(
    bundle: ModelBundle, frames: list[Frame], tmp_path: Path
) -> None:
    shutil.copytree(bundle.file("onnx").parent, tmp_path / "bundle")
    broken = ModelBundle.load(tmp_path / "bundle")
    model = onnx.load(broken.file("onnx"))
    for tensor in model.graph.initializer:
        if len(tensor.dims) == 4:
            weight = onnx.numpy_helper.to_array(tensor) * np.float32(1e12)
            tensor.CopyFrom(onnx.numpy_helper.from_array(weight, tensor.name))
    onnx.save(model, broken.file("onnx"))

    with pytest.raises(EdgetallyError, match=r"is not finite on calibration image 1;"):
        quantize(broken, frames[:2], tmp_path, lambda _: None)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_bundle_without_an_int8_form_says_how_to_make_it(
    bundle: ModelBundle, engine: Any
) -> None:
    with pytest.raises(InputError, match=f"no int8 form for {engine}; convert it with --calib"):
        create_engine(bundle, engine, "int8")


def test_mxnet_has_no_int8(bundle: ModelBundle) -> None:
    with pytest.raises(InputError, match="int8 needs the engine openvino or onnxruntime, not mxn"):
        create_engine(bundle, "mxnet", "int8")


def test_auto_stays_fp32_where_there_is_an_int8_form(small: ModelBundle) -> None:
    engine = create_engine(small, "openvino")
    engine.close()

    assert engine.precision == "fp32"


def test_nothing_is_printed_and_the_home_folder_stays_empty(
    bundle: ModelBundle, tmp_path: Path
) -> None:
    """Imported as they are, openvino and onnxruntime report themselves and leave files there."""
    folder, home = tmp_path / "bundle", tmp_path / "home"
    home.mkdir()
    shutil.copytree(bundle.file("onnx").parent, folder)
    code = """
import json, sys
from pathlib import Path
import numpy as np
from edgetally.bundle import ModelBundle
from edgetally.conversion.onnx_model.quantization import quantize
from edgetally.engines import create_engine
folder = Path(sys.argv[1])
bundle = ModelBundle.load(folder)
picture = np.full((300, 300, 3), 90, np.uint8)
files = dict(bundle.files) | quantize(bundle, [picture], folder, lambda line: None)
bundle.model_copy(update={"files": files}).write(folder)
bundle = ModelBundle.load(folder)
for name in ("openvino", "onnxruntime"):
    engine = create_engine(bundle, name, "int8")
    engine.infer(picture[None])
    engine.close()
(folder / "roles.json").write_text(json.dumps(sorted(bundle.files)))
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)],
        env={"HOME": str(home), "PATH": "/usr/bin:/bin", "XDG_CACHE_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert list(home.iterdir()) == []
    assert "onnx-int8" in json.loads((folder / "roles.json").read_text())
