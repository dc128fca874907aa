"""The scenes that the tracker is measured on are what they are said to be, and it follows them."""

from __future__ import annotations

import numpy as np
import pytest

from edgetally.benchmark.tracking.degraded import Damage, KnownFrame, degraded
from edgetally.benchmark.tracking.scenes import HURRY, STOCK_ROOM, Kind, stock_room
from edgetally.counting.tracker import Tracker

UNHARMED = Damage(missed=0, invented=0, jitter=0, confused=0)


@pytest.fixture(scope="module")
def frames() -> list[KnownFrame]:
    return degraded(stock_room(STOCK_ROOM, 7), Damage(), 7)


def test_a_seed_is_a_scene(frames: list[KnownFrame]) -> None:
    again = degraded(stock_room(STOCK_ROOM, 7), Damage(), 7)
    other = degraded(stock_room(STOCK_ROOM, 8), Damage(), 8)
    for one, same in zip(frames, again, strict=True):
        assert np.array_equal(one.boxes, same.boxes)
        assert np.array_equal(one.detections.boxes, same.detections.boxes)
    assert sum(len(f.ids) for f in frames) != sum(len(f.ids) for f in other)


def test_unharmed_detections_are_the_truth() -> None:
    for frame in degraded(stock_room(STOCK_ROOM, 7), UNHARMED, 7):
        assert frame.detections.boxes == pytest.approx(frame.boxes, abs=1e-6)
        assert frame.detections.class_ids.tolist() == frame.class_ids.tolist()


def test_so_many_boxes_are_missed_and_invented_as_was_asked() -> None:
    for damage, share in (
        (Damage(missed=0.15, invented=0), 0.85),
        (Damage(missed=1.0, invented=0.05), 0.05),
    ):
        harmed = degraded(stock_room(STOCK_ROOM, 7), damage, 7)
        true = sum(len(frame.ids) for frame in harmed)
        assert sum(len(f.detections) for f in harmed) / true == pytest.approx(share, abs=0.03)


def test_in_a_hurry_boxes_move_further_than_their_width_between_frames() -> None:
    before: dict[int, np.ndarray[tuple[int], np.dtype[np.float64]]] = {}
    steps = []
    for frame in degraded(stock_room(HURRY, 7), UNHARMED, 7):
        for box, number in zip(frame.boxes, frame.ids.tolist(), strict=True):
            if number in before:
                width, height = box[2:] - box[:2]
                off = np.abs(box - before[number]).reshape(2, 2).mean(axis=0)
                steps.append(max(off[0] / width, off[1] / height))
            before[number] = box
    assert np.mean(np.array(steps)[np.array(steps) > 0.1] > 1) > 0.5


@pytest.mark.parametrize("kind", [STOCK_ROOM, HURRY], ids=lambda kind: str(kind.name))
def test_who_was_followed_is_hardly_ever_taken_for_another(kind: Kind) -> None:
    kept = changed = 0
    tracker = Tracker()
    owner: dict[int, int] = {}
    for frame in degraded(stock_room(kind, 1), Damage(), 1):
        ids = tracker.update(frame.detections, frame.time).track_ids
        assert ids is not None
        for row, box in enumerate(frame.detections.boxes):
            off = np.abs(frame.boxes - box).max(axis=1)
            if ids[row] < 0 or not len(off) or off.min() > 0.05:
                continue
            number = int(frame.ids[off.argmin()])
            if number in owner:
                kept += owner[number] == ids[row]
                changed += owner[number] != ids[row]
            owner[number] = int(ids[row])
    assert kept > 500
    assert changed < 0.03 * kept
