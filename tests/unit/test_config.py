from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from edgetally.config import Config, ConsoleTransport, JsonlTransport, load_config, parse_config
from edgetally.errors import InputError

TEXT = """
model: {path: models/boxes/bundle, scoreThreshold: 0.5, classThresholds: {yellow box: 0.6}}
cameras:
  - name: dock
    source: rtsp://camera.local/stream
    fps: 5
    maxFrames: 1000
    zones: [{name: room, polygon: [[0, 0.3], [1, 0.3], [1, 1], [0, 1]], classes: [blue box]}]
    lines: [{name: door, from: [0, 0.3], to: [1, 0.3], inDirection: [0, 1]}]
publish:
  detections: {mode: onChange, minInterval: 1}
  inventory: {heartbeat: 60}
  transports: [{type: jsonl, path: messages.jsonl}, {type: console}]
storage: {path: state}
"""
FLAT = [[0.1, 0.1], [0.2, 0.2], [0.3, 0.3], [0.1, 0.1]]
NAN, INF = float("nan"), float("inf")


def content_with(where: tuple[str | int, ...], value: object) -> dict[str, Any]:
    """The configuration above with one place changed."""
    content: dict[str, Any] = yaml.safe_load(TEXT)
    place: Any = content
    for part in where[:-1]:
        place = place[part]
    place[where[-1]] = value
    return content


def error_of(content: object) -> str:
    with pytest.raises(InputError) as caught:
        parse_config(content, "edge.yaml")
    text = str(caught.value)
    assert text.startswith("configuration edge.yaml: ")
    assert "\n" not in text
    return text.removeprefix("configuration edge.yaml: ")


def test_a_yaml_file_becomes_the_configuration(tmp_path: Path) -> None:
    path = tmp_path / "edge.yaml"
    path.write_text(TEXT)
    config = load_config(path)
    (camera,) = config.cameras
    assert (camera.name, camera.fps, camera.max_frames) == ("dock", 5.0, 1000)
    assert camera.lines[0].start == (0, 0.3)
    assert camera.lines[0].in_direction == (0, 1)
    assert camera.zones[0].classes == ("blue box",)
    assert config.model.class_thresholds == {"yellow box": 0.6}
    assert config.publish.transports == (
        JsonlTransport(type="jsonl", path=Path("messages.jsonl")),
        ConsoleTransport(type="console"),
    )


def test_a_model_and_a_camera_are_enough() -> None:
    config = parse_config({"model": {"path": "m"}, "cameras": [{"name": "a", "source": 0}]}, "x")
    assert config.cameras[0].source == "0"
    assert config.publish.transports == (ConsoleTransport(type="console"),)
    assert config.storage.path == Path("state")


@pytest.mark.parametrize(
    ("where", "key", "near"),
    [
        ((), "modle", "model"),
        (("model",), "scoreTreshold", "scoreThreshold"),
        (("cameras", 0), "maxFrame", "maxFrames"),
        (("cameras", 0, "lines", 0), "form", "from"),
        (("cameras", 0, "lines", 0), "direction", "inDirection"),
        (("cameras", 0, "zones", 0), "poligon", "polygon"),
        (("publish", "inventory"), "hartbeat", "heartbeat"),
        (("publish", "transports", 0), "pth", "path"),
        (("publish", "transports", 1), "typ", "type"),
    ],
)
def test_an_unknown_key_is_refused_with_its_nearest_neighbour(
    where: tuple[str | int, ...], key: str, near: str
) -> None:
    text = error_of(content_with((*where, key), 1))
    assert text.startswith("unknown key ")
    assert text.endswith(f"{key}; did you mean '{near}'?")


def test_several_mistakes_are_told_in_one_line() -> None:
    content = content_with(("cameras", 0, "fps"), "fast")
    content["cameras"][0]["sorce"] = content["cameras"][0].pop("source")
    content["requests"] = {"maxRate": -1}
    assert error_of(content) == (
        "unknown key cameras[0].sorce; did you mean 'source'?; cameras[0].fps: expected a number, "
        "got 'fast'; requests.maxRate: expected more than 0, got -1"
    )
    content["publish"]["inventory"] = {"heartbeat": 0}
    content["publish"]["health"] = {"heartbeat": 0}
    assert error_of(content).endswith(
        "; publish.inventory.heartbeat: expected more than 0, got 0; and 2 more"
    )


@pytest.mark.parametrize("key", ["name", "source", "fps"])
def test_a_number_of_any_length_is_refused_in_one_line(key: str) -> None:
    assert "number" in error_of(content_with(("cameras", 0, key), 16**5000))


def test_null_is_absent_of_a_key_that_there_is() -> None:
    nulls: dict[str, Any] = {
        "model": {"path": "x", "classThresholds": {"box": None}, "canary": None},
        "cameras": [{"name": "dock", "source": "0", "fps": None, "lines": None}],
        "publish": {"thing": None, "transports": [{"type": "console"}], "topicPrefix": None},
        "requests": None,
    }
    given = {"model": {"path": "x"}, "cameras": [{"name": "dock", "source": "0"}]}
    assert parse_config(nulls, "x") == parse_config(given, "x")
    assert parse_config({**given, "cameras": None}, "x", needs_cameras=False).cameras == ()
    with pytest.raises(InputError, match=r"unknown key cameras\[0\].fsp; did you mean 'fps'"):
        parse_config({**given, "cameras": [{"name": "d", "source": "0", "fsp": None}]}, "x")


def test_an_unknown_key_far_from_any_other_comes_with_the_known_ones() -> None:
    text = error_of(content_with(("cameras", 0, "zzzz"), 1))
    assert text.startswith("unknown key cameras[0].zzzz; did you mean ")
    assert text.endswith(
        "? known are name, site, source, secretArn, credentialsFile, fps, maxFrames, buffer, "
        "width, height, rtspTransport, "
        "openTimeout, readTimeout, watch, rotate, region, motionGate, masks, zones, lines"
    )


SECRETS = ["rtsp://u:s3cr3t@h/x", "u:s3cr3t@h", "rtsp://h/s3cr3t"]


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize(
    "where",
    [
        ("cameras",),
        ("cameras", 0),
        ("cameras", 0, "name"),
        ("cameras", 0, "fps"),
        ("cameras", 0, "lines"),
        ("publish", "thing"),
        ("publish", "transports", 0, "type"),
    ],
)
def test_the_password_of_a_camera_in_the_wrong_place_is_not_shown(
    where: tuple[str | int, ...], secret: str
) -> None:
    content = content_with(where, secret)
    if where[-1] in {"name", "thing"}:
        content = content_with(where, secret + "#")
    assert "s3cr3t" not in error_of(content)
    assert "s3cr3t" not in error_of(content_with(("cameras", 0, secret), 1))


@pytest.mark.parametrize(
    ("where", "text", "value"),
    [
        (("model", "scoreThreshold"), "0.7", 0.7),
        (("cameras", 0, "fps"), "7.5", 7.5),
        (("cameras", 0, "maxFrames"), "20", 20),
        (("publish", "inventory", "heartbeat"), "30", 30.0),
        (("cameras", 0, "lines", 0, "from"), ["0", "0.25"], (0, 0.25)),
    ],
)
def test_a_string_that_holds_a_number_is_that_number(
    where: tuple[str | int, ...], text: object, value: object
) -> None:
    as_text = parse_config(content_with(where, text), "x")
    assert as_text == parse_config(content_with(where, value), "x")


@pytest.mark.parametrize(
    ("where", "value", "said"),
    [
        (("model",), "boxes", "model: expected keys and values, got 'boxes'"),
        (("model", "path"), 3, "model.path: expected a path, got 3"),
        (("model", "engine"), "openvin", "model.engine: expected 'auto', 'openvino'"),
        (
            ("model", "scoreThreshold"),
            "high",
            "model.scoreThreshold: expected a number, got 'high'",
        ),
        (("model", "scoreThreshold"), 1.5, "model.scoreThreshold: expected at most 1, got 1.5"),
        (("model", "classThresholds"), {"a": "x"}, "model.classThresholds.a: expected a number, g"),
        (("model", "classThresholds"), {"a": True}, "model.classThresholds.a: expected a number"),
        (("model", "classThresholds"), {"console": 2}, "model.classThresholds.console: expected"),
        (("model", "path"), "", "model.path: expected a path, got ''"),
        (("model", "path"), "a\0b", "model.path: expected a path"),
        (("storage", "path"), "a\ud800", "storage.path: expected a path"),
        (("storage", "path"), "a\0b", "storage.path: expected a path"),
        (("publish", "transports", 0, "path"), "a\0b", "publish.transports[0].path: expected a p"),
        (("cameras",), [], "cameras: expected at least 1 entries"),
        (("cameras",), "dock", "cameras: expected a list, got 'dock'"),
        (("cameras", 0), "dock", "cameras[0]: expected keys and values, got 'dock'"),
        (("cameras", 0, "source"), ["a"], "cameras[0].source: expected text"),
        (("cameras", 0, "name"), "a/b", "cameras[0].name: expected a name without /, + and #"),
        (("cameras", 0, "fps"), 0, "cameras[0].fps: expected more than 0, got 0"),
        (("cameras", 0, "fps"), True, "cameras[0].fps: expected a number, got true"),
        (("cameras", 0, "maxFrames"), True, "cameras[0].maxFrames: expected a number, got true"),
        (("cameras", 0, "fps"), 10**400, "cameras[0].fps: expected"),
        (("cameras", 0, "name"), "a\nb", "cameras[0].name: expected a name without"),
        (("cameras", 0, "name"), "a\0b", "cameras[0].name: expected a name without"),
        (("cameras", 0, "name"), "x" * 65, "cameras[0].name: expected at most 64 characters"),
        (("cameras", 0, "name"), "inventory", "cameras[0]: no camera can be named 'inventory'"),
        (("cameras", 0, "source"), "", "cameras[0].source: expected"),
        (("cameras", 0, "source"), "a\0b", "cameras[0].source: expected"),
        (("cameras", 0, "maxFrames"), 1.5, "cameras[0].maxFrames: expected a whole number, got"),
        (("cameras", 0, "lines", 0, "inDirection"), [1, 0], "cameras[0].lines[0]: inDirection mus"),
        (("cameras", 0, "lines", 0, "inDirection"), [0, 0], "cameras[0].lines[0]: inDirection mus"),
        (("cameras", 0, "lines", 0, "to"), [0, 0.3], "cameras[0].lines[0]: from and to are the s"),
        (
            ("cameras", 0, "lines", 0, "to"),
            [2, 0.3],
            "cameras[0].lines[0].to[0]: expected at most 1, got 2",
        ),
        (("cameras", 0, "lines", 0, "to"), [1], "cameras[0].lines[0].to[1] is missing; add it"),
        (("cameras", 0, "lines", 0, "to"), [1, 1, 1], "cameras[0].lines[0].to: expected 2 entries"),
        (("cameras", 0, "lines", 0, "to"), [True, 1], "cameras[0].lines[0].to[0]: expected a num"),
        (("cameras", 0, "zones", 0, "polygon"), [[0, 0]], "cameras[0].zones[0].polygon: expected"),
        (("cameras", 0, "zones", 0, "polygon"), FLAT, "cameras[0].zones[0].polygon: all corners"),
        (("cameras", 0, "masks"), [[[0, 0]] * 3], "cameras[0].masks[0]: all corners"),
        (("cameras", 0, "zones", 0, "classes"), "a", "cameras[0].zones[0].classes: expected a li"),
        (("publish", "transports", 0), {}, "publish.transports[0]: type is missing"),
        (("publish", "transports"), [{"pth": "x"}], "publish.transports[0]: type is missing; add"),
        (("publish", "thing"), "a\tb", "publish.thing: expected a name without"),
        (("publish", "transports", 0, "type"), "mqt", "publish.transports[0]: type must be jsonl"),
        (("publish", "detections", "mode"), "on", "publish.detections.mode: expected 'every'"),
        *(
            (("publish", "topicPrefix"), prefix, "publish.topicPrefix: expected a topic prefix")
            for prefix in ("a/#", "a//b", "/a", "a/", "$aws", "a\0b", "a\nb", "")
        ),
        ((1,), 2, "1: keys should be strings"),
    ],
)
def test_a_wrong_value_is_named_in_one_line(
    where: tuple[str | int, ...], value: object, said: str
) -> None:
    assert error_of(content_with(where, value)).startswith(said)


@pytest.mark.parametrize("value", [NAN, INF, -INF, "nan", "inf"])
@pytest.mark.parametrize(
    "where",
    [
        ("model", "scoreThreshold"),
        ("cameras", 0, "fps"),
        ("cameras", 0, "lines", 0, "inDirection", 1),
        ("cameras", 0, "zones", 0, "polygon", 0, 0),
        ("publish", "detections", "minInterval"),
        ("publish", "inventory", "heartbeat"),
    ],
)
def test_numbers_must_be_finite(where: tuple[str | int, ...], value: object) -> None:
    assert "expected a finite number" in error_of(content_with(where, value))


@pytest.mark.parametrize("key", ["model", "cameras"])
def test_what_is_missing_is_named(key: str) -> None:
    content = yaml.safe_load(TEXT)
    del content[key]
    assert error_of(content) == f"{key} is missing; add it"


@pytest.mark.parametrize(
    ("where", "kind"),
    [
        (("cameras",), "camera"),
        (("cameras", 0, "lines"), "line"),
        (("cameras", 0, "zones"), "zone"),
    ],
)
def test_twins_are_refused(where: tuple[str | int, ...], kind: str) -> None:
    content: Any = yaml.safe_load(TEXT)
    place = content
    for part in where:
        place = place[part]
    place.append(place[0])
    assert f"two {kind}s are named {place[0]['name']!r}" in error_of(content)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("model: {path: a}\nmodel: {path: b}\n", r"line 2: key 'model' stands twice"),
        ("model: [\n", r"line 2: .*; correct the YAML"),
        ("model: \x07", r": .*; correct the YAML"),
        ("", r": expected keys such as model and cameras, got nothing"),
        ("- a\n", r": expected keys such as model and cameras, got list"),
        ("model: !!python/object:os.system {}", r"line 1: could not determine a constructor"),
        ("model: 1\nx: 2020-13-45", r"line 2: no valid timestamp; correct the YAML"),
        ("x: !!int x", r"line 1: no valid int"),
        ("x: !!int ''", r"line 1: no valid int"),
        ("x: !!float x", r"line 1: no valid float"),
        ("x: !!bool x", r"line 1: no valid bool"),
        ("x: !!timestamp x", r"line 1: no valid timestamp"),
        ("x: !!map x", r"line 1: expected a mapping node"),
        (f"x: {'9' * 5000}", r"line 1: no valid int"),
        (f"x: {'9:' * 400}1.5", r"line 1: no valid float"),
        ("? [1,2]\n: 3", r"line 1: a key must be text"),
        ("{[1]: 2}", r"line 1: a key must be text"),
        ("[" * 5000, r": nested too deeply"),
        ("rtsp://u:p@h: 1\nrtsp://u:p@h: 2", r"line 2: key … stands twice"),
    ],
)
def test_a_broken_file_is_refused_in_one_line(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "edge.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=said) as caught:
        load_config(path)
    assert str(caught.value).startswith(f"configuration {path}")
    assert "\n" not in str(caught.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.yaml: No such file .*; give a readable YAML file"):
        load_config(tmp_path / "none.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"model: \xff")
    with pytest.raises(InputError, match="not UTF-8 text"):
        load_config(tmp_path / "latin.yaml")


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
_PLACES: list[tuple[str | int, ...]] = [
    ("model",),
    ("model", "classThresholds"),
    ("cameras",),
    ("cameras", 0),
    ("cameras", 0, "lines"),
    ("cameras", 0, "zones", 0, "polygon"),
    ("publish", "transports"),
    ("publish", "transports", 0),
    ("storage",),
]


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(_PLACES), _JSON)
def test_anything_anywhere_is_either_understood_or_refused_in_one_line(
    where: tuple[str | int, ...], value: object
) -> None:
    content = content_with(where, value)
    try:
        config = parse_config(content, "edge.yaml")
    except InputError as error:
        assert "\n" not in str(error)  # noqa: PT017 - either outcome is right
    else:
        assert parse_config(config.model_dump(by_alias=True), "edge.yaml") == config
        assert isinstance(config, Config)
