from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING, Literal

import pytest

from edgetally.counting.events import CountEvent
from edgetally.counting.ledger import FILE_NAME, Ledger
from edgetally.errors import EdgetallyError, InputError

if TYPE_CHECKING:
    from pathlib import Path

# Records until it is killed, and says after each transaction that it was kept.
_RECORDER = """
import sys
from pathlib import Path
from edgetally.counting.events import CountEvent
from edgetally.counting.ledger import Ledger

ledger = Ledger(Path(sys.argv[1]))
while True:
    with ledger.transaction() as entry:
        number = entry.next_sequence("dock/events")
        direction = "in" if number % 3 else "out"
        name = "blue box" if number % 2 else "yellow box"
        entry.add(CountEvent("dock", "door", direction, name, number, number / 5, 0.9, (0.5, 0.4)))
        entry.enqueue("dock/events", str(number))
    print(number, flush=True)
"""


def event(
    direction: Literal["in", "out"] = "in", class_name: str = "blue box", line: str = "door"
) -> CountEvent:
    return CountEvent(
        camera="dock",
        line=line,
        direction=direction,
        class_name=class_name,
        track_id=1,
        time=2.5,
        score=0.9,
        point=(0.5, 0.4),
    )


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "state")


def test_a_count_event_changes_the_totals_and_the_stock(ledger: Ledger) -> None:
    with ledger.transaction() as entry:
        entry.add(event("in"))
        entry.add(event("in"))
        entry.add(event("out"))
        entry.add(event("out", "yellow box", line="hatch"))
        assert entry.totals()["dock"]["door"] == {"blue box": {"in": 2, "out": 1}}
        assert entry.stock() == {"blue box": 1, "yellow box": -1}
    assert ledger.totals() == {
        "dock": {
            "door": {"blue box": {"in": 2, "out": 1}},
            "hatch": {"yellow box": {"in": 0, "out": 1}},
        }
    }
    assert ledger.stock() == {"blue box": 1, "yellow box": -1}


def test_what_was_recorded_is_there_when_the_ledger_is_opened_again(
    ledger: Ledger, tmp_path: Path
) -> None:
    with ledger.transaction() as entry:
        entry.add(event())
        entry.enqueue("topic", f"message {entry.next_sequence('stream')}")
    ledger.close()
    again = Ledger(tmp_path / "state")
    assert again.stock() == {"blue box": 1}
    assert [(m.topic, m.body) for m in again.pending(10)] == [("topic", "message 1")]
    with again.transaction() as entry:
        assert entry.next_sequence("stream") == 2


def test_an_error_undoes_the_whole_transaction(ledger: Ledger) -> None:
    class MessageError(Exception):
        pass

    def record_and_fail() -> None:
        with ledger.transaction() as entry:
            entry.add(event())
            entry.next_sequence("stream")
            entry.enqueue("topic", "body")
            raise MessageError

    with pytest.raises(MessageError):
        record_and_fail()
    assert ledger.totals() == {}
    assert ledger.pending(10) == []
    with ledger.transaction() as entry:
        assert entry.next_sequence("stream") == 1


def test_each_stream_has_its_own_sequence(ledger: Ledger) -> None:
    with ledger.transaction() as entry:
        numbers = [entry.next_sequence(stream) for stream in ("a", "b", "a", "a")]
    assert numbers == [1, 1, 2, 3]


def test_messages_wait_in_order_until_they_are_delivered_and_ids_are_not_used_again(
    ledger: Ledger,
) -> None:
    with ledger.transaction() as entry:
        for number in range(5):
            entry.enqueue("topic", str(number))
    first = ledger.pending(3)
    assert [message.body for message in first] == ["0", "1", "2"]
    ledger.delivered([message.id for message in first])
    rest = ledger.pending(3)
    assert [message.body for message in rest] == ["3", "4"]
    ledger.delivered([message.id for message in rest])
    ledger.delivered([999])
    with ledger.transaction() as entry:
        entry.enqueue("topic", "5")
    assert ledger.pending(3)[0].id > rest[-1].id


def test_threads_may_record_at_once(ledger: Ledger) -> None:
    def record() -> None:
        for _ in range(20):
            with ledger.transaction() as entry:
                entry.add(event())
                entry.enqueue("topic", str(entry.next_sequence("stream")))

    threads = [threading.Thread(target=record) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ledger.stock() == {"blue box": 80}
    assert [int(message.body) for message in ledger.pending(100)] == list(range(1, 81))


def test_a_killed_recorder_loses_nothing_that_it_kept_and_halves_nothing(tmp_path: Path) -> None:
    for rows in (3, 25, 60):
        with subprocess.Popen(
            [sys.executable, "-c", _RECORDER, str(tmp_path)], stdout=subprocess.PIPE, text=True
        ) as recorder:
            assert recorder.stdout is not None
            kept = [int(recorder.stdout.readline()) for _ in range(rows)][-1]
            recorder.send_signal(signal.SIGKILL)
        with closing(sqlite3.connect(tmp_path / FILE_NAME)) as base:
            events = base.execute("SELECT class, direction, track_id FROM events").fetchall()
        numbers = [number for *_, number in events]
        assert len(events) >= kept
        assert numbers == list(range(1, len(events) + 1))
        ledger = Ledger(tmp_path)
        assert [int(message.body) for message in ledger.pending(10_000)] == numbers
        door = ledger.totals()["dock"]["door"]
        crossed = Counter((name, way) for name, way, _ in events)
        assert door == {
            name: {way: crossed[name, way] for way in ("in", "out")} for name, _ in crossed
        }
        ledger.close()


def test_a_folder_that_cannot_be_made_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file")
    with pytest.raises(InputError, match=r"storage folder .*state: .*; give a writable folder$"):
        Ledger(tmp_path / "state")


def test_a_file_that_is_no_ledger_is_refused_and_left_as_it_was(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text("This is not a database. " * 100)
    with pytest.raises(InputError, match="not a database"):
        Ledger(tmp_path)
    assert (tmp_path / FILE_NAME).read_text() == "This is not a database. " * 100


def test_a_ledger_of_a_newer_edgetally_is_refused(tmp_path: Path) -> None:
    Ledger(tmp_path).close()
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as base:
        base.execute("PRAGMA user_version = 99")
    with pytest.raises(InputError, match=r"format 99.*update edgetally"):
        Ledger(tmp_path)


def test_a_ledger_that_cannot_be_written_says_so_in_one_line(
    ledger: Ledger, tmp_path: Path
) -> None:
    with closing(sqlite3.connect(tmp_path / "state" / FILE_NAME)) as base:
        base.execute("DROP TABLE totals")
    with pytest.raises(EdgetallyError, match=r"^ledger .*: no such table: totals; make sure .*$"):
        ledger.totals()


def test_a_folder_belongs_to_one_ledger_at_a_time(ledger: Ledger, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is in use by another edgetally"):
        Ledger(tmp_path / "state")
    ledger.close()
    Ledger(tmp_path / "state").close()


def test_a_file_of_someone_else_is_left_alone(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as base:
        base.execute("CREATE TABLE theirs (x)")
    with pytest.raises(InputError, match="is no ledger of edgetally"):
        Ledger(tmp_path)


def test_damage_inside_the_file_is_found_when_it_is_opened(tmp_path: Path) -> None:
    Ledger(tmp_path).close()
    path = tmp_path / FILE_NAME
    content = bytearray(path.read_bytes())
    content[4096:] = bytes(byte ^ 0x5A for byte in content[4096:])
    path.write_bytes(content)
    with pytest.raises(InputError, match="move it away to begin a new ledger"):
        Ledger(tmp_path)
