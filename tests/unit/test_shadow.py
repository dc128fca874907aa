"""What the thing's shadow reports: health and stock, in lists, within a shadow's size."""

from __future__ import annotations

import json
from typing import Any

import pytest

from edgetally.messaging.messages import HealthMessage, InventoryMessage, utc
from edgetally.messaging.shadow import shadow_of
from told import NOON, camera_health, health, inventory


def reported(told: HealthMessage, counted: InventoryMessage | None) -> dict[str, Any]:
    document = json.loads(shadow_of(told, counted).document())
    assert document.keys() == {"state"}
    return dict(document["state"]["reported"])


def test_it_reports_state_cameras_and_stock() -> None:
    assert reported(health(), inventory({"hall": {"blue box": (3, 1)}})) == {
        "time": "2023-11-14T22:13:21.000Z",
        "state": "running",
        "problem": None,
        "model": {"name": "boxes", "version": "1.2.0", "sha256": "ab" * 32},
        "cameras": [
            {"name": "dock", "state": "streaming"},
            {"name": "yard", "state": "lost"},
        ],
        "stock": [{"site": "hall", "class": "blue box", "stock": 12, "in": 3, "out": 1}],
        "truncated": None,
    }


def test_its_time_is_that_of_the_newest_message() -> None:
    assert reported(health(), inventory({}, NOON + 2))["time"] == "2023-11-14T22:13:22.000Z"


def test_before_anything_is_known_of_stock_what_was_reported_stays() -> None:
    assert "stock" not in reported(health(), None)
    assert reported(health(), inventory({}))["stock"] == []


def test_a_problem_is_reported_in_short() -> None:
    assert reported(health(state_reason="camera yard is lost"), None)["problem"] == (
        "camera yard is lost"
    )
    assert len(reported(health(state_reason="x" * 9000), None)["problem"]) < 500


def test_it_says_the_same_where_the_time_alone_differs() -> None:
    stock = inventory({"hall": {"blue box": (3, 1)}})
    shadow = shadow_of(health(), stock)
    assert shadow.says_the_same(shadow_of(health(time=utc(NOON + 60)), stock))
    assert not shadow.says_the_same(shadow_of(health(state="stopping"), stock))
    assert not shadow.says_the_same(shadow_of(health(), inventory({"hall": {"blue box": (4, 1)}})))
    assert not shadow.says_the_same(None)


@pytest.mark.parametrize(("cameras", "classes"), [(400, 2), (2, 400), (150, 150)])
def test_of_what_a_shadow_has_no_room_for_the_longest_lists_tail_is_left_out(
    cameras: int, classes: int
) -> None:
    many = health(cameras={f"tür {number}": camera_health() for number in range(cameras)})
    stock = inventory({"hall": {f"größe {number}": (1, 0) for number in range(classes)}})
    document = shadow_of(many, stock).document()
    assert 6900 < len(document) <= 7000
    found = json.loads(document)["state"]["reported"]
    assert found["truncated"] is True
    whole = json.loads(shadow_of(many, stock, 10**6).document())["state"]["reported"]
    assert whole["truncated"] is None
    assert found["cameras"] == whole["cameras"][: len(found["cameras"])]
    assert found["stock"] == whole["stock"][: len(found["stock"])]
    if cameras < 10:
        assert found["cameras"] == whole["cameras"]
    if classes < 10:
        assert found["stock"] == whole["stock"]
