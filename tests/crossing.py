"""A crossing to be counted."""

from __future__ import annotations

from typing import Literal

from edgetally.counting.events import CountEvent


def crossing(
    direction: Literal["in", "out"] = "in",
    class_name: str = "blue box",
    line: str = "door",
    camera: str = "dock",
    time: float = 2.5,
) -> CountEvent:
    """Return one that differs from any other as told."""
    return CountEvent(
        camera=camera,
        line=line,
        direction=direction,
        class_name=class_name,
        track_id=1,
        time=time,
        score=0.9,
        point=(0.5, 0.4),
    )
