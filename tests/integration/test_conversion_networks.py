"""Both networks of the algorithm, at its sizes and settings, as each MXNet wrote them."""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from training_job import PARAMS, SYMBOL, edit_params, unpacked

from conftest import write_artifact
from edgetally.conversion import convert
from edgetally.conversion.artifact.params import read_params
from edgetally.mxnet_compat import import_mxnet

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    Rewrite = Callable[[Path], None]

mx = import_mxnet()
NETWORKS = ("resnet-50", "vgg-16")
SPREAD = 0.05
ANCHORS = {
    ("resnet-50", 300): 2268,
    ("resnet-50", 400): 3924,
    ("resnet-50", 512): 6132,
    ("vgg-16", 300): 8732,
    ("vgg-16", 400): 15194,
    ("vgg-16", 512): 24576,
}
# Every pair of settings occurs.
MATRIX = [
    ("resnet-50", 300, 1, False),
    ("vgg-16", 300, 2, True),
    ("resnet-50", 300, 20, True),
    ("vgg-16", 400, 1, True),
    ("resnet-50", 400, 2, False),
    ("vgg-16", 400, 20, False),
    ("resnet-50", 512, 1, True),
    ("vgg-16", 512, 2, False),
    ("resnet-50", 512, 20, False),
]


@pytest.mark.parametrize(("network", "size", "classes", "force_suppress"), MATRIX)
def test_a_network_converts_and_equals_its_training_graph(
    network: str, size: int, classes: int, force_suppress: bool, tmp_path: Path
) -> None:
    source = write_artifact(
        tmp_path,
        network=network,
        size=size,
        num_classes=classes,
        force_suppress=force_suppress,
        spread=SPREAD,
        norms_trained=True,
    )
    bundle = convert(source, tmp_path / "bundle", verify=True, timings=False)
    assert bundle.architecture == network
    assert bundle.input_size == size
    assert len(bundle.classes) == classes
    assert bundle.nms.force_suppress.value == force_suppress
    assert anchors_in(bundle.file("onnx")) == ANCHORS[network, size]


def anchors_in(model: Path) -> int:
    import onnx

    boxes = onnx.load(model).graph.output[0]
    return int(boxes.type.tensor_type.shape.dim[1].dim_value)


def all_under_attr(job: Path) -> None:
    """Every attribute under `attr`."""
    rewrite_symbol(job, lambda attrs: {"attr": attrs})


def under_param(job: Path) -> None:
    """An operator's own under `param`, the hidden ones under `attr`."""

    def split(attrs: dict[str, str]) -> dict[str, dict[str, str]]:
        hidden = {key: value for key, value in attrs.items() if key.startswith("__")}
        own = {key: value for key, value in attrs.items() if key not in hidden}
        return {"param": own, "attr": hidden}

    rewrite_symbol(job, split)


def rewrite_symbol(job: Path, place: Callable[[dict[str, str]], dict[str, Any]]) -> None:
    symbol = json.loads((job / SYMBOL).read_text())
    nodes = [
        {
            "op": node["op"],
            "name": node["name"],
            "inputs": [entry[:2] for entry in node["inputs"]],
            "backward_source_id": -1,
            **place(node.get("attrs", {})),
        }
        for node in symbol["nodes"]
    ]
    older = {
        "nodes": nodes,
        "arg_nodes": symbol["arg_nodes"],
        "heads": [head[:2] for head in symbol["heads"]],
        "attrs": {"mxnet_version": ["int", 10200]},
    }
    (job / SYMBOL).write_text(json.dumps(older))


def in_half_precision(job: Path) -> None:
    def halve(params: dict[str, NDArray[Any]]) -> None:
        params.update({name: array.astype(np.float16) for name, array in params.items()})

    edit_params(job, halve)


def before_version_1(job: Path) -> None:
    """Neither magic number nor storage type, 32 bits a side."""
    rewrite_params(job, lambda array: struct.pack(f"<I{array.ndim}I", array.ndim, *array.shape))


def of_version_1(job: Path) -> None:
    """A magic number and 64 bits a side, but no storage type."""
    rewrite_params(
        job,
        lambda array: struct.pack(f"<II{array.ndim}q", 0xF993FAC8, array.ndim, *array.shape),
    )


def rewrite_params(job: Path, header: Callable[[NDArray[Any]], bytes]) -> None:
    params = read_params((job / PARAMS).read_bytes(), PARAMS)
    parts = [struct.pack("<QQQ", 0x112, 0, len(params))]
    for array in params.values():
        parts += [header(array), struct.pack("<iii", 1, 0, 0), array.astype("<f4").tobytes()]
    parts.append(struct.pack("<Q", len(params)))
    parts += [struct.pack("<Q", len(name)) + name.encode() for name in params]
    (job / PARAMS).write_bytes(b"".join(parts))


OLDER: dict[str, tuple[str, tuple[Rewrite, ...]]] = {
    "resnet-50, attr, arrays of version 1": ("resnet-50", (all_under_attr, of_version_1)),
    "vgg-16, attr": ("vgg-16", (all_under_attr,)),
    "resnet-50, param, arrays before version 1": (
        "resnet-50",
        (under_param, before_version_1),
    ),
    "vgg-16, param, arrays of version 1": ("vgg-16", (under_param, of_version_1)),
    "resnet-50, half precision": ("resnet-50", (in_half_precision,)),
    "vgg-16, param, half precision": ("vgg-16", (in_half_precision, under_param)),
}


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    found = {}
    for network in NETWORKS:
        folder = tmp_path_factory.mktemp(network)
        found[network] = write_artifact(folder, network=network, spread=SPREAD, norms_trained=True)
    return found


@pytest.mark.parametrize(("network", "rewrites"), OLDER.values(), ids=OLDER.keys())
def test_what_an_older_mxnet_wrote_converts_to_the_same(
    network: str, rewrites: tuple[Rewrite, ...], artifacts: dict[str, Path], tmp_path: Path
) -> None:
    job = unpacked(artifacts[network], tmp_path / "job")
    for rewrite in rewrites:
        rewrite(job)
    # The rewritten files are what MXNet itself takes, too.
    symbol = mx.sym.load(str(job / SYMBOL))
    names = {*symbol.list_arguments(), *symbol.list_auxiliary_states()} - {"data", "label"}
    assert {name[4:] for name in mx.nd.load(str(job / PARAMS))} == names
    made = convert(job, tmp_path / "made", name="same", verify=True, timings=False)
    if in_half_precision not in rewrites:
        usual = convert(artifacts[network], tmp_path / "usual", name="same", verify=False)
        for role in ("mxnet-params", "onnx"):
            assert made.file(role).read_bytes() == usual.file(role).read_bytes()
