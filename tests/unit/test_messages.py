"""What messages say, how they are written, and that their schemas are true."""

from __future__ import annotations

import json
import math
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from edgetally.detections import Detections
from edgetally.errors import InputError
from edgetally.messaging.messages import (
    CameraHealth,
    CameraInventory,
    CountEventMessage,
    DetectionsMessage,
    FrameReference,
    HealthMessage,
    InferenceError,
    InferenceResultMessage,
    InventoryMessage,
    InventoryResponseMessage,
    Latency,
    Message,
    ModelReference,
    OutboxHealth,
    Point,
    SiteStock,
    StockEventMessage,
    StorageHealth,
    Totals,
    TransportHealth,
    ZoneEventMessage,
    event_id,
    utc,
)
from edgetally.messaging.schemas import json_schemas
from edgetally.messaging.seen import detections_message, inference_result_message
from edgetally.messaging.topics import Topics

FIRST_RELEASE = Path(__file__).parents[1] / "data" / "first_messages"
SCHEMA_FOLDER = Path(__file__).parents[2] / "docs" / "schemas"
MODEL = ModelReference(name="boxes", version="1.2.0", sha256="ab" * 32)
FRAME = FrameReference(index=7, width=640, height=480)
NOON = 1_700_000_000.123
CLASSES = ("blue box", "gelber Körper")


def seen(rows: int, *, seed: int = 0, tracked: bool = True) -> Detections:
    rng = np.random.default_rng(seed)
    corners = np.sort(rng.random((rows, 2, 2)), axis=1).reshape(rows, 4)
    return Detections(
        corners.astype(np.float32),
        rng.random(rows).astype(np.float32),
        rng.integers(0, len(CLASSES), rows),
        rng.integers(-1, 50, rows) if tracked else None,
    )


def detections_of(found: Detections, classes: tuple[str, ...] = CLASSES) -> DetectionsMessage:
    return detections_message(
        found,
        classes=classes,
        frame=FRAME,
        time=NOON,
        thing="dock-1",
        camera="door",
        sequence=3,
        model=MODEL,
    )


def result_of(found: Detections) -> InferenceResultMessage:
    return inference_result_message(
        found,
        request_id="r-1",
        classes=CLASSES,
        frame=FRAME,
        time=NOON,
        thing="dock-1",
        camera="door",
        sequence=3,
        model=MODEL,
    )


def count_event(**changes: Any) -> CountEventMessage:
    fields: dict[str, Any] = {
        "time": utc(NOON),
        "thing": "dock-1",
        "camera": "door",
        "sequence": 4,
        "model": MODEL,
        "id": event_id("door", "gate", 4),
        "site": "hall",
        "line": "gate",
        "direction": "in",
        "class_": "blue box",
        "track_id": 12,
        "score": 0.87654321,
        "point": Point(x=0.5, y=0.25),
        "totals": Totals(in_=3, out=1),
    }
    return CountEventMessage(**{**fields, **changes})


def inventory() -> InventoryMessage:
    return InventoryMessage(
        time=utc(NOON),
        thing="dock-1",
        sequence=1,
        model=MODEL,
        cameras={
            "door": CameraInventory(
                lines={"gate": {"blue box": Totals(in_=3, out=4)}},
                zones={"room": {"blue box": 2}},
                in_view={"blue box": 2, "gelber Körper": 0},
            )
        },
        sites={
            "hall": {
                "blue box": SiteStock(baseline=0, in_=3, out=4, stock=-1, seen=2, drift=3),
                "gelber Körper": SiteStock(
                    baseline=-4, in_=4, out=0, stock=0, seen=None, drift=None
                ),
            }
        },
        stock={"blue box": -1},
    )


def zone_event() -> ZoneEventMessage:
    return ZoneEventMessage(
        time=utc(NOON),
        thing="dock-1",
        camera="door",
        sequence=5,
        model=MODEL,
        id=event_id("door", "room", 5),
        site="hall",
        zone="room",
        kind="loitering",
        class_="blue box",
        track_id=12,
        seconds=30.25,
    )


def stock_event(request_id: str | None) -> StockEventMessage:
    return StockEventMessage(
        time=utc(NOON),
        thing="dock-1",
        sequence=1,
        model=MODEL,
        id=event_id("hall", "blue box", 1),
        site="hall",
        class_="blue box",
        count=40,
        before=-1,
        author="mia",
        note="",
        request_id=request_id,
    )


def response(reason: str | None) -> InventoryResponseMessage:
    return InventoryResponseMessage(
        time=utc(NOON),
        thing="dock-1",
        sequence=1,
        model=MODEL,
        request_id="r-2",
        accepted=reason is None,
        reason=reason,
    )


def refusal() -> InferenceResultMessage:
    return InferenceResultMessage(
        time=utc(NOON),
        thing="dock-1",
        sequence=2,
        model=MODEL,
        request_id="r-3",
        camera=None,
        frame=None,
        detections=(),
        error=InferenceError(code="tooFrequent", message="ask twice a second at most"),
    )


def health() -> HealthMessage:
    return HealthMessage(
        time=utc(NOON),
        thing="dock-1",
        sequence=1,
        model=MODEL,
        state="running",
        cameras={
            "door": CameraHealth(
                state="streaming",
                captured=9,
                processed=6,
                skipped_still=2,
                dropped={"newer": 1},
                reconnects=0,
                frame_age=0.123456,
                fps_wanted=5,
                fps_processed=3.3333,
                shortfall=0.5,
                latency=Latency(p50=0.05, p95=0.1, p99=0.15),
            ),
            "gate": CameraHealth(
                state="lost",
                captured=0,
                processed=0,
                skipped_still=0,
                dropped={},
                reconnects=3,
                frame_age=None,
                fps_wanted=None,
                fps_processed=0,
                shortfall=0,
                latency=None,
            ),
        },
        engine="openvino",
        precision="fp32",
        uptime=12.5,
        state_reason="camera gate is lost",
        outbox=OutboxHealth(
            waiting=2,
            bytes=900,
            dropped={"detections": 7},
            oldest_age=3.5,
            transports={"jsonl messages.jsonl": TransportHealth(state="failing", waiting=2)},
        ),
        storage=StorageHealth(state="memory", reason="the disk is full"),
    )


def every_message() -> list[Message]:
    return [
        detections_of(seen(5)),
        detections_of(Detections.empty()),
        detections_of(seen(5, tracked=False)),
        result_of(seen(5)),
        refusal(),
        count_event(),
        zone_event(),
        stock_event(None),
        stock_event("r-2"),
        inventory(),
        response(None),
        response("no class green box"),
        health(),
        HealthMessage.last_will(NOON, "dock-1", MODEL, "openvino", "bf16"),
    ]


def validate(message: Message) -> None:
    body = json.loads(message.to_json())
    name = body["schema"].removeprefix("edgetally.").removesuffix("/1")
    schema = json.loads((SCHEMA_FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    checker = jsonschema.Draft202012Validator.FORMAT_CHECKER
    jsonschema.Draft202012Validator(schema, format_checker=checker).validate(body)


def test_the_committed_schemas_are_those_of_the_code() -> None:
    committed = {
        path.stem: json.loads(path.read_text(encoding="utf-8"))
        for path in SCHEMA_FOLDER.glob("*.json")
        if path.stem != "config"
    }
    assert committed == json_schemas(), "run scripts/generate_docs.py and commit docs"


@pytest.mark.parametrize("name", json_schemas())
def test_each_schema_is_valid_open_and_explains_every_field(name: str) -> None:
    """Open, so that who keeps a schema takes what is added within its version."""
    schema = json_schemas()[name]
    jsonschema.Draft202012Validator.check_schema(schema)
    for part in [schema, *schema["$defs"].values()]:
        assert "additionalProperties" not in part
        for field in part["properties"].values():
            assert field["title"]
            assert field["description"]


def first_schema(name: str) -> dict[str, Any]:
    """The schema of the first messages; it was closed, though none were sent over a network."""
    text = (FIRST_RELEASE / f"{name}.json").read_text(encoding="utf-8")
    opened = text.replace('"additionalProperties": false', '"additionalProperties": true')
    schema: dict[str, Any] = json.loads(opened)
    return schema


FIRST = [path.stem for path in FIRST_RELEASE.glob("*.json")]


def test_messages_of_the_first_release_are_still_valid() -> None:
    lines = (FIRST_RELEASE / "messages.jsonl").read_text(encoding="utf-8").splitlines()
    bodies = [json.loads(line) for line in lines]
    assert {body["schema"] for body in bodies} == {f"edgetally.{name}/1" for name in FIRST}
    for body in bodies:
        name = body["schema"].removeprefix("edgetally.").removesuffix("/1")
        jsonschema.validate(body, json_schemas()[name])


def test_who_knows_the_first_release_alone_can_read_the_messages_of_today() -> None:
    """A last will is new: it comes from a broker, of which the first release had none."""
    read = set()
    for message in every_message():
        name = message.schema_.removeprefix("edgetally.").removesuffix("/1")
        if name in FIRST and message.sequence:
            jsonschema.validate(json.loads(message.to_json()), first_schema(name))
            read.add(name)
    assert read == set(FIRST)


def test_what_was_added_later_is_left_out_where_there_is_nothing_to_tell() -> None:
    bare = inventory().model_copy(update={"sites": None})
    assert json.loads(bare.to_json()).keys() == json.loads(inventory().to_json()).keys() - {"sites"}
    assert "part" not in json.loads(inventory().to_json())
    assert "error" not in json.loads(result_of(seen(1)).to_json())


@pytest.mark.parametrize("message", every_message(), ids=lambda message: type(message).__name__)
def test_each_message_fits_its_schema_starts_with_it_and_reads_back(message: Message) -> None:
    validate(message)
    text = message.to_json()
    assert text.startswith('{"schema":"edgetally.')
    assert ": " not in text
    assert type(message).model_validate_json(text) == message


def test_a_detections_message_says_what_was_seen() -> None:
    found = Detections(
        np.array([[0.1, 0.2, 0.5, 0.6], [-0.5, 0, 1.5, 1]], np.float32),
        np.array([0.123456, 1.0000001], np.float32),
        np.array([1, 0]),
        np.array([5, -1]),
    )
    assert json.loads(detections_of(found).to_json()) == {
        "schema": "edgetally.detections/1",
        "time": "2023-11-14T22:13:20.123Z",
        "thing": "dock-1",
        "sequence": 3,
        "model": {"name": "boxes", "version": "1.2.0", "sha256": "ab" * 32},
        "camera": "door",
        "frame": {"index": 7, "width": 640, "height": 480},
        "detections": [
            {
                "class": "gelber Körper",
                "score": 0.1235,
                "box": {"xmin": 0.1, "ymin": 0.2, "xmax": 0.5, "ymax": 0.6},
                "pixels": {"left": 64, "top": 96, "width": 256, "height": 192},
                "trackId": 5,
            },
            {
                "class": "blue box",
                "score": 1.0,
                "box": {"xmin": 0.0, "ymin": 0.0, "xmax": 1.0, "ymax": 1.0},
                "pixels": {"left": 0, "top": 0, "width": 640, "height": 480},
                "trackId": None,
            },
        ],
        "truncated": 0,
    }


def test_a_count_event_and_an_inventory_say_in_and_out() -> None:
    event = json.loads(count_event().to_json())
    assert event["totals"] == {"in": 3, "out": 1}
    assert event["class"] == "blue box"
    assert event["score"] == 0.8765
    assert event["id"] == "door/gate/4"
    body = json.loads(inventory().to_json())
    assert body["cameras"]["door"]["lines"] == {"gate": {"blue box": {"in": 3, "out": 4}}}
    assert body["cameras"]["door"]["inView"] == {"blue box": 2, "gelber Körper": 0}
    assert body["stock"] == {"blue box": -1}
    assert body["sites"]["hall"]["blue box"] == {
        "baseline": 0,
        "in": 3,
        "out": 4,
        "stock": -1,
        "seen": 2,
        "drift": 3,
    }


def test_a_message_may_be_of_any_size() -> None:
    """What is too big for a transport goes in parts; nothing is left out."""
    message = detections_of(seen(2000))
    assert len(message.to_json().encode()) > 200_000
    assert message.truncated == 0
    validate(message)


@pytest.mark.parametrize(
    "changes",
    [
        {"score": math.nan},
        {"point": {"x": math.inf, "y": 0}},
        {"sequence": 0},
        {"direction": "sideways"},
        {"time": datetime(2024, 1, 1)},  # noqa: DTZ001 - that it has no zone is the point
        {"colour": "blue"},
        {"model": {"name": "boxes", "version": "1", "sha256": "short"}},
    ],
)
def test_a_message_that_would_mislead_cannot_be_built(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        count_event(**changes)


def test_boxes_that_are_no_numbers_are_refused() -> None:
    found = Detections(
        np.array([[0, 0, math.nan, 1]], np.float32), np.ones(1, np.float32), np.zeros(1, np.int64)
    )
    with pytest.raises(ValueError, match="not finite"):
        detections_of(found)


def test_a_message_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        count_event().line = "other"  # type: ignore[misc]


@settings(max_examples=50, deadline=None)
@given(
    st.datetimes(
        datetime(1970, 1, 2),  # noqa: DTZ001 - hypothesis adds the zone
        timezones=st.sampled_from([timezone.utc, timezone(timedelta(hours=-5, minutes=-30))]),
    )
)
def test_any_time_is_written_in_utc_to_the_millisecond(time: datetime) -> None:
    message = count_event(time=time)
    validate(message)
    written = json.loads(message.to_json())["time"]
    assert written.endswith("Z")
    late = time - datetime.fromisoformat(written.replace("Z", "+00:00"))
    assert timedelta(0) <= late < timedelta(milliseconds=1)


def test_topics_are_the_ones_of_the_documentation() -> None:
    topics = Topics("edgetally", "dock-1")
    assert topics.detections("door") == "edgetally/dock-1/door/detections"
    assert topics.events("door") == "edgetally/dock-1/door/events"
    assert topics.inventory == "edgetally/dock-1/inventory"
    assert topics.stock_events == "edgetally/dock-1/inventory/events"
    assert topics.inventory_set == "edgetally/dock-1/inventory/set"
    assert topics.inventory_response == "edgetally/dock-1/inventory/response"
    assert topics.health == "edgetally/dock-1/health"
    assert topics.inference_request == "edgetally/dock-1/inference/request"
    assert topics.inference_response == "edgetally/dock-1/inference/response"
    assert topics.model_set == "edgetally/dock-1/model/set"
    assert topics.model_response == "edgetally/dock-1/model/response"
    assert Topics("site/7", "x").health == "site/7/x/health"


@pytest.mark.parametrize(
    ("prefix", "thing"),
    [
        ("", "a"),
        ("a/", "a"),
        ("/a", "a"),
        ("a//b", "a"),
        ("$aws", "a"),
        ("a/#", "a"),
        ("a", ""),
        ("a", "b/c"),
        ("a", "+"),
    ],
)
def test_names_that_topics_cannot_carry_are_refused(prefix: str, thing: str) -> None:
    with pytest.raises(InputError):
        Topics(prefix, thing)
