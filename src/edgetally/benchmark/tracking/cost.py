"""What a frame of many tracks costs."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass

import numpy as np

from edgetally.counting.tracker import Tracker
from edgetally.detections import Detections

_FRAMES = 100
_WARM_UP = 40
_FPS = 10.0


@dataclass(frozen=True)
class Cost:
    """Milliseconds of CPU time that one update takes, with so many objects in view."""

    objects: int
    median: float
    least: float


def measure_cost(objects: int) -> Cost:
    """Time the tracker on objects in rows that sway, a tenth of them missed in each frame."""
    rng = np.random.default_rng(0)
    columns = int(np.ceil(np.sqrt(objects)))
    number = np.arange(objects)
    places = np.stack([number % columns + 0.5, number // columns + 0.5], axis=1) / columns
    half = 0.3 / columns
    tracker, taken = Tracker(), []
    for frame in range(_FRAMES):
        sway = 0.2 / columns * np.sin(frame / 15 + np.stack([number, number * 2], axis=1))
        centres = places + sway + rng.normal(0, half / 20, places.shape)
        seen = rng.random(objects) >= 0.1
        boxes = np.concatenate([centres - half, centres + half], axis=1)[seen]
        found = Detections(
            boxes.astype(np.float32),
            rng.uniform(0.3, 0.95, len(boxes)).astype(np.float32),
            number[seen] % 2,
        )
        began = time.thread_time()
        tracker.update(found, frame / _FPS)
        taken.append((time.thread_time() - began) * 1000)
    return Cost(objects, statistics.median(taken[_WARM_UP:]), min(taken[_WARM_UP:]))
