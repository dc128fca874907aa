"""Postprocessing against the operators that it stands in for: MultiBoxDetection and box_nms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgetally.bundle import NmsSettings, Setting
from edgetally.detector.postprocessing import postprocess
from edgetally.engines import decode_boxes
from edgetally.mxnet_compat import import_mxnet

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgetally.detections import Detections

Array = Any
VARIANCES = (0.1, 0.1, 0.2, 0.2)


def nms_settings(
    *,
    threshold: float = 0.45,
    topk: int = 400,
    force_suppress: bool = False,
    score_floor: float = 0.01,
    clip: bool = True,
) -> NmsSettings:
    return NmsSettings(
        threshold=Setting[float](value=threshold, source="default"),
        topk=Setting[int](value=topk, source="default"),
        force_suppress=Setting[bool](value=force_suppress, source="default"),
        score_floor=Setting[float](value=score_floor, source="default"),
        clip=Setting[bool](value=clip, source="default"),
        variances=Setting[tuple[float, float, float, float]](value=VARIANCES, source="default"),
    )


def operator(
    scores: NDArray[np.float32],
    loc_pred: NDArray[np.float32],
    anchors: NDArray[np.float32],
    nms: NmsSettings,
) -> NDArray[np.float32]:
    """Run MultiBoxDetection; rows (class, score, xmin, ymin, xmax, ymax) that it keeps."""
    mx = import_mxnet()
    background = np.zeros((len(scores), 1), np.float32)  # the operator never reads it
    rows = mx.nd.contrib.MultiBoxDetection(
        mx.nd.array(np.hstack([background, scores]).T[np.newaxis]),
        mx.nd.array(loc_pred[np.newaxis]),
        mx.nd.array(anchors[np.newaxis]),
        threshold=nms.score_floor.value,
        clip=nms.clip.value,
        variances=VARIANCES,
        nms_threshold=nms.threshold.value,
        force_suppress=nms.force_suppress.value,
        nms_topk=nms.topk.value,
    ).asnumpy()[0]
    return np.asarray(rows[rows[:, 0] >= 0], np.float32)


def operator_boxes(
    loc_pred: NDArray[np.float32], anchors: NDArray[np.float32], nms: NmsSettings
) -> NDArray[np.float32]:
    """Let MultiBoxDetection only decode: every anchor kept, in its place."""
    every = np.ones((len(anchors), 1), np.float32)
    return operator(every, loc_pred, anchors, nms_settings(threshold=0, clip=nms.clip.value))[:, 2:]


def as_rows(found: Detections) -> NDArray[np.float32]:
    return np.column_stack([found.class_ids.astype(np.float32), found.scores, found.boxes])


def random_scene(
    seed: int, *, anchors: int, classes: int, crowding: float, levels: int
) -> tuple[Array, Array, Array]:
    """Anchors that crowd the more the lower `crowding`, and scores of few levels: many ties."""
    rng = np.random.default_rng(seed)
    centres = rng.uniform(0, 1, (anchors, 2)) * crowding + (1 - crowding) / 2
    sizes = rng.uniform(0.02, 0.5, (anchors, 2))
    corners = np.hstack([centres - sizes / 2, centres + sizes / 2]).astype(np.float32)
    if seed % 2:  # equal anchors: overlaps of exactly 1
        corners[anchors // 2 :] = corners[: anchors - anchors // 2]
    loc_pred = rng.normal(0, 1, anchors * 4).astype(np.float32)
    if seed % 4 > 1:
        loc_pred[:] = 0
    scores = rng.integers(0, levels + 1, (anchors, classes)) / np.float32(levels)
    return corners, loc_pred, scores.astype(np.float32)


@settings(max_examples=2000, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    anchors=st.integers(1, 300),
    classes=st.integers(1, 5),
    crowding=st.sampled_from([0.0, 0.1, 1.0]),
    levels=st.sampled_from([1, 10, 10_000]),
    threshold=st.sampled_from([-1.0, 0.0, 0.1, 0.45, 0.5, 1.0, 1.1]),
    topk=st.sampled_from([-1, 0, 1, 7, 100, 400]),
    force_suppress=st.booleans(),
    score_floor=st.sampled_from([0.0, 0.01, 0.1, 0.5, 1.0]),
    clip=st.booleans(),
)
def test_detections_are_those_of_the_operator_bit_for_bit(
    seed: int,
    anchors: int,
    classes: int,
    crowding: float,
    levels: int,
    threshold: float,
    topk: int,
    force_suppress: bool,
    score_floor: float,
    clip: bool,
) -> None:
    nms = nms_settings(
        threshold=threshold,
        topk=topk,
        force_suppress=force_suppress,
        score_floor=score_floor,
        clip=clip,
    )
    corners, loc_pred, scores = random_scene(
        seed, anchors=anchors, classes=classes, crowding=crowding, levels=levels
    )

    found = postprocess(operator_boxes(loc_pred, corners, nms), scores, nms)

    np.testing.assert_array_equal(as_rows(found), operator(scores, loc_pred, corners, nms))


@pytest.mark.parametrize("force_suppress", [False, True])
@pytest.mark.parametrize("topk", [-1, 400])
def test_a_network_full_of_candidates_gives_what_the_operator_gives(
    topk: int, *, force_suppress: bool
) -> None:
    nms = nms_settings(topk=topk, force_suppress=force_suppress)
    corners, loc_pred, scores = random_scene(
        2, anchors=3000, classes=2, crowding=1.0, levels=10_000
    )

    found = postprocess(operator_boxes(loc_pred, corners, nms), scores, nms)

    expected = operator(scores, loc_pred, corners, nms)
    assert 10 < len(expected) < 3000
    np.testing.assert_array_equal(as_rows(found), expected)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), clip=st.booleans())
def test_decoded_boxes_are_those_of_the_operator(seed: int, clip: bool) -> None:
    corners, loc_pred, _ = random_scene(seed, anchors=200, classes=1, crowding=1.0, levels=1)

    boxes = decode_boxes(loc_pred[np.newaxis], corners, VARIANCES, clip=clip)

    assert boxes.dtype == np.float32
    expected = operator_boxes(loc_pred, corners, nms_settings(clip=clip))
    np.testing.assert_allclose(boxes[0], expected, rtol=0, atol=1e-6)


def test_a_picture_without_candidates_gives_empty_detections() -> None:
    found = postprocess(np.zeros((4, 4), np.float32), np.zeros((4, 2), np.float32), nms_settings())

    assert len(found) == 0
    assert found.boxes.shape == (0, 4)


@settings(max_examples=100, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    thresholds=st.lists(st.sampled_from([0.0, 0.05, 0.3, 0.9]), min_size=3, max_size=3),
    topk=st.sampled_from([-1, 5, 400]),
    force_suppress=st.booleans(),
)
def test_thresholds_only_hide_rows_of_the_operators_result(
    seed: int,
    thresholds: list[float],
    topk: int,
    force_suppress: bool,
) -> None:
    nms = nms_settings(topk=topk, force_suppress=force_suppress)
    corners, loc_pred, scores = random_scene(seed, anchors=100, classes=3, crowding=1.0, levels=10)
    boxes = operator_boxes(loc_pred, corners, nms)
    lowest = np.array(thresholds, np.float32)

    shown = postprocess(boxes, scores, nms, lowest)

    everything = postprocess(boxes, scores, nms)
    expected = everything.select(everything.scores >= lowest[everything.class_ids])
    np.testing.assert_array_equal(as_rows(shown), as_rows(expected))


def class_rows(
    boxes: NDArray[np.float32], scores: NDArray[np.float32], floor: float
) -> NDArray[np.float32]:
    """Lay out each class's rows in turn as GluonCV's SSD does; low scores get class -1."""
    anchors, classes = scores.shape
    rows = np.empty((classes, anchors, 6), np.float32)
    kept = np.float32(floor) < scores.T
    rows[:, :, 0] = np.where(kept, np.arange(classes)[:, None], -1)
    rows[:, :, 1] = np.where(kept, scores.T, 0)
    rows[:, :, 2:] = boxes
    return rows.reshape(-1, 6)


@settings(max_examples=1000, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    anchors=st.integers(1, 150),
    classes=st.integers(1, 5),
    crowding=st.sampled_from([0.0, 0.1, 1.0]),
    levels=st.sampled_from([1, 10, 10_000]),
    threshold=st.sampled_from([0.0, 0.1, 0.45, 0.5, 1.0]),
    topk=st.sampled_from([-1, 1, 7, 100, 400]),
    force_suppress=st.booleans(),
    score_floor=st.sampled_from([0.0, 0.01, 0.1, 0.5, 1.0]),
    max_detections=st.sampled_from([-1, 1, 100]),
)
def test_detections_of_gluoncv_networks_are_those_of_box_nms_bit_for_bit(
    seed: int,
    anchors: int,
    classes: int,
    crowding: float,
    levels: int,
    threshold: float,
    topk: int,
    force_suppress: bool,
    score_floor: float,
    max_detections: int,
) -> None:
    corners, loc_pred, scores = random_scene(
        seed, anchors=anchors, classes=classes, crowding=crowding, levels=levels
    )
    boxes = decode_boxes(loc_pred[np.newaxis], corners, VARIANCES, clip=False)[0]
    nms = nms_settings(
        threshold=threshold, topk=topk, force_suppress=force_suppress, score_floor=score_floor
    ).model_copy(
        update={
            "algorithm": "box_nms",
            "max_detections": Setting[int](value=max_detections, source="default"),
        }
    )
    mx = import_mxnet()
    rows = mx.nd.contrib.box_nms(
        mx.nd.array(class_rows(boxes, scores, score_floor)[np.newaxis]),
        overlap_thresh=threshold,
        topk=topk,
        valid_thresh=score_floor,
        id_index=0,
        score_index=1,
        coord_start=2,
        force_suppress=force_suppress,
    ).asnumpy()[0]
    expected = rows[: None if max_detections < 0 else max_detections]
    expected = expected[expected[:, 0] >= 0]
    np.testing.assert_array_equal(as_rows(postprocess(boxes, scores, nms)), expected)
