"""Where images come from: a camera, a URL, a video file or a folder, through OpenCV."""

from __future__ import annotations

import os
import re
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

import cv2
import numpy as np

from edgetally.capture.image_file import read_image
from edgetally.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from edgetally.capture.frame import Image

# FFmpeg's messages reach stderr as they please, URLs and passwords included. OpenCV reads
# this once, when it first opens a video; who wants the messages sets the variable.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")

_IMAGE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
_FOLDER_FPS = 1.0
_UNKNOWN_FPS = 25.0  # what FFmpeg assumes of a file that does not tell
_NETWORK_TIMEOUT_MS = 5_000
_TRIES = 5  # broken packets in a row that do not yet end a stream
_HIGHEST_INDEX = 1000  # far more than a machine has


class Source(ABC):
    """Images, one after the other.

    is_live: images come at their own pace, and are lost when nobody reads them.
    fps: images a second; None where a live source does not tell.
    frame_count: how many images it says it holds; None where unknown.
    index: the number of the image that `grab` moved to, from 0; -1 before the first.
    skipped: images so far that could not be decoded.
    """

    def __init__(self, *, is_live: bool, fps: float | None, frame_count: int | None) -> None:
        self.is_live = is_live
        self.fps = fps
        self.frame_count = frame_count
        self.index = -1
        self.skipped = 0

    @property
    def position(self) -> float:
        """Seconds from the start to the image of `index`, by the source's own rate."""
        return max(self.index, 0) / self.fps if self.fps else 0.0

    @abstractmethod
    def grab(self) -> bool:
        """Move on to the next image without decoding it in full; False at the end."""

    @abstractmethod
    def retrieve(self) -> Image | None:
        """Decode the grabbed image; None, and counted as skipped, where it is broken."""

    @abstractmethod
    def close(self) -> None:
        """Let go of the device or file."""

    def read(self) -> Image | None:
        """Return the next image that can be decoded, uint8 BGR [H, W, 3]; None at the end."""
        while self.grab():
            image = self.retrieve()
            if image is not None:
                return image
        return None

    def __iter__(self) -> Iterator[Image]:
        while (image := self.read()) is not None:
            yield image

    def __enter__(self) -> Source:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def open_source(source: str, fps: float | None = None) -> Source:
    """Open a camera index, a device such as /dev/video0, a URL, a video file or a folder.

    fps is the rate of a folder of images (1 where absent); the others have their own.
    Raises InputError where it does not exist, does not open or holds no image.
    """
    try:
        return _open(source, fps)
    except cv2.error:
        raise InputError(f"{redact(source)} does not open; give another source") from None


def redact(source: str) -> str:
    """Return a source as it may be shown: without user, password and query.

    Whatever stands before an @ is masked, so a URL with a slash too few keeps its secret, too.
    """
    # Up to the last @: people do not escape the @, / and ? of their passwords.
    shown = re.sub(r"^([A-Za-z][\w+.-]*:/+)?.*@", r"\1***@", source, flags=re.DOTALL)
    return re.sub(r"(:/.*?)\?.*", r"\1?***", shown, flags=re.DOTALL)


def _open(source: str, fps: float | None) -> Source:
    if re.fullmatch(r"-?\d+", source):
        if len(source) > len(str(_HIGHEST_INDEX)) or not 0 <= int(source) <= _HIGHEST_INDEX:
            raise InputError(
                f"camera {source}: an index is 0 to {_HIGHEST_INDEX}; write ./{source} for a file"
            )
        return _open_device(int(source), f"camera {source}")
    is_file_url = source.lower().startswith("file://")
    if "://" in source and not is_file_url:
        return _open_url(source)
    path = Path(unquote(source[len("file://") :]) if is_file_url else source)
    try:
        str(path).encode()  # OpenCV crashes on what is not UTF-8
        path.stat()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "no path"
        raise InputError(
            f"{redact(source)}: {reason.lower()}; give a video file, a folder of images, a "
            "camera's index or a URL"
        ) from None
    if path.is_char_device():
        return _open_device(str(path), f"camera {redact(source)}")
    # Whether a file holds images shows when one is decoded, which moves on in the file; so
    # the file that is checked is opened again.
    with _open_path(path, fps) as probe:
        if probe.read() is None:
            raise InputError(
                f"no image in {redact(source)} can be decoded; give another file or folder"
            )
    return _open_path(path, fps)


class _Video(Source):
    """A camera, stream or file that OpenCV plays."""

    def __init__(self, capture: cv2.VideoCapture, *, is_live: bool) -> None:
        fps = capture.get(cv2.CAP_PROP_FPS)
        told = 0 < fps <= 1000
        frames = capture.get(cv2.CAP_PROP_FRAME_COUNT)
        super().__init__(
            is_live=is_live,
            fps=fps if told else None if is_live else _UNKNOWN_FPS,
            frame_count=int(frames) if frames > 0 and not is_live else None,
        )
        self._capture = capture

    def grab(self) -> bool:
        # OpenCV's grab fails once for each packet that FFmpeg refuses, as it does at the end;
        # the next one may be good again, in a file as long as frames are left.
        left = max((self.frame_count or 0) - self.index - 1, _TRIES)
        for broken in range(left):
            if self._capture.grab():
                self.index += broken + 1
                self.skipped += broken
                return True
        return False

    def retrieve(self) -> Image | None:
        try:
            decoded, image = self._capture.retrieve()
        except cv2.error:
            decoded = False
        if not decoded:
            self.skipped += 1
            return None
        return np.asarray(image, np.uint8)

    def close(self) -> None:
        self._capture.release()


class _Folder(Source):
    """The images of a folder, sorted as people number them: 2 before 10."""

    def __init__(self, paths: list[Path], fps: float) -> None:
        super().__init__(is_live=False, fps=fps, frame_count=len(paths))
        self._paths = paths

    def grab(self) -> bool:
        if self.index + 1 >= len(self._paths):
            return False
        self.index += 1
        return True

    def retrieve(self) -> Image | None:
        try:
            return read_image(self._paths[self.index])
        except InputError:
            self.skipped += 1
            return None

    def close(self) -> None:
        pass


def _open_device(device: int | str, name: str) -> Source:
    backend = cv2.CAP_V4L2 if isinstance(device, str) else cv2.CAP_ANY
    capture = cv2.VideoCapture(device, backend)
    if not capture.isOpened():
        raise InputError(
            f"{name} does not open; check that it is plugged in, that no other program uses it "
            "and that this user may read it (group video)"
        )
    return _Video(capture, is_live=True)


def _open_url(url: str) -> Source:
    timeouts = [
        cv2.CAP_PROP_OPEN_TIMEOUT_MSEC,
        _NETWORK_TIMEOUT_MS,
        cv2.CAP_PROP_READ_TIMEOUT_MSEC,
        _NETWORK_TIMEOUT_MS,
    ]
    capture = cv2.VideoCapture(url, cv2.CAP_FFMPEG, timeouts)
    if not capture.isOpened():
        raise InputError(
            f"{redact(url)} does not open; check the address, the password and that this "
            "machine reaches the camera"
        )
    return _Video(capture, is_live=True)


def _open_path(path: Path, fps: float | None) -> Source:
    if path.is_dir():
        return _Folder(_images_in(path), fps or _FOLDER_FPS)
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    # FFmpeg plays text files as films of a terminal, codec "ansi".
    codec = int(capture.get(cv2.CAP_PROP_FOURCC)).to_bytes(4, "little")
    if not capture.isOpened() or codec == b"ansi":
        capture.release()
        shown = redact(str(path))
        if not os.access(path, os.R_OK):
            raise InputError(f"{shown} is not readable by this user; change its permissions")
        raise InputError(f"{shown} is no video that can be played; give another file")
    return _Video(capture, is_live=False)


def _images_in(folder: Path) -> list[Path]:
    shown = redact(str(folder))
    try:
        found = [
            path
            for path in folder.iterdir()
            if path.suffix.lower() in _IMAGE_SUFFIXES and not path.name.startswith(".")
        ]
    except OSError as error:
        raise InputError(f"folder {shown}: {error.strerror}; change its permissions") from None
    if not found:
        raise InputError(f"folder {shown} holds no images (jpg, png, bmp, tif, webp); add some")
    return sorted(found, key=_natural_order)


def _natural_order(path: Path) -> list[tuple[int, str]]:
    parts = re.split(r"(\d+)", path.name.lower())
    return [(int(part) if part.isdecimal() else 0, part) for part in parts]
