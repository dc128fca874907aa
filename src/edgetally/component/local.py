"""Deploy built components on this core device, by the command line of its nucleus."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

from edgetally.component.configuring import merged
from edgetally.component.nucleus_lite import fitting
from edgetally.errors import EdgetallyError, InputError
from edgetally.shortened import shortened

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from edgetally.component.built import BuiltComponent

_JAVA = ("greengrass-cli", "/greengrass/v2/bin/greengrass-cli")
_LITE = ("ggl-cli", "/usr/local/bin/ggl-cli")
_SECONDS = 900.0  # an installation from a package index takes minutes


def deploy_here(
    components: Sequence[BuiltComponent],
    merge: Mapping[str, Mapping[str, Any]],
    tell: Callable[[str], None],
    *,
    dry_run: bool = False,
) -> None:
    """Deploy to the nucleus of this machine: Java's by greengrass-cli, lite's by ggl-cli.

    merge: configuration by component. Raises InputError where there is neither, EdgetallyError
    where it refuses.
    """
    program, is_lite = _program()
    folder = _folder(components, merge if is_lite else {})
    command = (
        _lite_command(program, folder, components)
        if is_lite
        else _java_command(program, folder, components, merge)
    )
    if dry_run:
        tell(shlex.join(command))
        return
    _run(command, tell)
    if is_lite:
        tell("queued; journalctl -f -u ggl.core.ggdeploymentd shows how it goes")


def _program() -> tuple[str, bool]:
    for names, is_lite in ((_JAVA, False), (_LITE, True)):
        for name in names:
            if found := shutil.which(name):
                return found, is_lite
    raise InputError(
        "neither greengrass-cli nor ggl-cli is here; run it on a core device (for the Java "
        "nucleus, deploy aws.greengrass.Cli to it first)"
    )


def _folder(components: Sequence[BuiltComponent], merge: Mapping[str, Mapping[str, Any]]) -> Path:
    """Make a folder of recipes, named as the nuclei look for them, beside the build's.

    It stays: a nucleus reads it after its command line has ended. merge: what goes into the
    recipes' defaults, for a nucleus that takes no configuration with a local deployment.
    """
    folder = components[0].recipes.parent / "local"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for component in components:
        recipe: dict[str, Any] = json.loads(json.dumps(component.recipe))
        if component.name in merge:
            configuration = recipe.setdefault("ComponentConfiguration", {})
            configuration["DefaultConfiguration"] = fitting(
                merged(component.default_configuration, merge[component.name])
            )
        path = folder / f"{component.name}-{component.version}.json"
        path.write_text(json.dumps(recipe), encoding="utf-8")
    return folder.resolve()


def _lite_command(program: str, folder: Path, components: Sequence[BuiltComponent]) -> list[str]:
    command = [program, "deploy", "--recipe-dir", str(folder)]
    command += ["--artifacts-dir", str(components[0].artifacts.resolve())]
    for component in components:
        command += ["--add-component", f"{component.name}={component.version}"]
    return command


def _java_command(
    program: str,
    folder: Path,
    components: Sequence[BuiltComponent],
    merge: Mapping[str, Mapping[str, Any]],
) -> list[str]:
    command = [program, "deployment", "create", "--recipeDir", str(folder)]
    command += ["--artifactDir", str(components[0].artifacts.resolve())]
    for component in components:
        command += ["--merge", f"{component.name}={component.version}"]
    if merge:
        update = {name: {"MERGE": change} for name, change in merge.items()}
        command += ["--update-config", json.dumps(update)]
    return command


def _run(command: Sequence[str], tell: Callable[[str], None]) -> None:
    try:
        ended = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=_SECONDS, check=False
        )
    except OSError as error:
        raise EdgetallyError(f"{command[0]}: {error.strerror}; is it yours to run?") from None
    except subprocess.TimeoutExpired:
        raise EdgetallyError(f"{command[0]} does not end after {_SECONDS:.0f} s") from None
    for line in (ended.stdout + ended.stderr * (not ended.returncode)).splitlines():
        tell(line)
    if ended.returncode:
        reason = " ".join(ended.stderr.split()[-40:]) or f"exit status {ended.returncode}"
        raise EdgetallyError(
            f"{command[0]} refuses the deployment: {shortened(reason)}; try it with sudo, and see "
            "the nucleus's log"
        )
