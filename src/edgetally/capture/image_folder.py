"""Images of a folder or glob, in the order people number them: 2 before 10."""

from __future__ import annotations

import glob
import re
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from edgetally.capture.image_file import read_image
from edgetally.capture.redaction import redact
from edgetally.capture.source import Source
from edgetally.errors import InputError

if TYPE_CHECKING:
    from edgetally.capture.frame import Image

_IMAGE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
_POLL_SECONDS = 0.1  # a file that stayed the same between two looks is written

_Stamp = tuple[int, int]  # size, time of the last change: both differ while a file is written


class ImageFolder(Source):
    """The images that are there when it is opened."""

    def __init__(self, paths: list[Path], fps: float) -> None:
        super().__init__(is_live=False, fps=fps, frame_count=len(paths))
        self._paths = paths

    def grab(self) -> bool:
        """Move on to the next file."""
        if self.index + 1 >= len(self._paths):
            return False
        self.index += 1
        return True

    def retrieve(self) -> Image | None:
        """Read the file."""
        try:
            return read_image(self._paths[self.index])
        except InputError:
            self.skipped += 1
            return None


class WatchedFolder(Source):
    """The images that are there, then each that is added or written anew, for ever.

    A file is taken when its size and its time stay the same for a moment and it holds a whole
    picture; until then it may still be written.
    """

    def __init__(self, place: str) -> None:
        super().__init__(is_live=True, fps=None, waits=True)
        self._place = place
        self._seen: dict[Path, _Stamp] = {}  # as last looked at
        self._done: dict[Path, _Stamp] = {}  # as taken, or found broken
        self._ready: list[Path] = []
        self._image: Image | None = None
        self._woken = threading.Event()

    def grab(self) -> bool:
        """Wait for the next whole picture; False once woken."""
        while not self._woken.is_set():
            while self._ready:
                path = self._ready.pop(0)
                try:
                    self._image = read_image(path)
                except InputError:
                    self.skipped += 1  # and looked at again when it changes
                    continue
                self.index += 1
                return True
            self._look()
            if not self._ready:
                self._woken.wait(_POLL_SECONDS)
        return False

    def retrieve(self) -> Image | None:
        """Give the picture that `grab` found."""
        image, self._image = self._image, None
        return image

    def wake(self) -> None:
        """End the waiting."""
        self._woken.set()

    def _look(self) -> None:
        seen = {}
        for path in images_at(self._place):
            try:
                status = path.stat()
            except OSError:  # gone since it was listed
                continue
            seen[path] = stamp = (status.st_size, status.st_mtime_ns)
            if self._seen.get(path) == stamp != self._done.get(path):
                self._ready.append(path)
                self._done[path] = stamp
        # What was deleted is forgotten: a folder that is emptied now and then stays small here.
        self._seen, self._done = (
            seen,
            {path: self._done[path] for path in seen if path in self._done},
        )


def open_folder(place: str, fps: float) -> ImageFolder:
    """Open a folder or glob of images. InputError where it holds none."""
    paths = images_at(place)
    if not paths:
        shown = redact(place)
        try:
            next(Path(place).iterdir(), None)
        except PermissionError as error:
            raise InputError(f"folder {shown}: {error.strerror}; change its permissions") from None
        except OSError:
            pass
        what = f"folder {shown} holds" if Path(place).is_dir() else f"{shown} matches"
        raise InputError(f"{what} no images (jpg, png, bmp, tif, webp); add some")
    return ImageFolder(paths, fps)


def images_at(place: str) -> list[Path]:
    """Return the images of a folder or glob, sorted; none where it can't be read."""
    try:
        if Path(place).is_dir():
            found = list(Path(place).iterdir())
        else:
            found = [Path(path) for path in glob.glob(place, recursive=True)]  # noqa: PTH207 - Path.glob takes no absolute pattern
    except OSError:
        return []
    images = [
        path
        for path in found
        if path.suffix.lower() in _IMAGE_SUFFIXES and not path.name.startswith(".")
    ]
    return sorted(images, key=_natural_order)


def _natural_order(path: Path) -> list[tuple[int, str]]:
    parts = re.split(r"(\d+)", str(path).lower())
    return [(int(part) if part.isdecimal() else 0, part) for part in parts]
