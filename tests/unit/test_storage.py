"""Disks that are full, read-only, damaged, gone, and back again: counting goes on."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from crossing import crossing
from disk_trouble import damage, fill, remount, small_disk
from edgetally.counting.ledger import FILE_NAME, Entry, Ledger, Stock, Storage, StorageState
from edgetally.errors import EdgetallyError, InputError
from locked_folder import locked_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

MILLISECONDS = 1_000_000_000_000  # since 1970, which numbers jump to in memory
NAMED = re.compile(r"ledger\.sqlite\.damaged-\d{4}-\d\d-\d\dT\d{6}Z")


class Steady:
    """A clock that a test moves."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def count(storage: Storage, number: int = 1) -> None:
    """Count a crossing, and tell it, `number` times."""

    def record(entry: Entry) -> None:
        entry.add(crossing())
        entry.enqueue("t", f"event {entry.next_sequence('dock/events')}", "count_event")

    for _ in range(number):
        storage.write(record)


def is_in_memory(storage: Storage) -> bool:
    return storage.state.state == "memory"


def counted(storage: Storage | Ledger) -> int:
    return storage.totals()["dock"]["door"]["blue box"]["in"] if storage.totals() else 0


def told(storage: Storage | Ledger, transport: str = "file") -> list[int]:
    return [int(m.body.split()[1]) for m in storage.pending(transport, 1000)]


def assert_complete(folder: Path, number: int, *, jumped: bool = False) -> None:
    """The file holds all that was counted, once, and goes on with the next number.

    jumped: as some was counted in memory.
    """
    ledger = Ledger(folder)
    assert counted(ledger) == number
    assert ledger.stock()["site"]["blue box"].count == number
    with ledger.transaction() as entry:
        following = entry.next_sequence("dock/events")
        assert following > MILLISECONDS if jumped else following == number + 1
    ledger.close()


@pytest.fixture
def full_disk() -> Iterator[Path]:
    """A disk of a megabyte."""
    with small_disk() as folder:
        yield folder


def test_a_folder_belongs_to_one_service_at_a_time(tmp_path: Path) -> None:
    storage = Storage(tmp_path / "state")
    with pytest.raises(InputError, match="is in use by another edgetally"):
        Storage(tmp_path / "state")
    storage.close()
    storage.close()
    Storage(tmp_path / "state").close()


def test_a_path_that_can_be_no_folder_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a file")
    for path in (tmp_path / "file", tmp_path / "file" / "state", Path("a\0b")):
        with pytest.raises(InputError, match=r"storage folder .*: .*; give a writable folder$"):
            Storage(path)


def test_a_newer_or_a_foreign_file_is_refused_and_left_alone(tmp_path: Path) -> None:
    for name, statement in (("newer", "PRAGMA user_version = 99"), ("theirs", "CREATE TABLE t(x)")):
        folder = tmp_path / name
        folder.mkdir()
        with closing(sqlite3.connect(folder / FILE_NAME)) as base:
            base.execute(statement)
        before = (folder / FILE_NAME).read_bytes()
        for _ in range(2):  # the folder is let go, too
            with pytest.raises(InputError, match=r"format 99|no ledger of edgetally"):
                Storage(folder)
        assert (folder / FILE_NAME).read_bytes() == before


def test_a_disk_that_fills_up_ends_nothing_and_all_is_written_when_it_has_room_again(
    full_disk: Path,
) -> None:
    steady = Steady()
    storage = Storage(full_disk / "state", steady=steady)
    storage.register(["file"])
    count(storage, 3)
    assert not is_in_memory(storage)
    ballast = fill(full_disk)
    while not is_in_memory(storage):
        count(storage)
    number = counted(storage)
    assert number > 3
    assert "disk" in str(storage.state.reason)
    count(storage, 5)
    assert counted(storage) == number + 5
    storage.delivered("file", [m.id for m in storage.pending("file", 2)])
    steady.now += 11
    storage.tend()
    assert is_in_memory(storage)
    ballast.unlink()
    storage.tend()
    assert is_in_memory(storage)  # it is not tried all the time
    steady.now += 11
    storage.tend()
    assert storage.state == StorageState("ok", None)
    assert counted(storage) == number + 5
    count(storage)
    numbers = told(storage)
    assert numbers[: number - 1] == list(range(1, number))
    third, *later = numbers[number - 1 :]  # the first two that were put in there were delivered
    assert third > MILLISECONDS
    assert later == list(range(third + 1, third + 5))
    storage.close()
    assert_complete(full_disk / "state", number + 6, jumped=True)


def test_what_is_in_memory_at_the_end_is_written_if_there_is_room(full_disk: Path) -> None:
    storage = Storage(full_disk / "state")
    count(storage)
    ballast = fill(full_disk)
    while not is_in_memory(storage):
        count(storage)
    number = counted(storage)
    ballast.unlink()
    storage.close()
    assert not is_in_memory(storage)
    assert_complete(full_disk / "state", number, jumped=True)


def test_a_disk_that_is_full_from_the_start_is_used_once_it_has_room(full_disk: Path) -> None:
    (full_disk / "state").mkdir()
    ballast = fill(full_disk)
    steady = Steady()
    storage = Storage(full_disk / "state", steady=steady)
    storage.register(["file"])
    assert is_in_memory(storage)
    count(storage, 2)
    ballast.unlink()
    steady.now += 11
    storage.tend()
    assert not is_in_memory(storage)
    first, second = told(storage)
    assert second == first + 1
    storage.close()
    assert_complete(full_disk / "state", 2, jumped=True)


def test_a_disk_that_becomes_read_only_ends_nothing(full_disk: Path) -> None:
    steady = Steady()
    storage = Storage(full_disk / "state", steady=steady)
    count(storage, 2)
    storage.close()
    remount(full_disk, "ro")
    storage = Storage(full_disk / "state", steady=steady)
    assert is_in_memory(storage)
    assert counted(storage) == 2
    count(storage, 2)
    assert storage.stock()["site"]["blue box"] == Stock(in_=4)
    remount(full_disk, "rw")
    steady.now += 11
    storage.tend()
    assert not is_in_memory(storage)
    storage.close()
    assert_complete(full_disk / "state", 4, jumped=True)


def test_a_folder_that_may_not_be_written_is_no_end() -> None:
    with locked_folder() as folder:
        storage = Storage(folder / "state")
        assert is_in_memory(storage)
        assert "Permission denied; counts are kept in memory" in str(storage.state.reason)
        count(storage, 2)
        assert counted(storage) == 2
        storage.close()
        assert is_in_memory(storage)
        with pytest.raises(EdgetallyError, match="closed"):
            count(storage)


def test_a_correction_in_memory_holds_on_the_disk(full_disk: Path) -> None:
    storage = Storage(full_disk / "state")
    count(storage, 2)
    ballast = fill(full_disk)
    while not is_in_memory(storage):
        count(storage)
    storage.write(lambda entry: entry.correct("site", "blue box", 40, "mia", "recount", 1.0))
    count(storage)
    number = counted(storage)
    ballast.unlink()
    storage.close()
    ledger = Ledger(full_disk / "state")
    assert ledger.stock()["site"]["blue box"] == Stock(baseline=41 - number, in_=number)


def test_a_damaged_file_is_set_aside_and_a_new_one_begun(tmp_path: Path) -> None:
    Storage(tmp_path).close()
    damage(tmp_path / FILE_NAME)
    damaged = (tmp_path / FILE_NAME).read_bytes()
    storage = Storage(tmp_path)
    (aside,) = (path for path in tmp_path.iterdir() if NAMED.fullmatch(path.name))
    assert aside.read_bytes() == damaged
    assert not is_in_memory(storage)
    assert re.search(rf"set aside as {NAMED.pattern}", str(storage.state.reason))
    count(storage)
    assert counted(storage) == 1
    storage.close()


def test_what_is_no_database_is_set_aside(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text("This is not a database. " * 100)
    storage = Storage(tmp_path)
    assert "not a database" in str(storage.state.reason)
    assert "its totals are lost" in str(storage.state.reason)
    storage.register(["file"])
    count(storage, 2)
    first, second = told(storage)  # numbers that were never given out
    assert first > 1e12
    assert second == first + 1
    assert f"they go on from {first}" in str(storage.state.reason)
    storage.close()


def test_the_totals_of_a_damaged_file_go_on_where_they_can_be_read(tmp_path: Path) -> None:
    """The index of the outbox is damaged, nothing else."""
    storage = Storage(tmp_path)
    count(storage, 30)
    storage.close()
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as base:
        query = "SELECT rootpage FROM sqlite_master WHERE name = 'outbox_by_kind'"
        ((page,),) = base.execute(query).fetchall()
    content = bytearray((tmp_path / FILE_NAME).read_bytes())
    content[4096 * (page - 1) : 4096 * page] = bytes([7]) * 4096
    (tmp_path / FILE_NAME).write_bytes(content)
    storage = Storage(tmp_path)
    storage.register(["file"])
    assert "its totals go on" in str(storage.state.reason)
    assert counted(storage) == 30
    assert told(storage) == list(range(1, 31))
    count(storage)
    storage.close()
    assert_complete(tmp_path, 31)


def test_a_file_that_is_damaged_while_it_counts_costs_no_count(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    storage.register(["file"])
    count(storage, 10)
    path = tmp_path / FILE_NAME
    with closing(sqlite3.connect(path)) as base:
        base.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    damage(path)
    number = 10
    while not storage.state.reason:
        count(storage)
        number += 1
    assert not is_in_memory(storage)
    assert "its totals go on" in str(storage.state.reason)
    assert counted(storage) == number
    count(storage, 2)
    assert told(storage)[-3:] == [number, number + 1, number + 2]
    storage.close()
    assert_complete(tmp_path, number + 2)


def test_a_file_that_is_deleted_while_it_counts_is_written_anew(tmp_path: Path) -> None:
    storage = Storage(tmp_path / "state")
    count(storage, 10)
    shutil.rmtree(tmp_path / "state")
    storage.tend()
    count(storage)
    assert not is_in_memory(storage)
    storage.close()
    assert_complete(tmp_path / "state", 11)


def test_a_transaction_that_reached_the_disk_though_its_end_failed_is_counted_once(
    tmp_path: Path,
) -> None:
    """As where the disk fails to say that it has everything: the service writes it again."""
    storage = Storage(tmp_path)
    storage.register(["file"])
    count(storage, 2)
    unaware = storage._ledger.carried
    count(storage)
    storage._ledger._carried = unaware
    with closing(sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        storage._ledger._base.execute("PRAGMA busy_timeout = 1")
        count(storage)  # number 3, again
        assert is_in_memory(storage)
        assert counted(storage) == 3
        count(storage)
        other.execute("ROLLBACK")
    first, second = told(storage)[-2:]
    storage.close()
    storage = Storage(tmp_path)
    storage.register(["file"])
    assert told(storage) == [1, 2, first, second]  # number 3 is nobody's any more
    storage.close()
    assert_complete(tmp_path, 4, jumped=True)


def test_what_is_lost_with_the_memory_leaves_its_numbers_to_no_other(full_disk: Path) -> None:
    """The next run's events would else be taken for repeats of those that were told before."""
    in_memory: list[int] = []
    for mode in ("rw", "ro", "rw", "ro", "rw"):
        remount(full_disk, mode)
        storage = Storage(full_disk / "state")
        storage.register(["file"])
        count(storage, 5)
        if mode == "rw":
            on_disk = told(storage)
        else:
            in_memory += told(storage)[-5:]
        storage.close()
        assert is_in_memory(storage) is (mode == "ro")
    assert on_disk == list(range(1, 16))
    assert len({*in_memory, *on_disk}) == 25


def test_a_device_whose_clock_was_never_set_numbers_from_where_no_other_does() -> None:
    """Its clock begins at the same time whenever it is switched on."""
    with locked_folder() as folder:
        numbers = set[int]()
        for _ in range(3):
            storage = Storage(folder / "state", clock=lambda: 60.0)
            storage.register(["file"])
            count(storage)
            numbers |= {*told(storage)}
            storage.close()
    assert len(numbers) == 3
    assert all(MILLISECONDS <= number < 1.6e12 for number in numbers)


def test_a_folder_in_the_ledgers_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).mkdir()
    with pytest.raises(InputError, match=r"ledger\.sqlite is a folder; move it away"):
        Storage(tmp_path)


def test_a_disk_that_is_read_only_is_told_as_such(full_disk: Path) -> None:
    Storage(full_disk / "state").close()
    remount(full_disk, "ro")
    storage = Storage(full_disk / "state")
    assert f"{full_disk / 'state'} is on a disk that is read-only" in str(storage.state.reason)
    storage.close()


def test_a_ledger_that_may_not_be_written_is_told_as_such() -> None:
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent, "state")
        Storage(folder).close()
        for path, mode in ((Path(parent), 0o755), (folder, 0o555), (folder / FILE_NAME, 0o444)):
            path.chmod(mode)
        said = f"{folder} may not be written by the user that runs this; let it"
        with locked_folder(), pytest.raises(EdgetallyError, match=said):
            Ledger(folder)
        folder.chmod(0o755)


def test_what_was_set_aside_is_told_until_there_is_somebody_to_tell(tmp_path: Path) -> None:
    """As where the transports can't be opened, and the service ends."""
    (tmp_path / FILE_NAME).write_text("This is not a database. " * 100)
    storage = Storage(tmp_path)
    reason = storage.state.reason
    assert "it is set aside as" in str(reason)
    storage.close()
    storage = Storage(tmp_path)
    assert storage.state == StorageState("ok", reason)
    storage.register(["file"])
    storage.tend()
    storage.close()
    storage = Storage(tmp_path)
    assert storage.state == StorageState()
    storage.close()


def test_an_empty_file_is_no_ledger_yet(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).touch()
    with pytest.raises(InputError, match="there is no ledger; start the service once"):
        Ledger(tmp_path, beside=True)
    storage = Storage(tmp_path)
    count(storage)
    assert storage.state == StorageState()
    storage.close()
    assert_complete(tmp_path, 1)


_FIRST = """
import sys, threading
from pathlib import Path
from test_storage import count
from edgetally.counting.ledger import Storage
storage = Storage(Path(sys.argv[1]))
count(storage, 3)
print(storage.state.state, flush=True)
threading.Event().wait()
"""


def test_a_killed_service_lets_go_of_the_folder(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _FIRST, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    ) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "ok\n"
        with pytest.raises(InputError, match="in use"):
            Storage(tmp_path)
        first.kill()
    storage = Storage(tmp_path)
    assert counted(storage) == 3
    storage.close()
