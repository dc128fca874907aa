"""The small parts of a camera's loop: turns, region, time that stands still, pace, settling."""

from __future__ import annotations

import logging
import threading
from queue import SimpleQueue

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgetally.config import CameraConfig
from edgetally.counting.camera_counter import CameraCounter
from edgetally.detections import Detections
from edgetally.errors import EdgetallyError
from edgetally.service.counting_time import CountingTime
from edgetally.service.engine_trouble import EngineTrouble
from edgetally.service.pace import Pace, Progress
from edgetally.service.region import Region
from edgetally.service.settling import Settling
from edgetally.service.turns import Turns

WAIT = 20.0


class Queue:
    """Askers that wait for their turn at the one place, which someone else has."""

    def __init__(self, turns: Turns, has_it: str) -> None:
        self._turns = turns
        self._given: SimpleQueue[str] = SimpleQueue()
        assert turns.take(has_it)

    def ask(self, *names: str) -> None:
        for name in names:
            waiting = self._turns.waiting
            thread = threading.Thread(target=self._take, args=(name,), daemon=True)
            thread.start()
            while self._turns.waiting == waiting:
                thread.join(0.001)

    def next(self) -> str:
        self._turns.leave()
        return self.given()

    def given(self) -> str:
        return self._given.get(timeout=WAIT)

    def _take(self, name: str) -> None:
        self._turns.take(name)
        self._given.put(name)


def test_turns_are_given_in_the_order_of_asking() -> None:
    queue = Queue(Turns(1), "nobody")
    queue.ask("first", "second", "third")
    assert [queue.next() for _ in range(3)] == ["first", "second", "third"]


def test_who_asks_for_less_than_its_share_goes_first() -> None:
    """Three want all they can get; a fourth comes back every fifth turn."""
    greedy = ("a", "b", "c")
    queue = Queue(Turns(1), "a")
    queue.ask(*greedy)
    given = []
    for number in range(40):
        if number % 5 == 0:
            queue.ask("modest")
        given.append(queue.next())
        if given[-1] != "modest":
            queue.ask(given[-1])
    modest = [index for index, name in enumerate(given) if name == "modest"]
    assert len(modest) == 8
    assert modest[3:] == [*range(15, 40, 5)]  # at once, when all had a few
    counts = [given.count(name) for name in greedy]
    assert max(counts) - min(counts) <= 1


def test_more_or_fewer_places_are_shared_from_then_on() -> None:
    turns = Turns(1)
    queue = Queue(turns, "nobody")
    queue.ask("first", "second", "third")
    turns.resize(2)
    assert queue.given() == "first"
    turns.resize(1)
    turns.leave()  # there was one too many
    assert queue.next() == "second"
    assert turns.waiting == 1


def test_who_was_away_has_saved_up_no_more_than_a_turn() -> None:
    queue = Queue(Turns(1), "a")
    queue.ask("a", "b")
    for _ in range(20):
        queue.ask(queue.next())
    queue.ask("late")
    given = []
    for _ in range(30):
        given.append(queue.next())
        queue.ask(given[-1])
    assert given[0] == "late"
    assert given.count("late") <= 12


def test_closing_sends_everyone_away() -> None:
    turns = Turns(1)
    assert turns.take("first")
    answers: list[bool] = []
    thread = threading.Thread(target=lambda: answers.append(turns.take("second")))
    thread.start()
    while not turns.waiting:
        thread.join(0.001)
    turns.close()
    thread.join(WAIT)
    assert answers == [False]
    assert not turns.take("third")


sides = st.tuples(st.floats(0, 1), st.floats(0, 1)).map(sorted).filter(lambda s: s[1] - s[0] > 0.01)


@given(sides, sides, st.integers(1, 700), st.integers(1, 700))
def test_a_box_in_the_region_is_mapped_back_to_where_it_was(
    across: list[float], down: list[float], width: int, height: int
) -> None:
    image = np.zeros((height, width, 3), np.uint8)
    region = Region(across[0], down[0], across[1], down[1])
    part = region.crop(image)
    assert part.base is image
    assert min(part.shape) > 0
    part[:] = 255
    rows, columns = np.nonzero(image[..., 0])
    expected = [columns[0] / width, rows[0] / height]
    expected += [(columns[-1] + 1) / width, (rows[-1] + 1) / height]
    whole = Detections(
        np.array([[0, 0, 1, 1]], np.float32), np.ones(1, np.float32), np.zeros(1, int)
    )
    assert region.in_frame(whole, image).boxes[0] == pytest.approx(expected, abs=1e-6)
    assert expected[0] <= region.xmin
    assert expected[2] >= region.xmax - 1e-9


def test_counting_time_leaves_out_what_was_idle_and_finds_it_again() -> None:
    time = CountingTime()
    assert time.move(1.0, 0.0) == 1.0
    assert time.move(11.0, 9.8) == pytest.approx(1.2)
    assert time.move(20.0, 15.8) == pytest.approx(4.2)
    assert time.idle_before(0.5) == 0
    assert time.idle_before(1.0) == 0
    assert time.idle_before(1.1) == 9.8  # between two looks: after the rest
    assert time.idle_before(4.2) == 15.8


def test_counting_time_never_goes_back() -> None:
    time = CountingTime()
    time.move(5.0, 0.0)
    assert time.move(3.0, 0.0) == 5.0


def test_the_pace_is_that_of_the_latest_half_minute() -> None:
    pace = Pace()
    assert pace.processed() == 0
    assert pace.latency() is None
    for second in range(100):
        pace.note(Progress(second, 5 * min(second, 60), 0, 0, None))
        pace.took(second / 100)
        if second == 50:
            assert pace.processed() == pytest.approx(5)
    assert pace.processed() == 0
    latency = pace.latency()
    assert latency is not None
    assert (latency.p50, latency.p95, latency.p99) == pytest.approx((0.495, 0.9405, 0.9801))


def shortfall_of(*marks: Progress, wanted: float | None = 30.0) -> float:
    pace = Pace()
    for mark in marks:
        pace.note(mark)
    return pace.shortfall(wanted)


def test_what_never_came_because_decoding_was_slow_is_missing_too() -> None:
    """60 a second are wanted; 1.4 are decoded and processed, none is dropped as older."""
    marks = [Progress(t, round(1.4 * t), 0, 0, 0) for t in range(40)]
    assert shortfall_of(*marks, wanted=60) == pytest.approx(58.6, abs=0.1)


def test_what_was_still_is_not_missing() -> None:
    marks = [Progress(t, 10 * t, 15 * t, 0, 0) for t in range(20)]
    assert shortfall_of(*marks) == pytest.approx(5)


@pytest.mark.parametrize("rate", [29.97, 29.5, 30, 31])
def test_a_camera_that_keeps_up_is_short_of_nothing(rate: float) -> None:
    """Its frames come unevenly, some are under way, and its clock is its own."""
    marks = [Progress(t, int(rate * t) - (t % 3), 0, 0, 0) for t in range(50)]
    for end in range(len(marks)):
        assert shortfall_of(*marks[:end]) == 0


def test_the_time_in_which_no_camera_streamed_is_no_shortfall() -> None:
    """It connects for 5 s and needs a second more; it is lost for 10 s, and comes back."""
    pace = Pace()
    processed = 0
    for second in range(60):
        stream = None if second < 5 or 20 <= second < 30 else int(second >= 30)
        processed += 30 if stream is not None and second not in {5, 30} else 0
        pace.note(Progress(second, processed, 0, 0, stream))
        assert pace.shortfall(30) == 0


def test_where_nobody_says_how_many_are_wanted_those_lost_are_missing() -> None:
    marks = [Progress(t, 5 * t, 0, 2 * t, 0) for t in range(20)]
    assert shortfall_of(*marks, wanted=None) == pytest.approx(2)


def test_what_waits_for_its_reader_is_short_of_nothing() -> None:
    assert shortfall_of(*(Progress(t, t, 0, 0, None) for t in range(20))) == 0


def test_a_scene_is_settled_once_nothing_has_come_or_gone_for_a_while() -> None:
    """A box that is there, then hidden until its track ends; a second that comes."""
    counter = CameraCounter(CameraConfig(name="dock", source="0"), ["box"])
    settling = Settling()
    settled = []
    for index in range(60):
        rows = [row for row, there in enumerate((index < 15, index >= 45)) if there]
        found = Detections(
            np.array([[0.4, 0.4, 0.5, 0.5], [0.6, 0.6, 0.8, 0.8]], np.float32)[rows],
            np.full(len(rows), 0.9, np.float32),
            np.zeros(len(rows), np.int64),
        )
        confident = np.ones(len(rows), bool)
        update = counter.update(found, index / 5, confident)
        settled.append(settling.look(update, confident, index / 5))
    assert not any(settled[:5])
    assert all(settled[5:15])
    assert not any(settled[15:25])  # the track waits
    assert all(settled[35:45])
    assert not any(settled[45:49])
    assert all(settled[50:])


def test_an_engine_that_fails_now_and_then_is_told_once_in_ten_minutes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    trouble = EngineTrouble("dock")
    with caplog.at_level(logging.INFO):
        for second in range(1000):
            trouble.failed(EdgetallyError("it failed"), second)
            assert trouble.problem == "it failed"
            trouble.worked()
            assert trouble.problem is None
    assert trouble.dropped == 1000
    assert len(caplog.messages) == 2
    assert caplog.messages[0] == "camera dock lost a frame and goes on: it failed"


@pytest.mark.parametrize(("interval", "frames"), [(0.0625, 481), (1.0, 31), (5.0, 30)])
def test_an_engine_that_fails_at_30_frames_and_for_30_seconds_ends_the_camera(
    interval: float, frames: int
) -> None:
    trouble = EngineTrouble("dock")
    for number in range(frames - 1):
        trouble.failed(EdgetallyError("it failed"), number * interval)
    with pytest.raises(EdgetallyError, match=rf"^camera dock ends, {frames} frames .*: it failed"):
        trouble.failed(EdgetallyError("it failed"), (frames - 1) * interval)


def test_an_engine_that_fails_for_a_second_at_full_speed_ends_no_camera() -> None:
    trouble = EngineTrouble("dock")
    for number in range(200):
        trouble.failed(EdgetallyError("it failed"), number / 200)
    trouble.worked()
    trouble.source_ended(processed=1, is_live=False)
    assert trouble.dropped == 200


def test_a_file_whose_end_came_to_nothing_is_no_success_and_a_stopped_camera_is() -> None:
    trouble = EngineTrouble("dock")
    for number in range(29):
        trouble.failed(EdgetallyError("it failed"), number / 200)
    trouble.source_ended(processed=1, is_live=False)
    trouble.failed(EdgetallyError("it failed"), 0.2)
    trouble.source_ended(processed=1, is_live=True)
    with pytest.raises(EdgetallyError, match=r"^camera dock ended, its last 30 frames .*: it fai"):
        trouble.source_ended(processed=1, is_live=False)
    with pytest.raises(EdgetallyError, match=r"^camera dock counted no frame: it failed"):
        trouble.source_ended(processed=0, is_live=True)
