"""How two forms of one model agree: the detections of both on the same images, paired."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from edgetally.detections import Detections

CONFIDENT = 0.5
SAME_PLACE = 0.5


class Agreement(BaseModel):
    """How a less precise form agrees with fp32's own detections on the same images.

    reference_detections and detections count those of fp32 and of the form with a score of 0.5
    and more. matched counts fp32's that the form found again, at whatever score, in the same
    class and place (IoU 0.5 or more). mean_iou and the score differences are over those pairs;
    map_50 takes fp32's detections of 0.5 and more as truth. None where nothing could be
    compared. `agreement` defines each to the letter.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        populate_by_name=True,
        allow_inf_nan=False,
    )

    engine: str
    precision: str
    images: int
    reference_detections: int
    detections: int
    matched: int
    mean_iou: float | None
    mean_score_difference: float | None
    max_score_difference: float | None
    map_50: float | None


def agreement(
    engine: str,
    precision: str,
    reference: Sequence[Detections],
    found: Sequence[Detections],
    classes: int,
    *,
    confident: float = CONFIDENT,
) -> Agreement:
    """Compare what `engine` found in `precision` with the reference's own detections.

    reference and found hold one entry an image, in the same order, with every detection down to
    the model's own score floor. class_ids are below `classes`. ValueError where the two differ
    in length.

    The reference's detections of `confident` and more are the truth, and `reference_detections`
    counts them; `detections` counts those of `found` with as much. `matched`, `mean_iou` and the
    score differences (absolute, 0-1) tell of pairs: by falling score, each detection of `found`,
    whatever its score, takes the free truth of its image and class that it overlaps most, if
    their IoU is 0.5 or more. A score that only just crossed 0.5 is thus a small difference
    rather than a loss. `map_50` is the mean over the classes that have a truth of the average
    precision of `found`, all scores, at IoU 0.5 (VOC 2010: all points).

    Figures are None where there is no pair, or no truth. Rows with a score or a corner that is
    not finite are left out.
    """
    if len(reference) != len(found):
        raise ValueError(f"{len(reference)} images of the reference, {len(found)} to compare")
    truths = [_finite(one) for one in reference]
    truths = [one.select(one.scores >= confident) for one in truths]
    offered = [_by_falling_score(_finite(one)) for one in found]
    truth_count = sum(map(len, truths))
    overlaps, differences = _paired(truths, offered)
    return Agreement(
        engine=engine,
        precision=precision,
        images=len(reference),
        reference_detections=truth_count,
        detections=sum(int((one.scores >= confident).sum()) for one in offered),
        matched=len(overlaps),
        mean_iou=float(np.mean(overlaps)) if overlaps else None,
        mean_score_difference=float(np.mean(differences)) if overlaps else None,
        max_score_difference=max(differences) if overlaps else None,
        map_50=_mean_average_precision(truths, offered, classes) if truth_count else None,
    )


def _finite(detections: Detections) -> Detections:
    kept = np.isfinite(detections.scores) & np.isfinite(detections.boxes).all(axis=1)
    return detections.select(kept)


def _by_falling_score(detections: Detections) -> Detections:
    return detections.select(np.argsort(-detections.scores, kind="stable"))


def _paired(
    truths: Sequence[Detections], offered: Sequence[Detections]
) -> tuple[list[float], list[float]]:
    """Give the IoU and the score difference of every pair."""
    overlaps, differences = [], []
    for truth, offer in zip(truths, offered, strict=True):
        iou = _iou(offer.boxes, truth.boxes)
        iou[offer.class_ids[:, None] != truth.class_ids[None]] = 0
        for row in range(len(offer)):
            best = int(iou[row].argmax()) if len(truth) else 0
            if len(truth) and iou[row, best] >= SAME_PLACE:
                overlaps.append(float(iou[row, best]))
                differences.append(abs(float(offer.scores[row]) - float(truth.scores[best])))
                iou[:, best] = 0  # taken
    return overlaps, differences


def _mean_average_precision(
    truths: Sequence[Detections], offered: Sequence[Detections], classes: int
) -> float:
    """Average over the classes that have a truth, of which there must be one."""
    values = []
    for class_id in range(classes):
        wanted = [one.select(one.class_ids == class_id) for one in truths]
        count = sum(map(len, wanted))
        if count:
            given = [one.select(one.class_ids == class_id) for one in offered]
            values.append(_average_precision(wanted, given, count))
    return float(np.mean(values))


def _average_precision(
    wanted: Sequence[Detections], given: Sequence[Detections], count: int
) -> float:
    """Area under precision over recall as VOC's development kit of 2010 takes it.

    A detection counts as right where the truth that it overlaps most is at IoU 0.5 or more and
    no better detection had it (VOCevaldet.m); precision is made monotone from the right
    (VOCap.m).
    """
    scores = np.concatenate([one.scores for one in given])
    right = np.concatenate(
        [_right(truth, offer) for truth, offer in zip(wanted, given, strict=True)]
    )
    right = right[np.argsort(-scores, kind="stable")]
    hits = right.cumsum()
    precision = hits / np.arange(1, len(right) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    # Recall grows by 1 / count at each hit and nowhere else.
    return float(envelope[right].sum() / count)


def _right(truth: Detections, offer: Detections) -> NDArray[np.bool_]:
    right = np.zeros(len(offer), np.bool_)
    if not len(truth):
        return right
    iou = _iou(offer.boxes, truth.boxes)
    taken = np.zeros(len(truth), np.bool_)
    for row, best in enumerate(iou.argmax(axis=1)):
        if iou[row, best] >= SAME_PLACE:
            right[row] = not taken[best]
            taken[best] = True
    return right


def _iou(boxes: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.float64]:
    """Intersection over union of each with each, [N, M]; 0 where a box has no area."""
    a, b = boxes.astype(np.float64)[:, None], others.astype(np.float64)[None]
    sides = np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])
    common = sides.clip(min=0).prod(axis=2)
    areas = [(box[..., 2:] - box[..., :2]).clip(min=0).prod(axis=2) for box in (a, b)]
    union = areas[0] + areas[1] - common
    iou: NDArray[np.float64] = np.divide(common, union, out=np.zeros_like(common), where=common > 0)
    return iou
