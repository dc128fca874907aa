"""How large a message becomes on its way to the nucleus."""

from __future__ import annotations

import json

LARGEST_FRAME = 10_000  # bytes; a nucleus lite cuts the connection over a larger one
_HEADERS = 300  # names of operation and shape, keys of the JSON, prelude and checksums


def frame_size(topic: str, body: bytes) -> int:
    """Return about how many bytes it takes to publish a message: JSON, its body in base64.

    >>> frame_size("a", bytes(7000))
    9639
    """
    return 4 * ((len(body) + 2) // 3) + len(json.dumps(topic)) + _HEADERS
