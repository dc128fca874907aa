from __future__ import annotations

import math
from collections import Counter

import pytest
from followed import Life, track_of
from hypothesis import given, settings
from hypothesis import strategies as st

from edgetally.config import ZoneConfig
from edgetally.counting.zone import Stay, Zone

SQUARE = [[0.2, 0.2], [0.8, 0.2], [0.8, 0.8], [0.2, 0.8]]
HORSESHOE = [[0, 0], [1, 0], [1, 1], [0.7, 1], [0.7, 0.3], [0.3, 0.3], [0.3, 1], [0, 1]]
# Two squares that touch in a corner, two triangles whose edges cross, a frame with a hole in it.
TOUCHING = [[0.1, 0.1], [0.5, 0.1], [0.5, 0.9], [0.9, 0.9], [0.9, 0.5], [0.1, 0.5]]
BOW = [[0.1, 0.1], [0.9, 0.9], [0.9, 0.1], [0.1, 0.9]]
RING = [[0, 0], [1, 0], [1, 1], [0, 1], [0, 0], [0.3, 0.3], [0.3, 0.7], [0.7, 0.7], [0.7, 0.3]]
RING += [[0.3, 0.3]]
CLASSES = ("blue box", "yellow box")
INSIDE, OUTSIDE, N = (0.5, 0.5), (0.5, 0.1), None


def zone(polygon: object = None, **settings: object) -> Zone:
    config = {"name": "room", "polygon": polygon or SQUARE, **settings}
    return Zone(ZoneConfig.model_validate(config), CLASSES)


def holds(polygon: object, point: tuple[float, float], *, anchor: str = "centre") -> bool:
    track = track_of([point, point])
    assert track is not None
    room = zone(polygon, anchor=anchor)
    room.update([], 0.0)
    room.update([track], 0.2)
    return room.occupancy[0] == 1


def watched(
    *lives: Life,
    fps: float = 5,
    rests: dict[int, float] | None = None,
    is_empty_first: bool = False,
    **settings: object,
) -> tuple[list[dict[int, int]], list[Stay]]:
    """Lead tracks, numbered from 1, of class 0, through a zone, and say what was in it when."""
    room = zone(**settings)
    if is_empty_first:
        room.update([], -10.0)
    occupied, told, rested = [], [], 0.0
    for number in range(max(map(len, lives))):
        rested += (rests or {}).get(number, 0.0)
        tracks = [
            track_of(life[: number + 1], fps=fps, track_id=index + 1)
            for index, life in enumerate(lives)
            if number < len(life)
        ]
        told += room.update([track for track in tracks if track], number / fps, rested)
        occupied.append(room.occupancy)
    return occupied, told


def kinds(told: list[Stay]) -> list[tuple[str, float, float]]:
    return [(stay.kind, round(stay.time, 3), round(stay.seconds, 3)) for stay in told]


@pytest.mark.parametrize(
    ("polygon", "point", "is_inside"),
    [
        (SQUARE, (0.5, 0.5), True),
        (SQUARE, (0.21, 0.79), True),
        (SQUARE, (0.19, 0.5), False),
        (SQUARE, (0.5, 0.81), False),
        (SQUARE[::-1], (0.5, 0.5), True),
        ([*SQUARE, SQUARE[0]], (0.5, 0.5), True),
        (HORSESHOE, (0.15, 0.9), True),
        (HORSESHOE, (0.85, 0.9), True),
        (HORSESHOE, (0.5, 0.9), False),
        (HORSESHOE, (0.5, 0.1), True),
        ([[0.5, 0.1], [0.9, 0.9], [0.1, 0.9]], (0.5, 0.2), True),
        ([[0.5, 0.1], [0.9, 0.9], [0.1, 0.9]], (0.2, 0.2), False),
        (TOUCHING, (0.3, 0.3), True),
        (TOUCHING, (0.7, 0.7), True),
        (TOUCHING, (0.3, 0.7), False),
        (TOUCHING, (0.7, 0.3), False),
        (BOW, (0.2, 0.5), True),
        (BOW, (0.8, 0.5), True),
        (BOW, (0.5, 0.2), False),
        (BOW, (0.5, 0.8), False),
        (RING, (0.15, 0.5), True),
        (RING, (0.5, 0.85), True),
        (RING, (0.5, 0.5), False),
    ],
)
def test_the_centre_is_inside_the_polygon_or_not(
    polygon: list[list[float]], point: tuple[float, float], is_inside: bool
) -> None:
    assert holds(polygon, point) == is_inside


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
    if min(map(abs, sides)) > 1e-9 and max(angles) - min(angles) > 1e-3:
        assert holds(corners, (x, y)) == all(side > 0 for side in sides)


@pytest.mark.parametrize(
    ("anchor", "expected"),
    [
        ("centre", False),
        ("topCentre", False),
        ("bottomCentre", True),
        ("leftCentre", False),
        ("rightCentre", False),
    ],
)
def test_the_anchor_is_the_point_that_has_to_be_inside(anchor: str, expected: bool) -> None:
    assert holds(SQUARE, (0.5, 0.16), anchor=anchor) == expected


@pytest.mark.parametrize(
    ("anchor", "point"),
    [
        ("bottomCentre", (0.5, 0.95)),
        ("rightCentre", (0.95, 0.5)),
        ("topCentre", (0.5, 0.05)),
        ("leftCentre", (0.05, 0.5)),
    ],
)
def test_what_the_edge_of_the_picture_cuts_off_is_in_a_zone_up_to_there(
    anchor: str, point: tuple[float, float]
) -> None:
    whole = [[0, 0], [1, 0], [1, 1], [0, 1]]
    assert holds(whole, point, anchor=anchor)


@pytest.mark.parametrize(
    ("ys", "expected"),
    [
        ([0.1, 0.1, 0.5, 0.5, 0.5, 0.5], [0, 0, 0, 0, 0, 1]),
        ([0.1, 0.1, 0.5, 0.1, 0.5, 0.1], [0, 0, 0, 0, 0, 0]),
        ([0.1, 0.1, *[0.5] * 4, 0.1, 0.5, 0.1, 0.5], [0] * 5 + [1] * 5),
        ([0.1, 0.1, *[0.5] * 4, *[0.1] * 4], [0] * 5 + [1] * 4 + [0]),
        ([0.1, 0.1, 0.5, N, N, N, 0.1, 0.1], [0] * 8),
        ([0.1, 0.1, 0.5, N, N, N, 0.5, 0.5], [0] * 6 + [1, 1]),
        ([0.1, 0.1, *[0.5] * 4, N, N, N, 0.5], [0] * 5 + [1] * 5),
        ([0.1, 0.1, *[0.5] * 4, 0.1, N, N, N, 0.5], [0] * 5 + [1] * 6),
    ],
)
def test_a_track_enters_and_leaves_when_it_was_seen_to_for_the_dwell(
    ys: list[float | None], expected: list[int]
) -> None:
    occupied, _ = watched([None if y is None else (0.5, y) for y in ys])
    assert [inside[0] for inside in occupied] == expected


def test_what_appears_in_a_zone_enters_as_of_its_first_sighting() -> None:
    occupied, told = watched([INSIDE] * 5, is_empty_first=True)
    assert [inside[0] for inside in occupied] == [0, 0, 0, 1, 1]
    assert kinds(told) == [("entered", 0.0, 0.0)]


def test_what_stands_in_view_from_the_start_is_there_at_once_and_never_entered() -> None:
    occupied, told = watched([INSIDE] * 3, [N, INSIDE, INSIDE], dwell=60)
    assert [inside[0] for inside in occupied] == [0, 1, 2]
    assert told == []


@pytest.mark.parametrize("fps", [0.2, 1, 2, 5])
def test_what_a_slow_camera_misses_at_first_stood_there_from_the_start(fps: float) -> None:
    occupied, told = watched([INSIDE] * 4, [N, *[INSIDE] * 3], fps=fps)
    if fps >= 1:
        assert [inside[0] for inside in occupied] == [0, 1, 2, 2]
        assert told == []
    else:  # five seconds later it may well have come
        assert kinds(told) == [("entered", 5.0, 0.0)]


@pytest.mark.parametrize("fps", [1, 2])
@pytest.mark.parametrize("dwell", [0.5, 1.0])
def test_two_frames_alone_are_no_dwell(fps: float, dwell: float) -> None:
    """What stands on the border shows on either side in one or two frames of a slow camera."""
    way = [OUTSIDE, OUTSIDE, *[INSIDE, INSIDE, OUTSIDE] * 6, *[INSIDE] * 4]
    _, told = watched(way, fps=fps, dwell=dwell)
    assert kinds(told) == [("entered", 20 / fps, 0.0)]


def test_a_zone_without_a_dwell_takes_each_frame_at_its_word() -> None:
    _, told = watched([OUTSIDE, OUTSIDE, INSIDE, OUTSIDE], fps=1, dwell=0)
    assert kinds(told) == [("entered", 2.0, 0.0), ("left", 3.0, 1.0)]


def test_who_comes_in_at_the_start_enters_nevertheless() -> None:
    occupied, told = watched([OUTSIDE, OUTSIDE, *[INSIDE] * 4])
    assert [inside[0] for inside in occupied] == [0, 0, 0, 0, 0, 1]
    assert kinds(told) == [("entered", 0.4, 0.0)]


def test_who_stood_there_from_the_start_may_leave() -> None:
    _, told = watched([*[INSIDE] * 5, *[OUTSIDE] * 4])
    assert kinds(told) == [("left", 1.0, 1.0)]


def test_entering_and_leaving_are_told_once_with_the_time_inside() -> None:
    way = [*[OUTSIDE] * 3, *[INSIDE] * 10, *[OUTSIDE] * 5]
    _, told = watched(way)
    assert kinds(told) == [("entered", 0.6, 0.0), ("left", 2.6, 2.0)]


def test_who_ends_inside_left_when_it_was_seen_last() -> None:
    _, told = watched([*[OUTSIDE] * 3, *[INSIDE] * 5, *[N] * 15])
    assert kinds(told) == [("entered", 0.6, 0.0), ("left", 1.4, 0.8)]


def test_who_ends_before_the_dwell_is_over_never_entered() -> None:
    _, told = watched([*[OUTSIDE] * 3, *[INSIDE] * 2, *[N] * 15])
    assert told == []


def test_loitering_is_told_once_in_a_stay() -> None:
    stay = [*[OUTSIDE] * 3, *[INSIDE] * 10]
    _, told = watched([*stay, *stay, OUTSIDE], loitering=1, dwell=0.2)
    assert kinds(told) == [
        ("entered", 0.6, 0.0),
        ("loitering", 1.6, 1.0),
        ("left", 2.6, 2.0),
        ("entered", 3.2, 0.0),
        ("loitering", 4.2, 1.0),
    ]


def test_what_stood_there_from_the_start_loiters_too() -> None:
    _, told = watched([INSIDE] * 10, loitering=1.5)
    assert kinds(told) == [("loitering", 1.6, 1.6)]


def test_who_is_not_seen_is_not_told_to_loiter() -> None:
    _, told = watched([*[INSIDE] * 5, *[N] * 8, INSIDE], loitering=1.5)
    assert kinds(told) == [("loitering", 2.6, 2.6)]


def test_who_stands_while_the_camera_rests_stays_inside_that_long() -> None:
    way = [*[OUTSIDE] * 3, *[INSIDE] * 3]
    occupied, told = watched(way, rests={5: 60.0}, loitering=60, dwell=5)
    assert [inside[0] for inside in occupied] == [0, 0, 0, 0, 0, 1]
    assert kinds(told) == [("entered", 0.6, 0.0), ("loitering", 1.0, 60.4)]


def test_a_zone_counts_only_its_classes() -> None:
    room = zone(classes=["yellow box"])
    tracks = [
        track
        for index, class_id in enumerate((0, 1, 1))
        if (track := track_of([INSIDE] * 2, track_id=index + 1, class_id=class_id))
    ]
    assert room.update(tracks, 0.2) == []
    assert room.occupancy == {1: 2}
    assert [stay.class_id for stay in room.update([], 9)] == [1, 1]


@pytest.mark.parametrize(
    ("classes", "expected"),
    [
        ([], [("left", 0), ("entered", 1)]),
        (["blue box"], [("left", 0)]),
        (["yellow box"], [("entered", 1)]),
    ],
)
def test_a_track_inside_whose_class_changes_leaves_as_the_one_and_enters_as_the_other(
    classes: list[str], expected: list[tuple[str, int]]
) -> None:
    room = zone(classes=classes, loitering=2)
    told = []
    for number in range(1, 20):
        track = track_of([INSIDE] * (number + 1), class_id=int(number > 5))
        assert track is not None
        told += room.update([track], number / 5)
    assert [(stay.kind, stay.class_id) for stay in told if stay.kind != "loitering"] == expected
    assert {stay.time for stay in told if stay.kind != "loitering"} == {1.2}
    if classes != ["blue box"]:
        assert [stay.seconds for stay in told if stay.kind == "loitering"] == [2.0]
        (left,) = room.update([], 9)
        assert kinds([left]) == [("left", 3.8, 3.8)]


_PLACES = st.sampled_from([INSIDE, OUTSIDE, N])
_LIVES = st.lists(
    st.tuples(
        st.integers(0, 10),
        st.lists(_PLACES, min_size=2, max_size=25),
        st.lists(st.integers(0, 1), min_size=1, max_size=4),
    ),
    min_size=1,
    max_size=5,
)


@settings(max_examples=300, deadline=None)
@given(
    _LIVES,
    st.sampled_from((0.0, 0.2, 0.5, 1.0)),
    st.sampled_from((0, 1)),
    st.sampled_from(((), ("yellow box",))),
)
def test_occupancy_is_what_stood_there_plus_entered_less_left(
    lives: list[tuple[int, list[tuple[float, float] | None], list[int]]],
    dwell: float,
    began: int,
    classes: tuple[str, ...],
) -> None:
    room = zone(dwell=dwell, classes=list(classes))
    counted = [CLASSES.index(name) for name in classes or CLASSES]
    balance: Counter[int] = Counter()
    known: set[int] = set()
    for number in range(-began * 10, 60):
        tracks = []
        for index, (start, life, class_ids) in enumerate(lives):
            seen: Life = [*[N] * start, *life, *[N] * 60]
            class_id = class_ids[max(0, number) * len(class_ids) // 60]
            frames = seen[: number + 1] if number >= 0 else []
            track = track_of(frames, track_id=index + 1, class_id=class_id) if frames else None
            if track:
                tracks.append(track)
        told = room.update(tracks, number / 5)
        for stay in told:
            balance[stay.class_id] += {"entered": 1, "left": -1}[stay.kind]
            assert stay.seconds >= 0
            assert stay.time <= number / 5
        # What is inside as soon as it is known, without having entered, stood there.
        entered = {stay.track_id for stay in told if stay.kind == "entered"}
        now = room.occupancy
        fresh = [track for track in tracks if track.id not in known]
        for class_id in counted:
            stood = now[class_id] - balance[class_id]
            new = [t for t in fresh if t.class_id == class_id and t.id not in entered]
            assert 0 <= stood <= len(new)
            balance[class_id] += stood
        known |= {track.id for track in tracks}
        assert now == {class_id: balance[class_id] for class_id in counted}
    assert sum(room.occupancy.values()) == 0
