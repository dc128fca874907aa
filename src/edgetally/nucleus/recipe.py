"""A component's recipe, and what of it this device runs."""

from __future__ import annotations

import json
import platform
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import yaml

from edgetally.component.version import checked_name, checked_version
from edgetally.errors import InputError
from edgetally.nucleus.lifecycle import read_lifecycle
from edgetally.nucleus.recipe_value import Value
from edgetally.ordinary_file import read_ordinary

if TYPE_CHECKING:
    from pathlib import Path

    from edgetally.nucleus.kind import Kind, KindName
    from edgetally.nucleus.lifecycle import Step

_LARGEST = 1 << 20  # bytes
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "aarch64", "armv7l": "arm"}
# What a manifest's platform may have as its runtime; None: it may have none. The Java nucleus has
# no name for itself: its own platform is an operating system and an architecture.
_RUNTIMES: dict[KindName, tuple[str | None, ...]] = {
    "lite": ("*", "aws_nucleus_lite"),
    "java": ("*", None),
}


@dataclass(frozen=True)
class Artifact:
    """A file that a deployment brings; is_archive: it is unpacked, too."""

    name: str
    is_archive: bool = False
    is_executable: bool = False


@dataclass(frozen=True)
class Recipe:
    """What a recipe says for this device.

    dependencies: components that have to be there before it; of those in hard, a new version
    stops it and starts it again. environment: of all its steps. left_out: a line for each thing
    in it that this stand-in does not do.
    """

    name: str
    version: str
    defaults: dict[str, Any]
    dependencies: tuple[str, ...] = ()
    hard: tuple[str, ...] = ()
    install: Step | None = None
    run: Step | None = None
    artifacts: tuple[Artifact, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()


def read_recipe(given: Path | dict[str, Any], kind: Kind) -> Recipe:
    """Read a recipe, in JSON or YAML, or one that is parsed already, as a kind of nucleus does.

    InputError where it is no recipe, or none for this device.
    """
    if isinstance(given, dict):
        return _recipe(given, "recipe", kind)
    try:
        text = read_ordinary(given, _LARGEST).decode()
    except OSError as error:
        raise InputError(f"{given}: can't be read: {error.strerror}; give a recipe") from None
    except UnicodeDecodeError:
        raise InputError(f"{given}: no recipe: it is not UTF-8 text") from None
    try:
        if given.suffix == ".json":
            parsed = json.loads(text)
        else:
            parsed = yaml.safe_load(text)
            if not kind.types_of_yaml:
                strings = yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506 - makes strings alone
                _take_defaults(parsed, Value(strings, str(given)))
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        raise InputError(f"{given}: no recipe: {' '.join(str(error).split())}") from None
    return _recipe(parsed, str(given), kind)


def _take_defaults(parsed: Any, strings: Value) -> None:
    configuration = parsed.get("ComponentConfiguration") if isinstance(parsed, dict) else None
    if isinstance(configuration, dict) and configuration.get("DefaultConfiguration"):
        found = strings.below("ComponentConfiguration").below("DefaultConfiguration")
        configuration["DefaultConfiguration"] = found.given


def _recipe(parsed: Any, where: str, kind: Kind) -> Recipe:
    if not isinstance(parsed, dict):
        raise InputError(f"{where}: no recipe: it holds no map")
    whole = Value(parsed, where)
    name, version = _name(whole.below("ComponentName")), _version(whole.below("ComponentVersion"))
    dependencies = whole.below("ComponentDependencies").map()
    defaults = whole.below("ComponentConfiguration").below("DefaultConfiguration").map()
    manifest = _manifest(whole.below("Manifests"), kind)
    lifecycle = read_lifecycle(manifest.below("Lifecycle"), kind)
    left_out = lifecycle.left_out
    if parsed.get("Lifecycle"):
        left_out = ("the Lifecycle outside of Manifests is not run by this stand-in", *left_out)
    return Recipe(
        name=name,
        version=version,
        defaults={key: value.given for key, value in defaults.items()},
        dependencies=tuple(dependencies),
        hard=tuple(
            needed
            for needed, how in dependencies.items()
            if str(how.below("DependencyType").given or "HARD").upper() == "HARD"
        ),
        install=lifecycle.install,
        run=lifecycle.run,
        artifacts=tuple(_artifact(given) for given in manifest.below("Artifacts").list()),
        environment=lifecycle.environment,
        left_out=left_out,
    )


def _name(given: Value) -> str:
    """Return the component's name; folders are called so, too."""
    name = given.text()
    if name in (".", ".."):
        raise given.wrong(f"{given} is no component's name")
    try:
        return checked_name(name, "it")
    except InputError as error:
        raise given.wrong(str(error)) from None


def _version(given: Value) -> str:
    version = given.text()
    try:
        return checked_version(version, "it")
    except InputError as error:
        raise given.wrong(str(error)) from None


def _manifest(manifests: Value, kind: Kind) -> Value:
    machine = platform.machine()
    here = {"os": "linux", "architecture": _ARCHITECTURES.get(machine, machine)}
    runtimes = _RUNTIMES[kind.name]
    for manifest in manifests.list():
        wanted = {key: value.given for key, value in manifest.below("Platform").map().items()}
        is_for_here = all(str(wanted.get(key, "*")) in ("*", value) for key, value in here.items())
        if is_for_here and wanted.get("runtime") in runtimes:
            return manifest
    if manifests.given:
        told = " or ".join(runtime or "none" for runtime in runtimes)
        raise InputError(
            f"{manifests.file}: no manifest for linux on {here['architecture']} whose runtime is "
            f"{told}"
        )
    return manifests.at(0, None)


def _artifact(given: Value) -> Artifact:
    found = given.map()
    address = found.get("Uri", found.get("URI", given.at("Uri", None)))
    name, permission = address.text().rsplit("/", 1)[-1], given.below("Permission")
    if name in ("", ".", ".."):
        raise address.wrong(f"{address} names no file")
    return Artifact(
        name,
        is_archive=str(given.below("Unarchive").given).upper() == "ZIP",
        is_executable=str(permission.below("Execute").given).upper() != "NONE",
    )
