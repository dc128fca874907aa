"""A component's recipe, and what of it this device runs."""

from __future__ import annotations

import json
import platform
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import yaml

from edgetally.errors import InputError
from edgetally.ordinary_file import read_ordinary

if TYPE_CHECKING:
    from pathlib import Path

    from edgetally.nucleus.kind import Kind, KindName

_LARGEST = 1 << 20  # bytes
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "aarch64", "armv7l": "arm"}
# What a manifest's platform may have as its runtime; None: it may have none. The Java nucleus has
# no name for itself: its own platform is an operating system and an architecture.
_RUNTIMES: dict[KindName, tuple[str | None, ...]] = {
    "lite": ("*", "aws_nucleus_lite"),
    "java": ("*", None),
}


@dataclass(frozen=True)
class Step:
    """One step of a lifecycle. timeout: in seconds, of install alone."""

    script: str
    needs_root: bool = False
    timeout: float = 120.0
    environment: dict[str, str] = field(default_factory=dict)


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
    stops it and starts it again. environment: of all its steps.
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
            if not kind.types_of_yaml and isinstance(parsed, dict):
                strings = yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506 - makes strings alone
                parsed["ComponentConfiguration"] = strings.get("ComponentConfiguration")
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        raise InputError(f"{given}: no recipe: {' '.join(str(error).split())}") from None
    return _recipe(parsed, str(given), kind)


def _recipe(parsed: Any, where: str, kind: Kind) -> Recipe:
    if not isinstance(parsed, dict):
        raise InputError(f"{where}: no recipe: it holds no map")
    for key in ("ComponentName", "ComponentVersion"):
        if not isinstance(parsed.get(key), str):
            raise InputError(f"{where}: no recipe: {key} is missing")
    dependencies = _map(parsed.get("ComponentDependencies"))
    configuration = _map(parsed.get("ComponentConfiguration"))
    manifest = _manifest(parsed.get("Manifests") or [], where, _RUNTIMES[kind.name])
    lifecycle = _map(manifest.get("Lifecycle"))
    return Recipe(
        name=parsed["ComponentName"],
        version=parsed["ComponentVersion"],
        defaults=_map(configuration.get("DefaultConfiguration")),
        dependencies=tuple(dependencies),
        hard=tuple(
            name
            for name, how in dependencies.items()
            if str(_map(how).get("DependencyType", "HARD")).upper() == "HARD"
        ),
        install=_step(lifecycle.get("install"), where),
        run=_step(lifecycle.get("run"), where),
        artifacts=tuple(_artifact(_map(given)) for given in manifest.get("Artifacts") or []),
        environment=_environment(lifecycle),
    )


def _manifest(manifests: list[Any], where: str, runtimes: tuple[str | None, ...]) -> dict[str, Any]:
    machine = platform.machine()
    here = {"os": "linux", "architecture": _ARCHITECTURES.get(machine, machine)}
    for manifest in manifests:
        wanted = _map(_map(manifest).get("Platform"))
        is_for_here = all(str(wanted.get(key, "*")) in ("*", value) for key, value in here.items())
        if is_for_here and wanted.get("runtime") in runtimes:
            return _map(manifest)
    if manifests:
        told = " or ".join(runtime or "none" for runtime in runtimes)
        raise InputError(
            f"{where}: no manifest for linux on {here['architecture']} whose runtime is {told}"
        )
    return {}


def _artifact(given: dict[str, Any]) -> Artifact:
    address = str(given.get("Uri", given.get("URI", "")))
    permission = _map(given.get("Permission"))
    return Artifact(
        address.rsplit("/", 1)[-1],
        is_archive=str(given.get("Unarchive", "NONE")).upper() == "ZIP",
        is_executable=str(permission.get("Execute", "NONE")).upper() != "NONE",
    )


def _step(given: Any, where: str) -> Step | None:
    if given is None:
        return None
    if isinstance(given, str):
        return Step(given)
    step = _map(given)
    script = step.get("Script", step.get("script"))
    if not isinstance(script, str):
        raise InputError(f"{where}: a lifecycle step without a Script")
    return Step(
        script,
        needs_root=str(step.get("RequiresPrivilege", False)).lower() == "true",
        timeout=float(step.get("Timeout", 120)),
        environment=_environment(step),
    )


def _environment(given: dict[str, Any]) -> dict[str, str]:
    return {str(key): str(value) for key, value in _map(given.get("Setenv")).items()}


def _map(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
