"""What opens as a source, what does not, and how either is named."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgetally.capture import open_source, redact
from edgetally.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

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


def test_a_folder_opens_as_a_source_without_a_camera(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), GREY)
    with open_source(str(tmp_path), 2) as source:
        assert (source.is_live, source.fps, source.frame_count) == (False, 2, 1)
        assert [image.tolist() for image in source] == [GREY.tolist()]
        assert source.read() is None


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("missing.mp4", "missing.mp4: no such file or directory; give"),
        ("x" * 300, "xx: file name too long; give"),
        ("a\0b", "no path; give"),
        ("empty", "holds no images"),
        ("notes.mp4", "is no video that can be played; give"),
        ("notes.txt", "is no video that can be played; give"),
        ("nothing.avi", "is no video that can be played; give"),
        ("broken", "no image in broken can be decoded; give"),
        ("cut.mp4", "is no video that can be played; give"),
        ("987", "camera 987 does not open; check"),
        ("/dev/null", "camera /dev/null does not open; check"),
        ("rtsp://admin:p@ss/w?rd@127.0.0.1:1/live", "rtsp://***@127.0.0.1:1/live does not open"),
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
    (tmp_path / "notes.mp4").write_text("buy milk\n" * 100)
    (tmp_path / "notes.txt").write_text("buy milk\n" * 100)
    (tmp_path / "nothing.avi").touch()
    whole = write_video(tmp_path / "whole.mp4")
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError) as caught:
        open_source(source)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr().err == ""


def test_opencv_stays_silent_in_a_program_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "cut.mp4").write_bytes(write_video(tmp_path / "a.mp4")[:300])
    program = (
        "import sys, edgetally.capture as c\n"
        "for source in sys.argv[1:]:\n"
        "    try: c.open_source(source, None)\n"
        "    except c.sources.InputError: print('refused')\n"
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
        ("clip@home.mp4", "clip@home.mp4"),
        ("0", "0"),
        ("rtsp://cam.local/stream", "rtsp://cam.local/stream"),
        ("rtsp://me:secret@cam.local:554/stream", "rtsp://***@cam.local:554/stream"),
        ("http://cam.local/v.cgi?user=me&pwd=secret", "http://cam.local/v.cgi?***"),
        ("rtsp://me:se@cret@cam.local/a", "rtsp://***@cam.local/a"),
    ],
)
def test_a_source_is_shown_without_its_credentials(source: str, shown: str) -> None:
    assert redact(source) == shown


@settings(deadline=None)
@given(st.text(st.characters(codec="utf-8"), min_size=1).map(lambda text: f"~{text}~"))
def test_no_password_survives_redaction(password: str) -> None:
    assert password not in redact(f"rtsp://me:{password}@cam.local/stream")
    assert "~" not in redact(f"rtsp://me:{password}@cam.local/stream")
