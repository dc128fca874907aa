"""An object that is lost on one side of a line and found on the other, under another id."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest
from followed import Life, Place, track_of
from hypothesis import given, settings
from hypothesis import strategies as st

from edgetally.config import LineConfig
from edgetally.counting.line import LineCounter

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edgetally.counting.line import Crossing

DOWN = {"name": "door", "from": [0, 0.5], "to": [1, 0.5], "inDirection": [0, 1]}
FPS = 5
N = None
CLASSES = ("blue box", "yellow box")


def watched(
    lives: Sequence[Life],
    line: Mapping[str, object] | None = None,
    *,
    class_ids: Sequence[int] = (),
    sizes: Sequence[float] = (),
    kept: float = 2.0,
    ends: str = "gone",
) -> list[Crossing]:
    """Lead tracks, numbered from 1, over their lives at once."""
    counter = LineCounter(LineConfig.model_validate({**DOWN, **(line or {})}), CLASSES)
    frames = max(map(len, lives))
    found: list[Crossing] = []
    for number in range(frames + 4 * FPS * (ends == "gone")):
        tracks = [
            track_of(
                [*life, *[N] * (number + 1)][: number + 1],
                fps=FPS,
                track_id=index + 1,
                class_id=class_ids[index] if class_ids else 0,
                size=sizes[index] if sizes else 0.1,
                kept=kept,
            )
            for index, life in enumerate(lives)
        ]
        found += counter.update([track for track in tracks if track], number / FPS)
    return found + counter.finish()


def column(*ys: float | None, x: float = 0.5) -> Life:
    return [None if y is None else (x, y) for y in ys]


LOST = column(0.12, 0.21, 0.3, 0.39)
"""Goes down 0.09 a frame, and is seen no more just before the line."""

FOUND = column(N, N, N, N, N, N, N, 0.74, 0.83, 0.92)
"""Goes on like that, three frames later."""


def test_who_is_lost_here_and_found_there_within_a_second_has_crossed() -> None:
    (crossing,) = watched([LOST, FOUND])
    assert (crossing.direction, crossing.track_id) == ("in", 2)
    assert crossing.time == pytest.approx(0.6 + 0.8 * 0.11 / 0.35)
    assert crossing.point == pytest.approx((0.5, 0.5))


def aside(life: Life, x: float = 0.2) -> Life:
    return [place and (x, place[1]) for place in life]


def up(life: Life) -> Life:
    return [place and (place[0], 1 - place[1]) for place in life]


STILL = column(*[0.39] * 4)
CASES = {
    "upwards": ([up(LOST), up(FOUND)], ["out"]),
    "after a second": ([LOST, column(*[N] * 8, 0.84, 0.93)], ["in"]),
    "later than a second": ([LOST, column(*[N] * 10, 0.93, 0.95)], []),
    "lost beyond the line, before that was believed": (
        [column(0.25, 0.34, 0.43, 0.52), column(*[N] * 6, 0.79, 0.88)],
        ["in"],
    ),
    "found before the line": (
        [column(0.05, 0.14, 0.23), column(*[N] * 5, 0.41, 0.5, 0.59, 0.68)],
        ["in"],
    ),
    "found in the dead band": (
        [column(0.05, 0.14, 0.23), column(*[N] * 6, 0.505, 0.595, 0.685)],
        ["in"],
    ),
    "crossed, came back, lost and found": (
        [
            column(0.3, 0.39, 0.52, 0.61, 0.61, 0.52, 0.43),
            column(*[N] * 9, 0.16, 0.07),
        ],
        ["in", "out"],
    ),
    "the first stood still": ([STILL, FOUND], []),
    "the first had turned back": ([column(0.3, 0.39, 0.45, 0.39), FOUND], []),
    "the first went along the line": (
        [[(x, 0.4) for x in (0.2, 0.3, 0.4, 0.5)], FOUND],
        [],
    ),
    "the second stands still": ([LOST, column(*[N] * 7, *[0.74] * 4)], []),
    "the second comes towards the first": (
        [LOST, column(*[N] * 7, 0.74, 0.65, 0.56)],
        [],
    ),
    "the second is far slower": ([LOST, column(*[N] * 7, 0.74, 0.76, 0.78)], []),
    "the second would have been far faster in the gap": (
        [LOST, column(*[N] * 4, 0.9, 0.95)],
        [],
    ),
    "the second came in over the edge": (
        [LOST, [*[N] * 7, (0.06, 0.74), (0.15, 0.83), (0.24, 0.9)]],
        [],
    ),
    "the first went out over the edge": (
        [[(0.3, 0.3), (0.21, 0.34), (0.12, 0.38), (0.06, 0.42)], FOUND],
        [],
    ),
    "both were seen at once": ([LOST, column(N, N, N, 0.74, 0.83, 0.92)], []),
    "the first was found in its place": (
        [column(0.12, 0.21, 0.3, 0.39, N, N, N, N, N, 0.39, 0.39), FOUND],
        [],
    ),
    "the first was found under another id": (
        [LOST, FOUND, column(*[N] * 7, 0.39, 0.39, 0.39)],
        ["in"],
    ),
    "another was lost where the second is found": (
        [LOST, column(0.53, 0.56, 0.59, 0.62, 0.65, 0.68), FOUND],
        [],
    ),
    "two at once": (
        [LOST, aside(LOST), FOUND, aside(FOUND)],
        ["in", "in"],
    ),
    "two lost and one found": ([LOST, aside(LOST), FOUND], ["in"]),
    "one lost and two found": ([LOST, FOUND, aside(FOUND, 0.53)], ["in"]),
    "one goes down and one up": (
        [
            LOST,
            [p and (0.2, 1 - p[1]) for p in LOST],
            FOUND,
            [p and (0.2, 1 - p[1]) for p in FOUND],
        ],
        ["in", "out"],
    ),
    "found and lost again": (
        [
            column(0.05, 0.1, 0.15),
            column(*[N] * 5, 0.3, 0.35),
            column(*[N] * 9, 0.5, 0.55, 0.6),
        ],
        ["in"],
    ),
}


@pytest.mark.parametrize(("lives", "expected"), CASES.values(), ids=CASES.keys())
def test_only_what_can_be_the_same_object_has_crossed(
    lives: list[Life], expected: list[str]
) -> None:
    for ends in ("gone", "cut off"):
        found = [crossing.direction for crossing in watched(lives, ends=ends)]
        assert sorted(found) == expected


def test_the_way_over_the_gap_must_lead_through_the_line_itself() -> None:
    assert watched([LOST, FOUND], {"to": [0.4, 0.5]}) == []


def test_another_class_is_another_object() -> None:
    assert watched([LOST, FOUND], class_ids=[0, 1]) == []
    assert len(watched([LOST, FOUND], class_ids=[1, 1])) == 1
    assert watched([LOST, FOUND], {"classes": ["blue box"]}, class_ids=[1, 1]) == []


@pytest.mark.parametrize(("size", "expected"), [(0.08, 1), (0.15, 1), (0.3, 0), (0.04, 0)])
def test_another_size_is_another_object(size: float, expected: int) -> None:
    assert len(watched([LOST, FOUND], sizes=[0.1, size])) == expected


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        pytest.param(column(N, N, *[0.22] * 20), [], id="stands where the other was first"),
        pytest.param(column(N, N, 0.22, 0.82), ["in", "in"], id="follows it the same way"),
        pytest.param(column(N, N, 0.22, 0.3, 0.38), ["in"], id="comes slowly after it"),
        pytest.param(column(*[N] * 12, *[0.22] * 20), ["in"], id="stands there much later"),
        pytest.param(column(N, N, *[0.08] * 20), ["in"], id="stands beside"),
    ],
)
def test_of_two_sightings_the_second_was_misplaced_where_another_stands_at_the_first(
    found: Life, expected: list[str]
) -> None:
    crossings = watched([column(0.22, 0.82), found], kept=0.5)
    assert [crossing.direction for crossing in crossings] == expected


def test_one_that_is_given_up_at_once_is_found_again_nevertheless() -> None:
    assert len(watched([LOST, FOUND], kept=0.5)) == 1


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (column(*[N] * 6, 0.66, *[0.75] * 6), ["in"]),
        (column(*[N] * 6, 0.66, 0.75, 0.8, 0.8, 0.7, 0.5, 0.4, 0.4), []),
        (column(*[N] * 6, 0.66, 0.75, 0.84, 0.91), ["in"]),
    ],
)
def test_who_is_found_there_has_to_stay_there_too(found: Life, expected: list[str]) -> None:
    counted = watched([LOST, found], {"minStay": 1})
    assert [crossing.direction for crossing in counted] == expected


PUT_DOWN = column(0.3, 0.4, 0.55, 0.65, 0.65, 0.65)
"""Crosses, is put down, and is seen no more a moment later."""


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        pytest.param([*[N] * 23, *column(*[0.655] * 9)], ["in"], id="in its place"),
        pytest.param([*[N] * 23, *column(*[0.75] * 9)], [], id="in another place"),
        pytest.param([*[N] * 70, *column(*[0.655] * 9)], [], id="too late"),
        pytest.param([N], [], id="never"),
    ],
)
def test_who_is_lost_before_it_stayed_counts_once_it_is_found_staying(
    found: Life, expected: list[str]
) -> None:
    counted = watched([PUT_DOWN, found], {"minStay": 3})
    assert [crossing.direction for crossing in counted] == expected


def cosine(one: tuple[Place, Place], other: tuple[Place, Place]) -> float:
    (x, y), (x_other, y_other) = [(e[0] - s[0], e[1] - s[1]) for s, e in (one, other)]
    return (x * x_other + y * y_other) / (math.hypot(x, y) * math.hypot(x_other, y_other))


_HERE = st.tuples(st.floats(0.1, 0.9), st.floats(0.1, 0.45))
_STEP = st.floats(-0.12, 0.12)


@st.composite
def _lives(draw: st.DrawFn) -> tuple[list[Place], int, list[Place]]:
    """One object on this side, a gap in frames, and one on that side: often much alike."""
    (x, y), x_step, y_step = draw(_HERE), draw(_STEP), draw(_STEP)
    length, gap = draw(st.integers(2, 5)), draw(st.integers(0, 8))
    here = [(x - n * x_step, y - n * y_step) for n in reversed(range(length))]
    there = [
        (
            x + (gap + n) * x_step + draw(st.floats(-0.05, 0.05)),
            y + (gap + n) * y_step * draw(st.sampled_from((1.0, 1.0, 0.3, -1.0))) + 0.1,
        )
        for n in range(1, draw(st.integers(3, 6)))
    ]
    return (
        [(px, min(py, 0.48)) for px, py in here],
        gap,
        [(px, max(py, 0.52)) for px, py in there],
    )


@settings(max_examples=300, deadline=None)
@given(_lives())
def test_what_was_joined_went_on_as_it_had_gone(
    lives: tuple[list[Place], int, list[Place]],
) -> None:
    here, gap, there = lives
    second: list[Place | None] = [*[N] * (len(here) + gap), *there]
    found = watched([here, second])
    assert len(found) <= 1
    if found:
        assert found[0].direction == "in"
        assert (gap + 1) / FPS <= 1.25
        before = (here[max(0, len(here) - 3)], here[-1])
        after = (there[0], there[min(2, len(there) - 1)])
        assert cosine(before, after) > 0
        assert cosine(before, (here[-1], there[0])) > 0.7
        swapped = watched([second, here])
        assert [crossing.direction for crossing in swapped] == ["in"]


@settings(max_examples=150, deadline=None)
@given(st.lists(_lives(), min_size=1, max_size=3))
def test_no_object_is_counted_twice_and_none_is_made_up(
    groups: list[tuple[list[Place], int, list[Place]]],
) -> None:
    """Nobody is ever seen on both sides, so each crossing needs one lost and one found."""
    lives: list[Life] = []
    for here, gap, there in groups:
        lives += [here, [*[N] * (len(here) + gap), *there]]
    found = watched(lives)
    assert len(found) <= len(groups)
    assert {crossing.direction for crossing in found} <= {"in"}
    assert len({crossing.track_id for crossing in found}) == len(found)
