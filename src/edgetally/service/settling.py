"""`Settling`: whether looking once more may change what is known of a still scene."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgetally.counting.events import CameraUpdate

_UNCHANGED = 0.7  # seconds: longer than a track or a zone takes to believe what it sees


class Settling:
    """Compares each look with the one before."""

    def __init__(self) -> None:
        self._seen: tuple[frozenset[tuple[int, bool]], int] | None = None
        self._since = 0.0

    def look(self, update: CameraUpdate, confident: NDArray[np.bool_], time: float) -> bool:
        """Tell whether every track is seen, and nothing came or went for most of a second.

        confident: bool [N], the rows of the update's detections that count. time: seconds. While a
        weak detection belongs to no track, a better look may still begin one.
        """
        tracks = frozenset((track.id, track.is_seen_now) for track in update.tracks)
        owners = update.detections.track_ids
        unowned = owners < 0 if owners is not None else np.ones_like(confident)
        seen = tracks, int((confident & unowned).sum())
        if seen != self._seen:
            self._seen = seen
            self._since = time
        if unowned.any() or not all(is_seen for _, is_seen in tracks):
            return False
        return time - self._since >= _UNCHANGED
