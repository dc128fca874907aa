"""Lines and zones that change while objects move: each crossing counts once, and none before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from test_camera_counter import CAMERA, CLASSES, one

from edgetally.config import CameraConfig
from edgetally.counting.camera_counter import CameraCounter

if TYPE_CHECKING:
    from edgetally.counting.events import CameraUpdate

FPS = 5
DOOR = CAMERA["lines"][0]
ROOM = CAMERA["zones"][0]
WAY = np.concatenate(
    [np.linspace(0.05, 0.75, 12), np.full(10, 0.75), np.linspace(0.75, 0.05, 12), np.full(9, -1)]
)
MOMENTS = range(len(WAY))


def configured(**changes: Any) -> CameraConfig:
    return CameraConfig.model_validate({**CAMERA, **changes})


def counted(at: int, changes: dict[str, Any], before: dict[str, Any] | None = None) -> Any:
    """Let a box go in, stay and go out; configure otherwise once frame `at` was counted."""
    counter = CameraCounter(configured(**(before or {})), CLASSES)
    updates: list[CameraUpdate] = []
    for number, y in enumerate(WAY):
        found = one(0.5, y, 1)
        updates.append(counter.update(found.select(np.array([y >= 0])), number / FPS))
        if number == at:
            counter.become(configured(**changes))
    return updates


def crossings(updates: list[CameraUpdate], line: str = "door") -> list[tuple[str, int]]:
    events = [event for update in updates for event in update.events if event.line == line]
    return [(event.direction, round(event.time * FPS)) for event in events]


STEADY = crossings(counted(-1, {}))


@pytest.mark.parametrize("change", [{"deadBand": 0.011}, {"minStay": 0.2}])
@pytest.mark.parametrize("at", MOMENTS)
def test_a_line_that_changes_in_any_moment_counts_what_crosses_it_once(
    at: int, change: dict[str, Any]
) -> None:
    assert [way for way, _ in STEADY] == ["in", "out"]
    assert crossings(counted(at, {"lines": [DOOR | change]})) == STEADY


@pytest.mark.parametrize("at", MOMENTS)
def test_a_line_that_is_added_counts_what_crosses_it_from_then_on(at: int) -> None:
    gate = DOOR | {"name": "gate"}
    updates = counted(at, {"lines": [DOOR, gate]})
    assert crossings(updates) == STEADY
    # One that is just being crossed, but not yet believed, counts.
    decided = [
        way
        for way, _ in STEADY
        if at < next(n for n, u in enumerate(updates) if way in {e.direction for e in u.events})
    ]
    assert [way for way, _ in crossings(updates, "gate")] == decided


@pytest.mark.parametrize("at", MOMENTS)
def test_a_line_that_is_turned_round_counts_nothing_again(at: int) -> None:
    updates = counted(at, {"lines": [DOOR | {"inDirection": [0, -1]}]})
    assert [time for _, time in crossings(updates)] == [time for _, time in STEADY]


@pytest.mark.parametrize("at", MOMENTS)
def test_what_stands_in_a_zone_that_is_added_did_not_enter_it(at: int) -> None:
    updates = counted(at, {}, before={"zones": []})
    occupancy = [update.occupancy["room"]["yellow box"] for update in updates[at + 1 :]]
    told = [event.kind for update in updates for event in update.zone_events]
    began = occupancy[0] if occupancy else 0
    assert began + told.count("entered") - told.count("left") == (occupancy or [0])[-1] == 0
    if 11 <= at < 21:
        assert (began, told) == (1, ["left"])


@pytest.mark.parametrize("at", MOMENTS)
def test_a_zone_that_shrinks_away_from_an_object_is_left(at: int) -> None:
    corner = [[0, 0], [0.1, 0], [0.1, 0.1]]
    updates = counted(at, {"zones": [ROOM | {"polygon": corner}]})
    told = [event.kind for update in updates for event in update.zone_events]
    assert told.count("entered") == told.count("left") <= 1
    assert updates[-1].occupancy["room"] == {"blue box": 0, "yellow box": 0}
