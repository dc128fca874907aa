"""`Detector`: what a service needs to see, over any engine."""

from __future__ import annotations

import difflib
import logging
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgetally.bundle import ModelBundle
from edgetally.detector.postprocessing import postprocess
from edgetally.detector.preprocessing import fit_input
from edgetally.engines import RawPredictions, create_engine, default_precision
from edgetally.engines.engine import PATIENCE
from edgetally.engines.tuned import tuned_choice
from edgetally.errors import EdgetallyError, InputError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from numpy.typing import NDArray

    from edgetally.config import EngineName, Precision
    from edgetally.detections import Detections
    from edgetally.engines import Engine

_log = logging.getLogger(__name__)


class Detector:
    """Finds a bundle's classes in frames. Its methods may be called from any thread.

    >>> with Detector("models/boxes/bundle", score_threshold=0.5) as detector:
    ...     detections = detector.detect(cv2.imread("room.jpg"))  # doctest: +SKIP
    """

    def __init__(
        self,
        bundle: ModelBundle | Path | str,
        engine: EngineName = "auto",
        precision: Precision = "auto",
        *,
        score_threshold: float | None = None,
        class_thresholds: Mapping[str, float] | None = None,
        tuning: Path | None = None,
    ) -> None:
        """Load the bundle into an engine.

        Where engine and precision are both "auto", it is what `edgetally tune` found best on this
        device, from the file `tuning` or, absent, from that of `engines.tuned.tuning_path`; without
        such a choice, the best engine installed in its `default_precision`. An engine that is named
        computes in fp32 unless precision tells otherwise.
        score_threshold is the lowest score reported; None reports all that the model's own
        `MultiBoxDetection` would. class_thresholds replaces it for single classes, by name.
        Raises InputError for a folder that is no bundle, an engine that is not installed or a
        class the model does not know; EdgetallyError when the model can't be loaded.
        """
        self.bundle = bundle if isinstance(bundle, ModelBundle) else ModelBundle.load(Path(bundle))
        self.classes = self.bundle.classes
        self._thresholds = _thresholds(self.classes, score_threshold, class_thresholds or {})
        self._engine = _engine(self.bundle, engine, precision, tuning)
        self.engine_name = self._engine.name
        self.precision = self._engine.precision
        self.in_flight = self._engine.in_flight

    def report_from(self, score_threshold: float, class_thresholds: Mapping[str, float]) -> None:
        """Change the lowest scores reported, from the next frame on. InputError as at the start."""
        self._thresholds = _thresholds(self.classes, score_threshold, class_thresholds)

    def detect(self, frame: NDArray[np.uint8]) -> Detections:
        """Find objects in a frame, uint8 BGR [H, W, 3]. InputError for any other array."""
        return self.submit(frame).result()

    def submit(
        self, frame: NDArray[np.uint8], *, score_threshold: float | None = None
    ) -> Future[Detections]:
        """Queue a frame; the future gives what `detect` would. Several may be in flight.

        score_threshold: the lowest score of this frame, whatever the detector's thresholds are.
        The frame is free for reuse once this returns. InputError as for `detect`. The future fails
        with EdgetallyError where the engine does, or answers what no network means.
        """
        picture = fit_input(frame, self.bundle.input_size)
        thresholds = self._thresholds
        if score_threshold is not None:
            thresholds = np.full(len(self.classes), score_threshold, np.float32)
        detections: Future[Detections] = Future()
        detections.set_running_or_notify_cancel()  # a picture that is queued can't be called back

        def finish(predicted: Future[RawPredictions]) -> None:
            try:
                raw = self._answer(predicted)
                found = postprocess(raw.boxes[0], raw.scores[0], self.bundle.nms, thresholds)
            except BaseException as error:  # noqa: BLE001 - it belongs to whoever waits
                detections.set_exception(error)
            else:
                detections.set_result(found)

        self._engine.submit(picture[np.newaxis]).add_done_callback(finish)
        return detections

    def close(self, patience: float = PATIENCE) -> None:
        """Finish what is in flight and free the engine, as `Engine.close` does it."""
        self._engine.close(patience)

    def _answer(self, predicted: Future[RawPredictions]) -> RawPredictions:
        which = f"engine {self.engine_name} at {self.precision}, {self.bundle.name},"
        try:
            raw = predicted.result()
        except EdgetallyError:
            raise
        except Exception as error:  # each runtime raises kinds of its own
            reason = (str(error).strip() or type(error).__name__).splitlines()[-1]
            raise EdgetallyError(
                f"{which} failed ({reason}); start edgetally again, and choose another "
                "model.engine or model.precision if it does not help"
            ) from error
        if not (_is_finite(raw.boxes) and _is_finite(raw.scores)):
            raise EdgetallyError(
                f"{which} gave boxes or scores that are no numbers (NaN or infinite); use "
                "model.precision fp32 or another model.engine, or convert the model again"
            )
        return raw

    def __enter__(self) -> Detector:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def _engine(
    bundle: ModelBundle, engine: EngineName, precision: Precision, tuning: Path | None
) -> Engine:
    if engine != "auto" or precision != "auto":
        return create_engine(bundle, engine, precision)
    choice = tuned_choice(bundle.sha256, tuning, name=bundle.name)
    if choice is None:
        return create_engine(bundle, precision=default_precision("auto"))
    try:
        return create_engine(bundle, choice.engine, choice.precision, choice.settings)
    except EdgetallyError as error:
        _log.warning("what edgetally tune chose can't be used (%s)", error)
        return create_engine(bundle, precision=default_precision("auto"))


def _is_finite(values: NDArray[np.float32]) -> bool:
    with np.errstate(over="ignore", invalid="ignore"):
        # A sum is not finite where one value is not; it alone is many times faster than to ask all.
        return bool(np.isfinite(values.sum()) or np.isfinite(values).all())


def _thresholds(
    classes: tuple[str, ...], common: float | None, single: Mapping[str, float]
) -> NDArray[np.float32] | None:
    """Give the lowest score kept of each class, float32 [C]; None where nothing is set."""
    for name in single:
        if name not in classes:
            near = difflib.get_close_matches(name, classes, n=1, cutoff=0.0)
            raise InputError(
                f"class threshold for {name!r}: the model has no such class; "
                f"did you mean {near[0]!r}?"
            )
    if common is None and not single:
        return None
    return np.array([single.get(name, common or 0.0) for name in classes], np.float32)
