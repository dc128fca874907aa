"""Headers of an event stream frame: a name of 1 to 255 bytes, a type, a value."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum

from edgetally.nucleus.wire.wire_error import WireError

_LARGEST = 128 << 10  # bytes of all headers of a frame


class HeaderType(IntEnum):
    """Types by the number that stands for them."""

    TRUE = 0
    FALSE = 1
    BYTE = 2
    INT16 = 3
    INT32 = 4
    INT64 = 5
    BYTES = 6
    STRING = 7
    TIMESTAMP = 8  # milliseconds since 1970
    UUID = 9


_NUMBERS = {
    HeaderType.BYTE: ">b",
    HeaderType.INT16: ">h",
    HeaderType.INT32: ">i",
    HeaderType.INT64: ">q",
    HeaderType.TIMESTAMP: ">q",
}


@dataclass(frozen=True)
class Header:
    """One header; `value` is a bool, an int, a str or bytes, as `type` wants it."""

    name: str
    type: HeaderType
    value: bool | int | str | bytes


def encode_headers(headers: tuple[Header, ...]) -> bytes:
    """Return headers as bytes. WireError where a value does not fit its type."""
    data = b"".join(_encode(header) for header in headers)
    if len(data) > _LARGEST:
        raise WireError(f"headers of {len(data)} bytes, more than {_LARGEST}")
    return data


def _encode(header: Header) -> bytes:
    name = header.name.encode()
    if not 1 <= len(name) <= 255:
        raise WireError(f"a header's name of {len(name)} bytes")
    return bytes([len(name)]) + name + bytes([header.type]) + _encode_value(header)


def _encode_value(header: Header) -> bytes:
    value = header.value
    if header.type in (HeaderType.TRUE, HeaderType.FALSE):
        return b""
    if header.type in _NUMBERS and isinstance(value, int):
        try:
            return struct.pack(_NUMBERS[header.type], value)
        except struct.error as error:
            raise WireError(f"header {header.name}: {error}") from None
    raw = value.encode() if isinstance(value, str) else value
    if not isinstance(raw, bytes):
        raise WireError(f"header {header.name}: {value!r} is no {header.type.name}")
    if header.type is HeaderType.UUID:
        if len(raw) != 16:
            raise WireError(f"header {header.name}: a UUID of {len(raw)} bytes")
        return raw
    if len(raw) > 0x7FFF:
        raise WireError(f"header {header.name}: {len(raw)} bytes, more than 32767")
    return struct.pack(">H", len(raw)) + raw


def decode_headers(data: bytes) -> tuple[Header, ...]:
    """Return the headers that these bytes are. WireError where they are none."""
    if len(data) > _LARGEST:
        raise WireError(f"headers of {len(data)} bytes, more than {_LARGEST}")
    reader = _Reader(data)
    headers = []
    while reader.rest:
        name = reader.text(reader.number(">B"))
        headers.append(_decode_value(reader, name))
    return tuple(headers)


def _decode_value(reader: _Reader, name: str) -> Header:
    number = reader.number(">B")
    try:
        kind = HeaderType(number)
    except ValueError:
        raise WireError(f"header {name!r} of the unknown type {number}") from None
    value: bool | int | str | bytes
    if kind in (HeaderType.TRUE, HeaderType.FALSE):
        value = kind is HeaderType.TRUE
    elif kind in _NUMBERS:
        value = reader.number(_NUMBERS[kind])
    elif kind is HeaderType.UUID:
        value = reader.take(16)
    elif kind is HeaderType.STRING:
        value = reader.text(reader.number(">H"))
    else:
        value = reader.take(reader.number(">H"))
    return Header(name, kind, value)


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def rest(self) -> int:
        return len(self._data) - self._at

    def take(self, length: int) -> bytes:
        if length > self.rest:
            raise WireError("a header is longer than all headers")
        self._at += length
        return self._data[self._at - length : self._at]

    def number(self, form: str) -> int:
        return int(struct.unpack(form, self.take(struct.calcsize(form)))[0])

    def text(self, length: int) -> str:
        try:
            return self.take(length).decode()
        except UnicodeDecodeError:
            raise WireError("a header's text is no UTF-8") from None
