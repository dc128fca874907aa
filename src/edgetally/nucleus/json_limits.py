"""How much structure a local JSON message may have, where the nucleus is lite.

Lite keeps a decoded message in a fixed room. One that does not fit is taken from the publisher,
not delivered, and ends the subscriptions that it was for, without a word.
"""

from __future__ import annotations

from typing import Any

# What agrees with all that was tried on lite 2.6.0: lists and maps of several shapes, each up to
# the largest that was delivered. Text takes no room, empty lists and maps take none.
_ITEM = 11
_KEY = 21
_ROOM = 488


def fits(message: Any) -> bool:
    """Whether lite would deliver it."""
    try:
        return _space(message) <= _ROOM
    except RecursionError:
        return False


def _space(value: Any) -> int:
    if isinstance(value, dict):
        return sum(_KEY + _space(below) for below in value.values())
    if isinstance(value, list):
        return sum(_ITEM + _space(below) for below in value)
    return 0
