"""What each engine and precision finds in rendered rooms that the training never saw."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgetally.benchmark.measurement import Value
from edgetally.benchmark.precision import TrueBoxes, mean_average_precision
from edgetally.demo.scene.random_scenes import samples
from edgetally.detector import Detector
from edgetally.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Future
    from pathlib import Path

    from edgetally.config import EngineName, Precision
    from edgetally.detections import Detections

_PER_SCENE = 2
_IN_FLIGHT = 8


class Accuracy(Value):
    """mAP in points of 100, over `pictures` pictures, every box counted."""

    engine: str
    precision: str
    pictures: int
    at_50: float
    at_50_95: float


def measure_accuracy(
    bundle: Path, engines: Sequence[tuple[EngineName, Precision]], *, scenes: int
) -> tuple[Accuracy, ...]:
    """Measure the demo's bundle on the unseen scenes; leave out what can't run here."""
    pictures, truths = [], []
    for picture, truth in samples("unseen", 0, scenes, _PER_SCENE):
        pictures.append(picture)
        truths.append(TrueBoxes(truth.boxes, truth.class_ids))
    measured = []
    for engine, precision in engines:
        try:
            detector = Detector(bundle, engine, precision)
        except InputError:
            continue  # this machine or this bundle has no such precision
        with detector:
            found: list[Detections] = []
            pending: list[Future[Detections]] = []
            for picture in pictures:
                pending.append(detector.submit(picture))
                if len(pending) == _IN_FLIGHT:
                    found.append(pending.pop(0).result())
            found += [future.result() for future in pending]
            figures = mean_average_precision(found, truths, len(detector.classes))
            measured.append(
                Accuracy(
                    engine=detector.engine_name,
                    precision=detector.precision,
                    pictures=len(pictures),
                    at_50=round(figures.at_50 * 100, 3),
                    at_50_95=round(figures.at_50_95 * 100, 3),
                )
            )
    return tuple(measured)
