"""The pictures that precisions are compared on: a folder of what the cameras see."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, overload

from edgetally.capture import read_image
from edgetally.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

_ENDINGS = (".jpg", ".jpeg", ".png", ".bmp")
_MOST = 60  # spread evenly over what there is


class PictureFolder(Sequence["NDArray[np.uint8]"]):
    """The images of a folder (jpg, jpeg, png, bmp), each read when it is asked for.

    InputError where the folder holds none, or where one can't be read. Of more than 60 images, 60
    are taken. A picture is uint8 BGR [H, W, 3].
    """

    def __init__(self, folder: Path) -> None:
        try:
            found = sorted(
                path
                for path in folder.iterdir()
                if path.suffix.lower() in _ENDINGS and not path.name.startswith(".")
            )
        except (OSError, ValueError) as error:  # ValueError: a NUL in the path
            reason = getattr(error, "strerror", None) or error
            raise InputError(f"{folder}: {reason}; give --calibration a folder of images") from None
        if not found:
            raise InputError(f"{folder} holds no images ({', '.join(_ENDINGS)})")
        count = min(len(found), _MOST)
        self._paths = [found[number * len(found) // count] for number in range(count)]

    def __len__(self) -> int:
        return len(self._paths)

    @overload
    def __getitem__(self, index: int) -> NDArray[np.uint8]: ...

    @overload
    def __getitem__(self, index: slice) -> list[NDArray[np.uint8]]: ...

    def __getitem__(self, index: int | slice) -> NDArray[np.uint8] | list[NDArray[np.uint8]]:
        if isinstance(index, slice):
            return [read_image(path) for path in self._paths[index]]
        return read_image(self._paths[index])
