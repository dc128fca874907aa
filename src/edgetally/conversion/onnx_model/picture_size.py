"""Width and height of a picture as its header claims them, before anything is decoded.

Formats: PNG (W3C Portable Network Graphics, 11.2.1 IHDR), JPEG (ITU-T T.81, B.2.2 frame header)
and BMP (BITMAPCOREHEADER and BITMAPINFOHEADER of Microsoft's "Bitmap Storage").
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import BinaryIO

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8"
_BMP = b"BM"
_CORE_HEADER = 12
_FRAME_HEADERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_STANDALONE = frozenset({0x01, *range(0xD0, 0xD8)})
_SCAN, _END = 0xDA, 0xD9


def picture_size(stream: BinaryIO) -> tuple[int, int] | None:
    """Return (width, height) in pixels of a PNG, JPEG or BMP; None where it is none of them.

    stream: the file from its beginning. No more is read than the header, which in a JPEG lies
    behind whatever the camera wrote first.
    """
    start = stream.read(26)
    if start.startswith(_PNG) and len(start) >= 24:
        width, height = struct.unpack(">II", start[16:24])
        return width, height
    if start.startswith(_BMP) and len(start) == 26:
        core = struct.unpack("<I", start[14:18])[0] == _CORE_HEADER
        width, height = struct.unpack("<HH" if core else "<ii", start[18 : 22 if core else 26])
        return abs(width), abs(height)  # a negative height: the first row is the topmost
    if start.startswith(_JPEG):
        stream.seek(len(_JPEG))
        return _of_jpeg(stream)
    return None


def _of_jpeg(stream: BinaryIO) -> tuple[int, int] | None:
    while (marker := _next_marker(stream)) not in {None, _SCAN, _END}:
        if marker in _STANDALONE:
            continue
        length = stream.read(2)
        if len(length) < 2:
            return None
        if marker in _FRAME_HEADERS:
            frame = stream.read(5)  # precision, height, width
            if len(frame) < 5:
                return None
            height, width = struct.unpack(">HH", frame[1:])
            return width, height
        stream.seek(max(0, struct.unpack(">H", length)[0] - 2), 1)
    return None


def _next_marker(stream: BinaryIO) -> int | None:
    # Between segments decoders step over bytes that don't belong there, and over fill bytes.
    while byte := stream.read(1):
        while byte == b"\xff":
            byte = stream.read(1)
            if byte not in {b"\xff", b"\x00", b""}:
                return byte[0]
    return None
