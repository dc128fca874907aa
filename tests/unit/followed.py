"""Tracks as a tracker reports them: believed from the second sighting, kept two seconds unseen."""

from __future__ import annotations

from collections.abc import Sequence

from edgetally.counting.track import Box, Sighting, Track

Place = tuple[float, float]
Life = Sequence[Place | None]
"""The centre of an object in each frame, None where it is not seen."""

_KEPT = 2.0
_BELIEVED = 2


def box_at(x: float, y: float, size: float) -> Box:
    """Return a square box around a point."""
    return x - size / 2, y - size / 2, x + size / 2, y + size / 2


def track_of(
    life: Life,
    *,
    fps: float = 5,
    size: float = 0.1,
    track_id: int = 1,
    class_id: int = 0,
    kept: float = _KEPT,
) -> Track | None:
    """Return the track after the last frame of a life; None: not yet believed, or ended."""
    path = tuple(
        Sighting(number / fps, box_at(*place, size))
        for number, place in enumerate(life)
        if place is not None
    )
    now = (len(life) - 1) / fps
    if len(path) < _BELIEVED or now - path[-1].time > kept:
        return None
    return Track(
        id=track_id,
        class_id=class_id,
        box=path[-1].box,
        score=0.9,
        velocity=(0.0, 0.0),
        first_seen=path[0].time,
        last_seen=path[-1].time,
        hits=len(path),
        confident_hits=len(path),
        is_seen_now=life[-1] is not None,
        path=path,
    )
