"""`BuiltComponent`: a recipe and its artifacts, as a build left them in a folder."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgetally.bundle import sha256_of
from edgetally.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_REMEDY = "run 'edgetally component build' first"


@dataclass(frozen=True)
class BuiltComponent:
    """One version of a component. recipe: its JSON, with artifacts named by placeholders.

    recipes, artifacts: the build's folders, which hold other components, too.
    """

    name: str
    version: str
    recipe: Mapping[str, Any]
    recipes: Path
    artifacts: Path

    @property
    def files(self) -> tuple[Path, ...]:
        """Its artifacts; each is there."""
        return tuple(self._file(name) for name in self._names())

    @property
    def default_configuration(self) -> Mapping[str, Any]:
        """What a device runs it with that is told nothing else."""
        configuration = self.recipe.get("ComponentConfiguration", {})
        default: Mapping[str, Any] = configuration.get("DefaultConfiguration", {})
        return default

    def with_artifacts_at(self, bucket: str) -> dict[str, Any]:
        """Return the recipe with its artifacts in a bucket, where `key` places them."""
        recipe: dict[str, Any] = json.loads(json.dumps(self.recipe))
        for artifact in _artifacts(recipe):
            artifact["Uri"] = f"s3://{bucket}/{self.key(self._file(_file_name(artifact)))}"
        return recipe

    def key(self, file: Path) -> str:
        """Return the key of an artifact in the bucket.

        It names the content: devices refuse an artifact that has changed since it was published.
        """
        return f"{self.name}/{self.version}/{sha256_of(file)[:16]}/{file.name}"

    def _file(self, name: str) -> Path:
        return self.artifacts / self.name / self.version / name

    def _names(self) -> list[str]:
        """Return the artifacts' file names, each once: platforms may share one."""
        return list(dict.fromkeys(_file_name(artifact) for artifact in _artifacts(self.recipe)))


def built_components(folder: Path) -> dict[str, BuiltComponent]:
    """Return what a build left in the folder, by name.

    Raises InputError where there is nothing, a recipe can't be read or an artifact is missing.
    """
    recipes = sorted((folder / "recipes").glob("*.json"))
    if not recipes:
        raise InputError(f"{folder} holds no built component; {_REMEDY}")
    built: dict[str, BuiltComponent] = {}
    for path in recipes:
        component = _read(path, folder)
        if component.name in built:
            raise InputError(f"{folder} holds two recipes of {component.name}; remove one")
        built[component.name] = component
    return built


def _read(path: Path, folder: Path) -> BuiltComponent:
    try:
        recipe = json.loads(path.read_text(encoding="utf-8"))
        component = BuiltComponent(
            str(recipe["ComponentName"]),
            str(recipe["ComponentVersion"]),
            recipe,
            folder / "recipes",
            folder / "artifacts",
        )
        files = component.files
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; {_REMEDY}") from None
    except (ValueError, LookupError, TypeError, AttributeError):
        raise InputError(f"{path} is no component recipe in JSON; {_REMEDY}") from None
    for file in files:
        if not file.is_file():
            raise InputError(f"{path} names {file.name}, but {file} is not there; {_REMEDY}")
    return component


def _artifacts(recipe: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for manifest in recipe.get("Manifests", ()):
        yield from manifest.get("Artifacts", ())


def _file_name(artifact: Mapping[str, Any]) -> str:
    return str(artifact["Uri"]).rsplit("/", 1)[-1]
