"""Fuzz the reader of artifacts: python tests/fuzz/fuzz_archive.py -atheris_runs=100000."""

from __future__ import annotations

import gzip
import io
import re
import tarfile
import tempfile
from contextlib import suppress
from pathlib import Path

import atheris
import numpy as np
from fuzzing import fuzz
from hostile_bytes import damaged

with atheris.instrument_imports(
    include=["edgetally.conversion.artifact.archive", "edgetally.conversion.artifact.tar_stream"]
):
    from edgetally.conversion.artifact.archive import (
        HYPERPARAMETERS_NAME,
        PARAMS_NAME,
        SYMBOL_NAME,
        TrainingArtifact,
    )

from edgetally.conversion.artifact.params import write_params
from edgetally.errors import InputError

_MEMBERS = {
    HYPERPARAMETERS_NAME: b'{"num_classes": "2"}',
    "notes/größe" + "x" * 120: b"x",
    SYMBOL_NAME: b'{"nodes": [{"op": "null", "name": "data", "inputs": []}], "heads": [[0, 0]]}',
    PARAMS_NAME: write_params({"arg:w": np.ones(3, np.float32)}),
}


def _tar(form: int) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w", format=form) as tar:
        for name, data in _MEMBERS.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return content.getvalue()


_TARS = (_tar(tarfile.GNU_FORMAT), _tar(tarfile.PAX_FORMAT))
_SEEDS = (*_TARS, gzip.compress(_TARS[0]))


def damaged_with_checksums(data: bytes, seed: int, largest: int) -> bytes:
    """Damage, then give most blocks that look like headers the checksum they should have."""
    content = damaged(data, seed, largest)
    if seed % 5 == 0:
        return content
    result = bytearray(content)
    for found in re.finditer(b"ustar", content):
        header = result[found.start() - 257 : found.start() + 255]
        if found.start() >= 257 and len(header) == 512:
            header[148:156] = b" " * 8
            at = found.start() - 257 + 148
            result[at : at + 8] = b"%06o\0 " % sum(header)
    return bytes(result)


def try_one(data: bytes) -> None:
    """Read the bytes as an archive; where they are a tar, compressed too."""
    contents = (data, gzip.compress(data, 1)) if b"ustar" in data else (data,)
    for content in contents:
        _PATH.write_bytes(content)
        with suppress(InputError):
            TrainingArtifact.read(_PATH)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as _folder:
        _PATH = Path(_folder) / "model.tar.gz"
        fuzz(try_one, _SEEDS, damaged_with_checksums)
