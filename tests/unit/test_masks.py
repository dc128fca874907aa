"""What a mask covers, whatever its outline looks like."""

from __future__ import annotations

import math

import numpy as np
import pytest

from edgetally.capture.masks import black_out

STAR = [
    (0.5 + 0.45 * math.sin(4 * math.pi * tip / 5), 0.5 - 0.45 * math.cos(4 * math.pi * tip / 5))
    for tip in range(5)
]
SQUARE = [(0.2, 0.2), (0.8, 0.2), (0.8, 0.8), (0.2, 0.8)]
LOOPS = [(0, 0.1), (0.7, 0.1), (0.7, 0.9), (0.3, 0.9), (0.3, 0.2), (1, 0.2), (1, 0.8), (0, 0.8)]


@pytest.mark.parametrize(
    ("polygon", "inside"),
    [
        (STAR, (0.5, 0.5)),
        (SQUARE + SQUARE, (0.5, 0.5)),
        (LOOPS, (0.5, 0.5)),
        ([(0, 0), (1, 1), (1, 0), (0, 1)], (0.8, 0.5)),
        # A loop in a loop, both along the picture's edges.
        ([(0, 0), (1, 0), (1, 1), (0, 1), (0, 0), (1, 0), (1, 1), (0, 1)], (0.5, 0.5)),
    ],
)
@pytest.mark.parametrize("size", [(48, 64), (400, 300)])
def test_an_outline_that_crosses_itself_leaves_nothing_inside_to_see(
    polygon: list[tuple[float, float]], inside: tuple[float, float], size: tuple[int, int]
) -> None:
    image = np.full((*size, 3), 255, np.uint8)
    black_out(image, [polygon])
    assert not image[int(inside[1] * size[0]), int(inside[0] * size[1])].any()


def test_the_outside_of_a_star_stays_to_be_seen() -> None:
    image = np.full((400, 400, 3), 255, np.uint8)
    black_out(image, [STAR])
    black = image.max(axis=2) == 0
    outer = 0.5 * 5 * 0.45**2 * math.sin(math.tau / 5)  # the pentagon around it
    assert 0.4 * outer < black.mean() < 0.6 * outer
    assert not black[:, :20].any()


def test_a_gap_in_a_simple_outline_stays_to_be_seen() -> None:
    horseshoe = [(0, 0), (1, 0), (1, 1), (0.6, 1), (0.6, 0.3), (0.4, 0.3), (0.4, 1), (0, 1)]
    image = np.full((200, 200, 3), 255, np.uint8)
    black_out(image, [horseshoe])
    assert image[70:, 85:115].all()
