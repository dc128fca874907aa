"""`Detections`, the value that flows from the detector through tracking to messages."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Detections:
    """What was seen in one frame, as parallel arrays: one row a detection.

    boxes: float32 [N, 4], (xmin, ymin, xmax, ymax) in 0-1 of the frame.
    scores: float32 [N], 0-1.
    class_ids: int64 [N], indices into the model's classes.
    track_ids: int64 [N], -1 for a row that no confirmed track owns; None before tracking.
    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    class_ids: NDArray[np.int64]
    track_ids: NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        rows = len(self.scores)
        if self.boxes.shape != (rows, 4) or self.class_ids.shape != (rows,):
            raise ValueError(
                f"boxes {self.boxes.shape}, scores {self.scores.shape} and class_ids "
                f"{self.class_ids.shape} must be [N, 4], [N] and [N]"
            )
        if self.track_ids is not None and self.track_ids.shape != (rows,):
            raise ValueError(f"track_ids {self.track_ids.shape} must be [{rows}]")

    def __len__(self) -> int:
        return len(self.scores)

    @classmethod
    def empty(cls) -> Detections:
        """No detections: N = 0."""
        return cls(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64))

    def select(self, rows: NDArray[np.bool_] | NDArray[np.intp]) -> Detections:
        """Take the rows of a mask [N] or of an index array, in its order."""
        tracks = None if self.track_ids is None else self.track_ids[rows]
        return Detections(self.boxes[rows], self.scores[rows], self.class_ids[rows], tracks)

    def with_track_ids(self, track_ids: NDArray[np.int64]) -> Detections:
        """Return the same rows, each with its track's id."""
        return replace(self, track_ids=track_ids)
