"""A model that reads floats, cut open so that it reads pixels: what is put in, what stays."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest

from edgetally.engines import create_engine
from edgetally.engines.onnx_pixels import PIXELS, reading_pixels, with_pixels

if TYPE_CHECKING:
    from edgetally.bundle import ModelBundle


def composed(bundle: ModelBundle) -> onnx.ModelProto:
    return onnx.load_from_string(b"".join(with_pixels(bundle.file("onnx").read_bytes(), bundle)))


@pytest.mark.parametrize(
    ("changed", "front"),
    [
        ({}, ["Transpose", "Gather", "Cast"]),
        ({"colour_order": "BGR"}, ["Transpose", "Cast"]),
        ({"mean": (1.0, 2.0, 3.0)}, ["Transpose", "Gather", "Cast", "Sub"]),
        ({"scale": (1.0, 0.5, 1.0)}, ["Transpose", "Gather", "Cast", "Mul"]),
    ],
    ids=["as it is trained", "BGR", "mean", "scale"],
)
def test_only_the_steps_that_change_something_are_put_in_front(
    bundle: ModelBundle, changed: dict[str, object], front: list[str]
) -> None:
    network = onnx.load(bundle.file("onnx"))

    model = composed(bundle.model_copy(update=changed))

    onnx.checker.check_model(model, full_check=True)
    assert [node.op_type for node in model.graph.node[: len(front)]] == front
    assert list(model.graph.node[len(front) :]) == list(network.graph.node)
    assert [entry.name for entry in model.graph.input] == [PIXELS]


def test_all_else_of_the_model_stays_as_it_was(bundle: ModelBundle) -> None:
    network = onnx.load(bundle.file("onnx"))

    model = composed(bundle)

    weights = {entry.name: entry for entry in model.graph.initializer}
    assert [weights[entry.name] for entry in network.graph.initializer] == list(
        network.graph.initializer
    )
    for each in (network, model):
        for repeated in (each.graph.node, each.graph.initializer, each.graph.input):
            del repeated[:]
    assert model == network


@pytest.mark.parametrize("length", [1, 3, 1000, -1])
def test_a_model_that_is_cut_short_is_refused(bundle: ModelBundle, length: int) -> None:
    with pytest.raises(ValueError, match="no ONNX model"):
        with_pixels(bundle.file("onnx").read_bytes()[:length], bundle)


@pytest.mark.parametrize("content", [b"<html></html>", b"\xff" * 100], ids=["text", "no end"])
def test_what_is_no_model_is_refused(bundle: ModelBundle, content: bytes) -> None:
    with pytest.raises(ValueError, match="no ONNX model"):
        with_pixels(content, bundle)


def test_the_model_goes_once_it_is_loaded(bundle: ModelBundle) -> None:
    with reading_pixels(bundle.file("onnx"), bundle) as path:
        size = Path(path).stat().st_size

    assert size > bundle.file("onnx").stat().st_size
    assert not Path(path).exists()


def test_a_python_without_files_in_memory_takes_one_on_disk(
    bundle: ModelBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Uv's older builds, and those made on Amazon Linux 2, have no `os.memfd_create`."""
    frame = np.random.default_rng(0).integers(
        0, 256, (1, bundle.input_size, bundle.input_size, 3), np.uint8
    )
    usual = create_engine(bundle, "onnxruntime")
    expected = usual.infer(frame)
    usual.close()
    monkeypatch.delattr(os, "memfd_create", raising=False)

    engine = create_engine(bundle, "onnxruntime")

    np.testing.assert_array_equal(engine.infer(frame).scores, expected.scores)
    engine.close()
