"""A service that runs takes another configuration, or refuses it and goes on."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import pytest
from mosquitto_broker import wait_until
from test_service import messages_in, write_video

from edgetally.config import Config, parse_config
from edgetally.errors import EdgetallyError, InputError
from edgetally.service import Service
from edgetally.service.running import Running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from edgetally.bundle import ModelBundle

DOOR = {"name": "door", "from": [0, 0.5], "to": [1, 0.5], "inDirection": [0, 1]}
GATE = {"name": "gate", "from": [0.5, 0], "to": [0.5, 1], "inDirection": [1, 0]}
ALL = {"name": "all", "polygon": [[0, 0], [1, 0], [1, 1], [0, 1]]}


def camera(name: str, **changes: Any) -> dict[str, Any]:
    """A pattern that moves for ever, at a few pictures a second."""
    return {"name": name, "source": "test:160x120", "fps": 4, "buffer": "newest"} | changes


class Device:
    """A service that runs, and its configuration."""

    def __init__(self, bundle: ModelBundle, folder: Path) -> None:
        self.folder = folder
        self.content: dict[str, Any] = {
            "model": {"path": str(bundle.file("onnx").parent), "scoreThreshold": 1},
            "cameras": [camera("dock", lines=[DOOR])],
            "publish": {
                "detections": {"mode": "never"},
                "transports": [{"type": "jsonl", "path": str(folder / "messages.jsonl")}],
            },
            "storage": {"path": str(folder / "state")},
        }
        self.service = Service(self.config())
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.error: EdgetallyError | None = None

    def _run(self) -> None:
        try:
            self.service.run()
        except EdgetallyError as error:
            self.error = error

    def config(self, **changes: Any) -> Config:
        return parse_config(self.content | changes, "test")

    def change(self, **changes: Any) -> None:
        """Configure otherwise; raises why it was refused."""
        self.service.reconfigure(self.config(**changes)).result(30)
        self.content |= changes

    def refusal(self) -> str:
        """Why there is a configuration that is not in force, as health tells it."""
        return str(self.newest("health").get("stateReason", ""))

    def loop(self, name: str) -> Any:
        (loop,) = (loop for loop in self.service.loops if loop.camera.name == name)
        return loop

    def counts(self, name: str) -> None:
        """Wait until a camera has counted some frames more."""
        wanted = self.loop(name).processed + 2
        wait_until(lambda: self.loop(name).processed >= wanted, f"{name} counts no more", 20)

    def messages(self, kind: str, folder: Path | None = None) -> list[dict[str, Any]]:
        found = [entry["message"] for entry in messages_in(folder or self.folder)]
        return [message for message in found if message["schema"] == f"edgetally.{kind}/1"]

    def newest(self, kind: str) -> dict[str, Any]:
        return self.messages(kind)[-1]


@contextmanager
def running(bundle: ModelBundle, folder: Path) -> Iterator[Device]:
    device = Device(bundle, folder)
    device.thread.start()
    try:
        wait_until(
            lambda: bool(device.service.loops) and device.loop("dock").processed > 1,
            "dock counts nothing",
            60,
        )
        yield device
    finally:
        device.service.stop()
        device.thread.join(10)
    assert not device.thread.is_alive()
    assert device.error is None


@pytest.fixture
def device(bundle: ModelBundle, tmp_path: Path) -> Iterator[Device]:
    with running(bundle, tmp_path) as device:
        yield device


def test_lines_zones_and_masks_change_without_a_new_connection(device: Device) -> None:
    before = device.loop("dock")
    changed = camera("dock", lines=[DOOR, GATE], zones=[ALL], masks=[ALL["polygon"]])
    device.change(cameras=[changed])
    after = device.loop("dock")
    assert after is before
    device.counts("dock")
    assert after.camera.latest.image.max() == 0
    shown = device.newest("inventory")["cameras"]["dock"]
    assert set(shown["lines"]) == {"door", "gate"}
    assert set(shown["zones"]) == {"all"}
    device.change(cameras=[camera("dock", lines=[GATE])])
    wait_until(
        lambda: set(device.newest("inventory")["cameras"]["dock"]["lines"]) == {"gate"},
        "the line is still told",
    )


def test_a_camera_that_is_added_counts_and_one_that_is_removed_ends_beside_the_others(
    device: Device,
) -> None:
    dock = device.loop("dock")
    device.change(cameras=[*device.content["cameras"], camera("yard", site="yard")])
    yard = device.loop("yard")
    assert device.loop("dock") is dock
    device.counts("yard")
    device.counts("dock")
    assert set(device.newest("inventory")["sites"]) >= {"site", "yard"}
    device.change(cameras=[camera("yard", site="yard")])
    assert device.service.loops == (yard,)
    assert not dock.is_alive()
    assert dock.error is None
    device.counts("yard")
    assert set(device.newest("health")["cameras"]) == {"yard"}


def test_a_changed_source_restarts_that_camera_alone(device: Device) -> None:
    device.change(cameras=[*device.content["cameras"], camera("yard")])
    dock, yard = device.service.loops
    device.change(cameras=[camera("dock", source="test:320x240", lines=[DOOR]), camera("yard")])
    assert device.loop("yard") is yard
    assert device.loop("dock") is not dock
    assert not dock.is_alive()
    device.counts("dock")
    assert device.loop("dock").camera.latest.image.shape == (240, 320, 3)


def test_thresholds_and_intervals_change_at_once(device: Device) -> None:
    dock = device.loop("dock")
    device.change(
        publish=device.content["publish"]
        | {"detections": {"mode": "every", "minInterval": 0}, "inventory": {"heartbeat": 0.2}}
    )
    wait_until(lambda: len(device.messages("detections")) > 2, "nothing is looked at")
    assert not any(message["detections"] for message in device.messages("detections"))
    told = len(device.messages("inventory"))
    wait_until(lambda: len(device.messages("inventory")) > told + 3, "totals are not told")
    device.change(model=device.content["model"] | {"scoreThreshold": 0.05})
    wait_until(lambda: bool(device.newest("detections")["detections"]), "nothing is seen")
    assert device.loop("dock") is dock


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"cameras": [camera("yard", source="nowhere.mp4")]}, "nowhere.mp4"),
        ({"cameras": [camera("dock", lines=[DOOR | {"classes": ["cat"]}])]}, "no class 'cat'"),
        ({"model": {"path": "nowhere"}}, "nowhere is not a model bundle"),
        ({"storage": {"path": "/dev/null/state"}}, "/dev/null/state"),
        ({"publish": {"transports": [{"type": "jsonl", "path": "/dev/null/x"}]}}, "/dev/null/x"),
    ],
)
def test_a_wrong_configuration_is_refused_whole_and_told_until_a_right_one_comes(
    device: Device, changes: dict[str, Any], words: str
) -> None:
    """It also holds what would be right; nothing of that is taken."""
    content = dict(device.content)
    right = {"requests": {"maxRate": 7}, "cameras": [camera("dock"), camera("yard")]}
    loops = device.service.loops
    with pytest.raises(InputError, match=words):
        device.change(**(right | changes))
    assert device.service.loops == loops
    device.counts("dock")
    wait_until(
        lambda: "configuration: " in device.newest("health").get("stateReason", ""), "not told"
    )
    assert "\n" not in device.newest("health")["stateReason"]
    device.content = content
    device.change(requests={"maxRate": 3})
    wait_until(lambda: "stateReason" not in device.newest("health"), "still told")


def test_another_name_and_another_file_get_what_follows_and_nothing_is_lost(
    device: Device,
) -> None:
    dock = device.loop("dock")
    other = device.folder / "other"
    other.mkdir()
    transports = [{"type": "jsonl", "path": str(other / "messages.jsonl")}]
    device.change(publish=device.content["publish"] | {"thing": "two", "transports": transports})
    assert device.loop("dock") is dock
    device.counts("dock")
    wait_until(lambda: len(device.messages("health", other)) > 0, "nothing is told")
    device.change(publish=device.content["publish"] | {"thing": "local"})
    wait_until(lambda: len(device.messages("health", other)) > 1, "nothing is told")
    sequences: dict[str, list[int]] = {}
    for folder in (device.folder, other):
        for line in (folder / "messages.jsonl").read_text().splitlines():
            entry = json.loads(line)
            sequences.setdefault(entry["topic"], []).append(entry["message"]["sequence"])
    assert set(sequences) >= {"edgetally/local/health", "edgetally/two/health"}
    for numbers in sequences.values():
        assert numbers == list(range(1, len(numbers) + 1))


def test_another_ledger_is_gone_on_with(device: Device) -> None:
    device.change(storage={"path": str(device.folder / "other state")})
    device.counts("dock")
    device.change(storage={"path": str(device.folder / "state")})
    numbers = [message["sequence"] for message in device.messages("health")]
    assert numbers.count(1) == 2
    assert (device.folder / "other state").is_dir()


def test_another_precision_is_loaded_while_the_cameras_go_on(device: Device) -> None:
    dock = device.loop("dock")
    device.change(model=device.content["model"] | {"engine": "onnxruntime", "precision": "fp32"})
    assert device.service.engine == "onnxruntime"
    assert device.loop("dock") is dock
    device.counts("dock")


def test_a_file_that_ended_is_not_counted_again(device: Device) -> None:
    clip = write_video(device.folder / "clip.mp4", frames=3)
    film = {"name": "film", "source": str(clip)}
    device.change(cameras=[*device.content["cameras"], film])
    wait_until(lambda: not device.loop("film").is_alive(), "the film goes on")
    ended = device.loop("film")
    device.change(publish=device.content["publish"] | {"thing": "two"})
    device.change(cameras=[*device.content["cameras"][:-1], film | {"lines": [GATE]}])
    assert device.loop("film") is ended
    assert ended.processed == 3


@pytest.mark.parametrize("fails", [False, True])
def test_a_wrong_configuration_that_came_while_another_was_applied_is_not_forgotten(
    bundle: ModelBundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    device = Device(bundle, tmp_path)
    apply = Running.apply

    def meanwhile(running: Running, config: Config, **how: Any) -> None:
        device.service.refuse("configuration C: unknown key modle")
        if fails:
            raise InputError("camera dock: not B either")
        apply(running, config, **how)

    device.thread.start()
    try:
        wait_until(lambda: bool(device.service.loops), "it does not start", 30)
        monkeypatch.setattr(Running, "apply", meanwhile)
        with suppress(InputError):
            device.change(publish=device.content["publish"] | {"health": {"heartbeat": 0.1}})
        monkeypatch.undo()
        wait_until(lambda: "unknown key modle" in device.refusal(), "it is forgotten", 10)
        device.counts("dock")
        assert device.refusal().startswith("configuration C")
    finally:
        device.service.stop()
        device.thread.join(10)
