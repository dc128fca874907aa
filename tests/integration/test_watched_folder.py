"""Watched folders: what is put there, how, and what is no picture; real files throughout."""

from __future__ import annotations

import os
import struct
import threading
import time
import zlib
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
from network_camera import WAIT, grey

from edgetally.capture import Camera, CameraState
from edgetally.capture.arrivals import Arrivals
from edgetally.capture.listing import Listing
from edgetally.config import CameraConfig

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NOISE = np.random.default_rng(1).integers(0, 256, (48, 64, 3), np.uint8)
ENDINGS = (".png", ".jpg", ".bmp", ".webp", ".tiff")


def encoded(image: object, kind: str = ".png") -> bytes:
    return cv2.imencode(kind, np.asarray(image))[1].tobytes()


def camera(place: object, **settings: Any) -> Camera:
    config = {"name": "dock", "source": str(place), "watch": True, **settings}
    return Camera(CameraConfig.model_validate(config), delay=lambda _: 0.01)


def becomes(live: Camera, *states: CameraState) -> bool:
    deadline = time.monotonic() + WAIT
    while live.state not in states and time.monotonic() < deadline:
        live.take(0.01)
    return live.state in states


def next_level(live: Camera) -> int:
    frame = live.take(WAIT)
    assert frame is not None
    return int(frame.image[0, 0, 0])


def put(path: Path, content: bytes) -> None:
    """Put a file there whole, as a program does that is careful."""
    beside = path.with_suffix(".part")
    beside.write_bytes(content)
    beside.rename(path)


@contextmanager
def again_and_again(act: Callable[[int], object]) -> Iterator[None]:
    """Do something every few milliseconds until the block ends."""
    ended = threading.Event()

    def run() -> None:
        number = 0
        while not ended.wait(0.02):
            act(number)
            number += 1

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@pytest.mark.parametrize("kind", ENDINGS)
def test_a_file_that_is_written_slowly_is_taken_once_it_is_whole_and_never_called_broken(
    tmp_path: Path, kind: str, capfd: pytest.CaptureFixture[str]
) -> None:
    put(tmp_path / "2.png", encoded(grey(20)))
    whole = encoded(NOISE, kind)
    with camera(tmp_path) as live:
        assert next_level(live) == 20
        (tmp_path / "3.txt").write_text("no image")
        with (tmp_path / f"1{kind}").open("wb") as stream:
            stream.write(whole[: len(whole) // 2])
            stream.flush()
            assert live.take(0.5) is None  # it was looked at more than once
            stream.write(whole[len(whole) // 2 :])
        frame = live.take(WAIT)
        assert frame is not None
        assert frame.index == 1
        assert frame.image.shape == NOISE.shape
        assert live.counters.dropped["broken"] == 0
        assert live.state == "streaming"
    assert capfd.readouterr().err == ""


def test_what_stays_broken_is_counted_once(tmp_path: Path) -> None:
    head = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    bomb = bytearray(encoded(grey(20)))
    bomb[16:33] = head + struct.pack(">I", zlib.crc32(b"IHDR" + head))
    (tmp_path / "bomb.png").write_bytes(bomb)
    (tmp_path / "half.jpg").write_bytes(encoded(NOISE, ".jpg")[:-50])
    (tmp_path / "text.jpg").write_text("no picture")
    (tmp_path / "empty.jpg").touch()
    with (tmp_path / "huge.jpg").open("wb") as stream:
        stream.truncate(2 << 30)
    with camera(tmp_path) as live:
        deadline = time.monotonic() + WAIT
        while live.skipped < 5 and time.monotonic() < deadline:
            assert live.take(0.05) is None
        assert live.take(0.5) is None
        assert live.skipped == 5


def test_a_picture_that_is_replaced_all_the_time_is_taken_all_the_time(tmp_path: Path) -> None:
    path = tmp_path / "live.jpg"
    with (
        again_and_again(lambda number: put(path, encoded(grey(number % 200), ".jpg"))),
        camera(tmp_path) as live,
    ):
        assert len({next_level(live) for _ in range(5)}) > 1


def test_a_picture_that_is_rewritten_in_place_all_the_time_is_taken_now_and_then(
    tmp_path: Path,
) -> None:
    path = tmp_path / "live.jpg"
    with (
        again_and_again(lambda number: path.write_bytes(encoded(grey(number % 200), ".jpg"))),
        camera(tmp_path) as live,
    ):
        assert len({next_level(live) for _ in range(3)}) > 1
        assert live.counters.dropped["broken"] == 0


def test_another_picture_of_the_same_size_and_time_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "a.bmp"
    with camera(tmp_path) as live:
        for level in (20, 120, 220):
            beside = tmp_path / "b.part"
            beside.write_bytes(encoded(grey(level), ".bmp"))
            os.utime(beside, (1e9, 1e9))
            beside.rename(path)
            assert next_level(live) == level


def test_a_picture_that_gets_other_rights_or_another_link_is_not_taken_again(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(encoded(grey(20)))
    with camera(tmp_path) as live:
        assert next_level(live) == 20
        path.chmod(0o600)
        (tmp_path / "backup").hardlink_to(path)
        assert live.take(0.5) is None
        os.utime(path)  # that is what writing does
        assert next_level(live) == 20


def test_what_is_no_ordinary_file_holds_nothing_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "0.jpg")
    (tmp_path / "1.jpg").symlink_to("/dev/zero")
    (tmp_path / "2.jpg").mkdir()
    (tmp_path / "3.jpg").symlink_to(tmp_path / "nothing")
    put(tmp_path / "4.png", encoded(grey(20)))
    with camera(tmp_path) as live:
        assert next_level(live) == 20
        os.mkfifo(tmp_path / "5.jpg")
        put(tmp_path / "6.png", encoded(grey(90)))
        assert next_level(live) == 90
        began = time.monotonic()
    assert time.monotonic() - began < 0.5


@pytest.mark.parametrize("pattern", ["", "/*.png", "/[a-z]*"])
def test_a_folder_that_is_gone_is_told_once_and_goes_on_where_it_was(
    tmp_path: Path, pattern: str, caplog: pytest.LogCaptureFixture
) -> None:
    folder, away = tmp_path / "in", tmp_path / "away"
    folder.mkdir()
    put(folder / "a.png", encoded(grey(20)))
    with camera(f"{folder}{pattern}", read_timeout=0.4) as live:
        assert next_level(live) == 20
        assert live.problem is None
        folder.rename(away)
        assert becomes(live, "stalled", "lost")
        assert f"{folder}{pattern} is gone: no such file" in str(live.problem)
        assert becomes(live, "lost")
        away.rename(folder)
        assert becomes(live, "streaming")
        assert live.problem is None
        put(folder / "b.png", encoded(grey(90)))
        assert next_level(live) == 90  # and not what had been taken before
        assert live.counters.reconnects == 1
    assert caplog.text.count("camera dock is lost") == 1
    assert "is gone: no such file or directory; put the folder back" in caplog.text


@pytest.mark.parametrize("pattern", ["", "/*.png"])
def test_a_folder_that_is_not_there_at_start_is_waited_for(
    tmp_path: Path, pattern: str, caplog: pytest.LogCaptureFixture
) -> None:
    with camera(f"{tmp_path / 'in'}{pattern}") as live:
        assert becomes(live, "lost")
        while live.problem is None:
            assert live.take(0.01) is None
        assert live.problem.startswith(f"folder {tmp_path / 'in'} is not there; put it there")
        assert live.problem in caplog.text
        (tmp_path / "in").mkdir()
        assert becomes(live, "streaming")
        put(tmp_path / "in" / "a.png", encoded(grey(20)))
        assert next_level(live) == 20


def test_an_empty_folder_is_no_lost_camera(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with camera(f"{tmp_path}/*.png", read_timeout=0.2) as live:
        assert becomes(live, "streaming")
        assert live.take(0.6) is None  # three times as long as a stream may be silent
        assert live.state == "streaming"
        for name in ("a", "b"):
            put(tmp_path / f"{name}.png", encoded(grey(50)))
        assert [next_level(live), next_level(live)] == [50, 50]
    with camera(tmp_path / "none*") as live:
        assert becomes(live, "streaming")
        began = time.monotonic()
    assert time.monotonic() - began < 0.5
    assert live.ended
    assert caplog.text == ""


def test_a_network_folder_that_hangs_does_not_hold_up_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No test machine has a dead network mount: asking for this folder hangs."""
    release = threading.Event()
    dead = tmp_path / "dead"
    dead.mkdir()
    put(dead / "a.png", encoded(grey(20)))
    status_of = Path.stat

    def hanging(path: Path, **settings: Any) -> os.stat_result:
        if path == dead:
            assert release.wait(WAIT)
        return status_of(path, **settings)

    monkeypatch.setattr(Path, "stat", hanging)
    with camera(dead, open_timeout=0.4) as live:  # or it would not get here
        assert becomes(live, "lost")
        release.set()
        assert next_level(live) == 20
        assert becomes(live, "streaming")


def test_a_folder_of_many_files_is_little_work_while_nothing_changes(tmp_path: Path) -> None:
    now = 0.0
    for number in range(1000):
        (tmp_path / f"{number}.jpg").touch()
    arrivals = Arrivals(Listing(str(tmp_path), clock=lambda: now))
    steps: list[None] = []

    def work() -> int:
        steps.clear()
        for path in arrivals.look(lambda: steps.append(None)):
            arrivals.note_read(path, Path(path).stat(), 0)
        return len(steps)

    assert work() == work() == 2000  # each file is listed and looked at
    now = 4.0
    work()
    now = 5.0
    assert work() < 200
    put(tmp_path / "new.jpg", b"x")
    assert len(arrivals.look(lambda: None)) == 0
    assert arrivals.look(lambda: None) == [str(tmp_path / "new.jpg")]
    now = 20.0
    assert work() > 1000  # not every file system tells when a folder changes


def test_a_glob_may_match_folders_too(tmp_path: Path) -> None:
    with camera(f"{tmp_path}/in*/*.png") as live:
        for number, name in enumerate(("in1", "in2", "out")):
            (tmp_path / name).mkdir()
            put(tmp_path / name / "a.png", encoded(grey(20 + number)))
        assert {next_level(live), next_level(live)} == {20, 21}
        assert live.take(0.3) is None


def test_an_old_picture_among_many_is_taken_again_when_it_is_rewritten(tmp_path: Path) -> None:
    for number in range(500):
        (tmp_path / f"{number}.jpg").touch()
    arrivals = Arrivals(Listing(str(tmp_path)))
    for _ in range(2):
        for path in arrivals.look(lambda: None):
            arrivals.note_read(path, Path(path).stat(), 0)
    (tmp_path / "250.jpg").write_text("another")
    looks = (arrivals.look(lambda: None) for _ in range(20))
    assert [str(tmp_path / "250.jpg")] in looks
