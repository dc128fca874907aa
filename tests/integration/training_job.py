"""A training job's three files, unpacked, to be changed by a test."""

from __future__ import annotations

import io
import json
import tarfile
from typing import TYPE_CHECKING, Any

from edgetally.conversion.artifact.params import read_params, write_params

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

SYMBOL = "model_algo_1-symbol.json"
PARAMS = "model_algo_1-0000.params"
HYPERPARAMETERS = "hyperparams.json"
NAMES = (SYMBOL, PARAMS, HYPERPARAMETERS)

Nodes = dict[str, dict[str, Any]]


def unpacked(artifact: Path, folder: Path) -> Path:
    with tarfile.open(artifact) as tar:
        for name in NAMES:
            tar.extract(name, folder)
    return folder


def edit_symbol(job: Path, edit: Callable[[Nodes], object]) -> None:
    """Change nodes, given by name."""
    symbol = json.loads((job / SYMBOL).read_text())
    edit({node["name"]: node for node in symbol["nodes"]})
    (job / SYMBOL).write_text(json.dumps(symbol))


def edit_params(job: Path, edit: Callable[[dict[str, NDArray[Any]]], object]) -> None:
    params = read_params((job / PARAMS).read_bytes(), PARAMS)
    edit(params)
    (job / PARAMS).write_bytes(write_params(params))


def edit_hyperparameters(job: Path, **values: str | None) -> None:
    settings = json.loads((job / HYPERPARAMETERS).read_text()) | values
    kept = {key: value for key, value in settings.items() if value is not None}
    (job / HYPERPARAMETERS).write_text(json.dumps(kept))


def tree(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def write_tar(path: Path, members: dict[str, bytes], mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path
