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
_CPU = 1


def write_params(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Write arrays, in their order, as `mxnet.nd.save` does. Names carry `arg:` or `aux:`."""
    parts = [struct.pack("<QQQ", _LIST_MAGIC, 0, len(arrays))]
    for array in arrays.values():
        dtype = array.dtype.newbyteorder("<")
        parts.append(struct.pack("<IiI", _V2, 0, array.ndim))
        parts.append(struct.pack(f"<{array.ndim}q", *array.shape))
        parts.append(struct.pack("<iii", _CPU, 0, _DTYPES.index(dtype)))
        parts.append(array.astype(dtype).tobytes())
    parts.append(struct.pack("<Q", len(arrays)))
    for name in arrays:
        encoded = name.encode()
        parts.append(struct.pack("<Q", len(encoded)) + encoded)
    return b"".join(parts)


def read_params(content: bytes, origin: str) -> dict[str, NDArray[Any]]:
    """Read the named arrays of a `.params` file; `origin` names it in errors.

    Raises InputError where the content is cut short, foreign, sparse or without names.
    """
    reader = _Reader(content, origin)
    magic, _, count = reader.unpack("<QQQ")
    if magic != _LIST_MAGIC:
        raise reader.broken("it does not start like a .params file")
    arrays = [_read_array(reader) for _ in range(count)]
    (name_count,) = reader.unpack("<Q")
    if name_count != count:
        raise reader.broken(f"{count} arrays have {name_count} names")
    names = []
    for _ in range(name_count):
        (length,) = reader.unpack("<Q")
        names.append(reader.take(length).decode("utf-8", "replace"))
    return dict(zip(names, arrays, strict=True))


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
    return np.frombuffer(reader.take(size), dtype).reshape(shape)


class _Reader:
    def __init__(self, content: bytes, origin: str) -> None:
        self._content = content
        self._origin = origin
        self._position = 0

    def take(self, size: int) -> bytes:
        end = self._position + size
        if end > len(self._content):
            raise self.broken("it ends too early")
        taken = self._content[self._position : end]
        self._position = end
        return taken

    def unpack(self, layout: str) -> tuple[Any, ...]:
        return struct.unpack(layout, self.take(struct.calcsize(layout)))

    def broken(self, reason: str) -> InputError:
        return InputError(
            f"{self._origin} can't be read as MXNet parameters: {reason}; "
            "take the artifact from the training job again"
        )
