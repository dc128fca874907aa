"""What a source string means: a camera, a URL, a pipeline, a file, a folder or a pattern."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

import cv2

from edgetally.capture.image_folder import open_folder
from edgetally.capture.pattern import SCHEME as PATTERN_SCHEME
from edgetally.capture.pattern import open_pattern
from edgetally.capture.pipeline import Pipeline, plan_pipeline
from edgetally.capture.redaction import is_nearly_url, is_pipeline, redact
from edgetally.capture.source import SourceSettings
from edgetally.capture.video import check_device, open_device, open_file, open_url
from edgetally.capture.watched_folder import FolderWatch, answers
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
    is_paced: it gives as many images a second as the settings ask for.
    """

    shown: str
    can_be_lost: bool
    _opened: Callable[[], Source]
    is_paced: bool = False

    def open(self) -> Source:
        """Open it. InputError where that does not work."""
        try:
            return self._opened()
        except cv2.error:
            raise InputError(f"{self.shown} does not open; give another source") from None


def plan_source(source: str, settings: SourceSettings = _DEFAULTS) -> PlannedSource:
    """Understand a source without opening it. InputError for one that can never work."""
    _check_text(source)
    bare = source.strip()
    if re.fullmatch(r"-?[0-9]+", bare):
        if len(bare) > len(str(_HIGHEST_INDEX)) or not 0 <= int(bare) <= _HIGHEST_INDEX:
            raise InputError(
                f"camera {bare}: an index is 0 to {_HIGHEST_INDEX}; write ./{bare} for a file"
            )
        return _lasting(f"camera {bare}", partial(open_device, int(bare), settings), is_paced=True)
    if bare.lower().startswith(PATTERN_SCHEME):
        return _fixed(bare, partial(open_pattern, bare, settings.fps), is_paced=True)
    if is_pipeline(bare) and not _exists(source):
        line = plan_pipeline(bare)
        return _lasting(redact(bare), partial(Pipeline, bare, line, settings))
    is_file_url = bare.lower().startswith("file://")
    if "://" in bare and not is_file_url:
        return _plan_url(bare, settings)
    return _plan_path(unquote(bare[len("file://") :]) if is_file_url else source, settings)


def open_source(source: str, settings: SourceSettings = _DEFAULTS) -> Source:
    """Open a source of any kind, now.

    Raises InputError where it does not exist, does not open or holds no image.
    """
    return plan_source(source, settings).open()


def _lasting(shown: str, opened: Callable[[], Source], *, is_paced: bool = False) -> PlannedSource:
    return PlannedSource(shown, can_be_lost=True, _opened=opened, is_paced=is_paced)


def _device(shown: str, path: str, settings: SourceSettings) -> PlannedSource:
    return _lasting(f"camera {shown}", partial(open_device, path, settings), is_paced=True)


def _fixed(source: str, opened: Callable[[], Source], *, is_paced: bool = False) -> PlannedSource:
    return PlannedSource(redact(source), can_be_lost=False, _opened=opened, is_paced=is_paced)


def _check_text(source: str) -> None:
    try:
        source.encode()  # OpenCV crashes on what is not UTF-8
        if "\0" not in source:  # where it would take the source to end
            return
    except UnicodeEncodeError:
        pass
    raise InputError(f"{redact(source)}: holds what is no text; write it in UTF-8") from None


def _exists(path: str) -> bool:
    try:
        return Path(path).exists()
    except OSError:  # longer than a path can be
        return False


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
    if settings.watch and not answers(path):  # nor may it hold up the other cameras
        return _plan_images(text, settings)
    try:
        path.stat()
    except (OSError, ValueError) as error:
        if is_nearly_url(text):
            raise InputError(
                f"{shown}: a URL needs ://; give rtsp://HOST/… or http://HOST/…"
            ) from None
        if isinstance(error, FileNotFoundError):
            if path.is_relative_to("/dev"):  # a camera that is not plugged in yet
                return _device(shown, text, settings)
            if settings.watch or re.search(r"[*?[]", text):
                return _plan_images(text, settings)
        reason = getattr(error, "strerror", None) or "no path"
        raise InputError(
            f"{shown}: {reason.lower()}; give a video file, a folder of images, a "
            "camera's index or a URL"
        ) from None
    if path.is_char_device() or path.is_block_device():
        check_device(path)
        return _device(shown, text, settings)
    if path.is_dir():
        return _plan_images(text, settings)
    if path.is_fifo():
        raise InputError(f"{shown} is a named pipe; give a video file or a camera's URL")
    return _fixed(text, partial(_open_whole, partial(open_file, path), shown))


def _plan_images(place: str, settings: SourceSettings) -> PlannedSource:
    if settings.watch:
        return _lasting(redact(place), FolderWatch(place, settings).open)
    opened = partial(open_folder, place, settings.fps or _FOLDER_FPS)
    return _fixed(place, partial(_open_whole, opened, redact(place)), is_paced=True)


def _open_whole(opened: Callable[[], Source], shown: str) -> Source:
    # Whether a file holds images shows when one is decoded, which moves on in the file; so
    # the file that is checked is opened again.
    with opened() as probe:
        if probe.read() is None:
            raise InputError(f"no image in {shown} can be decoded; give another file or folder")
    return opened()
