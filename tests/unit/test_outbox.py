"""Who gets which message, and what gives way when too much waits."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from edgetally.counting.ledger import Ledger, MessageKind, OutboxBounds

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def begin(tmp_path: Path, clock: Clock) -> Callable[..., Ledger]:
    def begin(max_bytes: int = 10_000, max_age: float = 60.0) -> Ledger:
        return Ledger(tmp_path, bounds=OutboxBounds(max_bytes, max_age), clock=clock)

    return begin


def put(ledger: Ledger, *bodies: str, kind: MessageKind = "count_event") -> None:
    with ledger.transaction() as entry:
        for body in bodies:
            entry.enqueue("t", body, kind)


def bodies(ledger: Ledger, transport: str | None = None) -> list[str]:
    return [message.body for message in ledger.pending(transport, 1000)]


def take(ledger: Ledger, transport: str, *wanted: str) -> None:
    ids = [m.id for m in ledger.pending(transport, 1000) if m.body in wanted]
    ledger.delivered(transport, ids)


def test_a_message_leaves_when_every_transport_delivered_it(begin: Callable[..., Ledger]) -> None:
    ledger = begin()
    ledger.register(["file", "broker"])
    put(ledger, "a", "b", "c")
    take(ledger, "file", "a", "b")
    take(ledger, "broker", "b", "c")
    assert (bodies(ledger, "file"), bodies(ledger, "broker")) == (["c"], ["a"])
    assert bodies(ledger) == ["a", "c"]
    assert (ledger.waiting("file"), ledger.waiting("broker"), ledger.waiting()) == (1, 1, 2)
    take(ledger, "broker", "a")
    take(ledger, "file", "c")
    assert bodies(ledger) == []
    assert ledger.status().bytes == 0


def test_how_far_each_transport_has_come_survives_a_restart(begin: Callable[..., Ledger]) -> None:
    ledger = begin()
    ledger.register(["file", "broker"])
    put(ledger, "a", "b")
    take(ledger, "file", "a")
    ledger.close()
    again = begin()
    again.register(["broker", "file"])
    assert (bodies(again, "file"), bodies(again, "broker")) == (["b"], ["a", "b"])


def test_a_new_transport_begins_with_what_is_put_in_from_then_on(
    begin: Callable[..., Ledger],
) -> None:
    ledger = begin()
    ledger.register(["file"])
    put(ledger, "a")
    ledger.register(["file", "broker"])
    put(ledger, "b")
    assert (bodies(ledger, "file"), bodies(ledger, "broker")) == (["a", "b"], ["b"])


def test_a_transport_that_was_removed_holds_nothing_back(begin: Callable[..., Ledger]) -> None:
    ledger = begin()
    ledger.register(["file", "broker"])
    put(ledger, "a", "b")
    take(ledger, "file", "a")
    ledger.register(["file"])
    assert bodies(ledger) == ["b"]
    ledger.register(["file", "broker"])
    assert bodies(ledger, "broker") == []


def test_what_was_put_in_before_any_transport_was_known_waits_for_the_first(
    begin: Callable[..., Ledger],
) -> None:
    ledger = begin()
    put(ledger, "a", "b")
    ledger.register(["file", "broker"])
    assert bodies(ledger, "file") == bodies(ledger, "broker") == ["a", "b"]


def test_without_transports_nothing_piles_up(begin: Callable[..., Ledger]) -> None:
    ledger = begin()
    put(ledger, "a")
    ledger.register([])
    put(ledger, "b")
    assert (ledger.waiting(), ledger.status().bytes) == (0, 0)


def test_pending_gives_a_range_oldest_first_and_detections_apart(
    begin: Callable[..., Ledger],
) -> None:
    ledger = begin()
    ledger.register(["file"])
    for number in range(6):
        put(ledger, str(number), kind="count_event" if number % 3 else "detections")
    ids = [message.id for message in ledger.pending("file", 10)]
    assert ids == sorted(ids)

    def some(limit: int, *, urgent: bool | None = None) -> list[str]:
        found = ledger.pending("file", limit, after=ids[0], until=ids[4], urgent=urgent)
        return [message.body for message in found]

    assert some(9) == ["1", "2", "3", "4"]
    assert some(2) == ["1", "2"]
    assert some(9, urgent=True) == ["1", "2", "4"]
    assert some(9, urgent=False) == ["3"]


def test_ids_are_not_used_again(begin: Callable[..., Ledger]) -> None:
    ledger = begin()
    ledger.register(["file"])
    put(ledger, "a")
    (first,) = ledger.pending("file", 9)
    ledger.delivered("file", [first.id, 999])
    put(ledger, "b")
    assert ledger.pending("file", 9)[0].id > first.id
    assert ledger.newest() > first.id


KINDS: tuple[MessageKind, ...] = (
    "stock",
    "count_event",
    "zone_event",
    "inventory",
    "inference_result",
    "health",
    "detections",
)


def test_what_is_worth_least_gives_way_first_and_of_that_the_oldest(
    begin: Callable[..., Ledger],
) -> None:
    """Three of each kind, 100 bytes each; more and more count events push them out."""
    ledger = begin(max_bytes=100 * 3 * len(KINDS))
    for kind in KINDS:
        for number in range(3):
            put(ledger, f"{kind} {number}".ljust(99), kind=kind)
    order = []
    before = {body.strip() for body in bodies(ledger)}
    for number in range(20):
        put(ledger, f"later {number}".ljust(99))
        now = {body.strip() for body in bodies(ledger)}
        order += sorted(before - now)
        before = now
    assert order[:13] == [
        *(f"detections {n}" for n in range(3)),
        *(f"health {n}" for n in range(3)),
        *(f"inference_result {n}" for n in range(3)),
        "inventory 0",
        "inventory 1",
        "zone_event 0",
        "zone_event 1",
    ]
    assert order[13:] == ["zone_event 2", *(f"count_event {n}" for n in range(3)), *LATER]
    status = ledger.status()
    assert status.bytes == 100 * 3 * len(KINDS)
    assert status.waiting == 3 * len(KINDS)
    assert sum(status.dropped.values()) == 20
    assert status.dropped["detections"] == 3
    assert status.dropped["inventory"] == 2


LATER = ("later 0", "later 1", "later 2")


def test_detections_that_waited_too_long_are_dropped_and_count_events_are_not(
    begin: Callable[..., Ledger], clock: Clock
) -> None:
    ledger = begin()
    for kind in KINDS:
        put(ledger, f"{kind} old", kind=kind)
    clock.now += 50
    for kind in KINDS:
        put(ledger, f"{kind} new", kind=kind)
    assert ledger.status().oldest_age == 50
    ledger.drop_outdated()
    assert len(bodies(ledger)) == 14
    clock.now += 20
    ledger.drop_outdated()
    left = Counter(body.split()[0] for body in bodies(ledger))
    assert left == {
        "stock": 2,
        "count_event": 2,
        "zone_event": 2,
        "inventory": 1,
        "inference_result": 1,
        "health": 1,
        "detections": 1,
    }
    clock.now += 1e9
    ledger.drop_outdated()
    assert "inventory new" in bodies(ledger)
    assert "detections new" not in bodies(ledger)
    assert ledger.status().dropped["detections"] == 2


def test_what_was_dropped_stays_counted_over_restarts(begin: Callable[..., Ledger]) -> None:
    ledger = begin(max_bytes=250)
    for number in range(5):
        put(ledger, f"{number}".ljust(99), kind="detections")
    ledger.close()
    assert begin().status().dropped == {"detections": 3}


def test_what_a_transport_refuses_is_counted_and_waits_for_the_others(
    begin: Callable[..., Ledger],
) -> None:
    ledger = begin()
    ledger.register(["file", "broker"])
    put(ledger, "a")
    ledger.refused("broker", [message.id for message in ledger.pending("broker", 1)])
    assert (bodies(ledger, "broker"), bodies(ledger, "file")) == ([], ["a"])
    assert ledger.status().dropped == {"count_event": 1}


def test_what_has_lasting_worth_goes_to_the_transport_that_takes_the_place_of_one(
    begin: Callable[..., Ledger], caplog: pytest.LogCaptureFixture
) -> None:
    ledger = begin()
    ledger.register(["file", "broker:1883"])
    for number in range(2):
        for kind in KINDS:
            put(ledger, f"{kind} {number}", kind=kind)
    take(ledger, "broker:1883", "stock 0")
    ledger.register(["file", "broker:8883"])
    kept = ["count_event 0", "stock 1", "count_event 1", "inventory 1"]
    assert bodies(ledger, "broker:8883") == kept
    assert len(bodies(ledger, "file")) == 2 * len(KINDS)
    assert ledger.status().dropped == {
        "detections": 2,
        "health": 2,
        "inference_result": 2,
        "inventory": 1,
        "zone_event": 2,
    }
    assert "9 messages that waited for transports that are gone dropped" in caplog.text


def test_a_transport_that_keeps_up_gets_everything_whatever_waits_for_another(
    begin: Callable[..., Ledger],
) -> None:
    ledger = begin(max_bytes=10_000)
    ledger.register(["dead", "works"])
    got = []
    for number in range(300):
        kind = KINDS[number % len(KINDS)]
        put(ledger, f"{number}".ljust(99), kind=kind)
        got += [body.strip() for body in bodies(ledger, "works")]
        ledger.delivered("works", [message.id for message in ledger.pending("works", 100)])
        assert ledger.status().bytes <= 10_000
    assert got == [str(number) for number in range(300)]
    status = ledger.status()
    assert status.waiting == ledger.waiting("dead") > 85
    assert sum(status.dropped.values()) + status.waiting == 300
    assert not {"stock", "count_event"} & set(status.dropped)


def test_a_message_of_a_clock_that_was_ahead_keeps_no_other_in(
    begin: Callable[..., Ledger], clock: Clock
) -> None:
    ledger = begin(max_age=60.0)
    clock.now = 1e9
    put(ledger, "ahead", kind="health")
    clock.now = 1_000.0
    put(ledger, "old", kind="health")
    clock.now += 100
    ledger.drop_outdated()
    assert bodies(ledger) == ["ahead"]
