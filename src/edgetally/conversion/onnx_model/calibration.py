"""Calibration images: from a folder, or from the output manifest of a Ground Truth job."""

from __future__ import annotations

import json
import os
import re
import stat
import tempfile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from edgetally.capture import read_image
from edgetally.conversion.artifact.aws import fetch, is_address
from edgetally.detector.preprocessing import fit_input
from edgetally.errors import InputError
from edgetally.ordinary_file import open_ordinary, status_of
from edgetally.shortened import shortened

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy as np
    from numpy.typing import NDArray

MOST_IMAGES = 300
"""As many are read at most, spread evenly over what there is: more hardly move a range."""

ENDINGS = (".jpg", ".jpeg", ".png", ".bmp")
_LARGEST_IMAGE = 64 << 20
# Ground Truth takes up to 100,000 pictures a job.
_LARGEST_MANIFEST = 64 << 20
_LONGEST_LINE = 1 << 20
_MOST_LINES = 1_000_000
_NO_PATH = re.compile("[\0\ud800-\udfff]")
_REMEDY = "give --calibration a folder of images or a Ground Truth output manifest"


def calibration_frames(
    source: str, size: int, tell: Callable[[str], None]
) -> list[NDArray[np.uint8]]:
    """Read the images of a folder or a manifest as the network sees them: uint8 BGR [S, S, 3].

    source: a folder of images (jpg, jpeg, png, bmp; its sub-folders, where it holds none itself),
    or a manifest in JSON lines with a `source-ref` each (Amazon SageMaker Developer Guide, "Output
    data"): a path, absolute or from the manifest on, or `s3://bucket/key`, which is fetched unless
    a file of that name lies beside the manifest, or in a folder there named as the key's last.
    The manifest itself may be such an address.

    Returns at least one and at most `MOST_IMAGES`, in a fixed order. Raises InputError, naming
    the file or line, where there is none or one can't be read.
    """
    if is_address(source):
        with tempfile.TemporaryDirectory(prefix="edgetally-calibration-") as folder:
            tell(f"fetching {source}")
            manifest = fetch(source, Path(folder), limit=_LARGEST_MANIFEST)
            return calibration_frames(str(manifest), size, tell)
    place = Path(source)
    try:
        is_folder = stat.S_ISDIR(status_of(place).st_mode)
    except OSError as error:
        raise _unreadable(place, error) from None
    images = _spread(_in_folder(place)) if is_folder else _listed(place)
    remote = sum(map(is_address, images))
    if remote:
        tell(f"fetching {remote} of {len(images)} calibration images from S3")
    with tempfile.TemporaryDirectory(prefix="edgetally-calibration-") as folder:
        return [
            fit_input(read_image(_local(image, Path(folder, str(number))), shortened(image)), size)
            for number, image in enumerate(images)
        ]


def _spread(images: list[str]) -> list[str]:
    if len(images) <= MOST_IMAGES:
        return images
    return [images[number * len(images) // MOST_IMAGES] for number in range(MOST_IMAGES)]


def _in_folder(folder: Path) -> list[str]:
    try:
        with os.scandir(folder):  # glob passes over what it may not read
            found = _images(folder, "*") or _images(folder, "**/*")
    except OSError as error:
        raise _unreadable(folder, error) from None
    if not found:
        raise InputError(f"{shortened(folder)} holds no images ({', '.join(ENDINGS)}); {_REMEDY}")
    return found


def _unreadable(path: Path, error: OSError) -> InputError:
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return InputError(f"{shortened(path)} does not exist; {_REMEDY}")
    # A path that holds a NUL character must not reach a terminal as it is.
    return InputError(
        f"{shortened(repr(str(path)))} can't be read ({error.strerror or error}); {_REMEDY}"
    )


def _images(folder: Path, pattern: str) -> list[str]:
    found = (
        path
        for path in folder.glob(pattern)
        if path.suffix.lower() in ENDINGS and not path.name.startswith(".") and path.is_file()
    )
    return [str(path) for path in sorted(found, key=lambda path: path.relative_to(folder).parts)]


def _listed(manifest: Path) -> list[str]:
    shown = shortened(manifest)
    found = {
        _reference(line, f"{shown}: line {number}")
        for number, line in _lines(manifest)
        if line.strip()
    }
    if not found:
        raise InputError(f"{shown} lists no images; {_REMEDY}")
    # Looking for each of a million images would take long: only for those that are taken.
    return [_place(reference, manifest.parent) for reference in _spread(sorted(found))]


def _lines(manifest: Path) -> Iterator[tuple[int, str]]:
    """Yield each line's number and text."""
    shown = shortened(manifest)
    try:
        with open_ordinary(manifest, _LARGEST_MANIFEST) as stream:
            number = 0
            while line := stream.readline(_LONGEST_LINE):
                number += 1
                if number > _MOST_LINES:
                    raise InputError(
                        f"{shown} has more than {_MOST_LINES} lines; {_REMEDY} of fewer images"
                    )
                if len(line) == _LONGEST_LINE:
                    raise InputError(
                        f"{shown}: line {number} has {_LONGEST_LINE} bytes or more; {_REMEDY}"
                    )
                yield number, line.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError:
        raise InputError(f"{shown} is no manifest (it holds no text); {_REMEDY}") from None
    except OSError as error:
        raise _unreadable(manifest, error) from None


def _reference(line: str, where: str) -> str:
    try:
        reference = json.loads(line)["source-ref"]
    except (ValueError, RecursionError):
        raise InputError(f"{where} is no JSON; {_REMEDY}") from None
    except (KeyError, TypeError, IndexError):
        reference = None
    if not isinstance(reference, str) or not reference or _NO_PATH.search(reference):
        raise InputError(f'{where} has no "source-ref" that names an image; {_REMEDY}')
    if "://" in reference and not is_address(reference):
        raise InputError(
            f"{where}: {shortened(reference)} is neither a path nor an s3:// address; {_REMEDY}"
        )
    return reference


def _place(reference: str, folder: Path) -> str:
    """Where the image is: a path, or an address where no copy of it lies near the manifest."""
    if not is_address(reference):
        return str(folder / reference)
    key = PurePosixPath(reference.partition("://")[2])
    for near in (folder / key.name, folder / key.parent.name / key.name):
        if _is_file(near):
            return str(near)
    return reference


def _is_file(path: Path) -> bool:
    try:
        return stat.S_ISREG(status_of(path).st_mode)
    except OSError:  # also a key that is too long for a file's name
        return False


def _local(image: str, folder: Path) -> Path:
    if not is_address(image):
        return Path(image)
    folder.mkdir()  # one each: keys in different places may end in the same name
    return fetch(image, folder, limit=_LARGEST_IMAGE)
