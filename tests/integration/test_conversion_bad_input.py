"""What the conversion refuses: one line that names the fault, and nothing left behind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from training_job import (
    HYPERPARAMETERS,
    NAMES,
    PARAMS,
    SYMBOL,
    Nodes,
    edit_hyperparameters,
    edit_params,
    edit_symbol,
    unpacked,
    write_tar,
)

from edgetally.conversion import convert
from edgetally.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

Damage = Callable[[Path], object]


@pytest.fixture
def job(artifact: Path, tmp_path: Path) -> Path:
    return unpacked(artifact, tmp_path / "job")


def drop(name: str) -> Damage:
    return lambda job: (job / name).unlink()


def write(name: str, content: str) -> Damage:
    return lambda job: (job / name).write_text(content)


def symbol(edit: Callable[[Nodes], object]) -> Damage:
    return lambda job: edit_symbol(job, edit)


def params(edit: Callable[[dict[str, NDArray[Any]]], object]) -> Damage:
    return lambda job: edit_params(job, edit)


def both(first: Damage, second: Damage) -> Damage:
    return lambda job: (first(job), second(job))


def hyperparameters(**values: str | None) -> Damage:
    return lambda job: edit_hyperparameters(job, **values)


BAD_JOBS: dict[str, tuple[Damage, str]] = {
    "no symbol": (drop(SYMBOL), f"lacks {SYMBOL}"),
    "no parameters": (drop(PARAMS), f"lacks {PARAMS}"),
    "no hyperparameters": (drop(HYPERPARAMETERS), f"lacks {HYPERPARAMETERS}"),
    "symbol is no JSON": (write(SYMBOL, "{"), f"{SYMBOL} is not an MXNet symbol"),
    "symbol is another JSON": (write(SYMBOL, "[1]"), f"{SYMBOL} is not an MXNet symbol"),
    "hyperparameters are no JSON": (write(HYPERPARAMETERS, "x"), "can't be read"),
    "hyperparameters are a list": (write(HYPERPARAMETERS, "[]"), "can't be read"),
    "parameters are foreign": (write(PARAMS, "x" * 99), "does not start like"),
    "parameters are empty": (write(PARAMS, ""), "ends too early"),
    "no image_shape": (hyperparameters(image_shape=None), "lacks image_shape"),
    "image classification": (hyperparameters(image_shape="3,224,224"), "object detection artifact"),
    "no num_classes": (hyperparameters(num_classes=None), "lacks num_classes"),
    "other num_classes": (hyperparameters(num_classes="5"), "num_classes 5 but the network has 2"),
    "bad topk": (
        both(
            symbol(lambda nodes: nodes["detection"].update(attrs={})),
            hyperparameters(nms_topk="many"),
        ),
        "nms_topk='many' should be numbers",
    ),
    "huge image_shape": (hyperparameters(image_shape="99999999"), "image_shape is 99999999, more"),
    "hyperparameters with half a character": (
        write(HYPERPARAMETERS, r'{"base_network": "\ud800"}'),
        "can't be read",
    ),
    "symbol with half a character": (
        symbol(lambda nodes: nodes["conv0"].update(name="\ud800")),
        f"{SYMBOL} is not an MXNet symbol",
    ),
    "infinite input": (
        symbol(lambda nodes: nodes["bn0"].update(inputs=[[float("inf"), 0, 0]])),
        f"{SYMBOL} is not an MXNet symbol",
    ),
    "infinite head": (
        write(SYMBOL, '{"nodes": [], "heads": [[1e999, 0, 0]]}'),
        f"{SYMBOL} is not an MXNet symbol",
    ),
    "infinite nms_threshold": (
        symbol(lambda nodes: nodes["detection"]["attrs"].update(nms_threshold="1e999")),
        "nms_threshold='1e999' should be finite",
    ),
    "variances of zero": (
        symbol(lambda nodes: nodes["detection"]["attrs"].update(variances="(0.1,0,0.2,0.2)")),
        "should be four numbers above 0",
    ),
    "absurd padding": (
        symbol(lambda nodes: nodes["conv0"]["attrs"].update(pad="(1000000, 1000000)")),
        "pad 1000000 make no window",
    ),
    "no heads": (
        symbol(lambda nodes: nodes["cls_prob"].update(name="softmax")),
        "no node cls_prob; is this a SageMaker object detection artifact",
    ),
    "no locations": (
        symbol(lambda nodes: nodes["multibox_loc_pred"].update(name="other")),
        "no node multibox_loc_pred",
    ),
    "deployed already": (
        symbol(lambda nodes: nodes["cls_prob"].update(op="softmax")),
        "deployed already",
    ),
    "bad attribute": (
        symbol(lambda nodes: nodes["conv0"]["attrs"].update(kernel="(7, x)")),
        r"node conv0 \(Convolution\): kernel=",
    ),
    "stride of zero": (
        symbol(lambda nodes: nodes["conv0"]["attrs"].update(stride="(0, 0)")),
        r"node conv0 \(Convolution\) does not fit",
    ),
    "inputs missing": (
        symbol(lambda nodes: nodes["bn0"].update(inputs=nodes["bn0"]["inputs"][:3])),
        "hold aux:bn0_moving_mean, which the network does not have",
    ),
    "anchors without sizes": (
        symbol(lambda nodes: nodes["_plus12_anchors"]["attrs"].update(sizes="()")),
        r"node _plus12_anchors .* make no anchors",
    ),
    "other anchors": (
        symbol(lambda nodes: nodes["_plus12_anchors"]["attrs"].update(ratios="(1,2)")),
        "do not belong together",
    ),
    "parameter missing": (
        params(lambda arrays: arrays.pop("arg:conv0_weight")),
        "hold no conv0_weight",
    ),
    "parameter of another shape": (
        params(lambda arrays: arrays.update({"aux:bn0_moving_var": np.ones(3, np.float32)})),
        r"parameter bn0_moving_var is \[3\] but should be \[8\]",
    ),
    "parameter too many": (
        params(lambda arrays: arrays.update({"arg:fc1_weight": np.ones(3, np.float32)})),
        "hold arg:fc1_weight, which the network does not have",
    ),
    "parameter without its kind": (
        params(lambda arrays: arrays.update({"conv0_bias": np.ones(3, np.float32)})),
        "hold conv0_bias, which the network does not have",
    ),
    "parameter not a number": (
        params(lambda arrays: arrays.update({"arg:bn0_beta": np.full(8, np.nan, np.float32)})),
        "parameter bn0_beta is not finite",
    ),
}


@pytest.mark.parametrize(("damage", "problem"), BAD_JOBS.values(), ids=BAD_JOBS.keys())
def test_a_bad_job_is_one_line_and_leaves_nothing(
    damage: Damage, problem: str, job: Path, tmp_path: Path
) -> None:
    damage(job)
    with pytest.raises(InputError, match=problem) as caught:
        convert(job, tmp_path / "deep" / "out", verify=False)
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["job"]


@pytest.mark.parametrize(
    ("classes", "problem"),
    [
        (["blue box"], "1 class names"),
        (["box", "box"], "must differ"),
        (["", "b"], "not be empty"),
        (["a\ud800", "b"], "can't be written"),
        (["a\n", "b"], "can't be written"),
    ],
)
def test_class_names_must_fit_the_model(
    classes: list[str], problem: str, job: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=problem):
        convert(job, tmp_path / "out", classes=classes, verify=False)


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"name": ""}, "--name '' must not be empty"),
        ({"name": "a\ud800"}, "--name .* can't be written"),
        ({"version": " "}, "--version ' ' must not be empty"),
        ({"source": Path("a\0b")}, "is no path"),
        ({"output": Path("a\0b")}, "is no path"),
        ({"output": Path("/")}, "folder's name '' must not be empty"),
    ],
)
def test_a_bad_argument_is_one_line_and_leaves_nothing(
    given: dict[str, Any], problem: str, job: Path, tmp_path: Path
) -> None:
    usual: dict[str, Any] = {"source": job, "output": tmp_path / "out", "verify": False}
    with pytest.raises(InputError, match=problem) as caught:
        convert(**usual | given)
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["job"]


def truncated(artifact: Path, path: Path) -> None:
    content = artifact.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def flipped(artifact: Path, path: Path) -> None:
    content = bytearray(artifact.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


def twice(artifact: Path, path: Path) -> None:
    write_tar(path, {f"{job}/{name}": b"{}" for job in "ab" for name in NAMES})


BAD_ARCHIVES: dict[str, tuple[Callable[[Path, Path], object], str]] = {
    "missing": (lambda _artifact, _path: None, "does not exist"),
    "a folder's name": (lambda _artifact, path: path.mkdir(), "lacks"),
    "text": (lambda _artifact, path: path.write_text("no archive"), "not a whole tar archive"),
    "empty file": (lambda _artifact, path: path.touch(), "not a whole tar archive"),
    "truncated": (truncated, "not a whole tar archive"),
    "damaged": (flipped, "not a whole tar archive"),
    "empty archive": (lambda _artifact, path: write_tar(path, {}), f"lacks {SYMBOL} and {PARAMS}"),
    "two jobs": (twice, f"holds {SYMBOL} more than once"),
}


@pytest.mark.parametrize(("make", "problem"), BAD_ARCHIVES.values(), ids=BAD_ARCHIVES.keys())
def test_a_bad_archive_is_one_line_and_leaves_nothing(
    make: Callable[[Path, Path], object], problem: str, artifact: Path, tmp_path: Path
) -> None:
    source = tmp_path / "model.tar.gz"
    make(artifact, source)
    with pytest.raises(InputError, match=problem) as caught:
        convert(source, tmp_path / "out", verify=False)
    assert "\n" not in str(caught.value)
    assert "model.tar.gz" in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_an_output_that_cannot_be_written_is_bad_input(job: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="can't be written"):
        convert(job, tmp_path / "file" / "out", verify=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "job"]
