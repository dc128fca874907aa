"""MXNet's symbol JSON: the graph of a network, read and written without MXNet.

The format is nnvm's `saveload_json.cc`: `nodes` in topological order, each with `op` ("null"
for a variable), `name`, `attrs` (strings) and `inputs` as [node, output, version]. Symbols of
older MXNet keep the attributes under `attr` or `param`.
"""

from __future__ import annotations

import ast
import json
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from edgetally.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Entry = tuple[int, int, int]
T = TypeVar("T")
LARGEST_SYMBOL = 8 << 20  # bytes; a resnet-50 detector's has 0.13 MB
_MOST_NODES = 50_000  # a resnet-50 detector has 544
_LARGEST_INDEX = 1 << 31
_SHOWN = 200  # characters of a fault that a message quotes
_LONGEST_NUMBERS = 1 << 16  # characters; a list of sizes has some tens
_MISSING_VALUES = (None, "None", "")
_EXHAUSTED = (OverflowError, RecursionError, MemoryError)
_FLAGS = {"True": True, "true": True, "1": True, "False": False, "false": False, "0": False}


@dataclass(frozen=True)
class Node:
    """An operator or a variable (op "null"); inputs are (node, output, version)."""

    op: str
    name: str
    attrs: Mapping[str, str]
    inputs: tuple[Entry, ...] = ()

    def __str__(self) -> str:
        return f"node {self.name[:_SHOWN]} ({self.op[:_SHOWN]})"

    def text(self, key: str, default: str) -> str:
        """Return an attribute as it is written."""
        found = self.attrs.get(key)
        return default if found in _MISSING_VALUES or found is None else found

    def flag(self, key: str, default: bool) -> bool:
        """Return a boolean attribute. InputError where it is none."""
        found = self.text(key, str(default))
        if found not in _FLAGS:
            raise self._unreadable(key, "true or false")
        return _FLAGS[found]

    def numbers(self, key: str, default: tuple[float, ...]) -> tuple[float, ...]:
        """Return an attribute like "(0.1, 0.2)" or "0.1". InputError where it is none."""
        found = self.attrs.get(key)
        if found in _MISSING_VALUES:
            return default
        if len(str(found)) > _LONGEST_NUMBERS:
            raise self._unreadable(key, "a short list of numbers")
        try:
            value = ast.literal_eval(str(found).strip())
            values = value if isinstance(value, tuple | list) else (value,)
            numbers = tuple(float(number) for number in values)
        except (ValueError, SyntaxError, TypeError, *_EXHAUSTED):
            raise self._unreadable(key, "numbers") from None
        if not all(map(math.isfinite, numbers)):
            raise self._unreadable(key, "finite")
        return numbers

    def integers(self, key: str, default: tuple[int, ...]) -> tuple[int, ...]:
        """Return an attribute like "(3, 3)" or "3". InputError where it is none."""
        values = self.numbers(key, default)
        if not all(value.is_integer() for value in map(float, values)):
            raise self._unreadable(key, "whole numbers")
        return tuple(int(value) for value in values)

    def number(self, key: str, default: float) -> float:
        """Return a single number. InputError where it is none."""
        return self._single(key, self.numbers(key, (default,)))

    def integer(self, key: str, default: int) -> int:
        """Return a single whole number. InputError where it is none."""
        return self._single(key, self.integers(key, (default,)))

    def _single(self, key: str, values: tuple[T, ...]) -> T:
        if len(values) != 1:
            raise self._unreadable(key, "a single number")
        return values[0]

    def _unreadable(self, key: str, wanted: str) -> InputError:
        return InputError(
            f"{self}: {key}={str(self.attrs.get(key))[:_SHOWN]!r} should be {wanted}; "
            "take the artifact from the training job again"
        )


@dataclass(frozen=True)
class Graph:
    """A network: nodes in topological order, and the outputs it was saved with."""

    nodes: tuple[Node, ...]
    heads: tuple[Entry, ...]
    attrs: Mapping[str, object]

    def find(self, name: str) -> int | None:
        """Return the index of the node of that name."""
        return next((i for i, node in enumerate(self.nodes) if node.name == name), None)

    def ancestors(self, indices: Iterable[int]) -> list[int]:
        """Return those nodes and all that they are computed from, in topological order."""
        found: set[int] = set()
        waiting = list(indices)
        while waiting:
            index = waiting.pop()
            if index not in found:
                found.add(index)
                waiting.extend(source for source, _, _ in self.nodes[index].inputs)
        return sorted(found)

    def pruned(self) -> Graph:
        """Drop every node that no head needs."""
        kept = self.ancestors(head for head, _, _ in self.heads)
        number = {old: new for new, old in enumerate(kept)}

        def moved(entries: tuple[Entry, ...]) -> tuple[Entry, ...]:
            return tuple((number[node], output, version) for node, output, version in entries)

        nodes = tuple(replace(self.nodes[i], inputs=moved(self.nodes[i].inputs)) for i in kept)
        return Graph(nodes, moved(self.heads), self.attrs)

    def to_json(self) -> str:
        """Write the graph as `mxnet.symbol.load_json` reads it."""
        nodes = [
            {"op": node.op, "name": node.name}
            | ({"attrs": dict(node.attrs)} if node.attrs else {})
            | {"inputs": [list(entry) for entry in node.inputs]}
            for node in self.nodes
        ]
        variables = [i for i, node in enumerate(self.nodes) if node.op == "null"]
        content = {
            "nodes": nodes,
            "arg_nodes": variables,
            "heads": [list(head) for head in self.heads],
            "attrs": dict(self.attrs),
        }
        return json.dumps(content, indent=1) + "\n"


def parse_symbol(content: bytes | bytearray, origin: str) -> Graph:
    """Read a symbol file; `origin` names it in errors. InputError where it is no symbol."""
    try:
        _refuse_more(len(content), LARGEST_SYMBOL, "bytes")  # JSON takes 25 times its size, parsed
        saved = json.loads(content)
        _refuse_more(len(saved["nodes"]), _MOST_NODES, "nodes")
        json.dumps(saved, ensure_ascii=False).encode()  # a lone surrogate can't be written again
        nodes = tuple(_parse_node(index, node) for index, node in enumerate(saved["nodes"]))
        heads = tuple(_parse_entry(entry, len(nodes)) for entry in saved["heads"])
        attrs = _parse_mapping(saved.get("attrs"))
    except (ValueError, TypeError, KeyError, AttributeError, *_EXHAUSTED) as error:
        raise InputError(
            f"{origin} is not an MXNet symbol ({type(error).__name__}: {str(error)[:_SHOWN]}); "
            "take the artifact from the training job again"
        ) from None
    return Graph(nodes, heads, attrs)


def _parse_node(index: int, saved: Mapping[str, object]) -> Node:
    attrs: dict[str, str] = {}
    for key in ("attr", "param", "attrs"):
        attrs |= {k: _parse_text(v) for k, v in _parse_mapping(saved.get(key)).items()}
    inputs = tuple(_parse_entry(entry, index) for entry in saved["inputs"])  # type: ignore[attr-defined]
    op, name = _parse_text(saved["op"]), _parse_text(saved["name"])
    if not name or not op:
        raise ValueError(f"node {index} has no name or no operator")
    return Node(op, name, attrs, inputs)


def _parse_mapping(saved: object) -> dict[str, object]:
    if not isinstance(saved, dict | None):
        raise TypeError(f"attributes are {type(saved).__name__}")
    return saved or {}


def _parse_text(saved: object) -> str:
    if isinstance(saved, list | dict):
        raise TypeError(f"a {type(saved).__name__} stands where text should")
    return str(saved)


def _parse_entry(saved: list[object], limit: int) -> Entry:
    """Read [node, output] or [node, output, version], of a node before the limit."""
    if not 2 <= len(saved) <= 3:
        raise ValueError(f"an input of {len(saved)} numbers")
    node, output, version = (_parse_index(number) for number in (*saved, 0)[:3])
    if node >= limit:
        raise ValueError(f"input {saved} points at no earlier node")
    return node, output, version


def _parse_index(saved: object) -> int:
    if type(saved) is not int or not 0 <= saved < _LARGEST_INDEX:
        raise ValueError(f"input {str(saved)[:_SHOWN]} is no index")
    return saved


def _refuse_more(count: int, most: int, what: str) -> None:
    if count > most:
        raise ValueError(f"{count} {what} are more than any network's")
