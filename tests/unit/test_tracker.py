from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgetally.counting.track import Box, Track, centre_of
from edgetally.counting.tracker import Tracker, TrackerSettings
from edgetally.detections import Detections

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

Seen = tuple[float, float, float, float, int]
"""x, y, size, score, class of one detection."""


def frame(*seen: Seen) -> Detections:
    boxes = [(x - size / 2, y - size / 2, x + size / 2, y + size / 2) for x, y, size, _, _ in seen]
    return Detections(
        np.clip(np.array(boxes, np.float32).reshape(-1, 4), 0, 1),
        np.array([score for *_, score, _ in seen], np.float32),
        np.array([class_id for *_, class_id in seen], np.int64),
    )


def follow(
    frames: Iterable[tuple[float, Sequence[Seen]]], tracker: Tracker | None = None
) -> list[list[int]]:
    tracker = tracker or Tracker()
    ids = []
    for time, seen in frames:
        track_ids = tracker.update(frame(*seen), time).track_ids
        assert track_ids is not None
        ids.append(track_ids.tolist())
    return ids


def moving(
    place: Callable[[float], tuple[float, float]], times: Iterable[float], size: float = 0.15
) -> list[tuple[float, list[Seen]]]:
    return [(time, [(*place(time), size, 0.9, 0)]) for time in times]


def at(fps: float, seconds: float) -> list[float]:
    return [number / fps for number in range(round(fps * seconds))]


def test_a_track_is_believed_at_its_second_detection_and_ids_count_from_one() -> None:
    frames = [(t, [(0.2, 0.2, 0.1, 0.9, 0), (0.8, 0.8, 0.1, 0.8, 1)]) for t in (0, 0.2, 0.4)]
    assert follow(frames) == [[-1, -1], [1, 2], [1, 2]]


def test_a_detection_in_one_frame_only_never_becomes_a_track() -> None:
    tracker = Tracker()
    follow([(0, [(0.5, 0.5, 0.1, 0.9, 0)])] + [(t, []) for t in at(5, 4)[1:]], tracker)
    assert follow([(4, [(0.2, 0.2, 0.1, 0.9, 0)])], tracker) == [[-1]]
    assert tracker.tracks == ()


@pytest.mark.parametrize(
    ("fps", "speed", "size"), [(5, 0.3, 0.2), (5, 0.9, 0.1), (5, 1.2, 0.08), (15, 1.4, 0.05)]
)
def test_a_box_that_moves_further_than_its_width_keeps_its_id(
    fps: float, speed: float, size: float
) -> None:
    frames = moving(lambda t: (0.5, 0.05 + speed * t), at(fps, 0.9 / speed), size)
    assert [ids[0] for ids in follow(frames)[1:]] == [1] * (len(frames) - 1)


def test_uneven_gaps_between_frames_do_not_end_a_track() -> None:
    times = np.cumsum(np.random.default_rng(5).choice([0.03, 0.1, 0.2, 0.7], 30))
    frames = moving(lambda t: (0.05 + 0.9 * t / times[-1], 0.4), times.tolist())
    assert {ids[0] for ids in follow(frames)[1:]} == {1}


def test_a_box_that_stands_for_minutes_with_misses_keeps_its_id() -> None:
    rng = np.random.default_rng(6)
    tracker = Tracker()
    for time in at(5, 180):
        x, y = 0.5 + rng.normal(0, 0.004, 2)
        is_missed = rng.random() < 0.2 or 5 < time % 7 < 6.5
        tracker.update(frame(*([] if is_missed else [(x, y, 0.2, 0.8, 0)])), time)
    assert [track.id for track in tracker.tracks] == [1]
    assert tracker.tracks[0].first_seen == 0
    assert max(map(abs, tracker.tracks[0].velocity)) < 0.1


def test_an_unseen_track_slows_down_waits_and_ends() -> None:
    tracker = Tracker(TrackerSettings(max_gap=2))
    times = at(5, 1)
    follow(moving(lambda t: (0.2 + 0.3 * t, 0.5), times), tracker)
    places = []
    for time in np.arange(1, 2.81, 0.2):
        tracker.update(Detections.empty(), time)
        (track,) = tracker.tracks
        assert not track.is_seen_now
        assert track.last_seen == times[-1]
        places.append(centre_of(track.box)[0])
    steps = np.diff(places)
    assert np.all(steps > 0)
    assert np.all(np.diff(steps) < 0)
    assert places[-1] < 0.8
    tracker.update(Detections.empty(), 3.0)
    assert tracker.tracks == ()


def test_a_moving_box_that_was_hidden_for_a_second_is_found_again() -> None:
    frames = moving(lambda t: (0.1 + 0.25 * t, 0.5), at(5, 3))
    hidden = [(time, [] if 1.0 <= time < 2.0 else seen) for time, seen in frames]
    assert [ids[0] for ids in follow(hidden)[1:] if ids] == [1] * 9


def test_a_standing_box_is_known_again_after_the_camera_was_silent_and_another_is_not() -> None:
    for x, known in ((0.51, 1), (0.8, -1)):
        tracker = Tracker()
        follow([(0, [(0.5, 0.5, 0.2, 0.9, 0)]), (0.2, [(0.5, 0.5, 0.2, 0.9, 0)])], tracker)
        assert follow([(60, [(x, 0.5, 0.2, 0.9, 0)])], tracker) == [[known]]


def test_a_box_that_left_the_frame_is_not_known_again_when_another_enters_opposite() -> None:
    tracker = Tracker()
    follow(moving(lambda t: (0.5, 0.4 + 0.6 * t), at(5, 1)), tracker)
    frames = [(1 + t, [(0.5, 0.1 + 0.3 * t, 0.15, 0.9, 0)]) for t in at(5, 1)]
    assert {i for ids in follow(frames, tracker)[1:] for i in ids} == {2}


def test_a_weak_detection_continues_a_track_but_begins_none() -> None:
    weak: list[tuple[float, list[Seen]]] = [(t, [(0.5, 0.5, 0.2, 0.3, 0)]) for t in at(5, 2)]
    assert {i for ids in follow(weak) for i in ids} == {-1}
    tracker = Tracker()
    follow([(t - 1, [(0.5, 0.5, 0.2, 0.9, 0)]) for t in at(5, 1)], tracker)
    assert {i for ids in follow(weak, tracker) for i in ids} == {1}


def test_a_detection_below_the_low_score_is_ignored() -> None:
    tracker = Tracker(TrackerSettings(low_score=0.2))
    follow([(t, [(0.5, 0.5, 0.2, 0.9, 0)]) for t in at(5, 1)], tracker)
    assert follow([(1, [(0.5, 0.5, 0.2, 0.19, 0)])], tracker) == [[-1]]
    assert not tracker.tracks[0].is_seen_now


def test_a_flickering_class_neither_splits_the_track_nor_changes_its_name() -> None:
    tracker = Tracker()
    flicker = [0, 0, 1, 0, 1, 1, 0, 0, 1, 0]
    frames = [(n / 5, [(0.1 + n / 15, 0.5, 0.2, 0.8, c)]) for n, c in enumerate(flicker)]
    assert {i for ids in follow(frames, tracker)[1:] for i in ids} == {1}
    assert tracker.tracks[0].class_id == 0


def test_the_class_is_the_one_with_more_score_not_with_more_frames() -> None:
    tracker = Tracker()
    votes = [(0, 0.95), (0, 0.95), (1, 0.5), (1, 0.5), (1, 0.5)]
    follow([(n / 5, [(0.5, 0.5, 0.2, s, c)]) for n, (c, s) in enumerate(votes)], tracker)
    assert tracker.tracks[0].class_id == 0


def test_one_object_named_twice_in_a_frame_is_one_track() -> None:
    tracker = Tracker()
    twice: list[Seen] = [(0.5, 0.5, 0.2, 0.9, 0), (0.51, 0.5, 0.2, 0.7, 1)]
    ids = follow([(t, twice) for t in at(5, 2)], tracker)
    assert ids[-1] == [1, -1]
    assert [(track.id, track.class_id) for track in tracker.tracks] == [(1, 0)]


def test_a_detection_much_larger_than_the_track_does_not_take_it() -> None:
    tracker = Tracker()
    follow([(t, [(0.5, 0.5, 0.15, 0.9, 0)]) for t in at(5, 1)], tracker)
    assert follow([(1, [(0.5, 0.5, 0.9, 0.9, 0)])], tracker) == [[-1]]
    after = follow([(1 + t, [(0.5, 0.5, 0.15, 0.9, 0)]) for t in at(5, 2)[1:]], tracker)
    assert {i for ids in after for i in ids} == {1}
    assert len(tracker.tracks) == 1


@pytest.mark.parametrize("classes", [(0, 0), (0, 1)])
def test_two_boxes_that_cross_paths_keep_their_ids(classes: tuple[int, int]) -> None:
    tracker = Tracker()
    owners = []
    for time in at(10, 2.6):
        x = 0.1 + 0.3 * time
        seen: list[Seen] = [(x, 0.45, 0.12, 0.9, classes[0])]
        if abs(x - 0.5) > 0.06:  # where they meet, only one of them is detected
            seen.append((1 - x, 0.55, 0.12, 0.8, classes[1]))
        owners += follow([(time, seen)], tracker)
    assert owners[1] == owners[-1] == [1, 2]
    assert [1] in owners or [2] in owners


def test_two_boxes_side_by_side_moving_together_are_not_mixed_up() -> None:
    frames = [
        (t, [(0.4, 0.1 + 0.5 * t, 0.12, 0.9, 0), (0.55, 0.1 + 0.5 * t, 0.12, 0.8, 0)])
        for t in at(5, 1.6)
    ]
    assert {tuple(ids) for ids in follow(frames)[1:]} == {(1, 2)}


def test_a_seen_track_is_where_it_was_detected_and_remembers_its_way() -> None:
    tracker = Tracker()
    follow(moving(lambda t: (0.2 + 0.3 * t, 0.5), at(5, 2)), tracker)
    (track,) = tracker.tracks
    assert track.is_seen_now
    assert (track.hits, track.first_seen, track.last_seen) == (10, 0.0, 1.8)
    assert track.score == pytest.approx(0.9)
    assert centre_of(track.box) == pytest.approx((0.74, 0.5), abs=1e-6)
    assert track.velocity == pytest.approx((0.3, 0), abs=0.05)
    assert [s.time for s in track.path] == at(5, 2)
    assert track.path[-1].box == track.box


def test_time_may_stand_still_but_not_go_back() -> None:
    tracker = Tracker()
    tracker.update(frame((0.5, 0.5, 0.2, 0.9, 0)), 1.0)
    tracker.update(frame((0.5, 0.5, 0.2, 0.9, 0)), 1.0)
    assert tracker.tracks[0].hits == 2
    with pytest.raises(ValueError, match="went back"):
        tracker.update(Detections.empty(), 0.9)


_SEEN = st.tuples(
    st.floats(0, 1), st.floats(0, 1), st.floats(0, 1), st.floats(0, 1), st.integers(0, 2)
)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 5), st.lists(_SEEN, max_size=5)), max_size=15))
def test_whatever_is_detected_each_seen_track_owns_exactly_one_row(
    frames: list[tuple[float, list[Seen]]],
) -> None:
    tracker = Tracker()
    time = 0.0
    known: set[int] = set()
    for gap, seen in frames:
        time += gap
        given_back = tracker.update(frame(*seen), time)
        assert given_back.track_ids is not None
        owned = [i for i in given_back.track_ids.tolist() if i != -1]
        tracks: dict[int, Track] = {track.id: track for track in tracker.tracks}
        assert sorted(owned) == sorted(i for i, track in tracks.items() if track.is_seen_now)
        for row, track_id in enumerate(given_back.track_ids.tolist()):
            if track_id != -1:
                box: Box = tracks[track_id].box
                assert box == pytest.approx(given_back.boxes[row].tolist())
        known |= set(tracks)
    assert known <= set(range(1, len(known) + 1))


def test_another_class_elsewhere_is_another_object_though_it_is_near_in_time() -> None:
    """A yellow box goes out at the top; a blue one comes in half a second later, beside it."""
    tracker = Tracker()
    leaving = [(t, [(0.2, 0.4 - 0.6 * t, 0.2, 0.9, 1)]) for t in at(8, 0.75)]
    coming = [(1.0 + t, [(0.5, 0.05 + 0.3 * t, 0.2, 0.9, 0)]) for t in at(8, 0.5)]
    ids = follow([*leaving, *coming], tracker)
    assert ids[-1] == [2]


def test_a_class_that_flickers_in_place_stays_one_object() -> None:
    frames = [(t, [(0.5, 0.5, 0.2, 0.9, round(t * 8) % 3 == 2)]) for t in at(8, 2)]
    assert follow(frames)[-1] == [1]


def test_what_was_last_seen_at_the_edge_is_given_up_soon() -> None:
    tracker = Tracker()
    follow([(t, [(0.5, 0.3 - 0.3 * t, 0.2, 0.9, 0)]) for t in at(8, 1)], tracker)
    follow([(1.6, [])], tracker)
    assert tracker.tracks == ()


def test_the_caller_may_say_which_rows_begin_tracks() -> None:
    tracker = Tracker()
    for time in (0.0, 0.2):
        found = tracker.update(
            frame((0.2, 0.5, 0.1, 0.4, 0), (0.8, 0.5, 0.1, 0.9, 0)), time, np.array([True, False])
        )
    assert found.track_ids is not None
    assert found.track_ids.tolist() == [1, -1]


def test_a_weak_detection_of_another_class_does_not_keep_a_track() -> None:
    tracker = Tracker()
    follow([(t, [(0.5, 0.5, 0.2, 0.9, 1)]) for t in (0.0, 0.2)], tracker)
    assert follow([(0.4, [(0.5, 0.5, 0.2, 0.3, 0)])], tracker) == [[-1]]
    assert follow([(0.6, [(0.5, 0.5, 0.2, 0.3, 1)])], tracker) == [[1]]


def test_a_second_opinion_on_a_followed_object_begins_no_track() -> None:
    """The other class, shifted by a quarter of the box: no duplicate, and no new object."""
    frames = [(t, [(0.5, 0.5, 0.2, 0.9, 0), (0.5, 0.55, 0.2, 0.6, 1)]) for t in at(8, 1)]
    assert follow(frames)[-1] == [1, -1]


def test_boxes_side_by_side_are_two() -> None:
    frames = [(t, [(0.4, 0.5, 0.2, 0.9, 0), (0.52, 0.5, 0.2, 0.9, 0)]) for t in at(8, 1)]
    assert follow(frames)[-1] == [1, 2]


def test_a_confident_row_begins_a_track_however_low_its_score() -> None:
    """Where the score threshold is set below what is weak by default."""
    tracker = Tracker()
    for time in (0.0, 0.2):
        found = tracker.update(frame((0.5, 0.5, 0.2, 0.12, 0)), time, np.array([True]))
    assert found.track_ids is not None
    assert found.track_ids.tolist() == [1]
