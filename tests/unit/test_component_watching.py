"""Devices watched while they take a deployment."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from greengrass_cloud import GROUP_ARN, THING_ARN, effective, set_credentials, stubbed_greengrass

from edgetally.component.calls import RealCalls
from edgetally.component.deploying import Target
from edgetally.component.watching import watch
from edgetally.errors import EdgetallyError, InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

GROUP, THING = Target("group", "docks"), Target("thing", "dock-1")
NOTHING: dict[str, Any] = {"effectiveDeployments": []}
STANDS = {"isLatestForTarget": True, "deploymentStatus": "ACTIVE", "creationTimestamp": 10}
TOO_MANY = ("ThrottlingException", 429)
DENIED = ("AccessDeniedException", 403)
NOT_FOUND = ("ResourceNotFoundException", 404)
BORNE = "the deployment goes on, and AWS is asked again"


class Script:
    """What Greengrass answers, in the order in which it must be asked."""

    def __init__(self, stubber: Any) -> None:
        self._stubber = stubber
        self.told: list[str] = []
        self.pauses: list[float] = []

    def answer(self, operation: str, with_: Any, **asked: str) -> Script:
        if isinstance(with_, dict):
            self._stubber.add_response(operation, with_, asked)
        else:
            code, status = with_
            self._stubber.add_client_error(operation, code, "a reason", status)
        return self

    def devices(self, *names: str) -> Script:
        found = {"coreDevices": [{"coreDeviceThingName": name} for name in names]}
        return self.answer("list_core_devices", found, thingGroupArn=GROUP_ARN)

    def device(self, name: str, state: Any) -> Script:
        return self.answer("list_effective_deployments", state, coreDeviceThingName=name)

    def deployment(self, state: Any) -> Script:
        return self.answer("get_deployment", state, deploymentId="mine")

    def latest(self, deployment: str, created: int) -> Script:
        found = {"deploymentId": deployment, "creationTimestamp": created}
        return self.answer(
            "list_deployments",
            {"deployments": [found]},
            targetArn=GROUP_ARN,
            historyFilter="LATEST_ONLY",
        )

    def watch(self, target: Target, timeout: float = 1000.0) -> None:
        """Watch, on a clock that the pauses alone move."""
        watch(
            "mine",
            target,
            GROUP_ARN if target.kind == "group" else THING_ARN,
            RealCalls(),
            self.told.append,
            timeout=timeout,
            clock=lambda: sum(self.pauses),
            pause=self.pauses.append,
        )


@pytest.fixture
def greengrass(monkeypatch: pytest.MonkeyPatch) -> Iterator[Script]:
    with stubbed_greengrass(monkeypatch) as stubber:
        yield Script(stubber)


def test_each_device_is_asked_for_until_it_has_ended_and_told_when_it_changes(
    greengrass: Script,
) -> None:
    both = ("dock-1", "dock-2")
    greengrass.devices(*both)
    greengrass.device("dock-1", effective("SUCCEEDED", "another"))
    greengrass.device("dock-2", effective("IN_PROGRESS")).deployment(STANDS)
    greengrass.devices(*both)
    greengrass.device("dock-1", effective("SUCCEEDED"))
    greengrass.device("dock-2", effective("IN_PROGRESS")).deployment(STANDS)
    greengrass.devices(*both).device("dock-2", effective("SUCCEEDED"))
    greengrass.watch(GROUP)
    assert greengrass.told == [
        "dock-1: queued",
        "dock-2: in progress",
        "dock-1: succeeded",
        "dock-2: succeeded",
    ]


def test_a_deployment_is_found_among_many_of_a_device(greengrass: Script) -> None:
    greengrass.device("dock-1", effective("SUCCEEDED", "another") | {"nextToken": "more"})
    greengrass.answer(
        "list_effective_deployments",
        effective("SUCCEEDED"),
        coreDeviceThingName="dock-1",
        nextToken="more",
    )
    greengrass.watch(THING, timeout=0)
    assert greengrass.told == ["dock-1: succeeded"]


def test_a_device_that_fails_is_named_with_its_reason(greengrass: Script) -> None:
    details = {"errorTypes": ["COMPONENT_BROKEN"]}
    greengrass.device("dock-1", effective("FAILED", reason="rolled back", statusDetails=details))
    with pytest.raises(EdgetallyError, match=r"1 of 1 .*dock-1 \(rolled back; COMPONENT_BROKEN\)"):
        greengrass.watch(THING)


def test_what_each_device_that_has_not_finished_waits_for_is_told(greengrass: Script) -> None:
    greengrass.devices("away", "busy", "new", "well")
    greengrass.device("away", NOTHING).device("busy", effective("IN_PROGRESS"))
    greengrass.device("new", NOT_FOUND).device("well", effective("SUCCEEDED"))
    greengrass.deployment(STANDS)
    with pytest.raises(EdgetallyError) as error:
        greengrass.watch(GROUP, timeout=0)
    assert str(error.value) == (
        "after 0 s these have not finished: "
        "away (queued: each goes on as soon as it is connected); "
        "busy (in progress: each goes on, watched or not); "
        "new (no core device yet: install Greengrass there, or wait until it has connected once)"
    )


def test_a_thing_is_waited_for_until_it_is_a_core_device(greengrass: Script) -> None:
    greengrass.device("dock-1", NOT_FOUND).deployment(STANDS)
    greengrass.device("dock-1", effective("SUCCEEDED"))
    greengrass.watch(THING)
    first, last = greengrass.told
    assert first.startswith("dock-1: no core device yet (install Greengrass there, or wait")
    assert last == "dock-1: succeeded"


def test_errors_that_pass_are_told_once_and_asked_again_after_longer_and_longer(
    greengrass: Script,
) -> None:
    greengrass.answer("list_core_devices", ("InternalServerException", 500))
    for _ in range(5):
        greengrass.answer("list_core_devices", TOO_MANY)
    greengrass.devices("dock-1").device("dock-1", effective("IN_PROGRESS")).deployment(TOO_MANY)
    greengrass.devices("dock-1").device("dock-1", effective("IN_PROGRESS")).deployment(STANDS)
    greengrass.devices("dock-1").device("dock-1", effective("SUCCEEDED"))
    greengrass.watch(GROUP)
    assert greengrass.pauses == [10, 20, 40, 60, 60, 60, 60, 5]
    assert greengrass.told == [
        f"thing group docks: AWS answered InternalServerException (HTTP 500); {BORNE}",
        f"thing group docks: AWS answered ThrottlingException (HTTP 429); {BORNE}",
        "dock-1: in progress",
        "dock-1: succeeded",
    ]


def test_one_device_that_is_not_answered_for_keeps_the_others_from_nothing(
    greengrass: Script,
) -> None:
    broken = ("InternalServerException", 500)
    greengrass.devices("dock-1", "dock-2").device("dock-1", broken)
    greengrass.devices("dock-1", "dock-2").device("dock-2", effective("SUCCEEDED"))
    greengrass.device("dock-1", broken)
    with pytest.raises(EdgetallyError) as error:
        greengrass.watch(GROUP, timeout=10)
    assert str(error.value) == (
        "after 10 s these have not finished: dock-1 (not heard of); at last AWS was not heard "
        "(core device dock-1: AWS answered InternalServerException (HTTP 500))"
    )


def test_what_was_never_answered_is_no_group_without_devices(greengrass: Script) -> None:
    greengrass.answer("list_core_devices", TOO_MANY)
    with pytest.raises(EdgetallyError, match=r"after 0 s AWS was still not heard .*need not be"):
        greengrass.watch(GROUP, timeout=0)
    greengrass.devices().deployment(STANDS)
    with pytest.raises(EdgetallyError, match="thing group docks has no core device; add one"):
        greengrass.watch(GROUP, timeout=0)


def test_a_deployment_that_may_not_be_watched_is_told_to_be_made(greengrass: Script) -> None:
    greengrass.device("dock-1", DENIED)
    with pytest.raises(
        InputError,
        match=r"permission greengrass:ListEffectiveDeployments; deployment mine is made and goes "
        "on, and need not be made again",
    ):
        greengrass.watch(THING)


def test_a_deployment_that_was_replaced_is_waited_for_no_longer(greengrass: Script) -> None:
    greengrass.devices("dock-1", "dock-2").device("dock-1", effective("SUCCEEDED"))
    greengrass.device("dock-2", effective("CANCELED"))
    greengrass.deployment(STANDS | {"isLatestForTarget": False}).latest("theirs", 11)
    with pytest.raises(EdgetallyError) as error:
        greengrass.watch(GROUP)
    assert str(error.value) == (
        "deployment mine was replaced by deployment theirs before it was taken by dock-2; each "
        "takes that one"
    )


def test_what_is_listed_late_replaces_nothing(greengrass: Script) -> None:
    greengrass.devices("dock-1").device("dock-1", NOTHING)
    greengrass.deployment(STANDS | {"isLatestForTarget": False}).latest("former", 9)
    greengrass.devices("dock-1").device("dock-1", effective("SUCCEEDED"))
    greengrass.watch(GROUP)


def test_a_later_deployment_of_the_target_that_a_device_has_is_a_sign_too(
    greengrass: Script,
) -> None:
    greengrass.devices("dock-1").device("dock-1", effective("IN_PROGRESS", creationTimestamp=10))
    greengrass.deployment(DENIED)
    greengrass.devices("dock-1")
    greengrass.device("dock-1", effective("IN_PROGRESS", "theirs", creationTimestamp=11))
    with pytest.raises(EdgetallyError, match="mine was replaced by deployment theirs"):
        greengrass.watch(GROUP)


def test_a_deployment_that_was_cancelled_is_waited_for_no_longer(greengrass: Script) -> None:
    greengrass.device("dock-1", NOTHING).deployment(STANDS | {"deploymentStatus": "CANCELED"})
    with pytest.raises(EdgetallyError, match="mine was cancelled before it was taken by dock-1"):
        greengrass.watch(THING)


def test_a_device_of_which_alone_it_was_cancelled_has_failed(greengrass: Script) -> None:
    greengrass.device("dock-1", effective("CANCELED")).deployment(STANDS)
    with pytest.raises(EdgetallyError, match=r"failed on 1 of 1 devices: dock-1 \(CANCELED\)"):
        greengrass.watch(THING)


def test_a_connection_that_breaks_off_is_borne(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("boto3", reason="boto3 is not installed (edgetally[aws])")

    class Greengrass(BaseHTTPRequestHandler):
        asked = 0

        def do_GET(self) -> None:
            Greengrass.asked += 1
            if Greengrass.asked == 1:
                return  # and nothing is answered
            body = json.dumps(effective("SUCCEEDED")).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    told: list[str] = []
    with ThreadingHTTPServer(("127.0.0.1", 0), Greengrass) as server:
        threading.Thread(target=server.serve_forever).start()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
        set_credentials(monkeypatch)
        try:
            calls = RealCalls()
            watch("mine", THING, THING_ARN, calls, told.append, timeout=60, pause=lambda _: None)
        finally:
            server.shutdown()
    first, last = told
    assert first.endswith(f"broke off at 127.0.0.1 (ConnectionClosedError); {BORNE}")
    assert last == "dock-1: succeeded"
