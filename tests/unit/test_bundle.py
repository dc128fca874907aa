"""A bundle is loaded whole and unchanged, or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tracemalloc
from pathlib import Path

import pytest

from edgetally.bundle import MANIFEST_NAME, ModelBundle
from edgetally.errors import InputError
from locked_folder import locked_folder


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


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "null", '{"format": 1}', "\x00", "[" * 1_000_000]
)
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


@pytest.mark.parametrize("name", ["bundle.json", "model.onnx"])
@pytest.mark.parametrize("kind", ["pipe", "device", "3 GB"])
def test_what_is_no_ordinary_file_is_not_read(folder: Path, name: str, kind: str) -> None:
    path = folder / name
    path.unlink()
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        with path.open("wb") as file:
            file.truncate(3 << 30)
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match=name) as caught:
            ModelBundle.load(folder)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()
    # a link that leaves the folder is refused before what it leads to is looked at
    told = ("it is no ordinary file", "it has more than", "lies outside the bundle")
    assert any(reason in str(caught.value) for reason in told)


@pytest.mark.parametrize("path", ["a\0b", "\ud800", "x" * 5000, "ring/x", "."])
def test_a_file_that_can_be_none_is_refused_in_one_line(folder: Path, path: str) -> None:
    (folder / "ring").symlink_to("ring")
    manifest = folder / MANIFEST_NAME
    content = json.loads(manifest.read_text())
    del content["manifestSha256"]
    content["files"]["onnx"]["path"] = path
    rest = json.dumps(content, sort_keys=True, separators=(",", ":"))
    content["manifestSha256"] = hashlib.sha256(rest.encode()).hexdigest()
    manifest.write_text(json.dumps(content))
    with pytest.raises(InputError) as caught:
        ModelBundle.load(folder)
    assert str(caught.value).isprintable()  # and so one line
    assert len(str(caught.value)) < 600
    assert "was changed" not in str(caught.value)


def test_a_bundle_that_may_not_be_read_is_told_as_that() -> None:
    with (
        locked_folder() as folder,
        pytest.raises(InputError, match=r"bundle\.json can't be read: Permission denied"),
    ):
        ModelBundle.load(folder)


def test_a_folder_without_a_manifest_is_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not a model bundle"):
        ModelBundle.load(tmp_path)


def test_the_manifest_tells_where_each_setting_comes_from(folder: Path) -> None:
    nms = json.loads((folder / MANIFEST_NAME).read_text())["nms"]
    assert nms["threshold"] == {"value": 0.45, "source": "symbol"}
    assert nms["scoreFloor"] == {"value": 0.01, "source": "default"}
