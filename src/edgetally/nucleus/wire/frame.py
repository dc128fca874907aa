"""Frames of AWS's event stream encoding, to bytes and back.

The format is that of Amazon's `vnd.amazon.event-stream`:

    total length   4 bytes   of everything, big endian as every number
    headers length 4 bytes
    prelude CRC    4 bytes   CRC-32 of the 8 bytes before
    headers                  see `headers`
    payload
    message CRC    4 bytes   CRC-32 of everything before, the prelude's CRC included
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

from edgetally.nucleus.wire.headers import Header, HeaderType, decode_headers, encode_headers
from edgetally.nucleus.wire.wire_error import WireError

__all__ = [
    "LARGEST_FRAME",
    "PRELUDE",
    "Frame",
    "Header",
    "HeaderType",
    "WireError",
    "decode",
    "encode",
    "length_of",
]

PRELUDE = 12  # bytes, its CRC included
_OVERHEAD = PRELUDE + 4
LARGEST_FRAME = 24 << 20  # bytes; what AWS's own readers of the format take


@dataclass(frozen=True)
class Frame:
    """Headers, in their order, and a payload."""

    headers: tuple[Header, ...] = ()
    payload: bytes = b""


def encode(frame: Frame) -> bytes:
    """Return a frame as bytes. WireError where something in it is too large for the format."""
    headers = encode_headers(frame.headers)
    total = _OVERHEAD + len(headers) + len(frame.payload)
    if total > LARGEST_FRAME:
        raise WireError(f"a frame of {total} bytes, more than {LARGEST_FRAME}")
    sizes = struct.pack(">II", total, len(headers))
    body = sizes + struct.pack(">I", zlib.crc32(sizes)) + headers + frame.payload
    return body + struct.pack(">I", zlib.crc32(body))


def length_of(prelude: bytes) -> int:
    """Return how many bytes the frame has that begins with these 12. WireError where none does."""
    if len(prelude) < PRELUDE:
        raise WireError(f"a prelude of {len(prelude)} bytes instead of {PRELUDE}")
    total, headers, crc = struct.unpack(">III", prelude[:PRELUDE])
    if crc != zlib.crc32(prelude[:8]):
        raise WireError("the prelude's CRC is wrong")
    if not _OVERHEAD + headers <= total <= LARGEST_FRAME:
        raise WireError(f"a frame of {total} bytes, of which {headers} headers")
    return int(total)


def decode(data: bytes) -> Frame:
    """Return the frame that these bytes are. WireError where they are none, or not one alone."""
    total = length_of(data)
    if len(data) != total:
        raise WireError(f"{len(data)} bytes of a frame of {total}")
    (crc,) = struct.unpack(">I", data[-4:])
    if crc != zlib.crc32(data[:-4]):
        raise WireError("the message's CRC is wrong")
    (length,) = struct.unpack(">I", data[4:8])
    end = PRELUDE + length
    return Frame(decode_headers(data[PRELUDE:end]), data[end:-4])
