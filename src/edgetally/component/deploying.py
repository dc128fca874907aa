"""Deploy components to a thing or a thing group."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from edgetally.aws import AwsError
from edgetally.component.configuring import merged
from edgetally.component.names import FILLED_IN, NUCLEUS
from edgetally.component.nucleus_lite import fitting
from edgetally.config.camera_parts import CAMERAS, PARTS
from edgetally.errors import InputError
from edgetally.shortened import shortened

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edgetally.component.calls import Calls

FailurePolicy = Literal["rollback", "do-nothing"]

_VALIDATION_SECONDS = 30
_NAME = "edgetally"
_TARGET_NAME = re.compile(r"[A-Za-z0-9:_-]{1,128}")  # DescribeThing's and DescribeThingGroup's
_UNPUBLISHED = re.compile(r"component.*n[o']t (be )?(found|find|exist)", re.IGNORECASE)
# What a deployment is told beside its components, by CreateDeployment's and GetDeployment's names.
_KEPT = ("deploymentName", "iotJobConfiguration", "deploymentPolicies", "parentTargetArn", "tags")


@dataclass(frozen=True)
class Deployment:
    """What to deploy. versions: of each component, by name; merge: configuration, by component.

    from_defaults: whether the configuration begins anew from the recipe's; else it is merged into
    what each device has, and what the target's latest deployment merges. on_failure: None for what
    the target's latest deployment says, else rollback.
    """

    versions: Mapping[str, str]
    merge: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    from_defaults: bool = False
    on_failure: FailurePolicy | None = None


@dataclass(frozen=True)
class Target:
    """A core device, or a group of them. InputError where the name can be none."""

    kind: Literal["thing", "group"]
    name: str

    def __post_init__(self) -> None:
        if not _TARGET_NAME.fullmatch(self.name):
            raise InputError(
                f"--{self.kind} {shortened(repr(self.name))} is no name in AWS IoT; give 1 to 128 "
                "letters, digits, and : _ -"
            )

    def arn(self, calls: Calls) -> str:
        """Return its ARN; InputError where it does not exist."""
        if self.kind == "thing":
            operation, parameters, key = "describe_thing", {"thingName": self.name}, "thingArn"
        else:
            operation, key = "describe_thing_group", "thingGroupArn"
            parameters = {"thingGroupName": self.name}
        return str(calls.make("iot", operation, str(self), **parameters).get(key, f"<{self}>"))

    def __str__(self) -> str:
        return f"thing {self.name}" if self.kind == "thing" else f"thing group {self.name}"


def deploy(deployment: Deployment, target: Target, calls: Calls) -> tuple[str, str]:
    """Create the deployment; return its id and the target's ARN.

    What else the target's latest deployment says stays: a new one replaces the whole of it, so
    its components, policies, rollout and tags are taken over. Raises InputError where AWS
    refuses it, or nucleus lite would not take its configuration.
    """
    arn = target.arn(calls)
    about = f"deployment to {target}"
    latest = _latest(arn, about, calls)
    components = dict(latest.get("components", {}))
    java = NUCLEUS in {*components, *deployment.versions}
    for name, version in deployment.versions.items():
        before, change = components.get(name, {}), deployment.merge.get(name)
        components[name] = {**before, "componentVersion": version}
        if change is not None:
            components[name]["configurationUpdate"] = _update(
                name, before, change, from_defaults=deployment.from_defaults, for_lite=not java
            )
    if java:
        components[NUCLEUS] = _with_names_filled_in(components[NUCLEUS])
    try:
        created = calls.make(
            "greengrassv2",
            "create_deployment",
            about,
            targetArn=arn,
            components=components,
            **_beside_components(latest, deployment.on_failure),
        )
    except AwsError as error:
        if not _UNPUBLISHED.search(error.what):
            raise
        raise InputError(
            f"{error.what}; publish it first ('edgetally component publish'), or deploy another "
            "version"
        ) from None
    return str(created.get("deploymentId", "<deployment>")), arn


def _latest(arn: str, about: str, calls: Calls) -> Mapping[str, Any]:
    """Return the target's latest deployment; nothing where there is none."""
    found = calls.make(
        "greengrassv2", "list_deployments", about, targetArn=arn, historyFilter="LATEST_ONLY"
    ).get("deployments", [])
    if not found:
        return {}
    return calls.make(
        "greengrassv2", "get_deployment", about, deploymentId=found[0]["deploymentId"]
    )


def _beside_components(
    latest: Mapping[str, Any], on_failure: FailurePolicy | None
) -> dict[str, Any]:
    """Return what the latest deployment says, with what was asked for; ours where it says nothing.

    Tags that begin with "aws:" are AWS's own, and refused.
    """
    kept = {"deploymentName": _NAME, **{key: latest[key] for key in _KEPT if latest.get(key)}}
    tags = {key: tag for key, tag in kept.pop("tags", {}).items() if not key.startswith("aws:")}
    if tags:
        kept["tags"] = tags
    kept["deploymentPolicies"] = {
        "failureHandlingPolicy": "ROLLBACK",
        "configurationValidationPolicy": {"timeoutInSeconds": _VALIDATION_SECONDS},
        **kept.get("deploymentPolicies", {}),
    }
    if on_failure is not None:
        policy = "ROLLBACK" if on_failure == "rollback" else "DO_NOTHING"
        kept["deploymentPolicies"]["failureHandlingPolicy"] = policy
    return kept


def _update(
    name: str,
    before: Mapping[str, Any],
    change: Mapping[str, Any],
    *,
    from_defaults: bool,
    for_lite: bool,
) -> dict[str, Any]:
    """Return what a deployment changes of a component's configuration.

    before: what the target's latest deployment says of the component. What that merges is merged
    again, for the devices that have joined since. Raises InputError where it is no JSON.
    """
    if from_defaults:
        whole = fitting(change) if for_lite else change
        return {"merge": json.dumps(whole), "reset": [""]}  # a JSON pointer to the whole
    earlier = _merge_of(name, before, ", or begin anew with --from-defaults")
    if CAMERAS in change:
        earlier.pop(PARTS, None)  # parts are of the cameras before
    whole = merged(earlier, change)
    if for_lite:
        fitting(change)  # of what is too much by itself nothing else is told
        try:
            whole = fitting(whole)
        except InputError as error:
            raise InputError(
                f"with what the latest deployment merges into {name}, {error}; or begin anew with "
                "--from-defaults"
            ) from None
    return {"merge": json.dumps(whole)}


def _merge_of(name: str, component: Mapping[str, Any], remedy: str = "") -> dict[str, Any]:
    """Return what a deployment merges into a component's configuration."""
    try:
        merge = json.loads(component.get("configurationUpdate", {}).get("merge") or "{}")
    except ValueError:
        merge = None
    if not isinstance(merge, dict):
        raise InputError(
            f"what the target's latest deployment merges into {name} is no JSON object; revise "
            f"that deployment in AWS's console{remedy}"
        )
    return merge


def _with_names_filled_in(nucleus: Mapping[str, Any]) -> dict[str, Any]:
    update = dict(nucleus.get("configurationUpdate", {}))
    update["merge"] = json.dumps({**_merge_of(NUCLEUS, nucleus), **FILLED_IN})
    return {**nucleus, "configurationUpdate": update}
