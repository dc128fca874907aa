"""Cameras that are away, break off, fall silent or hang; real servers at the other end."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
from network_camera import WAIT, grey, network_camera

from edgetally.capture import Camera, CameraState, SourceSettings, open_source
from edgetally.capture.connection import Connection
from edgetally.capture.pattern import Pattern
from edgetally.capture.sources import PlannedSource
from edgetally.config import CameraConfig

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

_JPEG = cv2.imencode(".jpg", grey(90))[1].tobytes()
_HEAD = b"HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=next\r\n\r\n"
_PART = b"--next\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%s\r\n"
_PICTURE = _PART % (len(_JPEG), _JPEG)


class Caller:
    """A server's side of its callers: counts them, and does to each what it is told to."""

    def __init__(self, answer: Callable[[socket.socket], None]) -> None:
        self.calls = 0
        self.called = threading.Condition()
        self.answer = answer

    def wait_for(self, calls: int) -> None:
        with self.called:
            assert self.called.wait_for(lambda: self.calls >= calls, WAIT)


@contextmanager
def server(answer: Callable[[socket.socket], None]) -> Iterator[tuple[str, Caller]]:
    """Yield a camera's URL, with a password in it, and who calls there."""
    caller = Caller(answer)
    listening = socket.create_server(("127.0.0.1", 0), backlog=100)

    def serve() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            with caller.called:
                caller.calls += 1
                caller.called.notify_all()
            with connection:
                connection.settimeout(WAIT)
                answer(connection)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://admin:secret@127.0.0.1:{listening.getsockname()[1]}/v?pwd=secret", caller
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join(WAIT)


def drop(_: socket.socket) -> None:
    """Close the connection at once."""


def send_a_little(connection: socket.socket) -> None:
    connection.recv(4096)
    connection.sendall(_HEAD + _PICTURE * 3)


def send_nothing(connection: socket.socket) -> None:
    while connection.recv(4096):  # until the caller hangs up
        pass


def camera(source: str, delay: Callable[[int], float] = lambda _: 0, **settings: Any) -> Camera:
    config = {"name": "dock", "source": source, **settings}
    return Camera(CameraConfig.model_validate(config), delay=delay)


def becomes(live: Camera, state: CameraState) -> bool:
    deadline = time.monotonic() + WAIT
    while live.state != state and time.monotonic() < deadline:
        live.take(0.01)
    return live.state == state


def resources() -> dict[str, int]:
    """Threads as Python and as the kernel counts them, files, and memory in MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return {
        "threads": threading.active_count(),
        "tasks": len(os.listdir("/proc/self/task")),  # noqa: PTH208 - a count
        "files": len(os.listdir("/proc/self/fd")),  # noqa: PTH208 - a count
        "memory": pages * os.sysconf("SC_PAGE_SIZE") >> 20,
    }


@pytest.mark.parametrize(
    ("answer", "reconnects"), [(drop, 1000), (send_a_little, 1000), (send_nothing, 30)]
)
def test_reconnecting_leaks_neither_threads_nor_files_nor_memory(
    answer: Callable[[socket.socket], None], reconnects: int
) -> None:
    before = resources()
    with server(answer) as (url, caller):
        live = camera(url, open_timeout=0.1, read_timeout=0.1)
        live.start()
        caller.wait_for(20)
        early = resources()
        caller.wait_for(reconnects)
        late = resources()
        live.stop()
    assert late["threads"] <= before["threads"] + 4  # server, camera, its source, one ending
    assert late["tasks"] <= early["tasks"] + 4  # FFmpeg's own, of one connection
    assert late["files"] <= early["files"] + 4
    assert late["memory"] <= early["memory"] + 16
    if answer is send_a_little:
        assert live.counters.reconnects >= reconnects * 0.9
    after = resources()
    assert after["threads"] == before["threads"]
    assert after["tasks"] <= before["tasks"] + 4  # some of FFmpeg's may be ending
    assert after["files"] <= before["files"]


def test_a_camera_that_broke_off_goes_on_where_it_was_without_its_password(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with (
        caplog.at_level(logging.DEBUG),
        server(send_a_little) as (url, _),
        camera(url, buffer="every", max_frames=12) as live,
    ):
        frames = list(live)
        assert [frame.index for frame in frames] == list(range(12))
        times = [frame.media_time for frame in frames]
        assert times == sorted(times)
        assert live.counters.reconnects == 3
        assert live.counters.frame_age is not None
        assert live.state == "ended"
    said = [record.getMessage() for record in caplog.records]
    assert any("camera dock is lost" in line and "no more pictures" in line for line in said)
    assert "camera dock is back" in said
    assert "secret" not in caplog.text


def test_time_does_not_run_back_when_the_clock_is_set_back() -> None:
    now = iter([100.0, 101.0, 50.0, 51.0, 52.0, *range(1000, 9000)])
    with server(send_a_little) as (url, _):
        config = CameraConfig(name="dock", source=url, buffer="every", max_frames=4)
        with Camera(config, clock=lambda: next(now), delay=lambda _: 0) as live:
            assert [frame.media_time for frame in live] == [1, 1, 2, 3]


def test_a_camera_that_is_not_there_at_start_is_waited_for(
    caplog: pytest.LogCaptureFixture,
) -> None:
    tries: list[int] = []
    tried = threading.Event()

    def delay(failures: int) -> float:
        tries.append(failures)
        if len(tries) == 3:
            tried.set()
        return 0.01

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with camera(f"http://me:secret@127.0.0.1:{port}/", delay) as live:
        assert tried.wait(WAIT)
        assert live.state == "lost"
        assert not live.ended
        assert live.take(0) is None
        assert tries[:3] == [1, 2, 3]
    assert caplog.text.count("is lost") == 1  # not once a try
    assert "secret" not in caplog.text


def test_a_lost_camera_does_not_disturb_another_one() -> None:
    silent = threading.Event()
    with (
        server(send_nothing) as (dead_url, caller),
        network_camera(silent) as url,
        camera(dead_url, open_timeout=1.5) as dead,
    ):
        caller.wait_for(1)
        with camera(url, buffer="every", max_frames=10) as alive:
            assert len(list(alive)) == 10
        assert dead.state == "connecting"  # or it would have been waited for


def test_stop_does_not_wait_for_the_next_attempt() -> None:
    with server(drop) as (url, caller):
        live = camera(url, lambda _: 3600)
        live.start()
        caller.wait_for(1)
        assert becomes(live, "lost")
        began = time.monotonic()
        live.stop()
        assert time.monotonic() - began < 0.5
    assert live.ended
    assert live.state == "ended"


def test_a_silent_camera_is_stalled_then_lost() -> None:
    release = threading.Event()
    with network_camera(release) as url:
        live = camera(url, lambda _: 3600, read_timeout=0.4)
        with live:
            assert becomes(live, "streaming")
            assert becomes(live, "stalled")
            assert becomes(live, "lost")


class HangingCapture:
    """OpenCV's VideoCapture on a driver that hangs; no test machine has such a one."""

    def __init__(self, release: threading.Event) -> None:
        self.release_it = release

    def isOpened(self) -> bool:  # noqa: N802 - OpenCV's name
        return True

    def get(self, _: int) -> float:
        return 0.0

    def set(self, *_: object) -> bool:
        return True

    def grab(self) -> bool:
        return self.release_it.wait(WAIT)

    def retrieve(self) -> tuple[bool, NDArray[np.uint8]]:
        return True, grey(90)

    def release(self) -> None:
        pass


def test_reads_that_hang_are_given_up_and_no_more_than_two_threads_are_left_in_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    release = threading.Event()
    opened: list[HangingCapture] = []
    third = threading.Event()

    def capture(*_: object) -> HangingCapture:
        opened.append(HangingCapture(release))
        if len(opened) == 3:
            third.set()
        return opened[-1]

    monkeypatch.setattr(cv2, "VideoCapture", capture)
    before = threading.active_count()
    with camera("/dev/video7", read_timeout=0.05) as live:
        assert not third.wait(0.5)  # seven times the timeout
        assert len(opened) == 2
        assert live.state == "lost"
        assert threading.active_count() <= before + 3
        release.set()  # both come back, too late
        assert third.wait(WAIT)
        assert becomes(live, "streaming")
        assert live.counters.reconnects == 0  # what came too late was not taken for a return


def test_the_pattern_is_a_live_camera_that_keeps_its_pace() -> None:
    began = time.monotonic()
    with camera("test:64x48", fps=50, max_frames=10, buffer="every") as live:
        frames = list(live)
        assert live.is_live
    assert time.monotonic() - began >= 0.16
    assert len(frames) == 10
    assert frames[0].image.shape == (48, 64, 3)


class StubCapture(HangingCapture):
    """OpenCV's VideoCapture that opened as its time was over, or breaks: hard to time for real."""

    def __init__(self, given: object) -> None:
        super().__init__(threading.Event())
        self.given = given

    def grab(self) -> bool:
        return True

    def retrieve(self) -> Any:
        if isinstance(self.given, Exception):
            raise self.given
        return True, self.given


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (None, "delivers pictures that can't be decoded"),
        (np.empty((0, 0, 3), np.uint8), "delivers pictures that can't be decoded"),
        (RuntimeError("rtsp://u:secret@h/\nsecret"), "fails: RuntimeError in test_camera_lost.py"),
        (MemoryError(), "fails: MemoryError in test_camera_lost.py"),
    ],
)
def test_whatever_goes_wrong_in_a_live_camera_is_told_once_and_tried_again(
    given: object,
    says: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    opened: list[StubCapture] = []

    def capture(*_: object) -> StubCapture:
        opened.append(StubCapture(given if len(opened) < 3 else grey(90)))
        return opened[-1]

    monkeypatch.setattr(cv2, "VideoCapture", capture)
    with camera("http://u:secret@127.0.0.1/v", lambda _: 0.01, max_frames=2) as live:
        assert len(list(live)) == 2
        assert live.counters.reconnects == 1  # the attempts before gave no picture
    (line,) = [each.getMessage() for each in caplog.records if each.levelno == logging.WARNING]
    assert line.startswith("camera dock is lost, and tried again for ever: http://***@127.0.0.1/…")
    assert says in line
    assert "secret" not in line
    assert "\n" not in line


def test_a_camera_slower_than_its_open_timeout_never_ends() -> None:
    """FFmpeg wants 2048 bytes before it opens: of pictures as small as these, three."""

    def send_slowly(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(_HEAD)
        with suppress(OSError):
            for _ in range(100):
                connection.sendall(_PICTURE)
                if stopped.wait(0.25):
                    return

    stopped = threading.Event()
    with (
        server(send_slowly) as (url, caller),
        camera(url, lambda _: 0.01, open_timeout=0.5) as live,
    ):
        caller.wait_for(3)
        assert live.take(0) is None or live.counters.reconnects
        assert not live.ended
        stopped.set()


def test_pictures_that_are_broken_when_a_connection_ends_are_counted() -> None:
    good, broken = _PICTURE, _PART % (len(_JPEG), bytes(len(_JPEG)))

    def send_broken(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(_HEAD + good * 4 + broken * 3)

    with server(send_broken) as (url, _):
        live = camera(url, lambda _: 3600, buffer="every")
        with live:
            assert becomes(live, "lost")
            assert live.counters.captured == 4
            assert live.counters.dropped["broken"] == 3


def test_a_multipart_stream_does_not_tell_a_rate_that_nobody_knows() -> None:
    with network_camera() as url, camera(url, buffer="every", max_frames=3) as live:
        assert len(list(live)) == 3
        assert live.fps is None


class SetClock:
    """Stands for the `time` module: a clock that the test sets."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("gaps", "silence", "stalled"),
    [
        ([0, 0, 0, 4, 4, 4], 4.5, False),  # three came at once, when it opened
        ([0, 0, 0, 4], 4.5, False),
        ([0, 0, 0, 4, 4, 4], 9.5, True),  # the read timeout is ten
        ([2.5] * 6, 5, False),
        ([2.5] * 6, 8, True),
        ([0.04] * 50, 2.5, True),
        ([0.04] * 50, 1.5, False),
        ([0.04] * 50 + [3] + [0.04] * 20, 2.5, True),  # one long gap is not the usual one
        ([], 5, False),
        ([], 9.5, True),
        ([9.2], 9.4, False),  # as far apart as the read timeout allows, and at its pace
        ([9.2, 8.8, 9.4, 9, 9.1] * 3, 9.9, False),
        ([9.2, 8.8, 9.4, 9, 9.1] * 3, 11.5, True),
    ],
)
def test_a_camera_is_stalled_when_it_is_silent_for_far_longer_than_usual(
    gaps: list[float], silence: float, stalled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = SetClock()
    monkeypatch.setattr("edgetally.capture.connection.time", clock)
    step = iter(gaps)

    class Paced(Pattern):
        def grab(self) -> bool:
            gap = next(step, None)
            if gap is None:
                return False
            clock.now += gap
            return True

    plan = PlannedSource("paced", can_be_lost=True, _opened=lambda: Paced(64, 48, 1))
    connection = Connection(
        plan,
        threading.Condition(),
        lambda *_: True,
        name="paced",
        open_timeout=10,
        read_timeout=10,
    )
    connection.start()
    assert connection.join(WAIT)
    clock.now += silence
    assert connection.is_stalled == stalled


def test_stop_tells_of_a_camera_that_hangs(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    release = threading.Event()
    monkeypatch.setattr(cv2, "VideoCapture", lambda *_: HangingCapture(release))
    live = camera("/dev/video7", read_timeout=0.05)
    live.start()
    assert becomes(live, "lost")  # given up, and still in its read
    live.stop()
    assert "camera dock hangs; it is left behind" in caplog.text
    release.set()


def test_what_a_pattern_skips_while_its_reader_is_slow_is_counted_as_missed() -> None:
    with open_source("test:64x48", SourceSettings(fps=100)) as source:
        assert source.grab()
        threading.Event().wait(0.1)
        assert source.grab()
        assert source.missed == source.index - 1 >= 8
    with camera("test:64x48", fps=100, buffer="every") as live:
        while live.counters.captured < 4:
            threading.Event().wait(0.01)
        threading.Event().wait(0.15)  # four wait for their reader, and one to be among them
        assert live.take(WAIT) is not None
        while not live.counters.dropped["missed"]:
            live.take(WAIT)
        assert live.counters.dropped["missed"] >= 5
