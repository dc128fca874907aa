"""What is written down and told of a frame: events with their sites, stock with its drift."""

from __future__ import annotations

import json
from contextlib import closing
from datetime import datetime
from typing import TYPE_CHECKING, Any

import jsonschema
import numpy as np
import pytest

from crossing import crossing
from edgetally.capture import Frame
from edgetally.config import parse_config
from edgetally.counting.events import CameraUpdate, ZoneEvent
from edgetally.counting.ledger import Ledger, OutboxStatus, Storage, StorageState
from edgetally.detections import Detections
from edgetally.errors import InputError
from edgetally.messaging.messages import CameraHealth
from edgetally.messaging.publisher import TransportStatus
from edgetally.messaging.schemas import json_schemas
from edgetally.service.condition import outbox_health, state_reason, storage_health
from edgetally.service.recorder import Recorder
from edgetally.stock import Recount

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from edgetally.bundle import ModelBundle
    from edgetally.config import Config

NOON = 1_700_000_000.0
SQUARE = [[0, 0], [1, 0], [1, 1], [0, 1]]
LINE = {"name": "door", "from": [0, 0.5], "to": [1, 0.5], "inDirection": [0, 1]}
LOST = CameraHealth(
    state="lost",
    captured=0,
    processed=0,
    skipped_still=0,
    dropped={},
    reconnects=0,
    frame_age=None,
    fps_wanted=None,
    fps_processed=0,
    shortfall=0,
    latency=None,
)


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[Storage]:
    with closing(Storage(tmp_path, sites={"dock": "hall"}, clock=lambda: NOON)) as storage:
        storage.register(["test"])
        yield storage


class Clock:
    """A clock that stands where it is set."""

    now = NOON

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def configured(bundle: ModelBundle) -> Config:
    zone = {"name": "room", "polygon": SQUARE, "seesStock": True}
    camera = {"name": "dock", "site": "hall", "source": "0", "zones": [zone], "lines": [LINE]}
    content: dict[str, Any] = {
        "model": {"path": str(bundle.file("onnx").parent)},
        "cameras": [camera],
        "publish": {"detections": {"mode": "never"}},
    }
    return parse_config(content, "test")


@pytest.fixture
def recorder(bundle: ModelBundle, storage: Storage, clock: Clock) -> Recorder:
    return Recorder(configured(bundle), bundle, storage, clock=clock)


def told(storage: Storage, topic: str) -> list[dict[str, Any]]:
    """What waits for a topic; valid."""
    entries = storage.pending("test", 1000)
    bodies = [json.loads(entry.body) for entry in entries if entry.topic == topic]
    for body in bodies:
        name = body["schema"].removeprefix("edgetally.").removesuffix("/1")
        jsonschema.validate(body, json_schemas()[name])
    return bodies


def look(recorder: Recorder, inside: int, *, time: float = NOON, **changes: Any) -> None:
    """A frame in which so many blue boxes are in the zone."""
    numbers = {"blue box": inside, "yellow box": 0}
    update = CameraUpdate(
        **{
            "detections": Detections.empty(),
            "tracks": (),
            "events": (),
            "occupancy": {"room": numbers},
            "in_view": numbers,
            **changes,
        }
    )
    recorder.frame(Frame("dock", 1, time, 0.0, np.zeros((9, 16, 3), np.uint8)), update)


def test_events_of_lines_and_zones_share_a_topic_and_name_their_site(
    recorder: Recorder, storage: Storage
) -> None:
    entered = ZoneEvent("dock", "room", "entered", "blue box", 4, NOON, 0.0)
    look(recorder, 1, zone_events=(entered,), events=(crossing(),))
    events = told(storage, "edgetally/local/dock/events")
    assert [(event["sequence"], event["site"]) for event in events] == [(1, "hall"), (2, "hall")]
    assert {event["schema"] for event in events} == {
        "edgetally.zone_event/1",
        "edgetally.count_event/1",
    }
    zone = next(event for event in events if "zone" in event)
    assert (zone["zone"], zone["kind"], zone["trackId"]) == ("room", "entered", 4)


def test_drift_is_told_and_not_repaired(recorder: Recorder, storage: Storage) -> None:
    recorder.inventory()
    look(recorder, 3, events=(crossing(),))
    before, after = told(storage, "edgetally/local/inventory")
    assert before["sites"]["hall"]["blue box"]["seen"] is None
    assert after["sites"]["hall"]["blue box"] == {
        "baseline": 0,
        "in": 1,
        "out": 0,
        "stock": 1,
        "seen": 3,
        "drift": 2,
    }
    assert storage.stock()["hall"]["blue box"].count == after["stock"]["blue box"] == 1


def test_a_correction_by_another_process_is_seen_and_told_once(
    recorder: Recorder, storage: Storage, tmp_path: Path
) -> None:
    recorder.inventory()
    assert not recorder.inventory_if_changed()
    with closing(Ledger(tmp_path, beside=True)) as other, other.transaction() as entry:
        entry.correct("hall", "blue box", 40, "mia", "", NOON)
    assert recorder.inventory_if_changed()
    assert told(storage, "edgetally/local/inventory")[-1]["stock"]["blue box"] == 40
    assert not recorder.inventory_if_changed()


def test_what_changes_in_a_zone_is_told_with_the_totals_soon_and_once(
    recorder: Recorder, storage: Storage
) -> None:
    recorder.inventory()
    for inside in (1, 2):  # zones alone: no crossing, no correction
        look(recorder, inside)
        assert recorder.inventory_if_changed()
        assert not recorder.inventory_if_changed()
        latest = told(storage, "edgetally/local/inventory")[-1]
        assert latest["cameras"]["dock"]["zones"]["room"]["blue box"] == inside
        assert latest["sites"]["hall"]["blue box"]["drift"] == inside
    look(recorder, 2)
    assert not recorder.inventory_if_changed()


def times_of(storage: Storage, what: str) -> list[float]:
    """When the messages of a topic say that they are of, in seconds after noon."""
    return [
        datetime.fromisoformat(each["time"].replace("Z", "+00:00")).timestamp() - NOON
        for each in told(storage, f"edgetally/local/{what}")
    ]


def test_times_stay_in_order_and_go_back_only_where_the_clock_was_set_back(
    recorder: Recorder, storage: Storage, clock: Clock
) -> None:
    for time in (0, 10, 5, 86_400, 86_410):
        clock.now = NOON + time
        recorder.inventory()
    assert times_of(storage, "inventory") == [0, 10, 10, 86_400, 86_410]
    for time in (20, 30):
        clock.now = NOON + time
        recorder.inventory()
    assert times_of(storage, "inventory")[5:] == [20, 30]
    look(recorder, 1, events=(crossing(),))  # of a file that was filmed before
    assert times_of(storage, "inventory")[-1] == 30


def test_a_clock_that_is_set_while_nothing_runs_costs_no_count(
    bundle: ModelBundle, recorder: Recorder, storage: Storage, clock: Clock, tmp_path: Path
) -> None:
    config, year = configured(bundle), 31_536_000
    look(recorder, 0, events=(crossing(),))
    storage.close()
    for number, now in enumerate((NOON - year, NOON + year), 2):
        clock.now = now
        with closing(Storage(tmp_path, sites={"dock": "hall"}, clock=clock)) as again:
            again.register(["test"])
            look(Recorder(config, bundle, again, clock=clock), 0, time=now, events=(crossing(),))
            again.tend()
            events = told(again, "edgetally/local/dock/events")
            assert [event["sequence"] for event in events] == [*range(1, number + 1)]
            totals = told(again, "edgetally/local/inventory")
            assert totals[-1]["stock"]["blue box"] == totals[-1]["sequence"] == number
    assert len(totals) == 1  # the older ones grew too old


def test_a_file_that_is_ahead_of_the_clock_moves_no_time_but_its_own(
    recorder: Recorder, storage: Storage, clock: Clock
) -> None:
    look(recorder, 1, time=NOON + 3600, events=(crossing(),))
    clock.now = NOON + 1
    look(recorder, 2, time=NOON + 1, events=(crossing(),))
    recorder.inventory()
    outbox = outbox_health(OutboxStatus(0, 0, {}, None), {})
    recorder.health(
        "running", {}, ("openvino", "fp32"), 1.0, outbox, storage_health(StorageState())
    )
    assert times_of(storage, "inventory") == [0, 1, 1]
    assert times_of(storage, "health") == [1]


def test_a_correction_of_what_is_not_there_is_refused(recorder: Recorder) -> None:
    with pytest.raises(InputError, match="there is no site 'yard'"):
        recorder.correct(Recount("yard", "blue box", 4, "mia"))
    assert recorder.correct(Recount("hall", "blue box", 4, "mia")).count == 4


def test_what_to_do_about_the_storage_is_not_cut_off() -> None:
    reason = f"ledger /{'deep/' * 50}ledger.sqlite: it is full; make sure that the disk has room"
    broken = storage_health(StorageState("memory", reason))
    well = outbox_health(OutboxStatus(0, 0, {}, None), {})
    assert state_reason({}, well, broken) == reason


def test_health_says_what_threatens_the_counts_first() -> None:
    outbox = outbox_health(
        OutboxStatus(waiting=2, bytes=900, dropped={"health": 1}, oldest_age=3.0),
        {"jsonl a": TransportStatus("failing", 2), "console": TransportStatus("ok", 0)},
    )
    assert (outbox.transports["jsonl a"].state, outbox.dropped) == ("failing", {"health": 1})
    broken = storage_health(StorageState("memory", "the disk is full"))
    denied = outbox_health(
        OutboxStatus(0, 0, {}, None), {"mqtt b": TransportStatus("failing", 2, "mqtt b: denied")}
    )
    assert state_reason({}, denied, storage_health(StorageState())) == (
        "mqtt b does not take messages: denied"
    )
    assert state_reason({"dock": LOST}, outbox, broken) == (
        "the disk is full; camera dock is lost; jsonl a does not take messages"
    )
    well = outbox_health(OutboxStatus(0, 0, {}, None), {})
    assert state_reason({}, well, storage_health(StorageState())) is None
