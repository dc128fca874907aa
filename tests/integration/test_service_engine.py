"""An engine that fails, answers nonsense or hangs, under the whole service."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest

from edgetally.config import Config, parse_config
from edgetally.detector import Detector
from edgetally.engines import RawPredictions
from edgetally.engines.engine import WorkerEngine
from edgetally.errors import EdgetallyError
from edgetally.service import Service

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from edgetally.bundle import ModelBundle
    from edgetally.messaging.messages import CameraHealth

STOPS_WITHIN = 5.0


def answer(value: float = 0.0, boxes: float = 0.25) -> RawPredictions:
    return RawPredictions(np.full((1, 4, 4), boxes, "f4"), np.full((1, 4, 2), value, "f4"))


class ScriptedEngine(WorkerEngine):
    """An engine of one worker that does with each frame, by its number, what a test says."""

    name = "scripted"

    def __init__(self, size: int, script: Callable[[int], RawPredictions]) -> None:
        super().__init__("fp32", size, workers=1)
        self._script = script
        self._number = -1

    def _predict(self, frame: NDArray[np.uint8]) -> RawPredictions:
        self._number += 1
        return self._script(self._number)


@pytest.fixture
def scripted(bundle: ModelBundle, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def use(script: Callable[[int], RawPredictions]) -> None:
        engine = ScriptedEngine(bundle.input_size, script)
        monkeypatch.setattr("edgetally.detector.detector.create_engine", lambda *_, **__: engine)

    return use


def configured(bundle: ModelBundle, folder: Path, *cameras: dict[str, Any]) -> Config:
    content = {
        "model": {"path": str(bundle.file("onnx").parent)},
        "cameras": [{"source": "test:64x48", "fps": 50, **camera} for camera in cameras],
        "publish": {"transports": [{"type": "jsonl", "path": str(folder / "messages.jsonl")}]},
        "storage": {"path": str(folder / "state")},
    }
    return parse_config(content, "test")


def health_of(service: Service) -> dict[str, CameraHealth]:
    return {loop.camera.name: loop.health() for loop in service.loops}


def told(folder: Path) -> list[dict[str, Any]]:
    lines = (folder / "messages.jsonl").read_text().splitlines()
    entries = [json.loads(line) for line in lines]
    return [each["message"] for each in entries if each["topic"].endswith("/health")]


def test_a_frame_at_which_the_engine_fails_is_dropped_and_the_camera_goes_on(
    bundle: ModelBundle,
    tmp_path: Path,
    scripted: Callable[..., None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    def script(number: int) -> RawPredictions:
        if number in {3, 4, 8}:
            raise RuntimeError("out of memory\nfor this once")
        return answer()

    scripted(script)
    service = Service(configured(bundle, tmp_path, {"name": "dock", "maxFrames": 20}))
    service.run()

    health = health_of(service)["dock"]
    assert health.dropped["engine"] == 3
    assert health.processed == health.captured - health.dropped["newer"] - 3 > 0
    assert health.problem is None
    (line,) = [each for each in caplog.messages if "scripted" in each]
    assert line.startswith("camera dock lost a frame and goes on: engine scripted at fp32")
    assert "for this once" in line
    assert "model.engine" in line


def test_an_engine_that_fails_for_good_ends_the_run_and_health_tells_why(
    bundle: ModelBundle,
    tmp_path: Path,
    scripted: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("edgetally.service.engine_trouble._LONGEST", 0.0)  # not 30 seconds

    def script(number: int) -> RawPredictions:
        if number > 5:
            raise RuntimeError("the device is gone")
        return answer()

    scripted(script)
    service = Service(configured(bundle, tmp_path, {"name": "dock"}))
    with pytest.raises(EdgetallyError, match=r"^camera dock ends, 30 frames .*device is gone"):
        service.run()

    last = told(tmp_path)[-1]["cameras"]["dock"]
    assert (last["state"], last["processed"], last["dropped"]["engine"]) == ("failed", 6, 30)
    assert "the device is gone" in last["problem"]


def test_a_file_at_whose_end_the_engine_fails_is_no_success(
    bundle: ModelBundle, tmp_path: Path, scripted: Callable[..., None]
) -> None:
    def script(number: int) -> RawPredictions:
        if number > 5:
            raise RuntimeError("the device is gone")
        return answer()

    scripted(script)
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for number in range(50):
        cv2.imwrite(str(pictures / f"{number}.png"), np.full((48, 64, 3), number, np.uint8))
    service = Service(configured(bundle, tmp_path, {"name": "dock", "source": str(pictures)}))
    with pytest.raises(EdgetallyError, match=r"^camera dock ended, its last 44 frames .* is gone"):
        service.run()
    assert health_of(service)["dock"].processed == 6


def test_a_source_of_few_frames_that_all_fail_is_no_success(
    bundle: ModelBundle, tmp_path: Path, scripted: Callable[..., None]
) -> None:
    scripted(lambda _: answer(float("nan")))
    with pytest.raises(EdgetallyError, match=r"camera dock counted no frame: .*no numbers"):
        Service(configured(bundle, tmp_path, {"name": "dock", "maxFrames": 5})).run()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("place", ["boxes", "value"])
def test_a_detector_refuses_answers_that_are_no_numbers(
    bundle: ModelBundle, scripted: Callable[..., None], place: str, value: float
) -> None:
    script = {place: value}
    scripted(lambda _: answer(**script))
    with Detector(bundle) as detector:
        future = detector.submit(np.zeros((48, 64, 3), np.uint8))
        with pytest.raises(
            EdgetallyError, match=r"scripted at fp32.*no numbers.*precision"
        ) as told:
            future.result(10)
    assert bundle.name in str(told.value)


def test_numbers_that_are_only_large_are_numbers(
    bundle: ModelBundle, scripted: Callable[..., None]
) -> None:
    scripted(lambda _: answer(boxes=3e38))
    with Detector(bundle) as detector:
        assert len(detector.detect(np.zeros((48, 64, 3), np.uint8))) == 0


def test_an_engine_that_hangs_is_told_and_does_not_keep_a_run_from_stopping(
    bundle: ModelBundle,
    tmp_path: Path,
    scripted: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Three cameras: one whose frame hangs, those that wait for it, and for a turn."""
    monkeypatch.setattr("edgetally.service.patience.OVERDUE", 0.3)
    forever = threading.Event()

    def script(number: int) -> RawPredictions:
        if number > 10:
            forever.wait()
        return answer()

    scripted(script)
    cameras = [{"name": name} for name in ("dock", "gate", "yard")]
    service = Service(configured(bundle, tmp_path, *cameras))
    stopped: list[float] = []

    class StopOnceTold(logging.Handler):
        def __init__(self) -> None:
            super().__init__()
            self.waiting: set[str] = set()

        def emit(self, record: logging.LogRecord) -> None:
            message = record.getMessage()
            self.waiting |= {each["name"] for each in cameras if f"{each['name']} waits" in message}
            if len(self.waiting) == len(cameras) and not stopped:
                stopped.append(time.monotonic())
                service.stop()

    handler = StopOnceTold()
    logging.getLogger("edgetally").addHandler(handler)
    try:
        with pytest.raises(EdgetallyError, match=r"was left: engine scripted at fp32.*may hang"):
            service.run()
    finally:
        logging.getLogger("edgetally").removeHandler(handler)
        forever.set()
    assert time.monotonic() - stopped[0] < STOPS_WITHIN
    messages = told(tmp_path)
    docks = [message["cameras"]["dock"] for message in messages]
    assert any(dock["state"] == "stalled" and "gave no result" in dock["problem"] for dock in docks)
    # The one whose frame hangs; which that is, is chance. Who waited for a turn just ends.
    assert "failed" in {camera["state"] for camera in messages[-1]["cameras"].values()}
    assert len([line for line in caplog.messages if "dock waits" in line]) == 1
    assert any("left behind" in line for line in caplog.messages)


HANGING = """
import sys, threading
from test_service_engine import ScriptedEngine, answer
import edgetally.detector.detector
from edgetally.cli import main

def script(number):
    if number > 3:
        print("hangs", flush=True)
        threading.Event().wait()
    return answer()

edgetally.detector.detector.create_engine = lambda bundle, *_, **__: ScriptedEngine(
    bundle.input_size, script
)
main(["run", "--config", sys.argv[1]])
"""


def test_a_program_whose_engine_hangs_ends_when_it_is_told_to(
    bundle: ModelBundle, tmp_path: Path
) -> None:
    config = configured(bundle, tmp_path, {"name": "dock"})
    path = tmp_path / "config.yaml"
    path.write_text(config.model_dump_json(by_alias=True, exclude_unset=True))
    places = [str(Path(__file__).parent), *sys.path]
    with subprocess.Popen(
        [sys.executable, "-c", HANGING, str(path)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(places)},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "hangs\n"
            process.send_signal(signal.SIGTERM)
            process.wait(2 * STOPS_WITHIN)
        finally:
            process.kill()
    assert process.returncode == 0
    assert told(tmp_path)[-1]["state"] == "stopping"
