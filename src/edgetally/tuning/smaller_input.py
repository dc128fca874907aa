"""The same network with a smaller input: it is convolutional throughout, only anchors are new."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from typing import TYPE_CHECKING

from edgetally.bundle import BundleFile, FileRole, ModelBundle, sha256_of
from edgetally.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from edgetally.conversion.artifact.symbol import Graph, Node

SMALLER_SIZES = (448, 384, 320, 300)
_PRIOR = "_contrib_MultiBoxPrior"


def refuse_missing_onnx() -> None:
    """Raise InputError where a network can't be written anew."""
    if importlib.util.find_spec("onnx") is None:
        raise InputError("--allow-smaller-input needs onnx; pip install 'edgetally[convert]'")


def with_input_size(bundle: ModelBundle, size: int, folder: Path) -> ModelBundle:
    """Write the bundle's network for a square input of `size` pixels into a folder, and load it.

    Anchors keep their sizes in 0-1 of the frame, and stand at the cells of the smaller feature
    maps. The new bundle has no int8 form. InputError where the network's anchors are fixed, as
    GluonCV's are, or where the size is too small for it.
    """
    refuse_missing_onnx()
    # A device only comes here when it is asked to, and with the extra that a conversion needs.
    from edgetally.conversion.artifact.params import read_params, write_params  # noqa: PLC0415
    from edgetally.conversion.artifact.symbol import parse_symbol  # noqa: PLC0415
    from edgetally.conversion.network.deployment import (  # noqa: PLC0415
        Deployment,
        NetworkInput,
        remaining,
    )
    from edgetally.conversion.onnx_model.export import export_onnx  # noqa: PLC0415

    symbol, stored = bundle.file("mxnet-symbol"), bundle.file("mxnet-params")
    graph = parse_symbol(symbol.read_bytes(), str(symbol))
    if not any(node.op == _PRIOR for node in graph.nodes):
        raise InputError(
            f"{bundle.name}'s anchors were fixed by its training; its input can't be smaller"
        )
    graph = _with_steps(graph, bundle.input_size / size)
    deployment = Deployment(
        graph,
        remaining(graph, read_params(stored.read_bytes(), str(stored))),
        bundle.nms,
        NetworkInput(size, bundle.mean, bundle.scale),
        bundle.architecture,
    )
    try:
        model = export_onnx(deployment, size)
    except InputError as error:  # it was converted once: only the size is new
        reason = str(error).partition(";")[0]
        raise InputError(
            f"an input of {size} pixels is too small for {bundle.name}: {reason}"
        ) from None
    folder.mkdir(parents=True, exist_ok=True)
    contents: dict[FileRole, tuple[str, bytes]] = {
        "mxnet-symbol": (symbol.name, graph.to_json().encode()),
        "mxnet-params": (stored.name, write_params(deployment.params)),
        "onnx": ("model.onnx", model.content),
    }
    files: dict[FileRole, BundleFile] = {}
    for role, (name, content) in contents.items():
        (folder / name).write_bytes(content)
        files[role] = BundleFile(path=name, sha256=sha256_of(folder / name))
    bundle.model_copy(update={"input_size": size, "files": files}).write(folder)
    return ModelBundle.load(folder)


def _with_steps(graph: Graph, growth: float) -> Graph:
    """Let anchors that stand at fixed steps, in 0-1 of the frame, stand as many pixels apart."""
    return replace(graph, nodes=tuple(_with_step(node, growth) for node in graph.nodes))


def _with_step(node: Node, growth: float) -> Node:
    steps = node.numbers("steps", (-1.0, -1.0)) if node.op == _PRIOR else ()
    if not steps or min(steps) <= 0:
        return node
    return replace(node, attrs={**node.attrs, "steps": str(tuple(step * growth for step in steps))})
