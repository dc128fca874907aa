"""What the detector says to bad input."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from edgetally.detector import Detector
from edgetally.engines import available_engines, create_engine
from edgetally.errors import EdgetallyError, InputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from edgetally.bundle import ModelBundle
    from edgetally.config import EngineName


@pytest.fixture(scope="module")
def detector(bundle: ModelBundle) -> Iterator[Detector]:
    with Detector(bundle) as detector:
        yield detector


@pytest.mark.parametrize(
    "frame",
    [
        np.zeros((40, 60), np.uint8),
        np.zeros((40, 60, 4), np.uint8),
        np.zeros((0, 60, 3), np.uint8),
        np.zeros((40, 60, 3), np.float32),
        None,
    ],
    ids=["grey", "alpha", "empty", "float", "unread"],
)
def test_a_frame_that_is_no_picture_is_refused_in_one_line(detector: Detector, frame: Any) -> None:
    with pytest.raises(InputError, match=r"^a frame must be .*uint8.*$") as refusal:
        detector.detect(frame)
    assert "\n" not in str(refusal.value)


def test_a_folder_without_a_bundle_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not a model bundle"):
        Detector(tmp_path)


def test_an_unknown_class_threshold_names_the_nearest_class(bundle: ModelBundle) -> None:
    with pytest.raises(InputError, match=r"'yelow box'.*'yellow box'"):
        Detector(bundle, class_thresholds={"yelow box": 0.5})


def test_an_unknown_engine_names_those_that_exist(bundle: ModelBundle) -> None:
    unknown: Any = "tensorrt"
    with pytest.raises(InputError, match=r"'tensorrt'.*openvino, onnxruntime, mxnet"):
        create_engine(bundle, unknown)


def test_an_unknown_precision_names_those_that_exist(bundle: ModelBundle) -> None:
    unknown: Any = "fp16"
    with pytest.raises(InputError, match=r"'fp16'.*fp32, bf16 or int8"):
        create_engine(bundle, "auto", unknown)


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime", "mxnet"])
def test_an_engine_that_is_not_installed_names_the_extra_to_install(
    bundle: ModelBundle, engine: EngineName, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, engine, None)  # as Python marks what it can't import

    assert engine not in available_engines()
    with pytest.raises(InputError, match=rf"pip install 'edgetally\[{engine}\]'"):
        Detector(bundle, engine)


def test_auto_takes_the_next_engine_where_the_first_is_missing(
    bundle: ModelBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)

    with Detector(bundle) as detector:
        assert detector.engine_name == "onnxruntime"


def test_a_device_without_any_engine_is_told_what_to_install(
    bundle: ModelBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    for engine in ("openvino", "onnxruntime", "mxnet"):
        monkeypatch.setitem(sys.modules, engine, None)

    with pytest.raises(InputError, match=r"no engine is installed.*pip install"):
        Detector(bundle)


@pytest.mark.parametrize("engine", ["onnxruntime", "mxnet"])
def test_bf16_is_refused_where_only_openvino_can_do_it(
    bundle: ModelBundle, engine: EngineName
) -> None:
    with pytest.raises(InputError, match=rf"bf16 needs the engine openvino, not {engine}"):
        Detector(bundle, engine, "bf16")


@pytest.mark.parametrize("content", [b"", b"not a model"], ids=["empty", "garbage"])
@pytest.mark.parametrize(
    ("engine", "role"),
    [
        ("openvino", "onnx"),
        ("onnxruntime", "onnx"),
        ("mxnet", "mxnet-symbol"),
        ("mxnet", "mxnet-params"),
    ],
)
def test_a_model_file_that_can_not_be_loaded_is_told_in_one_line(
    own_bundle: ModelBundle, engine: EngineName, role: Any, content: bytes
) -> None:
    own_bundle.file(role).write_bytes(content)

    with pytest.raises(EdgetallyError, match=rf"^engine {engine} can't load .*convert") as failure:
        create_engine(own_bundle, engine)
    assert "\n" not in str(failure.value)


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
def test_where_int8_can_not_be_loaded_fp32_is_named_as_the_way_out(
    own_bundle: ModelBundle, engine: EngineName
) -> None:
    files = {**own_bundle.files, "onnx-int8": own_bundle.files["onnx"]}
    both = own_bundle.model_copy(update={"files": files})
    both.file("onnx-int8").write_bytes(b"not a model")

    with pytest.raises(EdgetallyError, match=r"at int8 .*use precision fp32"):
        create_engine(both, engine, "int8")


@pytest.fixture
def own_bundle(bundle: ModelBundle, tmp_path: Path) -> ModelBundle:
    """Copy the bundle, so that the test may spoil it after its hashes were checked."""
    for entry in bundle.files.values():
        target = tmp_path / entry.path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((bundle._folder / entry.path).read_bytes())
    bundle.write(tmp_path)
    return type(bundle).load(tmp_path)
