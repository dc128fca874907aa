"""The recipes: what is written by hand in recipes/, with what the code knows better filled in."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from edgetally.component.access_control import access_control
from edgetally.component.default_configuration import default_configuration
from edgetally.component.names import COUNTER
from edgetally.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_LARGEST = 16 * 1024  # bytes: AWS IoT Greengrass endpoints and quotas; lite has a buffer of that


def read_recipe(folder: Path, name: str) -> dict[str, Any]:
    """Read the recipe of a component. InputError where it is none."""
    path = folder / f"{name}.json"
    try:
        recipe: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"recipe {path}: {error}; take the one of the repository") from None
    return recipe


def counter_recipe(written: Mapping[str, Any], version: str) -> dict[str, Any]:
    """Return the counter's recipe with its version, configuration and policies of the code."""
    configuration = default_configuration()
    policies = access_control(configuration["publish"]["topicPrefix"])
    default = {**configuration, "accessControl": policies}
    return {
        **written,
        "ComponentVersion": version,
        "ComponentConfiguration": {"DefaultConfiguration": default},
    }


def with_artifacts(recipe: Mapping[str, Any], files: Mapping[str, str]) -> dict[str, Any]:
    """Return a recipe that runs on some architectures alone, each from its own artifact.

    files: the artifact's name for each of them, as recipes call them.
    """
    usual = f"{recipe['ComponentName']}.zip"
    manifests = [
        json.loads(json.dumps(manifest).replace(f"/{usual}", f"/{files[architecture]}"))
        for manifest in recipe["Manifests"]
        if (architecture := manifest["Platform"]["architecture"]) in files
    ]
    return {**recipe, "Manifests": manifests}


def recipe_text(recipe: Mapping[str, Any]) -> str:
    """Return a recipe as the text of a file. InputError where it is larger than a nucleus takes."""
    text = json.dumps(recipe, indent=2, ensure_ascii=False) + "\n"
    if len(text.encode()) > _LARGEST:
        name = recipe.get("ComponentName", COUNTER)
        raise InputError(f"the recipe of {name} is larger than {_LARGEST} bytes; shorten it")
    return text
