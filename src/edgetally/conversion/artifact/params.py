"""MXNet's `.params` files: named arrays, read and written without MXNet.

The format is `NDArray::Save` of MXNet 1.9.1 (src/ndarray/ndarray.cc), little endian: a list
header (magic 0x112, reserved, count), the arrays, the count of names, the names as length and
UTF-8. An array is (magic, storage type, ndim, dims, device type, device id, type, data); V1
lacks the storage type, and before V1 ndim stands where the magic is and dims are 32 bit.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import numpy as np

from edgetally.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

_LIST_MAGIC = 0x112
_V1, _V2, _V3 = 0xF993FAC8, 0xF993FAC9, 0xF993FACA
_DTYPES = tuple(np.dtype(name) for name in ("<f4", "<f8", "<f2", "u1", "<i4", "i1", "<i8"))
_MOST_DIMENSIONS = 32  # numpy 1.26 knows no more
_MOST_ARRAYS = 50_000  # a resnet-50 detector has 350
_LONGEST_NAME = 4096
_CPU = 1


def write_params(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Write arrays, in their order, as `mxnet.nd.save` does. Names carry `arg:` or `aux:`."""
    parts: list[Any] = [struct.pack("<QQQ", _LIST_MAGIC, 0, len(arrays))]
    for array in arrays.values():
        dtype = array.dtype.newbyteorder("<")
        parts.append(struct.pack("<IiI", _V2, 0, array.ndim))
        parts.append(struct.pack(f"<{array.ndim}q", *array.shape))
        parts.append(struct.pack("<iii", _CPU, 0, _DTYPES.index(dtype)))
        parts.append(np.ascontiguousarray(array, dtype).reshape(-1).view(np.uint8))
    parts.append(struct.pack("<Q", len(arrays)))
    for name in arrays:
        encoded = name.encode()
        parts.append(struct.pack("<Q", len(encoded)) + encoded)
    return b"".join(parts)


def read_params(content: bytes | bytearray, origin: str) -> dict[str, NDArray[Any]]:
    """Read the named arrays of a `.params` file; `origin` names it in errors.

    The arrays are read-only views of content, so that it must not change. Raises InputError where
    the content is cut short, foreign, sparse, without names, or holds more than it says.
    """
    reader = _Reader(content, origin)
    magic, _, count = reader.unpack("<QQQ")
    if magic != _LIST_MAGIC:
        raise reader.broken("it does not start like a .params file")
    if count > _MOST_ARRAYS:
        raise reader.broken(f"it claims {count} arrays")
    arrays = [_read_array(reader) for _ in range(count)]
    (name_count,) = reader.unpack("<Q")
    if name_count != count:
        raise reader.broken(f"{count} arrays have {name_count} names")
    named: dict[str, NDArray[Any]] = {}
    for array in arrays:
        name = _read_name(reader)
        if name in named:
            raise reader.broken(f"two arrays are named {name!r}")
        named[name] = array
    if reader.left:
        raise reader.broken(f"{reader.left} bytes follow its end")
    return named


def _read_name(reader: _Reader) -> str:
    (length,) = reader.unpack("<Q")
    if length > _LONGEST_NAME:
        raise reader.broken(f"a name of {length} bytes")
    try:
        return str(reader.take(length), "utf-8")
    except UnicodeDecodeError:
        raise reader.broken("a name is no UTF-8") from None


def _read_array(reader: _Reader) -> NDArray[Any]:
    (magic,) = reader.unpack("<I")
    if magic in (_V2, _V3):
        (storage,) = reader.unpack("<i")
        if storage != 0:
            raise reader.broken("it holds a sparse array, which no detector has")
    if magic in (_V1, _V2, _V3):
        (dimensions,) = reader.unpack("<i")
        dimension_type = "q"
    else:
        dimensions, dimension_type = magic, "I"
    # An array of unknown shape has neither device nor data; only V3 knows scalars.
    if dimensions < 0 or (dimensions == 0 and magic != _V3):
        return np.zeros(0, np.float32)
    if dimensions > _MOST_DIMENSIONS:
        raise reader.broken(f"an array of {dimensions} dimensions")
    shape = reader.unpack(f"<{dimensions}{dimension_type}")
    _device, _device_id, type_flag = reader.unpack("<iii")
    if not 0 <= type_flag < len(_DTYPES) or min(shape, default=0) < 0:
        raise reader.broken(f"an array of type {type_flag} and shape {shape}")
    dtype = _DTYPES[type_flag]
    size = dtype.itemsize
    for side in shape:
        size *= side
    data = np.frombuffer(reader.take(size), dtype)
    try:
        array = data.reshape(shape)
    except ValueError:  # a side of 0 beside sides whose product numpy can't hold
        raise reader.broken(f"an array of shape {shape}") from None
    # An array after one of a narrow type may lie askew, which other libraries need not take.
    return array if array.flags.aligned else array.copy()


class _Reader:
    def __init__(self, content: bytes | bytearray, origin: str) -> None:
        self._content = memoryview(content).toreadonly()
        self._origin = origin
        self._position = 0

    @property
    def left(self) -> int:
        return len(self._content) - self._position

    def take(self, size: int) -> memoryview:
        if size > self.left:
            raise self.broken("it ends too early")
        start = self._position
        self._position += size
        return self._content[start : self._position]

    def unpack(self, layout: str) -> tuple[Any, ...]:
        return struct.unpack(layout, self.take(struct.calcsize(layout)))

    def broken(self, reason: str) -> InputError:
        return InputError(
            f"{self._origin} can't be read as MXNet parameters: {reason}; "
            "take the artifact from the training job again"
        )
