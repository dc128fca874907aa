"""Fuzz the reader of symbol files: python tests/fuzz/fuzz_symbol.py -atheris_runs=100000."""

from __future__ import annotations

import copy
import json
import random
from contextlib import suppress
from typing import Any

import atheris
from fuzzing import fuzz
from hostile_bytes import damaged

with atheris.instrument_imports(include=["edgetally.conversion.artifact.symbol"]):
    from edgetally.conversion.artifact.symbol import parse_symbol

from edgetally.errors import InputError

_NODES = [
    {"op": "null", "name": "data", "inputs": []},
    {"op": "null", "name": "w", "attr": {"__lr_mult__": "0.1"}, "inputs": []},
    {
        "op": "Convolution",
        "name": "conv0",
        "attrs": {"kernel": "(3, 3)", "no_bias": "True", "num_filter": "8"},
        "inputs": [[0, 0, 0], [1, 0, 0]],
    },
]
_SYMBOL = {
    "nodes": _NODES,
    "arg_nodes": [0, 1],
    "heads": [[2, 0, 0]],
    "attrs": {"mxnet_version": ["int", 10300]},
}
_SEEDS = tuple(
    text.encode() for text in (json.dumps(_SYMBOL), "[" * 3000, '{"nodes": [], "heads": []}')
)


_VALUES: tuple[Any, ...] = (
    None, True, -1, 0, 1, 1 << 31, 1 << 63, 1.5, float("inf"), float("nan"), 10**400,
    "", "None", "(1,", "1e999", "9" * 5000, "\ud800", "null", [], {}, [[]], [0, 0, 0], [2, 0],
)  # fmt: skip


def damaged_json(data: bytes, seed: int, largest: int) -> bytes:
    """Replace, remove or repeat values inside the JSON; damage its bytes where it is none."""
    try:
        saved = json.loads(data)
    except (ValueError, RecursionError):
        saved = None
    if seed % 5 == 0 or not isinstance(saved, dict):
        return damaged(data, seed, largest)
    chance = random.Random(seed)
    for _ in range(chance.randint(1, 3)):
        at: Any = saved
        while isinstance(at, dict | list) and at:
            key = chance.choice(list(at) if isinstance(at, dict) else range(len(at)))
            deeper = at[key]
            if not isinstance(deeper, dict | list) or not deeper or chance.random() < 0.2:
                match chance.randrange(4):
                    case 0:
                        del at[key]
                    case 1 if isinstance(at, list):
                        at.extend(copy.deepcopy(deeper) for _ in range(chance.choice((1, 2, 50))))
                    case _:
                        at[key] = copy.deepcopy(chance.choice(_VALUES))
                break
            at = deeper
    return json.dumps(saved).encode()[:largest]


def try_one(data: bytes) -> None:
    """Read, and where that goes well read attributes, prune, write and read again."""
    with suppress(InputError):
        graph = parse_symbol(data, "fuzz-symbol.json")
        pruned = graph.pruned()
        if parse_symbol(pruned.to_json().encode(), "written").nodes != pruned.nodes:
            raise AssertionError("what was written is not what is read")
        for node in graph.nodes:
            for key in node.attrs:
                with suppress(InputError):
                    node.integers(key, ())


if __name__ == "__main__":
    fuzz(try_one, _SEEDS, damaged_json)
