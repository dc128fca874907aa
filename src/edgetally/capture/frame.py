"""`Frame`: one image of a camera, and when it was taken."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Image: TypeAlias = NDArray[np.uint8]
"""uint8 [H, W, 3], BGR."""


@dataclass(frozen=True, eq=False)
class Frame:
    """One image of a camera.

    camera: the camera's name in the configuration.
    index: the frame's number in its source, from 0; frames that were sampled away, dropped or
        broken leave gaps.
    time: when it was captured, in seconds since the Unix epoch; for files and folders, when
        the capture started plus media_time.
    media_time: seconds since the start of the source.
    image: uint8 [H, W, 3], BGR.
    """

    camera: str
    index: int
    time: float
    media_time: float
    image: Image
