"""A component's configuration, in the shapes that nuclei give it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from edgetally.component.default_configuration import default_configuration
from edgetally.config import parse_config
from edgetally.config.from_nucleus import config_of_nucleus, how_to_tell
from edgetally.errors import InputError

FULL: dict[str, Any] = {
    "model": {
        "path": "boxes",
        "engine": "openvino",
        "scoreThreshold": 0.4,
        "classThresholds": {"blue box": 0.7},
    },
    "cameras": [
        {
            "name": "dock",
            "site": "7",
            "source": "rtsp://10.0.0.7/1",
            "credentialsFile": "login",
            "fps": 7,
            "maxFrames": 100,
            "watch": False,
            "rotate": 90,
            "region": [0, 0.25, 1, 1],
            "motionGate": {"enabled": True, "maxIdle": 7},
            "masks": [[[0, 0], [1, 0], [1, 0.1]]],
            "zones": [
                {"name": "all", "polygon": [[0, 0], [1, 0], [1, 1]], "classes": ["blue box"]}
            ],
            "lines": [
                {"name": "door", "from": [0, 0.5], "to": [1, 0.5], "inDirection": [0, 1]},
            ],
        }
    ],
    "publish": {
        "thing": "dock-1",
        "inventory": {"heartbeat": 5},
        "transports": [
            {"type": "greengrass", "local": False, "iotCore": True, "delivery": "echoed"},
            {"type": "mqtt", "endpoint": "e", "certificate": "c", "privateKey": "k", "port": 8884},
        ],
    },
    "requests": {"enabled": False, "folders": ["/pictures"], "maxRate": 1.5},
    "storage": {"path": "state"},
}


def as_text(value: Any) -> Any:
    """Return a value as a nucleus lite has it from a YAML recipe."""
    if isinstance(value, dict):
        return {key: as_text(each) for key, each in value.items()}
    if isinstance(value, list):
        return [as_text(each) for each in value]
    return value if isinstance(value, str) else json.dumps(value)


def with_nulls(value: Any, null: Any) -> Any:
    """Add what is not given, as nulls, wherever there are keys."""
    if isinstance(value, dict):
        absent = {} if "blue box" in value else {"tuning": null}
        return {key: with_nulls(each, null) for key, each in value.items()} | absent
    return [with_nulls(each, null) for each in value] if isinstance(value, list) else value


@pytest.mark.parametrize("content", [FULL, default_configuration()])
def test_leaves_that_are_text_mean_the_same(content: dict[str, Any]) -> None:
    plain = parse_config(
        content | {"publish": {"thing": "dock-1", **content["publish"]}}, "x", needs_cameras=False
    )
    assert config_of_nucleus(content, "dock-1") == plain
    assert config_of_nucleus(as_text(content), "dock-1") == plain


@pytest.mark.parametrize("null", [None, "null"])
def test_null_is_absent(null: Any) -> None:
    assert config_of_nucleus(with_nulls(FULL, null), "x") == parse_config(FULL, "x")


def test_what_is_empty_or_json_may_stand_for_a_list_or_keys_and_values() -> None:
    packed = FULL | {"cameras": json.dumps(FULL["cameras"]), "publish": json.dumps(FULL["publish"])}
    assert config_of_nucleus(packed, "x") == parse_config(FULL, "x")
    (camera,) = FULL["cameras"]
    empty = FULL | {
        "cameras": [camera | {"masks": {}, "zones": "", "lines": [], "motionGate": []}],
        "model": FULL["model"] | {"classThresholds": []},
        "requests": {"folders": {}},
    }
    config = config_of_nucleus(empty, "x")
    (found,) = config.cameras
    assert (found.masks, found.zones, found.lines) == ((), (), ())
    assert config.requests.folders == ()
    assert not found.motion_gate.enabled
    assert config.model.class_thresholds == {}


def test_the_devices_name_and_the_nucleus_are_what_is_not_given() -> None:
    config = config_of_nucleus({"model": {"path": "boxes"}, "publish": {"thing": "null"}}, "dock-1")
    assert config.cameras == ()
    assert config.publish.thing == "dock-1"
    assert [transport.type for transport in config.publish.transports] == ["greengrass"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({}, "model is missing; add it"),
        ({"model": {"path": "x"}, "cameras": "none"}, "cameras: expected a list, got 'none'"),
        ({"model": {"path": "x"}, "requests": {"maxRate": "fast"}}, "requests.maxRate: expected a"),
        ({"model": {"path": "x"}, "camera": {}}, "unknown key camera; did you mean 'cameras'"),
        ({"model": {"path": "x"}, "publish": {"thing": "a/b"}}, "publish.thing"),
        ({"model": {"path": "x"}, "cameras": "[" * 100_000}, "cameras: the text is no JSON"),
        (
            {"model": {"path": "x"}, "cameras": '[{"name": "dock", "source": '},
            "cameras: the text is no JSON: expecting value (line 1, column 29)",
        ),
        (
            {"model": {"path": "x"}, "publish": {"transports": []}},
            "publish.transports is empty, so nothing would be told",
        ),
        (
            {"model": {"path": "x"}, "cameras": "1 parts", "cameraParts": {"1": "[" * 100_000}},
            "the 1 cameraParts are no JSON",
        ),
    ],
)
def test_a_wrong_one_is_told_in_one_line_and_to_whom_it_says(
    content: dict[str, Any], words: str
) -> None:
    with pytest.raises(InputError) as caught:
        config_of_nucleus(content, "dock-1")
    assert str(caught.value).startswith(f"configuration of the component: {words}")
    assert how_to_tell(content, "dock-1").publish.thing == "dock-1"


def test_where_to_tell_what_is_wrong_is_taken_from_the_wrong_one() -> None:
    content = {"publish": FULL["publish"], "storage": {"path": "there"}, "cameras": [1]}
    told = how_to_tell(content, "x")
    assert told.publish == parse_config(FULL, "x").publish
    assert str(told.storage.path) == "there"
    assert str(how_to_tell(content | {"storage": 7}, "x").storage.path) == "state"
