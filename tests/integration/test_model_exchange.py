"""Models that are exchanged while a real service counts the demo clip with the demo's model."""

from __future__ import annotations

import json
import logging
import shutil
import subprocess
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator

from edgetally.bundle import ModelBundle, Setting
from edgetally.config import parse_config
from edgetally.conversion import convert
from edgetally.demo import CLASSES
from edgetally.messaging.schemas import json_schemas
from edgetally.service import Service

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from edgetally.capture import Frame
    from edgetally.config import Config
    from edgetally.counting.events import CameraUpdate, CountEvent

ROOT = Path(__file__).parents[2]
BOXES = ROOT / "models" / "boxes"
PLACE = ROOT / "greengrass-component" / "place_model.sh"
WAIT = 60.0
AT = 150  # a frame of the clip by which objects were seen and crossed, and more will be


@pytest.fixture(scope="module")
def demo_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo") / "bundle"
    convert(BOXES / "model.tar.gz", folder, classes=CLASSES, name="boxes", version="1.0")
    return folder


class Device:
    """A device: its models as the Model component places them, and a service that counts."""

    def __init__(self, folder: Path, demo_bundle: Path, **canary: Any) -> None:
        self.folder, self.work = folder, folder / "io.edgetally.Model"
        self._demo_bundle = demo_bundle
        self._canary = {"wait": 0, "maxSlowdown": 1000, **canary}
        self.actions: dict[int, Callable[[], None]] = {}
        self.frames: list[int] = []
        self.until: int | None = None
        self.service: Service | None = None

    def version(self, version: str, **changes: Any) -> Path:
        """Make another version of the demo's model."""
        folder = self.folder / f"artifact-{version}"
        shutil.copytree(self._demo_bundle, folder)
        bundle = ModelBundle.load(folder)
        bundle.model_copy(update={"version": version, **changes}).write(folder)
        return folder

    def place(self, folder: Path) -> None:
        subprocess.run(["/bin/sh", PLACE, folder, self.work], check=True)

    def config(self, line_classes: Sequence[str] = ()) -> Config:
        content = {
            "model": {"path": str(self.work / "current"), "canary": self._canary},
            "cameras": [
                {
                    "name": "dock",
                    "source": str(BOXES / "demo.mp4"),
                    "lines": [
                        {
                            "name": "door",
                            "from": [0, 0.36],
                            "to": [1, 0.36],
                            "inDirection": [0, 1],
                            "classes": line_classes,
                        }
                    ],
                }
            ],
            "publish": {
                "detections": {"mode": "every", "minInterval": 0},
                "transports": [{"type": "jsonl", "path": str(self.folder / "messages.jsonl")}],
            },
            "storage": {"path": str(self.folder / "state")},
        }
        return parse_config(content, "test")

    def count(self, line_classes: Sequence[str] = ()) -> None:
        self.frames = []
        self.service = Service(self.config(line_classes), observer=self)
        self.service.run()

    def reconfigure(self, line_classes: Sequence[str]) -> None:
        assert self.service is not None
        self.service.reconfigure(self.config(line_classes))

    def started(self, service: Service) -> None:
        pass

    def frame(self, frame: Frame, update: CameraUpdate) -> None:
        self.frames.append(frame.index)
        self.actions.pop(frame.index, lambda: None)()
        if frame.index == self.until and self.service is not None:
            self.service.stop()

    def event(self, event: CountEvent) -> None:
        pass

    def messages(self, kind: str) -> list[dict[str, Any]]:
        lines = (self.folder / "messages.jsonl").read_text().splitlines()
        messages = [json.loads(line)["message"] for line in lines]
        validator = Draft202012Validator(json_schemas()[kind])
        found = [m for m in messages if m["schema"] == f"edgetally.{kind}/1"]
        for message in found:
            validator.validate(message)
        return found

    def totals(self) -> Any:
        return self.messages("inventory")[-1]["cameras"]["dock"]["lines"]["door"]

    def versions(self) -> list[str]:
        """Of the model that saw each frame, one after the other, without repetitions."""
        seen = [m["model"]["version"] for m in self.messages("detections")]
        return [
            version for version, before in zip(seen, ["", *seen], strict=False) if version != before
        ]

    def in_use(self) -> str:
        return ModelBundle.load(self.work / "in-use").version

    def links(self) -> dict[str, str]:
        """The version that each link leads to."""
        return {
            link.name: ModelBundle.load(link).version
            for link in self.work.iterdir()
            if link.is_symlink()
        }


class Log(logging.Handler):
    """What the service says, and waiting until it says something."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self._changed = threading.Condition()
        self._said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        with self._changed:
            self._said.append(record.getMessage())
            self._changed.notify_all()

    def wait_for(self, text: str) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: self.has(text), WAIT), self._said

    def has(self, text: str) -> bool:
        return any(text in line for line in self._said)


@contextmanager
def listening() -> Iterator[Log]:
    log, logger = Log(), logging.getLogger("edgetally.service")
    level = logger.level
    logger.addHandler(log)
    logger.setLevel(logging.INFO)
    try:
        yield log
    finally:
        logger.removeHandler(log)
        logger.setLevel(level)


@pytest.fixture
def log() -> Iterator[Log]:
    with listening() as log:
        yield log


@pytest.fixture(scope="module")
def undisturbed(demo_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Device:
    """What the clip comes to when nothing happens."""
    device = Device(tmp_path_factory.mktemp("undisturbed"), demo_bundle)
    device.place(demo_bundle)
    device.count()
    return device


@pytest.fixture
def device(demo_bundle: Path, tmp_path: Path) -> Device:
    device = Device(tmp_path, demo_bundle)
    device.place(demo_bundle)
    return device


def test_a_new_model_takes_over_between_two_frames_and_counts_go_on(
    device: Device, undisturbed: Device, log: Log
) -> None:
    def deploy() -> None:
        device.place(device.version("2.0"))
        log.wait_for("boxes 2.0 takes the place of boxes 1.0")

    device.actions[AT] = deploy
    device.count()
    assert device.frames == undisturbed.frames == list(range(len(undisturbed.frames)))
    assert device.totals() == undisturbed.totals()
    events = device.messages("count_event")
    assert [(e["class"], e["direction"], e["trackId"]) for e in events] == [
        (e["class"], e["direction"], e["trackId"]) for e in undisturbed.messages("count_event")
    ]
    assert device.versions() == ["1.0", "2.0"]
    assert {e["model"]["version"] for e in events} == {"1.0", "2.0"}
    health = device.messages("health")
    assert [health[0]["model"]["version"], health[-1]["model"]["version"]] == ["1.0", "2.0"]
    assert "candidate" not in health[-1]
    assert set(health[-1]["cameras"]["dock"]["dropped"].values()) == {0}
    assert device.in_use() == "2.0"


def test_a_model_that_finds_nothing_is_refused_and_health_says_why(
    device: Device, log: Log
) -> None:
    def deploy() -> None:
        nms = ModelBundle.load(device.work / "current").nms
        blind = nms.model_copy(update={"score_floor": Setting(value=1.0, source="default")})
        device.place(device.version("2.0", nms=blind))
        log.wait_for("model boxes 2.0 is not taken")

    device.actions[AT], device.until = deploy, AT + 20
    device.count()
    assert device.frames[: AT + 20] == list(range(AT + 20))
    assert device.versions() == ["1.0"]
    assert device.in_use() == "1.0"
    told = device.messages("health")[-1]
    candidate = told["candidate"]
    assert (candidate["model"]["version"], candidate["state"]) == ("2.0", "refused")
    assert "it finds 0 of " in candidate["reason"]
    assert "model.canary.minAgreement asks for 80%" in candidate["reason"]
    assert candidate["reason"] in told["stateReason"]


def test_refused_models_leave_the_way_back_to_the_one_before_the_one_in_use(
    device: Device, log: Log
) -> None:
    def deploy() -> None:
        device.place(device.version("2.0"))
        log.wait_for("boxes 2.0 takes the place of boxes 1.0")
        for version in ("3.0", "4.0"):
            device.place(device.version(version, classes=("crate", version)))
            log.wait_for(f"model boxes {version} is not taken")

    device.actions[AT], device.until = deploy, AT + 10
    device.count(line_classes=["blue box"])
    refused = {"current": "4.0", "in-use": "2.0", "previous": "1.0"}
    assert device.links() == refused
    assert len(list((device.work / "models").iterdir())) == 3

    # As if it had been killed between the one link and the other.
    (device.work / "next").symlink_to((device.work / "in-use").readlink())
    (device.work / "next").replace(device.work / "previous")
    device.actions[5], device.until = lambda: None, 10
    device.count(line_classes=["blue box"])
    assert device.links() == refused


def test_a_slower_model_is_refused_and_not_begun_with(
    demo_bundle: Path, tmp_path: Path, log: Log
) -> None:
    """What is configured makes any model a slow one."""
    device = Device(tmp_path, demo_bundle, maxSlowdown=1e-6)
    device.place(demo_bundle)

    def deploy() -> None:
        device.place(device.version("2.0"))
        log.wait_for("model boxes 2.0 is not taken: it takes ")

    device.actions[AT], device.until = deploy, AT + 10
    device.count()
    assert device.versions() == ["1.0"]
    assert "model.canary.maxSlowdown" in device.messages("health")[-1]["stateReason"]
    device.count()
    assert device.versions() == ["1.0"]
    assert device.messages("health")[-1]["candidate"]["state"] == "refused"


def test_classes_that_a_new_model_names_otherwise_are_counted_under_their_names(
    device: Device, undisturbed: Device, log: Log
) -> None:
    """What was counted under a name that is gone stays, and what is in view goes on as one."""

    def deploy() -> None:
        device.place(device.version("2.0", classes=("crate", "blue box")))
        log.wait_for("boxes 2.0 takes the place of boxes 1.0")

    device.actions[AT] = deploy
    device._canary["minAgreement"] = 0  # both networks are one, which calls yellow boxes blue now
    device.count()
    assert device.frames == undisturbed.frames
    before, after = undisturbed.totals(), device.totals()
    assert after.keys() == {"crate", "blue box", "yellow box"}
    for way in ("in", "out"):
        assert sum(n[way] for n in after.values()) == sum(n[way] for n in before.values())
    events = device.messages("count_event")
    assert {e["class"] for e in events if e["model"]["version"] == "1.0"} == {*CLASSES}
    assert {e["class"] for e in events[-5:]} <= {"crate", "blue box"}
    stock = device.messages("inventory")[-1]["stock"]
    assert stock == {name: n["in"] - n["out"] for name, n in after.items()}


def test_a_model_without_a_class_that_a_line_counts_is_refused(device: Device, log: Log) -> None:
    def deploy() -> None:
        device.place(device.version("2.0", classes=("crate", "yellow box")))
        log.wait_for("the model has no class 'blue box'")

    device.actions[AT], device.until = deploy, AT + 10
    device.count(line_classes=["blue box"])
    assert device.versions() == ["1.0"]


@pytest.mark.parametrize("first", ["model", "configuration"])
def test_a_model_and_the_configuration_that_only_fits_it_are_taken_together(
    device: Device, undisturbed: Device, log: Log, first: str
) -> None:
    def deploy() -> None:
        new = device.version("2.0", classes=("blue crate", "yellow box"))
        if first == "model":
            device.place(new)
            log.wait_for("the model has no class 'blue box'")
        device.reconfigure(["blue crate"])
        if first == "configuration":
            log.wait_for("the model has no class 'blue crate'")
            device.place(new)
        log.wait_for("boxes 2.0 takes the place of boxes 1.0")

    device.actions[AT] = deploy
    device.count(line_classes=["blue box"])
    assert device.frames == undisturbed.frames
    assert device.versions() == ["1.0", "2.0"]
    events = device.messages("count_event")
    assert {e["class"] for e in events if e["model"]["version"] == "2.0"} == {"blue crate"}
    told = device.messages("health")[-1]
    assert "candidate" not in told
    assert "no class" not in told.get("stateReason", "")


def test_a_refused_model_is_tried_again_once_no_line_counts_the_class_that_it_lacks(
    device: Device, log: Log
) -> None:
    def deploy() -> None:
        device.place(device.version("2.0", classes=("crate", "yellow box")))
        log.wait_for("the model has no class 'blue box'")
        device.reconfigure([])
        log.wait_for("boxes 2.0 takes the place of boxes 1.0")

    device.actions[AT], device.until = deploy, AT + 10
    device._canary["minAgreement"] = 0
    device.count(line_classes=["blue box"])
    assert device.versions() == ["1.0", "2.0"]


def test_a_damaged_model_is_refused(device: Device, log: Log) -> None:
    def deploy() -> None:
        new = device.version("2.0")
        onnx = next(new.glob("*.onnx"))
        onnx.write_bytes(onnx.read_bytes()[:-1] + b"?")
        shutil.copytree(new, device.work / "models" / "half")
        (device.work / "next").symlink_to("models/half")
        (device.work / "next").replace(device.work / "current")
        log.wait_for("was changed since the conversion")

    device.actions[AT], device.until = deploy, AT + 10
    device.count()
    assert device.versions() == ["1.0"]
    candidate = device.messages("health")[-1]["candidate"]
    assert (candidate["model"], candidate["state"]) == (None, "refused")
    assert "was changed since the conversion" in candidate["reason"]


def test_the_link_goes_back_to_a_model_that_was_in_use_without_a_comparison(
    device: Device, undisturbed: Device, log: Log
) -> None:
    def deploy() -> None:
        device.place(device.version("2.0"))
        log.wait_for("boxes 2.0 takes the place of boxes 1.0")
        # Nothing would pass from here on.
        device.place(device._demo_bundle)
        log.wait_for("boxes 1.0 takes the place of boxes 2.0")

    device.actions[AT] = deploy
    device.count()
    assert device.frames == undisturbed.frames
    assert device.totals() == undisturbed.totals()
    assert device.versions() == ["1.0"]  # the frame waited for both
