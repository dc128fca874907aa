"""Publish built components: artifacts into S3, recipes into AWS IoT Greengrass."""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING, Any

from edgetally.aws import AwsError
from edgetally.errors import EdgetallyError, InputError
from edgetally.shortened import shortened

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from edgetally.component.built import BuiltComponent
    from edgetally.component.calls import Calls

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")  # S3 User Guide, "Bucket naming rules"
_PAUSE = 2.0  # seconds
_TRIES = 60
_STATE = re.compile(r"with state: \[(\w+)\]")  # in what AWS says of a version that is there


def publish(
    components: Iterable[BuiltComponent],
    bucket: str,
    calls: Calls,
    tell: Callable[[str], None],
    *,
    pause: Callable[[float], None] = time.sleep,
) -> None:
    """Upload the artifacts, create the components' versions, wait until they can be deployed.

    A version is published once: InputError names those that were there already, each with its
    state where it can't be deployed, after the others were published.
    """
    if not _BUCKET.fullmatch(bucket):
        raise InputError(
            f"{bucket!r} is no name of a bucket; give --bucket the name alone, without s3://"
        )
    present, unready = [], []
    for component in components:
        about = f"component {component.name} {component.version}"
        for file in component.files:
            calls.upload(file, bucket, component.key(file))
        recipe = json.dumps(component.with_artifacts_at(bucket), indent=2)
        try:
            created = calls.make(
                "greengrassv2", "create_component_version", about, inlineRecipe=recipe.encode()
            )
        except AwsError as error:
            if error.code != "ConflictException":
                raise
            if (trouble := _trouble(component, error, calls)) is not None:
                unready.append(trouble)
            else:
                present.append(f"{component.name} {component.version}")
            continue
        _wait(created, about, calls, pause)
        if created:
            tell(f"{component.name} {component.version}: published")
    if present:
        unready.append(
            f"{', '.join(present)} is published already, and a version never changes; where it "
            "shall, build it with a higher --version, else publish the others with --component"
        )
    if unready:
        raise InputError("; ".join(unready))


def _trouble(component: BuiltComponent, conflict: AwsError, calls: Calls) -> str | None:
    """Say what is the matter with a version that AWS has already; None where it can be deployed."""
    name = f"{component.name} {component.version}"
    told = _STATE.search(conflict.what)
    arn, status = "", {"componentState": told[1] if told else "DEPLOYABLE"}
    try:
        arn = _arn(component, calls)
        found = calls.make("greengrassv2", "describe_component", f"component {name}", arn=arn)
        status = {**status, **found.get("status", {})}
    except AwsError:
        pass  # what the conflict itself says is enough to act on
    state = status["componentState"]
    if state == "FAILED":
        return f"{name} is there already, and AWS refused it{_reasons(status)}; {_remedy(arn)}"
    if state in {"REQUESTED", "INITIATED"}:
        return (
            f"{name} is there already, and AWS has not read all of it ({state}); publish again in "
            f"some minutes; where it stays so, {_remedy(arn)}"
        )
    return None


def _arn(component: BuiltComponent, calls: Calls) -> str:
    """Return the ARN that AWS gives a component's version in our account."""
    caller = calls.make("sts", "get_caller_identity", f"component {component.name}")
    _, partition, *_ = f"{caller.get('Arn', '')}::".split(":")
    return (
        f"arn:{partition or 'aws'}:greengrass:{calls.region()}:{caller.get('Account', '')}:"
        f"components:{component.name}:versions:{component.version}"
    )


def _remedy(arn: str) -> str:
    command = f" --arn {arn}" if arn else ""
    return (
        f"delete that version ('aws greengrassv2 delete-component{command}', or in AWS's console) "
        "and publish again, or build with another --version"
    )


def _reasons(status: Mapping[str, Any]) -> str:
    """Return why AWS refused a component, as the end of a clause."""
    message = status.get("message", "")
    reasons = ["" if message == "NONE" else message, *status.get("errors", {}).values()]
    said = "; ".join(filter(None, reasons))
    return f": {shortened(said, 500)}" if said else ""


def _wait(
    created: dict[str, Any], about: str, calls: Calls, pause: Callable[[float], None]
) -> None:
    """Wait until AWS has read the artifacts."""
    status = created.get("status", {})
    for _ in range(_TRIES):
        state = status.get("componentState", "DEPLOYABLE")
        if state == "DEPLOYABLE":
            return
        if state == "FAILED":
            raise EdgetallyError(
                f"{about} was refused{_reasons(status)}; mend that, then {_remedy(created['arn'])}"
            )
        pause(_PAUSE)
        status = calls.make("greengrassv2", "describe_component", about, arn=created["arn"]).get(
            "status", {}
        )
    raise EdgetallyError(f"{about} is not ready after {_PAUSE * _TRIES:.0f} s; look again later")
