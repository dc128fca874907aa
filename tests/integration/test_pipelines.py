"""GStreamer pipelines as sources; a real gst-launch-1.0 at the other end."""

from __future__ import annotations

import gc
import logging
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from network_camera import WAIT

from edgetally.capture import Camera, SourceSettings, open_source, plan_source
from edgetally.capture.launch_line import pipeline_words, read_pipeline
from edgetally.capture.redaction import redact_message
from edgetally.config import CameraConfig
from edgetally.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

SMALL = "video/x-raw,width=64,height=48,framerate=30/1"
BLUE = f"videotestsrc pattern=solid-color foreground-color=0xff0000ff ! {SMALL}"  # ARGB
SECRET = "s3cr3t"  # noqa: S105 - none


@cache
def is_there() -> bool:
    inspect = shutil.which("gst-inspect-1.0")
    return inspect is not None and all(
        subprocess.run([inspect, "--exists", element], check=False).returncode == 0
        for element in ("videoconvert", "rtpgstpay", "pngdec")
    )


needs_gstreamer = pytest.mark.skipif(
    not is_there(),
    reason="needs Debian's gstreamer1.0-tools, gstreamer1.0-plugins-base and -good",
)


def running() -> set[int]:
    """Processes of gst-launch-1.0 that run for this user."""
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if words[0].endswith(b"gst-launch-1.0"):
                found.add(int(entry.name))
    return found


def wait_until_gone(process: int) -> None:
    with suppress(ProcessLookupError):
        watched = os.pidfd_open(process)
        poll = select.poll()
        poll.register(watched)
        gone = poll.poll(WAIT * 1000)
        os.close(watched)
        assert gone


def camera(source: str, **settings: Any) -> Camera:
    config = {"name": "dock", "source": source, **settings}
    return Camera(CameraConfig.model_validate(config), delay=lambda _: 0.01)


@pytest.fixture(autouse=True)
def _nothing_stays() -> Iterator[None]:
    before = running()
    files = len(list(Path("/proc/self/fd").iterdir()))
    yield
    assert running() <= before
    until = time.monotonic() + WAIT  # threads of earlier tests may be closing theirs
    while (left := len(list(Path("/proc/self/fd").iterdir()))) > files:
        assert time.monotonic() < until, f"{left} files are open, {files} were"
        gc.collect()


@needs_gstreamer
@pytest.mark.parametrize(
    "end",
    [
        "appsink",
        "appsink drop=1 max-buffers=1 sync=false",
        "videoconvert ! video/x-raw,format=BGR ! appsink drop=true",
        "videoconvert ! video/x-raw, format=(string)BGR ! appsink",
        'videoconvert ! appsink caps="video/x-raw, format=(string)RGB" name=out',
        "videoconvert",
        "identity !",
        "tee name=t ! queue ! appsink sync=false t. ! queue ! fakesink",
    ],
)
def test_a_pipeline_gives_bgr_pictures_whatever_its_end(end: str) -> None:
    with open_source(f"{BLUE} ! {end}") as source:
        image = source.read()
        assert (source.is_live, source.waits, source.fps) == (True, False, 30)
    assert image is not None
    assert image.shape == (48, 64, 3)
    assert image.dtype == np.uint8
    assert image.flags.c_contiguous
    assert np.abs(image.astype(int) - (255, 0, 0)).max() <= 2


@needs_gstreamer
@pytest.mark.parametrize("size", [(63, 49), (1, 20), (641, 3), (1920, 1080)])
def test_pictures_of_any_size_arrive_pixel_by_pixel(tmp_path: Path, size: tuple[int, int]) -> None:
    drawn = np.random.default_rng(1).integers(0, 255, (size[1], size[0], 3), np.uint8)
    cv2.imwrite(str(tmp_path / "a b.png"), drawn)
    for location in (f'"{tmp_path}/a b.png"', f"{tmp_path}/a\\ b.png"):
        with open_source(f"filesrc location={location} ! pngdec ! appsink") as source:
            (image,) = source
        np.testing.assert_array_equal(image, drawn)


@needs_gstreamer
def test_a_picture_of_another_size_is_whole_and_none_is_lost() -> None:
    pipeline = (
        "concat name=c ! appsink videotestsrc num-buffers=3 pattern=white ! "
        f"{SMALL} ! c. videotestsrc num-buffers=4 pattern=white ! "
        "video/x-raw,width=80,height=30,framerate=30/1 ! c."
    )
    with open_source(pipeline) as source:
        images = list(source)
        assert source.complaint == "has ended"
    assert [image.shape for image in images] == [(48, 64, 3)] * 3 + [(30, 80, 3)] * 4
    assert min(image.min() for image in images) >= 250


@needs_gstreamer
def test_pictures_that_were_handed_out_stay_as_they_were() -> None:
    with open_source(f"videotestsrc pattern=ball ! {SMALL}") as source:
        kept: list[NDArray[np.uint8]] = []
        while len(kept) < 10 and (image := source.read()) is not None:
            kept.append(image)
    assert len({image.tobytes() for image in kept}) == 10


@needs_gstreamer
def test_what_nobody_reads_is_dropped_where_it_is_made(tmp_path: Path) -> None:
    made = tmp_path / "made"
    os.mkfifo(made)
    witness = os.open(made, os.O_RDONLY | os.O_NONBLOCK)
    os.set_blocking(witness, True)
    pipeline = (
        "videotestsrc num-buffers=100 ! video/x-raw,format=GRAY8,width=320,height=240 ! "
        f"tee name=t ! appsink sync=false t. ! queue ! filesink location={made}"
    )
    with os.fdopen(witness, "rb") as all_of_it, open_source(pipeline) as source:
        assert len(all_of_it.read(100 * 320 * 240)) == 100 * 320 * 240
        left = sum(1 for _ in source)
        assert source.complaint == "has ended"
    assert left <= 4  # read at opening, half in the pipe, in the queue, and one between them


@needs_gstreamer
@pytest.mark.parametrize(
    ("pipeline", "says"),
    [
        ("videotestsrc ! nosuchthing ! appsink", 'no element "nosuchthing"; install the package'),
        ("videotestsrc nosuch=1 ! appsink", 'fails: no property "nosuch" in element'),
        (f"videotestsrc pattern={SECRET} ! appsink", 'in element "videotestsrc" to "***"'),
        (f"filesrc location=/{SECRET}/{SECRET}.mp4 ! decodebin ! appsink", "filesrc0: Resource"),
        (f"rtspsrc location=rtsp://u:{SECRET}@127.0.0.1:1/x ! decodebin ! appsink", "rtspsrc0: C"),
        (f"rtspsrc location=rtsp://127.0.0.1:1/x user-id=u user-pw={SECRET} ! appsink", "rtspsrc0"),
        (f"v4l2src device=/dev/{SECRET} ! appsink", "v4l2src0: Cannot identify device '***'"),
        (f'filesrc name="{SECRET} 2" location=/none ! pngdec ! appsink', "***: Resource not found"),
        (f"videotestsrc {SECRET} ! appsink", "fails: "),
        ("videotestsrc num-buffers=0 ! appsink", "has ended"),
    ],
)
def test_a_pipeline_that_fails_is_one_line_in_gstreamers_words(
    pipeline: str, says: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(InputError) as caught:
        open_source(pipeline)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
    assert SECRET not in str(caught.value)
    assert capfd.readouterr() == ("", "")


@needs_gstreamer
def test_a_pipeline_without_pictures_is_given_up_in_time() -> None:
    began = time.monotonic()
    with pytest.raises(InputError, match=r"gives no picture within 0\.5 s"):
        open_source(
            f"videotestsrc ! {SMALL} ! identity sleep-time=9000000 ! appsink",
            SourceSettings(open_timeout=0.5),
        )
    assert time.monotonic() - began < 2.5


@needs_gstreamer
def test_a_pipeline_that_falls_silent_is_read_no_longer_than_told() -> None:
    with open_source(f"{BLUE} ! appsink", SourceSettings(read_timeout=0.3)) as source:
        (process,) = running()
        os.kill(process, signal.SIGSTOP)
        began = time.monotonic()
        while source.grab():
            pass
        assert time.monotonic() - began < 2
        assert source.complaint is None


@needs_gstreamer
def test_a_pipeline_that_ends_or_dies_is_lost_and_comes_back(
    caplog: pytest.LogCaptureFixture,
) -> None:
    source = f"videotestsrc num-buffers=3 name={SECRET} ! {SMALL} ! appsink"
    with caplog.at_level(logging.DEBUG), camera(source) as live:
        indexes: list[int] = []
        while len(indexes) < 9 and (frame := live.take(WAIT)) is not None:
            indexes.append(frame.index)
        assert indexes == sorted(set(indexes))
        assert live.counters.reconnects >= 2
    assert "pipeline videotestsrc ! *** has ended" in caplog.text
    assert SECRET not in caplog.text


@needs_gstreamer
def test_a_camera_with_a_pipeline_stops_at_once_though_no_picture_comes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    live = camera(f"{BLUE} ! appsink")
    live.start()
    assert live.take(WAIT) is not None
    (process,) = running()
    os.kill(process, signal.SIGSTOP)
    while live.state != "stalled":
        live.take(0.05)
    began = time.monotonic()
    live.stop()
    assert time.monotonic() - began < 2
    wait_until_gone(process)
    assert "hangs" not in caplog.text


@needs_gstreamer
def test_a_pipeline_dies_with_its_process_even_when_that_is_killed() -> None:
    # Silent and stopped: it would not notice that nobody reads any more.
    program = (
        "import sys; from edgetally.capture import open_source\n"
        "source = open_source(sys.argv[1]); print(source.read().shape, flush=True)\n"
        "sys.stdin.read()"
    )
    before = running()
    with subprocess.Popen(
        [sys.executable, "-c", program, f"{BLUE} ! appsink"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as reader:
        assert reader.stdout is not None
        assert reader.stdout.readline() == "(48, 64, 3)\n"
        (process,) = running() - before
        os.kill(process, signal.SIGSTOP)
        reader.kill()
    wait_until_gone(process)


def test_without_gst_launch_a_pipeline_is_one_line_that_names_the_package(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match=r"install Debian's gstreamer1\.0-tools") as caught:
        plan_source(f"rtspsrc location=rtsp://u:{SECRET}@cam/x ! decodebin ! appsink")
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("pipeline", "words"),
    [
        ("a ! b", ["a", "!", "b"]),
        ("a\n  ! b\n", ["a", "!", "b"]),
        ('a x="b c" ! d', ["a", 'x="b c"', "!", "d"]),
        ('a x="b \\" ! c" ! d', ["a", 'x="b \\" ! c"', "!", "d"]),
        ("a x='b ! c' ! d", ["a", "x='b ! c'", "!", "d"]),
        ("a x=b\\ c ! d", ["a", "x=b c", "!", "d"]),
        ("a x=it's y=that's ! d", ["a", "x=it's", "y=that's", "!", "d"]),
        (
            "a ! video/x-raw(memory:NVMM), width=(int)8 ! b",
            ["a", "!", "video/x-raw(memory:NVMM),", "width=(int)8", "!", "b"],
        ),
    ],
)
def test_a_pipeline_is_split_as_gstreamer_reads_it(pipeline: str, words: list[str]) -> None:
    assert pipeline_words(pipeline) == words


def test_two_sinks_for_pictures_are_refused() -> None:
    with pytest.raises(ValueError, match="one appsink"):
        read_pipeline("a ! tee name=t ! appsink t. ! appsink")


@given(st.text(st.characters(codec="utf-8"), max_size=20).map(lambda text: f"~{text}~"))
def test_no_password_of_a_pipeline_is_quoted(password: str) -> None:
    quoted = password.replace("\\", "\\\\").replace('"', '\\"')
    pipeline = f'rtspsrc location=rtsp://cam/x user-pw="{quoted}" ! decodebin ! appsink'
    for said in (password, quoted):
        message = f'could not set property "user-pw" in element "rtspsrc0" to "{said}"'
        assert "~" not in redact_message(message, pipeline)
