"""Videos, streams and local cameras, through OpenCV."""

from __future__ import annotations

import os
import stat
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from edgetally.capture.ffmpeg import open_stream
from edgetally.capture.presentation import PresentationTime
from edgetally.capture.redaction import redact
from edgetally.capture.source import Source
from edgetally.errors import InputError

if TYPE_CHECKING:
    from edgetally.capture.frame import Image
    from edgetally.capture.source import SourceSettings

_UNKNOWN_FPS = 25.0  # what FFmpeg assumes of a file that does not tell
_TRIES = 5  # broken pictures in a row that do not yet end a stream
_NO_TIMESTAMP = -float(1 << 63)  # FFmpeg's; some versions of OpenCV make up a time then
_CAMERAS = 81  # the major number of video4linux: Documentation/admin-guide/devices.txt


class Video(Source):
    """A camera, stream or file that OpenCV plays.

    patience: seconds of failing reads after which a live source counts as ended.
    tells_fps: whether what OpenCV says of its rate is more than a guess.
    """

    def __init__(
        self,
        capture: cv2.VideoCapture,
        *,
        is_live: bool,
        patience: float = float("inf"),
        tells_fps: bool = True,
    ) -> None:
        fps = capture.get(cv2.CAP_PROP_FPS)
        told = tells_fps and 0 < fps <= 1000
        frames = capture.get(cv2.CAP_PROP_FRAME_COUNT)
        super().__init__(
            is_live=is_live,
            fps=fps if told else None if is_live else _UNKNOWN_FPS,
            frame_count=int(frames) if frames > 0 and not is_live else None,
        )
        self._time = PresentationTime(self.fps or _UNKNOWN_FPS)
        self._capture = capture
        self._patience = patience
        self._undecoded = 0  # in a row

    @property
    def position(self) -> float:
        """Seconds from the first image to that of `index`."""
        return max(self._time.seconds, 0.0)

    @property
    def timestamp(self) -> float | None:
        """The same, where the stream itself tells."""
        return self._time.seconds if self._time.is_told else None

    def grab(self) -> bool:
        """Move on, over broken packets."""
        # OpenCV's grab fails once for each packet that FFmpeg refuses, as it does at the end;
        # the next one may be good again, in a file as long as frames are left. When its time is
        # over, that is not to be spent again: not on another try, nor on the one or two frames
        # that the decoder still held and gives then.
        if self.is_live and self._undecoded >= _TRIES:
            self.complaint = (
                "delivers pictures that can't be decoded; where it sends fewer than one in some "
                "seconds, raise openTimeout"
            )
            return False
        left = max((self.frame_count or 0) - self.index - 1, _TRIES)
        deadline = time.monotonic() + self._patience
        broken = 0
        for failed in range(left):
            grabbed = self._grabbed()
            if time.monotonic() >= deadline:
                break
            if grabbed:
                self.index += failed + 1
                self.skipped += failed
                self._time.move(self._told(), failed + 1)
                return True
            broken += self._got_packet()
        self.skipped += broken
        return False

    def retrieve(self) -> Image | None:
        """Decode the grabbed image."""
        try:
            decoded, image = self._capture.retrieve()
        except cv2.error:
            decoded = False
        # OpenCV may call it decoded and give none, where it opened just as its time was over.
        if not decoded or image is None or not image.size:
            self.skipped += 1
            self._undecoded += 1
            return None
        self._undecoded = 0
        return np.asarray(image, np.uint8)

    def close(self) -> None:
        """Let go of the device, connection or file."""
        self._capture.release()

    def _grabbed(self) -> bool:
        try:
            return self._capture.grab()
        except cv2.error:
            return False

    def _told(self) -> float | None:
        """Return the grabbed image's timestamp in seconds."""
        if self._capture.get(cv2.CAP_PROP_PTS) <= _NO_TIMESTAMP:
            return None
        return self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000

    def _got_packet(self) -> bool:
        """Tell whether the grab that failed was at a broken picture, not at the end.

        Only a picture that needs no other one is told from the end: each of MJPEG.
        """
        return self.is_live and self._capture.get(cv2.CAP_PROP_LRF_HAS_KEY_FRAME) > 0


def check_device(path: Path) -> None:
    """Refuse a device that is there and is no camera. InputError."""
    try:
        status = path.stat()
    except OSError:  # it may be plugged in later
        return
    is_camera = stat.S_ISCHR(status.st_mode) and os.major(status.st_rdev) == _CAMERAS
    if sys.platform.startswith("linux") and not is_camera:
        raise InputError(
            f"{redact(str(path))} is no camera; give one, such as /dev/video0, or its index"
        )


def open_device(device: int | str, settings: SourceSettings) -> Video:
    """Open a local camera. InputError where it is not there or does not open.

    It may give another size or rate than those asked for; the driver decides.
    """
    if isinstance(device, str):
        check_device(Path(device))
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
    # Nothing in a multipart stream tells its rate; OpenCV says 25.
    is_multipart = _codec(capture) == b"MJPG" and url.lower().startswith("http")
    return Video(capture, is_live=True, patience=settings.read_timeout, tells_fps=not is_multipart)


def open_file(path: Path) -> Video:
    """Open a video file. InputError where it can't be played."""
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    # FFmpeg plays text files as films of a terminal, codec "ansi".
    if not capture.isOpened() or _codec(capture) == b"ansi":
        capture.release()
        shown = redact(str(path))
        if not os.access(path, os.R_OK):
            raise InputError(f"{shown} is not readable by this user; change its permissions")
        raise InputError(f"{shown} is no video that can be played; give another file")
    return Video(capture, is_live=False)


def _codec(capture: cv2.VideoCapture) -> bytes:
    return int(capture.get(cv2.CAP_PROP_FOURCC)).to_bytes(4, "little")
