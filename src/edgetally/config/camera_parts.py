"""Cameras as text in parts, where nucleus lite has no room for them in one value.

`cameras` then says how many there are (`3 parts`), and `cameraParts` has them, from "1" on; put
together they are the list's JSON. `cameras` itself can't be that map, because lite lets no key
change between a map and anything else.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from edgetally.config.lite_value import LARGEST, bytes_of_text
from edgetally.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

CAMERAS, PARTS = "cameras", "cameraParts"
_TOLD = re.compile(r"(\d{1,4}) parts")
_MOST = LARGEST - 24  # bytes of a part; some are spared for a lite that counts otherwise


def in_parts(text: str) -> dict[str, Any]:
    """Return the keys that stand for a list of cameras; text: its JSON."""
    parts: list[str] = []
    begun, taken = 0, 0
    for at, character in enumerate(text):
        size = bytes_of_text(character)
        if taken + size > _MOST:
            parts.append(text[begun:at])
            begun, taken = at, 0
        taken += size
    parts.append(text[begun:])
    numbered = {str(number): part for number, part in enumerate(parts, 1)}
    return {CAMERAS: f"{len(parts)} parts", PARTS: numbered}


def put_together(content: Mapping[str, Any], origin: str) -> dict[str, Any]:
    """Return a configuration with its cameras as a list again; InputError where a part is missing.

    Parts that `cameras` does not speak of are of an earlier deployment, and nothing. origin: the
    configuration, in errors.
    """
    whole = {key: value for key, value in content.items() if key != PARTS}
    told = whole.get(CAMERAS)
    found = _TOLD.fullmatch(told.strip()) if isinstance(told, str) else None
    if found is None:
        return whole
    count, parts = int(found[1]), content.get(PARTS)
    known = parts if isinstance(parts, dict) else {}
    texts = []
    for number in range(1, count + 1):
        text = known.get(str(number))
        if not isinstance(text, str):
            raise InputError(
                f"configuration {origin}: {PARTS}.{number} is missing, of {count} that {CAMERAS} "
                "speaks of; give it, or the list itself"
            )
        texts.append(text)
    try:
        whole[CAMERAS] = json.loads("".join(texts))
    except (ValueError, RecursionError):
        raise InputError(
            f"configuration {origin}: the {count} {PARTS} are no JSON when put together; deploy "
            "them anew"
        ) from None
    return whole
