"""Times of a video's images, by its timestamps."""

from __future__ import annotations

import pytest

from edgetally.capture.presentation import PresentationTime


def times(timestamps: list[float | None], fps: float = 10) -> list[float]:
    presentation = PresentationTime(fps)
    found = []
    for timestamp in timestamps:
        presentation.move(timestamp, 1)
        found.append(presentation.seconds)
    return found


@pytest.mark.parametrize(
    ("timestamps", "expected"),
    [
        ([0, 1, 1.5, 9], [0, 1, 1.5, 9]),
        ([7, 8, 8.5], [0, 1, 1.5]),  # what was before is not in the file
        ([0, 0, 0, 0], [0, 0.1, 0.2, 0.3]),  # raw H.264
        ([None, None, None], [0, 0.1, 0.2]),
        ([0, 0.5, 1, 0, 0.5, 1], [0, 0.5, 1, 1.1, 1.6, 2.1]),  # two recordings in one file
        ([0, 1, 1, 2], [0, 1, 1.1, 2]),  # a timestamp that comes twice
        ([0, 0.1, 0.3, 0.2, 0.4], [0, 0.1, 0.3, 0.4, 0.4]),  # a little out of order
        ([0, 1, None, 3], [0, 1, 1.1, 3]),
    ],
)
def test_time_follows_the_timestamps_where_they_rise(
    timestamps: list[float | None], expected: list[float]
) -> None:
    assert times(timestamps) == pytest.approx(expected)


def test_broken_images_take_their_time_too() -> None:
    presentation = PresentationTime(10)
    presentation.move(None, 3)
    assert presentation.seconds == pytest.approx(0.2)
    presentation.move(None, 2)
    assert presentation.seconds == pytest.approx(0.4)
