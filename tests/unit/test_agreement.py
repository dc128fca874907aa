"""How the detections of two forms of a model are paired and judged."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from edgetally.detections import Detections
from edgetally.detector.agreement import agreement
from edgetally.mxnet_compat import import_mxnet

Row = tuple[int, float, tuple[float, float, float, float]]
LEFT = (0.1, 0.1, 0.3, 0.3)
RIGHT = (0.6, 0.6, 0.9, 0.9)


def seen(*rows: Row) -> Detections:
    return Detections(
        np.array([box for _, _, box in rows], np.float32).reshape(-1, 4),
        np.array([score for _, score, _ in rows], np.float32),
        np.array([class_id for class_id, _, _ in rows], np.int64),
    )


def compare(reference: list[Detections], found: list[Detections], classes: int = 2) -> Any:
    return agreement("openvino", "int8", reference, found, classes)


def test_equal_detections_agree_wholly() -> None:
    frame = seen((0, 0.9, LEFT), (1, 0.6, RIGHT))
    result = compare([frame, frame], [frame, frame])
    assert (result.engine, result.precision, result.images) == ("openvino", "int8", 2)
    assert (result.reference_detections, result.detections, result.matched) == (4, 4, 4)
    assert (result.mean_iou, result.map_50) == (1, 1)
    assert (result.mean_score_difference, result.max_score_difference) == (0, 0)


def test_figures_are_those_of_the_pairs() -> None:
    narrower = (0.1, 0.1, 0.25, 0.3)
    result = compare(
        [seen((0, 0.9, LEFT), (1, 0.8, RIGHT))],
        [seen((0, 0.7, narrower), (1, 0.85, RIGHT))],
    )
    assert result.matched == 2
    assert result.mean_iou == pytest.approx((0.75 + 1) / 2)
    assert result.mean_score_difference == pytest.approx((0.2 + 0.05) / 2)
    assert result.max_score_difference == pytest.approx(0.2)


def test_a_score_that_just_falls_below_a_half_is_a_difference_and_no_loss() -> None:
    result = compare([seen((0, 0.51, LEFT))], [seen((0, 0.49, LEFT))])
    assert (result.reference_detections, result.detections, result.matched) == (1, 0, 1)
    assert result.max_score_difference == pytest.approx(0.02)


def test_a_truth_is_taken_once_by_the_best_score() -> None:
    result = compare([seen((0, 0.9, LEFT))], [seen((0, 0.6, LEFT), (0, 0.8, LEFT))])
    assert (result.detections, result.matched) == (2, 1)
    assert result.max_score_difference == pytest.approx(0.1)
    assert result.map_50 == 1  # the second, lower one costs nothing once all are found


@pytest.mark.parametrize(
    "found",
    [
        seen((1, 0.9, LEFT)),
        seen((0, 0.9, RIGHT)),
        seen((0, 0.9, (0.1, 0.1, 0.199, 0.3))),  # IoU just below a half
        seen((0, 0.9, (0.3, 0.3, 0.1, 0.1))),  # inside out
        seen((0, float("nan"), LEFT)),
        seen((0, 0.9, (float("nan"), 0.1, 0.3, 0.3))),
        Detections.empty(),
    ],
)
def test_another_class_or_place_or_a_broken_row_is_no_match(found: Detections) -> None:
    result = compare([seen((0, 0.9, LEFT))], [found])
    assert (result.matched, result.mean_iou, result.map_50) == (0, None, 0)


@pytest.mark.parametrize(
    ("reference", "found"),
    [
        ([], []),
        ([Detections.empty()], [Detections.empty()]),
        ([Detections.empty()], [seen((0, 0.9, LEFT))]),
        ([seen((0, 0.49, LEFT))], [seen((0, 0.9, LEFT))]),
        ([seen((0, float("nan"), LEFT))], [seen((0, float("nan"), LEFT))]),
    ],
)
def test_without_a_confident_reference_nothing_is_claimed(
    reference: list[Detections], found: list[Detections]
) -> None:
    result = compare(reference, found)
    assert (result.reference_detections, result.matched) == (0, 0)
    assert (result.mean_iou, result.mean_score_difference) == (None, None)
    assert (result.max_score_difference, result.map_50) == (None, None)


def test_another_number_of_images_is_refused() -> None:
    with pytest.raises(ValueError, match="1 images of the reference, 2 to compare"):
        compare([Detections.empty()], [Detections.empty()] * 2)


def random_frame(rng: np.random.Generator, classes: int) -> Detections:
    """Few places, so that detections overlap and compete."""
    count = int(rng.integers(0, 8))
    corner = rng.integers(0, 4, (count, 2)) * 0.2 + rng.normal(0, 0.02, (count, 2))
    sides = 0.2 + rng.normal(0, 0.03, (count, 2))
    boxes = np.concatenate([corner, corner + sides], axis=1).astype(np.float32)
    return Detections(boxes, rng.random(count, np.float32), rng.integers(0, classes, count))


def disturbed(rng: np.random.Generator, frame: Detections, classes: int) -> Detections:
    """Move boxes and scores a little, lose a few, add what was not there."""
    kept = frame.select(rng.random(len(frame)) < 0.9)
    added = random_frame(rng, classes)
    scores = np.clip(kept.scores + rng.normal(0, 0.1, len(kept)), 0, 1)
    return Detections(
        np.concatenate([kept.boxes + rng.normal(0, 0.02, kept.boxes.shape), added.boxes]).astype(
            np.float32
        ),
        np.concatenate([scores, added.scores * 0.7]).astype(np.float32),
        np.concatenate([kept.class_ids, added.class_ids]),
    )


def voc_map(reference: list[Detections], found: list[Detections], classes: int) -> float:
    from gluoncv.utils.metrics.voc_detection import VOCMApMetric

    metric = VOCMApMetric(iou_thresh=0.5, class_names=[str(number) for number in range(classes)])
    pixels = 1e6  # the metric counts pixels and adds 1 to a side: next to nothing at this size
    for wanted, given in zip(reference, found, strict=True):
        truth = wanted.select(wanted.scores >= 0.5)
        metric.update(
            given.boxes[None].astype(np.float64) * pixels,
            given.class_ids[None],
            given.scores[None],
            truth.boxes[None].astype(np.float64) * pixels,
            truth.class_ids[None],
        )
    return float(metric.get()[1][-1])


def test_the_map_equals_gluoncvs_voc_metric() -> None:
    import_mxnet()  # mends numpy, which gluoncv needs
    rng = np.random.default_rng(5)
    values = []
    for _ in range(60):
        images, classes = int(rng.integers(1, 8)), int(rng.integers(1, 5))
        reference = [random_frame(rng, classes) for _ in range(images)]
        found = [disturbed(rng, frame, classes) for frame in reference]
        result = compare(reference, found, classes)
        if result.map_50 is None:
            assert result.reference_detections == 0
            continue
        assert not math.isnan(result.map_50)
        assert result.map_50 == pytest.approx(voc_map(reference, found, classes), abs=1e-9)
        values.append(result.map_50)
    assert len(values) > 50
    assert max(values) - min(values) > 0.5
