"""What a network reads of a picture, made in numpy: to calibrate, and to prove what was made."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgetally.bundle import ModelBundle


def network_input(frame: NDArray[np.uint8], bundle: ModelBundle) -> NDArray[np.float32]:
    """Turn uint8 BGR [N, S, S, 3] into float32 [N, 3, S, S]: (pixel - mean) * scale."""
    ordered = frame[..., ::-1] if bundle.colour_order == "RGB" else frame
    mean, scale = np.array(bundle.mean, np.float32), np.array(bundle.scale, np.float32)
    return np.ascontiguousarray(((ordered.astype(np.float32) - mean) * scale).transpose(0, 3, 1, 2))
