"""The configuration that is looked at: a file's, a deployment's, or the nucleus's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgetally.config import parse_config
from edgetally.config.from_nucleus import config_of_nucleus, how_to_tell
from edgetally.config.reading import of_device, read_yaml
from edgetally.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from edgetally.config import Config


@dataclass(frozen=True)
class Reading:
    """A configuration, as far as it can be read.

    mistake: what is wrong with it; config is then what of it says where to store and how to tell,
    and None where it says nothing at all.
    """

    config: Config | None
    mistake: str = ""


def of_file(path: Path) -> Reading:
    """Read a file as `edgetally run` does."""
    try:
        content = read_yaml(path)
    except InputError as error:
        return Reading(None, _told(error))
    return _of_content(content, path)


def of_deployment(path: Path) -> Reading:
    """Read a deployment's file as the component would have it."""
    from edgetally.component.configuring import merged  # noqa: PLC0415 - of this alone
    from edgetally.component.default_configuration import default_configuration  # noqa: PLC0415

    try:
        change = read_yaml(path)
    except InputError as error:
        return Reading(None, _told(error))
    if not isinstance(change, dict):
        return _of_content(change, path)
    whole = merged(default_configuration(), change)
    whole.pop("accessControl", None)  # Greengrass's own
    return of_nucleus(whole, thing="")


def of_nucleus(settings: Mapping[str, Any], thing: str) -> Reading:
    """Read what a nucleus has for us."""
    try:
        return Reading(config_of_nucleus(settings, thing))
    except InputError as error:
        return Reading(how_to_tell(settings, thing), _told(error))


def _of_content(content: object, path: Path) -> Reading:
    try:
        return Reading(of_device(parse_config(content, str(path)), str(path)))
    except InputError as error:
        rest = how_to_tell(content, thing="") if isinstance(content, dict) else None
        return Reading(rest, _told(error))


def _told(error: InputError) -> str:
    return " ".join(str(error).split()).removeprefix("configuration ")
