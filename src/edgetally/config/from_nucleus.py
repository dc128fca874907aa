"""The configuration as a Greengrass nucleus has it: leaves as strings, nulls, empty maps for lists.

Defaults of a YAML recipe arrive as text on a nucleus lite (`'7'`, `'true'`, `'null'`); a console
may store a list as its JSON, and cameras may come in parts. Numbers and switches in text are
understood by the sections anyway.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, get_args, get_origin

from edgetally.config.camera_parts import PARTS, put_together
from edgetally.config.fields import Section, sections_in
from edgetally.config.model import Config
from edgetally.config.reading import of_device, parse_config
from edgetally.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

KEYS = (*(str(field.alias) for field in Config.model_fields.values()), PARTS)
"""What a configuration has at its top."""

ORIGIN = "of the component"
_ABSENT: Any = object()
_TRANSPORTS = [{"type": "greengrass"}]


def config_of_nucleus(content: Mapping[str, Any], thing: str) -> Config:
    """Read a component's configuration; it may have no cameras yet. InputError where it is wrong.

    thing: the device's name, where the configuration does not give another.
    """
    plain = _of_section(put_together(content, ORIGIN), Config)
    publish = plain.setdefault("publish", {})
    if isinstance(publish, dict):
        publish.setdefault("transports", _TRANSPORTS)
        if thing:
            publish.setdefault("thing", thing)
    config = parse_config(plain, ORIGIN, needs_cameras=False)
    if not config.publish.transports:
        raise InputError(
            f"configuration {ORIGIN}: publish.transports is empty, so nothing would be told; "
            "leave it out for the nucleus's own"
        )
    return of_device(config, ORIGIN)


def how_to_tell(content: Mapping[str, Any], thing: str) -> Config:
    """Take of a configuration that is wrong what is needed to tell so; else the defaults."""
    for keys in (("publish", "storage"), ("publish",), ("storage",), ()):
        part = {key: content[key] for key in keys if key in content}
        try:
            return config_of_nucleus({"model": {"path": "."}, "cameras": [], **part}, thing)
        except InputError:
            if not keys:
                raise
    raise AssertionError


def _of_section(content: dict[str, Any], section: type[Section]) -> dict[str, Any]:
    kinds = {str(field.alias): field.annotation for field in section.model_fields.values()}
    found = {key: _plain(value, kinds.get(key)) for key, value in content.items()}
    return {key: value for key, value in found.items() if value is not _ABSENT}


def _plain(value: Any, kind: Any) -> Any:
    """Return a value as YAML would have it; kind: the annotation of its field."""
    if value is None or value == "null":
        return _ABSENT
    value = _unpacked(value, kind)
    if _is_list(kind):
        return _of_list(value, kind)
    sections = sections_in(kind)
    if sections:
        if value == []:
            value = {}
        return _of_section(value, _meant(value, sections)) if isinstance(value, dict) else value
    if _is_map(kind) and isinstance(value, dict):
        return {key: each for key, each in value.items() if each is not None and each != "null"}
    return {} if _is_map(kind) and value == [] else value


def _of_list(value: Any, kind: Any) -> Any:
    if value in ({}, ""):
        return []
    if not isinstance(value, list):
        return value
    (inner, *_) = (*_list_of(kind), None)
    found = [_plain(each, inner) for each in value]
    return [each for each in found if each is not _ABSENT]


def _unpacked(value: Any, kind: Any) -> Any:
    """Return what a text holds as JSON, where a list or keys and values are wanted."""
    if not isinstance(value, str) or value.strip()[:1] not in ("[", "{"):
        return value
    if not (_is_list(kind) or _is_map(kind) or sections_in(kind)):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value


def _meant(value: dict[str, Any], sections: list[type[Section]]) -> type[Section]:
    """Choose the section by its type, where there are several."""
    for section in sections:
        kind = section.model_fields.get("type")
        if kind is not None and value.get("type") in get_args(kind.annotation):
            return section
    return sections[0]


def _list_of(kind: Any) -> tuple[Any, ...]:
    """Return what a tuple's entries are; () for what is no tuple."""
    if get_origin(kind) is tuple:
        return get_args(kind)
    for inner in get_args(kind):
        if found := _list_of(inner):
            return found
    return ()


def _is_list(kind: Any) -> bool:
    return bool(_list_of(kind)) and get_origin(kind) is not dict


def _is_map(kind: Any) -> bool:
    return get_origin(kind) is dict
