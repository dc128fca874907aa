"""`Ledger`: the counts that survive, and the messages that tell of them, in one SQLite file.

What belongs together is written in one transaction and reaches the disk before it returns
(https://www.sqlite.org/pragma.html#pragma_synchronous): a count event, the totals it changes,
the sequence numbers that were given out and the messages that wait to be delivered.
"""

from __future__ import annotations

import fcntl
import sqlite3
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgetally.errors import EdgetallyError, InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from edgetally.counting.events import CountEvent

FILE_NAME = "ledger.sqlite"
_LOCK_NAME = "ledger.lock"
_TABLES = {"events", "totals", "sequences", "outbox"}
_MOVE_AWAY = "move it away to begin a new ledger"
_VERSION = 1
_SCHEMA = f"""
BEGIN IMMEDIATE;
CREATE TABLE events (
    id INTEGER PRIMARY KEY, camera TEXT NOT NULL, line TEXT NOT NULL, direction TEXT NOT NULL,
    class TEXT NOT NULL, track_id INTEGER NOT NULL, time REAL NOT NULL, score REAL NOT NULL,
    x REAL NOT NULL, y REAL NOT NULL
);
CREATE TABLE totals (
    camera TEXT NOT NULL, line TEXT NOT NULL, class TEXT NOT NULL, direction TEXT NOT NULL,
    count INTEGER NOT NULL, PRIMARY KEY (camera, line, class, direction)
);
CREATE TABLE sequences (stream TEXT PRIMARY KEY, last INTEGER NOT NULL);
CREATE TABLE outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT, topic TEXT NOT NULL, body TEXT NOT NULL
);
PRAGMA user_version = {_VERSION};
COMMIT;
"""

Totals = dict[str, dict[str, dict[str, dict[str, int]]]]
"""{camera: {line: {class: {"in": n, "out": n}}}}"""


@dataclass(frozen=True)
class OutboxMessage:
    """A message that waits to be delivered."""

    id: int
    topic: str
    body: str


class Ledger:
    """The ledger in a folder. Any thread may use it.

    >>> with ledger.transaction() as entry:  # doctest: +SKIP
    ...     entry.add(event)
    ...     number = entry.next_sequence("dock/events")
    ...     entry.enqueue("edgetally/local/dock/events", f'{{"sequence": {number}}}')
    """

    def __init__(self, folder: Path) -> None:
        """Open the ledger in `folder`, or begin one.

        InputError where the folder can't be used, or the file is damaged or too new.
        """
        self._path = folder / FILE_NAME
        self._lock = threading.RLock()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._owned = (folder / _LOCK_NAME).open("w")
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise InputError(f"storage folder {folder}: {reason}; give a writable folder") from None
        try:
            fcntl.flock(self._owned, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._owned.close()
            raise InputError(
                f"storage folder {folder} is in use by another edgetally; stop that one, or give "
                "another folder"
            ) from None
        try:
            self._base = sqlite3.connect(
                self._path, isolation_level=None, check_same_thread=False, timeout=5
            )
        except sqlite3.Error as error:
            self._owned.close()
            raise InputError(f"{self._path}: {error}; give a writable folder") from None
        try:
            self._prepare()
        except sqlite3.Error as error:
            self.close()
            raise InputError(f"{self._path}: {error}; {_MOVE_AWAY}") from None
        except InputError:
            self.close()
            raise

    def _prepare(self) -> None:
        self._base.execute("PRAGMA journal_mode = WAL")
        self._base.execute("PRAGMA synchronous = FULL")
        (health,) = self._base.execute("PRAGMA quick_check(1)").fetchone()
        if health != "ok":
            raise InputError(f"{self._path} is damaged ({health}); {_MOVE_AWAY}")
        (version,) = self._base.execute("PRAGMA user_version").fetchone()
        tables = {
            name
            for (name,) in self._base.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        }
        if version == 0 and not tables:
            self._base.executescript(_SCHEMA)
        elif version == 0 or (version == _VERSION and not tables >= _TABLES):
            raise InputError(f"{self._path} is no ledger of edgetally; {_MOVE_AWAY}")
        elif version != _VERSION:
            raise InputError(
                f"{self._path} has format {version}, this edgetally reads {_VERSION}; "
                "update edgetally, or give another folder"
            )

    @contextmanager
    def transaction(self) -> Iterator[Entry]:
        """Write all or nothing; on the disk when the block has ended.

        EdgetallyError where SQLite can't write. An error in the block undoes it.
        """
        with self._lock, self._told():
            self._base.execute("BEGIN IMMEDIATE")
            try:
                yield Entry(self._base)
                self._base.execute("COMMIT")
            except BaseException:
                if self._base.in_transaction:
                    self._base.execute("ROLLBACK")
                raise

    def totals(self) -> Totals:
        """Count the crossings since the ledger began."""
        with self._lock, self._told():
            return _totals(self._base)

    def stock(self) -> dict[str, int]:
        """Return in minus out over all lines, by class."""
        with self._lock, self._told():
            return _stock(self._base)

    def pending(self, limit: int) -> list[OutboxMessage]:
        """Return the oldest messages that were not delivered, at most `limit`."""
        with self._lock, self._told():
            rows = self._base.execute(
                "SELECT id, topic, body FROM outbox ORDER BY id LIMIT ?", (limit,)
            )
            return [OutboxMessage(*row) for row in rows]

    def waiting(self) -> int:
        """Count the messages that were not delivered."""
        with self._lock, self._told():
            (count,) = self._base.execute("SELECT COUNT(*) FROM outbox").fetchone()
            return int(count)

    def delivered(self, ids: Iterable[int]) -> None:
        """Remove messages from the outbox; ids that it does not hold are no error."""
        with self.transaction():
            self._base.executemany("DELETE FROM outbox WHERE id = ?", ((i,) for i in ids))

    def close(self) -> None:
        """Close the file, and let others use the folder. Nothing is lost without it."""
        with self._lock:
            self._base.close()
            self._owned.close()

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise EdgetallyError(
                f"ledger {self._path}: {error}; make sure that the disk has room and is writable"
            ) from error


class Entry:
    """What may be written in one transaction of a `Ledger`."""

    def __init__(self, base: sqlite3.Connection) -> None:
        self._base = base

    def add(self, event: CountEvent) -> None:
        """Write a count event, and add it to the totals."""
        self._base.execute(
            "INSERT INTO events (camera, line, direction, class, track_id, time, score, x, y) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                event.camera,
                event.line,
                event.direction,
                event.class_name,
                event.track_id,
                event.time,
                event.score,
                *event.point,
            ),
        )
        self._base.execute(
            "INSERT INTO totals VALUES (?, ?, ?, ?, 1) ON CONFLICT DO UPDATE SET count = count + 1",
            (event.camera, event.line, event.class_name, event.direction),
        )

    def next_sequence(self, stream: str) -> int:
        """Give out a stream's next number: 1, 2, 3 … without gaps."""
        self._base.execute(
            "INSERT INTO sequences VALUES (?, 1) "
            "ON CONFLICT (stream) DO UPDATE SET last = last + 1",
            (stream,),
        )
        query = "SELECT last FROM sequences WHERE stream = ?"
        (number,) = self._base.execute(query, (stream,)).fetchone()
        return int(number)

    def enqueue(self, topic: str, body: str) -> None:
        """Put a message into the outbox."""
        self._base.execute("INSERT INTO outbox (topic, body) VALUES (?, ?)", (topic, body))

    def totals(self) -> Totals:
        """Count the crossings, those of this transaction included."""
        return _totals(self._base)

    def stock(self) -> dict[str, int]:
        """Return in minus out over all lines by class, this transaction included."""
        return _stock(self._base)


def _totals(base: sqlite3.Connection) -> Totals:
    totals: Totals = {}
    rows: Sequence[tuple[str, str, str, str, int]] = base.execute(
        "SELECT camera, line, class, direction, count FROM totals ORDER BY 1, 2, 3"
    ).fetchall()
    for camera, line, class_name, direction, count in rows:
        classes = totals.setdefault(camera, {}).setdefault(line, {})
        classes.setdefault(class_name, {"in": 0, "out": 0})[direction] = count
    return totals


def _stock(base: sqlite3.Connection) -> dict[str, int]:
    rows = base.execute(
        "SELECT class, SUM(CASE direction WHEN 'in' THEN count ELSE -count END) "
        "FROM totals GROUP BY class ORDER BY class"
    )
    return dict(rows.fetchall())
