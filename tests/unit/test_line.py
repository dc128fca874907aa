from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest
from followed import Life, box_at, track_of
from hypothesis import given, settings
from hypothesis import strategies as st

from edgetally.config import LineConfig
from edgetally.counting.line import Crossing, LineCounter
from edgetally.counting.track import Sighting

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edgetally.counting.track import Track

DOWN = {"name": "door", "from": [0.2, 0.5], "to": [0.8, 0.5], "inDirection": [0, 1]}


def crossings(
    places: Life,
    line: Mapping[str, object] | None = None,
    *,
    size: float = 0.1,
    ends: str = "gone",
    class_id: int = 0,
    fps: float = 5,
    rests: Mapping[int, float] | None = None,
) -> list[Crossing]:
    """Lead a track over the places; rests: seconds of rest before a frame, by its number."""
    counter = LineCounter(LineConfig.model_validate(line or DOWN), ("blue box", "yellow box"))
    found: list[Crossing] = []
    rested = 0.0
    for number in range(len(places)):
        rested += (rests or {}).get(number, 0.0)
        track = track_of(
            places[: number + 1],
            fps=fps,
            size=size,
            track_id=7,
            class_id=class_id,
            kept=math.inf,
        )
        found += counter.update([track] if track else [], number / fps, rested)
    if ends == "cut off":
        return found + counter.finish()
    end = len(places) / fps
    return found + counter.update([], end, rested) + counter.update([], end + 20, rested)


def column(*ys: float | None, x: float = 0.5) -> Life:
    return [None if y is None else (x, y) for y in ys]


@pytest.mark.parametrize(
    ("places", "expected"),
    [
        pytest.param(column(0.2, 0.3, 0.4, 0.6, 0.7, 0.8), ["in"], id="down"),
        pytest.param(column(0.8, 0.7, 0.6, 0.4, 0.3, 0.2), ["out"], id="up"),
        pytest.param(
            column(0.3, 0.4, 0.6, 0.7, 0.7, 0.6, 0.4, 0.3), ["in", "out"], id="there and back"
        ),
        pytest.param(column(0.3, 0.4, 0.48, 0.49, 0.4, 0.3), [], id="to the line and back"),
        pytest.param(column(0.3, 0.4, 0.505, 0.51, 0.4, 0.3), [], id="a little over and back"),
        pytest.param(column(0.3, 0.4, 0.505, 0.495, 0.507, 0.497), [], id="trembling on it"),
        pytest.param(
            column(0.3, 0.4, 0.505, 0.495, 0.507, 0.6, 0.7), ["in"], id="trembling, then over"
        ),
        pytest.param(column(0.503, 0.5, 0.6, 0.7), [], id="began on the line"),
        pytest.param(column(0.3, 0.3, 0.3, 0.7, 0.3, 0.3), [], id="one misplaced box"),
        pytest.param(column(0.3, 0.3, 0.7, 0.3, 0.7, 0.3), [], id="misplaced twice"),
        pytest.param(column(0.3, 0.3, 0.3, 0.7), [], id="a misplaced box was the last"),
        pytest.param(column(0.35, 0.6, 0.6, 0.6), [], id="the first box was misplaced"),
        pytest.param(column(0.15, 0.7, 0.7, 0.7), [], id="the first box was misplaced far away"),
        pytest.param(
            column(0.3, 0.4, 0.49, 0.52, 0.505, 0.52, 0.6), ["in"], id="once more in the band"
        ),
        pytest.param(column(0.3, 0.4, 0.515, *[0.505] * 9, 0.515, 0.4), [], id="twice a bit over"),
        pytest.param(column(0.3, 0.4, *[0.515] * 4), ["in"], id="stands a bit over"),
        pytest.param(column(0.489, *[0.5] * 9, 0.6, 0.7), [], id="began on the line, trembling"),
        pytest.param(column(0.3, 0.4, None, None, None, 0.6, 0.7), ["in"], id="lost on the line"),
        pytest.param(column(0.3, 0.4, None, None, None, 0.4, 0.3), [], id="lost and back"),
        pytest.param(column(0.35, 0.6, 0.9), ["in"], id="fast: seen once before it"),
        pytest.param(column(0.1, 0.45, 0.8), ["in"], id="fast: once before, in the band, once"),
        pytest.param(column(0.05, 0.25, 0.45, 0.75), ["in"], id="fast: seen once beyond it"),
        pytest.param(column(0.95, 0.75, 0.55, 0.25), ["out"], id="fast upwards: once beyond it"),
        pytest.param(column(0.2, 0.8), ["in"], id="fast: seen once on each side"),
        pytest.param(column(0.1, 0.2, 0.3, 0.4, 0.55), [], id="vanished just beyond it"),
    ],
)
def test_a_track_counts_once_when_it_has_changed_sides(places: Life, expected: list[str]) -> None:
    assert [crossing.direction for crossing in crossings(places)] == expected


@pytest.mark.parametrize(
    ("places", "expected"),
    [
        pytest.param(column(0.3, 0.4, 0.6, 0.7, x=0.21), ["in"], id="just inside its end"),
        pytest.param(column(0.3, 0.4, 0.6, 0.7, x=0.19), [], id="just beyond its end"),
        pytest.param(
            [(0.5, 0.3), (0.5, 0.4), (0.9, 0.4), (0.9, 0.6), (0.5, 0.6), (0.5, 0.7)],
            [],
            id="around its end",
        ),
        pytest.param(
            [(0.5, 0.3), (0.5, 0.4), (0.9, 0.4), (0.9, 0.6), (0.5, 0.6), (0.5, 0.4), (0.5, 0.3)],
            ["out"],
            id="around its end and back through it",
        ),
        pytest.param(
            [(0.7, 0.3), (0.7, 0.4), (0.7, 0.495), (0.9, 0.495), (0.9, 0.6), (0.9, 0.7)],
            [],
            id="along it and around its end",
        ),
    ],
)
def test_the_way_must_lead_through_the_line_itself(places: Life, expected: list[str]) -> None:
    assert [crossing.direction for crossing in crossings(places)] == expected


@pytest.mark.parametrize(
    ("line", "places", "expected"),
    [
        ({"from": [0.5, 0], "to": [0.5, 1], "inDirection": [1, 0]}, [0.2, 0.4, 0.6, 0.8], "in"),
        ({"from": [0.5, 1], "to": [0.5, 0], "inDirection": [1, 0]}, [0.2, 0.4, 0.6, 0.8], "in"),
        ({"from": [0.5, 0], "to": [0.5, 1], "inDirection": [-1, 0]}, [0.2, 0.4, 0.6, 0.8], "out"),
        ({"from": [0.4, 0], "to": [0.6, 1], "inDirection": [9, 5]}, [0.2, 0.4, 0.6, 0.8], "in"),
    ],
)
def test_the_in_direction_decides_not_the_order_of_the_ends(
    line: dict[str, object], places: list[float], expected: str
) -> None:
    found = crossings([(x, 0.5) for x in places], {"name": "door", **line})
    assert [crossing.direction for crossing in found] == [expected]


def test_a_crossing_says_who_when_and_where() -> None:
    (crossing,) = crossings([(0.3, 0.2), (0.4, 0.4), (0.5, 0.8), (0.5, 0.9)], fps=1)
    assert (crossing.track_id, crossing.class_id, crossing.score) == (7, 0, 0.9)
    assert crossing.time == pytest.approx(1.25)
    assert crossing.point == pytest.approx((0.425, 0.5))


def test_only_the_classes_of_the_line_count() -> None:
    line = {**DOWN, "classes": ["yellow box"]}
    places = column(0.2, 0.4, 0.6, 0.8)
    assert crossings(places, line, class_id=0) == []
    assert len(crossings(places, line, class_id=1)) == 1


def test_the_end_of_a_video_settles_a_crossing_that_its_motion_bears_out() -> None:
    under_way = column(0.1, 0.25, 0.4, 0.55)
    assert crossings(under_way, ends="gone") == []
    assert [c.direction for c in crossings(under_way, ends="cut off")] == ["in"]
    assert crossings(column(0.3, 0.3, 0.3, 0.7), ends="cut off") == []


def test_a_large_box_may_tremble_more() -> None:
    trembling = column(0.4, 0.45, 0.53, 0.47, 0.53, 0.53, 0.47, 0.47)
    assert crossings(trembling, size=0.5) == []
    assert crossings(trembling, size=0.05) != []


_WAYS = st.lists(
    st.tuples(st.floats(0.05, 0.95), st.floats(0.05, 0.95)) | st.none(), min_size=2, max_size=12
)


@settings(max_examples=150, deadline=None)
@given(_WAYS)
def test_a_mirrored_way_swaps_in_and_out(places: list[tuple[float, float] | None]) -> None:
    mirrored = [None if place is None else (place[0], 1 - place[1]) for place in places]
    swap = {"in": "out", "out": "in"}
    forth = [(swap[c.direction], c.time) for c in crossings(places)]
    back = [(c.direction, c.time) for c in crossings(mirrored)]
    on_the_line = any(p is not None and abs(abs(p[1] - 0.5) - 0.015) < 1e-6 for p in places)
    exact = any(p is not None and abs(p[1] - 0.5) < 1e-6 for p in places)
    if not (on_the_line or exact):  # there rounding decides, and may decide otherwise
        assert [d for d, _ in forth] == [d for d, _ in back]
        assert [t for _, t in forth] == pytest.approx([t for _, t in back])


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.floats(-0.0149, 0.0149), min_size=2, max_size=20),
    st.floats(0, math.tau),
    st.booleans(),
)
def test_no_trembling_inside_the_band_counts(
    offsets: list[float], angle: float, begins_settled: bool
) -> None:
    across = (math.cos(angle), math.sin(angle))
    along = (-across[1], across[0])
    ends = [[0.5 + sign * 0.3 * part for part in along] for sign in (-1, 1)]
    line = {
        "name": "door",
        "from": ends[0],
        "to": ends[1],
        "inDirection": across,
        "deadBand": 0.015,
    }
    way = [-0.2, -0.1] * begins_settled + offsets + [-0.1, -0.2] * begins_settled
    places = [(0.5 + d * across[0], 0.5 + d * across[1]) for d in way]
    assert crossings(places, line) == []


@settings(max_examples=150, deadline=None)
@given(_WAYS)
def test_in_and_out_of_an_endless_line_take_turns(
    places: list[tuple[float, float] | None],
) -> None:
    line = {"name": "door", "from": [0, 0.5], "to": [1, 0.5], "inDirection": [0, 1]}
    directions = [crossing.direction for crossing in crossings(places, line)]
    assert all(one != other for one, other in pairwise(directions))


def test_one_track_does_not_disturb_another() -> None:
    counter = LineCounter(LineConfig.model_validate(DOWN), ("blue box",))

    def track(track_id: int, ys: list[float]) -> Track:
        followed = track_of([(0.5, y) for y in ys], track_id=track_id)
        assert followed is not None
        return followed

    down, up = [0.2, 0.4, 0.6, 0.8], [0.8, 0.6, 0.4, 0.2]
    found = [
        crossing
        for end in (2, 3, 4)
        for crossing in counter.update([track(1, down[:end]), track(2, up[:end])], end / 5)
    ]
    assert [(crossing.track_id, crossing.direction) for crossing in found] == [
        (1, "in"),
        (2, "out"),
    ]
    assert counter.finish() == []


# Its middle is never beyond 0.5, its lower edge is from the third frame on.
LOW = column(0.3, 0.4, 0.47, 0.47, 0.47)


@pytest.mark.parametrize(
    ("anchor", "in_direction", "places", "expected"),
    [
        ("centre", [0, 1], LOW, []),
        ("topCentre", [0, 1], LOW, []),
        ("bottomCentre", [0, 1], LOW, ["in"]),
        ("topCentre", [0, -1], column(0.8, 0.7, 0.52, 0.52), ["in"]),
        ("leftCentre", [0, 1], LOW, []),
        ("leftCentre", [1, 0], [(x, 0.5) for x in (0.8, 0.7, 0.52, 0.52)], ["out"]),
        ("rightCentre", [1, 0], [(x, 0.5) for x in (0.2, 0.3, 0.47, 0.47)], ["in"]),
        ("rightCentre", [1, 0], [(x, 0.5) for x in (0.2, 0.3, 0.42, 0.42)], []),
    ],
)
def test_the_anchor_is_the_point_that_has_to_cross(
    anchor: str, in_direction: list[float], places: Life, expected: list[str]
) -> None:
    ends = ([0.5, 0.2], [0.5, 0.8]) if in_direction[0] else ([0.2, 0.5], [0.8, 0.5])
    line = {
        "name": "door",
        "from": ends[0],
        "to": ends[1],
        "inDirection": in_direction,
        "anchor": anchor,
    }
    assert [crossing.direction for crossing in crossings(places, line)] == expected


def test_a_crossing_is_where_the_anchor_crossed() -> None:
    line = {**DOWN, "anchor": "bottomCentre"}
    (crossing,) = crossings(column(0.25, 0.35, 0.55, 0.65), line, fps=1)
    assert (*crossing.point, crossing.time) == pytest.approx((0.5, 0.5, 1.5))


@pytest.mark.parametrize(
    ("dead_band", "expected"), [(0.0, ["in", "out"]), (0.05, ["in", "out"]), (0.15, [])]
)
def test_within_the_dead_band_nothing_is_decided(dead_band: float, expected: list[str]) -> None:
    places = column(0.2, 0.3, 0.6, 0.62, 0.6, 0.3, 0.2)
    found = crossings(places, {**DOWN, "deadBand": dead_band})
    assert [crossing.direction for crossing in found] == expected


N = None
SECOND = 5  # frames


@pytest.mark.parametrize(
    ("places", "expected"),
    [
        pytest.param(column(0.3, 0.4, *[0.6] * 6), ["in"], id="stayed"),
        pytest.param(column(0.3, 0.4, *[0.6] * 5, 0.4, 0.3), [], id="came back a frame too soon"),
        pytest.param(column(0.3, 0.4, *[0.6] * 6, 0.4, 0.3), ["in", "out"], id="came back, left"),
        pytest.param(
            column(0.3, 0.4, *[0.6] * 6, *[0.4] * 6), ["in", "out"], id="stayed here and there"
        ),
        pytest.param(
            column(*[0.4] * 6, *[0.6] * 3, *[0.4] * 3, *[0.6] * 3, *[0.4] * 6),
            [],
            id="swung between the sides",
        ),
        pytest.param(
            column(*[0.4] * 6, *[0.6] * 3, *[0.4] * 3, *[0.6] * 6), ["in"], id="swung, then stayed"
        ),
        pytest.param(column(0.3, 0.4, *[0.6] * 4), [], id="lost there in the view"),
        pytest.param(column(0.3, 0.4, 0.7, 0.9), ["in"], id="left the view there"),
        pytest.param(column(0.3, 0.4, 0.6, 0.7, 0.75), ["in"], id="about to leave the view there"),
        pytest.param(column(0.3, 0.4, 0.6, 0.6, 0.4), [], id="last seen here again"),
        pytest.param(column(0.05, 0.25, 0.45, 0.75), ["in"], id="left the view there at once"),
        pytest.param(
            column(0.3, 0.4, 0.6, 0.6, N, N, N, N, N, 0.4, 0.4), [], id="came back unseen"
        ),
        pytest.param(
            column(0.3, 0.4, 0.6, 0.6, N, N, N, 0.6), ["in"], id="stayed, unseen for a while"
        ),
        pytest.param(
            column(0.3, 0.4, 0.6, 0.6, 0.505, 0.505, 0.505, 0.6), ["in"], id="stayed by the line"
        ),
        pytest.param(
            column(0.3, 0.4, 0.6, 0.6, 0.505, 0.505, 0.505, 0.505, 0.4, 0.4),
            [],
            id="stood in the door and went back",
        ),
        pytest.param(
            column(0.3, 0.4, 0.6, 0.6, 0.6, 0.3, 0.6, 0.6), ["in"], id="misplaced while it stayed"
        ),
    ],
)
def test_with_a_minimum_stay_who_comes_back_sooner_never_crossed(
    places: Life, expected: list[str]
) -> None:
    found = crossings(places, {**DOWN, "minStay": 1})
    assert [crossing.direction for crossing in found] == expected


def test_a_minimum_stay_does_not_change_when_it_crossed() -> None:
    places = column(0.3, 0.4, *[0.6] * 20)
    (at_once,) = crossings(places)
    (later,) = crossings(places, {**DOWN, "minStay": 2})
    assert later == at_once


def test_a_stay_counts_when_the_view_ends() -> None:
    places = column(0.3, 0.4, 0.6, 0.6)
    found = crossings(places, {**DOWN, "minStay": 30}, ends="cut off")
    assert [crossing.direction for crossing in found] == ["in"]


def test_who_stands_while_the_camera_rests_has_stayed() -> None:
    line = {**DOWN, "minStay": 5}
    counter = LineCounter(LineConfig.model_validate(line), ("blue box",))
    way = column(0.3, 0.4, 0.6, 0.6, 0.6)
    counted = [
        len(counter.update([track], number / 5, 10.0 if number == 4 else 0.0))
        for number in range(1, 5)
        if (track := track_of(way[: number + 1]))
    ]
    assert counted == [0, 0, 0, 1]


@settings(max_examples=150, deadline=None)
@given(_WAYS, st.floats(0, 2))
def test_on_an_endless_line_a_stay_leaves_out_only_pairs_of_crossings(
    places: list[tuple[float, float] | None], min_stay: float
) -> None:
    """What is left out is a way there and back: IN less OUT stays right."""
    line = {"name": "door", "from": [0, 0.5], "to": [1, 0.5], "inDirection": [0, 1]}
    every = [c.direction for c in crossings(places, line, ends="cut off")]
    staying = {**line, "minStay": min_stay}
    stayed = [c.direction for c in crossings(places, staying, ends="cut off")]
    assert all(one != other for one, other in pairwise(stayed))
    assert len(stayed) <= len(every)
    seen = [place[1] - 0.5 for place in places if place is not None]
    if len(seen) > 1 and min(map(abs, seen[-2:])) > 0.011 and seen[-1] * seen[-2] > 0:
        net = [way.count("in") - way.count("out") for way in (every, stayed)]
        assert net[0] == net[1]


@pytest.mark.parametrize("fps", [2, 5, 15, 30])
@pytest.mark.parametrize("tremble", [0.003, 0.006, 0.01])
def test_who_rests_on_the_line_for_a_minute_does_not_cross_it(fps: float, tremble: float) -> None:
    """However much its box trembles."""
    rng = np.random.default_rng(7)
    way = np.concatenate([np.arange(0.1, 0.5, 0.2 / fps), np.full(round(60 * fps), 0.502)])
    path = [
        Sighting(number / fps, box_at(0.5, y, 0.1))
        for number, y in enumerate(rng.normal(way, tremble).tolist())
    ]
    seen_twice = track_of(column(0.1, 0.1), fps=fps)
    assert seen_twice is not None
    counter = LineCounter(LineConfig.model_validate(DOWN), ("blue box",))
    for end in range(2, len(path)):
        track = seen_twice._replace(path=tuple(path[max(0, end - 32) : end]), hits=end)
        assert counter.update([track._replace(confident_hits=end)], path[end - 1].time) == []
    assert counter.finish() == []


@pytest.mark.parametrize("fps", [2, 5, 15, 30])
@pytest.mark.parametrize("speed", [0.1, 0.3])
def test_who_walks_through_is_counted_though_the_box_trembles(fps: float, speed: float) -> None:
    rng = np.random.default_rng(round(fps))
    way = np.arange(0.1, 0.9, speed / fps)
    for tremble in (0.003, 0.006, 0.01):
        found = crossings(column(*rng.normal(way, tremble).tolist()), fps=fps)
        assert [crossing.direction for crossing in found] == ["in"]
