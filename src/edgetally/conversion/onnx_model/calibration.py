"""Calibration images: from a folder, or from the output manifest of a Ground Truth job."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from edgetally.capture import read_image
from edgetally.detector.preprocessing import fit_input
from edgetally.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

MOST_IMAGES = 300
"""As many are read at most, spread evenly over what there is: more hardly move a range."""

ENDINGS = (".jpg", ".jpeg", ".png", ".bmp")
_REMOTE = "s3://"
_LARGEST_IMAGE = 64 << 20
_REMEDY = "give --calibration a folder of images or a Ground Truth output manifest"


def calibration_frames(
    source: str, size: int, tell: Callable[[str], None]
) -> list[NDArray[np.uint8]]:
    """Read the images of a folder or a manifest as the network sees them: uint8 BGR [S, S, 3].

    source: a folder of images (jpg, jpeg, png, bmp; its sub-folders, where it holds none itself),
    or a manifest in JSON lines with a `source-ref` each (Amazon SageMaker Developer Guide, "Output
    data"): a path, absolute or from the manifest on, or `s3://bucket/key`, which is fetched unless
    a file of that name lies beside the manifest, or in a folder there named as the key's last.

    Returns at least one and at most `MOST_IMAGES`, in a fixed order. Raises InputError, naming
    the file or line, where there is none or one can't be read.
    """
    images = _spread(_in_folder(Path(source)) if Path(source).is_dir() else _listed(Path(source)))
    remote = sum(image.startswith(_REMOTE) for image in images)
    if remote:
        tell(f"fetching {remote} of {len(images)} calibration images from S3")
    with tempfile.TemporaryDirectory(prefix="edgetally-calibration-") as folder:
        return [
            fit_input(read_image(_local(image, Path(folder, str(number)))), size)
            for number, image in enumerate(images)
        ]


def _spread(images: list[str]) -> list[str]:
    if len(images) <= MOST_IMAGES:
        return images
    return [images[number * len(images) // MOST_IMAGES] for number in range(MOST_IMAGES)]


def _in_folder(folder: Path) -> list[str]:
    try:
        found = _images(folder, "*") or _images(folder, "**/*")
    except OSError as error:
        raise InputError(f"{folder}: {error.strerror or error}; {_REMEDY}") from None
    if not found:
        raise InputError(f"{folder} holds no images ({', '.join(ENDINGS)}); {_REMEDY}")
    return found


def _images(folder: Path, pattern: str) -> list[str]:
    found = (
        path
        for path in folder.glob(pattern)
        if path.suffix.lower() in ENDINGS and not path.name.startswith(".") and path.is_file()
    )
    return [str(path) for path in sorted(found, key=lambda path: path.relative_to(folder).parts)]


def _listed(manifest: Path) -> list[str]:
    try:
        lines = manifest.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise InputError(f"{manifest} does not exist; {_REMEDY}") from None
    except UnicodeDecodeError:
        raise InputError(f"{manifest} is no manifest (it holds no text); {_REMEDY}") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{manifest}: {reason}; {_REMEDY}") from None
    found = {
        _place(_reference(line, f"{manifest}: line {number}"), manifest.parent): None
        for number, line in enumerate(lines, start=1)
        if line.strip()
    }
    if not found:
        raise InputError(f"{manifest} lists no images; {_REMEDY}")
    return sorted(found)


def _reference(line: str, where: str) -> str:
    try:
        reference = json.loads(line)["source-ref"]
    except (ValueError, RecursionError):
        raise InputError(f"{where} is no JSON; {_REMEDY}") from None
    except (KeyError, TypeError, IndexError):
        reference = None
    if not isinstance(reference, str) or not reference or "\0" in reference:
        raise InputError(f'{where} has no "source-ref" that names an image; {_REMEDY}')
    if "://" in reference and not reference.startswith(_REMOTE):
        raise InputError(f"{where}: {reference} is neither a path nor an s3:// address; {_REMEDY}")
    return reference


def _place(reference: str, folder: Path) -> str:
    """Where the image is: a path, or an address where no copy of it lies near the manifest."""
    if not reference.startswith(_REMOTE):
        return str(folder / reference)
    key = PurePosixPath(reference.removeprefix(_REMOTE))
    for near in (folder / key.name, folder / key.parent.name / key.name):
        if near.is_file():
            return str(near)
    return reference


def _local(image: str, folder: Path) -> Path:
    if not image.startswith(_REMOTE):
        return Path(image)
    from edgetally.conversion.artifact.aws import fetch  # noqa: PLC0415 - owns boto3

    folder.mkdir()  # one each: keys in different places may end in the same name
    return fetch(image, folder, limit=_LARGEST_IMAGE)
