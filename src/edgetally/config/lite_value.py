"""A value as nucleus lite keeps it: as JSON, in the 1,024 bytes that it has for one.

Its `ggconfigd` refuses what is longer, and with it the whole deployment. Maps are no values: each
of their keys is kept by itself, and what is a map there never becomes a value, nor a value a map.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

LARGEST = 1024
"""Bytes; of version 2.6, measured: 1,024 are kept, 1,025 refused."""


def leaves(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield what is no map, with the keys that lead to it."""
    if isinstance(value, dict):
        for key, below in value.items():
            yield from leaves(below, (*path, key))
    else:
        yield path, value


def bytes_of(value: Any) -> int:
    """Return how many bytes lite's JSON of a value has: compact, with all 17 digits of a number."""
    if isinstance(value, str):
        return 2 + bytes_of_text(value)
    if isinstance(value, dict):
        pairs = sum(bytes_of(str(key)) + 1 + bytes_of(each) for key, each in value.items())
        return 2 + pairs + max(0, len(value) - 1)
    if isinstance(value, (list, tuple)):
        return 2 + sum(map(bytes_of, value)) + max(0, len(value) - 1)
    if isinstance(value, float):
        return len(f"{value:.17g}")
    return len(json.dumps(value))


def bytes_of_text(text: str) -> int:
    r"""Return how many bytes a text's inside has there: \u000A, and two for a quotation mark."""
    long = sum(5 for character in text if character < " ")
    escaped = text.count('"') + text.count("\\")
    return len(text.encode("utf-8", "surrogatepass")) + escaped + long
