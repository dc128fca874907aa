"""Which model is used: what a link leads to, what a message asks for, what a device remembers."""

from __future__ import annotations

import shutil
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from disk_trouble import fill, small_disk
from edgetally.bundle import ModelBundle, sha256_of
from edgetally.config import Config, parse_config
from edgetally.errors import EdgetallyError, InputError
from edgetally.service.first_model import first_model
from edgetally.service.model_exchange import ModelExchange
from edgetally.service.model_in_use import ModelInUse
from edgetally.service.model_record import ModelRecord
from edgetally.service.turns import Turns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from edgetally.service.model_in_use import LoadedModel

WAIT = 60.0


class Desk:
    """A device's models and its service's exchange, from one start to the next."""

    def __init__(self, folder: Path, bundle: ModelBundle) -> None:
        self.folder, self.work = folder, folder / "work"
        self._bundle = bundle.folder
        (self.work / "models").mkdir(parents=True)
        self.canary: dict[str, Any] = {"wait": 0, "maxSlowdown": 1000}
        self.thresholds: dict[str, float] = {}
        self.zone_classes: list[str] = []
        self.in_the_way = ""  # of another configuration
        self.answers: dict[str, str | None] = {}
        self.exchange: ModelExchange | None = None

    def make(self, version: str, **changes: Any) -> Path:
        folder = self.work / "models" / f"boxes-{version}"
        shutil.copytree(self._bundle, folder)
        bundle = ModelBundle.load(folder)
        update = {"name": "boxes", "version": version, **changes}
        bundle.model_copy(update=update).write(folder)
        return folder

    def link(self, version: str, name: str = "current") -> None:
        new = self.work / "next"
        new.symlink_to(f"models/boxes-{version}")
        new.replace(self.work / name)

    @property
    def config(self) -> Config:
        return parse_config(
            {
                "model": {
                    "path": str(self.work / "current"),
                    "scoreThreshold": 0.3,
                    "classThresholds": self.thresholds,
                    "canary": self.canary,
                },
                "cameras": [
                    {
                        "name": "dock",
                        "source": "0",
                        "zones": [
                            {
                                "name": "all",
                                "polygon": [[0, 0], [1, 0], [1, 1], [0, 1]],
                                "classes": self.zone_classes,
                            }
                        ],
                    }
                ],
                "storage": {"path": str(self.folder / "state")},
            },
            "test",
        )

    def start(self, *, frames: int = 3) -> None:
        (self.folder / "state").mkdir(exist_ok=True)
        self.models = ModelInUse(first_model(self.config))
        turns = Turns(self.models.current.detector.in_flight)
        self.exchange = ModelExchange(
            self.config, self.models, lambda: turns, self._switch, self._apply
        )
        self.exchange.start()
        if frames:
            self.show(frames)

    def show(self, frames: int) -> None:
        rng = np.random.default_rng(5)
        for number in range(frames):
            picture = rng.integers(0, 256, (240, 320, 3), np.uint8)
            self.models.frames.offer("dock", picture, float(number), is_busy=True)

    def _apply(self, config: Config, model: LoadedModel) -> None:
        if self.in_the_way:
            raise InputError(self.in_the_way)
        self.zone_classes = list(config.cameras[0].zones[0].classes)
        self._switch(model)
        assert self.exchange is not None
        self.exchange.follow(config)

    def _switch(self, model: LoadedModel) -> None:
        self.models.switch(model).detector.close()

    @property
    def version(self) -> str:
        return self.models.current.reference.version

    @property
    def state(self) -> str | None:
        assert self.exchange is not None
        candidate = self.exchange.candidate
        return None if candidate is None else candidate.state

    @property
    def problem(self) -> str:
        assert self.exchange is not None
        return self.exchange.problem or ""

    def until(self, comes: Callable[[], bool]) -> None:
        assert self.exchange is not None
        end = time.monotonic() + WAIT
        while not comes():
            assert time.monotonic() < end, (self.version, self.exchange.candidate, self.answers)
            self.exchange.tend()
            time.sleep(0.01)

    def ask(self, model: str) -> str | None:
        assert self.exchange is not None
        self.answers.clear()
        self.exchange.ask(model, lambda reason: self.answers.update(answer=reason))
        self.until(lambda: "answer" in self.answers)
        return self.answers["answer"]

    def stop(self, *, failed: bool = False) -> None:
        if self.exchange is not None:
            self.exchange.close(WAIT, failed=failed)
            self.models.current.detector.close()
            self.exchange = None

    def close(self) -> None:
        self.stop()


@pytest.fixture
def desk(tmp_path: Path, bundle: ModelBundle) -> Iterator[Desk]:
    with closing(Desk(tmp_path, bundle)) as desk:
        for version in ("1", "2"):
            desk.make(version)
        desk.link("1")
        yield desk


def test_where_the_link_leads_elsewhere_that_model_is_taken(desk: Desk) -> None:
    desk.start()
    desk.link("2")
    desk.until(lambda: desk.version == "2")
    assert (desk.work / "in-use").readlink().name == "boxes-2"


def test_a_model_waits_until_a_camera_has_shown_something(desk: Desk) -> None:
    desk.start(frames=0)
    desk.link("2")
    desk.until(lambda: desk.state == "waiting")
    assert desk.version == "1"
    desk.show(1)
    desk.until(lambda: desk.version == "2")


def test_an_untried_model_is_taken_where_no_comparison_is_wanted(desk: Desk) -> None:
    desk.canary = {"enabled": False}
    desk.start(frames=0)
    desk.link("2")
    desk.until(lambda: desk.version == "2")


def test_a_bundle_that_is_replaced_in_its_folder_is_taken_as_well(desk: Desk) -> None:
    desk.start()
    shutil.rmtree(desk.work / "models" / "boxes-1")
    desk.make("1", architecture="another one")
    before = desk.models.current
    desk.until(lambda: desk.models.current is not before)


def test_a_link_that_leads_nowhere_changes_nothing_until_it_leads_somewhere(desk: Desk) -> None:
    desk.start()
    desk.link("9")
    desk.until(lambda: desk.state == "refused")
    assert "is not a model bundle" in desk.problem
    desk.link("2")
    desk.until(lambda: desk.version == "2")
    assert desk.problem == ""


def test_a_message_brings_the_model_before_back_and_a_restart_keeps_it(desk: Desk) -> None:
    desk.start()
    desk.link("2")
    desk.until(lambda: desk.version == "2")
    desk.canary["maxSlowdown"] = 1e-6  # a message is not compared with anything
    assert desk.ask("previous") is None
    assert desk.version == "1"
    desk.stop()
    desk.start()
    assert desk.version == "1"
    assert desk.ask("previous") is None
    assert desk.version == "2"


def test_a_choice_holds_until_another_model_is_deployed(desk: Desk) -> None:
    desk.start()
    desk.make("3")
    assert desk.ask("boxes-2") is None
    assert desk.version == "2"
    desk.stop()
    desk.start()
    assert desk.version == "2"
    desk.link("3")
    desk.until(lambda: desk.version == "3")


def test_a_message_takes_a_model_that_was_refused(desk: Desk) -> None:
    desk.canary["maxSlowdown"] = 1e-6
    desk.start()
    desk.link("2")
    desk.until(lambda: desk.state == "refused")
    assert desk.ask("current") is None
    assert (desk.version, desk.problem) == ("2", "")


def test_a_message_that_asks_in_vain_leaves_all_as_it_was(desk: Desk) -> None:
    desk.make("3", classes=("crate", "tray"))
    desk.zone_classes = ["blue box"]
    desk.canary["maxSlowdown"] = 1e-6
    desk.start()
    desk.link("2")
    desk.until(lambda: desk.state == "refused")
    before = desk.problem
    answer = desk.ask("boxes-3")
    assert answer is not None
    assert "the model has no class 'blue box'" in answer
    desk.until(lambda: desk.problem == before)
    assert desk.version == "1"


@pytest.mark.parametrize("wish", ["previous", "boxes-9", "../models/boxes-2", "", "\0"])
def test_a_model_that_is_not_there_is_told_with_those_that_are(desk: Desk, wish: str) -> None:
    desk.start()
    answer = desk.ask(wish)
    assert answer is not None
    assert "boxes-1, boxes-2" in answer
    assert desk.version == "1"


def test_a_refused_model_is_tried_again_once_models_are_configured_otherwise(desk: Desk) -> None:
    desk.canary["maxSlowdown"] = 1e-6
    desk.start()
    desk.link("2")
    desk.until(lambda: desk.state == "refused")
    desk.canary["maxSlowdown"] = 1000
    assert desk.exchange is not None
    desk.exchange.follow(desk.config)
    desk.until(lambda: desk.version == "2")


def test_a_deployed_model_is_tried_beside_the_last_one_after_a_restart(desk: Desk) -> None:
    """The nucleus may stop the service while it places the model."""
    desk.start()
    desk.stop()
    desk.link("2")
    desk.start(frames=0)
    assert desk.version == "1"
    desk.show(1)
    desk.until(lambda: desk.version == "2")


def test_a_model_with_classes_that_the_configuration_wants_is_begun_with(desk: Desk) -> None:
    """A deployment that brings a model and a configuration for it."""
    desk.start()
    desk.stop()
    desk.make("3", classes=("crate", "tray"))
    desk.link("3")
    desk.zone_classes = ["crate"]
    desk.start()
    assert desk.version == "3"


@pytest.mark.parametrize(
    ("zone", "thresholds", "reason"),
    [
        (["blue box"], {}, "zone 'all': the model has no class 'blue box'"),
        ([], {"blue box": 0.5}, "class threshold for 'blue box': the model has no such class"),
    ],
)
def test_a_model_that_does_not_fit_the_configuration_is_refused(
    desk: Desk, zone: list[str], thresholds: dict[str, float], reason: str
) -> None:
    desk.zone_classes, desk.thresholds = zone, thresholds
    desk.start()
    desk.make("3", classes=("crate", "yellow box"))
    desk.link("3")
    desk.until(lambda: desk.state == "refused")
    assert reason in desk.problem
    assert desk.version == "1"


def test_a_model_that_cannot_be_loaded_is_refused(desk: Desk) -> None:
    """Its hash is right, and what it is of is no network."""
    desk.start()
    folder = desk.make("3")
    bundle = ModelBundle.load(folder)
    bundle.file("onnx").write_bytes(b"no network")
    files = dict(bundle.files)
    files["onnx"] = files["onnx"].model_copy(update={"sha256": sha256_of(bundle.file("onnx"))})
    bundle.model_copy(update={"files": files}).write(folder)
    desk.link("3")
    desk.until(lambda: desk.state == "refused")
    assert desk.version == "1"


@pytest.fixture
def other_classes(desk: Desk) -> Config:
    """Model 2 names its classes otherwise; return the configuration that counts one of them."""
    desk.canary = {"enabled": False}
    desk.make("other", classes=("crate", "tray"))
    desk.zone_classes = ["crate"]
    wanted = desk.config
    desk.zone_classes = [ModelBundle.load(desk.work / "current").classes[0]]
    return wanted


def test_a_model_waits_until_nothing_is_in_the_way_of_its_configuration(
    desk: Desk, other_classes: Config
) -> None:
    desk.in_the_way = "the secret is not there yet"
    desk.start()
    assert desk.exchange is not None
    desk.exchange.expect(other_classes)
    desk.link("other")
    desk.until(lambda: desk.state == "waiting")
    assert not desk.problem
    desk.in_the_way = ""
    desk.exchange.expect(other_classes)  # as it is asked for again
    desk.until(lambda: desk.version == "other")


def test_a_camera_that_is_revived_leaves_a_configuration_waiting_for_its_model(
    desk: Desk, other_classes: Config
) -> None:
    desk.start()
    assert desk.exchange is not None
    desk.exchange.expect(other_classes)
    desk.exchange.follow(desk.config)
    desk.link("other")
    desk.until(lambda: desk.version == "other")


def test_a_model_that_takes_the_process_down_does_so_twice_at_most_where_it_alone_fits(
    desk: Desk, other_classes: Config
) -> None:
    """Once it may have been the power. Then it is left out, so that the last good one can run."""
    desk.start(frames=0)
    desk.stop()
    desk.link("other")
    state = desk.folder / "state"
    died = ModelBundle.load(desk.work / "current").sha256
    before = ModelRecord.read(state, desk.config.model.path)
    before.model_copy(update={"on_trial": died}).write(state)
    was, desk.zone_classes = desk.zone_classes, ["crate"]
    desk.start(frames=0)
    assert desk.version == "other"
    with pytest.raises(EdgetallyError, match="model boxes other is left out: edgetally ended"):
        first_model(desk.config)
    desk.stop(failed=True)
    desk.zone_classes = was
    desk.start(frames=0)
    assert desk.version == "1"
    assert desk.exchange is not None
    desk.exchange.expect(other_classes)
    desk.until(lambda: desk.state == "refused")
    assert desk.version == "1"


def test_a_model_that_the_process_did_not_survive_is_not_begun_with(desk: Desk) -> None:
    desk.start()
    desk.link("2")
    desk.until(lambda: desk.version == "2")
    desk.stop(failed=True)
    desk.start()
    assert desk.version == "1"
    desk.until(lambda: desk.state == "refused")
    assert "ended without a goodbye" in desk.problem
    assert desk.ask("current") is None
    assert desk.version == "2"


def test_a_model_that_is_gone_after_a_restart_gives_way_to_the_deployed_one(desk: Desk) -> None:
    desk.start()
    desk.stop()
    desk.link("2")
    shutil.rmtree(desk.work / "models" / "boxes-1")
    desk.start()
    assert desk.version == "2"


def test_a_record_that_a_full_disk_does_not_take_leaves_nothing_behind() -> None:
    with small_disk() as disk:
        ModelRecord(path="current").write(disk)
        ballast = fill(disk)
        ModelRecord(path="other").write(disk)
        ballast.unlink()
        assert [path.name for path in disk.iterdir()] == ["model.json"]
        assert ModelRecord.read(disk, Path("current")).path == "current"


@pytest.mark.parametrize("content", ["", "[]", '{"path": 3}', "\0"])
def test_a_broken_record_is_left_out(desk: Desk, content: str) -> None:
    desk.start()
    desk.stop()
    (desk.folder / "state" / "model.json").write_text(content)
    desk.link("2")
    desk.start()
    assert desk.version == "2"


def test_without_any_model_it_does_not_begin(desk: Desk) -> None:
    desk.link("9")
    with pytest.raises(EdgetallyError, match="is not a model bundle"):
        desk.start()
