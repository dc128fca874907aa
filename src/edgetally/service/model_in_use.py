"""`ModelInUse`: the model that looks at frames now, and how another takes its place."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from edgetally.counting.tracker import TrackerSettings
from edgetally.detector import Detector
from edgetally.messaging.messages import ModelReference
from edgetally.service.reference_frames import ReferenceFrames

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Future
    from pathlib import Path

    from numpy.typing import NDArray

    from edgetally.bundle import ModelBundle
    from edgetally.capture import Image
    from edgetally.config.model import ModelConfig
    from edgetally.detections import Detections

_WEAK = TrackerSettings().low_score  # what the tracker can still use to keep a track


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """A model that is loaded, under the class ids of the service.

    The service gives each class name that a model brings an id for as long as it runs, so that
    tracks and counters never see that models number them differently. names: of every id so far.
    class_ids: [C], the service's id of each of the model's. thresholds: float32, by the service's
    ids: from which score on a detection counts; infinite for what the model does not know.
    """

    detector: Detector
    names: tuple[str, ...]
    class_ids: NDArray[np.int64]
    thresholds: NDArray[np.float32]
    reference: ModelReference

    @property
    def title(self) -> str:
        """The model's name and version, for people."""
        return f"{self.reference.name} {self.reference.version}"

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the model's own classes."""
        return self.detector.classes

    def submit(self, image: Image, *, score_threshold: float | None = None) -> Future[Detections]:
        """See `Detector.submit`: the ids in the result are the model's, until `renamed`."""
        return self.detector.submit(image, score_threshold=score_threshold)

    def renamed(self, found: Detections) -> Detections:
        """Return what the model found under the service's class ids."""
        return replace(found, class_ids=self.class_ids[found.class_ids])

    def is_confident(self, found: Detections) -> NDArray[np.bool_]:
        """Tell which detections count, bool [N]; ids are the service's."""
        return found.scores >= self.thresholds[found.class_ids]


def load_model(
    config: ModelConfig, bundle: ModelBundle | Path, known: Sequence[str] = ()
) -> LoadedModel:
    """Load a bundle into the engine that is configured; known: the service's class names so far.

    What the tracker can use is reported, too, weaker than what counts. Raises as `Detector` does.
    """
    common, single = weak_thresholds(config)
    detector = Detector(
        bundle,
        config.engine,
        config.precision,
        tuning=config.tuning,
        score_threshold=common,
        class_thresholds=single,
    )
    return named(detector, config, known)


def weak_thresholds(config: ModelConfig) -> tuple[float, dict[str, float]]:
    """Return the lowest scores that the tracker can use: for all classes, and of single ones."""
    single = {name: min(_WEAK, score) for name, score in config.class_thresholds.items()}
    return min(_WEAK, config.score_threshold), single


def named(detector: Detector, config: ModelConfig, known: Sequence[str]) -> LoadedModel:
    """Give the classes of a detector the service's ids, and the thresholds of the configuration."""
    names = tuple(dict.fromkeys((*known, *detector.classes)))
    own = frozenset(detector.classes)
    thresholds = [
        config.class_thresholds.get(name, config.score_threshold) if name in own else np.inf
        for name in names
    ]
    return LoadedModel(
        detector,
        names,
        np.array([names.index(name) for name in detector.classes], np.int64),
        np.array(thresholds, np.float32),
        ModelReference.of(detector.bundle),
    )


class ModelInUse:
    """Gives frames to the model in use. Any thread may call it.

    >>> model, future = models.submit(frame.image)  # doctest: +SKIP
    >>> found = model.renamed(future.result())  # doctest: +SKIP

    frames: what the cameras showed lately, for another model to be compared on.
    """

    def __init__(self, first: LoadedModel, reference_frames: int = 0) -> None:
        """Begin with a model; keep so many frames of each camera."""
        self.frames = ReferenceFrames(reference_frames)
        self._current = first
        self._submitting: dict[LoadedModel, int] = {}
        self._changed = threading.Condition()

    @property
    def current(self) -> LoadedModel:
        """The model that takes the next frame."""
        return self._current

    def submit(
        self, image: Image, *, score_threshold: float | None = None
    ) -> tuple[LoadedModel, Future[Detections]]:
        """Queue a frame, as `Detector.submit` does; say which model has it."""
        with self._changed:
            model = self._current
            self._submitting[model] = self._submitting.get(model, 0) + 1
        try:
            return model, model.submit(image, score_threshold=score_threshold)
        finally:
            with self._changed:
                self._submitting[model] -= 1
                if not self._submitting[model]:
                    del self._submitting[model]
                self._changed.notify_all()

    def switch(self, model: LoadedModel) -> LoadedModel:
        """Let `model` take the next frame; return the one before, which gets no more.

        What that one already has it still answers: `Detector.close` waits for it.
        """
        with self._changed:
            before, self._current = self._current, model
            self._changed.wait_for(lambda: before not in self._submitting)
        return before
