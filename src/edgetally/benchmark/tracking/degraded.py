"""What a bad detector would make of a known scene: missed, invented and displaced boxes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edgetally.benchmark.tracking.scenes import SECONDS
from edgetally.detections import Detections

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgetally.demo.scene.stage import Stage, Truth

SEEN_FROM = 0.3  # share of a box that must be visible; no detector finds, and nobody labels, less


@dataclass(frozen=True)
class Damage:
    """What is done to the truth.

    missed: share of the visible boxes that have no detection; invented: boxes that are none, as
    a share of the true ones; jitter: standard deviation of each edge, relative to the box's
    size; confused: share of the detections that name the other class; fps: frames a second;
    uneven: share by which the gaps between frames vary.
    """

    missed: float = 0.15
    invented: float = 0.05
    jitter: float = 0.05
    confused: float = 0.05
    fps: float = 5.0
    uneven: float = 0.0


@dataclass(frozen=True, eq=False)
class KnownFrame:
    """Detections at a time in seconds, and the truth: boxes [N, 4] in 0-1, identities [N]."""

    time: float
    detections: Detections
    boxes: NDArray[np.float64]
    ids: NDArray[np.int64]
    class_ids: NDArray[np.int64]


def degraded(stage: Stage, damage: Damage, seed: int) -> list[KnownFrame]:
    """The frames of a scene, from its truth."""
    rng = np.random.default_rng((12, seed))
    times = np.arange(round(SECONDS * damage.fps)) / damage.fps
    times = times + rng.uniform(-0.5, 0.5, len(times)) * damage.uneven / damage.fps
    frames = []
    for time in np.maximum(times, 0.0).tolist():
        truth = stage.truth(time)
        is_visible = truth.visible >= SEEN_FROM
        frames.append(
            KnownFrame(
                time,
                _seen(truth, is_visible, damage, rng),
                truth.boxes[is_visible],
                truth.track_ids[is_visible],
                truth.class_ids[is_visible],
            )
        )
    return frames


def _seen(
    truth: Truth, is_visible: NDArray[np.bool_], damage: Damage, rng: np.random.Generator
) -> Detections:
    is_found = is_visible & (rng.random(len(is_visible)) >= damage.missed)
    boxes = _jittered(truth.boxes[is_found], damage.jitter, rng)
    class_ids = truth.class_ids[is_found]
    is_confused = rng.random(len(class_ids)) < damage.confused
    class_ids = np.where(is_confused, 1 - class_ids, class_ids)
    scores = np.clip(rng.normal(0.8, 0.15, len(class_ids)), 0.2, 0.99)
    invented = rng.poisson(damage.invented * is_visible.sum())
    side = np.sqrt(np.prod(_sides(truth.boxes), axis=1)).mean() if len(truth.boxes) else 0.0
    false_boxes = _invented(invented, side, rng)
    return Detections(
        np.concatenate([boxes, false_boxes]).astype(np.float32),
        np.concatenate([scores, rng.uniform(0.2, 0.9, invented)]).astype(np.float32),
        np.concatenate([class_ids, rng.integers(0, 2, invented)]).astype(np.int64),
    )


def _jittered(
    boxes: NDArray[np.float64], jitter: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    scale = np.tile(_sides(boxes), 2) * jitter
    return np.clip(boxes + rng.normal(0, 1, boxes.shape) * scale, 0, 1)


def _invented(number: int, side: float, rng: np.random.Generator) -> NDArray[np.float64]:
    centres = rng.uniform(0, 1, (number, 2))
    halves = side * rng.uniform(0.35, 0.65, (number, 2))
    return np.clip(np.concatenate([centres - halves, centres + halves], axis=1), 0, 1)


def _sides(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    return boxes[:, 2:] - boxes[:, :2]
