"""One component's configuration: a tree whose leaves know when they were set.

A value replaces a leaf only where it is not older. A map merges into a map; everything else
(strings, numbers, lists, null) is a leaf and replaces what was there.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from edgetally.config.lite_value import LARGEST, bytes_of

if TYPE_CHECKING:
    from collections.abc import Sequence

Path = tuple[str, ...]
_DEFAULT = 0.0  # when a default was set: before anything that someone says


class Missing(Exception):  # noqa: N818 - an answer more than an error
    """There is nothing under this path."""


class Refused(Exception):  # noqa: N818 - an answer more than an error
    """This can't be merged; what was before it in the same map is."""


class Configuration:
    """Lives in one thread. keeps_kinds: as in `Kind`."""

    def __init__(
        self, value: dict[str, Any] | None = None, at: float = 0.0, *, keeps_kinds: bool = False
    ) -> None:
        self._keeps_kinds = keeps_kinds
        self._tree: dict[str, Any] = {}
        self._times: dict[Path, float] = {}
        self.merge((), value or {}, at)

    def get(self, path: Path = ()) -> Any:
        """Return a copy of a value. Missing where there is none."""
        value: Any = self._tree
        for key in path:
            if not isinstance(value, dict) or key not in value:
                raise Missing
            value = value[key]
        return copy.deepcopy(value)

    def merge(self, path: Path, value: Any, at: float) -> list[Path]:
        """Merge a value that was made at a time (seconds); return which leaves changed.

        Raises Refused where a nucleus that keeps kinds would not.
        """
        if isinstance(value, dict) and value:
            return [
                changed
                for key, below in value.items()
                for changed in self.merge((*path, str(key)), below, at)
            ]
        return self._set(path, value, at)

    def _set(self, path: Path, value: Any, at: float) -> list[Path]:
        if not path:
            return []  # an empty map merged into everything
        if self._keeps_kinds:
            self._refuse_other_kinds(path, value)
        if any(time > at for known, time in self._times.items() if _is_related(known, path)):
            return []
        if self._has(path, value):
            self._times[path] = at
            return []
        if value == {} and isinstance(self._value(path), dict):
            return []
        parent = self._tree
        for key in path[:-1]:
            below = parent.get(key)
            if not isinstance(below, dict):
                below = parent[key] = {}
            parent = below
        parent[path[-1]] = copy.deepcopy(value)
        self._times = {
            known: time for known, time in self._times.items() if not _is_related(known, path)
        }
        self._times[path] = at
        return [path]

    def _refuse_other_kinds(self, path: Path, value: Any) -> None:
        key = "/".join(path)
        if value != {} and bytes_of(value) > LARGEST:
            raise Refused(f"Json encode failed for key {key}.")
        for end in range(1, len(path) + 1):
            if not self._has_any(path[:end]):
                return
            is_map = isinstance(self._value(path[:end]), dict)
            if is_map != (end < len(path) or value == {}):
                kinds = ("a map", "no map") if is_map else ("no map", "a map")
                raise Refused(f"{'/'.join(path[:end])} is {kinds[0]} and can't become {kinds[1]}.")

    def deploy(
        self,
        defaults: dict[str, Any],
        merge: dict[str, Any],
        reset: Sequence[str],
        at: float,
    ) -> list[Path]:
        """Do what a deployment does; return which leaves changed, or are gone.

        What `reset` names (JSON pointers; "" is all of it) goes; defaults come where nobody has
        set anything; `merge` comes last.
        """
        before = self.leaves()
        for pointer in reset:
            self._remove(path_of(pointer))
        self.merge((), defaults, _DEFAULT)
        self.merge((), merge, at)
        after = self.leaves()
        absent = object()
        return [
            leaf
            for leaf in {**before, **after}
            if before.get(leaf, absent) is absent
            or after.get(leaf, absent) is absent
            or not _is_same(before[leaf], after[leaf])
        ]

    def _remove(self, path: Path) -> None:
        self._times = {
            known: time for known, time in self._times.items() if known[: len(path)] != path
        }
        if not path:
            self._tree = {}
            return
        parent: Any = self._tree
        for key in path[:-1]:
            parent = parent.get(key) if isinstance(parent, dict) else None
        if isinstance(parent, dict):
            parent.pop(path[-1], None)

    def leaves(self) -> dict[Path, Any]:
        """Return every leaf by its path; an empty map is one."""
        return dict(_leaves((), self._tree))

    def _value(self, path: Path) -> Any:
        try:
            return self.get(path)
        except Missing:
            return None

    def _has_any(self, path: Path) -> bool:
        try:
            self.get(path)
        except Missing:
            return False
        return True

    def _has(self, path: Path, value: Any) -> bool:
        try:
            return _is_same(self.get(path), value)
        except Missing:
            return False


def path_of(pointer: str) -> Path:
    """Return the keys that a JSON pointer (RFC 6901) names."""
    return tuple(key.replace("~1", "/").replace("~0", "~") for key in pointer.split("/")[1:])


def _is_same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and bool(one == other)  # in JSON, true is not 1


def _is_related(one: Path, other: Path) -> bool:
    shorter = min(len(one), len(other))
    return one[:shorter] == other[:shorter]


def _leaves(path: Path, value: Any) -> list[tuple[Path, Any]]:
    if isinstance(value, dict) and (value or not path):
        return [leaf for key, below in value.items() for leaf in _leaves((*path, key), below)]
    return [(path, value)]
