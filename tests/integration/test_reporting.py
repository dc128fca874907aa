"""What the nucleus itself is told: a shadow and metrics where it has them, and no noise else."""

from __future__ import annotations

import json
import logging
import signal
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from mosquitto_broker import wait_until
from nucleus_component import NAME, link_to, recipe
from test_service_engine import ScriptedEngine
from test_service_reconfigured import DOOR, camera
from test_under_nucleus import model, process, running

from edgetally.component.access_control import access_control
from edgetally.config import parse_config
from edgetally.engines import RawPredictions
from edgetally.errors import EdgetallyError
from edgetally.greengrass import InvalidError, OptionalOperationError
from edgetally.messaging.shadow import shadow_of
from edgetally.nucleus import JAVA, LITE, Nucleus
from edgetally.service import Service
from told import camera_health, health

if TYPE_CHECKING:
    from pathlib import Path

    from edgetally.bundle import ModelBundle

TAKES_METRICS = replace(JAVA, metrics_of_all=True)
ALL = recipe()["ComponentConfiguration"]["DefaultConfiguration"]["accessControl"]
RECOUNT = {"requestId": "r-1", "site": "site", "class": "blue box", "count": 40, "author": "ann"}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgetally.service.device_shadow._PACE", 0.2)  # not 5 seconds


def content(bundle: ModelBundle, *cameras: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {
        "model": model(bundle, scoreThreshold=1),
        "cameras": list(cameras or [camera("dock", lines=[DOOR])]),
        "publish": {
            "transports": [{"type": "greengrass", "iotCore": "false"}],
            "health": {"heartbeat": 0.3},
        },
    } | changes


def test_a_service_that_does_not_open_leaves_nothing_at_the_link(
    bundle: ModelBundle, tmp_path: Path
) -> None:
    """It is tried again and again, for weeks perhaps, over one link."""
    wrong = content(bundle, camera("dock", lines=[DOOR | {"classes": ["nothing"]}]))
    wrong["model"].pop("tuning")
    config = parse_config(wrong | {"storage": {"path": str(tmp_path / "state")}}, "test")
    with Nucleus(tmp_path / "nucleus", [recipe()]) as nucleus:
        link = link_to(nucleus)
        before = list(link._ready)
        with pytest.raises(EdgetallyError, match="no class 'nothing'"):
            Service(config, link=link).run()
        assert link._ready == before


def reported(nucleus: Nucleus, thing: str = "dock-1") -> dict[str, Any]:
    found = nucleus.shadow("edgetally", thing)
    return {} if found is None else dict(found["state"]["reported"])


def shows(nucleus: Nucleus, timeout: float = 30, **wanted: Any) -> None:
    wait_until(
        lambda: wanted.items() <= reported(nucleus).items(),
        f"the shadow does not show {wanted}, but {reported(nucleus)}",
        timeout,
    )


def asked(nucleus: Nucleus, operation: str) -> int:
    """How often the component asked in vain."""
    return sum(f"{NAME}: {operation}: " in line for line in nucleus.record.lines)


def moving(bundle: ModelBundle) -> ScriptedEngine:
    """See one box, which goes down the picture and then stays."""

    def predict(number: int) -> RawPredictions:
        top = min(0.1 + 0.03 * number, 0.75)
        box = np.array([0.4, top, 0.6, top + 0.2], "f4")
        scores = np.array([[0.95, 0.0], [0.0, 0.0], [0.0, 0.0], [0.0, 0.0]], "f4")
        return RawPredictions(np.stack([box] * 4)[None], scores[None])

    return ScriptedEngine(bundle.input_size, predict)


def test_the_shadow_has_the_stock_and_follows_a_count(
    bundle: ModelBundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "edgetally.detector.detector.create_engine", lambda *_, **__: moving(bundle)
    )
    seen = camera("dock", lines=[DOOR], fps=8)
    wanted = content(bundle, seen, model=model(bundle))
    with running(tmp_path, wanted, JAVA) as device:
        device.tells("running")
        nucleus = device.nucleus
        stock = {"site": "site", "class": "blue box", "stock": 1, "in": 1, "out": 0}
        other = stock | {"class": bundle.classes[1], "stock": 0, "in": 0}
        shows(nucleus, stock=[stock, other])
        nucleus.publish_local("edgetally/dock-1/inventory/set", json.dumps(RECOUNT).encode())
        shows(nucleus, stock=[stock | {"stock": 40}, other])
        shows(nucleus, state="running", cameras=[{"name": "dock", "state": "streaming"}])
        told = device.newest()
        assert reported(nucleus)["model"] == told["model"]
        assert not {"problem", "truncated"} & reported(nucleus).keys()
    assert reported(nucleus)["state"] == "stopping"
    assert reported(nucleus)["stock"] == [stock | {"stock": 40}, other]


def test_what_does_not_change_is_not_updated(bundle: ModelBundle, tmp_path: Path) -> None:
    with running(tmp_path, content(bundle), JAVA) as device:
        device.tells("running")
        shows(device.nucleus, state="running", cameras=[{"name": "dock", "state": "streaming"}])
        before = device.nucleus.shadow("edgetally", "dock-1")
        healths = sum(one.topic.endswith("/health") for one in device.nucleus.published)
        wait_until(
            lambda: (
                sum(one.topic.endswith("/health") for one in device.nucleus.published) > healths + 5
            ),
            "no health",
        )
        assert device.nucleus.shadow("edgetally", "dock-1") == before
        device.nucleus.kill_connections()
        wait_until(
            lambda: device.nucleus.shadow("edgetally", "dock-1") != before,
            "it is not told anew on a new connection",
        )


def test_updates_keep_a_pace_but_the_last_word_comes_at_once(
    bundle: ModelBundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgetally.service.device_shadow._PACE", 600.0)
    with running(tmp_path, content(bundle), JAVA) as device:
        device.tells("running")
        first = device.nucleus.shadow("edgetally", "dock-1")
        assert first is not None
        for number in range(3):
            changed = {"cameras": [camera("dock"), camera(f"c{number}")]}
            device.nucleus.configure(NAME, changed)
            wait_until(
                lambda number=number: f"c{number}" in device.newest()["cameras"],  # type: ignore[misc]
                "not told",
            )
        assert device.nucleus.shadow("edgetally", "dock-1") == first
    last = device.nucleus.shadow("edgetally", "dock-1")
    assert last is not None
    assert last["version"] == first["version"] + 1
    assert last["state"]["reported"]["state"] == "stopping"


def test_why_nothing_is_counted_yet_is_in_the_shadow(bundle: ModelBundle, tmp_path: Path) -> None:
    with running(tmp_path, content(bundle, cameras=[]), JAVA) as device:
        shows(device.nucleus, state="starting", problem="no cameras configured")
        assert reported(device.nucleus)["cameras"] == []
        device.nucleus.configure(NAME, {"cameras": [camera("dock", lines=[DOOR])]})
        shows(device.nucleus, state="running", cameras=[{"name": "dock", "state": "streaming"}])
        assert "problem" not in reported(device.nucleus)


def test_what_is_wrong_with_the_first_configuration_is_in_the_shadow(
    bundle: ModelBundle, tmp_path: Path
) -> None:
    with running(tmp_path, content(bundle, requests={"maxRate": "fast"}), JAVA) as device:
        wait_until(
            lambda: "requests.maxRate" in reported(device.nucleus).get("problem", ""), "not told"
        )
        assert reported(device.nucleus)["state"] == "starting"


def test_more_than_a_shadow_holds_is_left_out(bundle: ModelBundle, tmp_path: Path) -> None:
    many = [camera(f"{number:064}", source="test:16x16", fps=0.1) for number in range(80)]
    with running(tmp_path, content(bundle, *many), JAVA) as device:
        shows(device.nucleus, 60, truncated=True)
        shown = [one["name"] for one in reported(device.nucleus)["cameras"]]
        assert 0 < len(shown) < len(many)
        assert shown == [one["name"] for one in many[: len(shown)]]


def test_a_denial_is_told_once_with_the_policy_that_mends_it(
    bundle: ModelBundle, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lacking = {name: policies for name, policies in ALL.items() if "Shadow" not in name}
    with running(tmp_path, content(bundle, accessControl=lacking), JAVA) as device:
        device.tells("running")
        wait_until(lambda: asked(device.nucleus, "UpdateThingShadow") > 2, "it is not tried again")
        (told,) = [one for one in caplog.messages if "UpdateThingShadow" in one]
        head, _, lines = told.partition("\n")
        assert "$aws/things/dock-1/shadow/name/edgetally" in head
        device.nucleus.configure(NAME, json.loads(lines))
        shows(device.nucleus, state="running")


def test_metrics_arrive_where_they_are_taken(bundle: ModelBundle, tmp_path: Path) -> None:
    with running(tmp_path, content(bundle), TAKES_METRICS) as device:
        device.tells("running")

        def total(name: str) -> float:
            return float(sum(one["value"] for one in device.nucleus.metrics if one["name"] == name))

        wait_until(lambda: total("FramesInferred") >= 5, "nothing is inferred", 30)
        assert {one["unit"] for one in device.nucleus.metrics} == {"COUNT"}
        assert total("CountEvents") == 0
        device.nucleus.deny("PutComponentMetric")
        wait_until(lambda: asked(device.nucleus, "PutComponentMetric") == 1, "nothing is denied")
        device.component.stop()
        device.thread.join(10)
        inferred = device.newest()["cameras"]["dock"]["processed"]
        assert total("FramesInferred") <= inferred


def test_the_largest_shadow_does_not_cost_a_nucleus_lite_its_connection(tmp_path: Path) -> None:
    cameras = {f"{number:064}": camera_health() for number in range(80)}
    document = shadow_of(health(cameras=cameras), None).document()
    assert len(document) > 6900
    with Nucleus(tmp_path / "nucleus", [recipe()]) as nucleus:
        link = link_to(nucleus)
        link.open(5)
        try:
            with pytest.raises(OptionalOperationError, match="this nucleus has no UpdateThing"):
                link.update_shadow("d" * 128, "edgetally", document).result(5)
            with pytest.raises(InvalidError, match="too many"):
                link.update_shadow("dock-1", "edgetally", bytes(7400)).result(5)
            link.publish_local("edgetally/dock-1/health", b"1").result(5)
            assert not [line for line in nucleus.record.lines if "disconnected" in line]
        finally:
            link.close()


@pytest.mark.parametrize("kind", [LITE, JAVA, replace(JAVA, has_shadows=False)])
def test_what_a_nucleus_lacks_or_keeps_for_itself_is_asked_for_once_and_missed_in_silence(
    bundle: ModelBundle, tmp_path: Path, kind: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with running(tmp_path, content(bundle), kind) as device:
        device.tells("running")
        nucleus = device.nucleus
        nucleus.configure(NAME, {"publish": {"inventory": {"heartbeat": 0.2}}})
        began = len(nucleus.published)
        wait_until(lambda: len(nucleus.published) > began + 20, "nothing is published", 30)
        assert asked(nucleus, "PutComponentMetric") == 1
        assert asked(nucleus, "UpdateThingShadow") == (not kind.has_shadows)
        nucleus.kill_connections()
        wait_until(lambda: bool(nucleus.connected), "no connection")
        began = len(nucleus.published)
        wait_until(lambda: len(nucleus.published) > began + 20, "nothing is published", 30)
        assert asked(nucleus, "PutComponentMetric") == 1 + (kind is LITE)
        assert asked(nucleus, "UpdateThingShadow") == 2 * (not kind.has_shadows)
    loud = [one for one in caplog.records if one.levelno > logging.INFO]
    assert [one.getMessage() for one in loud if "connection lost" not in one.getMessage()] == []


def test_both_are_switched_while_the_service_runs(bundle: ModelBundle, tmp_path: Path) -> None:
    off = {"type": "greengrass", "iotCore": "false", "shadow": "false", "metrics": "false"}
    publish = content(bundle)["publish"] | {"transports": [off]}
    with running(tmp_path, content(bundle, publish=publish), TAKES_METRICS) as device:
        device.tells("running")
        nucleus = device.nucleus
        began = len(nucleus.published)
        wait_until(lambda: len(nucleus.published) > began + 5, "nothing is published")
        assert (reported(nucleus), nucleus.metrics) == ({}, [])
        on = content(bundle)["publish"]["transports"]
        nucleus.configure(NAME, {"publish": {"transports": on}})
        shows(nucleus, state="running")
        wait_until(lambda: bool(nucleus.metrics), "no metrics")
        nucleus.configure(NAME, {"publish": {"transports": [off], "thing": "dock-2"}})
        wait_until(lambda: bool(device.newest("edgetally/dock-2/health")), "no health")
        before = nucleus.shadow("edgetally", "dock-1"), len(nucleus.metrics)
        nucleus.kill_connections()
        began = len(nucleus.published)
        wait_until(lambda: len(nucleus.published) > began + 5, "nothing is published")
    assert (nucleus.shadow("edgetally", "dock-1"), len(nucleus.metrics)) == before
    assert nucleus.shadow("edgetally", "dock-2") is None


def test_the_recipes_policies_allow_the_core_devices_shadow_whatever_the_topics_say(
    bundle: ModelBundle,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("AWS_IOT_THING_NAME", "stand-in")
    policies = access_control("edgetally", "dock-1")
    kind = replace(TAKES_METRICS, interpolates=True)
    with running(tmp_path, content(bundle, accessControl=policies), kind) as device:
        device.tells("running")
        wait_until(lambda: bool(reported(device.nucleus, "stand-in")), "no shadow")
        wait_until(lambda: bool(device.nucleus.metrics), "no metrics")
        assert reported(device.nucleus) == {}
    assert "denies" not in caplog.text


def test_a_process_says_last_that_it_stops_and_a_frozen_nucleus_does_not_hold_it(
    bundle: ModelBundle, tmp_path: Path
) -> None:
    with Nucleus(tmp_path / "nucleus", [recipe(content(bundle))], kind=TAKES_METRICS) as nucleus:
        with process(nucleus, tmp_path) as (started, _):
            shows(nucleus, 60, state="running")
            started.send_signal(signal.SIGTERM)
            assert started.wait(10) == 0
            assert reported(nucleus)["state"] == "stopping"
        with process(nucleus, tmp_path) as (started, _):
            shows(nucleus, 60, state="running")
            nucleus.freeze()
            began = time.monotonic()
            started.send_signal(signal.SIGTERM)
            assert started.wait(10) == 0
            assert time.monotonic() - began < 5
            nucleus.thaw()
