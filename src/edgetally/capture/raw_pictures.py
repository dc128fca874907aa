"""`RawPictures`: pictures out of the byte stream that GStreamer's `rtpgstpay` writes.

Each packet has an RTP header (RFC 3550, 5.1), a header of rtpgstpay's own, and then, as that
says, the name of a format, an event, or one picture (gst-plugins-good, gst/rtp/gstrtpgstpay.c).
A format's name stands before the first picture and before the first of every other size.
"""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from edgetally.capture.frame import Image

# Version and extras, type, number, time, sender; flags, kind of event, nothing, offset.
_HEAD = struct.Struct(">BBHIIBBHI")
_RTP_2 = 0x80
_HAS_FORMAT = 0x80
_LONGEST_TEXT = 1 << 16
_LARGEST_SIDE = 1 << 15


class RawPictures:
    """Reads pictures one after the other.

    fill: fills a buffer from the stream; what it raises goes through.
    fps: pictures a second, None where the stream does not tell.
    """

    def __init__(self, fill: Callable[[memoryview], None]) -> None:
        self.fps: float | None = None
        self._fill = fill
        self._head = bytearray(_HEAD.size)
        self._number: int | None = None
        self._sender = 0
        self._width = 0
        self._rows: NDArray[np.uint8] = np.empty((0, 0), np.uint8)
        self._is_shown = False
        self._is_ahead = False  # whether the next header was read already

    def advance(self) -> None:
        """Read the next picture. ValueError where the stream holds none that is understood."""
        is_picture = False
        while not is_picture:
            if not (self._is_ahead or self._finds_head()):
                raise ValueError("GStreamer's stream of pictures is broken")
            self._is_ahead = False
            is_picture = self._reads_picture()

    def image(self) -> Image:
        """Return the picture that `advance` read, uint8 BGR [H, W, 3]."""
        self._is_shown = True
        return self._rows[:, : 3 * self._width].reshape(len(self._rows), self._width, 3)

    def _reads_picture(self) -> bool:
        """Read what follows a header; tell whether that was a picture."""
        *_, number, _time, sender, flags, event, _, _ = _HEAD.unpack(self._head)
        self._number, self._sender = number, sender
        if event:
            self._text()
            return False
        begun = b""
        if flags & _HAS_FORMAT:
            self._understand(self._text())
            # A packet with a format may end there. Nothing says so but the next one's header, of
            # which a hundred bits are known, the sender's 32 drawn at random each time.
            self._is_ahead = self._finds_head()
            if self._is_ahead:
                return False
            begun = bytes(self._head)
        self._read_picture(begun)
        return True

    def _finds_head(self) -> bool:
        self._fill(memoryview(self._head))
        version, _, number, _, sender, _, _, nothing, offset = _HEAD.unpack(self._head)
        if version != _RTP_2 or nothing or offset:
            return False
        return self._number is None or (
            sender == self._sender and number == (self._number + 1) & 0xFFFF
        )

    def _read_picture(self, begun: bytes) -> None:
        if self._is_shown:  # whoever has the last one keeps it
            self._rows = np.empty_like(self._rows)
            self._is_shown = False
        whole = self._rows.reshape(-1).data
        if len(whole) < _HEAD.size:
            raise ValueError("GStreamer's pictures have no size, or are too small")
        whole[: len(begun)] = begun
        self._fill(whole[len(begun) :])

    def _understand(self, caps: str) -> None:
        width, height = (_number(caps, rf"\b{side}=\(int\)(\d+)") for side in ("width", "height"))
        if "format=(string)BGR," not in f"{caps}," or not 0 < width <= _LARGEST_SIDE:
            raise ValueError("GStreamer's pictures are not in BGR")
        if not 0 < height <= _LARGEST_SIDE:
            raise ValueError("GStreamer's pictures have no height")
        self._width = width
        self._rows = np.empty((height, -(-3 * width // 4) * 4), np.uint8)  # rows fill 4 bytes
        self._is_shown = False
        rate = re.search(r"\bframerate=\(fraction\)(\d+)/(\d+)", caps)
        self.fps = int(rate[1]) / int(rate[2]) if rate and int(rate[1]) and int(rate[2]) else None

    def _text(self) -> str:
        """Read a text that stands behind its length, of 7 bits in each byte."""
        length, more = 0, 0x80
        while more:
            (byte,) = self._bytes(1)
            length, more = length << 7 | byte & 0x7F, byte & 0x80
            if length > _LONGEST_TEXT:
                raise ValueError("GStreamer's stream of pictures is broken")
        return self._bytes(length).rstrip(b"\0").decode("utf-8", "replace")

    def _bytes(self, count: int) -> bytearray:
        read = bytearray(count)
        self._fill(memoryview(read))
        return read


def _number(text: str, pattern: str) -> int:
    found = re.search(pattern, text)
    return int(found[1]) if found else 0
