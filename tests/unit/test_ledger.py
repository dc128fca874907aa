from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from crossing import crossing
from disk_trouble import damage
from edgetally.counting.events import ZoneEvent
from edgetally.counting.ledger import (
    FILE_NAME,
    Correction,
    Ledger,
    LedgerError,
    RecordedCrossing,
    RecordedZoneEvent,
    Stock,
)
from edgetally.errors import InputError

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
        entry.enqueue("dock/events", str(number), "count_event")
    print(number, flush=True)
"""


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    (tmp_path / "state").mkdir()
    return Ledger(tmp_path / "state", sites={"gate": "yard"})


def test_a_count_event_changes_the_totals_and_the_stock_of_its_site(ledger: Ledger) -> None:
    with ledger.transaction() as entry:
        entry.add(crossing("in"))
        entry.add(crossing("in"))
        entry.add(crossing("out"))
        entry.add(crossing("out", "yellow box", line="hatch"))
        entry.add(crossing("in", camera="gate"))
        assert entry.totals()["dock"]["door"] == {"blue box": {"in": 2, "out": 1}}
        assert entry.stock()["site"]["blue box"].count == 1
    assert ledger.totals() == {
        "dock": {
            "door": {"blue box": {"in": 2, "out": 1}},
            "hatch": {"yellow box": {"in": 0, "out": 1}},
        },
        "gate": {"door": {"blue box": {"in": 1, "out": 0}}},
    }
    assert ledger.stock() == {
        "site": {"blue box": Stock(0, 2, 1), "yellow box": Stock(0, 0, 1)},
        "yard": {"blue box": Stock(0, 1, 0)},
    }


def test_a_recount_makes_the_stock_what_was_counted_and_says_what_it_was(ledger: Ledger) -> None:
    with ledger.transaction() as entry:
        entry.add(crossing("in"))
        entry.add(crossing("out", "yellow box"))
        blue = entry.correct("site", "blue box", 40, "mia", "recount", 3.0)
        red = entry.correct("site", "red box", 7, "mia", "", 3.5)
        entry.add(crossing("in"))
        entry.add(crossing("out", "red box"))
    assert (blue.before, red.before) == (1, 0)
    stock = ledger.stock()["site"]
    assert {name: each.count for name, each in stock.items()} == {
        "blue box": 41,
        "red box": 6,
        "yellow box": -1,
    }
    assert stock["blue box"] == Stock(baseline=39, in_=2, out=0)
    with ledger.transaction() as entry:
        assert entry.correct("site", "blue box", 0, "mia", "moved", 4.0).before == 41
    assert ledger.stock()["site"]["blue box"].count == 0
    assert ledger.totals()["dock"]["door"]["blue box"] == {"in": 2, "out": 0}


def test_the_history_tells_everything_in_its_order(ledger: Ledger) -> None:
    entered = ZoneEvent("gate", "room", "entered", "blue box", 4, 2.0, 0.0)
    with ledger.transaction() as entry:
        entry.add(crossing(time=1.0))
        entry.add_zone(entered)
        correction = entry.correct("site", "blue box", 40, "mia", "recount", 3.0)
        entry.add(crossing("out", time=4.0))
    everything = [
        RecordedCrossing("site", crossing(time=1.0)),
        RecordedZoneEvent("yard", entered),
        correction,
        RecordedCrossing("site", crossing("out", time=4.0)),
    ]
    assert correction == Correction("site", "blue box", 40, 1, "mia", "recount", 3.0)
    assert ledger.history() == everything
    assert ledger.history(limit=2) == everything[2:]
    assert ledger.history(site="yard") == everything[1:2]
    assert ledger.history(since=2.0, until=4.0) == everything[1:3]
    assert ledger.history(class_name="yellow box") == []


def test_what_was_recorded_is_there_when_the_ledger_is_opened_again(
    ledger: Ledger, tmp_path: Path
) -> None:
    with ledger.transaction() as entry:
        entry.add(crossing())
        entry.enqueue("topic", f"message {entry.next_sequence('stream')}", "count_event")
    ledger.close()
    again = Ledger(tmp_path / "state")
    assert again.stock() == {"site": {"blue box": Stock(in_=1)}}
    assert [(m.topic, m.body) for m in again.pending(None, 10)] == [("topic", "message 1")]
    with again.transaction() as entry:
        assert entry.next_sequence("stream") == 2


def test_an_error_undoes_the_whole_transaction(ledger: Ledger) -> None:
    class MessageError(Exception):
        pass

    def record_and_fail() -> None:
        with ledger.transaction() as entry:
            entry.add(crossing())
            entry.correct("site", "blue box", 9, "mia", "", 1.0)
            entry.next_sequence("stream")
            entry.enqueue("topic", "body", "count_event")
            raise MessageError

    with pytest.raises(MessageError):
        record_and_fail()
    assert not ledger.totals()
    assert not ledger.stock()
    assert not ledger.history()
    assert not ledger.pending(None, 10)
    with ledger.transaction() as entry:
        assert entry.next_sequence("stream") == 1


def test_each_stream_has_its_own_sequence(ledger: Ledger) -> None:
    with ledger.transaction() as entry:
        numbers = [entry.next_sequence(stream) for stream in ("a", "b", "a", "a")]
    assert numbers == [1, 1, 2, 3]


def test_threads_may_record_at_once(ledger: Ledger) -> None:
    def record() -> None:
        for _ in range(20):
            with ledger.transaction() as entry:
                entry.add(crossing())
                entry.enqueue("topic", str(entry.next_sequence("stream")), "count_event")

    threads = [threading.Thread(target=record) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ledger.stock()["site"]["blue box"] == Stock(in_=80)
    assert [int(message.body) for message in ledger.pending(None, 100)] == list(range(1, 81))


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
        assert [int(message.body) for message in ledger.pending(None, 10_000)] == numbers
        door = ledger.totals()["dock"]["door"]
        crossed = Counter((name, way) for name, way, _ in events)
        assert door == {
            name: {way: crossed[name, way] for way in ("in", "out")} for name, _ in crossed
        }
        ledger.close()


def test_a_file_that_is_no_ledger_is_told_as_damaged_and_left_as_it_was(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text("This is not a database. " * 100)
    with pytest.raises(LedgerError, match="not a database") as caught:
        Ledger(tmp_path)
    assert caught.value.damaged
    assert (tmp_path / FILE_NAME).read_text() == "This is not a database. " * 100


def test_a_ledger_of_a_newer_edgetally_is_refused(tmp_path: Path) -> None:
    Ledger(tmp_path).close()
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as base:
        base.execute("PRAGMA user_version = 99")
    with pytest.raises(InputError, match=r"format 99.*update edgetally"):
        Ledger(tmp_path)


def test_a_ledger_that_cannot_be_read_says_so_in_one_line(ledger: Ledger, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "state" / FILE_NAME)) as base:
        base.execute("DROP TABLE totals")
    with pytest.raises(LedgerError, match=r"^ledger .*: no such table: totals; make sure .*$"):
        ledger.totals()
    with pytest.raises(LedgerError, match="tables are missing"):
        Ledger(tmp_path / "state")


def test_a_file_of_someone_else_is_left_alone(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as base:
        base.execute("CREATE TABLE theirs (x)")
    with pytest.raises(InputError, match="is no ledger of edgetally"):
        Ledger(tmp_path)


def test_damage_inside_the_file_is_found_when_it_is_opened(tmp_path: Path) -> None:
    Ledger(tmp_path).close()
    damage(tmp_path / FILE_NAME)
    with pytest.raises(LedgerError) as caught:
        Ledger(tmp_path)
    assert caught.value.damaged


def test_another_process_may_read_and_correct_beside_the_service(
    ledger: Ledger, tmp_path: Path
) -> None:
    with ledger.transaction() as entry:
        entry.add(crossing())
    beside = Ledger(tmp_path / "state", beside=True)
    with beside.transaction() as entry:
        entry.correct("site", "blue box", 12, "mia", "", 3.0)
        entry.enqueue("topic", "told", "stock")
    beside.close()
    assert ledger.stock()["site"]["blue box"].count == 12
    assert [message.body for message in ledger.pending(None, 5)] == ["told"]
    with pytest.raises(InputError, match="there is no ledger; start the service once"):
        Ledger(tmp_path, beside=True)
    assert not (tmp_path / FILE_NAME).exists()


def test_a_ledger_of_the_first_format_is_brought_to_this_one(tmp_path: Path) -> None:
    write_first_format(tmp_path)
    with pytest.raises(InputError, match="older format 1; start the service once"):
        Ledger(tmp_path, beside=True)
    ledger = Ledger(tmp_path, sites={"gate": "yard"})
    assert ledger.totals() == {
        "dock": {"door": {"blue box": {"in": 2, "out": 1}}},
        "gate": {"door": {"blue box": {"in": 1, "out": 0}}},
    }
    assert ledger.stock() == {
        "site": {"blue box": Stock(0, 2, 1)},
        "yard": {"blue box": Stock(0, 1, 0)},
    }
    assert [record.site for record in ledger.history()] == ["site", "site", "site", "yard"]
    assert [(m.id, m.body) for m in ledger.pending(None, 9)] == list(enumerate(WAITING, 7))
    assert [m.id for m in ledger.pending("", 9, urgent=False)] == [8]
    with ledger.transaction() as entry:
        assert entry.next_sequence("dock/events") == 4
    ledger.close()
    Ledger(tmp_path).close()


def test_a_migration_that_is_cut_short_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    write_first_format(tmp_path)
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as base:
        base.execute("CREATE TABLE corrections (in_the_way)")
    with pytest.raises(LedgerError, match="corrections already exists"):
        Ledger(tmp_path)
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as base:
        assert base.execute("PRAGMA user_version").fetchone() == (1,)
        base.execute("DROP TABLE corrections")
    assert Ledger(tmp_path).waiting() == 3


WAITING = (
    '{"schema":"edgetally.count_event/1"}',
    '{"schema":"edgetally.detections/1"}',
    '{"schema":"edgetally.inventory/1"}',
)


def write_first_format(folder: Path) -> None:
    """Write what the first release wrote."""
    with closing(sqlite3.connect(folder / FILE_NAME)) as base:
        base.executescript(
            """
            CREATE TABLE events (
                id INTEGER PRIMARY KEY, camera TEXT NOT NULL, line TEXT NOT NULL,
                direction TEXT NOT NULL, class TEXT NOT NULL, track_id INTEGER NOT NULL,
                time REAL NOT NULL, score REAL NOT NULL, x REAL NOT NULL, y REAL NOT NULL
            );
            CREATE TABLE totals (
                camera TEXT NOT NULL, line TEXT NOT NULL, class TEXT NOT NULL,
                direction TEXT NOT NULL, count INTEGER NOT NULL,
                PRIMARY KEY (camera, line, class, direction)
            );
            CREATE TABLE sequences (stream TEXT PRIMARY KEY, last INTEGER NOT NULL);
            CREATE TABLE outbox (
                id INTEGER PRIMARY KEY AUTOINCREMENT, topic TEXT NOT NULL, body TEXT NOT NULL
            );
            PRAGMA user_version = 1;
            """
        )
        ways = (("dock", "in"), ("dock", "in"), ("dock", "out"), ("gate", "in"))
        for time, (camera, way) in enumerate(ways):
            base.execute(
                "INSERT INTO events VALUES (NULL, ?, 'door', ?, 'blue box', 1, ?, 0.9, 0.5, 0.4)",
                (camera, way, time),
            )
            base.execute(
                "INSERT INTO totals VALUES (?, 'door', 'blue box', ?, 1) "
                "ON CONFLICT DO UPDATE SET count = count + 1",
                (camera, way),
            )
        base.execute("INSERT INTO sequences VALUES ('dock/events', 3)")
        for number, body in enumerate(WAITING, 7):
            base.execute("INSERT INTO outbox VALUES (?, 'topic', ?)", (number, body))
        base.commit()
