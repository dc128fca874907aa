"""Width and height of a picture as its header claims them, before anything is decoded.

Formats: PNG (W3C Portable Network Graphics, 11.2.1 IHDR), JPEG (ITU-T T.81, B.2.2 frame header),
BMP (BITMAPCOREHEADER and BITMAPINFOHEADER of Microsoft's "Bitmap Storage"), WebP (RFC 9649, 2.5 to
2.7 and 3.4; RFC 6386, 9.1) and TIFF (revision 6.0, sections 2 and 3).
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import BinaryIO

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8"
_BMP = b"BM"
_RIFF, _WEBP = b"RIFF", b"WEBP"
_TIFF = {b"II*\0": "<", b"MM\0*": ">"}
_HEAD = 30  # as much as the longest of them needs, WebP
_CORE_HEADER = 12
_FRAME_HEADERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_STANDALONE = frozenset({0x01, *range(0xD0, 0xD8)})
_SCAN, _END = 0xDA, 0xD9
_IMAGE_WIDTH, _IMAGE_LENGTH = 256, 257
_SHORT, _LONG = 3, 4


def picture_size(stream: BinaryIO) -> tuple[int, int] | None:
    """Return (width, height) in pixels of a picture; None where it is of none of these formats.

    stream: the file from its beginning. No more is read than the header, which in a JPEG lies
    behind whatever the camera wrote first, and in a TIFF anywhere.
    """
    start = stream.read(_HEAD)
    if start.startswith(_PNG) and len(start) >= 24:
        width, height = struct.unpack(">II", start[16:24])
        return width, height
    if start.startswith(_BMP) and len(start) >= 26:
        core = struct.unpack("<I", start[14:18])[0] == _CORE_HEADER
        width, height = struct.unpack("<HH" if core else "<ii", start[18 : 22 if core else 26])
        return abs(width), abs(height)  # a negative height: the first row is the topmost
    if start.startswith(_JPEG):
        stream.seek(len(_JPEG))
        return _of_jpeg(stream)
    if start.startswith(_RIFF) and start[8:12] == _WEBP and len(start) == _HEAD:
        return _of_webp(start)
    order = _TIFF.get(start[:4])
    return _of_tiff(stream, start, order) if order and len(start) >= 8 else None


def _of_webp(start: bytes) -> tuple[int, int] | None:
    kind = start[12:16]
    if kind == b"VP8X":
        return _little(start[24:27]) + 1, _little(start[27:30]) + 1
    if kind == b"VP8L":
        sides = _little(start[21:25])
        return (sides & 0x3FFF) + 1, (sides >> 14 & 0x3FFF) + 1
    if kind == b"VP8 ":
        return _little(start[26:28]) & 0x3FFF, _little(start[28:30]) & 0x3FFF
    return None


def _little(content: bytes) -> int:
    return int.from_bytes(content, "little")


def _of_tiff(stream: BinaryIO, start: bytes, order: str) -> tuple[int, int] | None:
    stream.seek(struct.unpack(f"{order}I", start[4:8])[0])
    count = stream.read(2)
    if len(count) < 2:
        return None
    sides = {}
    for _ in range(struct.unpack(f"{order}H", count)[0]):
        entry = stream.read(12)
        if len(entry) < 12:
            return None
        tag, kind = struct.unpack(f"{order}HH", entry[:4])
        if kind in {_SHORT, _LONG}:
            code, length = ("H", 2) if kind == _SHORT else ("I", 4)
            sides[tag] = struct.unpack(order + code, entry[8 : 8 + length])[0]
    if not {_IMAGE_WIDTH, _IMAGE_LENGTH} <= sides.keys():
        return None
    return sides[_IMAGE_WIDTH], sides[_IMAGE_LENGTH]


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
