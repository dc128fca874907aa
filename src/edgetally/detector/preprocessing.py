"""Turn a frame into the square picture that the network reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from edgetally.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray


def fit_input(frame: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Resize uint8 BGR [H, W, 3] to [size, size, 3], bilinear, without keeping the aspect.

    The algorithm trains on pictures that were stretched in this way. InputError when the frame
    has another type or shape.
    """
    if not isinstance(frame, np.ndarray):
        raise InputError(f"a frame must be a uint8 array [H, W, 3], got {type(frame).__name__}")
    if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3 or not frame.size:
        raise InputError(
            f"a frame must be uint8 [H, W, 3] in BGR, got {frame.dtype} {list(frame.shape)}; "
            "read pictures with cv2.imread(path, cv2.IMREAD_COLOR)"
        )
    resized = cv2.resize(frame, (size, size), interpolation=cv2.INTER_LINEAR)
    return np.asarray(resized, np.uint8)
