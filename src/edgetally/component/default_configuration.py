"""The configuration that a deployed counter begins with, made from the model's defaults."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic_core import PydanticUndefined, to_jsonable_python

from edgetally.component.names import MODEL_LINK
from edgetally.config.fields import sections_in
from edgetally.config.model import Config
from edgetally.config.publish import GreengrassTransport

if TYPE_CHECKING:
    from edgetally.config.fields import Section

_ON_A_NUCLEUS: dict[str, Any] = {
    "model.path": MODEL_LINK,
    "cameras": [],
    "publish.transports": [
        GreengrassTransport(type="greengrass").model_dump(
            mode="json", by_alias=True, exclude_none=True
        )
    ],
}
_KNOWN_BY_THE_NUCLEUS = {"publish.thing"}


def default_configuration() -> dict[str, Any]:
    """Return every setting that has a default, as JSON; relative paths mean the work folder."""
    return _defaults(Config, "")


def absent_by_default() -> dict[str, Any]:
    """Return null for every setting that no device has without being told, in the same keys."""
    return _nulls(Config, "")


def _nulls(section: type[Section], prefix: str) -> dict[str, Any]:
    nulls: dict[str, Any] = {}
    for field in section.model_fields.values():
        key, inner = str(field.alias), sections_in(field.annotation)
        where = f"{prefix}{key}"
        if len(inner) == 1 and inner[0] is field.annotation:
            if below := _nulls(inner[0], f"{where}."):
                nulls[key] = below
        elif where in _KNOWN_BY_THE_NUCLEUS or field.get_default() is None:
            nulls[key] = None
    return nulls


def _defaults(section: type[Section], prefix: str) -> dict[str, Any]:
    defaults: dict[str, Any] = {}
    for field in section.model_fields.values():
        key = str(field.alias)
        where = f"{prefix}{key}"
        inner = sections_in(field.annotation)
        if where in _KNOWN_BY_THE_NUCLEUS:
            continue
        if where in _ON_A_NUCLEUS:
            defaults[key] = _ON_A_NUCLEUS[where]
        elif len(inner) == 1 and inner[0] is field.annotation:
            defaults[key] = _defaults(inner[0], f"{where}.")
        else:
            value = field.get_default(call_default_factory=True)
            # An absent key means the same as null, which not every nucleus keeps.
            if value is not PydanticUndefined and value is not None:
                defaults[key] = to_jsonable_python(value, by_alias=True)
    return defaults
