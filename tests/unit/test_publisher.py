"""Messages on their way from a ledger's outbox to transports that work, fail and recover."""

from __future__ import annotations

import json
import logging
import threading
import time
import tracemalloc
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from edgetally.counting.ledger import Ledger, MessageKind
from edgetally.errors import EdgetallyError
from edgetally.messaging.publisher import Publisher, TransportStatus
from edgetally.messaging.rate import Rate
from edgetally.messaging.transports import JsonlTransport, RefusedError, TopicRefusedError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from edgetally.counting.ledger import OutboxMessage
    from edgetally.messaging.transports import Transport

WAIT = 20.0  # far longer than anything takes; ends a test that would hang
FAST = 1e6  # messages a second: no pace


class Outbox(Ledger):
    """A ledger in memory whose outbox can be waited for."""

    def __init__(self, count: int = 0) -> None:
        super().__init__(None)
        self._changed = threading.Condition()
        self.last = 0
        self.put(count)

    def put(self, count: int = 1, kind: MessageKind = "count_event") -> None:
        with self.transaction() as entry:
            for number in range(self.last + 1, self.last + count + 1):
                entry.enqueue("t", f'{{"n":{number}}}', kind)
        self.last += count

    def delivered(self, transport: str, ids: Sequence[int]) -> None:  # type: ignore[override]
        super().delivered(transport, ids)
        with self._changed:
            self._changed.notify_all()

    def left(self) -> list[int]:
        return [json.loads(message.body)["n"] for message in self.pending(None, 10_000)]

    def wait_until_empty(self) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: not self.waiting(), WAIT)


@dataclass
class Wire:
    """A transport that fails while it is cut, and remembers what came through.

    Where it is slow, messages are on their way until `arrive`.
    """

    name: str = "wire"
    working: bool = True
    slow: bool = False
    window: int = 1
    max_bytes: int | None = None
    got: list[int] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    tries: list[float] = field(default_factory=list)
    closed: bool = False
    under_way: list[tuple[int, Future[None]]] = field(default_factory=list)
    most_under_way: int = 0
    changed: threading.Condition = field(default_factory=threading.Condition)

    def send(self, topic: str, body: str) -> Future[None]:
        assert topic == "t"
        future: Future[None] = Future()
        with self.changed:
            self.tries.append(time.monotonic())
            self.changed.notify_all()
            if not self.working:
                raise EdgetallyError("the wire is cut; mend it")
            self.under_way.append((json.loads(body)["n"], future))
            self.most_under_way = max(self.most_under_way, len(self.under_way))
        if not self.slow:
            self.arrive()
        return future

    def arrive(self, error: Exception | None = None) -> None:
        """Let what is under way arrive, or fail."""
        with self.changed:
            arriving, self.under_way = self.under_way, []
            if error is None:
                self.got += [number for number, _ in arriving]
                self.times += [time.monotonic()] * len(arriving)
            self.changed.notify_all()
        for _, future in arriving:
            if error is None:
                future.set_result(None)
            else:
                future.set_exception(error)

    def close(self) -> None:
        self.closed = True

    def __str__(self) -> str:
        return self.name

    def mend(self) -> None:
        with self.changed:
            self.working = True

    def wait_for(self, reached: Callable[[Wire], bool]) -> bool:
        with self.changed:
            return self.changed.wait_for(lambda: reached(self), WAIT)


def publish(
    outbox: Outbox, *transports: Transport, rate: float = FAST, retry: float = 0.001
) -> Publisher:
    return Publisher(outbox, transports, rate=rate, retry=retry)


def numbered(count: int) -> list[int]:
    return list(range(1, count + 1))


def test_what_an_earlier_run_left_is_sent_without_being_told() -> None:
    outbox, wire = Outbox(200), Wire()
    publisher = publish(outbox, wire)
    assert outbox.wait_until_empty()
    assert publisher.close(WAIT)
    assert wire.got == numbered(200)
    assert wire.closed


def test_notify_sends_what_came_since(tmp_path: Path) -> None:
    path = tmp_path / "messages.jsonl"
    outbox = Outbox()
    publisher = publish(outbox, JsonlTransport(path))
    for _ in range(3):
        outbox.put()
        publisher.notify()
        assert outbox.wait_until_empty()
    assert [json.loads(line)["message"]["n"] for line in path.read_text().splitlines()] == [1, 2, 3]
    assert publisher.close(WAIT)


def test_what_another_process_put_in_is_found_without_notice() -> None:
    outbox, wire = Outbox(), Wire()
    publisher = publish(outbox, wire)
    outbox.put()
    assert outbox.wait_until_empty()
    publisher.close(WAIT)


def test_close_sends_what_is_left() -> None:
    outbox, wire = Outbox(), Wire()
    publisher = publish(outbox, wire)
    outbox.put(1000)  # nobody is told
    assert publisher.close(WAIT)
    assert wire.got == numbered(1000)


def test_without_transports_messages_go_nowhere_and_do_not_pile_up() -> None:
    outbox = Outbox(100)
    publisher = publish(outbox)
    outbox.put()
    assert publisher.close(WAIT)
    assert not outbox.waiting()


def test_a_failing_transport_holds_no_other_up_and_gets_everything_later() -> None:
    outbox, good, bad = Outbox(500), Wire("good"), Wire("bad", working=False)
    publisher = publish(outbox, bad, good)
    assert good.wait_for(lambda wire: len(wire.got) == 500)
    assert bad.wait_for(lambda wire: len(wire.tries) > 2)
    assert outbox.waiting() == 500
    assert publisher.states()["bad"] == "failing"
    bad.mend()
    assert outbox.wait_until_empty()
    assert publisher.close(WAIT)
    assert good.got == bad.got == numbered(500)


def test_status_tells_who_works_and_how_much_waits_for_whom() -> None:
    outbox, good, bad = Outbox(5), Wire("good"), Wire("bad", working=False)
    publisher = publish(outbox, good, bad, retry=1000)
    assert good.wait_for(lambda wire: len(wire.got) == 5)
    assert bad.wait_for(lambda wire: len(wire.tries) == 1)
    assert publisher.close(WAIT) is False
    assert publisher.status() == {
        "good": TransportStatus("ok", 0),
        "bad": TransportStatus("failing", 5, "the wire is cut; mend it"),
    }


def test_a_failure_is_logged_once_and_so_is_its_end(caplog: pytest.LogCaptureFixture) -> None:
    outbox, bad = Outbox(3), Wire(working=False)
    with caplog.at_level(logging.INFO, "edgetally"):
        publisher = publish(outbox, bad)
        assert bad.wait_for(lambda wire: len(wire.tries) > 3)
        bad.mend()
        assert outbox.wait_until_empty()
        assert publisher.close(WAIT)
    assert [record.getMessage() for record in caplog.records] == [
        "wire fails, messages wait: the wire is cut; mend it",
        "wire works again",
    ]


def test_retries_come_after_longer_and_longer_pauses_of_uneven_length() -> None:
    outbox, bad = Outbox(3), Wire(working=False)
    publisher = publish(outbox, bad, retry=0.01)
    assert bad.wait_for(lambda wire: len(wire.tries) == 6)
    publisher.close(WAIT)
    pauses = [after - before for before, after in zip(bad.tries, bad.tries[1:6], strict=False)]
    for number, pause in enumerate(pauses):
        assert pause >= 0.005 * 2**number
    assert pauses[4] > 2 * pauses[0]


def test_a_message_is_delivered_when_its_future_says_so_and_no_more_are_under_way_than_may() -> (
    None
):
    outbox, wire = Outbox(10), Wire(slow=True, window=4)
    publisher = publish(outbox, wire)
    for batch in (4, 8, 10):
        assert wire.wait_for(lambda wire: len(wire.got) + len(wire.under_way) == batch)  # noqa: B023
        assert set(outbox.left()) >= {number for number, _ in wire.under_way}
        wire.arrive()
    assert outbox.wait_until_empty()
    assert publisher.close(WAIT)
    assert wire.got == numbered(10)
    assert wire.most_under_way == 4


def test_what_fails_on_its_way_is_sent_again() -> None:
    outbox, wire = Outbox(10), Wire(slow=True, window=4)
    publisher = publish(outbox, wire)
    assert wire.wait_for(lambda wire: len(wire.under_way) == 4)
    wire.arrive(EdgetallyError("the connection is lost"))
    assert wire.wait_for(lambda wire: bool(wire.under_way))
    assert [number for number, _ in wire.under_way] == [1]  # it is tried with one
    wire.slow = False
    wire.arrive()
    assert outbox.wait_until_empty()
    assert publisher.close(WAIT)
    assert wire.got == numbered(10)


@dataclass
class Connecting(Wire):
    on_ready: Callable[[], None] | None = None
    problem: str | None = None


def test_a_transport_that_has_connected_is_tried_at_once() -> None:
    outbox, wire = Outbox(3), Connecting(working=False)
    publisher = publish(outbox, wire, retry=1000)
    assert wire.wait_for(lambda wire: len(wire.tries) == 1)
    while publisher.states()["wire"] == "ok":  # the failure is on its way to the lane
        threading.Event().wait(0.001)
    wire.mend()
    assert wire.on_ready is not None
    wire.on_ready()
    assert outbox.wait_until_empty()
    assert publisher.close(WAIT)


def test_a_failure_from_before_the_connection_holds_nothing_up() -> None:
    outbox, wire = Outbox(3), Connecting(slow=True)
    publisher = publish(outbox, wire, retry=1000)
    assert wire.wait_for(lambda wire: len(wire.under_way) == 1)
    assert wire.on_ready is not None
    wire.on_ready()
    wire.slow = False
    wire.arrive(EdgetallyError("the connection before was lost"))
    assert outbox.wait_until_empty()
    assert publisher.states() == {"wire": "ok"}
    assert publisher.close(WAIT)


def test_a_transport_that_has_lost_its_connection_is_failing_though_nothing_waits() -> None:
    outbox, wire = Outbox(), Connecting()
    publisher = publish(outbox, wire)
    assert publisher.status() == {"wire": TransportStatus("ok", 0)}
    wire.problem = "the broker does not answer"
    assert publisher.states() == {"wire": "failing"}
    assert publisher.status() == {"wire": TransportStatus("failing", 0, wire.problem)}
    before, wire.problem = publisher.connections(), None
    assert wire.on_ready is not None
    wire.on_ready()
    assert publisher.states() == {"wire": "ok"}
    assert publisher.connections() == before + 1
    assert publisher.close(WAIT)


def test_a_backlog_is_drained_at_a_pace_oldest_first() -> None:
    outbox, wire = Outbox(40), Wire()
    publisher = publish(outbox, wire, rate=100)
    assert outbox.wait_until_empty()
    publisher.close(WAIT)
    assert wire.got == numbered(40)
    assert wire.times[-1] - wire.times[0] >= 0.9 * 29 / 100  # ten may go at once


def test_what_is_fresh_is_never_delayed_by_the_backlog() -> None:
    outbox, wire = Outbox(1000), Wire()
    publisher = publish(outbox, wire, rate=5)
    assert wire.wait_for(lambda wire: 1 in wire.got)
    for _ in range(20):
        outbox.put(1, "inventory")
        publisher.notify()
        assert wire.wait_for(lambda wire: outbox.last in wire.got)
    assert outbox.waiting() > 900
    publisher.close(0)


def test_what_was_put_in_during_an_outage_is_the_backlog_when_it_ends() -> None:
    outbox, wire = Outbox(), Wire(working=False)
    publisher = publish(outbox, wire, rate=5)
    outbox.put(100)
    publisher.notify()
    assert wire.wait_for(lambda wire: len(wire.tries) > 2)
    outbox.put(100)
    wire.mend()
    assert wire.wait_for(lambda wire: bool(wire.got))
    outbox.put(1, "stock")
    publisher.notify()
    assert wire.wait_for(lambda wire: 201 in wire.got)
    assert wire.got[0] == 1
    assert len(wire.got) < 50
    publisher.close(0)


def test_counts_go_before_detections_where_more_comes_than_the_transport_carries() -> None:
    outbox, wire = Outbox(), Wire(slow=True)
    publisher = publish(outbox, wire)
    outbox.put(500, "detections")
    publisher.notify()
    assert wire.wait_for(lambda wire: bool(wire.under_way))
    outbox.put(3, "inventory")
    for number in (501, 502, 503):
        wire.arrive()
        assert wire.wait_for(lambda wire: bool(wire.under_way))
        if wire.under_way[0][0] < 501:  # chosen before
            wire.arrive()
            assert wire.wait_for(lambda wire: bool(wire.under_way))
        assert wire.under_way[0][0] == number
    publisher.close(0)


def test_a_message_that_is_refused_for_good_holds_nothing_up(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Picky(Wire):
        def send(self, topic: str, body: str) -> Future[None]:
            number = json.loads(body)["n"]
            if number == 2:
                raise RefusedError("too big; make it smaller")
            future = super().send(topic, body)
            if number == 4:
                future = Future()
                future.set_exception(RefusedError("no such topic"))
            return future

    outbox = Outbox(5)
    assert publish(outbox, Picky()).close(WAIT)
    assert outbox.status().dropped == {"count_event": 2}
    assert "too big" in caplog.text


class Choosy:
    """A transport that takes no message for the topics in `bad`."""

    name = "choosy"
    max_bytes = None

    def __init__(self, error: type[Exception], *, is_late: bool, window: int) -> None:
        self.window = window
        self.bad = {"bad"}
        self.got: list[str] = []
        self.tries = 0
        self._error, self._is_late = error, is_late
        self._changed = threading.Condition()

    def __str__(self) -> str:
        return self.name

    def send(self, topic: str, body: str) -> Future[None]:
        future: Future[None] = Future()
        with self._changed:
            if topic in self.bad:
                self.tries += 1
                error = self._error(f"no right to publish {topic}")
                if not self._is_late:
                    raise error
                future.set_exception(error)
            else:
                self.got.append(body)
                future.set_result(None)
            self._changed.notify_all()
        return future

    def close(self) -> None:
        pass

    def wait_for(self, count: int) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: len(self.got) >= count, WAIT)


@pytest.mark.parametrize("window", [1, 100])
@pytest.mark.parametrize("is_late", [False, True])
@pytest.mark.parametrize("error", [EdgetallyError, TopicRefusedError])
def test_a_topic_that_is_not_taken_holds_no_other_up_and_waits(
    error: type[Exception], is_late: bool, window: int
) -> None:
    outbox, choosy = Outbox(), Choosy(error, is_late=is_late, window=window)
    publisher = publish(outbox, choosy)
    for count in range(1, 21):
        with outbox.transaction() as entry:
            entry.enqueue("bad", "{}", "health")
            entry.enqueue("good", f'{{"n":{count}}}', "count_event")
        publisher.notify()
        assert choosy.wait_for(count)
    while outbox.waiting() > 20:  # what arrived is noted a moment later
        threading.Event().wait(0.001)
    status = publisher.status()["choosy"]
    assert (status.state, status.waiting) == ("failing", 20)
    assert status.reason is not None
    assert "bad" in status.reason
    assert outbox.status().dropped == {}
    choosy.bad.clear()
    publisher.notify()
    assert outbox.wait_until_empty()
    while publisher.states()["choosy"] != "ok":
        threading.Event().wait(0.001)
    assert publisher.close(WAIT)
    assert len(choosy.got) == 40


def test_a_topic_that_is_not_taken_is_tried_again_less_and_less_often() -> None:
    outbox, choosy = Outbox(), Choosy(TopicRefusedError, is_late=True, window=100)
    publisher = publish(outbox, choosy, retry=0.1)
    with outbox.transaction() as entry:
        for _ in range(1000):
            entry.enqueue("bad", "{}", "health")
    outbox.put(1000)
    publisher.notify()
    assert choosy.wait_for(1000)
    began, before = time.monotonic(), choosy.tries
    while time.monotonic() < began + 1:
        publisher.notify()
        threading.Event().wait(0.01)
    assert choosy.tries - before <= 6  # after 0.05, 0.1, 0.2, 0.4 s at the earliest
    assert publisher.close(WAIT) is False
    assert outbox.waiting() == 1000


def below(prefix: str) -> Callable[[str], bool]:
    return lambda topic: topic.startswith(prefix)


def two_topics(outbox: Outbox, *, old: int, new: int) -> None:
    with outbox.transaction() as entry:
        for topic, count in (("old/health", old), ("new/health", new)):
            for number in range(count):
                entry.enqueue(topic, f'{{"n":{number}}}', "health")


@pytest.mark.parametrize("is_late", [False, True])
def test_a_refused_topic_that_is_configured_no_more_is_given_up_and_the_others_wait(
    caplog: pytest.LogCaptureFixture, is_late: bool
) -> None:
    outbox, choosy = Outbox(), Choosy(TopicRefusedError, is_late=is_late, window=1)
    choosy.bad = {"old/health", "new/health"}
    two_topics(outbox, old=1053, new=5)
    publisher = Publisher(
        outbox,
        [choosy],
        rate=FAST,
        retry=0.001,
        is_ours=below("new/"),
        patience=0.05,
    )
    while outbox.waiting() > 5:
        threading.Event().wait(0.001)
    tries = choosy.tries
    while choosy.tries < tries + 2:
        threading.Event().wait(0.001)
    assert publisher.close(WAIT) is False
    assert outbox.status().dropped == {"health": 1053}
    assert {message.topic for message in outbox.pending(None, 10)} == {"new/health"}
    assert outbox.waiting() == 5
    (told,) = [line for line in caplog.messages if "dropped" in line]
    assert told.startswith("choosy: 1053 messages for old/health, which is no topic of the ")
    assert "old" not in (publisher.status()["choosy"].reason or "")


def test_who_changes_topics_and_soon_changes_them_back_loses_nothing() -> None:
    outbox, choosy = Outbox(), Choosy(TopicRefusedError, is_late=True, window=1)
    choosy.bad = {"old/health"}
    two_topics(outbox, old=53, new=5)
    for present in ("new/", "old/"):
        is_ours = below(present)
        publisher = Publisher(outbox, [choosy], rate=FAST, retry=0.001, is_ours=is_ours)
        while choosy.tries < 5:
            threading.Event().wait(0.001)
        assert publisher.close(WAIT) is (present == "old/")
        choosy.bad.clear()
    assert len(choosy.got) == 58
    assert outbox.status().dropped == {}


def test_a_topic_that_is_taken_is_delivered_though_it_is_configured_no_more() -> None:
    outbox, choosy = Outbox(), Choosy(TopicRefusedError, is_late=True, window=1)
    two_topics(outbox, old=53, new=5)
    publisher = Publisher(outbox, [choosy], rate=FAST, is_ours=lambda _: False, patience=0.0)
    assert publisher.close(WAIT)
    assert len(choosy.got) == 58


def test_close_gives_a_failing_transport_one_more_try_and_leaves_the_rest() -> None:
    outbox, good, bad = Outbox(3), Wire("good"), Wire("bad", working=False)
    publisher = publish(outbox, good, bad, retry=1000)
    assert bad.wait_for(lambda wire: len(wire.tries) == 1)
    assert good.wait_for(lambda wire: len(wire.got) == 3)
    assert publisher.close(WAIT) is False
    assert len(bad.tries) == 2
    assert outbox.left() == numbered(3)
    assert bad.closed


def test_the_last_try_of_a_transport_that_failed_waits_for_its_answer() -> None:
    outbox, wire = Outbox(3), Wire(working=False)
    publisher = publish(outbox, wire, retry=1000)
    assert wire.wait_for(lambda wire: len(wire.tries) == 1)
    wire.slow = True
    wire.mend()
    with ThreadPoolExecutor() as pool:
        closed = pool.submit(publisher.close, WAIT)
        assert wire.wait_for(lambda wire: bool(wire.under_way))
        wire.slow = False
        wire.arrive()
    assert closed.result()
    assert wire.got == numbered(3)


def test_close_does_not_wait_for_a_transport_that_hangs(
    caplog: pytest.LogCaptureFixture,
) -> None:
    release, entered = threading.Event(), threading.Event()

    class Stuck(Wire):
        def send(self, topic: str, body: str) -> Future[None]:
            entered.set()
            assert release.wait(WAIT)
            return super().send(topic, body)

    outbox, stuck = Outbox(3), Stuck()
    publisher = publish(outbox, stuck)
    assert entered.wait(WAIT)
    assert publisher.close(0) is False
    assert "left in the outbox" in caplog.text
    release.set()
    assert publisher.close(WAIT) is False  # the rest is not sent behind the service's back
    assert stuck.got == numbered(1)
    assert outbox.left() == [1, 2, 3]  # nor is the outbox touched, which may be closed


def test_a_lane_that_was_left_finds_its_outbox_closed_and_says_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    outbox, wire = Outbox(3), Wire(slow=True, window=3)
    publisher = publish(outbox, wire)
    assert wire.wait_for(lambda wire: len(wire.under_way) == 3)
    assert publisher.close(0) is False
    outbox.close()
    wire.arrive()
    assert publisher.close(WAIT) is False
    assert wire.closed
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


def test_a_defect_in_a_transport_is_logged_with_its_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Defective(Wire):
        def send(self, topic: str, body: str) -> Future[None]:
            raise KeyError(topic, body)

    good = Wire("good")
    assert publish(Outbox(2), Defective(), good).close(WAIT) is False
    assert good.got == numbered(2)
    assert "KeyError" in caplog.text


def test_an_outbox_that_fails_is_no_secret() -> None:
    failed = threading.Event()

    class Lost(Outbox):
        def pending(self, *args: object, **options: object) -> list[OutboxMessage]:
            raise EdgetallyError("the ledger is gone")

    class Witness(Wire):
        def close(self) -> None:
            failed.set()

    publisher = publish(Lost(), Witness())
    assert failed.wait(WAIT)
    with pytest.raises(EdgetallyError, match="gone"):
        publisher.notify()
    with pytest.raises(EdgetallyError, match="gone"):
        publisher.close(WAIT)


def test_ten_thousand_messages_drain_with_flat_memory(tmp_path: Path) -> None:
    """Ten megabytes of them, from a disk over a transport with a window."""
    ledger = Ledger(tmp_path)
    with ledger.transaction() as entry:
        for number in range(10_000):
            entry.enqueue("t", json.dumps({"n": number, "padding": "x" * 1000}), "count_event")
    numbers: list[int] = []

    class Acknowledging(Wire):
        def send(self, topic: str, body: str) -> Future[None]:
            numbers.append(json.loads(body)["n"])
            future: Future[None] = Future()
            with self.changed:
                self.under_way.append((0, future))
                self.changed.notify_all()
            return future

    wire = Acknowledging(window=100)
    done = threading.Event()

    def acknowledge() -> None:
        while not done.is_set():
            with wire.changed:
                wire.changed.wait_for(lambda: wire.under_way or done.is_set(), WAIT)
            wire.arrive()

    broker = threading.Thread(target=acknowledge)
    tracemalloc.start()
    broker.start()
    publisher = Publisher(ledger, [wire], rate=FAST)
    assert publisher.close(10 * WAIT)
    done.set()
    with wire.changed:
        wire.changed.notify_all()
    broker.join()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert numbers == list(range(10_000))
    assert peak < 3_000_000
    assert ledger.status().bytes == 0


def test_a_rate_saves_up_a_tenth_of_a_second_at_most() -> None:
    rate = Rate(50, now=0.0)
    assert rate.allowed(1000.0) == 5
    for _ in range(5):
        rate.take()
    assert rate.allowed(1000.0) == 0
    assert rate.wait(1000.0) == pytest.approx(0.02)
    assert rate.allowed(1000.05) == 2
    assert Rate(0.5, now=0.0).allowed(0.0) == 1
