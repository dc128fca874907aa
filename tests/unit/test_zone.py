from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgetally.config import ZoneConfig
from edgetally.counting.track import Track
from edgetally.counting.zone import Zone

SQUARE = [[0.2, 0.2], [0.8, 0.2], [0.8, 0.8], [0.2, 0.8]]
HORSESHOE = [[0, 0], [1, 0], [1, 1], [0.7, 1], [0.7, 0.3], [0.3, 0.3], [0.3, 1], [0, 1]]
CLASSES = ("blue box", "yellow box")


def zone(polygon: object = None, *, dwell: float = 0.5, classes: tuple[str, ...] = ()) -> Zone:
    config = {"name": "room", "polygon": polygon or SQUARE, "classes": classes}
    return Zone(ZoneConfig.model_validate(config), CLASSES, dwell=dwell)


def track(
    x: float,
    y: float,
    time: float = 0.0,
    *,
    track_id: int = 1,
    class_id: int = 0,
    seen: bool = True,
) -> Track:
    return Track(
        id=track_id,
        class_id=class_id,
        box=(x - 0.05, y - 0.05, x + 0.05, y + 0.05),
        score=0.9,
        velocity=(0.0, 0.0),
        first_seen=0.0,
        last_seen=time,
        hits=2,
        confident_hits=2,
        is_seen_now=seen,
        path=(),
    )


@pytest.mark.parametrize(
    ("polygon", "point", "is_inside"),
    [
        (SQUARE, (0.5, 0.5), True),
        (SQUARE, (0.21, 0.79), True),
        (SQUARE, (0.19, 0.5), False),
        (SQUARE, (0.5, 0.81), False),
        (SQUARE[::-1], (0.5, 0.5), True),
        (HORSESHOE, (0.15, 0.9), True),
        (HORSESHOE, (0.85, 0.9), True),
        (HORSESHOE, (0.5, 0.9), False),
        (HORSESHOE, (0.5, 0.1), True),
        ([[0.5, 0.1], [0.9, 0.9], [0.1, 0.9]], (0.5, 0.2), True),
        ([[0.5, 0.1], [0.9, 0.9], [0.1, 0.9]], (0.2, 0.2), False),
    ],
)
def test_the_centre_is_inside_the_polygon_or_not(
    polygon: list[list[float]], point: tuple[float, float], is_inside: bool
) -> None:
    assert zone(polygon, dwell=0).update([track(*point)], 0.0)[0] == is_inside


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.floats(0, math.tau), min_size=3, max_size=8, unique=True),
    st.floats(0.01, 0.99),
    st.floats(0.01, 0.99),
)
def test_a_convex_polygon_holds_what_lies_on_the_inner_side_of_each_edge(
    angles: list[float], x: float, y: float
) -> None:
    corners = [(0.5 + 0.4 * math.cos(a), 0.5 + 0.4 * math.sin(a)) for a in sorted(angles)]
    sides = [
        (bx - ax) * (y - ay) - (by - ay) * (x - ax)
        for (ax, ay), (bx, by) in zip(corners, corners[1:] + corners[:1], strict=True)
    ]
    if min(map(abs, sides)) > 1e-9:
        held = zone(corners, dwell=0).update([track(x, y)], 0.0)[0]
        assert held == all(side > 0 for side in sides)


@pytest.mark.parametrize(
    ("ys", "expected"),
    [
        ([0.5, 0.5, 0.5, 0.5], [0, 0, 0, 1]),
        ([0.1, 0.5, 0.1, 0.5], [0, 0, 0, 0]),
        ([0.5, 0.5, 0.5, 0.5, 0.1, 0.5, 0.1, 0.5], [0, 0, 0, 1, 1, 1, 1, 1]),
        ([0.5, 0.5, 0.5, 0.5, 0.1, 0.1, 0.1, 0.1], [0, 0, 0, 1, 1, 1, 1, 0]),
    ],
)
def test_a_track_enters_and_leaves_after_half_a_second(
    ys: list[float], expected: list[int]
) -> None:
    room = zone()
    assert [room.update([track(0.5, y, n / 5)], n / 5)[0] for n, y in enumerate(ys)] == expected


def test_a_track_that_is_not_seen_stays_and_one_that_ended_is_gone() -> None:
    room = zone()
    room.update([track(0.5, 0.5, 0)], 0)
    assert room.update([track(0.5, 0.5, 1)], 1) == {0: 1, 1: 0}
    assert room.update([track(0.5, 0.95, 1, seen=False)], 2) == {0: 1, 1: 0}
    assert room.update([], 3) == {0: 0, 1: 0}


def test_occupancy_counts_each_class() -> None:
    room = zone(dwell=0)
    inside = [track(0.5, 0.5, track_id=n, class_id=c) for n, c in enumerate((0, 1, 1))]
    room.update([*inside, track(0.05, 0.5, track_id=9)], 0)
    assert room.occupancy == {0: 1, 1: 2}


def test_a_zone_counts_only_its_classes() -> None:
    room = zone(dwell=0, classes=("yellow box",))
    inside = [track(0.5, 0.5, track_id=n, class_id=c) for n, c in enumerate((0, 1, 1))]
    assert room.update(inside, 0) == {1: 2}
