"""The service as a component of a nucleus: the stand-in, over its real socket."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import sqlite3
import stat
import subprocess
import threading
import time
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from mosquitto_broker import wait_until
from network_camera import network_camera
from nucleus_component import NAME, link_to, recipe
from test_cli_run import RUN
from test_service_engine import ScriptedEngine, answer
from test_service_reconfigured import DOOR, camera

from edgetally.component.nucleus_lite import fitting
from edgetally.config.camera_parts import in_parts
from edgetally.errors import EdgetallyError
from edgetally.nucleus import JAVA, LITE, Kind, Nucleus, Patience
from edgetally.service.under_nucleus import UnderNucleus

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from edgetally.bundle import ModelBundle
    from edgetally.engines import RawPredictions

HEALTH = "edgetally/dock-1/health"


class Told:
    """What a component told its nucleus."""

    def __init__(self, nucleus: Nucleus) -> None:
        self.nucleus = nucleus
        self._begin = len(nucleus.published)

    def newest(self, topic: str = HEALTH) -> dict[str, Any]:
        """Return the latest message on a topic; {} where there is none."""
        published = self.nucleus.published[self._begin :]
        bodies = [each.payload for each in published if each.topic == topic]
        return dict(json.loads(bodies[-1])) if bodies else {}

    def tells(self, state: str, reason: str | None = None) -> None:
        """Wait for a health message that says so."""

        def is_told() -> bool:
            told = self.newest()
            found = told.get("stateReason")
            fits = found is None if reason is None else reason in (found or "")
            return told.get("state") == state and fits

        wait_until(is_told, f"{state} ({reason}) is not told, but {self.newest()}", 60)

    def count(self, state: str) -> int:
        """Return how many health messages said so."""
        bodies = [each.payload for each in self.nucleus.published if each.topic == HEALTH]
        return sum(json.loads(body)["state"] == state for body in bodies)

    def is_told_to_be(self, *states: str) -> None:
        """Wait for all the states that the component told the nucleus."""
        wait_until(lambda: self._states() == states, f"not {states}, but {self._states()}", 30)

    def _states(self) -> tuple[str, ...]:
        told = tuple(state for name, state in self.nucleus.states if name == NAME)
        return tuple(state for state in told if state in {"RUNNING", "ERRORED"})


class Device(Told):
    """A nucleus, and the component on it."""

    def __init__(self, nucleus: Nucleus, folder: Path) -> None:
        super().__init__(nucleus)
        self.component = UnderNucleus(link_to(nucleus), thing="dock-1", folder=folder)
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.error: EdgetallyError | None = None

    def _run(self) -> None:
        try:
            self.component.run()
        except EdgetallyError as error:
            self.error = error


@contextmanager
def process(nucleus: Nucleus, folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], Told]]:
    """Run the component in a process of its own; who has not ended it by then has it killed."""
    told = Told(nucleus)
    environment = os.environ | {
        "SVCUID": nucleus.token_for(NAME),
        "AWS_GG_NUCLEUS_DOMAIN_SOCKET_FILEPATH_FOR_COMPONENT": str(nucleus.socket),
        "AWS_IOT_THING_NAME": "dock-1",
    }
    with subprocess.Popen([*RUN, "--greengrass"], cwd=folder, env=environment) as started:
        try:
            yield started, told
        finally:
            started.kill()


@contextmanager
def running(
    folder: Path,
    configuration: dict[str, Any],
    kind: Kind = LITE,
    kept_in: Path | None = None,
) -> Iterator[Device]:
    configuration = {
        "publish": {"transports": [{"type": "greengrass", "iotCore": "false"}]},
        "storage": {"path": str(folder / "state")},
    } | configuration
    with Nucleus(folder / "nucleus", [recipe(configuration)], kind=kind) as nucleus:
        device = Device(nucleus, kept_in or folder / "state")
        device.thread.start()
        try:
            yield device
        finally:
            device.component.stop()
            device.thread.join(10)
        assert not device.thread.is_alive()
        assert device.error is None


def model(bundle: ModelBundle, **changes: Any) -> dict[str, Any]:
    return {"path": str(bundle.file("onnx").parent), "tuning": "null"} | changes


def test_it_waits_for_cameras_and_takes_them_as_text(bundle: ModelBundle, tmp_path: Path) -> None:
    with running(tmp_path, {"model": model(bundle), "cameras": []}) as device:
        device.tells("starting", "no cameras configured")
        device.nucleus.configure(NAME, {"cameras": [camera("dock", fps="4", watch="false")]})
        device.tells("running")
        device.is_told_to_be("RUNNING")
        assert set(device.newest()["cameras"]) == {"dock"}


def test_cameras_come_as_a_list_or_in_parts_as_often_as_they_change(
    bundle: ModelBundle, tmp_path: Path
) -> None:
    cameras = [camera(f"dock-{number}", lines=[DOOR]) for number in range(12)]
    many = fitting({"cameras": cameras})
    assert "cameraParts" in many
    with running(tmp_path, {"model": model(bundle), **many}) as device:

        def has(count: int) -> None:
            names = {each["name"] for each in cameras[:count]}
            wait_until(
                lambda: set(device.newest().get("cameras", {})) == names,
                f"not {names}, but {device.newest()}",
                60,
            )

        has(12)
        device.nucleus.configure(NAME, {"cameras": cameras[:1]})
        has(1)
        device.nucleus.configure(NAME, many)
        has(12)
        device.nucleus.configure(NAME, {"cameras": json.dumps(cameras[:2])})
        has(2)


def test_a_change_is_taken_live_and_a_wrong_one_refused_with_the_reason(
    bundle: ModelBundle, tmp_path: Path
) -> None:
    with running(tmp_path, {"model": model(bundle), "cameras": [camera("dock")]}) as device:
        device.tells("running")
        device.nucleus.configure(NAME, {"cameras": [camera("dock", lines=[DOOR])]})
        inventory = "edgetally/dock-1/inventory"
        wait_until(
            lambda: device.newest(inventory)["cameras"]["dock"]["lines"].keys() == {"door"},
            "the line is not counted",
            30,
        )
        device.nucleus.configure(NAME, {"requests": {"maxRate": "fast"}})
        device.tells("running", "configuration of the component: requests.maxRate: expected a")
        device.nucleus.configure(NAME, {"requests": {"maxRate": "9"}})
        device.tells("running")
        device.is_told_to_be("RUNNING")


def test_a_wrong_configuration_from_the_start_is_told_and_waited_out(
    bundle: ModelBundle, tmp_path: Path
) -> None:
    with running(tmp_path, {"cameras": [camera("dock")]}) as device:
        device.tells("starting", "configuration of the component: model is missing; add it")
        device.is_told_to_be("ERRORED")
        device.nucleus.configure(NAME, {"model": model(bundle)})
        device.tells("running")
        device.is_told_to_be("ERRORED", "RUNNING")


def test_a_model_that_is_still_to_come_is_waited_for(bundle: ModelBundle, tmp_path: Path) -> None:
    wrong = {"path": str(tmp_path / "current")}
    with running(tmp_path, {"model": wrong, "cameras": [camera("dock")]}) as device:
        device.tells("starting", "current")
        device.nucleus.configure(NAME, {"model": model(bundle)})
        device.tells("running")
        device.is_told_to_be("RUNNING")


def test_an_update_is_validated_before_it_is_deployed(bundle: ModelBundle, tmp_path: Path) -> None:
    content = {"model": model(bundle), "cameras": [camera("dock")]}
    with running(tmp_path, content, JAVA) as device:
        device.tells("running")
        with pytest.raises(EdgetallyError, match=r"requests\.maxRate"):
            device.nucleus.configure(NAME, {"requests": {"maxRate": "fast"}})


def test_it_ends_in_time_while_the_nucleus_is_frozen(bundle: ModelBundle, tmp_path: Path) -> None:
    with running(tmp_path, {"model": model(bundle), "cameras": [camera("dock")]}) as device:
        device.tells("running")
        device.nucleus.freeze()
        began = time.monotonic()
        device.component.stop()
        device.thread.join(10)
        assert time.monotonic() - began < 5
        device.nucleus.thaw()


@pytest.mark.parametrize(("kind", "started"), [(JAVA, 2), (LITE, 1)])
def test_errored_is_told_and_no_nucleus_gives_us_up_for_it(
    tmp_path: Path, kind: Kind, started: int
) -> None:
    """A Java nucleus starts us again each time, and not any more the third time."""
    through = [{"type": "greengrass", "iotCore": False}]
    publish = {"transports": through, "health": {"heartbeat": 0.2}}
    wrong = recipe({"requests": {"maxRate": "fast"}, "publish": publish})
    wrong["Manifests"][0]["Lifecycle"] = {"run": f"exec {shlex.join(map(str, RUN))} --greengrass"}
    patience = Patience(restart=0.01)
    with Nucleus(
        tmp_path / "nucleus", [wrong], thing="dock-1", kind=kind, patience=patience
    ) as nucleus:
        nucleus.deploy()
        told = Told(nucleus)
        for number in range(started):
            wait_until(lambda: told.count("starting") > number, "it does not start", 60)  # noqa: B023
        told.is_told_to_be("ERRORED")
        last = told.count("starting")
        wait_until(lambda: told.count("starting") > last + 5, "it does not go on", 60)
        told.is_told_to_be("ERRORED")
        lines = [line for line in nucleus.record.lines if f"{NAME}: started" in line]
        assert len(lines) == started


def test_an_engine_that_fails_for_good_is_told_and_started_again(
    bundle: ModelBundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second one works; the camera is a stream, which can be opened again."""

    def broken(_: int) -> RawPredictions:
        raise RuntimeError("the device is gone")

    engines = iter([ScriptedEngine(bundle.input_size, broken)])

    def engine(*_: object, **__: object) -> ScriptedEngine:
        return next(engines, None) or ScriptedEngine(bundle.input_size, lambda _: answer())

    monkeypatch.setattr("edgetally.detector.detector.create_engine", engine)
    monkeypatch.setattr("edgetally.service.engine_trouble._LONGEST", 0.0)  # not 30 seconds
    monkeypatch.setattr("edgetally.service.engine_trouble._MOST", 1)  # nor 30 frames
    monkeypatch.setattr("edgetally.service.reviving._FIRST", 0.5)  # not a minute
    with network_camera() as url:
        camera = {"name": "dock", "source": url}
        with running(tmp_path, {"model": model(bundle), "cameras": [camera]}) as device:
            device.tells("running", "the device is gone")
            device.is_told_to_be("ERRORED", "RUNNING")


def ask(device: Device, thing: str, request_id: str) -> None:
    """Ask for a look, and wait for the answer."""
    request = json.dumps({"requestId": request_id, "camera": "dock"}).encode()
    device.nucleus.publish_local(f"edgetally/{thing}/inference/request", request)
    answer = f"edgetally/{thing}/inference/response"
    wait_until(
        lambda: device.newest(answer).get("requestId") == request_id, f"no answer to {request_id}"
    )


def test_requests_are_answered_once_after_the_transports_have_changed(
    bundle: ModelBundle, tmp_path: Path
) -> None:
    with running(
        tmp_path, {"model": model(bundle, scoreThreshold=1), "cameras": [camera("dock")]}
    ) as device:
        device.tells("running")
        ask(device, "dock-1", "first")
        transports = [{"type": "greengrass", "iotCore": "false", "delivery": "accepted"}]
        device.nucleus.configure(NAME, {"publish": {"transports": transports, "thing": "dock-2"}})
        wait_until(lambda: bool(device.newest("edgetally/dock-2/health")), "no health", 20)
        ask(device, "dock-2", "second")
        answers = "edgetally/dock-2/inference/response"
        told = [json.loads(m.payload) for m in device.nucleus.published if m.topic == answers]
        assert [each["requestId"] for each in told] == ["second"]


def test_a_process_ends_with_sigterm_in_time_though_the_nucleus_is_frozen(
    bundle: ModelBundle, tmp_path: Path
) -> None:
    configuration = {
        "model": model(bundle),
        "cameras": [camera("dock")],
        "publish": {"transports": [{"type": "greengrass"}]},
    }
    with (
        Nucleus(tmp_path / "nucleus", [recipe(configuration)]) as nucleus,
        process(nucleus, tmp_path) as (started, _),
    ):
        nucleus.wait(lambda: (NAME, "RUNNING") in nucleus.states, 60)
        nucleus.freeze()
        began = time.monotonic()
        started.send_signal(signal.SIGTERM)
        assert started.wait(10) == 0
        assert time.monotonic() - began < 5
        nucleus.thaw()
    with closing(sqlite3.connect(tmp_path / "state" / "ledger.sqlite")) as base:
        assert base.execute("PRAGMA integrity_check").fetchone() == ("ok",)


CAT = {"cameras": [camera("dock", lines=[DOOR | {"classes": ["cat"]}])]}


@pytest.mark.parametrize(
    ("wrong", "words", "right"),
    [
        (
            {"requests": {"maxRate": "fast"}},
            "requests.maxRate: expected",
            {"requests": {"maxRate": None}},
        ),
        (CAT, "no class 'cat'", {"cameras": [camera("dock")]}),
    ],
)
def test_a_start_with_a_wrong_configuration_counts_with_the_last_good_one(
    bundle: ModelBundle, tmp_path: Path, wrong: dict[str, Any], words: str, right: dict[str, Any]
) -> None:
    """The power fails days after a deployment that was refused, and nobody has looked since."""
    content = {
        "model": model(bundle),
        "cameras": [camera("dock", source="test:160x120")],
        "publish": {"transports": [{"type": "greengrass", "iotCore": False}]},
    }
    kept = tmp_path / "state" / "configuration.json"
    with Nucleus(tmp_path / "nucleus", [recipe(content)]) as nucleus:
        with process(nucleus, tmp_path) as (_, told):
            told.is_told_to_be("RUNNING")
            good = kept.read_text()
            assert stat.S_IMODE(kept.stat().st_mode) == 0o600
            nucleus.configure(NAME, wrong)
            told.tells("running", words)
        with process(nucleus, tmp_path) as (_, told):
            told.tells("running", "; the last good one is in force")
            assert words in told.newest()["stateReason"]
            assert told.newest()["stateReason"].startswith("configuration")
            told.is_told_to_be("RUNNING", "RUNNING")
            assert kept.read_text() == good
            nucleus.configure(NAME, right | {"publish": {"health": {"heartbeat": 7}}})
            told.tells("running")
            wait_until(lambda: '"heartbeat": 7' in kept.read_text(), "it is not kept")


def test_a_configuration_that_can_not_be_read_is_told_and_the_last_good_one_runs(
    bundle: ModelBundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgetally.service.under_nucleus._LONG_UNREAD", 1.0)  # not 15 seconds
    content = {"model": model(bundle), "cameras": [camera("dock")]}
    with running(tmp_path, content) as device:
        device.tells("running")
    huge = in_parts(json.dumps([camera(f"dock-{number}") for number in range(300)]))
    less = {"cameras": [camera("gate")], "cameraParts": dict.fromkeys(huge["cameraParts"], "")}
    kept = tmp_path / "state"
    with running(tmp_path / "huge", content | huge, kept_in=kept) as device:
        device.tells("running", "the configuration can't be read: greengrass fails at GetConf")
        device.nucleus.configure(NAME, less)
        device.tells("running")
        assert set(device.newest()["cameras"]) == {"gate"}
    with running(tmp_path / "new", content | huge) as device:
        device.tells("starting", "the configuration can't be read: greengrass fails at GetConf")


def test_a_last_configuration_that_is_damaged_or_useless_is_as_good_as_none(
    bundle: ModelBundle, tmp_path: Path
) -> None:
    kept = tmp_path / "state" / "configuration.json"
    kept.parent.mkdir()
    wrong = {"model": model(bundle), "cameras": [camera("dock")], "requests": {"maxRate": "fast"}}
    for text in ("{", '{"cameras": 7}'):
        kept.write_text(text)
        with running(tmp_path / str(len(text)), wrong, kept_in=kept.parent) as device:
            device.tells("starting", "requests.maxRate: expected a")
            device.is_told_to_be("ERRORED")
            device.nucleus.configure(NAME, {"requests": {"maxRate": "9"}})
            device.tells("running")


def test_a_configuration_is_taken_and_kept_with_the_model_that_has_its_classes(
    bundle: ModelBundle, tmp_path: Path
) -> None:
    before = bundle.file("onnx").parent
    later = tmp_path / "later"
    shutil.copytree(before, later)
    bundle.model_copy(update={"classes": ("cat", *bundle.classes[1:])}).write(later)
    link = tmp_path / "current"
    link.symlink_to(before)
    at_link = {"path": str(link), "tuning": "null", "canary": {"enabled": False}}
    with running(tmp_path, {"model": at_link, "cameras": [camera("dock")]}) as device:
        device.tells("running")
        device.nucleus.configure(NAME, CAT)
        device.tells("running", "no class 'cat'")
        (tmp_path / "next").symlink_to(later)
        (tmp_path / "next").replace(link)
        device.tells("running")
        kept = tmp_path / "state" / "configuration.json"
        wait_until(lambda: "cat" in kept.read_text(), "it is not kept")


def test_a_model_that_comes_later_is_taken_from_the_last_good_configuration_on(
    bundle: ModelBundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgetally.service.under_nucleus._FIRST_RETRY", 0.3)  # not 10 seconds
    content = {"model": model(bundle), "cameras": [camera("dock")]}
    with running(tmp_path, content) as device:
        device.tells("running")
    later = tmp_path / "later"
    with running(tmp_path, content | {"model": {"path": str(later)}}) as device:
        device.tells("running", "later is not a model bundle")
        later.symlink_to(bundle.file("onnx").parent)
        device.tells("running")
        device.is_told_to_be("RUNNING")


def test_a_camera_that_serves_any_is_no_camera_of_a_device(
    bundle: ModelBundle, tmp_path: Path
) -> None:
    with running(tmp_path, {"model": model(bundle), "cameras": [camera("*")]}) as device:
        device.tells("starting", "a camera named '*' serves edgetally replay alone; give it a name")
