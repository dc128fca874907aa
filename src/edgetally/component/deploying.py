"""Deploy components to a thing or a thing group, and watch each device take them."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from edgetally.component.names import FILLED_IN, NUCLEUS
from edgetally.errors import EdgetallyError, InputError
from edgetally.shortened import listed, shortened

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from edgetally.component.calls import Calls

FailurePolicy = Literal["rollback", "do-nothing"]

_PAUSE = 5.0  # seconds
_WELL = {"SUCCEEDED", "COMPLETED"}
_ILL = {"FAILED", "TIMED_OUT", "CANCELED", "REJECTED"}
_WAITING = "QUEUED"  # also of a device that has not reported yet
_VALIDATION_SECONDS = 30
_NAME = "edgetally"
# What a deployment is told beside its components, by CreateDeployment's and GetDeployment's names.
_KEPT = ("deploymentName", "iotJobConfiguration", "deploymentPolicies", "parentTargetArn", "tags")


@dataclass(frozen=True)
class Deployment:
    """What to deploy. versions: of each component, by name; merge: configuration, by component.

    from_defaults: whether the configuration begins anew from the recipe's; else it is merged
    into what each device has. on_failure: None for what the target's latest deployment says,
    else rollback.
    """

    versions: Mapping[str, str]
    merge: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    from_defaults: bool = False
    on_failure: FailurePolicy | None = None


@dataclass(frozen=True)
class Target:
    """A core device, or a group of them."""

    kind: Literal["thing", "group"]
    name: str

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
    its components, policies, rollout and tags are taken over.
    """
    arn = target.arn(calls)
    about = f"deployment to {target}"
    latest = _latest(arn, about, calls)
    components = dict(latest.get("components", {}))
    for name, version in deployment.versions.items():
        components[name] = _component(
            version, components.get(name, {}), deployment.merge.get(name), deployment
        )
    if NUCLEUS in components:
        components[NUCLEUS] = _with_names_filled_in(components[NUCLEUS])
    created = calls.make(
        "greengrassv2",
        "create_deployment",
        about,
        targetArn=arn,
        components=components,
        **_beside_components(latest, deployment.on_failure),
    )
    return str(created.get("deploymentId", "<deployment>")), arn


def watch(
    deployment_id: str,
    target: Target,
    arn: str,
    calls: Calls,
    tell: Callable[[str], None],
    *,
    timeout: float,
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
) -> None:
    """Tell each device's progress until all have taken the deployment.

    Raises EdgetallyError where a device fails, naming each and why, and where some have not
    finished after `timeout` seconds.
    """
    ends, told = clock() + timeout, dict[str, str]()
    while True:
        states = {name: _state(name, deployment_id, calls) for name in _devices(target, arn, calls)}
        for name, (status, reason) in states.items():
            line = f"{name}: {status.lower().replace('_', ' ')}"
            if told.get(name) != line:
                tell(line + (f" ({reason})" if reason and status in _ILL else ""))
                told[name] = line
        open_ = [name for name, (status, _) in states.items() if status not in _WELL | _ILL]
        if states and not open_:
            break
        if clock() >= ends:
            raise EdgetallyError(_unfinished(target, open_, timeout))
        pause(_PAUSE)
    failed = [
        f"{name} ({reason or status})"
        for name, (status, reason) in states.items()
        if status in _ILL
    ]
    if failed:
        raise EdgetallyError(
            f"deployment {deployment_id} failed on {len(failed)} of {len(states)} devices: "
            f"{listed(failed, 5)}; see the component's log there"
        )


def _unfinished(target: Target, open_: list[str], timeout: float) -> str:
    if not open_:
        return f"{target} has no core device; add one to it, the deployment waits for it"
    return (
        f"after {timeout:.0f} s these have not finished: {listed(open_)}; they go on as soon as "
        "they are connected"
    )


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


def _component(
    version: str,
    before: Mapping[str, Any],
    merge: Mapping[str, Any] | None,
    deployment: Deployment,
) -> dict[str, Any]:
    """Return what a deployment says of a component; without a new configuration it stays."""
    component: dict[str, Any] = {**before, "componentVersion": version}
    if merge is not None:
        update: dict[str, Any] = {"merge": json.dumps(merge)}
        if deployment.from_defaults:
            update["reset"] = [""]  # a JSON pointer to the whole
        component["configurationUpdate"] = update
    return component


def _with_names_filled_in(nucleus: Mapping[str, Any]) -> dict[str, Any]:
    update = dict(nucleus.get("configurationUpdate", {}))
    merge = json.loads(update.get("merge") or "{}")
    update["merge"] = json.dumps({**merge, **FILLED_IN})
    return {**nucleus, "configurationUpdate": update}


def _devices(target: Target, arn: str, calls: Calls) -> list[str]:
    if target.kind == "thing":
        return [target.name]
    pages = _pages(calls, "list_core_devices", str(target), thingGroupArn=arn)
    return [each["coreDeviceThingName"] for page in pages for each in page.get("coreDevices", ())]


def _state(device: str, deployment_id: str, calls: Calls) -> tuple[str, str]:
    """Return a device's status in this deployment, and why where it has a reason."""
    pages = _pages(
        calls, "list_effective_deployments", f"core device {device}", coreDeviceThingName=device
    )
    try:
        for each in (found for page in pages for found in page.get("effectiveDeployments", ())):
            if each.get("deploymentId") == deployment_id:
                details = each.get("statusDetails", {}).get("errorTypes", [])
                reason = "; ".join(filter(None, [each.get("reason", ""), ", ".join(details)]))
                return str(each["coreDeviceExecutionStatus"]), shortened(reason)
    except InputError as error:
        if "does not exist" in str(error):
            raise InputError(
                f"thing {device} is no core device yet; install Greengrass on it, or wait until "
                "it has connected once"
            ) from None
        raise
    return _WAITING, ""


def _pages(
    calls: Calls, operation: str, about: str, **parameters: str
) -> Iterator[Mapping[str, Any]]:
    """Yield each page of what Greengrass lists, asked for as it is needed."""
    token: dict[str, str] = {}
    while True:
        page = calls.make("greengrassv2", operation, about, **parameters, **token)
        yield page
        if not page.get("nextToken"):
            return
        token = {"nextToken": page["nextToken"]}
