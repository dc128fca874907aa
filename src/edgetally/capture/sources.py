"""What a source string means: a camera, a URL, a pipeline, a file, a folder or a pattern."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

import cv2

from edgetally.capture.image_folder import WatchedFolder, open_folder
from edgetally.capture.pattern import SCHEME as PATTERN_SCHEME
from edgetally.capture.pattern import open_pattern
from edgetally.capture.redaction import is_pipeline, redact
from edgetally.capture.source import SourceSettings
from edgetally.capture.video import (
    has_gstreamer,
    open_device,
    open_file,
    open_pipeline,
    open_url,
)
from edgetally.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgetally.capture.source import Source

_FOLDER_FPS = 1.0
_HIGHEST_INDEX = 1000  # far more than a machine has
_SCHEMES = frozenset(
    {"http", "https", "rtmp", "rtmps", "rtp", "rtsp", "rtsps", "srt", "tcp", "udp"}
)
_DEFAULTS = SourceSettings()


@dataclass(frozen=True)
class PlannedSource:
    """What a source string asks for, before it is opened.

    shown: the source as it may be shown.
    can_be_lost: it may be away now and come back later: a camera, not a file.
    """

    shown: str
    can_be_lost: bool
    _opened: Callable[[], Source]

    def open(self) -> Source:
        """Open it. InputError where that does not work."""
        try:
            return self._opened()
        except cv2.error:
            raise InputError(f"{self.shown} does not open; give another source") from None


def plan_source(source: str, settings: SourceSettings = _DEFAULTS) -> PlannedSource:
    """Understand a source without opening it. InputError for one that can never work."""
    if re.fullmatch(r"-?\d+", source):
        if len(source) > len(str(_HIGHEST_INDEX)) or not 0 <= int(source) <= _HIGHEST_INDEX:
            raise InputError(
                f"camera {source}: an index is 0 to {_HIGHEST_INDEX}; write ./{source} for a file"
            )
        return _lasting(f"camera {source}", partial(open_device, int(source), settings))
    if source.startswith(PATTERN_SCHEME):
        return _fixed(source, partial(open_pattern, source, settings.fps))
    if is_pipeline(source):
        return _plan_pipeline(source, settings)
    is_file_url = source.lower().startswith("file://")
    if "://" in source and not is_file_url:
        return _plan_url(source, settings)
    return _plan_path(unquote(source[len("file://") :]) if is_file_url else source, settings)


def open_source(source: str, settings: SourceSettings = _DEFAULTS) -> Source:
    """Open a source of any kind, now.

    Raises InputError where it does not exist, does not open or holds no image.
    """
    return plan_source(source, settings).open()


def _lasting(shown: str, opened: Callable[[], Source]) -> PlannedSource:
    return PlannedSource(shown, can_be_lost=True, _opened=opened)


def _fixed(source: str, opened: Callable[[], Source]) -> PlannedSource:
    return PlannedSource(redact(source), can_be_lost=False, _opened=opened)


def _plan_pipeline(pipeline: str, settings: SourceSettings) -> PlannedSource:
    shown = redact(pipeline)
    if "appsink" not in pipeline:
        raise InputError(f"{shown}: a GStreamer pipeline ends in appsink; add ! appsink")
    if not has_gstreamer():
        raise InputError(
            f"{shown}: this OpenCV was built without GStreamer, as those from PyPI are; install "
            "one built with it, or give the camera's URL"
        )
    return _lasting(shown, partial(open_pipeline, pipeline, settings))


def _plan_url(url: str, settings: SourceSettings) -> PlannedSource:
    shown = redact(url)
    scheme, _, rest = url.partition("://")
    if scheme.lower() not in _SCHEMES:
        raise InputError(f"{shown}: no video comes by such a URL; give rtsp://… or http://…")
    if not re.split(r"[/?#]", rest.rpartition("@")[2])[0].lstrip(":"):
        raise InputError(f"{shown} names no host; give rtsp://HOST/… or http://HOST/…")
    return _lasting(shown, partial(open_url, url, settings))


def _plan_path(text: str, settings: SourceSettings) -> PlannedSource:
    path, shown = Path(text), redact(text)
    try:
        str(path).encode()  # OpenCV crashes on what is not UTF-8
        path.stat()
    except (OSError, ValueError) as error:
        if isinstance(error, FileNotFoundError):
            if path.is_relative_to("/dev"):  # a camera that is not plugged in yet
                return _lasting(f"camera {shown}", partial(open_device, text, settings))
            if re.search(r"[*?[]", text):
                return _plan_images(text, settings)
        reason = getattr(error, "strerror", None) or "no path"
        raise InputError(
            f"{shown}: {reason.lower()}; give a video file, a folder of images, a "
            "camera's index or a URL"
        ) from None
    if path.is_char_device():
        return _lasting(f"camera {shown}", partial(open_device, text, settings))
    if path.is_dir():
        return _plan_images(text, settings)
    if path.is_fifo():
        raise InputError(f"{shown} is a named pipe; give a video file or a camera's URL")
    return _fixed(text, partial(_open_whole, partial(open_file, path), shown))


def _plan_images(place: str, settings: SourceSettings) -> PlannedSource:
    if settings.watch:
        return _fixed(place, partial(WatchedFolder, place))
    opened = partial(open_folder, place, settings.fps or _FOLDER_FPS)
    return _fixed(place, partial(_open_whole, opened, redact(place)))


def _open_whole(opened: Callable[[], Source], shown: str) -> Source:
    # Whether a file holds images shows when one is decoded, which moves on in the file; so
    # the file that is checked is opened again.
    with opened() as probe:
        if probe.read() is None:
            raise InputError(f"no image in {shown} can be decoded; give another file or folder")
    return opened()
