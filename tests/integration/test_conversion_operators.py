"""Every operator, in a small detector: the conversion's own proof compares it with MXNet."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from edgetally.conversion import convert
from edgetally.conversion.report.record import ConversionRecord
from edgetally.engines import available_engines
from edgetally.errors import EdgetallyError, InputError
from edgetally.mxnet_compat import import_mxnet

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Body = Callable[[Any], Any]

mx = import_mxnet()
SIZE = 31
VARIANCES = (0.1, 0.1, 0.2, 0.2)


def write_detector(
    folder: Path, body: Body, *, shift: float = 1.0, **detection_attrs: object
) -> Path:
    """Write an artifact whose feature map is `body` of eight channels of 31 x 31.

    shift scales the locations that the training graph's own detection sees.
    """
    with mx.name.NameManager():
        stem = mx.sym.Convolution(
            mx.sym.Variable("data"), kernel=(3, 3), pad=(1, 1), num_filter=8, name="stem"
        )
        feature = body(stem)
        heads = [
            mx.sym.Flatten(
                mx.sym.transpose(
                    mx.sym.Convolution(feature, kernel=(1, 1), num_filter=channels, name=name),
                    axes=(0, 2, 3, 1),
                )
            )
            for name, channels in (("loc", 12), ("cls", 9))
        ]
        locations = mx.sym.Concat(heads[0], dim=1, name="multibox_loc_pred")
        classes = mx.sym.transpose(mx.sym.Reshape(heads[1], shape=(0, -1, 3)), axes=(0, 2, 1))
        prior = mx.sym.contrib.MultiBoxPrior(feature, sizes=(0.3, 0.5), ratios=(1, 2))
        anchors = mx.sym.Reshape(mx.sym.Flatten(prior), shape=(0, -1, 4), name="multibox_anchors")
        target = mx.sym.contrib.MultiBoxTarget(anchors, mx.sym.Variable("label"), classes)
        probabilities = mx.sym.SoftmaxOutput(
            classes, target[2], multi_output=True, use_ignore=True, name="cls_prob"
        )
        detection = mx.sym.contrib.MultiBoxDetection(
            probabilities,
            locations * shift if shift != 1 else locations,
            anchors,
            name="detection",
            **detection_attrs,
        )
    rng = np.random.default_rng(5)
    arguments, _, states = detection.infer_shape(data=(1, 3, SIZE, SIZE), label=(1, 1, 5))
    weights = {}
    for kind, names, shapes in (
        ("arg", detection.list_arguments(), arguments),
        ("aux", detection.list_auxiliary_states(), states),
    ):
        for name, shape in zip(names, shapes, strict=True):
            if name in {"data", "label"}:
                continue
            values = rng.normal(0, 0.01 if name == "stem_weight" else 0.3, shape)
            weights[f"{kind}:{name}"] = mx.nd.array(abs(values) if "var" in name else values)
    detection.save(str(folder / "model_algo_1-symbol.json"))
    mx.nd.save(str(folder / "model_algo_1-0000.params"), weights)
    hyperparameters = {"base_network": "tiny", "num_classes": "2", "image_shape": str(SIZE)}
    (folder / "hyperparams.json").write_text(json.dumps(hyperparameters))
    return folder


def pooled(**attrs: object) -> Body:
    return lambda data: mx.sym.Pooling(data, name="pool", **attrs)


def convolved(**attrs: object) -> Body:
    return lambda data: mx.sym.Convolution(data, name="conv", **attrs)


def activated(kind: str) -> Body:
    return lambda data: mx.sym.Activation(data, act_type=kind)


def normalized(**attrs: object) -> Body:
    return lambda data: mx.sym.BatchNorm(data, name="norm", **attrs)


def scaled(data: Any) -> Any:
    scale = mx.sym.Variable("norm_scale", shape=(1, 8, 1, 1))
    return mx.sym.broadcast_mul(scale, mx.sym.L2Normalization(data, mode="channel"))


def residual(data: Any) -> Any:
    first = mx.sym.Activation(data, act_type="relu")
    return first + mx.sym.Convolution(first, kernel=(3, 3), pad=(1, 1), num_filter=8)


BODIES: dict[str, Body] = {
    "convolution": convolved(kernel=(3, 3), num_filter=6),
    "dilated": convolved(kernel=(3, 3), num_filter=6, dilate=(6, 6), pad=(6, 6)),
    "strided": convolved(kernel=(5, 3), num_filter=6, stride=(2, 3), pad=(2, 1), no_bias=True),
    "grouped": convolved(kernel=(3, 3), num_filter=8, num_group=4),
    "max pooling": pooled(kernel=(3, 3), stride=(2, 2), pad=(1, 1), pool_type="max"),
    "max pooling full": pooled(
        kernel=(2, 2), stride=(2, 2), pool_type="max", pooling_convention="full"
    ),
    "padded max pooling full": pooled(
        kernel=(3, 3), stride=(3, 3), pad=(1, 1), pool_type="max", pooling_convention="full"
    ),
    "average pooling": pooled(kernel=(3, 3), stride=(2, 2), pad=(1, 1), pool_type="avg"),
    "average pooling, padding not counted": pooled(
        kernel=(3, 3), stride=(2, 2), pad=(1, 1), pool_type="avg", count_include_pad=False
    ),
    "average pooling full": pooled(
        kernel=(2, 2), stride=(2, 2), pool_type="avg", pooling_convention="full"
    ),
    "global average pooling": pooled(kernel=(1, 1), global_pool=True, pool_type="avg"),
    "global max pooling": pooled(kernel=(1, 1), global_pool=True, pool_type="max"),
    "batch norm": normalized(fix_gamma=False, eps=2e-5),
    "batch norm of a fixed gamma, by default": normalized(),
    "scaled L2 normalization": scaled,
    "dropout": lambda data: mx.sym.Dropout(data, p=0.5),
    "copy": mx.sym.identity,
    "sum": residual,
    "concat": lambda data: mx.sym.Concat(data, mx.sym.Activation(data, act_type="tanh")),
    **{kind: activated(kind) for kind in ("relu", "sigmoid", "tanh", "softrelu", "softsign")},
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
def test_an_operator_gives_what_it_gives_in_mxnet(body: Body, tmp_path: Path) -> None:
    convert(write_detector(tmp_path, body), tmp_path / "bundle", verify=True, timings=False)
    record = ConversionRecord.load(tmp_path / "bundle")
    assert record is not None
    assert len(record.parity) == 1 + len(available_engines())
    for parity in record.parity:
        assert parity.max_box_difference < 2e-5
        assert parity.max_score_difference < 2e-5


@pytest.mark.parametrize(
    "attrs",
    [
        {"clip": False},
        {"variances": (0.2, 0.1, 0.3, 0.4)},
        {"force_suppress": True, "nms_threshold": 0.3},
        {"nms_topk": 5},
        {"threshold": 0.6},
    ],
    ids=" ".join,
)
def test_each_setting_of_the_detection_is_kept(attrs: dict[str, Any], tmp_path: Path) -> None:
    source = write_detector(tmp_path, activated("relu"), **attrs)
    nms = convert(source, tmp_path / "bundle", verify=True, timings=False).nms
    fields = {"nms_threshold": "threshold", "nms_topk": "topk", "threshold": "score_floor"}
    for key, value in attrs.items():
        setting = getattr(nms, fields.get(key, key))
        assert (setting.value, setting.source) == (value, "symbol")


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (lambda data: mx.sym.sin(data, name="wave"), r"node wave \(sin\).*not supported"),
        (pooled(kernel=(2, 2), pool_type="sum"), r"node pool \(Pooling\): sum pooling"),
        (
            lambda data: mx.sym.L2Normalization(data, mode="instance", name="norm"),
            r"node norm \(L2Normalization\): only the mode channel",
        ),
    ],
    ids=["operator", "pooling", "normalization"],
)
def test_what_is_not_supported_is_named_with_its_node(
    body: Body, problem: str, tmp_path: Path
) -> None:
    source = write_detector(tmp_path, body)
    with pytest.raises(InputError, match=problem):
        convert(source, tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()


def test_a_result_that_differs_from_the_training_graph_is_not_kept(tmp_path: Path) -> None:
    (tmp_path / "job").mkdir()
    source = write_detector(tmp_path / "job", activated("relu"), shift=1.5)
    with pytest.raises(EdgetallyError, match="do not give the mxnet training graph's own"):
        convert(source, tmp_path / "a" / "bundle", verify=True, timings=False)
    assert [path.name for path in tmp_path.iterdir()] == ["job"]
