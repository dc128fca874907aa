from __future__ import annotations

import numpy as np
import pytest

from edgetally.capture import reconnect_delay
from edgetally.capture.sampling import sampler


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


def test_the_delay_doubles_from_a_second_to_a_minute_and_varies() -> None:
    for failures, longest in ((0, 1), (1, 2), (3, 8), (6, 60), (2000, 60)):
        delays = {reconnect_delay(failures) for _ in range(50)}
        assert longest / 2 <= min(delays) < max(delays) <= longest
        assert len(delays) > 10
