"""`ImageFolder`: the images of a folder or glob, in the order people number them."""

from __future__ import annotations

import glob
from pathlib import Path
from typing import TYPE_CHECKING

from edgetally.capture.image_file import read_image
from edgetally.capture.image_names import is_image_name, natural_order
from edgetally.capture.redaction import redact
from edgetally.capture.source import Source
from edgetally.errors import InputError

if TYPE_CHECKING:
    from edgetally.capture.frame import Image


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


def open_folder(place: str, fps: float) -> ImageFolder:
    """Open a folder or glob of images. InputError where it holds none."""
    paths = _images_at(place)
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


def _images_at(place: str) -> list[Path]:
    """Return the images of a folder or glob, sorted; none where it can't be read."""
    try:
        if Path(place).is_dir():
            found = list(Path(place).iterdir())
        else:
            found = [Path(path) for path in glob.glob(place, recursive=True)]  # noqa: PTH207 - Path.glob takes no absolute pattern
    except OSError:
        return []
    images = [path for path in found if is_image_name(path.name)]
    return sorted(images, key=lambda path: natural_order(str(path)))
