"""`Settling`: whether looking once more may change what is known of a still scene."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
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

        confident: bool [N], the rows of the update's detections that count. time: seconds.
        """
        tracks = frozenset((track.id, track.is_seen_now) for track in update.tracks)
        owners = update.detections.track_ids
        unowned = 0 if owners is None else int((confident & (owners < 0)).sum())
        if (tracks, unowned) != self._seen:
            self._seen = tracks, unowned
            self._since = time
        return time - self._since >= _UNCHANGED and all(is_seen for _, is_seen in tracks)
