"""The whole service over real video files, with the real engines and a real ledger."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
from jsonschema import Draft202012Validator

from edgetally.config import Config, parse_config
from edgetally.counting.ledger import Ledger
from edgetally.errors import EdgetallyError, InputError
from edgetally.messaging.schemas import json_schemas
from edgetally.service import Service

if TYPE_CHECKING:
    from pathlib import Path

    from edgetally.bundle import ModelBundle
    from edgetally.capture import Frame
    from edgetally.counting.events import CameraUpdate, CountEvent


def write_video(path: Path, frames: int = 12) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 6, (320, 240))
    rng = np.random.default_rng(3)
    for _ in range(frames):
        writer.write(rng.integers(0, 256, (240, 320, 3), np.uint8))
    writer.release()
    return path


def configured(bundle: ModelBundle, folder: Path, **changes: Any) -> Config:
    source = folder / "video.mp4"
    content: dict[str, Any] = {
        "model": {"path": str(bundle.file("onnx").parent), "scoreThreshold": 0.3},
        "cameras": [
            {
                "name": "dock",
                "source": str(source if source.exists() else write_video(source)),
                "lines": [
                    {"name": "door", "from": [0, 0.5], "to": [1, 0.5], "inDirection": [0, 1]}
                ],
                "zones": [{"name": "all", "polygon": [[0, 0], [1, 0], [1, 1], [0, 1]]}],
            }
        ],
        "publish": {
            "detections": {"mode": "every", "minInterval": 0},
            "transports": [{"type": "jsonl", "path": str(folder / "messages.jsonl")}],
        },
        "storage": {"path": str(folder / "state")},
    }
    return parse_config(content | changes, "test")


def messages_in(folder: Path) -> list[dict[str, Any]]:
    lines = (folder / "messages.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


class Seen:
    def __init__(self) -> None:
        self.frames: list[int] = []

    def started(self, service: Service) -> None:
        self.service = service

    def frame(self, frame: Frame, update: CameraUpdate) -> None:
        self.frames.append(frame.index)

    def event(self, event: CountEvent) -> None:
        pass


def test_every_frame_of_a_file_is_processed_in_order(bundle: ModelBundle, tmp_path: Path) -> None:
    seen = Seen()
    Service(configured(bundle, tmp_path), observer=seen).run()
    assert seen.frames == list(range(12))


def test_every_published_message_is_valid_and_numbered_without_gaps(
    bundle: ModelBundle, tmp_path: Path
) -> None:
    """Twice, because sequence numbers go on where the run before ended."""
    config = configured(bundle, tmp_path)
    Service(config).run()
    Service(config).run()
    schemas = {
        schema["properties"]["schema"]["const"]: Draft202012Validator(schema)
        for schema in json_schemas().values()
    }
    sequences: dict[str, list[int]] = {}
    for entry in messages_in(tmp_path):
        message = entry["message"]
        assert next(iter(message)) == "schema"
        schemas[message["schema"]].validate(message)
        sequences.setdefault(entry["topic"], []).append(message["sequence"])
    assert set(sequences) >= {
        "edgetally/local/dock/detections",
        "edgetally/local/inventory",
        "edgetally/local/health",
    }
    for numbers in sequences.values():
        assert numbers == list(range(1, len(numbers) + 1))
    assert len(sequences["edgetally/local/dock/detections"]) == 24


def test_the_last_messages_are_the_totals_and_a_goodbye(
    bundle: ModelBundle, tmp_path: Path
) -> None:
    Service(configured(bundle, tmp_path)).run()
    messages = [entry["message"] for entry in messages_in(tmp_path)]
    inventory, health = messages[-2:]
    events = [m for m in messages if m["schema"] == "edgetally.count_event/1"]
    assert inventory["cameras"]["dock"]["lines"]["door"] == {
        name: {
            way: sum(e["class"] == name and e["direction"] == way for e in events)
            for way in ("in", "out")
        }
        for name in bundle.classes
    }
    assert health["state"] == "stopping"
    camera = health["cameras"]["dock"]
    assert camera["state"] == "ended"
    assert camera["captured"] == camera["processed"] == 12
    assert camera["skippedStill"] == camera["reconnects"] == camera["shortfall"] == 0
    assert set(camera["dropped"].values()) == {0}
    assert camera["fpsWanted"] == 6
    assert camera["fpsProcessed"] > 0
    latency = camera["latency"]
    assert 0 < latency["p50"] <= latency["p95"] <= latency["p99"]


def test_nothing_waits_in_the_outbox_after_a_run(bundle: ModelBundle, tmp_path: Path) -> None:
    Service(configured(bundle, tmp_path)).run()
    ledger = Ledger(tmp_path / "state")
    assert ledger.pending(None, 1) == []
    ledger.close()


def test_stop_ends_a_run_early_and_still_says_goodbye(bundle: ModelBundle, tmp_path: Path) -> None:
    write_video(tmp_path / "video.mp4", frames=200)

    class Stopper(Seen):
        def frame(self, frame: Frame, update: CameraUpdate) -> None:
            super().frame(frame, update)
            if frame.index == 3:
                self.service.stop()

    stopper = Stopper()
    Service(configured(bundle, tmp_path), observer=stopper).run()
    assert 4 <= len(stopper.frames) < 200
    assert messages_in(tmp_path)[-1]["message"]["state"] == "stopping"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model": {"path": "nowhere"}}, "nowhere is not a model bundle"),
        ({"cameras": [{"name": "dock", "source": "nowhere.mp4"}]}, "camera dock: .*nowhere.mp4"),
        ({"storage": {"path": "/dev/null/state"}}, "/dev/null/state"),
        (
            {"publish": {"transports": [{"type": "jsonl", "path": "/dev/null/x.jsonl"}]}},
            "/dev/null/x.jsonl",
        ),
    ],
)
def test_what_does_not_open_is_told_before_anything_is_counted(
    bundle: ModelBundle, tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        Service(configured(bundle, tmp_path, **changes)).run()


def test_an_observer_that_fails_fails_the_run_and_names_the_camera(
    bundle: ModelBundle, tmp_path: Path
) -> None:
    class Broken(Seen):
        def frame(self, frame: Frame, update: CameraUpdate) -> None:
            raise ArithmeticError("no such luck")

    with pytest.raises(EdgetallyError, match="camera dock failed: no such luck"):
        Service(configured(bundle, tmp_path), observer=Broken()).run()


def test_messages_that_no_transport_takes_are_kept_and_told(
    bundle: ModelBundle, tmp_path: Path
) -> None:
    publish = {"transports": [{"type": "jsonl", "path": "/dev/full"}]}
    config = configured(bundle, tmp_path, publish=publish)
    with pytest.raises(EdgetallyError, match="messages could not be delivered and wait in"):
        Service(config).run()
    ledger = Ledger(tmp_path / "state")
    assert ledger.waiting() > 2
    ledger.close()


def test_times_never_go_back_within_a_topic(bundle: ModelBundle, tmp_path: Path) -> None:
    """A file is worked through faster than it was filmed, so its clock runs ahead."""
    write_video(tmp_path / "video.mp4", frames=120)
    Service(configured(bundle, tmp_path)).run()
    for name in ("inventory", "health"):
        times = [
            entry["message"]["time"]
            for entry in messages_in(tmp_path)
            if entry["topic"].endswith(name)
        ]
        assert times == sorted(times)


def test_two_cameras_are_counted_side_by_side(bundle: ModelBundle, tmp_path: Path) -> None:
    config = configured(bundle, tmp_path)
    second = config.cameras[0].model_copy(update={"name": "gate"})
    both = config.model_copy(update={"cameras": (config.cameras[0], second)})
    Service(both).run()
    last = messages_in(tmp_path)[-1]["message"]
    assert {name: row["processed"] for name, row in last["cameras"].items()} == {
        "dock": 12,
        "gate": 12,
    }
