"""The tracker on what these cameras do: any frame rate, jumps, hands, silence, wavering classes."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np
import pytest
from test_tracker import Seen, at, follow, frame, moving

from edgetally.counting.track import EndedTrack
from edgetally.counting.tracker import Tracker
from edgetally.detections import Detections

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    Frames = Iterable[tuple[float, Sequence[Seen]]]


def ids_of(frames: Frames, tracker: Tracker | None = None) -> set[int]:
    return {i for ids in follow(frames, tracker) for i in ids} - {-1}


@pytest.mark.parametrize("fps", [1, 2, 5, 10, 30])
@pytest.mark.parametrize("speed", [0.05, 0.2, 0.4])
def test_a_box_that_is_carried_through_keeps_its_id_at_any_frame_rate(
    fps: float, speed: float
) -> None:
    rng = np.random.default_rng(1)
    frames = [
        (t, [(0.5 + rng.normal(0, 0.004), 0.08 + speed * t + rng.normal(0, 0.004), 0.12, 0.9, 0)])
        for t in at(fps, 0.84 / speed)
    ]
    found = follow(frames)
    assert [ids[0] for ids in found[1:]] == [1] * (len(frames) - 1)


@pytest.mark.parametrize("fps", [0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1, 1.2, 1.5, 2, 5, 15, 30])
@pytest.mark.parametrize("size", [0.05, 0.1, 0.2, 0.4])
@pytest.mark.parametrize("is_at_edge", [False, True])
def test_a_box_that_stands_is_believed_at_its_second_sighting_at_any_frame_rate(
    fps: float, size: float, is_at_edge: bool
) -> None:
    y = 1 - size / 2 if is_at_edge else 0.5
    frames: Frames = [(number / fps, [(0.5, y, size, 0.95, 0)]) for number in range(20)]
    assert follow(frames) == [[-1], *[[1]] * 19]


@pytest.mark.parametrize("fps", [0.4, 0.6, 0.8, 1, 1.2, 1.5, 2])
@pytest.mark.parametrize("seed", range(4))
def test_a_slow_camera_believes_what_trembles_at_the_edge_at_its_second_sighting(
    fps: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    frames: list[tuple[float, list[Seen]]] = []
    for number in range(12):
        x, y = np.array([0.5, 0.92]) + rng.normal(0, 0.006, 2)
        frames.append((number / fps, [(x, y, 0.2 * np.exp(rng.normal(0, 0.04)), 0.95, 0)]))
    assert follow(frames) == [[-1], *[[1]] * 11]


@pytest.mark.parametrize("fps", [1, 2, 5, 10, 30])
@pytest.mark.parametrize("seed", range(4))
def test_a_standing_box_keeps_its_id_through_misses_of_two_seconds_at_any_frame_rate(
    fps: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    frames: list[tuple[float, list[Seen]]] = []
    for time in at(fps, 60):
        is_hidden = 3 < time % 9 < 5 or (not 2 < time % 9 < 6 and rng.random() < 0.15)
        x, y = 0.4 + rng.normal(0, 0.006, 2)
        score = 0.3 if rng.random() < 0.2 else 0.8
        frames.append((time, [] if is_hidden and time > 2 else [(x, y, 0.15, score, 0)]))
    tracker = Tracker()
    assert ids_of(frames, tracker) == {1}
    assert [track.id for track in tracker.tracks] == [1]


@pytest.mark.parametrize("classes", [(0, 0), (0, 1)])
@pytest.mark.parametrize("apart", [0.15, 0.25, 0.4])
@pytest.mark.parametrize("step", [0.12, 0.18, 0.24])
def test_two_boxes_that_each_jump_further_than_their_width_keep_their_ids(
    step: float, apart: float, classes: tuple[int, int]
) -> None:
    """Side by side, at 5 frames a second; the box is 0.08 wide."""
    frames = []
    for number in range(int(0.9 / step)):
        y = 0.06 + step * number
        seen = [(0.3, y, 0.08, 0.9, classes[0]), (0.3 + apart, y, 0.08, 0.8, classes[1])]
        frames.append((number / 5, seen))
    assert {tuple(ids) for ids in follow(frames)[1:]} == {(1, 2)}


@pytest.mark.parametrize("step", [0.1, 0.14, 0.18])
def test_two_boxes_one_behind_the_other_keep_their_ids_though_they_jump(step: float) -> None:
    frames = []
    for number in range(int(0.6 / step)):
        y = 0.3 + step * number
        frames.append((number / 5, [(0.5, y, 0.08, 0.9, 0), (0.5, y - 0.22, 0.08, 0.8, 0)]))
    assert {tuple(ids) for ids in follow(frames)[1:]} == {(1, 2)}


@pytest.mark.parametrize("seed", range(5))
def test_gaps_of_any_length_do_not_end_a_track(seed: int) -> None:
    rng = np.random.default_rng(seed)
    times = np.cumsum(rng.choice([0.033, 0.1, 0.2, 0.5, 1.0], 30))
    speed = 0.8 / times[-1]
    frames = moving(lambda t: (0.1 + speed * t, 0.4), times.tolist())
    assert ids_of(frames) == {1}


def test_a_box_that_stands_is_taken_up_and_carried_off() -> None:
    """From one frame to the next it moves two thirds of its width."""
    way = [*[0.7] * 50, *np.arange(0.7, 0.1, -0.1)]
    frames: Frames = [(n / 5, [(0.5, y, 0.15, 0.9, 0)]) for n, y in enumerate(way)]
    assert ids_of(frames) == {1}


def test_a_box_carried_over_one_that_stands_leaves_both_their_ids() -> None:
    """Where it hides the other, that one is not detected."""
    tracker = Tracker()
    follow([(t, [(0.5, 0.5, 0.14, 0.9, 0)]) for t in at(5, 3)], tracker)
    for time in at(5, 3.4):
        y = 0.05 + 0.27 * time
        seen: list[Seen] = [(0.53, y, 0.14, 0.9, 0)]
        if abs(y - 0.5) > 0.1:
            seen.append((0.5, 0.5, 0.14, 0.8, 0))
        ids = follow([(3 + time, seen)], tracker)
    assert ids == [[2, 1]]
    assert [track.id for track in tracker.tracks] == [1, 2]


def test_what_a_hand_makes_smaller_is_the_same_box() -> None:
    rng = np.random.default_rng(0)
    frames: Frames = [(t, [(0.5, 0.5, 0.2 * rng.uniform(0.75, 1.1), 0.8, 0)]) for t in at(5, 20)]
    assert ids_of(frames) == {1}


def test_the_class_changes_only_when_clearly_more_speaks_for_another() -> None:
    """One wrong name at first, then the right one; a few wrong ones later change nothing."""
    tracker = Tracker()
    found = []
    for number, class_id in enumerate([1, 0, 0, 0, 0, 0, 0, 1, 1, 0, 1, 0, 0, 0]):
        follow([(number / 5, [(0.5, 0.5, 0.2, 0.9, class_id)])], tracker)
        found += [track.class_id for track in tracker.tracks]
    assert found[:2] == [1, 0]
    assert set(found[1:]) == {0}


def test_a_class_that_flickers_evenly_does_not_go_to_and_fro() -> None:
    for seed in range(5):
        rng = np.random.default_rng(seed)
        tracker, found = Tracker(), []
        for time in at(5, 60):
            follow([(time, [(0.5, 0.5, 0.2, 0.9, int(rng.integers(2)))])], tracker)
            found += [track.class_id for track in tracker.tracks]
        assert np.count_nonzero(np.diff(found)) <= 4


def test_a_class_that_was_wrong_for_minutes_is_mended_within_seconds() -> None:
    tracker = Tracker()
    follow([(t, [(0.5, 0.5, 0.2, 0.9, 0)]) for t in at(5, 180)], tracker)
    changed = None
    for time in at(5, 30):
        follow([(180 + time, [(0.5, 0.5, 0.2, 0.9, 1)])], tracker)
        if changed is None and tracker.tracks[0].class_id == 1:
            changed = time
    assert changed is not None
    assert 3 < changed < 15


def test_a_silent_camera_does_not_make_a_track_forget_its_class() -> None:
    tracker = Tracker()
    follow([(t, [(0.5, 0.5, 0.2, 0.9, 0)]) for t in at(5, 10)], tracker)
    follow([(300.0, [(0.5, 0.5, 0.2, 0.9, 0)])], tracker)
    follow([(300.2, [(0.5, 0.5, 0.2, 0.95, 1)])], tracker)
    assert [track.class_id for track in tracker.tracks] == [0]


@pytest.mark.parametrize(
    ("way", "reason"),
    [
        ([0.5] * 11, "not found again, unseen for 3.2 s"),
        ([0.3, 0.35, 0.4, 0.45, 0.5], "not found again, unseen for 2.2 s"),
        ([0.4, 0.3, 0.2, 0.1, 0.06], "left over the frame's edge, unseen for 0.8 s"),
    ],
)
def test_why_a_track_ended_is_told_in_one_line(way: list[float], reason: str) -> None:
    tracker = Tracker()
    ended: list[EndedTrack] = []
    for number in range(30):
        seen: list[Seen] = [(0.5, way[number], 0.2, 0.9, 1)] if number < len(way) else []
        tracker.update(frame(*seen), number / 5)
        ended += tracker.ended
    assert ended == [EndedTrack(1, 1, reason)]


def test_debug_output_tells_the_states_of_a_track(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "edgetally.counting")
    tracker = Tracker(name="dock")
    follow([(0.0, [(0.5, 0.5, 0.2, 0.9, 0)]), (0.2, [(0.5, 0.5, 0.2, 0.9, 0)])], tracker)
    tracker.update(Detections.empty(), 0.4)
    states = [track.state for track in tracker.tracks]
    follow([(0.6, [(0.5, 0.5, 0.2, 0.9, 0), (0.1, 0.9, 0.1, 0.9, 1)])], tracker)
    assert [*states, *(track.state for track in tracker.tracks)] == ["waiting", "confirmed"]
    for time in (0.8, 1.0, 1.2, 1.4):
        follow([(time, [(0.5, 0.5, 0.2, 0.9, 0)])], tracker)
    assert [record.getMessage() for record in caplog.records] == [
        "dock: a tentative track (class 0) begins at (0.50, 0.50)",
        "dock: track 1 (class 0) is confirmed: 2 detections in 0.2 s",
        "dock: track 1 (class 0) is waiting at (0.50, 0.50)",
        "dock: track 1 (class 0) is found again after 0.4 s",
        "dock: a tentative track (class 1) begins at (0.10, 0.90)",
        "dock: a tentative track (class 1) is waiting at (0.10, 0.90)",
        "dock: a tentative track (class 1) ended: 1 of 2 detections, unseen for 0.8 s",
    ]
