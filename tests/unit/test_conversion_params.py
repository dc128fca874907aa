"""`.params` files: ours and MXNet's own must be the same, and damage must be told."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edgetally.conversion.params import read_params, write_params
from edgetally.errors import InputError
from edgetally.mxnet_compat import import_mxnet

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

mx = import_mxnet()
DTYPES = ("float32", "float64", "float16", "uint8", "int32", "int8", "int64")
names = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=12)
arrays = st.sampled_from(DTYPES).flatmap(
    lambda dtype: hnp.arrays(dtype, hnp.array_shapes(max_dims=4, max_side=4))
)
checkpoints = st.dictionaries(names.map("arg:".__add__), arrays, min_size=1, max_size=4)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("params")


def saved_by_mxnet(folder: Path, checkpoint: dict[str, NDArray[Any]]) -> bytes:
    path = folder / "saved.params"
    mx.nd.save(str(path), {name: mx.nd.array(a, dtype=a.dtype) for name, a in checkpoint.items()})
    return path.read_bytes()


def assert_same(found: dict[str, NDArray[Any]], wanted: dict[str, NDArray[Any]]) -> None:
    assert list(found) == list(wanted)
    for name, array in wanted.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)


@settings(deadline=None, max_examples=30)
@given(checkpoint=checkpoints)
def test_what_mxnet_saves_is_read_and_written_byte_for_byte(
    folder: Path, checkpoint: dict[str, NDArray[Any]]
) -> None:
    content = saved_by_mxnet(folder, checkpoint)
    assert_same(read_params(content, "saved.params"), checkpoint)
    assert write_params(checkpoint) == content


@pytest.mark.parametrize(
    "array_header",
    [
        struct.pack("<I2I", 2, 2, 3),
        struct.pack("<Ii2q", 0xF993FAC8, 2, 2, 3),
        struct.pack("<Iii2q", 0xF993FACA, 0, 2, 2, 3),
    ],
    ids=["before V1", "V1", "V3"],
)
def test_arrays_of_other_versions_are_read(array_header: bytes) -> None:
    data = np.arange(6, dtype=np.float32)
    content = (
        struct.pack("<QQQ", 0x112, 0, 1)
        + array_header
        + struct.pack("<iii", 1, 0, 0)
        + data.tobytes()
        + struct.pack("<QQ", 1, 5)
        + b"arg:w"
    )
    assert_same(read_params(content, "old.params"), {"arg:w": data.reshape(2, 3)})


@settings(deadline=None, max_examples=40)
@given(checkpoint=checkpoints, data=st.data())
def test_a_file_that_ends_too_early_is_bad_input(
    checkpoint: dict[str, NDArray[Any]], data: st.DataObject
) -> None:
    content = write_params(checkpoint)
    end = data.draw(st.integers(0, len(content) - 1))
    with pytest.raises(InputError, match=r"cut\.params.*it ends too early"):
        read_params(content[:end], "cut.params")


@settings(deadline=None, max_examples=100)
@given(
    checkpoint=checkpoints, position=st.integers(0, 10_000), block=st.binary(min_size=1, max_size=8)
)
def test_damage_is_either_harmless_or_bad_input(
    checkpoint: dict[str, NDArray[Any]], position: int, block: bytes
) -> None:
    content = bytearray(write_params(checkpoint))
    position %= len(content)
    content[position : position + len(block)] = block
    try:
        found = read_params(bytes(content), "damaged.params")
    except InputError as error:
        assert str(error).startswith("damaged.params")  # noqa: PT017 - both ends are right
    else:
        assert len(found) <= len(checkpoint)


def test_a_foreign_file_is_bad_input() -> None:
    with pytest.raises(InputError, match="does not start like"):
        read_params(b"PK\x03\x04" + bytes(40), "model.zip")
