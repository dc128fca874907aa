"""The small parts of a camera's loop: turns, region, time that stands still, pace, settling."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgetally.config import CameraConfig
from edgetally.counting.camera_counter import CameraCounter
from edgetally.detections import Detections
from edgetally.service.counting_time import CountingTime
from edgetally.service.pace import Pace, Progress
from edgetally.service.region import Region
from edgetally.service.settling import Settling
from edgetally.service.turns import Turns

WAIT = 20.0


def test_turns_are_given_in_the_order_of_asking() -> None:
    turns = Turns(1)
    assert turns.take()
    order: list[str] = []
    threads = []

    def take(name: str) -> None:
        turns.take()
        order.append(name)

    for name in ("first", "second", "third"):
        thread = threading.Thread(target=take, args=(name,))
        thread.start()
        threads.append(thread)
        while turns.waiting < len(threads):
            thread.join(0.001)
    for thread in threads:
        turns.leave()
        thread.join(WAIT)
    assert order == ["first", "second", "third"]


def test_closing_sends_everyone_away() -> None:
    turns = Turns(1)
    assert turns.take()
    answers: list[bool] = []
    thread = threading.Thread(target=lambda: answers.append(turns.take()))
    thread.start()
    while not turns.waiting:
        thread.join(0.001)
    turns.close()
    thread.join(WAIT)
    assert answers == [False]
    assert not turns.take()


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
    assert pace.rates() == (0, 0)
    assert pace.latency() is None
    for second in range(100):
        busy = min(second, 60)
        pace.note(Progress(second, 5 * busy, 2 * busy))
        pace.took(second / 100)
        if second == 50:
            assert pace.rates() == pytest.approx((5, 2))
    assert pace.rates() == (0, 0)
    latency = pace.latency()
    assert latency is not None
    assert (latency.p50, latency.p95, latency.p99) == pytest.approx((0.495, 0.9405, 0.9801))


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
    assert all(settled[30:45])
    assert not any(settled[45:49])
    assert all(settled[50:])
