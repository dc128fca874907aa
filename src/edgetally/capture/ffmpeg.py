"""FFmpeg inside OpenCV: its settings are the process's, and read whenever a video opens."""

from __future__ import annotations

import math
import os
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import cv2

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgetally.capture.source import SourceSettings

# FFmpeg's messages reach stderr as they please, URLs and passwords included. OpenCV reads
# this once, when it first opens a video; who wants the messages sets the variable.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
# Without it, one lock lets no camera open while another one waits for its answer. FFmpeg has
# needed no lock from others since its version 4; OpenCV's wheels carry 5 and later.
os.environ.setdefault("OPENCV_FFMPEG_IS_THREAD_SAFE", "1")

_OPTIONS = "OPENCV_FFMPEG_CAPTURE_OPTIONS"
# Each way first, the other one where a camera refuses it.
_TRANSPORTS = {"tcp": "rtsp_flags;prefer_tcp", "udp": "rtsp_transport;udp+tcp"}
# OpenCV 4.11.0 takes the options for absent where they are set, which is TCP first, and for
# set where they are empty, which is UDP first (https://github.com/opencv/opencv/pull/26793).
_IS_INVERTED = cv2.__version__.startswith("4.11.")
# Set from the start: another thread's getenv stays safe while only the value changes.
_users_options = os.environ.setdefault(_OPTIONS, "")
# FFmpeg decodes several images at once, each thread one later. A live camera needs no more than
# two: sixteen of them on sixteen cores would be 256 threads, and each half a second late.
_STREAM_THREADS = 2
_OPENING_SECONDS = 1.0  # OpenCV reads the options in its first microseconds


class _Turnstile:
    """Lets those who ask for the same value in together, others once they are through."""

    def __init__(self) -> None:
        self._door = threading.Lock()  # who waits in it is overtaken by nobody
        self._left = threading.Condition()
        self._value: str | None = None
        self._inside: dict[object, float] = {}  # when each came in

    @contextmanager
    def passing(self, value: str) -> Iterator[None]:
        """Hold the options at `value` until the block ends, or for `_OPENING_SECONDS`."""
        ticket = object()
        with self._door, self._left:
            if self._value != value:
                # Who is in for that long has read the options, and waits for a camera's answer.
                while (wait := self._until_free()) > 0:
                    self._left.wait(wait)
                os.environ[_OPTIONS] = self._value = value
            self._inside[ticket] = time.monotonic()
        try:
            yield
        finally:
            with self._left:
                del self._inside[ticket]
                self._left.notify_all()

    def _until_free(self) -> float:
        newest = max(self._inside.values(), default=-math.inf)
        return newest + _OPENING_SECONDS - time.monotonic()


_turnstile = _Turnstile()


def open_stream(url: str, settings: SourceSettings) -> cv2.VideoCapture:
    """Open a URL, with its own timeouts and RTSP transport; look at `isOpened`."""
    parameters = [
        cv2.CAP_PROP_OPEN_TIMEOUT_MSEC,
        _milliseconds(settings.open_timeout),
        cv2.CAP_PROP_READ_TIMEOUT_MSEC,
        _milliseconds(settings.read_timeout),
        cv2.CAP_PROP_N_THREADS,
        min(_STREAM_THREADS, os.cpu_count() or 1),
    ]
    with _turnstile.passing(_options(settings.rtsp_transport)):
        return cv2.VideoCapture(url, cv2.CAP_FFMPEG, parameters)


def _options(transport: str) -> str:
    """Return OpenCV's option string: the transport, and what the user set for the process."""
    if _IS_INVERTED and transport == "udp":
        return ""
    return "|".join(option for option in (_TRANSPORTS[transport], _users_options) if option)


def _milliseconds(seconds: float) -> int:
    return max(1, round(seconds * 1000))
