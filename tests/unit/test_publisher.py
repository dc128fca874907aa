"""Messages on their way from an outbox to transports that work, fail and recover."""

from __future__ import annotations

import json
import logging
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from edgetally.errors import EdgetallyError
from edgetally.messaging.publisher import Publisher
from edgetally.messaging.transports import JsonlTransport

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

WAIT = 20.0  # far longer than anything takes; ends a test that would hang


@dataclass(frozen=True)
class Entry:
    id: int
    topic: str
    body: str


class MemoryOutbox:
    """The other side of the protocol: what the ledger does in SQLite."""

    def __init__(self, count: int = 0) -> None:
        self._changed = threading.Condition()
        self._entries: dict[int, Entry] = {}
        self._next = 1
        self.put(count)

    def put(self, count: int = 1) -> None:
        with self._changed:
            for number in range(self._next, self._next + count):
                self._entries[number] = Entry(number, "t", f'{{"n":{number}}}')
            self._next += count

    def pending(self, limit: int) -> Sequence[Entry]:
        with self._changed:
            return list(self._entries.values())[:limit]

    def delivered(self, ids: Sequence[int]) -> None:
        with self._changed:
            for number in ids:
                del self._entries[number]
            self._changed.notify_all()

    def wait_until_empty(self) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: not self._entries, WAIT)


@dataclass
class Wire:
    """A transport that fails while it is cut, and remembers what came through."""

    working: bool = True
    got: list[tuple[str, int]] = field(default_factory=list)
    tries: int = 0
    closed: bool = False
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def send(self, topic: str, body: str) -> None:
        with self._changed:
            self.tries += 1
            self._changed.notify_all()
            if not self.working:
                raise EdgetallyError("the wire is cut; mend it")
            self.got.append((topic, json.loads(body)["n"]))

    def close(self) -> None:
        self.closed = True

    def __str__(self) -> str:
        return "wire"

    def mend(self) -> None:
        with self._changed:
            self.working = True

    def wait_for(self, reached: Callable[[Wire], bool]) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: reached(self), WAIT)


def numbered(count: int) -> list[tuple[str, int]]:
    return [("t", number) for number in range(1, count + 1)]


def test_what_an_earlier_run_left_is_sent_without_being_told() -> None:
    outbox, wire = MemoryOutbox(200), Wire()
    publisher = Publisher(outbox, [wire])
    assert outbox.wait_until_empty()
    assert publisher.close(WAIT)
    assert wire.got == numbered(200)
    assert wire.closed


def test_notify_sends_what_came_since(tmp_path: Path) -> None:
    path = tmp_path / "messages.jsonl"
    outbox = MemoryOutbox()
    publisher = Publisher(outbox, [JsonlTransport(path)])
    for _ in range(3):
        outbox.put()
        publisher.notify()
        assert outbox.wait_until_empty()
    assert [json.loads(line)["message"]["n"] for line in path.read_text().splitlines()] == [1, 2, 3]
    assert publisher.close(WAIT)


def test_close_sends_what_is_left() -> None:
    outbox, wire = MemoryOutbox(), Wire()
    publisher = Publisher(outbox, [wire])
    outbox.put(1000)  # nobody is told
    assert publisher.close(WAIT)
    assert wire.got == numbered(1000)


def test_without_transports_messages_go_nowhere_and_do_not_pile_up() -> None:
    outbox = MemoryOutbox(100)
    assert Publisher(outbox, []).close(WAIT)
    assert not outbox.pending(1)


def test_a_failing_transport_holds_no_other_up_and_gets_everything_later() -> None:
    outbox, good, bad = MemoryOutbox(500), Wire(), Wire(working=False)
    publisher = Publisher(outbox, [bad, good], retry=0.001)
    assert good.wait_for(lambda wire: len(wire.got) == 500)
    assert bad.wait_for(lambda wire: wire.tries > 2)
    assert len(outbox.pending(1000)) == 500
    bad.mend()
    assert outbox.wait_until_empty()
    assert publisher.close(WAIT)
    assert good.got == bad.got == numbered(500)


def test_a_failure_is_logged_once_and_so_is_its_end(caplog: pytest.LogCaptureFixture) -> None:
    outbox, bad = MemoryOutbox(3), Wire(working=False)
    with caplog.at_level(logging.INFO, "edgetally"):
        publisher = Publisher(outbox, [bad], retry=0.001)
        assert bad.wait_for(lambda wire: wire.tries > 3)
        bad.mend()
        assert outbox.wait_until_empty()
        assert publisher.close(WAIT)
    assert [record.getMessage() for record in caplog.records] == [
        "wire fails, messages wait: the wire is cut; mend it",
        "wire works again",
    ]


def test_close_gives_a_failing_transport_one_more_try_and_leaves_the_rest() -> None:
    outbox, good, bad = MemoryOutbox(3), Wire(), Wire(working=False)
    publisher = Publisher(outbox, [good, bad], retry=1000)
    assert bad.wait_for(lambda wire: wire.tries == 1)
    assert publisher.close(WAIT) is False
    assert bad.tries == 2
    assert good.got == numbered(3)
    assert [entry.id for entry in outbox.pending(9)] == [1, 2, 3]
    assert bad.closed


def test_close_does_not_wait_for_a_transport_that_hangs(
    caplog: pytest.LogCaptureFixture,
) -> None:
    release, entered = threading.Event(), threading.Event()

    class Stuck(Wire):
        def send(self, topic: str, body: str) -> None:
            entered.set()
            assert release.wait(WAIT)
            super().send(topic, body)

    outbox, stuck = MemoryOutbox(3), Stuck()
    publisher = Publisher(outbox, [stuck])
    assert entered.wait(WAIT)
    assert publisher.close(0) is False
    assert "left in the outbox" in caplog.text
    release.set()
    assert publisher.close(WAIT) is False  # the rest is not sent behind the service's back
    assert stuck.got == numbered(1)
    assert [entry.id for entry in outbox.pending(9)] == [2, 3]


def test_a_defect_in_a_transport_is_logged_with_its_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Defective(Wire):
        def send(self, topic: str, body: str) -> None:
            raise KeyError(topic, body)

    good = Wire()
    assert Publisher(MemoryOutbox(2), [Defective(), good]).close(WAIT) is False
    assert good.got == numbered(2)
    assert "KeyError" in caplog.text


def test_an_outbox_that_fails_is_no_secret() -> None:
    failed = threading.Event()

    class Lost(MemoryOutbox):
        def pending(self, limit: int) -> Sequence[Entry]:
            raise EdgetallyError(f"the ledger is gone, {limit} messages with it")

    class Witness(Wire):
        def close(self) -> None:
            failed.set()

    publisher = Publisher(Lost(), [Witness()])
    assert failed.wait(WAIT)
    with pytest.raises(EdgetallyError, match="gone"):
        publisher.notify()
    with pytest.raises(EdgetallyError, match="gone"):
        publisher.close(WAIT)
