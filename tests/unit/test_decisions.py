"""When two runs' rows agree: rounding may decide a row, nothing else may."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgetally.bundle import NmsSettings, Setting
from edgetally.conversion.proof.decisions import Margin, Prediction, box_differences, compare
from edgetally.detector.postprocessing import postprocess

if TYPE_CHECKING:
    from edgetally.detections import Detections

Array = NDArray[np.floating[Any]]
ROUNDING = 1e-5
MARGIN = Margin(2 * ROUNDING, 2 * ROUNDING)


def nms_settings(
    algorithm: str = "MultiBoxDetection",
    *,
    topk: int = 400,
    force_suppress: bool = False,
    threshold: float = 0.45,
    max_detections: int = -1,
) -> NmsSettings:
    return NmsSettings(
        algorithm="box_nms" if algorithm == "box_nms" else "MultiBoxDetection",
        threshold=Setting[float](value=threshold, source="default"),
        topk=Setting[int](value=topk, source="default"),
        force_suppress=Setting[bool](value=force_suppress, source="default"),
        score_floor=Setting[float](value=0.1, source="default"),
        clip=Setting[bool](value=True, source="default"),
        variances=Setting[tuple[float, float, float, float]](
            value=(0.1, 0.1, 0.2, 0.2), source="default"
        ),
        max_detections=Setting[int](value=max_detections, source="default"),
    )


def run(boxes: Array, scores: Array, nms: NmsSettings) -> Prediction:
    boxes, scores = boxes.astype(np.float32), scores.astype(np.float32)
    return Prediction(boxes, scores, postprocess(boxes, scores, nms))


def scene(seed: int, anchors: int, classes: int, grid: int) -> tuple[Array, Array]:
    """Boxes and scores on a coarse grid: overlaps and scores that only rounding tells apart."""
    rng = np.random.default_rng(seed)
    corner = rng.integers(0, grid, (anchors, 2)) / (2 * grid)
    side = rng.integers(1, grid + 1, (anchors, 2)) / (2 * grid)
    scores = rng.integers(0, 12, (anchors, classes)) / 12
    return np.hstack([corner, corner + side]), scores


@settings(max_examples=400, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    anchors=st.integers(1, 120),
    classes=st.integers(1, 4),
    grid=st.sampled_from([1, 3, 20]),
    algorithm=st.sampled_from(["MultiBoxDetection", "box_nms"]),
    topk=st.sampled_from([-1, 5, 40]),
    force_suppress=st.booleans(),
    threshold=st.sampled_from([0.25, 0.5, 1.0]),
    max_detections=st.sampled_from([-1, 10]),
)
def test_runs_that_stand_apart_by_rounding_agree(
    seed: int,
    anchors: int,
    classes: int,
    grid: int,
    algorithm: str,
    topk: int,
    force_suppress: bool,
    threshold: float,
    max_detections: int,
) -> None:
    nms = nms_settings(
        algorithm,
        topk=topk,
        force_suppress=force_suppress,
        threshold=threshold,
        max_detections=max_detections,
    )
    boxes, scores = scene(seed, anchors, classes, grid)
    rng = np.random.default_rng(seed + 1)
    other = run(
        boxes + rng.uniform(-ROUNDING, ROUNDING, boxes.shape),
        scores + rng.uniform(-ROUNDING, ROUNDING, scores.shape),
        nms,
    )
    comparison = compare(run(boxes, scores, nms), other.rows, nms, MARGIN)
    assert comparison.fault is None


@pytest.fixture
def reference() -> Prediction:
    rng = np.random.default_rng(3)
    corner = rng.uniform(0, 0.8, (300, 2))
    boxes = np.hstack([corner, corner + rng.uniform(0.05, 0.2, (300, 2))])
    return run(boxes, rng.uniform(0, 1, (300, 3)), nms_settings())


def fault(reference: Prediction, found: Detections) -> str | None:
    assert len(reference.rows) > 50
    return compare(reference, found, nms_settings(), MARGIN).fault


def test_the_reference_agrees_with_itself(reference: Prediction) -> None:
    assert fault(reference, reference.rows) is None


def test_a_row_that_is_missing_is_a_fault(reference: Prediction) -> None:
    found = reference.rows.select(np.arange(len(reference.rows)) != 7)
    assert str(fault(reference, found)).startswith("lacks class")


def test_a_row_that_is_there_twice_is_a_fault(reference: Prediction) -> None:
    found = reference.rows.select(np.sort(np.append(np.arange(len(reference.rows)), 7)))
    assert "which the reference has not" in str(fault(reference, found))


def test_another_class_is_a_fault(reference: Prediction) -> None:
    classes = reference.rows.class_ids.copy()
    classes[7] = (classes[7] + 1) % 3
    assert fault(reference, replace(reference.rows, class_ids=classes)) is not None


def test_another_order_is_a_fault(reference: Prediction) -> None:
    order = np.arange(len(reference.rows))
    order[[3, 9]] = order[[9, 3]]
    assert "in another place" in str(fault(reference, reference.rows.select(order)))


@pytest.mark.parametrize("moved", [2e-3, np.nan, np.inf])
def test_a_box_or_score_that_moved_is_a_fault(reference: Prediction, moved: float) -> None:
    boxes, scores = reference.rows.boxes.copy(), reference.rows.scores.copy()
    boxes[7, 2] += moved
    assert fault(reference, replace(reference.rows, boxes=boxes)) is not None
    scores[7] += moved
    assert fault(reference, replace(reference.rows, scores=scores)) is not None


@pytest.mark.parametrize(
    "other",
    [
        nms_settings(topk=40),
        nms_settings(force_suppress=True),
        nms_settings(threshold=0.3),
        nms_settings("box_nms"),
        nms_settings("box_nms", max_detections=20),
    ],
)
def test_rows_of_other_settings_are_a_fault(reference: Prediction, other: NmsSettings) -> None:
    found = postprocess(reference.boxes, reference.scores, other)
    assert fault(reference, found) is not None


def test_boxes_that_reach_far_out_differ_by_their_own_reach() -> None:
    one = np.array([[0, 0, 0.5, 1], [0, 0, 500, 500], [np.inf, -np.inf, np.nan, 1]], np.float32)
    other = one + np.array([[1e-3, 0, 0, 0], [0.5, 0, 0, 1], [0, 0, 0, np.nan]], np.float32)
    np.testing.assert_allclose(
        box_differences(one, other), [[1e-3, 0, 0, 0], [1e-3, 0, 0, 2e-3], [0, 0, 0, np.inf]], 0.01
    )
