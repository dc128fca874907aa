"""The reference of the configuration, made from its model: a JSON Schema and a table."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

from pydantic_core import PydanticUndefined, to_jsonable_python

from edgetally.config.fields import Section, sections_in
from edgetally.config.model import Config

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

_HEAD = """# Configuration

Made from the code by `scripts/generate_docs.py`; the JSON Schema is
[schemas/config.json](schemas/config.json). Keys in bold must be given. Numbers may be written as
strings.

| key | default | meaning |
| --- | --- | --- |
"""


def config_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of the configuration."""
    dialect = "https://json-schema.org/draft/2020-12/schema"
    return {"$schema": dialect, **Config.model_json_schema(by_alias=True)}


def config_page() -> str:
    """Return the page that lists every key, its default and its meaning, in Markdown."""
    return _HEAD + "".join(_rows(Config, ""))


def _rows(section: type[Section], prefix: str, kind: str = "") -> list[str]:
    rows = []
    for field in section.model_fields.values():
        if kind and field.alias == "type":
            continue
        key = f"{prefix}{field.alias}"
        inner = sections_in(field.annotation)
        if field.description or not inner:
            rows.append(_row(key, field, kind))
        below = f"{key}[]." if get_origin(field.annotation) is tuple else f"{key}."
        kinds = [_kind(part) for part in inner] if len(inner) > 1 else [""]
        if len(inner) > 1:
            meanings = [f"`{of}`: {part.__doc__}" for of, part in zip(kinds, inner, strict=True)]
            rows.append(f"| **`{below}type`** |  | {' '.join(meanings)} |\n")
        for of, part in zip(kinds, inner, strict=False):
            rows += _rows(part, below, of)
    return rows


def _kind(section: type[Section]) -> str:
    return str(get_args(section.model_fields["type"].annotation)[0])


def _row(key: str, field: FieldInfo, kind: str) -> str:
    shown = f"**`{key}`**" if field.is_required() else f"`{key}`"
    shown += f" (type `{kind}`)" if kind else ""
    meaning = field.description or ""
    choices = get_args(field.annotation) if get_origin(field.annotation) is Literal else ()
    if choices:
        meaning = f"{meaning} {', '.join(f'`{choice}`' for choice in choices)}".strip()
    return f"| {shown} | {_default(field)} | {meaning} |\n"


def _default(field: FieldInfo) -> str:
    default = field.get_default(call_default_factory=True, validated_data={})
    if default is PydanticUndefined or default is None or default in ((), {}):
        return ""
    plain = to_jsonable_python(default, by_alias=True)
    return f"`{plain if isinstance(plain, str) else json.dumps(plain)}`"
