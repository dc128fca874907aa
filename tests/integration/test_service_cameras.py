"""Many cameras on one device: those that are lost, those that want too much, those that rest."""

from __future__ import annotations

import json
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
from network_camera import network_camera

from edgetally.capture.view import viewed
from edgetally.config import CameraConfig, Config, parse_config
from edgetally.errors import EdgetallyError
from edgetally.service import Service

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from edgetally.bundle import ModelBundle
    from edgetally.capture import Frame
    from edgetally.counting.events import CameraUpdate, CountEvent
    from edgetally.messaging.messages import CameraHealth


def configured(bundle: ModelBundle, folder: Path, cameras: list[dict[str, Any]]) -> Config:
    content = {
        "model": {"path": str(bundle.file("onnx").parent), "engine": "openvino"},
        "cameras": cameras,
        "publish": {"transports": [{"type": "jsonl", "path": str(folder / "messages.jsonl")}]},
        "storage": {"path": str(folder / "state")},
    }
    return parse_config(content, "test")


def health_messages(folder: Path) -> list[dict[str, Any]]:
    path = folder / "messages.jsonl"
    entries = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    return [entry["message"] for entry in entries if entry["topic"].endswith("/health")]


class StopWhen:
    """Counts frames by camera, and stops the service once `is_enough`; called with each."""

    def __init__(self, is_enough: Callable[[Counter[str]], bool]) -> None:
        self.frames: Counter[str] = Counter()
        self.updates: list[tuple[Frame, CameraUpdate]] = []
        self._is_enough = is_enough

    def started(self, service: Service) -> None:
        self._service = service

    def frame(self, frame: Frame, update: CameraUpdate) -> None:
        self.frames[frame.camera] += 1
        self.updates.append((frame, update))
        if self._is_enough(self.frames):
            self._service.stop()

    def event(self, event: CountEvent) -> None:
        pass


def run(config: Config, is_enough: Callable[[Counter[str]], bool]) -> dict[str, CameraHealth]:
    service = Service(config, observer=StopWhen(is_enough))
    service.run()
    return {loop.camera.name: loop.health() for loop in service.loops}


def assert_every_frame_is_accounted_for(health: CameraHealth) -> None:
    taken = health.captured - health.dropped["newer"]
    assert 0 <= taken - health.processed - health.skipped_still <= 6  # those cut off by the stop


def test_a_lost_camera_is_told_at_once_and_neither_ends_nor_disturbs_the_others(
    bundle: ModelBundle, tmp_path: Path
) -> None:
    """It hangs up after 12 images, and is there again when it is asked the next time."""

    def is_back(_: Counter[str]) -> bool:
        told = [message["cameras"]["gate"] for message in health_messages(tmp_path)]
        return any(gate["state"] == "lost" for gate in told) and told[-1]["reconnects"] > 0

    with network_camera() as url:
        cameras = [{"name": "dock", "source": "test:64x48"}, {"name": "gate", "source": url}]
        health = run(configured(bundle, tmp_path, cameras), is_back)
    assert health_messages(tmp_path)[-1]["state"] == "stopping"
    assert health["gate"].processed > 1
    assert health["dock"].processed > 0.7 * health["dock"].captured > 3
    for each in health.values():
        assert_every_frame_is_accounted_for(each)


def test_a_camera_that_never_answers_does_not_keep_a_run_from_stopping(
    bundle: ModelBundle, tmp_path: Path
) -> None:
    cameras = [
        {"name": "dock", "source": "test:64x48"},
        {"name": "gate", "source": "http://127.0.0.1:9/none"},
    ]
    health = run(configured(bundle, tmp_path, cameras), lambda frames: frames["dock"] == 5)
    assert (health["gate"].processed, health["gate"].frame_age) == (0, None)
    assert health["gate"].latency is None


def test_cameras_that_want_too_much_get_the_same_and_hear_by_how_much_they_are_short(
    bundle: ModelBundle, tmp_path: Path
) -> None:
    """Three that ask for more than the device gives, one that asks for little."""
    greedy = {"fast": 200, "faster": 220, "fastest": 240}
    cameras: list[dict[str, Any]] = [
        {"name": name, "source": "test:64x48", "fps": fps, "maxFrames": 10_000}
        for name, fps in ({"slow": 4} | greedy).items()
    ]
    content = configured(bundle, tmp_path, cameras)
    # Else what this untrained model makes up keeps the counting busy, and the engine waits for it.
    certain = content.model.model_copy(update={"score_threshold": 0.95})
    config = content.model_copy(update={"model": certain})
    until = time.monotonic() + 4  # what is missing shows once cameras have run for some seconds
    before: Counter[str] = Counter()  # since when all of them run: they begin one by one

    def is_enough(frames: Counter[str]) -> bool:
        if not before and all(frames[name] for name in greedy):
            before.update(frames)
        shown = sum((frames - before).values()) if before else 0
        return shown >= 130 and time.monotonic() >= until

    health = run(config, is_enough)
    given = [health[name].processed - before[name] for name in greedy]
    assert min(given) > 0.8 * max(given)
    for name in greedy:
        each = health[name]
        assert each.shortfall > 20
        assert each.fps_processed + each.shortfall == pytest.approx(each.fps_wanted, rel=0.2)
        assert each.latency is not None
        assert each.latency.p50 < 20 / each.fps_processed  # newest first: no queue grows
        assert_every_frame_is_accounted_for(each)
    assert health["slow"].dropped["newer"] <= 2
    assert health["slow"].fps_wanted == 4
    assert health["slow"].shortfall <= 1  # where other work has the device, too


def test_a_camera_whose_decoding_is_too_slow_hears_by_how_much_it_is_short(
    bundle: ModelBundle, tmp_path: Path
) -> None:
    """Pictures of 8 megapixels, 240 a second: few are made, and none is dropped as older."""
    camera = {"name": "dock", "source": "test:3840x2160", "fps": 240}
    begun: list[float] = []

    def is_enough(frames: Counter[str]) -> bool:
        if frames["dock"] and not begun:
            begun.append(time.monotonic())
        return bool(begun) and time.monotonic() >= begun[0] + 4

    health = run(configured(bundle, tmp_path, [camera]), is_enough)["dock"]
    assert health.shortfall > 100
    assert health.fps_processed + health.shortfall == pytest.approx(240, rel=0.1)


def test_a_file_loses_no_frame_beside_a_live_camera_that_wants_all(
    bundle: ModelBundle, tmp_path: Path
) -> None:
    write_still(tmp_path / "video.mp4", frames=60)
    cameras: list[dict[str, Any]] = [
        {"name": "file", "source": str(tmp_path / "video.mp4")},
        {"name": "live", "source": "test:64x48", "fps": 240},
    ]
    health = run(configured(bundle, tmp_path, cameras), lambda frames: frames["file"] == 60)
    assert (health["file"].processed, health["file"].dropped["newer"]) == (60, 0)
    assert health["live"].processed > 20


def write_still(path: Path, frames: int) -> None:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 5, (320, 240))
    picture = np.random.default_rng(3).integers(0, 256, (12, 16, 3), np.uint8)
    picture = np.asarray(cv2.resize(picture, (320, 240)), np.uint8)
    for _ in range(frames):
        writer.write(picture)
    writer.release()


def test_a_still_camera_rests_and_looks_now_and_then(bundle: ModelBundle, tmp_path: Path) -> None:
    """The network's weak detections never settle; so it looks for less and less long."""
    write_still(tmp_path / "video.mp4", frames=400)  # eighty seconds
    gate = {"enabled": True, "maxIdle": 10}
    camera = {"name": "dock", "source": str(tmp_path / "video.mp4"), "motionGate": gate}
    observer = StopWhen(lambda _: False)
    config = configured(bundle, tmp_path, [camera])
    model = config.model.model_copy(update={"score_threshold": 0.99})  # nothing that flickers
    service = Service(config.model_copy(update={"model": model}), observer=observer)
    service.run()
    health = service.loops[0].health()
    assert health.processed + health.skipped_still == 400
    looked = [frame.index for frame, _ in observer.updates]
    gaps = np.diff(looked)
    assert max(gaps) == pytest.approx(50, abs=1)
    rests = np.flatnonzero(gaps > 25)  # the number of the look before each
    looks = np.diff(rests, prepend=-1).tolist()
    assert looks == sorted(looks, reverse=True)
    assert looks[0] == pytest.approx(22, abs=3)  # four seconds of five frames
    assert looks[-1] <= 2
    assert health_messages(tmp_path)[-1]["cameras"]["dock"]["skippedStill"] == health.skipped_still


def test_a_region_is_looked_at_alone_and_told_in_the_whole_frame(
    bundle: ModelBundle, tmp_path: Path
) -> None:
    """The left half as a picture of its own, and as a region of the whole."""
    rng = np.random.default_rng(5)
    blocks = rng.integers(0, 256, (6, 8, 3), np.uint8).repeat(40, 0).repeat(40, 1)
    for name, picture in (("whole", blocks), ("half", blocks[:, :160])):
        (tmp_path / name).mkdir()
        cv2.imwrite(str(tmp_path / name / "1.png"), picture)
    cameras: list[dict[str, Any]] = [
        {"name": "whole", "source": str(tmp_path / "whole"), "region": [0, 0, 0.5, 1]},
        {"name": "half", "source": str(tmp_path / "half")},
    ]
    config = configured(bundle, tmp_path, cameras)
    model = config.model.model_copy(update={"score_threshold": 0.2})
    observer = StopWhen(lambda _: False)
    Service(config.model_copy(update={"model": model}), observer=observer).run()
    found = {frame.camera: update.detections for frame, update in observer.updates}
    assert len(found["half"]) > 0
    assert found["whole"].scores == pytest.approx(found["half"].scores)
    expected = found["half"].boxes * np.array([0.5, 1, 0.5, 1], np.float32)
    assert found["whole"].boxes == pytest.approx(expected, abs=1e-6)


def test_a_camera_that_fails_is_named_while_the_others_go_on(
    bundle: ModelBundle,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    write_still(tmp_path / "video.mp4", frames=60)

    def breaks(image: NDArray[np.uint8], config: CameraConfig) -> NDArray[np.uint8]:
        if config.name == "gate":
            raise ValueError("the picture is upside down")
        return viewed(image, config)

    monkeypatch.setattr("edgetally.capture.camera.viewed", breaks)
    cameras: list[dict[str, Any]] = [
        {"name": "dock", "source": "test:64x48"},
        {"name": "gate", "source": str(tmp_path / "video.mp4")},
    ]
    failed = "camera gate failed: the picture is upside down"
    with pytest.raises(EdgetallyError, match=failed):
        run(configured(bundle, tmp_path, cameras), lambda _: failed in caplog.text)
    assert f"{failed}; the other cameras go on" in caplog.text
