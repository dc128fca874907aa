"""`edgetally component publish | deploy | local`: built components, on their way to devices."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Optional

import typer

from edgetally.component.built import BuiltComponent, built_components
from edgetally.component.calls import Calls, PrintedCalls, RealCalls
from edgetally.component.configuring import configuration_update
from edgetally.component.deploying import Deployment, Target
from edgetally.component.deploying import deploy as create_deployment
from edgetally.component.local import deploy_here
from edgetally.component.names import COUNTER, NUCLEUS
from edgetally.component.publishing import publish as publish_components
from edgetally.component.version import checked_name, checked_version
from edgetally.component.watching import watch
from edgetally.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

BuildOption = Annotated[
    Path, typer.Option("--build", help="Folder that edgetally component build made.")
]
ConfigOption = Annotated[
    Optional[Path],  # noqa: UP045 - typer reads it at run time on Python 3.10
    typer.Option(
        "--config", "-c", help="Configuration of the counter in YAML, on top of the recipe's."
    ),
]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Print what would be called, and call nothing.")
]
_BUILD = Path("greengrass-component/build")
_LITE_SECONDS = 1300.0  # lite itself waits up to 300 for each component's installation and start


def publish(
    bucket: Annotated[str, typer.Option(help="S3 bucket that the devices may read.")],
    build: BuildOption = _BUILD,
    component: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(help="Name of one to publish; may be repeated. Default: all of the build."),
    ] = None,
    dry_run: DryRunOption = False,
) -> None:
    """Upload a build's artifacts to S3 and create its component versions.

    Example: edgetally component publish --bucket my-components
    """
    publish_components(_chosen(build, component), bucket, _calls(dry_run), typer.echo)


def deploy(
    thing: Annotated[Optional[str], typer.Option(help="Core device to deploy to.")] = None,  # noqa: UP045
    group: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="Thing group of core devices to deploy to."),
    ] = None,
    config: ConfigOption = None,
    build: BuildOption = _BUILD,
    component: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(
            help="NAME or NAME=VERSION to deploy; may be repeated. Default: all of the build."
        ),
    ] = None,
    java_nucleus: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            help="Version of the Java nucleus on the devices, which is then told to fill in the "
            "thing's name in our policies; needed once for each target. Without it, --config "
            "must be small enough for nucleus lite.",
            metavar="VERSION",
        ),
    ] = None,
    on_failure: Annotated[
        Optional[Literal["rollback", "do-nothing"]],  # noqa: UP045
        typer.Option(
            help="What a device does where the deployment fails on it. Default: what the target's "
            "latest deployment says, else rollback."
        ),
    ] = None,
    from_defaults: Annotated[
        bool,
        typer.Option(
            "--from-defaults",
            help="Begin from the recipe's configuration; else --config is merged into what each "
            "device has.",
        ),
    ] = False,
    timeout: Annotated[float, typer.Option(help="Seconds to wait for the devices.", min=0)] = 900.0,
    wait: Annotated[
        bool, typer.Option("--wait/--no-wait", help="Show each device's progress to the end.")
    ] = True,
    dry_run: DryRunOption = False,
) -> None:
    """Deploy published components to a thing or a thing group, and watch the devices take them.

    Example: edgetally component deploy --group docks --config docks.yaml
    """
    if (thing is None) == (group is None):
        raise InputError("give either --thing or --group, and not both")
    if from_defaults and config is None:
        raise InputError("--from-defaults goes with --config; give the configuration")
    target = Target("thing", thing) if thing is not None else Target("group", group or "")
    built = built_components(build)
    versions = _versions(built, component)
    if java_nucleus is not None:
        versions[NUCLEUS] = checked_version(java_nucleus, "--java-nucleus")
    merge = _merge(config, built)
    if merge and COUNTER not in versions:
        raise InputError(f"--config is of {COUNTER}, which is not deployed; add --component")
    calls = _calls(dry_run)
    deployment = Deployment(versions, merge, from_defaults, on_failure)
    number, arn = create_deployment(deployment, target, calls)
    if dry_run:
        return
    typer.echo(f"deployment {number} to {target}")
    if wait:
        watch(number, target, arn, calls, typer.echo, timeout=timeout)


def local(
    config: ConfigOption = None,
    build: BuildOption = _BUILD,
    component: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(help="Name of one to deploy; may be repeated. Default: all of the build."),
    ] = None,
    timeout: Annotated[
        float, typer.Option(help="Seconds to wait for nucleus lite.", min=0)
    ] = _LITE_SECONDS,
    wait: Annotated[
        bool, typer.Option("--wait/--no-wait", help="Show how nucleus lite takes it, to the end.")
    ] = True,
    dry_run: DryRunOption = False,
) -> None:
    """Deploy a build on this core device itself, without the cloud.

    Example: sudo edgetally component local --config dock.yaml
    """
    merge = _merge(config, built_components(build))
    chosen, patience = _chosen(build, component), timeout if wait else None
    deploy_here(chosen, merge, typer.echo, wait=patience, dry_run=dry_run)


def _calls(dry_run: bool) -> Calls:
    return PrintedCalls(typer.echo) if dry_run else RealCalls()


def _chosen(build: Path, names: list[str] | None) -> list[BuiltComponent]:
    built = built_components(build)
    return [_known(built, name) for name in names] if names else list(built.values())


def _versions(built: Mapping[str, BuiltComponent], names: list[str] | None) -> dict[str, str]:
    versions = {}
    for each in names or built:
        name, given, version = each.partition("=")
        if given:
            versions[checked_name(name)] = checked_version(version, "--component NAME=")
        else:
            versions[name] = _known(built, name).version
    return versions


def _known(built: Mapping[str, BuiltComponent], name: str) -> BuiltComponent:
    if name not in built:
        raise InputError(f"the build has no component {name!r}; it has {', '.join(built)}")
    return built[name]


def _merge(
    config: Path | None, built: Mapping[str, BuiltComponent]
) -> dict[str, Mapping[str, Any]]:
    if config is None:
        return {}
    default = _known(built, COUNTER).default_configuration
    return {COUNTER: configuration_update(config, default)}
