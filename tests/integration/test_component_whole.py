"""The whole component, from its built artifact and its recipe, through the stand-in nucleus."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import cv2
import pytest
from component_checkout import ROOT
from jsonschema import Draft202012Validator
from whole_component import (
    CLIP,
    DOOR,
    THING,
    WholeDevice,
    build,
    clip,
    deployed,
    truth,
)

from edgetally.component.names import COUNTER, MODEL

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WAYS = ("local", "cloud")
SHORT = 25.0  # seconds of the clip, with eight crossings


@pytest.fixture(scope="module")
def builds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("builds"))


@pytest.fixture(scope="module")
def device(builds: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WholeDevice]:
    """One device for all tests here, which the last of them stop."""
    with deployed(tmp_path_factory.mktemp("device"), builds) as device:
        yield device


def test_the_demo_clip_is_counted_and_its_truth_told_on_both_ways(device: WholeDevice) -> None:
    with device.camera(clip("dock")):
        for way in WAYS:
            device.counts("dock", truth(), way)


def test_another_threshold_is_taken_live(device: WholeDevice) -> None:
    look = {"filePath": picture_of(device)}
    assert device.ask(look)["detections"]
    device.configure(model={"scoreThreshold": 1})
    try:
        device.wait(lambda: not device.ask(look)["detections"])
    finally:
        device.configure(model={"scoreThreshold": 0.5})
    device.wait(lambda: device.ask(look)["detections"])
    assert device.starts == 2  # to install, and to run


def test_lines_and_cameras_come_and_go_live(device: WholeDevice) -> None:
    yard = device.cameras[0]
    before = device.newest("health")["cameras"]["yard"]["captured"]
    device.cameras[0] = yard | {"lines": [DOOR]}
    with device.camera({"name": "gate", "source": "test:320x240", "fps": 2}):
        device.wait(lambda: "door" in device.newest("inventory")["cameras"]["yard"]["lines"])
        device.wait(lambda: set(device.newest("health")["cameras"]) == {"yard", "gate"})
        device.wait(lambda: device.newest("health")["cameras"]["gate"]["processed"] > 0)
        device.cameras[0] = yard
    device.wait(lambda: set(device.newest("health")["cameras"]) == {"yard"})
    device.wait(lambda: "door" not in device.newest("inventory")["cameras"]["yard"]["lines"])
    assert device.newest("health")["cameras"]["yard"]["captured"] > before
    assert device.starts == 2  # to install, and to run


def test_a_wrong_configuration_is_refused_with_the_reason_and_the_old_one_stays(
    device: WholeDevice,
) -> None:
    wrong = clip("never") | {"lines": [DOOR | {"to": DOOR["from"]}]}
    device.configure(cameras=[*device.cameras, wrong], publish={"health": {"heartbeat": 1}})
    device.tells("running", "cameras[1].lines[0]: from and to are the same point")
    assert set(device.newest("health")["cameras"]) == {"yard"}
    device.configure(cameras=device.cameras, publish={"health": {"heartbeat": 2}})
    device.tells("running")


def test_a_second_version_of_the_model_takes_over_while_it_counts(device: WholeDevice) -> None:
    with device.camera(clip("exchanged")):
        device.wait(lambda: device.events("exchanged"))
        device.deploy(device.recipe(MODEL, "second"), build="second")
        device.wait(lambda: device.newest("health")["model"]["version"] == "1.1.0")
        for way in WAYS:
            device.counts("exchanged", truth(), way)
    assert device.newest("inventory")["model"]["version"] == "1.1.0"
    assert "candidate" not in device.newest("health")
    assert device.starts == 2  # to install, and to run


def test_what_is_counted_while_the_nucleus_is_away_arrives_later(device: WholeDevice) -> None:
    stale = device.nucleus.token_for(COUNTER)
    with device.camera(clip("away", SHORT)):
        device.wait(lambda: device.events("away"))
        device.nucleus.restart(away=3)
        for way in WAYS:
            device.counts("away", truth(SHORT), way)
    assert device.printed("connection lost")
    assert device.nucleus.token_for(COUNTER) != stale
    assert device.starts == 2  # to install, and to run


def test_a_denied_topic_is_told_once_with_its_policy_and_all_others_go_on(
    device: WholeDevice,
) -> None:
    topic = f"edgetally/{THING}/denied/events"
    device.nucleus.deny("PublishToTopic", topic)
    with device.camera(clip("denied", SHORT)):
        device.counts("denied", truth(SHORT), "cloud")
        device.wait(lambda: device.counted("denied") == truth(SHORT))
        device.wait(lambda: "PublishToTopic" in str(device.newest("health")["outbox"]))
        assert device.events("denied") == []
        told = device.printed(f"denies PublishToTopic {topic}")
        assert len([line for line in told if line.endswith("configuration allows it:")]) == 1
        assert len(device.printed(f'"{COUNTER}:PublishToTopic:{topic}"')) == 1
        device.nucleus.allow("PublishToTopic", topic)
        device.counts("denied", truth(SHORT), "local")


def test_sigterm_ends_it_within_five_seconds_with_its_last_totals_told(
    device: WholeDevice,
) -> None:
    told = {way: len(device.bodies(way, "inventory")) for way in WAYS}
    began = time.monotonic()
    device.nucleus.stop_component(COUNTER)
    assert time.monotonic() - began < 5
    for way in WAYS:
        assert device.bodies(way, "inventory")[told[way] :]
        assert device.newest("health", way)["state"] == "stopping"


def test_every_message_that_came_out_is_valid_and_none_is_missing(device: WholeDevice) -> None:
    device.nucleus.stop_component(COUNTER)
    validators = {
        path.stem: Draft202012Validator(json.loads(path.read_text(encoding="utf-8")))
        for path in (ROOT / "docs" / "schemas").glob("*.json")
    }
    came: dict[str, dict[str, dict[int, Any]]] = {}
    for way in WAYS:
        topics = came.setdefault(way, {})
        for message in device.messages(way):
            body = json.loads(message.payload)
            validators[body["schema"].removeprefix("edgetally.").partition("/")[0]].validate(body)
            assert len(message.payload) <= 7000
            numbers = topics.setdefault(message.topic, {})
            assert numbers.setdefault(body["sequence"], body) == body
        for topic, numbers in topics.items():
            assert sorted(numbers) == list(range(1, len(numbers) + 1)), topic
    assert came["local"] == came["cloud"]
    for topic, numbers in came["local"].items():
        if topic.endswith("/events"):
            assert_adds_up([numbers[each] for each in sorted(numbers)])


def test_doctor_as_the_component_finds_that_its_policies_allow_all(device: WholeDevice) -> None:
    lines = doctor(device)
    assert [line for line in lines if line.startswith("wrong")] == []
    for found in (
        "ok     nucleus: takes us for its component",
        "ok     policy local: allows PublishToTopic and SubscribeToTopic, and we hear ourselves",
        "ok     policy AWS IoT Core: allows PublishToIoTCore and SubscribeToIoTCore, and we hear",
        "ok     camera yard: gives pictures, 320 x 240",
        "ok     model: ",
    ):
        assert [line for line in lines if line.startswith(found)], found


def test_doctor_as_the_component_names_what_is_denied_and_the_policy_for_it(
    device: WholeDevice,
) -> None:
    topic = f"edgetally/{THING}/inventory/set"
    device.nucleus.deny("SubscribeToTopic", topic)
    lines = doctor(device)
    device.nucleus.allow("SubscribeToTopic", topic)
    (wrong,) = [line for line in lines if line.startswith("wrong")]
    text, _, remedy = wrong.partition("merge into the component's configuration: ")
    assert text.startswith(f"wrong  policy local: greengrass denies SubscribeToTopic {topic}")
    policies = json.loads(remedy)["accessControl"]["aws.greengrass.ipc.pubsub"].values()
    assert [policy["resources"] for policy in policies] == [[topic]]


def doctor(device: WholeDevice) -> list[str]:
    """Let doctor run in the place of the counter, from the same recipe; return what it says."""
    device.nucleus.stop_component(COUNTER)
    recipe = device.recipe(COUNTER)
    for manifest in recipe["Manifests"]:
        run = manifest["Lifecycle"]["run"]
        run["Script"] = run["Script"].replace("run --greengrass", "doctor")
    printed, ended = len(device.printed("")), len(device.ends)
    device.deploy(recipe)
    device.wait(lambda: len(device.ends) > ended)
    lines = device.printed("")[printed:]
    device.nucleus.stop_component(COUNTER)
    return [line.removeprefix(f"{COUNTER} | ") for line in lines]


def picture_of(device: WholeDevice) -> str:
    """Put a picture of the clip with boxes in it where requests may look; return its name."""
    video = cv2.VideoCapture(CLIP)
    video.set(cv2.CAP_PROP_POS_FRAMES, 17)
    cv2.imwrite(str(device.pictures / "dock.png"), video.read()[1])
    video.release()
    return "dock.png"


def assert_adds_up(events: list[dict[str, Any]]) -> None:
    """See that each event's totals are what it adds to those before it."""
    totals: dict[str, dict[str, int]] = {}
    for event in events:
        of_class = totals.setdefault(event["class"], {"in": 0, "out": 0})
        of_class[event["direction"]] += 1
        assert event["totals"] == of_class
    assert totals in (truth(), truth(SHORT))
