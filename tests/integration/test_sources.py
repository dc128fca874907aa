"""What opens as a source, what does not, and how either is named."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import zlib
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgetally.capture import SourceSettings, open_source, plan_source, read_image, redact
from edgetally.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

CUT = cv2.imencode(".jpg", np.full((48, 64, 3), 20, np.uint8))[1].tobytes()[:-20]
GREY = np.full((48, 64, 3), 20, np.uint8)


def write_video(path: Path) -> bytes:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 10, (64, 48))
    for _ in range(10):
        writer.write(GREY)
    writer.release()
    return path.read_bytes()


def test_a_video_tells_its_rate_and_length(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4")
    with open_source(str(tmp_path / "a.mp4")) as source:
        assert (source.is_live, source.fps, source.frame_count) == (False, 10, 10)
        assert len(list(source)) == 10
        assert source.position == pytest.approx(0.9)


def test_a_file_url_is_a_file_and_not_live(tmp_path: Path) -> None:
    write_video(tmp_path / "a b.mp4")
    for url in ((tmp_path / "a b.mp4").as_uri(), f"file://{tmp_path}/a b.mp4"):
        with open_source(url) as source:
            assert (source.is_live, source.frame_count) == (False, 10)


def test_a_glob_opens_the_images_that_it_matches(tmp_path: Path) -> None:
    for name in ("a10.png", "a2.png", "b1.png", "a3.txt"):
        cv2.imwrite(str(tmp_path / name) + ".png", GREY)
        (tmp_path / f"{name}.png").rename(tmp_path / name)
    with open_source(str(tmp_path / "a*")) as source:
        assert (source.is_live, source.frame_count) == (False, 2)


@pytest.mark.parametrize("source", ["0", "/dev/video9", "rtsp://cam/x", "http://cam:80/x"])
def test_what_may_be_plugged_in_later_is_planned_without_being_opened(source: str) -> None:
    assert plan_source(source).can_be_lost


def test_the_pattern_moves_and_is_the_same_each_time() -> None:
    with open_source("test:64x48", SourceSettings(fps=500)) as first:
        images: dict[int, NDArray[np.uint8]] = {}
        while len(images) < 5 and (image := first.read()) is not None:
            images[first.index] = image
    assert all(image.shape == (48, 64, 3) for image in images.values())
    assert len({image.tobytes() for image in images.values()}) == len(images) == 5
    with open_source("TEST:64x48", SourceSettings(fps=500)) as second:
        second.index = max(images) - 1
        second.read()
        assert second.index == max(images)
        again = second.retrieve()
    assert again is not None
    np.testing.assert_array_equal(again, images[max(images)])


class FakeDevice:
    """Stands for a USB camera, which no test machine has; remembers what it was asked for."""

    def __init__(self, *opened_with: object) -> None:
        self.opened_with = opened_with
        self.asked: list[tuple[int, float]] = []

    def isOpened(self) -> bool:  # noqa: N802 - OpenCV's name
        return True

    def set(self, wanted: int, value: float) -> bool:
        self.asked.append((wanted, value))
        return True

    def get(self, _: int) -> float:
        return 15.0

    def release(self) -> None:
        pass


@pytest.mark.parametrize("source", ["3", "/dev/video3"])
def test_a_local_camera_is_asked_for_mjpg_then_size_then_rate(
    monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    devices: list[FakeDevice] = []

    def opened(*arguments: object) -> FakeDevice:
        devices.append(FakeDevice(*arguments))
        return devices[-1]

    monkeypatch.setattr(cv2, "VideoCapture", opened)
    with open_source(source, SourceSettings(width=1280, height=720, fps=15)) as camera:
        assert (camera.is_live, camera.fps) == (True, 15)
    (device,) = devices
    assert device.asked == [
        (cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG")),
        (cv2.CAP_PROP_FRAME_WIDTH, 1280),
        (cv2.CAP_PROP_FRAME_HEIGHT, 720),
        (cv2.CAP_PROP_FPS, 15),
    ]


def png_header(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    size = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("empty.png", b"", "not a picture"),
        ("bomb.png", png_header(60_000, 60_000), "60000 x 60000 pixels, more than the 100 million"),
        ("thumb.jpg", b"\xff\xd8\xff\xda\xff\xd9" + CUT, "not a picture"),
        ("no_end.png", cv2.imencode(".png", GREY)[1].tobytes()[:-12], "not a picture"),
        ("cut.jpg", cv2.imencode(".jpg", GREY)[1].tobytes()[:-20], "not a picture"),
        ("a\0b.png", None, "no possible path; give a readable image file"),
        ("missing.png", None, "No such file or directory; give a readable image file"),
    ],
)
def test_a_file_without_a_whole_picture_is_one_line_for_the_user(
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    name: str,
    content: bytes | None,
    says: str,
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=says):
        read_image(tmp_path / name)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("kind", ["pipe", "device", "2 GB"])
def test_what_is_no_picture_file_of_a_usual_size_is_not_read(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "endless.png"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        with path.open("wb") as stream:
            stream.truncate(2 << 30)
    with pytest.raises(InputError, match=r"no ordinary file|more than \d+ bytes"):
        read_image(path)


def test_a_folder_opens_as_a_source_without_a_camera(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), GREY)
    with open_source(str(tmp_path), SourceSettings(fps=2)) as source:
        assert (source.is_live, source.fps, source.frame_count) == (False, 2, 1)
        assert [image.tolist() for image in source] == [GREY.tolist()]
        assert source.read() is None


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("missing.mp4", "missing.mp4: no such file or directory; give"),
        ("x" * 300, "xx: file name too long; give"),
        ("a\0b", "holds what is no text; write"),
        ("empty", "holds no images"),
        ("notes.mp4", "is no video that can be played; give"),
        ("notes.txt", "is no video that can be played; give"),
        ("nothing.avi", "is no video that can be played; give"),
        ("broken", "no image in broken can be decoded; give"),
        ("cut.mp4", "is no video that can be played; give"),
        ("987", "camera 987 does not open; check"),
        ("1001", "camera 1001: an index is 0 to 1000; write ./1001 for a file"),
        ("9" * 20, "99: an index is 0 to 1000; write"),
        ("9" * 5000, "99: an index is 0 to 1000; write"),
        ("-1", "camera -1: an index is 0 to 1000; write"),
        ("/dev/null", "/dev/null is no camera; give one, such as /dev/video0"),
        ("\udcff.mp4", "holds what is no text; write"),
        ("rtsp://u:s3cr3t@127.0.0.1:9/\ud800", "rtsp://***@127.0.0.1:9/…: holds what is no text"),
        ("file:///missing%20clip.mp4", "clip.mp4: no such file or directory; give"),
        ("rtsp:/user:s3cr3t@h/x", "rtsp:…: a URL needs ://; give rtsp://"),
        ("me:s3cr3t@notes", "***@notes is no video that can be played; give"),
        ("me:s3cr3t@broken", "no image in ***@broken can be decoded; give"),
        ("me:s3cr3t@empty", "folder ***@empty holds no images"),
        ("rtsp://admin:p@ss/w?rd@127.0.0.1:1/live", "rtsp://***/… does not open"),
        ("rtps://u:s3cr3t@cam/x", "rtps://***@cam/…: no video comes by such a URL; give rtsp://"),
        ("rtsp://u:s3cr3t@/x", "rtsp://***@/… names no host; give"),
        ("http:///x", "http:///… names no host; give"),
        ("none-*.jpg", "none-*.jpg matches no images (jpg"),
        ("pipe", "pipe is a named pipe; give"),
        ("test:big", "test: is followed by nothing or a size such as 1280x720"),
        (
            "test:\uff11\uff16x\uff11\uff16",
            "test: is followed by nothing or a size such as 1280x720",
        ),
        ("TEST:big", "test: is followed by nothing or a size such as 1280x720"),
        ("\uff11", "\uff11: no such file or directory; give"),
        ("test:8x99999", "test: is followed by nothing or a size such as 1280x720"),
        ("/dev/video987", "camera /dev/video987 does not open; check"),
        ("rtspsrc user-pw=s3cr3t ! fakesink", "pipeline rtspsrc ! ***: a GStreamer pipeline ends"),
    ],
)
def test_a_source_that_does_not_open_is_one_line_for_the_user(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    source: str,
    says: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("empty", "broken"):
        (tmp_path / name).mkdir()
    (tmp_path / "broken" / "a.jpg").write_bytes(b"no picture")
    for name in ("empty", "broken", "notes"):
        (tmp_path / f"me:s3cr3t@{name}").symlink_to(tmp_path / name)
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "notes").write_text("buy milk\n" * 100)
    (tmp_path / "notes.mp4").write_text("buy milk\n" * 100)
    (tmp_path / "notes.txt").write_text("buy milk\n" * 100)
    (tmp_path / "nothing.avi").touch()
    whole = write_video(tmp_path / "whole.mp4")
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError) as caught:
        open_source(source)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "s3cr3t" not in str(caught.value)
    assert capfd.readouterr().err == ""


def test_opencv_stays_silent_in_a_program_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "cut.mp4").write_bytes(write_video(tmp_path / "a.mp4")[:300])
    program = (
        "import sys, edgetally.capture as c\n"
        "from edgetally.errors import InputError\n"
        "for source in sys.argv[1:]:\n"
        "    try: c.open_source(source)\n"
        "    except InputError: print('refused')\n"
    )
    arguments = [str(tmp_path / "cut.mp4"), "31", "http://u:secret@127.0.0.1:1/x"]
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True
    )
    assert done.stdout == "refused\n" * 3
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("clip.mp4", "clip.mp4"),
        ("what?.mp4", "what?.mp4"),
        ("clip@home.mp4", "***@home.mp4"),
        ("me:secret@cam.local/a", "***@cam.local/…"),
        ("rtsp:/me:secret@cam.local/a?pwd=secret", "rtsp:…"),
        ("0", "0"),
        ("rtsp://cam.local", "rtsp://cam.local"),
        ("http://cam.local/", "http://cam.local/"),
        ("rtsp://[fe80::1%eth0]:554/stream", "rtsp://[fe80::1%eth0]:554/…"),
        ("C:\\clips\\a.mp4", "C:\\clips\\a.mp4"),
        ("clips//12:30/a!.mp4", "clips//12:30/a!.mp4"),
        ("/dev/v4l/by-id/usb-046d_HD:1", "/dev/v4l/by-id/usb-046d_HD:1"),
        ("test:640x480", "test:640x480"),
        ("cam?pw=secret", "cam?pw=***"),
        ("a\nb.mp4", "a\\nb.mp4"),
        ("rtsp://cam.local/stream", "rtsp://cam.local/…"),
        ("rtsp://me:secret@cam.local:554/stream", "rtsp://***@cam.local:554/…"),
        ("http://cam.local/v.cgi?user=me&pwd=secret", "http://cam.local/…"),
        ("rtsp://me:se@cret@cam.local/a", "rtsp://***@cam.local/…"),
        ("rtspsrc location=rtsp://h/x user-pw=secret ! appsink", "pipeline rtspsrc ! ***"),
        ('fakesrc pw="a ! secret" ! appsink', "pipeline fakesrc ! ***"),
    ],
)
def test_a_source_is_shown_without_its_credentials(source: str, shown: str) -> None:
    assert redact(source) == shown


@settings(deadline=None)
@given(st.text(st.characters(codec="utf-8"), min_size=1).map(lambda text: f"~{text}~"))
def test_no_password_survives_redaction(password: str) -> None:
    assert password not in redact(f"rtsp://me:{password}@cam.local/stream")
    assert "~" not in redact(f"rtsp://me:{password}@cam.local/stream")
