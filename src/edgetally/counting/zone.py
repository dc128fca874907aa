"""`Zone`: how many objects of each class are in an area."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgetally.counting.track import Track, centre_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from edgetally.config import ZoneConfig


@dataclass(slots=True)
class _Presence:
    """What the zone knows of one track; `changed`: since when it seems otherwise, or None."""

    class_id: int
    is_inside: bool = False
    changed: float | None = None


class Zone:
    """Counts the tracks whose centre is in a polygon.

    A track enters or leaves when it stayed so for `dwell` seconds; one that is not seen stays
    where it was, and leaves when it ends.
    """

    def __init__(self, zone: ZoneConfig, classes: Sequence[str], *, dwell: float = 0.5) -> None:
        """Watch `zone`; `classes` are the model's."""
        self._polygon = zone.polygon
        self._class_ids = [
            index for index, name in enumerate(classes) if not zone.classes or name in zone.classes
        ]
        self._dwell = dwell
        self._presences: dict[int, _Presence] = {}

    @property
    def occupancy(self) -> dict[int, int]:
        """How many are inside, by class id; every class that the zone counts is there."""
        inside = [p.class_id for p in self._presences.values() if p.is_inside]
        return {class_id: inside.count(class_id) for class_id in self._class_ids}

    def update(self, tracks: Iterable[Track], time: float) -> dict[int, int]:
        """Take a camera's tracks after a frame at `time` (seconds); return the occupancy."""
        presences = {}
        for track in tracks:
            presence = self._presences.get(track.id) or _Presence(track.class_id)
            presence.class_id = track.class_id
            presences[track.id] = presence
            if track.is_seen_now:
                is_inside = self._holds(centre_of(track.box))
                if is_inside == presence.is_inside:
                    presence.changed = None
                elif presence.changed is None:
                    presence.changed = track.last_seen
            if presence.changed is not None and time - presence.changed >= self._dwell:
                presence.is_inside = not presence.is_inside
                presence.changed = None
        self._presences = presences
        return self.occupancy

    def _holds(self, point: tuple[float, float]) -> bool:
        """Cast a ray to the right and count the polygon's edges that it meets (even-odd)."""
        x, y = point
        is_inside = False
        x_before, y_before = self._polygon[-1]
        for x_corner, y_corner in self._polygon:
            if (y_corner > y) != (y_before > y):
                meets = x_corner + (y - y_corner) * (x_before - x_corner) / (y_before - y_corner)
                is_inside ^= x < meets
            x_before, y_before = x_corner, y_corner
        return is_inside
