"""How much configuration nucleus lite takes at once, and how to give it more.

Lite reads a deployment's configuration into room for 200 of its objects: a value in a list takes
one, a key about two. It keeps no value longer than `lite_value` says, reads no recipe of more than
8,196 bytes, and never hears of a deployment from the cloud whose job has 5,000. Text takes no
room, and the service reads the cameras from their JSON: so many of them become text, and much text
becomes parts.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from edgetally.config.camera_parts import CAMERAS, PARTS, in_parts
from edgetally.config.lite_value import LARGEST, bytes_of, leaves
from edgetally.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# Bytes, of version 2.6: 200 objects of 11, and what the request takes itself.
_ROOM = 200 * 11
_KEY, _VALUE, _REQUEST = 21, 11, 100
_RECIPE = 8_000  # bytes, of the 8,196
_FROM_CLOUD = 3_900  # bytes; a job of 5,000 is not delivered, and names and ARNs take about 900
_ADVICE = {
    CAMERAS: "name cameras, lines and zones shortly, or give fewer corners",
    "accessControl": "let a policy name several operations and resources, in the place of several "
    "policies",
}
_JAVA = "where the devices have the Java nucleus, say which (--java-nucleus)"


def room_left(configuration: Any) -> int:
    """Return the bytes that lite has left beside a configuration; below 0 it refuses it."""
    return _ROOM - _REQUEST - _taken(configuration)


def fitting(configuration: Mapping[str, Any], recipe_bytes: int | None = None) -> dict[str, Any]:
    """Return a configuration that lite takes, the cameras as text where they are many.

    recipe_bytes: what the recipe that it comes in has beside it; None: it comes from the cloud.
    Raises InputError, naming what takes most, where it is too much all the same.
    """
    *before, last = _forms(configuration)
    for form in before:
        if _trouble(form, recipe_bytes) is None:
            return form
    if (trouble := _trouble(last, recipe_bytes)) is not None:
        raise InputError(trouble if recipe_bytes is not None else f"{trouble}; {_JAVA}")
    return last


def compact(content: Any) -> str:
    """Return JSON of as few bytes as can be."""
    return json.dumps(content, separators=(",", ":"), ensure_ascii=False)


def _forms(configuration: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield what means the same, the readable first."""
    yield dict(configuration)
    if isinstance(cameras := configuration.get(CAMERAS), list):
        text = compact(cameras)
        yield {**configuration, CAMERAS: text}
        yield {**configuration, **in_parts(text)}


def _trouble(configuration: Mapping[str, Any], recipe_bytes: int | None) -> str | None:
    for path, value in leaves(configuration):
        if (size := bytes_of(value)) > LARGEST:
            return (
                f"{'.'.join(path)} has {size:,} bytes as JSON, nucleus lite takes {LARGEST:,} of "
                f"one value; {_advice(path[0])}"
            )
    if (room := room_left(configuration)) < 0:
        most = max(configuration, key=lambda key: _taken(configuration[key]))
        return (
            f"the configuration has {-room:,} bytes of keys and values in lists more than nucleus "
            f"lite has room for, {_taken(configuration[most]):,} of them in {most}; {_advice(most)}"
        )
    sizes = {key: len(compact(value).encode()) for key, value in configuration.items()}
    largest, what = (
        (_FROM_CLOUD, "the configuration")
        if recipe_bytes is None
        else (_RECIPE, "recipe and configuration together")
    )
    if (size := len(compact(configuration).encode()) + (recipe_bytes or 0)) > largest:
        most = max(sizes, key=lambda key: sizes[key])
        return (
            f"{what} can have {largest:,} bytes on nucleus lite and would have {size:,}, "
            f"{sizes[most]:,} of them in {CAMERAS if most == PARTS else most}; {_advice(most)}"
        )
    return None


def _advice(key: str) -> str:
    return _ADVICE.get(CAMERAS if key == PARTS else key, "shorten it")


def _taken(value: Any) -> int:
    if isinstance(value, dict):
        return sum(_KEY + _taken(each) for each in value.values())
    if isinstance(value, list):
        return sum(_VALUE + _taken(each) for each in value)
    return 0
