"""Real video files, folders and an HTTP camera, through the real OpenCV."""

from __future__ import annotations

import http.server
import itertools
import logging
import struct
import threading
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from network_camera import GREYS, HEIGHT, WAIT, WIDTH, grey, network_camera

from edgetally.capture import Camera, Frame
from edgetally.config import CameraConfig
from edgetally.errors import EdgetallyError, InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray


_FLV_VIDEO = 9


def level(image: NDArray[np.uint8]) -> int:
    """Which of GREYS an image shows."""
    shown = int(np.median(image))
    return min(GREYS, key=lambda grey: abs(grey - shown))


def write_video(path: Path, count: int = 30, fps: float = 10, codec: str = "mp4v") -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), fps, (WIDTH, HEIGHT))
    for shade in GREYS[:count]:
        writer.write(grey(shade))
    writer.release()
    return path


def noon() -> float:
    return 1_700_000_000.0


def camera(source: object, clock: Callable[[], float] = noon, **settings: Any) -> Camera:
    config = {"name": "dock", "source": str(source), **settings}
    return Camera(CameraConfig.model_validate(config), clock=clock, delay=lambda _: 0)


def all_frames(source: object, **settings: Any) -> list[Frame]:
    with camera(source, **settings) as started:
        return list(started)


def capture_threads() -> list[str]:
    return [each.name for each in threading.enumerate() if each.name.startswith("camera dock")]


@pytest.fixture
def video(tmp_path: Path) -> Path:
    return write_video(tmp_path / "clip.mp4")


class GatedClock:
    """Counts its calls; the one after `free` of them waits until the gate opens."""

    def __init__(self, free: int, step: float = 0.1) -> None:
        self.calls = 0
        self.free = free
        self.step = step
        self.reached = threading.Event()
        self.gate = threading.Event()

    def __call__(self) -> float:
        self.calls += 1
        if self.calls == self.free + 1:
            self.reached.set()
            assert self.gate.wait(WAIT)
        return 1_700_000_000 + self.step * (self.calls - 1)


def test_a_video_file_arrives_in_full_and_in_order(video: Path) -> None:
    frames = all_frames(video)
    assert [level(frame.image) for frame in frames] == list(GREYS[:30])
    assert [frame.index for frame in frames] == list(range(30))
    assert {frame.camera for frame in frames} == {"dock"}
    assert frames[0].image.dtype == np.uint8
    assert frames[0].image.shape == (HEIGHT, WIDTH, 3)


def test_time_in_a_file_is_its_own_counted_from_the_start_of_capture(video: Path) -> None:
    frames = all_frames(video)
    assert [frame.media_time for frame in frames] == pytest.approx(np.arange(30) / 10)
    assert frames[15].time == pytest.approx(1_700_000_001.5, abs=1e-6)


@pytest.mark.parametrize(
    ("fps", "indices"),
    [
        (5, list(range(0, 30, 2))),
        (1, [0, 10, 20]),
        (10, list(range(30))),
        (100, list(range(30))),
        (4, [0, 3, 5, 8, 10, 13, 15, 18, 20, 23, 25, 28]),
    ],
)
def test_fps_samples_a_file_by_its_own_clock(video: Path, fps: float, indices: list[int]) -> None:
    assert [frame.index for frame in all_frames(video, fps=fps)] == indices


def write_uneven_video(path: Path, times: list[float]) -> Path:
    """Write a video of which each frame has its own time, in seconds."""
    content = bytearray(write_video(path, len(times), codec="FLV1").read_bytes())
    start = 9 + 4  # Adobe Flash Video File Format Specification, annex E.2 to E.4
    left = list(times)
    while start < len(content):
        kind, size = content[start], int.from_bytes(content[start + 1 : start + 4], "big")
        if kind == _FLV_VIDEO and left:
            stamp = round(left.pop(0) * 1000).to_bytes(4, "big")
            content[start + 4 : start + 8] = stamp[1:] + stamp[:1]
        start += 11 + size + 4
    length = content.index(b"duration\0") + len(b"duration\0")
    content[length : length + 8] = struct.pack(">d", times[-1] + 0.1)
    path.write_bytes(content)
    return path


def test_a_file_with_a_varying_rate_is_sampled_and_timed_by_its_timestamps(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    times = [*range(10), *(10 + number / 10 for number in range(20))]
    path = write_uneven_video(tmp_path / "uneven.flv", times)
    assert [frame.media_time for frame in all_frames(path)] == pytest.approx(times)
    frames = all_frames(path, fps=1)
    assert [frame.media_time for frame in frames] == pytest.approx(range(12))
    assert [frame.index for frame in frames] == [*range(11), 20]
    assert caplog.text == ""  # it tells of 120 frames, 10 a second


def test_times_that_are_rounded_to_milliseconds_lose_no_frame(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.flv", fps=30, codec="FLV1")
    assert [frame.index for frame in all_frames(path, fps=30)] == list(range(30))


@pytest.mark.parametrize(
    "settings", [{}, {"fps": 5}, {"fps": 4}, {"max_frames": 7}, {"fps": 5, "max_frames": 3}]
)
def test_the_announced_number_of_frames_is_the_number_that_comes(
    video: Path, settings: dict[str, Any]
) -> None:
    with camera(video, **settings) as started:
        assert len(list(started)) == started.frame_count


def test_max_frames_ends_the_camera(video: Path) -> None:
    with camera(video, max_frames=4) as started:
        assert [frame.index for frame in started] == [0, 1, 2, 3]
        assert started.captured == 4
        assert started.ended


def test_a_file_waits_for_its_reader_and_drops_nothing(video: Path) -> None:
    with camera(video) as started:
        first = started.take(WAIT)
        assert first is not None
        assert not started.ended
        rest = list(started)
        assert [frame.index for frame in rest] == list(range(1, 30))
        assert started.dropped == 0
        assert started.captured == 30
        assert started.take(0) is None


def test_a_folder_of_images_comes_in_the_order_people_number_it(tmp_path: Path) -> None:
    for number, name in ((2, "img2.png"), (10, "img10.PNG"), (1, "img1.jpg"), (11, "img11.bmp")):
        cv2.imwrite(str(tmp_path / name), grey(GREYS[number]))
    (tmp_path / "notes.txt").write_text("not an image")
    (tmp_path / "._img3.jpg").write_bytes(b"what a Mac leaves on a memory card")
    frames = all_frames(tmp_path)
    assert [level(frame.image) for frame in frames] == [GREYS[n] for n in (1, 2, 10, 11)]
    assert [frame.media_time for frame in frames] == [0, 1, 2, 3]
    assert [frame.media_time for frame in all_frames(tmp_path, fps=4)] == [0, 0.25, 0.5, 0.75]


def test_broken_images_in_a_folder_are_skipped_and_counted(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    for name in ("0.jpg", "2.jpg", "3.png", "5.jpg"):
        cv2.imwrite(str(tmp_path / name), noise)
    for name in ("2.jpg", "3.png"):
        content = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(content[: len(content) // 2])
    (tmp_path / "1.jpg").write_bytes(b"")
    (tmp_path / "4.png").mkdir()
    with camera(tmp_path) as started:
        assert [frame.index for frame in started] == [0, 5]
        assert started.skipped == 4
    assert capfd.readouterr().err == ""


def test_a_video_damaged_in_the_middle_plays_on_after_the_damage(
    video: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    content = bytearray(video.read_bytes())
    third = len(content) // 3
    content[third : third + third // 2] = bytes(third // 2)
    video.write_bytes(content)
    with camera(video) as started:
        frames = list(started)
        assert started.skipped > 0
        assert len(frames) == 30 - started.skipped
        assert frames[-1].index == 29
        assert level(frames[-1].image) == GREYS[29]
    assert capfd.readouterr().err == ""


def test_a_video_that_was_cut_off_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write_video(tmp_path / "clip.avi", codec="MJPG")
    assert len(all_frames(path)) == 30
    assert caplog.text == ""
    whole = path.read_bytes()
    path.write_bytes(whole[: whole.rindex(b"00dc", 0, len(whole) * 3 // 4)])
    assert len(all_frames(path, max_frames=2)) == 2
    assert caplog.text == ""
    frames = all_frames(path)
    assert 2 < len(frames) < 27
    assert f"ends after {len(frames) / 10:.1f} of 3.0 s; is the file cut off?" in caplog.text


def test_a_live_source_hands_over_the_newest_frame_and_counts_the_dropped() -> None:
    clock = GatedClock(free=1 + 8)  # the start, then frames 0 to 7; frame 8 waits
    with network_camera() as url:
        live = camera(url, clock)
        live.start()
        assert clock.reached.wait(WAIT)
        newest = live.take(WAIT)
        assert newest is not None
        assert live.is_live
        assert newest.index == 7
        assert level(newest.image) == GREYS[7]
        assert newest.time == pytest.approx(1_700_000_000.8, abs=1e-6)
        assert newest.media_time == pytest.approx(0.8, abs=1e-6)
        assert live.dropped == 7
        assert live.captured == 8
        clock.gate.set()
        live.stop()


def test_a_live_source_plays_on_after_broken_pictures() -> None:
    clock = GatedClock(free=1 + 8)
    with network_camera(broken=(2, 3, 6)) as url, camera(url, clock) as live:
        assert clock.reached.wait(WAIT)
        newest = live.take(WAIT)
        assert newest is not None
        assert newest.index == 10
        assert level(newest.image) == GREYS[10]
        assert live.skipped == 3
        clock.gate.set()


def test_max_frames_counts_the_frames_of_a_live_source_that_somebody_took() -> None:
    clock = GatedClock(free=1 + 8)
    with network_camera() as url, camera(url, clock, max_frames=3) as live:
        assert clock.reached.wait(WAIT)  # eight pictures came, nobody took one
        assert live.captured == 8
        taken = [live.take(WAIT)]
        clock.gate.set()
        taken += list(live)
        assert len(taken) == live.captured - live.dropped == 3
        assert live.state == "ended"


def test_a_live_source_that_hangs_does_not_hold_up_who_stops_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    release = threading.Event()
    with caplog.at_level(logging.INFO), network_camera(release=release) as url:
        live = camera(url)
        live.start()
        while (frame := live.take(WAIT)) is not None and level(frame.image) != GREYS[11]:
            pass
        (hanging,) = (each for each in threading.enumerate() if each.name == "camera dock source")
        live.stop()
        assert hanging.is_alive()
        assert "camera dock still waits for its next picture, then it ends" in caplog.text
        assert "hangs" not in caplog.text
        release.set()
        hanging.join(WAIT)
        assert live.ended  # and does not fail afterwards
        assert live.take() is None


def test_fps_paces_a_live_source_by_the_clock() -> None:
    clock = GatedClock(free=1 + 9)  # a tenth of a second a frame
    with network_camera() as url:
        live = camera(url, clock, fps=5)
        live.start()
        assert clock.reached.wait(WAIT)
        assert live.captured == 5  # frames at 0.1 s, 0.2 s, 0.4 s, 0.6 s and 0.8 s
        clock.gate.set()
        live.stop()


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder's files by HTTP, whole and at once."""
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_fps_paces_pictures_that_arrive_together_by_their_timestamps(tmp_path: Path) -> None:
    write_video(tmp_path / "clip.flv", fps=10, codec="FLV1")
    calls = itertools.count()

    def clock() -> float:  # ten pictures arrive each second, all at once
        return 1_700_000_000.0 + next(calls) // 10

    with (
        served(tmp_path) as url,
        camera(f"{url}/clip.flv", clock, fps=5, buffer="every") as live,
    ):
        indices = list(itertools.takewhile(lambda index: index < 30, (each.index for each in live)))
    assert 14 <= len(indices) <= 16
    assert max(np.diff(indices)) <= 3


def test_an_error_in_the_thread_reaches_who_takes_frames(video: Path) -> None:
    def broken_clock() -> float:
        raise EdgetallyError("the clock stands still")

    broken = camera(video, broken_clock)
    broken.start()
    assert not broken.ended  # before somebody was told
    for _ in range(2):
        with pytest.raises(EdgetallyError, match="stands still"):
            broken.take(WAIT)
    assert broken.ended
    broken.stop()


def test_stop_ends_the_thread_that_waits_for_a_reader(video: Path) -> None:
    stopped = camera(video)
    stopped.start()
    assert stopped.take(WAIT) is not None
    stopped.stop()
    stopped.stop()
    assert stopped.ended
    assert stopped.take() is None
    assert capture_threads() == []


def test_stop_releases_who_waits_for_a_frame() -> None:
    clock = GatedClock(free=1)
    taken: list[Frame | None] = []
    with network_camera() as url:
        live = camera(url, clock)
        live.start()
        assert clock.reached.wait(WAIT)
        reader = threading.Thread(target=lambda: taken.append(live.take()))
        reader.start()
        clock.gate.set()
        live.stop()
        reader.join(WAIT)
        assert not reader.is_alive()
        assert len(taken) == 1


def test_a_source_that_does_not_open_names_the_camera_and_starts_no_thread() -> None:
    with pytest.raises(InputError, match=r"camera dock: missing\.mp4: no such file"):
        camera("missing.mp4").start()
    assert capture_threads() == []


def test_a_camera_that_was_never_started_has_no_frames(video: Path) -> None:
    idle = camera(video)
    assert idle.ended
    assert idle.take() is None
    idle.stop()


def test_masks_are_black_before_anything_sees_the_frame(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), grey(200))
    triangle = [[0.5, 0.5], [1, 0.5], [1, 1]]
    square = [[0, 0], [0.25, 0], [0.25, 0.5], [0, 0.5]]
    (frame,) = all_frames(tmp_path, masks=[square, triangle])
    assert not frame.image[:24, :16].any()
    assert not frame.image[26, 40:].any()
    assert (frame.image[30:, :30] == 200).all()
    assert (frame.image[:22, 18:] == 200).all()


@pytest.mark.parametrize(("rotate", "corner"), [(0, 0), (90, 1), (180, 2), (270, 3)])
def test_rotate_turns_clockwise_before_the_masks(tmp_path: Path, rotate: int, corner: int) -> None:
    image = grey(200)
    image[:10, :10] = 90  # the upper left
    cv2.imwrite(str(tmp_path / "a.png"), image)
    mask = [[0.4, 0.4], [0.6, 0.4], [0.6, 0.6]]
    (frame,) = all_frames(tmp_path, rotate=rotate, masks=[mask])
    turned = rotate in {90, 270}
    assert frame.image.shape == ((WIDTH, HEIGHT, 3) if turned else (HEIGHT, WIDTH, 3))
    clockwise = [frame.image[y, x, 0] for y, x in ((0, 0), (0, -1), (-1, -1), (-1, 0))]
    assert clockwise == [90 if at == corner else 200 for at in range(4)]
    height, width = frame.image.shape[:2]
    assert not frame.image[int(height * 0.45), int(width * 0.55)].any()


def test_buffer_newest_plays_a_file_as_if_it_were_live(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mp4", fps=100)
    with camera(path, buffer="newest") as started:
        (thread,) = (each for each in threading.enumerate() if each.name == "camera dock")
        thread.join(WAIT)
        (last,) = list(started)
        assert last.index == 29
        assert started.counters.dropped["newer"] == started.dropped == 29


def test_buffer_every_lets_a_live_source_wait() -> None:
    with network_camera() as url, camera(url, buffer="every", max_frames=12) as live:
        assert [level(frame.image) for frame in live] == list(GREYS[:12])
        assert live.counters.dropped == {"newer": 0, "broken": 0, "late": 0, "missed": 0}


@settings(max_examples=30, deadline=None)
@given(
    corners=st.lists(
        st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=3, max_size=3, unique=True
    )
)
def test_no_pixel_whose_centre_is_masked_shows(
    tmp_path_factory: pytest.TempPathFactory, corners: list[tuple[float, float]]
) -> None:
    (ax, ay), (bx, by), (cx, cy) = corners
    assume(abs((bx - ax) * (cy - ay) - (by - ay) * (cx - ax)) > 1e-6)  # a mask has an area
    folder = tmp_path_factory.mktemp("images")
    cv2.imwrite(str(folder / "a.png"), grey(200))
    (frame,) = all_frames(folder, masks=[corners])
    x, y = np.meshgrid((np.arange(WIDTH) + 0.5) / WIDTH, (np.arange(HEIGHT) + 0.5) / HEIGHT)
    sides = []
    for (ax, ay), (bx, by) in zip(corners, corners[1:] + corners[:1], strict=True):
        sides.append((bx - ax) * (y - ay) - (by - ay) * (x - ax))
    depth = 1e-4  # corners are fixed to 1/256 of a pixel
    inside = np.all([side > depth for side in sides], 0) | np.all(
        [side < -depth for side in sides], 0
    )
    assert not frame.image[inside].any()
