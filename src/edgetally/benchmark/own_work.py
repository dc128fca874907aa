"""What a frame costs outside the network: postprocessing, and tracking with counting."""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING

import numpy as np

from edgetally.benchmark.measurement import Value
from edgetally.config import CameraConfig, LineConfig, ZoneConfig
from edgetally.counting.camera_counter import CameraCounter
from edgetally.counting.tracker import TrackerSettings
from edgetally.detector.postprocessing import postprocess

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from edgetally.bundle import ModelBundle
    from edgetally.detections import Detections

_ANCHORS = 6132  # of a resnet-50 at 512
_ANCHORS_AN_OBJECT = 8  # that find it, too, until suppression leaves one
_FRAMES = 300
_WARM_UP = 30
_FPS = 10.0


class OwnWork(Value):
    """Median milliseconds a frame, with so many objects in view."""

    objects: int
    postprocessing: float
    counting: float


def measure_own_work(bundle: ModelBundle, objects: int = 20) -> OwnWork:
    """Time both on made predictions: objects that move, each found by several anchors."""
    rng = np.random.default_rng(0)
    classes = len(bundle.classes)
    thresholds = np.full(classes, TrackerSettings().low_score, np.float32)
    scenes = [_predictions(rng, objects, classes, frame) for frame in range(_FRAMES)]
    found: list[Detections] = []

    def choose(frame: int) -> None:
        boxes, scores = scenes[frame]
        found.append(postprocess(boxes, scores, bundle.nms, thresholds))

    counter = CameraCounter(_camera(), bundle.classes)

    def count(frame: int) -> None:
        counter.update(found[frame], frame / _FPS, found[frame].scores >= 0.5)

    return OwnWork(
        objects=objects,
        postprocessing=_milliseconds(choose),
        counting=_milliseconds(count),
    )


def _milliseconds(work: Callable[[int], None]) -> float:
    taken = []
    for frame in range(_FRAMES):
        began = time.perf_counter()
        work(frame)
        taken.append(time.perf_counter() - began)
    return statistics.median(taken[_WARM_UP:]) * 1000


def _predictions(
    rng: np.random.Generator, objects: int, classes: int, frame: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Boxes [A, 4] and scores [A, C] of objects on a grid that sway up and down."""
    columns = 5
    number = np.arange(objects)
    rows = -(-objects // columns)
    x = (number % columns + 0.5) / columns
    y = (number // columns + 0.5) / rows + 0.03 * np.sin(frame / 15 + number)
    half = np.array([0.07, 0.3 / rows])
    centres = np.stack([x, y], axis=1)
    objects_boxes = np.concatenate([centres - half, centres + half], axis=1)
    boxes = rng.uniform(0, 1, (_ANCHORS, 4))
    scores = rng.uniform(0, 0.005, (_ANCHORS, classes))
    places = rng.choice(_ANCHORS, objects * _ANCHORS_AN_OBJECT, replace=False)
    repeated = np.repeat(np.arange(objects), _ANCHORS_AN_OBJECT)
    boxes[places] = objects_boxes[repeated] + rng.normal(0, 0.004, (len(places), 4))
    scores[places, repeated % classes] = rng.uniform(0.3, 0.95, len(places))
    return boxes.astype(np.float32), scores.astype(np.float32)


def _camera() -> CameraConfig:
    line = LineConfig(name="door", start=(0, 0.5), end=(1, 0.5), in_direction=(0, 1))
    zone = ZoneConfig(name="room", polygon=((0, 0.5), (1, 0.5), (1, 1), (0, 1)))
    return CameraConfig(name="camera", source="test:", lines=(line,), zones=(zone,))
