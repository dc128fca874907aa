"""`model.onnx` with the conversion from pixels in front, as ONNX Runtime is given it.

The bundle's file reads floats, and on a device there is no package that edits ONNX. So the file,
a message of protobuf, is cut between its fields, and the nodes of the conversion are put in.

Encoding: https://protobuf.dev/programming-guides/encoding; numbers of fields: onnx.proto of
ONNX 1.17.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO

    from numpy.typing import NDArray

    from edgetally.bundle import ModelBundle

PIXELS = "edgetally/pixels"  # a name that no layer has
_FLOATS = "data"
_VARINT, _LENGTH_DELIMITED = 0, 2  # the wire types that a model and its graph are made of
_GRAPH = 7  # of ModelProto
_NODE, _INITIALIZER, _INPUT = 1, 5, 11  # of GraphProto
_FLOAT, _UINT8, _INT64 = 1, 2, 7  # of TensorProto.DataType
_TYPES = {np.dtype(np.float32): _FLOAT, np.dtype(np.int64): _INT64}
_ATTRIBUTE_INT, _ATTRIBUTE_INTS = 2, 7  # of AttributeProto.AttributeType


@contextmanager
def reading_pixels(path: Path, bundle: ModelBundle) -> Iterator[str]:
    """Give a path to the model that reads `PIXELS`, uint8 BGR [1, S, S, 3], in place of floats.

    The path is gone when the context ends. ValueError where the file is no ONNX model.
    """
    # A session that is given bytes keeps them as long as it lives; of a file it keeps nothing.
    with _nameless_file() as file:
        file.writelines(with_pixels(path.read_bytes(), bundle))
        file.flush()
        yield f"/proc/self/fd/{file.fileno()}"


def with_pixels(model: bytes, bundle: ModelBundle) -> list[bytes | memoryview]:
    """Put the conversion in front of a serialized model; return it in parts."""
    front = _conversion(bundle)
    parts: list[bytes | memoryview] = []
    try:
        for number, field, content in _fields(memoryview(model)):
            if number == _GRAPH:
                kept = [inner for part, inner, _ in _fields(content) if part != _INPUT]
                length = len(front) + sum(map(len, kept))
                parts += [_tag(_GRAPH, _LENGTH_DELIMITED), _varint(length), front, *kept]
            else:
                parts.append(field)
    except IndexError:
        raise ValueError("no ONNX model") from None
    return parts


def _nameless_file() -> BinaryIO:
    # In memory, where Python was built with a glibc that can: a device's disk wears out.
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("model.onnx"), "w+b")
    return tempfile.TemporaryFile()


def _conversion(bundle: ModelBundle) -> bytes:
    """The fields of a graph that reads `PIXELS` and gives `_FLOATS`: (pixel - mean) * scale."""
    mean, scale = (np.array(each, np.float32) for each in (bundle.mean, bundle.scale))
    steps: list[tuple[str, NDArray[Any] | None, dict[str, int | tuple[int, ...]]]] = []
    # Moving bytes is cheaper than moving floats.
    steps.append(("Transpose", None, {"perm": (0, 3, 1, 2)}))
    if bundle.colour_order == "RGB":
        steps.append(("Gather", np.array([2, 1, 0], np.int64), {"axis": 1}))
    steps.append(("Cast", None, {"to": _FLOAT}))
    if mean.any():
        steps.append(("Sub", mean.reshape(1, 3, 1, 1), {}))
    if (scale != 1).any():
        steps.append(("Mul", scale.reshape(1, 3, 1, 1), {}))
    fields = [_field(_INPUT, _pixels(bundle.input_size))]
    value = PIXELS
    for number, (operator, constant, attributes) in enumerate(steps, start=1):
        output = _FLOATS if number == len(steps) else f"{PIXELS}/{operator}"
        inputs = [value]
        if constant is not None:
            inputs.append(f"{output}/constant")
            fields.append(_field(_INITIALIZER, _tensor(inputs[1], constant)))
        fields.append(_field(_NODE, _node(operator, inputs, output, attributes)))
        value = output
    return b"".join(fields)


def _pixels(size: int) -> bytes:
    """A ValueInfoProto."""
    shape = b"".join(_field(1, _field(1, length)) for length in (1, size, size, 3))
    return _field(1, PIXELS) + _field(2, _field(1, _field(1, _UINT8) + _field(2, shape)))


def _node(
    operator: str, inputs: list[str], output: str, attributes: dict[str, int | tuple[int, ...]]
) -> bytes:
    """A NodeProto."""
    return b"".join(
        [
            *(_field(1, name) for name in inputs),
            _field(2, output),
            _field(3, f"{PIXELS}/{operator}"),
            _field(4, operator),
            *(_field(5, _attribute(name, value)) for name, value in attributes.items()),
        ]
    )


def _attribute(name: str, value: int | tuple[int, ...]) -> bytes:
    """An AttributeProto."""
    if isinstance(value, int):
        return _field(1, name) + _field(3, value) + _field(20, _ATTRIBUTE_INT)
    many = b"".join(_field(8, each) for each in value)
    return _field(1, name) + many + _field(20, _ATTRIBUTE_INTS)


def _tensor(name: str, value: NDArray[Any]) -> bytes:
    """A TensorProto."""
    dims = b"".join(_field(1, length) for length in value.shape)
    raw = value.astype(value.dtype.newbyteorder("<")).tobytes()
    return dims + _field(2, _TYPES[value.dtype]) + _field(8, name) + _field(9, raw)


def _field(number: int, value: int | str | bytes) -> bytes:
    if isinstance(value, int):
        return _tag(number, _VARINT) + _varint(value)
    content = value.encode() if isinstance(value, str) else value
    return _tag(number, _LENGTH_DELIMITED) + _varint(len(content)) + content


def _tag(number: int, kind: int) -> bytes:
    return _varint(number << 3 | kind)


def _varint(value: int) -> bytes:
    groups = []
    while value > 0x7F:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*groups, value])


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview, memoryview]]:
    """Yield each field's number, all of it, and its content. IndexError where it is cut short."""
    start = 0
    while start < len(message):
        tag, position = _read_varint(message, start)
        value, end = _read_varint(message, position)
        if tag & 7 == _LENGTH_DELIMITED:
            position, end = end, end + value
        elif tag & 7 != _VARINT:
            raise ValueError("no ONNX model")
        if end > len(message):
            raise IndexError
        yield tag >> 3, message[start:end], message[position:end]
        start = end


def _read_varint(message: memoryview, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        group = message[position]
        position += 1
        value |= (group & 0x7F) << shift
        shift += 7
        if group < 0x80:
            return value, position
