"""Write 1080p video as cameras send it: H.264 where a tool for it is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from functools import lru_cache
from typing import TYPE_CHECKING

import cv2

from edgetally.errors import EdgetallyError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

WIDTH, HEIGHT = 1920, 1080
_KILOBITS = 4000  # what network cameras are set to at 1080p
_LONGEST_SECONDS = 600
# gst-launch-1.0 is another package than the bindings; what it does takes these lines.
_GSTREAMER_PROGRAM = """
import sys, gi
gi.require_version("Gst", "1.0")
from gi.repository import Gst
Gst.init(None)
if not Gst.ElementFactory.find("x264enc"):
    sys.exit("no x264enc")
if len(sys.argv) > 1:
    pipeline = Gst.parse_launch(sys.argv[1])
    pipeline.set_state(Gst.State.PLAYING)
    wanted = Gst.MessageType.EOS | Gst.MessageType.ERROR
    message = pipeline.get_bus().timed_pop_filtered(Gst.CLOCK_TIME_NONE, wanted)
    pipeline.set_state(Gst.State.NULL)
    if message.type == Gst.MessageType.ERROR:
        sys.exit(str(message.parse_error()[0]))
"""


def encode(path: Path, frames: Iterable[NDArray[np.uint8]], fps: int) -> str:
    """Write frames, uint8 BGR [1080, 1920, 3], to an .mp4 or .ts file; return the codec's name.

    H.264 comes from ffmpeg or, without it, from GStreamer's x264enc; where there is neither,
    OpenCV writes MPEG-4 part 2. The file is written aside and renamed. EdgetallyError where no
    encoder works.
    """
    aside = path.with_name(f".partial-{os.getpid()}-{path.name}")
    command = _h264_command()
    if command is None:
        _encode_with_opencv(aside, frames, fps)
        codec = "MPEG-4 part 2"
    else:
        _pipe(command(aside, fps), frames)
        codec = "H.264"
    aside.replace(path)
    return codec


@lru_cache(maxsize=1)
def _h264_command() -> Callable[[Path, int], list[str]] | None:
    """Find what encodes H.264 here, and how it is called."""
    ffmpeg = shutil.which("ffmpeg")
    if ffmpeg and "libx264" in _output_of([ffmpeg, "-hide_banner", "-encoders"]):
        return lambda path, fps: _ffmpeg_command(ffmpeg, path, fps)
    for python in (sys.executable, "/usr/bin/python3"):
        if os.access(python, os.X_OK) and _succeeds([python, "-c", _GSTREAMER_PROGRAM]):
            return lambda path, fps, python=python: [  # type: ignore[misc]
                python,
                "-c",
                _GSTREAMER_PROGRAM,
                _gstreamer_pipeline(path, fps),
            ]
    return None


def _ffmpeg_command(ffmpeg: str, path: Path, fps: int) -> list[str]:
    rate = f"{_KILOBITS}k"
    return [
        *(ffmpeg, "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "bgr24"),
        *("-s", f"{WIDTH}x{HEIGHT}", "-r", str(fps), "-i", "-", "-pix_fmt", "yuv420p"),
        *("-c:v", "libx264", "-preset", "veryfast", "-tune", "zerolatency", "-g", str(2 * fps)),
        *("-b:v", rate, "-maxrate", rate, "-bufsize", rate, str(path)),
    ]


def _gstreamer_pipeline(path: Path, fps: int) -> str:
    muxer, form = ("mpegtsmux", "byte-stream") if path.suffix == ".ts" else ("mp4mux", "avc")
    return (
        f"fdsrc fd=0 ! rawvideoparse format=bgr width={WIDTH} height={HEIGHT} framerate={fps}/1 "
        "! videoconvert ! video/x-raw,format=I420 "
        f"! x264enc bitrate={_KILOBITS} speed-preset=veryfast tune=zerolatency "
        f"key-int-max={2 * fps} ! h264parse ! video/x-h264,alignment=au,stream-format={form} "
        f'! {muxer} ! filesink location="{path}"'
    )


def _pipe(command: list[str], frames: Iterable[NDArray[np.uint8]]) -> None:
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as encoder:
        if encoder.stdin is None or encoder.stderr is None:
            raise EdgetallyError("the video encoder has no input")
        try:
            for frame in frames:
                encoder.stdin.write(frame.data)
            encoder.stdin.close()
        except BrokenPipeError:
            pass  # its exit status and last words follow
        words = encoder.stderr.read().decode(errors="replace").strip()
        if encoder.wait(_LONGEST_SECONDS) != 0:
            raise EdgetallyError(f"{command[0]} can't encode the video: {words or 'no reason'}")


def _encode_with_opencv(path: Path, frames: Iterable[NDArray[np.uint8]], fps: int) -> None:
    writer = cv2.VideoWriter(
        str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"mp4v"), fps, (WIDTH, HEIGHT)
    )
    if not writer.isOpened():
        raise EdgetallyError(f"{path}: OpenCV can't write this video; is the folder writable?")
    for frame in frames:
        writer.write(frame)
    writer.release()


def _output_of(command: list[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def _succeeds(command: list[str]) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
