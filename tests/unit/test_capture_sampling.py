from __future__ import annotations

import numpy as np
import pytest

from edgetally.capture import reconnect_delay
from edgetally.capture.sampling import PacingTime, sampler


def taken(fps: float | None, times: list[float]) -> list[float]:
    chosen = sampler(fps, is_live=True)
    found = []
    for time in times:
        if chosen.wants(time):
            chosen.took(time)
            found.append(time)
    return found


@pytest.mark.parametrize(
    ("fps", "count"), [(None, 300), (1, 10), (5, 50), (7, 70), (29.9, 299), (30, 300), (60, 300)]
)
def test_uneven_frames_are_taken_at_the_asked_rate(fps: float | None, count: int) -> None:
    rng = np.random.default_rng(1)
    times = (np.arange(300) / 30 + rng.uniform(-0.005, 0.005, 300)).tolist()
    assert abs(len(taken(fps, times)) - count) <= 1


def test_after_a_gap_nothing_is_made_up_for() -> None:
    times = [0.0, 1.0, 2.0, 60.0, 60.1, 60.2, 61.0]
    assert taken(1, times) == [0.0, 1.0, 2.0, 60.0, 61.0]


def test_a_frame_that_was_broken_does_not_count_as_taken() -> None:
    chosen = sampler(1, is_live=True)
    assert chosen.wants(0)
    assert chosen.wants(0.1)
    chosen.took(0.1)
    assert not chosen.wants(0.2)


@pytest.mark.parametrize(
    ("source", "fps"),
    [
        (5, 5),
        (30, 30),
        (5, 6),
        (25, 24),
        (30, 29),
        (30, 20),
        (10, 9.5),
        (15, 7),
        (10, 3),
        (30, 0.1),
    ],
)
@pytest.mark.parametrize("jitter", [0, 0.3])
def test_jitter_loses_no_frame_in_the_mean(source: float, fps: float, jitter: float) -> None:
    rng = np.random.default_rng(1)
    count = round(300 * source)
    times = (np.arange(count) + rng.uniform(-jitter, jitter, count)) / source
    assert len(taken(fps, times.tolist())) == pytest.approx(300 * min(source, fps), abs=2)


def paced(arrivals: list[float], timestamps: list[float | None], fps: float) -> int:
    """Return how many pictures are taken of a stream."""
    time = PacingTime()
    times = [time.at(*each) for each in zip(arrivals, timestamps, strict=True)]
    assert times == sorted(times)
    return len(taken(fps, times))


def test_pictures_that_come_in_bursts_are_paced_by_their_timestamps() -> None:
    arrivals = [second + 0.002 * number for second in range(100) for number in range(10)]
    timestamps: list[float | None] = [50 + number / 10 for number in range(1000)]
    assert paced(arrivals, timestamps, fps=5) == pytest.approx(500, abs=5)
    assert paced(arrivals, [None] * 1000, fps=10) < 500  # nothing else tells


def test_a_break_in_a_long_stream_does_not_end_the_belief_in_its_timestamps() -> None:
    timestamps: list[float | None] = [number / 10 for number in range(1000)]
    arrivals = [number / 10 if not 300 < number < 350 else 35.0 for number in range(1000)]
    assert paced(arrivals, timestamps, fps=5) == pytest.approx(500, abs=5)


@pytest.mark.parametrize("told", [25, 3])
def test_timestamps_that_run_away_from_the_clock_are_not_believed(told: float) -> None:
    arrivals = [number / 10 for number in range(3000)]
    timestamps: list[float | None] = [number / told for number in range(3000)]
    assert paced(arrivals, timestamps, fps=5) == pytest.approx(1500, abs=20)


def test_each_connection_has_timestamps_of_its_own() -> None:
    time = PacingTime()
    assert [time.at(10, 100), time.at(11, 101)] == [10, 11]
    time.reconnect()
    assert [time.at(20, 3), time.at(20, 4), time.at(22, 5)] == [20, 21, 22]


def test_a_picture_without_a_timestamp_between_others_takes_its_time_once() -> None:
    """Of every six grabs of an RTSP stream one may repeat the timestamp before it."""
    time = PacingTime()
    times = [time.at(n / 30, None if n % 6 == 5 else n / 30) for n in range(300)]
    assert times[-1] == pytest.approx(299 / 30)


def test_the_delay_doubles_from_a_second_to_a_minute_and_varies() -> None:
    for failures, longest in ((0, 1), (1, 2), (3, 8), (6, 60), (2000, 60)):
        delays = {reconnect_delay(failures) for _ in range(50)}
        assert longest / 2 <= min(delays) < max(delays) <= longest
        assert len(delays) > 10
