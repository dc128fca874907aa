"""What a finished bundle is measured by: time a frame, and how int8 agrees with fp32."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edgetally.conversion.proof.timing import measure_timings
from edgetally.conversion.report.samples import MOST_SAMPLES, Sample
from edgetally.detector import Detector
from edgetally.detector.agreement import CONFIDENT, agreement

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from edgetally.bundle import ModelBundle
    from edgetally.config import EngineName, Precision
    from edgetally.conversion.report.record import Timing
    from edgetally.detections import Detections
    from edgetally.detector.agreement import Agreement


@dataclass(frozen=True)
class Measurements:
    """Figures of this machine, and detections to look at."""

    timings: tuple[Timing, ...] = ()
    agreement: tuple[Agreement, ...] = ()
    samples: tuple[Sample, ...] = ()


def measure(
    bundle: ModelBundle, pictures: Sequence[NDArray[np.uint8]], tell: Callable[[str], None]
) -> Measurements:
    """Time every engine and precision; with pictures, compare int8 with fp32 on them."""
    tell("timing the engines")
    timings = measure_timings(bundle, pictures[:MOST_SAMPLES], tell)
    if not pictures:
        return Measurements(timings)
    runnable = {(timing.engine, timing.precision) for timing in timings}
    shown: dict[str, list[Detections]] = {}
    agreements = []
    for engine in ("openvino", "onnxruntime"):
        if (engine, "fp32") not in runnable:
            continue
        reference = _detections(bundle, engine, "fp32", pictures)
        shown.setdefault("fp32", reference)
        if (engine, "int8") in runnable:
            tell(f"comparing {engine} int8 with fp32 on {len(pictures)} images")
            found = _detections(bundle, engine, "int8", pictures)
            agreements.append(agreement(engine, "int8", reference, found, len(bundle.classes)))
            shown.setdefault("int8", found)
    if not shown:
        return Measurements(timings)
    chosen = _telling(next(iter(shown.values())))
    forms = {form: [found[number] for number in chosen] for form, found in shown.items()}
    if ("mxnet", "fp32") in runnable:
        drawn = [pictures[number] for number in chosen]
        forms = {"MXNet": _detections(bundle, "mxnet", "fp32", drawn), **forms}
    samples = tuple(
        Sample(pictures[number], {form: found[place] for form, found in forms.items()})
        for place, number in enumerate(chosen)
    )
    return Measurements(timings, tuple(agreements), samples)


def _telling(found: Sequence[Detections]) -> list[int]:
    """Choose pictures to draw: spread over those in which something is seen, then any."""
    seen = [number for number, each in enumerate(found) if np.any(each.scores >= CONFIDENT)]
    blank = [number for number in range(len(found)) if number not in seen]
    spread = [seen[place * len(seen) // MOST_SAMPLES] for place in range(MOST_SAMPLES) if seen]
    return sorted([*dict.fromkeys(spread), *blank][:MOST_SAMPLES])


def _detections(
    bundle: ModelBundle,
    engine: EngineName,
    precision: Precision,
    pictures: Sequence[NDArray[np.uint8]],
) -> list[Detections]:
    with Detector(bundle, engine, precision) as detector:
        return [detector.detect(picture) for picture in pictures]
