"""Read the configuration, and say in one line what is wrong with it."""

from __future__ import annotations

import difflib
import json
import re
from typing import TYPE_CHECKING, Any

import yaml
from pydantic import ValidationError

from edgetally.config.fields import (
    NAME_PATTERN,
    PREFIX_PATTERN,
    may_be_secret,
    quoted,
    sections_in,
)
from edgetally.config.model import Config
from edgetally.config.publish import TRANSPORTS
from edgetally.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Hashable
    from pathlib import Path

    from pydantic_core import ErrorDetails


def load_config(path: Path) -> Config:
    """Read a YAML file. InputError, naming the key and the remedy, where it is wrong.

    Relative paths in the file are meant from the working folder.
    """
    return of_device(parse_config(read_yaml(path), str(path)), str(path))


def load_replay_config(path: Path, *, needs_sources: bool = False) -> Config:
    """Read a YAML file for what needs no model, nor, as a replay, sources; errors as above."""
    content = read_yaml(path)
    if isinstance(content, dict):
        content = {"model": {"path": "."}, **content}
        if isinstance(content.get("cameras"), list) and not needs_sources:
            content["cameras"] = [
                {"source": "test:", **camera} if isinstance(camera, dict) else camera
                for camera in content["cameras"]
            ]
    return parse_config(content, str(path))


def read_yaml(path: Path) -> object:
    """Return what a YAML file holds, unchecked. InputError where it is no readable YAML."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        unreadable = "not UTF-8 text" if isinstance(error, UnicodeDecodeError) else "no path"
        reason = getattr(error, "strerror", None) or unreadable
        raise InputError(f"configuration {path}: {reason}; give a readable YAML file") from None
    try:
        content: object = yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" line {mark.line + 1}" if mark else ""
        # A tag or alias may be a password that begins with ! or *.
        problem = re.sub(
            r"(?: for the tag|(?<=alias)) '.*", "", getattr(error, "problem", None) or ""
        )
        if not problem or may_be_secret(problem):
            problem = "not YAML"
        raise InputError(f"configuration {path}{line}: {problem}; correct the YAML") from None
    except RecursionError:
        raise InputError(f"configuration {path}: nested too deeply; correct the YAML") from None
    return content


def parse_config(content: object, origin: str, *, needs_cameras: bool = True) -> Config:
    """Validate a parsed configuration; `origin` names it in errors (InputError).

    needs_cameras: False: it may be that of a device whose cameras are still to be configured.
    """
    if isinstance(content, dict) and not needs_cameras and content.get("cameras") is None:
        content = {**content, "cameras": []}
    if not isinstance(content, dict):
        raise InputError(
            f"configuration {origin}: expected keys such as model and cameras, got "
            f"{'nothing' if content is None else type(content).__name__}"
        )
    try:
        config = Config.model_validate(content, by_alias=True, by_name=False)
    except ValidationError as error:
        raise InputError(f"configuration {origin}: {_told(error)}") from None
    except ValueError:  # Python converts no whole number of more than 4300 digits
        raise InputError(f"configuration {origin}: a number has too many digits") from None
    if needs_cameras and not config.cameras:
        raise InputError(f"configuration {origin}: cameras: expected at least 1 entries")
    return config


def of_device(config: Config, origin: str) -> Config:
    """Return a configuration that a device may run; InputError where replays alone may."""
    if any(camera.name == ANY_CAMERA for camera in config.cameras):
        raise InputError(
            f"configuration {origin}: a camera named {ANY_CAMERA!r} serves edgetally replay alone; "
            "give it a name"
        )
    return config


class _Loader(yaml.SafeLoader):
    """YAML in which no key stands twice: the first one would be lost without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = set()
        for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            if not isinstance(key, yaml.ScalarNode):
                raise _wrong("a key must be text", key)
            if key.value in keys:
                raise _wrong(f"key {quoted(key.value) or '…'} stands twice", key)
            keys.add(key.value)
        return super().construct_mapping(node, deep)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ValueError, LookupError, ArithmeticError, AttributeError, TypeError):
            # yaml leaves it to Python to find that 2020-13-45 is no date.
            raise _wrong(f"no valid {node.tag.rpartition(':')[2]}", node) from None


def _wrong(problem: str, node: yaml.Node) -> yaml.YAMLError:
    return yaml.constructor.ConstructorError(problem=problem, problem_mark=node.start_mark)


ANY_CAMERA = "*"
"""Name of a camera, in a configuration for replays, that serves any."""

_TYPES = " or ".join((", ".join([*TRANSPORTS][:-1]), [*TRANSPORTS][-1]))
_CONTAINERS = ("tuple_type", "model_type", "dict_type", "model_attributes_type")
# What pydantic says in its own terms, in the words of someone who writes YAML.
_PLAIN = {
    "tuple_type": "expected a list",
    "model_type": "expected keys and values",
    "dict_type": "expected keys and values",
    "model_attributes_type": "expected keys and values",
    "too_short": "expected at least {min_length} entries",
    "too_long": "expected {max_length} entries",
    "path_type": "expected a path",
    "string_type": "expected text",
    "string_unicode": "expected text",
    "string_too_short": "expected text",
    "string_too_long": "expected at most {max_length} characters",
    "float_type": "expected a number",
    "float_parsing": "expected a number",
    "finite_number": "expected a finite number",
    "int_type": "expected a whole number",
    "int_parsing": "expected a whole number",
    "int_parsing_size": "expected a smaller number",
    "int_from_float": "expected a whole number",
    "greater_than": "expected more than {gt:g}",
    "greater_than_equal": "expected at least {ge:g}",
    "less_than_equal": "expected at most {le:g}",
    "literal_error": "expected {expected}",
    "union_tag_not_found": f"type is missing; add it ({_TYPES})",
    "union_tag_invalid": f"type must be {_TYPES}",
    NAME_PATTERN: "expected a name without /, + and #",
    PREFIX_PATTERN: "expected a topic prefix: names joined by /, without + and # and a first $",
}
_UNKNOWN = "extra_forbidden"
_MOST_TOLD = 3  # mistakes in a line
_NEAR = 0.5  # below it the nearest key is hardly a slip of the pen


def _told(error: ValidationError) -> str:
    """Tell the mistakes in one line; a key that is missing where one is unknown is that one."""
    problems = error.errors()
    misspelt = {problem["loc"][:-1] for problem in problems if problem["type"] == _UNKNOWN}
    told = list(
        dict.fromkeys(
            _one_told(problem)
            for problem in sorted(problems, key=lambda problem: problem["type"] != _UNKNOWN)
            if problem["type"] != "missing" or problem["loc"][:-1] not in misspelt
        )
    )
    more = len(told) - _MOST_TOLD
    return "; ".join(told[:_MOST_TOLD]) + (f"; and {more} more" if more > 0 else "")


def _one_told(problem: ErrorDetails) -> str:
    where = _dotted(problem["loc"])
    if problem["type"] == _UNKNOWN:
        return f"unknown key {where}; {_hint(str(problem['loc'][-1]), problem['loc'][:-1])}"
    if problem["type"] == "missing":
        return f"{where} is missing; add it"
    context = problem.get("ctx", {})
    text = _PLAIN.get(context.get("pattern", problem["type"]), "").format(**context)
    text = text or problem["msg"].removeprefix("Value error, ")
    given = problem["input"]
    if problem["type"] in _CONTAINERS and isinstance(given, str) and (why := _why_no_json(given)):
        return f"{where}: the text is no JSON: {why}"
    shown = quoted(given) if isinstance(given, str | int | float) else ""
    shown = f", got {shown}" if shown else ""
    return f"{where}: {text[:1].lower()}{text[1:]}{shown}" if where else text


def _why_no_json(text: str) -> str | None:
    """Return what is wrong with a text that is meant as JSON, without showing any of it."""
    if text.strip()[:1] not in ("[", "{"):
        return None
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        at = f"line {error.lineno}, column {error.colno}"
        return f"{error.msg[:1].lower()}{error.msg[1:]} ({at})"
    except (ValueError, RecursionError):
        return "it can't be read"
    return None


def _hint(key: str, section: tuple[int | str, ...]) -> str:
    known = _known_keys(section)
    (near,) = difflib.get_close_matches(key, known, n=1, cutoff=0.0)
    listed = "" if difflib.get_close_matches(key, [near], cutoff=_NEAR) else ", ".join(known)
    return f"did you mean {near!r}?" + (f" known are {listed}" if listed else "")


def _dotted(location: tuple[int | str, ...]) -> str:
    parts: list[str] = []
    for part in location:
        if isinstance(part, int) and parts:
            parts[-1] += f"[{part}]"
        elif not (part in TRANSPORTS and parts[-1:] and parts[-1].endswith("]")):
            text = str(part)
            hidden = len(text) > 80 or not text.isprintable() or may_be_secret(text)
            parts.append("…" if hidden else text)
    return ".".join(parts)


def _known_keys(location: tuple[int | str, ...]) -> list[str]:
    section: Any = Config
    for part in location:
        if isinstance(part, int):
            continue
        if part in TRANSPORTS:
            section = TRANSPORTS[str(part)]
            continue
        fields = {field.alias: field.annotation for field in section.model_fields.values()}
        inner = sections_in(fields[str(part)])
        if not inner:
            return []
        section = inner[0]
    return [str(field.alias) for field in section.model_fields.values()]
