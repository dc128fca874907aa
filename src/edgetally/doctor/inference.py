"""The model: is it whole, does it load, how long does a picture take."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

from edgetally.bundle import ModelBundle
from edgetally.detector import Detector
from edgetally.doctor.finding import ok

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgetally.config.model import ModelConfig
    from edgetally.doctor.finding import Finding

_PICTURES = 5
_SUBJECT = "model"


def model(config: ModelConfig) -> Iterator[Finding]:
    """Load the bundle as the service would, and run a few pictures."""
    bundle = ModelBundle.load(config.path)
    yield ok(
        _SUBJECT,
        f"{bundle.name} {bundle.version}, {bundle.input_size} x {bundle.input_size}, "
        f"{', '.join(bundle.classes)}",
    )
    with Detector(
        bundle,
        config.engine,
        config.precision,
        tuning=config.tuning,
        score_threshold=config.score_threshold,
        class_thresholds=config.class_thresholds,
    ) as detector:
        picture = np.zeros((bundle.input_size, bundle.input_size, 3), np.uint8)
        detector.detect(picture)
        began = time.perf_counter()
        for _ in range(_PICTURES):
            detector.detect(picture)
        each = (time.perf_counter() - began) / _PICTURES
        yield ok(
            _SUBJECT,
            f"{detector.engine_name} at {detector.precision}, {1000 * each:.0f} ms a picture",
        )
