"""Watch the devices of a target take a deployment, whatever AWS answers in between."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

from edgetally.aws import AwsError
from edgetally.component.standing import Standing
from edgetally.errors import EdgetallyError, InputError
from edgetally.shortened import listed, shortened

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from edgetally.component.calls import Calls
    from edgetally.component.deploying import Target
    from edgetally.component.standing import Ending

_PAUSE = 5.0  # seconds
_LONGEST_PAUSE = 60.0  # seconds, while AWS does not answer
_WELL = {"SUCCEEDED", "COMPLETED"}
_ILL = {"FAILED", "TIMED_OUT", "CANCELED", "REJECTED"}
_CANCELED = "CANCELED"  # also where the whole deployment was, or was replaced
_QUEUED = "QUEUED"  # also of a device that has not reported yet
_NOT_YET = "NO_CORE_DEVICE_YET"  # ours: Greengrass does not know it
_UNKNOWN = "NOT_HEARD_OF"  # ours: AWS has not answered yet
_WHAT_NEXT = {
    _QUEUED: "each goes on as soon as it is connected",
    "IN_PROGRESS": "each goes on, watched or not",
    _NOT_YET: "install Greengrass there, or wait until it has connected once",
}


class _State(NamedTuple):
    status: str
    reason: str = ""


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

    An error that passes, such as too many requests or a network that is away, is told and borne.

    Raises EdgetallyError where a device fails, naming each and why, where some have not finished
    after `timeout` seconds, and where the deployment was replaced or cancelled meanwhile;
    InputError where AWS may not be asked.
    """
    ends, wait = clock() + timeout, _PAUSE
    devices = _Devices(deployment_id, target, arn, calls, tell)
    while True:
        try:
            ended = devices.ask()
        except AwsError as error:
            if not error.passing:
                raise InputError(f"{error}; {_goes_on(deployment_id)}") from None
            devices.bear(error)
            wait = min(2 * wait, _LONGEST_PAUSE)
        else:
            if ended:
                break
            wait = _PAUSE
        if (left := ends - clock()) <= 0:
            raise EdgetallyError(devices.unfinished(timeout))
        pause(min(wait, left))
    if failed := devices.failed:
        raise EdgetallyError(
            f"deployment {deployment_id} failed on {len(failed)} of {len(devices.names)} devices: "
            f"{listed(failed, 5)}; see the component's log there"
        )


class _Devices:
    """The devices of a target, as far as they have been heard of. names: of all."""

    def __init__(
        self,
        deployment_id: str,
        target: Target,
        arn: str,
        calls: Calls,
        tell: Callable[[str], None],
    ) -> None:
        self.names: list[str] = []
        self._id = deployment_id
        self._target = target
        self._arn = arn
        self._calls = calls
        self._tell = tell
        self._standing = Standing(deployment_id, arn, calls)
        self._states: dict[str, _State] = {}
        self._unanswered: Counter[str] = Counter()
        self._trouble = ""
        self._told: set[str] = set()

    def ask(self) -> bool:
        """Ask about each that has not ended; return whether all have.

        Raises AwsError, and EdgetallyError where the deployment was replaced or cancelled.
        """
        self.names = self._listed()
        # Those that AWS did not answer for come last, so that the others are heard of.
        for name in sorted(self._open, key=self._unanswered.__getitem__):
            try:
                state = self._asked(name)
            except AwsError:
                self._unanswered[name] += 1
                raise
            self._hear(name, state)
        if self._untaken or not self.names:
            self._check(self._standing.ending())
        self._trouble = ""
        return bool(self.names) and not self._open

    def bear(self, error: AwsError) -> None:
        """Note that AWS did not answer; each kind of that is told once."""
        self._trouble = error.what
        if error.code not in self._told:
            self._told.add(error.code)
            self._tell(f"{error.what}; the deployment goes on, and AWS is asked again")

    @property
    def failed(self) -> list[str]:
        """The devices that failed, each with why."""
        states = {name: self._state(name) for name in self.names}
        return [
            f"{name} ({state.reason or state.status})"
            for name, state in states.items()
            if state.status in _ILL
        ]

    def unfinished(self, timeout: float) -> str:
        """Say what has not ended after a time, and what comes of it."""
        if not self.names and not self._trouble:
            return f"{self._target} has no core device; add one to it, the deployment waits for it"
        after = f"after {timeout:.0f} s"
        if not self._open:  # nor has AWS said that there is none
            return f"{after} AWS was still not heard ({self._trouble}); {_goes_on(self._id)}"
        alike: dict[str, list[str]] = {}
        for name in self._open:
            alike.setdefault(self._state(name).status, []).append(name)
        parts = [
            f"{listed(names)} ({': '.join(filter(None, [_plain(status), _WHAT_NEXT.get(status)]))})"
            for status, names in alike.items()
        ]
        last = f"; at last AWS was not heard ({self._trouble})" if self._trouble else ""
        return f"{after} these have not finished: {'; '.join(parts)}{last}"

    @property
    def _open(self) -> list[str]:
        return [name for name in self.names if self._state(name).status not in _WELL | _ILL]

    @property
    def _untaken(self) -> list[str]:
        """Those that have not taken it, and have not failed at it."""
        canceled = [name for name in self.names if self._state(name).status == _CANCELED]
        return self._open + canceled

    def _state(self, name: str) -> _State:
        return self._states.get(name, _State(_UNKNOWN))

    def _hear(self, name: str, state: _State) -> None:
        if self._state(name).status != state.status:
            why = state.reason if state.status in _ILL else ""
            if state.status == _NOT_YET:
                why = _WHAT_NEXT[_NOT_YET]
            self._tell(f"{name}: {_plain(state.status)}" + (f" ({why})" if why else ""))
        self._states[name] = state

    def _listed(self) -> list[str]:
        if self._target.kind == "thing":
            return [self._target.name]
        pages = self._pages("list_core_devices", str(self._target), thingGroupArn=self._arn)
        return [
            each["coreDeviceThingName"] for page in pages for each in page.get("coreDevices", ())
        ]

    def _asked(self, name: str) -> _State:
        about = f"core device {name}"
        pages = self._pages("list_effective_deployments", about, coreDeviceThingName=name)
        try:
            for each in (found for page in pages for found in page.get("effectiveDeployments", ())):
                self._check(self._standing.ending_seen_in(each))
                if each.get("deploymentId") == self._id:
                    details = each.get("statusDetails", {}).get("errorTypes", [])
                    reason = "; ".join(filter(None, [each.get("reason", ""), ", ".join(details)]))
                    return _State(str(each["coreDeviceExecutionStatus"]), shortened(reason))
        except AwsError as error:
            if not error.missing:
                raise
            return _State(_NOT_YET)
        return _State(_QUEUED)

    def _check(self, ending: Ending | None) -> None:
        if ending is not None:
            raise EdgetallyError(
                f"deployment {self._id} {ending.how} before it was taken by "
                f"{listed(self._untaken) or 'any device'}; {ending.remedy}"
            )

    def _pages(self, operation: str, about: str, **parameters: str) -> Iterator[Mapping[str, Any]]:
        """Yield each page of what Greengrass lists, asked for as it is needed."""
        token: dict[str, str] = {}
        while True:
            page = self._calls.make("greengrassv2", operation, about, **parameters, **token)
            yield page
            if not page.get("nextToken"):
                return
            token = {"nextToken": page["nextToken"]}


def _plain(status: str) -> str:
    return status.lower().replace("_", " ")


def _goes_on(deployment_id: str) -> str:
    return f"deployment {deployment_id} is made and goes on, and need not be made again"
