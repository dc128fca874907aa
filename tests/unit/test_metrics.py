"""The component's metrics: what grew between two messages."""

from __future__ import annotations

from edgetally.messaging.messages import OutboxHealth
from edgetally.messaging.metrics import METRICS, figures, grown
from told import camera_health, health, inventory


def outbox(dropped: int) -> OutboxHealth:
    return OutboxHealth(
        waiting=0, bytes=0, dropped={"health": dropped}, oldest_age=None, transports={}
    )


def test_names_are_such_as_the_nucleus_takes() -> None:
    assert all(0 < len(name.encode()) <= 32 for name in METRICS)


def test_what_counts_since_the_start_is_there_from_the_first_message_on() -> None:
    dock = camera_health(processed=7, dropped={"newer": 2, "engine": 1}, reconnects=1)
    sums = grown({}, figures(health(cameras={"dock": dock}, outbox=outbox(4)), None))
    assert sums == {
        "FramesInferred": 7,
        "FramesDropped": 3,
        "CameraReconnects": 1,
        "CountEvents": 0,
        "MessagesDropped": 0,
    }


def test_what_counts_for_ever_grows_from_where_it_is_seen_first() -> None:
    before = figures(health(outbox=outbox(4)), inventory({"hall": {"a": (100, 50)}}))
    now = figures(
        health(outbox=outbox(6)), inventory({"hall": {"a": (101, 50), "b": (0, 2)}, "yard": {}})
    )
    assert grown({}, before)["CountEvents"] == 0
    assert grown(before, now)["CountEvents"] == 3
    assert grown(before, now)["MessagesDropped"] == 2


def test_a_camera_that_began_anew_counts_from_nothing() -> None:
    before = figures(health(cameras={"dock": camera_health(processed=90)}), None)
    now = figures(
        health(cameras={"dock": camera_health(processed=5), "new": camera_health(processed=2)}),
        None,
    )
    assert grown(before, now)["FramesInferred"] == 7


def test_nothing_shrinks_where_another_ledger_takes_the_place() -> None:
    before = figures(health(outbox=outbox(9)), inventory({"hall": {"a": (100, 50)}}))
    now = figures(health(outbox=outbox(1)), inventory({"hall": {"a": (3, 0)}}))
    sums = grown(before, now)
    assert sums["CountEvents"] == sums["MessagesDropped"] == 0
