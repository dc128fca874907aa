"""Read the configuration, and say in one line what is wrong with it."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

import yaml
from pydantic import ValidationError

from edgetally.config.model import Config, ConsoleTransport, JsonlTransport, sections_in
from edgetally.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Hashable
    from pathlib import Path


def load_config(path: Path) -> Config:
    """Read a YAML file. InputError, naming the key and the remedy, where it is wrong.

    Relative paths in the file are meant from the working folder.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise InputError(f"configuration {path}: {reason}; give a readable YAML file") from None
    try:
        content = yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "not YAML"
        raise InputError(f"configuration {path}{line}: {problem}; correct the YAML") from None
    return parse_config(content, str(path))


def parse_config(content: object, origin: str) -> Config:
    """Validate a parsed configuration; `origin` names it in errors (InputError)."""
    if not isinstance(content, dict):
        raise InputError(
            f"configuration {origin}: expected keys such as model and cameras, got "
            f"{'nothing' if content is None else type(content).__name__}"
        )
    try:
        return Config.model_validate(content, by_alias=True, by_name=False)
    except ValidationError as error:
        raise InputError(f"configuration {origin}: {_first_problem(error)}") from None


class _Loader(yaml.SafeLoader):
    """YAML in which no key stands twice: the first one would be lost without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = set()
        for key, _ in node.value:
            if key.value in keys:
                raise yaml.constructor.ConstructorError(
                    problem=f"key {key.value!r} stands twice", problem_mark=key.start_mark
                )
            if isinstance(key.value, str):
                keys.add(key.value)
        return super().construct_mapping(node, deep)


# What pydantic says in its own terms, in the words of someone who writes YAML.
_PLAIN = {
    "tuple_type": "expected a list",
    "model_type": "expected keys and values",
    "dict_type": "expected keys and values",
    "model_attributes_type": "expected keys and values",
    "too_short": "too few entries",
    "path_type": "expected a path",
    "string_type": "expected text",
    "union_tag_not_found": "type is missing; add it (jsonl or console)",
    "union_tag_invalid": "type must be jsonl or console",
    "string_pattern_mismatch": "expected a name without /, + and #",
}


def _first_problem(error: ValidationError) -> str:
    problems = error.errors()
    problem = next((p for p in problems if p["type"] == "extra_forbidden"), problems[0])
    where = _dotted(problem["loc"])
    if problem["type"] == "extra_forbidden":
        key = str(problem["loc"][-1])
        known = _known_keys(problem["loc"][:-1])
        near = difflib.get_close_matches(key, known, n=1, cutoff=0.0)
        return f"unknown key {where}; did you mean {near[0]!r}?" if near else f"unknown key {where}"
    if problem["type"] == "missing":
        return f"{where} is missing; add it"
    text = _PLAIN.get(problem["type"]) or problem["msg"].removeprefix("Value error, ")
    given = problem["input"]
    shown = f", got {given!r}" if isinstance(given, (str, int, float, bool)) else ""
    return f"{where}: {text[:1].lower()}{text[1:]}{shown}" if where else text


def _dotted(location: tuple[int | str, ...]) -> str:
    parts: list[str] = []
    for part in location:
        if isinstance(part, int) and parts:
            parts[-1] += f"[{part}]"
        elif part not in {"jsonl", "console"}:
            parts.append(str(part))
    return ".".join(parts)


def _known_keys(location: tuple[int | str, ...]) -> list[str]:
    section: Any = Config
    for part in location:
        if isinstance(part, int):
            continue
        if part in {"jsonl", "console"}:
            section = JsonlTransport if part == "jsonl" else ConsoleTransport
            continue
        fields = {field.alias: field.annotation for field in section.model_fields.values()}
        inner = sections_in(fields[str(part)])
        if not inner:
            return []
        section = inner[0]
    return [str(field.alias) for field in section.model_fields.values()]
