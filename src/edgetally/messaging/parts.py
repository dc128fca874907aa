"""A message that is too big for its transport, in numbered parts.

Each part is a message that its schema allows, of the same sequence number: what is single stands
in each of them, the entries of lists and objects are shared out, in their order. Put together
(lists one after the other, objects united), the parts are the message, but for `part`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from edgetally.messaging.transports.transport import RefusedError
from edgetally.shortened import shortened

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_Path = tuple[str, ...]


@dataclass(frozen=True)
class _Whole:
    """What is not divided."""


@dataclass(frozen=True)
class _List:
    """A list, divided between its items."""


@dataclass(frozen=True)
class _Map:
    """An object with a key for each of a kind, divided between them and inside them."""

    of: _Shape = field(default_factory=_Whole)


@dataclass(frozen=True)
class _Record:
    """An object whose keys are always the same; some of them are divided."""

    divided: Mapping[str, _List | _Map]


_Shape = _Whole | _List | _Map | _Record
_COUNTS = _Map()
_CAMERA = _Record({"lines": _Map(_Map()), "zones": _Map(_COUNTS), "inView": _COUNTS})
_SEEN = _Record({"detections": _List()})
_SHAPES = {
    "edgetally.detections/1": _SEEN,
    "edgetally.inference_result/1": _SEEN,
    "edgetally.inventory/1": _Record(
        {"cameras": _Map(_CAMERA), "sites": _Map(_Map()), "stock": _COUNTS}
    ),
    "edgetally.health/1": _Record({"cameras": _Map()}),
}


@dataclass(frozen=True)
class _Entry:
    """What stands in one part alone: the keys that lead to it, and its JSON value."""

    path: _Path
    value: Any
    is_item: bool = False


def parts_of(body: str, max_bytes: int) -> list[str]:
    """Return the parts of a message, JSON in `body`, each at most `max_bytes` long in UTF-8.

    A message that fits comes back as it is. RefusedError where one can't be divided so far.
    """
    size = len(body.encode())
    if size <= max_bytes:
        return [body]
    message = _read(body)
    schema = str(message.get("schema"))
    shape = _SHAPES.get(schema, _Record({}))
    entries = list(_entries(message, shape, ()))
    if not entries:
        raise RefusedError(
            f"a message {schema} has {size} bytes, more than the {max_bytes} that fit, and can't "
            "be divided"
        )
    parts = []
    taken = count = 0
    while taken < len(entries):
        # As many as before, twice as many, …: a part is written some ten times, not the message.
        count = _most(message, shape, entries[taken:], max_bytes, max(count, 1), len(entries))
        if not count:
            path = ".".join(shortened(key, 80) for key in entries[taken].path)
            raise RefusedError(
                f"a message {schema} has {size} bytes, more than the {max_bytes} that fit, and "
                f"can't be divided: {path} alone is too big; use shorter names"
            )
        parts.append(_part(message, shape, entries[taken : taken + count]))
        taken += count
    for number, part in enumerate(parts, 1):
        part["part"] = {"number": number, "of": len(parts)}
    return [_written(part) for part in parts]


def _read(body: str) -> dict[str, Any]:
    try:
        message = json.loads(body)
    except ValueError as error:
        raise RefusedError(f"a message is no JSON: {error}") from None
    if not isinstance(message, dict):
        raise RefusedError("a message is no JSON object")
    return message


def _written(part: dict[str, Any]) -> str:
    return json.dumps(part, ensure_ascii=False, separators=(",", ":"))


def _most(
    message: dict[str, Any],
    shape: _Record,
    entries: list[_Entry],
    max_bytes: int,
    guess: int,
    parts: int,
) -> int:
    """Find how many of the first entries fit into one of at most so many parts."""

    def fits(count: int) -> bool:
        part = _part(message, shape, entries[:count])
        part["part"] = {"number": parts, "of": parts}
        return len(_written(part).encode()) <= max_bytes

    low, high = 0, min(guess, len(entries))
    while fits(high):
        if high == len(entries):
            return high
        low, high = high, min(2 * high, len(entries))
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def _entries(value: Any, shape: _Shape, path: _Path) -> Iterator[_Entry]:
    """Give what can stand in a part alone, in order; nothing for a record without any."""
    match shape:
        case _List():
            for number, item in enumerate(value):
                yield _Entry((*path, str(number)), item, is_item=True)
        case _Record(divided):
            for key in filter(divided.__contains__, value):
                yield from _entries(value[key], divided[key], (*path, key))
        case _Map(of):
            for key, inner in value.items():
                found = list(_entries(inner, of, (*path, key)))
                yield from found or [_Entry((*path, key), _empty(inner, of))]
        case _Whole():
            yield _Entry(path, value)


def _empty(value: Any, shape: _Shape) -> Any:
    """Take everything out that is divided."""
    match shape:
        case _List():
            return []
        case _Map():
            return {}
        case _Record(divided):
            return {
                key: _empty(inner, divided[key]) if key in divided else inner
                for key, inner in value.items()
            }
        case _:
            return value


def _part(message: dict[str, Any], shape: _Record, entries: list[_Entry]) -> dict[str, Any]:
    part: dict[str, Any] = _empty(message, shape)
    for entry in entries:
        _put(part, message, shape, entry)
    return part


def _put(part: Any, whole: Any, shape: _Shape, entry: _Entry) -> None:
    """Put an entry where it was, with what stands around it."""
    *above, last = entry.path
    for key in above:
        inner = _inside(shape, key)
        if key not in part:
            part[key] = _empty(whole[key], inner)
        part, whole, shape = part[key], whole[key], inner
    if entry.is_item:
        part.append(entry.value)
    else:
        part[last] = entry.value


def _inside(shape: _Shape, key: str) -> _Shape:
    match shape:
        case _Map(of):
            return of
        case _Record(divided):
            return divided[key]
        case _:
            raise AssertionError(f"nothing lies inside {shape}")
