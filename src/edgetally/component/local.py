"""Deploy built components on this core device, by the command line of its nucleus."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

from edgetally.component.configuring import merged
from edgetally.component.default_configuration import absent_by_default
from edgetally.component.lite_job import HOW_TO_LOOK, LiteJob
from edgetally.component.names import FILLED_IN, NUCLEUS
from edgetally.component.nucleus_lite import compact, fitting
from edgetally.component.open_to_all import make_folder, open_file, writing
from edgetally.errors import EdgetallyError, InputError
from edgetally.shortened import shortened

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from edgetally.component.built import BuiltComponent

_JAVA = ("greengrass-cli", "/greengrass/v2/bin/greengrass-cli")
_LITE = ("ggl-cli", "/usr/local/bin/ggl-cli")
_EACH = ((_JAVA[0], False), (_LITE[0], True))  # and whether it is lite's
_CONFIGURATION, _DEFAULT = "ComponentConfiguration", "DefaultConfiguration"
_SECONDS = 900.0  # an installation from a package index takes minutes
# Whichever the device has; a version would keep later deployments from another one.
_ANY_NUCLEUS = "^2.0.0"


def deploy_here(
    components: Sequence[BuiltComponent],
    merge: Mapping[str, Mapping[str, Any]],
    tell: Callable[[str], None],
    *,
    wait: float | None = None,
    dry_run: bool = False,
) -> None:
    """Deploy to the nucleus of this machine: Java's by greengrass-cli, lite's by ggl-cli.

    merge: configuration by component. wait: seconds in which lite may come to an end; None: it is
    not waited for. dry_run: tell the command alone; where there is neither, both. Raises
    InputError where there is neither, EdgetallyError where it refuses.
    """
    program = _program()
    if dry_run:
        if program is None:
            tell("# neither greengrass-cli nor ggl-cli is here; on a core device, one of:")
        for name, is_lite in _EACH if program is None else (program,):
            tell(shlex.join(_command(name, is_lite, components, merge)))
        return
    if program is None:
        raise InputError(
            "neither greengrass-cli nor ggl-cli is here; run it on a core device (for the Java "
            "nucleus, deploy aws.greengrass.Cli to it first)"
        )
    name, is_lite = program
    job = LiteJob() if is_lite and wait is not None else None
    _run(_command(name, is_lite, components, merge), tell)
    if job is not None and wait is not None:
        job.follow(tell, timeout=wait)
    elif is_lite:
        tell(HOW_TO_LOOK)


def _program() -> tuple[str, bool] | None:
    """Return the command line of this machine's nucleus, and whether that is lite."""
    for names, is_lite in ((_JAVA, False), (_LITE, True)):
        for name in names:
            if found := shutil.which(name):
                return found, is_lite
    return None


def _command(
    program: str,
    is_lite: bool,
    components: Sequence[BuiltComponent],
    merge: Mapping[str, Mapping[str, Any]],
) -> list[str]:
    if is_lite:
        recipes = [_lite_recipe(component, merge.get(component.name)) for component in components]
        return _lite_command(program, _folder("lite", components, recipes), components)
    recipes = [component.recipe for component in components]
    return _java_command(program, _folder("java", components, recipes), components, merge)


def _lite_recipe(component: BuiltComponent, change: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """Return the recipe for a nucleus that takes no configuration beside a local deployment.

    Its defaults come over what an earlier local deployment has brought. So they are the whole
    configuration, with null for what it does not have; and where none is given, a component that
    is here already keeps its own.
    """
    recipe = {key: each for key, each in component.recipe.items() if key != _CONFIGURATION}
    if change is None:
        return recipe if _is_here(component.name) else component.recipe
    whole = merged(merged(absent_by_default(), component.default_configuration), change)
    fitted = fitting(whole, len(compact({**recipe, _CONFIGURATION: {_DEFAULT: {}}}).encode()))
    return {**recipe, _CONFIGURATION: {_DEFAULT: fitted}}


def _is_here(name: str) -> bool:
    """Whether lite runs a component: each has a unit of systemd."""
    try:
        found = subprocess.run(
            ["systemctl", "cat", f"ggl.{name}.service"],  # noqa: S607 - wherever it is
            capture_output=True,
            check=False,
        )
    except OSError:
        return False
    return found.returncode == 0


def _folder(
    nucleus: str, components: Sequence[BuiltComponent], recipes: Sequence[Mapping[str, Any]]
) -> Path:
    """Make a folder of recipes, named as the nuclei look for them, beside the build's.

    It stays: a nucleus reads it after its command line has ended.
    """
    folder = components[0].recipes.parent / "local" / nucleus
    shutil.rmtree(folder, ignore_errors=True)
    make_folder(folder)
    for component, recipe in zip(components, recipes, strict=True):
        path = folder / f"{component.name}-{component.version}.json"
        with writing(path):
            path.write_text(compact(recipe), encoding="utf-8")
            open_file(path)
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
    """Return the command line; the nucleus is deployed along, as it runs, to be told something.

    It takes a configuration of components alone that are deployed (its KernelConfigResolver).
    """
    command = [program, "deployment", "create", "--recipeDir", str(folder)]
    command += ["--artifactDir", str(components[0].artifacts.resolve())]
    for component in components:
        command += ["--merge", f"{component.name}={component.version}"]
    command += ["--merge", f"{NUCLEUS}={_ANY_NUCLEUS}"]
    update = {name: {"MERGE": change} for name, change in {**merge, NUCLEUS: FILLED_IN}.items()}
    return [*command, "--update-config", json.dumps(update)]


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
