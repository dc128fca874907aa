"""Videos, streams and local cameras, through OpenCV."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING

import cv2
import numpy as np

from edgetally.capture.ffmpeg import open_stream
from edgetally.capture.redaction import redact
from edgetally.capture.source import Source
from edgetally.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from edgetally.capture.frame import Image
    from edgetally.capture.source import SourceSettings

_UNKNOWN_FPS = 25.0  # what FFmpeg assumes of a file that does not tell
_TRIES = 5  # broken packets in a row that do not yet end a stream


class Video(Source):
    """A camera, stream or file that OpenCV plays.

    patience: seconds of failing reads after which a live source counts as ended.
    """

    def __init__(
        self, capture: cv2.VideoCapture, *, is_live: bool, patience: float = float("inf")
    ) -> None:
        fps = capture.get(cv2.CAP_PROP_FPS)
        told = 0 < fps <= 1000
        frames = capture.get(cv2.CAP_PROP_FRAME_COUNT)
        super().__init__(
            is_live=is_live,
            fps=fps if told else None if is_live else _UNKNOWN_FPS,
            frame_count=int(frames) if frames > 0 and not is_live else None,
        )
        self._capture = capture
        self._patience = patience

    def grab(self) -> bool:
        """Move on, over broken packets."""
        # OpenCV's grab fails once for each packet that FFmpeg refuses, as it does at the end;
        # the next one may be good again, in a file as long as frames are left. When its time is
        # over, that is not to be spent again: not on another try, nor on the one or two frames
        # that the decoder still held and gives then.
        left = max((self.frame_count or 0) - self.index - 1, _TRIES)
        deadline = time.monotonic() + self._patience
        for broken in range(left):
            grabbed = self._grabbed()
            if time.monotonic() >= deadline:
                return False
            if grabbed:
                self.index += broken + 1
                self.skipped += broken
                return True
        return False

    def retrieve(self) -> Image | None:
        """Decode the grabbed image."""
        try:
            decoded, image = self._capture.retrieve()
        except cv2.error:
            decoded = False
        if not decoded:
            self.skipped += 1
            return None
        return np.asarray(image, np.uint8)

    def close(self) -> None:
        """Let go of the device, connection or file."""
        self._capture.release()

    def _grabbed(self) -> bool:
        try:
            return self._capture.grab()
        except cv2.error:
            return False


def open_device(device: int | str, settings: SourceSettings) -> Video:
    """Open a local camera. InputError where it is not there or does not open.

    It may give another size or rate than those asked for; the driver decides.
    """
    backend = cv2.CAP_V4L2 if sys.platform.startswith("linux") else cv2.CAP_ANY
    capture = cv2.VideoCapture(device, backend)
    if not capture.isOpened():
        raise InputError(
            f"camera {redact(str(device))} does not open; check that it is plugged in, that no "
            "other program uses it and that this user may read it (group video)"
        )
    # The format first: a driver offers each with its own sizes and rates, and uncompressed
    # pictures of a usual size don't fit through USB 2 at a usual rate.
    capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
    for wanted, value in (
        (cv2.CAP_PROP_FRAME_WIDTH, settings.width),
        (cv2.CAP_PROP_FRAME_HEIGHT, settings.height),
        (cv2.CAP_PROP_FPS, settings.fps),
    ):
        if value is not None:
            capture.set(wanted, value)
    return Video(capture, is_live=True, patience=settings.read_timeout)


def open_url(url: str, settings: SourceSettings) -> Video:
    """Open a network camera. InputError, without its password, where it does not open."""
    capture = open_stream(url, settings)
    if not capture.isOpened():
        raise InputError(
            f"{redact(url)} does not open; check the address, the password and that this "
            "machine reaches the camera"
        )
    return Video(capture, is_live=True, patience=settings.read_timeout)


def has_gstreamer() -> bool:
    """Tell whether this OpenCV plays GStreamer pipelines; the wheels on PyPI don't."""
    return bool(cv2.videoio_registry.hasBackend(cv2.CAP_GSTREAMER))


def open_pipeline(pipeline: str, settings: SourceSettings) -> Video:
    """Open a GStreamer pipeline that ends in appsink. InputError where it does not start."""
    capture = cv2.VideoCapture(pipeline, cv2.CAP_GSTREAMER)
    if not capture.isOpened():
        raise InputError(
            f"{redact(pipeline)} does not start; try it with gst-launch-1.0, with fakesink "
            "in place of appsink"
        )
    return Video(capture, is_live=True, patience=settings.read_timeout)


def open_file(path: Path) -> Video:
    """Open a video file. InputError where it can't be played."""
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    # FFmpeg plays text files as films of a terminal, codec "ansi".
    codec = int(capture.get(cv2.CAP_PROP_FOURCC)).to_bytes(4, "little")
    if not capture.isOpened() or codec == b"ansi":
        capture.release()
        shown = redact(str(path))
        if not os.access(path, os.R_OK):
            raise InputError(f"{shown} is not readable by this user; change its permissions")
        raise InputError(f"{shown} is no video that can be played; give another file")
    return Video(capture, is_live=False)
