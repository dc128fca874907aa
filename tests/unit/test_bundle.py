"""A bundle is loaded whole and unchanged, or not at all."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from edgetally.bundle import MANIFEST_NAME, ModelBundle
from edgetally.errors import InputError


@pytest.fixture
def folder(bundle: ModelBundle, tmp_path: Path) -> Path:
    return Path(shutil.copytree(bundle.file("onnx").parent, tmp_path / "bundle"))


def test_what_was_written_is_read_again(bundle: ModelBundle, folder: Path) -> None:
    assert ModelBundle.load(folder).model_dump() == bundle.model_dump()
    assert ModelBundle.load(folder).sha256 == bundle.sha256


@pytest.mark.parametrize("name", ["model.onnx", "deploy_model_algo_1-0000.params"])
def test_a_changed_byte_in_a_file_is_refused(folder: Path, name: str) -> None:
    content = bytearray((folder / name).read_bytes())
    content[-1] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(InputError, match=f"{name} was changed since the conversion"):
        ModelBundle.load(folder)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("blue box", "blue bax"),
        ('"value": 0.45', '"value": 0.95'),
        ('"value": 400', '"value": 1'),
        ('"RGB"', '"BGR"'),
        ('"inputSize": 300', '"inputSize": 301'),
        ('"inputSize"', '"input_size"'),
        ("model.onnx", "../../x.onnx"),
    ],
)
def test_a_changed_manifest_is_refused(folder: Path, old: str, new: str) -> None:
    path = folder / MANIFEST_NAME
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(InputError, match=r"bundle\.json was changed since the conversion"):
        ModelBundle.load(folder)


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"format": 1}', "\x00"])
def test_what_is_no_manifest_is_refused_in_one_line(folder: Path, content: str) -> None:
    (folder / MANIFEST_NAME).write_text(content)
    with pytest.raises(InputError) as caught:
        ModelBundle.load(folder)
    assert "\n" not in str(caught.value)
    assert "convert the model again" in str(caught.value)


def test_a_missing_file_is_named(folder: Path) -> None:
    (folder / "model.onnx").unlink()
    with pytest.raises(InputError, match=r"model\.onnx: No such file"):
        ModelBundle.load(folder)


def test_a_folder_without_a_manifest_is_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not a model bundle"):
        ModelBundle.load(tmp_path)


def test_the_manifest_tells_where_each_setting_comes_from(folder: Path) -> None:
    nms = json.loads((folder / MANIFEST_NAME).read_text())["nms"]
    assert nms["threshold"] == {"value": 0.45, "source": "symbol"}
    assert nms["scoreFloor"] == {"value": 0.01, "source": "default"}
