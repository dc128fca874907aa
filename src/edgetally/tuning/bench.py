"""Where candidates are loaded one after the other, measured, and compared with fp32."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgetally.detector.agreement import agreement
from edgetally.detector.preprocessing import fit_input
from edgetally.engines import create_engine, default_precision
from edgetally.errors import EdgetallyError, InputError
from edgetally.tuning.measuring import detections, measure_speed
from edgetally.tuning.outcome import Row

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from edgetally.bundle import ModelBundle
    from edgetally.detections import Detections
    from edgetally.detector.agreement import Agreement
    from edgetally.engines import Engine
    from edgetally.tuning.candidates import Candidate

    Picture = NDArray[np.uint8]

_FEWEST_COMPARED = 8


class Bench:
    """Measures one candidate at a time, so that a small device's memory holds one engine.

    pictures: uint8 BGR [H, W, 3]. The first candidate in fp32 gives the detections that all
    others are compared with, on as many pictures as it can do in `comparison_seconds`, or on 8
    where that takes no more than twice as long. left_out: which candidates can't run, and why.
    """

    def __init__(
        self,
        bundle: ModelBundle,
        pictures: Sequence[Picture],
        comparison_seconds: float,
        tell: Callable[[str], None],
        clock: Callable[[], float],
    ) -> None:
        self._bundle = bundle
        self._pictures = pictures
        self._comparison_seconds = comparison_seconds
        self._tell = tell
        self._clock = clock
        self.left_out: list[str] = []
        self._compared: list[int] = []
        self._reference: list[Detections] | None = None
        self._batches = self._fitted(range(len(pictures)), bundle.input_size)

    @property
    def compared(self) -> int:
        """How many pictures were compared; 0 where none were given."""
        return len(self._compared)

    def measure(self, candidate: Candidate, seconds: float, *, compare: bool) -> Row | None:
        """Load a candidate and measure it; None, and a line, where it can't run here."""
        return self._measured(self._bundle, candidate, self._batches, seconds, compare=compare)

    def measure_smaller(
        self, bundle: ModelBundle, candidate: Candidate, seconds: float
    ) -> Row | None:
        """Measure the network at another input size, and compare it with the full size in fp32."""
        batches = self._fitted(self._compared, bundle.input_size)
        return self._measured(bundle, candidate, batches, seconds, compare=True, all_compared=True)

    def _measured(
        self,
        bundle: ModelBundle,
        candidate: Candidate,
        batches: list[Picture],
        seconds: float,
        *,
        compare: bool,
        all_compared: bool = False,
    ) -> Row | None:
        settings = candidate.settings
        try:
            engine = create_engine(bundle, candidate.engine, candidate.precision, settings)
        except (InputError, EdgetallyError) as error:
            self.left_out.append(f"{candidate} is left out: {error}")
            self._tell(self.left_out[-1])
            return None
        try:
            speed = measure_speed(
                engine,
                batches,
                in_flight=max(4, 2 * (settings.streams or 1)),
                seconds=seconds,
                clock=self._clock,
            )
            likeness = None
            if compare and self._pictures:
                if self._reference is None and candidate.precision == "fp32":
                    self._take_reference(engine, speed.latency)
                elif self._reference is not None and (
                    candidate.precision != "fp32" or bundle is not self._bundle
                ):
                    chosen = batches if all_compared else [batches[i] for i in self._compared]
                    found = detections(engine, bundle, chosen)
                    likeness = self._likeness(candidate, found)
            answer = engine.infer(batches[0])
            if not (np.isfinite(answer.boxes).all() and np.isfinite(answer.scores).all()):
                raise EdgetallyError("what it answers is not finite")  # noqa: TRY301
        except Exception as error:  # noqa: BLE001 - each runtime raises kinds of its own
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            self.left_out.append(f"{candidate} is left out: {reason}")
            self._tell(self.left_out[-1])
            return None
        finally:
            engine.close()
        self._tell(f"{candidate}: {speed.frames_per_second:.1f} frames a second")
        is_default = candidate.precision == default_precision(candidate.engine)
        return Row(candidate, bundle.input_size, speed, likeness, is_default)

    def _take_reference(self, engine: Engine, latency: float) -> None:
        total = len(self._pictures)
        affordable = self._comparison_seconds / max(latency, 1e-9)
        count = min(total, max(1, int(affordable), min(_FEWEST_COMPARED, int(2 * affordable))))
        self._compared = [number * total // count for number in range(count)]
        chosen = [self._batches[number] for number in self._compared]
        self._reference = detections(engine, self._bundle, chosen)

    def _likeness(self, candidate: Candidate, found: list[Detections]) -> Agreement:
        return agreement(
            candidate.engine,
            candidate.precision,
            self._reference or [],
            found,
            len(self._bundle.classes),
        )

    def _fitted(self, numbers: Sequence[int], size: int) -> list[Picture]:
        """Read pictures as the network sees them, [1, S, S, 3]; noise where there are none."""
        if not numbers:
            return [np.random.default_rng(0).integers(0, 256, (1, size, size, 3), np.uint8)]
        return [fit_input(self._pictures[number], size)[np.newaxis] for number in numbers]
