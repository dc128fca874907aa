"""Fuzz the reader of `.params` files: python tests/fuzz/fuzz_params.py -atheris_runs=100000."""

from __future__ import annotations

import struct
from contextlib import suppress

import atheris
import numpy as np
from fuzzing import fuzz

with atheris.instrument_imports(include=["edgetally.conversion.artifact.params"]):
    from edgetally.conversion.artifact.params import read_params, write_params

from edgetally.errors import InputError

_SHAPES = {"float32": (2, 3), "float16": (3,), "int8": (1, 2, 2), "int64": (2,)}
_ARRAYS = {f"arg:{kind}": np.ones(shape, kind) for kind, shape in _SHAPES.items()}
_OLD = struct.pack("<QQQI2Iiiif", 0x112, 0, 1, 2, 1, 1, 1, 0, 0, 1.0) + struct.pack("<QQ", 1, 1)
_SEEDS = (write_params(_ARRAYS), write_params({}), _OLD + b"w")


def try_one(data: bytes) -> None:
    """Read; what is read must not be larger than what it was read from."""
    with suppress(InputError):
        arrays = read_params(data, "fuzz.params")
        if sum(array.nbytes for array in arrays.values()) > len(data):
            raise AssertionError("more was read than there is")


if __name__ == "__main__":
    fuzz(try_one, _SEEDS)
