"""The configuration that a deployment brings: the user's YAML, on top of the recipe's defaults."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from edgetally.component.access_control import access_control
from edgetally.component.default_configuration import default_configuration
from edgetally.config import parse_config
from edgetally.config.publish import PublishConfig
from edgetally.config.reading import read_yaml
from edgetally.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_POLICY = "accessControl"  # Greengrass's own key beside ours
_USUAL = PublishConfig()
_NAMING = {"topicPrefix", "thing"}


def merged(base: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """Merge as a deployment does: maps key by key, anything else replaced."""
    whole = dict(base)
    for key, value in change.items():
        before = whole.get(key)
        both = isinstance(before, dict) and isinstance(value, dict)
        whole[key] = merged(before, value) if both and before is not None else value
    return whole


def configuration_update(path: Path, default: Mapping[str, Any]) -> dict[str, Any]:
    """Read what a deployment shall merge into the component's configuration.

    default: the recipe's. Raises InputError where the file can't be read, or the service would
    refuse what comes of both.
    """
    change = read_yaml(path)
    if not isinstance(change, dict):
        raise InputError(f"configuration {path}: expected keys such as cameras")
    change = _without_empty_sections(change, merged(default_configuration(), default))
    whole = merged(default, change)
    whole.pop(_POLICY, None)
    config = parse_config(whole, str(path), needs_cameras=False)
    try:
        json.dumps(change, allow_nan=False, ensure_ascii=False).encode()
    except (TypeError, ValueError):
        raise InputError(f"configuration {path}: holds what JSON can't; use plain values") from None
    names = {"prefix": config.publish.topic_prefix}
    if config.publish.thing != _USUAL.thing:
        names["thing"] = config.publish.thing
    # Null, or the usual name, takes back another, and with it the policies for that.
    if _NAMING & set(change.get("publish") or ()) and _POLICY not in change:
        change[_POLICY] = access_control(**names)
    return change


def _without_empty_sections(change: dict[str, Any], default: Any) -> dict[str, Any]:
    """Leave out null where there are keys below: nucleus lite refuses it, and it says nothing."""
    known = default if isinstance(default, dict) else {}
    return {
        key: _without_empty_sections(value, known.get(key)) if isinstance(value, dict) else value
        for key, value in change.items()
        if value is not None or not isinstance(known.get(key), dict)
    }
