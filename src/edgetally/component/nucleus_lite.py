"""How much configuration nucleus lite takes at once, and how to give it more.

Lite reads a deployment's configuration into room for 200 of its objects: a value in a list takes
one, a key about two. It refuses the deployment that brings more, and any message of 10,000 bytes.
Text takes no room, and the service reads lists from their JSON: so a long list becomes text.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from edgetally.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

# Bytes, of version 2.6: 200 objects of 11, and what the request takes itself.
_ROOM = 200 * 11
_KEY, _VALUE, _REQUEST = 21, 11, 100
_LARGEST = 9_000
_LONG = "cameras"


def room_left(configuration: Any) -> int:
    """Return the bytes that lite has left beside a configuration; below 0 it refuses it."""
    return _ROOM - _REQUEST - _taken(configuration)


def fitting(configuration: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration that lite takes, the cameras as text where they are many.

    Raises InputError where it is too much all the same.
    """
    fitted = dict(configuration)
    if room_left(fitted) < 0 and isinstance(fitted.get(_LONG), list):
        fitted[_LONG] = json.dumps(fitted[_LONG], separators=(",", ":"), ensure_ascii=False)
    if room_left(fitted) < 0 or len(json.dumps(fitted).encode()) > _LARGEST:
        raise InputError(
            "the configuration is more than nucleus lite takes; name cameras, lines and zones "
            "shortly, or give fewer corners; where the devices have the Java nucleus, say which "
            "(--java-nucleus)"
        )
    return fitted


def _taken(value: Any) -> int:
    if isinstance(value, dict):
        return sum(_KEY + _taken(each) for each in value.values())
    if isinstance(value, list):
        return sum(_VALUE + _taken(each) for each in value)
    return 0
