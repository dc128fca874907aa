"""What a ledger that was cut short, moved, replaced or half read goes on with."""

from __future__ import annotations

import os
import signal
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from test_storage import (
    MILLISECONDS,
    Steady,
    assert_complete,
    count,
    counted,
    is_in_memory,
    told,
)

from crossing import crossing
from disk_trouble import damage, fill, small_disk
from edgetally.counting.ledger import FILE_NAME, Ledger, Stock, Storage

if TYPE_CHECKING:
    from collections.abc import Callable


def correct(folder: Path, number: int, time: float) -> None:
    """Somebody counted, as the command line writes it down beside the service."""
    ledger = Ledger(folder, beside=True)
    with ledger.transaction() as entry:
        entry.correct("site", "blue box", number, "mia", "recount", time)
    ledger.close()


def pages(path: Path) -> dict[str, int]:
    """Bring everything into the file itself, and tell where each table begins."""
    with closing(sqlite3.connect(path)) as base:
        base.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return dict(base.execute("SELECT name, rootpage FROM sqlite_master").fetchall())


def spoil(path: Path, *tables: str) -> None:
    where = pages(path)
    content = bytearray(path.read_bytes())
    for table in tables:
        content[4096 * (where[table] - 1) : 4096 * where[table]] = bytes([7]) * 4096
    path.write_bytes(content)


@pytest.mark.parametrize("log", [False, True], ids=["stopped", "killed"])
def test_a_disk_that_is_full_at_the_start_hides_no_total_and_no_number(*, log: bool) -> None:
    with small_disk(4) as disk:
        folder = disk / "state"
        if log:
            killed(lambda: count(Storage(folder), 20))
            (folder / f"{FILE_NAME}-shm").unlink()
        else:
            storage = Storage(folder)
            count(storage, 20)
            storage.close()
        ballast = fill(disk)
        steady = Steady()
        storage = Storage(folder, steady=steady)
        storage.register(["file"])
        assert is_in_memory(storage)
        assert counted(storage) == 20
        count(storage)
        assert told(storage)[0] > MILLISECONDS
        ballast.unlink()
        steady.now += 11
        storage.tend()
        assert not is_in_memory(storage)
        storage.close()
        assert_complete(folder, 21, jumped=True)


def killed(work: Callable[[], object]) -> None:
    """Do something in a process that is killed right after it."""
    child = os.fork()
    if child == 0:
        work()
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)


@pytest.mark.parametrize("after", [0, 1, 2, 3, 4])
def test_a_kill_while_a_damaged_file_is_set_aside_costs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    """Killed after each file that is renamed; 0: before anything is written to the new one."""
    storage = Storage(tmp_path)
    storage.register(["file"])
    count(storage, 30)
    storage.close()
    spoil(tmp_path / FILE_NAME, "outbox_by_kind")
    (tmp_path / f"{FILE_NAME}-wal").touch()
    (tmp_path / f"{FILE_NAME}-shm").touch()

    def dying() -> None:
        left = after
        rename = Path.rename

        def die(*_: object) -> None:
            os.kill(os.getpid(), signal.SIGKILL)

        def rename_and_die(path: Path, target: Path) -> Path:
            nonlocal left
            moved = rename(path, target)
            left -= 1
            if not left:
                die()
            return moved

        if after:
            monkeypatch.setattr(Path, "rename", rename_and_die)
        else:
            monkeypatch.setattr(Ledger, "go_on_with", die)
        Storage(tmp_path)

    killed(dying)
    storage = Storage(tmp_path)
    storage.register(["file"])
    assert counted(storage) == 30
    assert told(storage) == list(range(1, 31))
    assert len(list(tmp_path.glob(f"{FILE_NAME}.damaged-*Z"))) == 1
    assert ("damaged" in str(storage.state.reason)) is (after < 4)  # then all was done
    storage.close()
    assert_complete(tmp_path, 30)


@pytest.mark.parametrize("how", ["moved", "deleted", "replaced"])
def test_a_file_that_goes_away_under_the_service_costs_nothing(tmp_path: Path, how: str) -> None:
    file = tmp_path / FILE_NAME
    storage = Storage(tmp_path)
    storage.register(["file", "broker"])
    count(storage, 10)
    storage.close()
    older = file.read_bytes()
    storage = Storage(tmp_path)
    storage.register(["file", "broker"])
    count(storage, 90)
    storage.delivered("file", [m.id for m in storage.pending("file", 40)])
    if how == "moved":
        file.rename(tmp_path / "elsewhere")
    else:
        file.unlink()
    if how == "replaced":
        file.write_bytes(older)
    storage.tend()
    reason = str(storage.state.reason)
    assert "was moved or deleted; it is written anew" in reason
    assert ("what was in its place is set aside as" in reason) is (how == "replaced")
    assert told(storage) == list(range(41, 101))
    assert told(storage, "broker") == list(range(1, 101))
    assert not is_in_memory(storage)
    count(storage)
    storage.close()
    ledger = Ledger(tmp_path)
    assert len(ledger.history(limit=1000)) == 101
    ledger.close()
    assert_complete(tmp_path, 101)


def test_a_file_that_is_older_than_what_is_known_is_not_gone_on_with() -> None:
    with small_disk(4) as disk:
        folder = disk / "state"
        storage = Storage(folder)
        count(storage, 5)
        storage.close()
        older = (folder / FILE_NAME).read_bytes()
        steady = Steady()
        storage = Storage(folder, steady=steady)
        count(storage, 20)
        ballast = fill(disk)
        while not is_in_memory(storage):
            count(storage)
        number = counted(storage)
        ballast.unlink()
        for path in folder.glob(f"{FILE_NAME}*"):
            path.unlink()
        (folder / FILE_NAME).write_bytes(older)
        steady.now += 11
        storage.tend()
        assert not is_in_memory(storage)
        assert "was replaced by an older one, of 5 events" in str(storage.state.reason)
        assert counted(storage) == number
        storage.close()
        assert_complete(folder, number, jumped=True)


def test_a_correction_beside_the_service_outlives_the_file(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    count(storage, 3)
    correct(tmp_path, 40, time=9.0)
    storage.tend()
    damage_now(tmp_path)
    while not storage.state.reason:
        count(storage)
    assert storage.stock()["site"]["blue box"].count == 40 + counted(storage) - 3


def damage_now(folder: Path) -> None:
    pages(folder / FILE_NAME)
    damage(folder / FILE_NAME)


def test_a_correction_on_the_disk_holds_over_what_was_counted_in_memory_before_it() -> None:
    with small_disk() as disk:
        folder = disk / "state"
        storage = Storage(folder)
        count(storage, 3)
        ballast = fill(disk)
        while not is_in_memory(storage):
            count(storage)
        ballast.unlink()
        correct(folder, 1000, time=9.0)
        storage.write(lambda entry: entry.add(crossing(time=10.0)))
        number = counted(storage)
        storage.close()
        ledger = Ledger(folder)
        assert ledger.stock()["site"]["blue box"] == Stock(1001 - number, number)
        ledger.close()


def test_what_waited_in_a_file_that_is_damaged_is_counted_as_dropped(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    storage.register(["file"])
    count(storage, 100)
    storage.delivered("file", [m.id for m in storage.pending("file", 10)])
    damage_now(tmp_path)
    while not storage.state.reason:
        count(storage)
    status = storage.status()
    lost = status.dropped["count_event"]
    assert lost + status.waiting == counted(storage) - 10
    assert f", {lost} messages that waited are lost" in str(storage.state.reason)
    storage.close()


def test_totals_that_cannot_be_read_are_counted_anew_and_numbers_never_come_twice(
    tmp_path: Path,
) -> None:
    storage = Storage(tmp_path)
    storage.register(["file"])
    count(storage, 30)
    storage.close()
    correct(tmp_path, 50, time=1.0)
    spoil(tmp_path / FILE_NAME, "totals", "stock", "sequences")
    storage = Storage(tmp_path)
    assert counted(storage) == 30
    assert storage.stock()["site"]["blue box"].count == 80  # it was counted before the crossings
    reason = str(storage.state.reason)
    assert "its totals go on; its sequence numbers can't be read" in reason
    assert len(reason.splitlines()) == 1
    storage.register(["file"])
    count(storage)
    assert told(storage)[:30] == list(range(1, 31))
    assert told(storage)[30] > 1e12
    storage.close()


def test_a_clock_that_is_set_makes_nothing_too_old(tmp_path: Path) -> None:
    """As at the start of a device without a battery for its clock."""
    clock, steady = Steady(), Steady()
    storage = Storage(tmp_path, clock=clock, steady=steady)
    storage.register(["file"])

    def tell() -> None:
        storage.write(lambda entry: entry.enqueue("t", "health 1", "health"))

    def pass_time(seconds: float) -> None:
        clock.now += seconds
        steady.now += seconds
        storage.tend()

    tell()
    clock.now = 1.8e9
    storage.tend()
    assert storage.status().oldest_age == 0
    for _ in range(8):
        pass_time(86_400)
    assert storage.status().dropped == {"health": 1}
    tell()
    clock.now = 1.7e9
    storage.tend()
    assert storage.status().oldest_age == 0
    storage.close()
