"""`.params` files: ours and MXNet's own must be the same, and damage must be told."""

from __future__ import annotations

import struct
import tracemalloc
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edgetally.conversion.artifact.params import read_params, write_params
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


SIZES = (0, 1, 255, 1 << 31, (1 << 32) - 1, 1 << 40, (1 << 63) - 1, 1 << 63)
hostile_sizes = st.sampled_from(SIZES).map(lambda size: struct.pack("<Q", size))
damages = st.one_of(
    st.tuples(st.just("overwrite"), st.binary(min_size=1, max_size=8)),
    st.tuples(st.just("insert"), st.binary(min_size=1, max_size=16)),
    st.tuples(st.just("overwrite"), hostile_sizes),
    st.tuples(st.just("insert"), hostile_sizes),
    st.tuples(st.just("cut"), st.binary(min_size=1, max_size=64)),
)


@settings(deadline=None, max_examples=150)
@given(
    checkpoint=checkpoints,
    hits=st.lists(st.tuples(st.integers(0, 10_000), damages), min_size=1, max_size=3),
)
def test_damage_is_either_harmless_or_bad_input(
    checkpoint: dict[str, NDArray[Any]], hits: list[tuple[int, tuple[str, bytes]]]
) -> None:
    content = bytearray(write_params(checkpoint))
    for position, (how, block) in hits:
        start = position % (len(content) + 1)
        end = start if how == "insert" else start + len(block)
        content[start:end] = b"" if how == "cut" else block
    tracemalloc.start()
    try:
        found = read_params(bytes(content), "damaged.params")
    except InputError as error:
        assert str(error).startswith("damaged.params")  # noqa: PT017 - both ends are right
        assert len(str(error)) < 1000  # noqa: PT017
    else:
        assert sum(array.nbytes for array in found.values()) <= len(content)
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 20_000 + 4 * len(content)


def array_of(*shape: int, kind: int = 0, data: bytes = b"") -> bytes:
    """Return a file of one array that claims this shape."""
    return (
        struct.pack("<QQQIii", 0x112, 0, 1, 0xF993FAC9, 0, len(shape))
        + struct.pack(f"<{len(shape)}q", *shape)
        + struct.pack("<iii", 1, 0, kind)
        + data
        + struct.pack("<QQ", 1, 1)
        + b"w"
    )


HOSTILE: dict[str, tuple[bytes, str]] = {
    "terabytes": (array_of(1 << 20, 1 << 20), "it ends too early"),
    "2^63 a side": (array_of((1 << 63) - 1, (1 << 63) - 1), "it ends too early"),
    "a negative side": (array_of(-1, 3), r"an array of type 0 and shape \(-1, 3\)"),
    "two negative sides": (array_of(-2, -3), r"shape \(-2, -3\)"),
    "no data but 2^126 sides": (array_of(0, (1 << 63) - 1, (1 << 63) - 1), "an array of shape"),
    "another type": (array_of(1, kind=7), "an array of type 7"),
    "a negative type": (array_of(1, kind=-1), "an array of type -1"),
    "many dimensions": (array_of(*[1] * 33), "an array of 33 dimensions"),
    "2^64 - 1 arrays": (struct.pack("<QQQ", 0x112, 0, (1 << 64) - 1), "it claims 18446744073709"),
    "empty arrays without end": (struct.pack("<QQQ", 0x112, 0, 1 << 24) + bytes(1 << 20), "claims"),
    "2^64 - 1 names": (
        struct.pack("<QQQQ", 0x112, 0, 0, (1 << 64) - 1),
        "0 arrays have 18446744073709551615 names",
    ),
    "a long name": (
        struct.pack("<QQQIQQ", 0x112, 0, 1, 0, 1, 1 << 20) + bytes(1 << 20),
        "a name of 1048576 bytes",
    ),
    "a name that is no text": (
        struct.pack("<QQQIQQ", 0x112, 0, 1, 0, 1, 1) + b"\xff",
        "a name is no UTF-8",
    ),
    "a name twice": (
        struct.pack("<QQQIIQQ", 0x112, 0, 2, 0, 0, 2, 1) + b"w" + struct.pack("<Q", 1) + b"w",
        "two arrays are named 'w'",
    ),
    "more behind its end": (write_params({}) + b"more", "4 bytes follow its end"),
}


@pytest.mark.parametrize(("content", "problem"), HOSTILE.values(), ids=HOSTILE.keys())
def test_claims_are_refused_without_being_followed(content: bytes, problem: str) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match=problem):
            read_params(content, "hostile.params")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 100_000


def test_arrays_are_views_and_lie_as_other_libraries_need_them() -> None:
    checkpoint: dict[str, NDArray[Any]] = {
        "arg:odd": np.ones(3, np.int8),
        "arg:wide": np.arange(1 << 18, dtype=np.float64),
        "aux:scale": np.arange(1 << 18, dtype=np.float32),
    }
    content = write_params(checkpoint)
    tracemalloc.start()
    try:
        found = read_params(bytearray(content), "odd.params")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert_same(found, checkpoint)
    assert all(array.flags.aligned for array in found.values())
    assert not found["arg:odd"].flags.writeable
    even = write_params({"arg:w": np.zeros(1 << 18, np.float32)})
    tracemalloc.start()
    try:
        read_params(even, "even.params")
        _, even_peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert even_peak < 20_000
    assert peak < 2.2 * len(content)


def test_a_foreign_file_is_bad_input() -> None:
    with pytest.raises(InputError, match="does not start like"):
        read_params(b"PK\x03\x04" + bytes(40), "model.zip")
