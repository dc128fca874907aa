"""`Ledger`: the counts that survive, and the messages that tell of them, in one SQLite file.

What belongs together is written in one transaction and reaches the disk before it returns
(https://www.sqlite.org/pragma.html#pragma_synchronous): a count event, the totals it changes,
the sequence numbers that were given out and the messages that wait to be delivered.
"""

from __future__ import annotations

import logging
import math
import sqlite3
import threading
import time as clocks
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from edgetally.counting.ledger import outbox, reading, schema
from edgetally.counting.ledger.carrying import Carried
from edgetally.counting.ledger.entry import Entry
from edgetally.counting.ledger.salvaging import salvage_messages
from edgetally.counting.ledger.values import OutboxBounds
from edgetally.counting.ledger.ways import connected, why_not
from edgetally.errors import EdgetallyError, InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from edgetally.counting.ledger.values import (
        Correction,
        OutboxMessage,
        OutboxStatus,
        Record,
        SeenStock,
        Stock,
        Totals,
    )

_BUSY_SECONDS = 5.0
_NONE_YET = "there is no ledger; start the service once"
_log = logging.getLogger(__name__)


class LedgerError(EdgetallyError):
    """The ledger's file can't be read or written now.

    damaged: it never will. gone: it is not where it was, but can still be read.
    """

    def __init__(self, text: str, *, damaged: bool = False, gone: bool = False) -> None:
        super().__init__(text)
        self.damaged = damaged
        self.gone = gone


class Ledger:
    """The ledger in a folder, or in memory where there is none. Any thread may use it.

    `Storage` is the one that a service keeps; this one fails where the disk does.

    >>> with ledger.transaction() as entry:  # doctest: +SKIP
    ...     entry.add(event)
    ...     number = entry.next_sequence("dock/events")
    ...     entry.enqueue("edgetally/local/dock/events", f'{{"sequence": {number}}}', "count_event")
    """

    def __init__(
        self,
        folder: Path | None,
        *,
        sites: Mapping[str, str] | None = None,
        bounds: OutboxBounds | None = None,
        clock: Callable[[], float] = clocks.time,
        beside: bool = False,
        way: str | None = None,
        file_name: str = schema.FILE_NAME,
    ) -> None:
        """Open the ledger in `folder`, or begin one.

        sites: where each camera is. clock: seconds since the Unix epoch. beside: another process
        may own it, so that a ledger that is missing is not begun and an older one stays as it is.
        way: one of `ways_to_open`, to read alone. file_name: another than the usual, for one that
        is being built.

        InputError where the file is missing, a folder, too new or someone else's; LedgerError where
        it is damaged or can't be used.
        """
        self._path = folder / file_name if folder is not None else None
        self._name = str(self._path or "the ledger in memory")
        self._sites = dict(sites or {})
        self._bounds = bounds or OutboxBounds()
        self._clock = clock
        self._lock = threading.RLock()
        if beside and self._path is not None and not self._path.exists():
            raise InputError(f"{self._path}: {_NONE_YET}")
        if self._path is not None and self._path.is_dir():
            raise InputError(f"{self._path} is a folder; move it away to begin a ledger")
        with self._told():
            self._base = connected(self._path or ":memory:", way, timeout=_BUSY_SECONDS)
        try:
            with self._told():
                self._prepare(beside=beside, reads=way is not None)
                self._carried = Carried.read(self._base)
                self._version = self._written_beside()
            self._place = self._path.stat().st_ino if self._path is not None else 0
            if self._path is None:
                self._number_messages_from(int(1e6 * clock()))
        except BaseException:
            self._base.close()
            raise

    def _prepare(self, *, beside: bool, reads: bool) -> None:
        if not beside:
            (health,) = self._base.execute("PRAGMA quick_check(1)").fetchone()
            if health != "ok":
                finding = str(health).splitlines()[-1]
                raise LedgerError(f"{self._name} is damaged ({finding})", damaged=True)
        version = schema.version_of(self._base, self._name)
        if version is None:
            raise LedgerError(f"{self._name} is damaged (tables are missing)", damaged=True)
        if beside and version != schema.VERSION:
            if version == 0:
                raise InputError(f"{self._name}: {_NONE_YET}")
            raise InputError(
                f"{self._name} has the older format {version}; start the service once, it "
                f"brings it to format {schema.VERSION}"
            )
        if reads:
            return
        self._base.execute("PRAGMA journal_mode = WAL")
        # SQLite notes what a statement with triggers does, to undo it: else in a file each.
        self._base.execute("PRAGMA temp_store = MEMORY")
        self._base.execute("PRAGMA synchronous = FULL")
        if version != schema.VERSION:
            schema.bring_up(self._base, version, self._sites, self._clock())

    def _number_messages_from(self, number: int) -> None:
        # What is put in while a file can't be used has to keep its number there afterwards:
        # a clock's microseconds are more than the messages that were ever put in.
        self._base.execute("INSERT INTO sqlite_sequence VALUES ('outbox', ?)", (number,))

    @contextmanager
    def transaction(self, *, lasting: bool = True) -> Iterator[Entry]:
        """Write all or nothing; on the disk when the block has ended.

        lasting: False: a power cut may undo it, nothing else.
        LedgerError where SQLite can't write. An error in the block undoes it.
        """
        with self._lock, self._told():
            self._base.execute(f"PRAGMA synchronous = {'FULL' if lasting else 'NORMAL'}")
            self._base.execute("BEGIN IMMEDIATE")
            try:
                version, known = self._written_beside(), self._carried
                if version != self._version:
                    known = Carried.read(self._base)
                entry = Entry(self._base, self._sites, self._clock())
                yield entry
                if "kinds" in entry.changed:
                    outbox.shrink(self._base, self._bounds)
                carried = known.renewed(self._base, entry.changed)
                self._base.execute("COMMIT")
            except BaseException:
                if self._base.in_transaction:
                    self._base.execute("ROLLBACK")
                raise
            self._carried, self._version = carried, version

    def look_beside(self) -> None:
        """Renew what another file would go on with, where another process wrote to this one."""
        with self._reading() as base:
            version = self._written_beside()
            if version != self._version:
                self._carried, self._version = Carried.read(base), version

    def _written_beside(self) -> int:
        # https://www.sqlite.org/pragma.html#pragma_data_version
        (version,) = self._base.execute("PRAGMA data_version").fetchone()
        return int(version)

    def totals(self) -> Totals:
        """Count the crossings since the ledger began."""
        with self._reading() as base:
            return reading.totals(base)

    def stock(self) -> dict[str, dict[str, Stock]]:
        """Return the stock by site and class."""
        with self._reading() as base:
            return reading.stock(base)

    def seen(self) -> SeenStock:
        """Return what zones that see a site's stock saw last."""
        with self._reading() as base:
            return reading.seen(base)

    def history(
        self,
        *,
        site: str | None = None,
        class_name: str | None = None,
        since: float = -math.inf,
        until: float = math.inf,
        limit: int = 100,
    ) -> list[Record]:
        """Return the latest records, at most `limit`, oldest first; since <= time < until."""
        with self._reading() as base:
            wanted = reading.Wanted(site, class_name, since, until, limit)
            return reading.history(base, wanted)

    def corrections(
        self, *, site: str | None = None, class_name: str | None = None, limit: int = 100
    ) -> list[Correction]:
        """Return the latest corrections, at most `limit`, oldest first."""
        with self._reading() as base:
            return reading.corrections(base, reading.Wanted(site, class_name, limit=limit))

    def register(self, transports: Sequence[str]) -> None:
        """Let messages wait for these transports, and for no others any more.

        A new one gets what is put in from now on; the first ones get all that waits. Where others
        are gone, a new one also gets their count events, stock and latest totals.
        """
        with self.transaction() as entry:
            dropped = outbox.register(self._base, transports)
            entry.changed.add("kinds")
        if dropped:
            _log.warning("%d messages that waited for transports that are gone dropped", dropped)

    def limit(self, bounds: OutboxBounds) -> None:
        """Bound the outbox otherwise, from the next message on."""
        self._bounds = bounds

    def newest(self) -> int:
        """Return the id of the message that was put in last; 0 where none waits."""
        with self._reading() as base:
            return outbox.newest(base)

    def pending(
        self,
        transport: str | None,
        limit: int,
        *,
        after: int = 0,
        until: int | None = None,
        urgent: bool | None = None,
        without: Collection[str] = (),
    ) -> list[OutboxMessage]:
        """Return messages that wait for a transport (None: any), oldest first: after < id <= until.

        urgent: False: detections alone, True: all but them, None: all. without: topics left out.
        """
        with self._reading() as base:
            return outbox.pending(
                base, transport, limit, after, until, urgent=urgent, without=without
            )

    def of_topic(self, transport: str, topic: str) -> list[int]:
        """Return the ids of all messages that wait for a transport under a topic."""
        with self._reading() as base:
            return outbox.of_topic(base, transport, topic)

    def delivered(self, transport: str, ids: Iterable[int]) -> None:
        """Note what a transport delivered; ids that the outbox does not hold are no error."""
        with self.transaction(lasting=False) as entry:
            outbox.delivered(self._base, transport, ids)
            entry.changed.add("kinds")

    def refused(self, transport: str, ids: Sequence[int]) -> None:
        """Note what a transport will never take, and count it as dropped."""
        with self.transaction() as entry:
            outbox.count_dropped(self._base, ids)
            outbox.delivered(self._base, transport, ids)
            entry.changed.add("kinds")

    def drop_outdated(self) -> None:
        """Take messages out that waited too long, and count them."""
        with self._reading() as base:
            ids = outbox.outdated(base, self._bounds, self._clock())
        if ids:
            with self.transaction() as entry:
                outbox.drop(self._base, ids)
                entry.changed.add("kinds")

    def follow_clock(self, jump: float) -> None:
        """Let what waits get no older by a clock that was set, `jump` seconds forward."""
        with self.transaction():
            outbox.follow_clock(self._base, jump, self._clock())

    def waiting(self, transport: str | None = None) -> int:
        """Count the messages that a transport, or any, did not deliver."""
        with self._reading() as base:
            return outbox.waiting(base, transport)

    def status(self) -> OutboxStatus:
        """Tell how the outbox is."""
        with self._reading() as base:
            return outbox.status(base, self._clock())

    @property
    def carried(self) -> Carried:
        """What another file would go on with, as of the latest transaction; reads nothing."""
        with self._lock:
            return self._carried

    def go_on_with(self, carried: Carried) -> None:
        """Take over the counts of a ledger that can't be used; this one has just begun."""
        with self.transaction() as entry:
            carried.write(self._base)
            entry.changed |= carried.tables

    def salvage_messages(self, path: Path) -> None:
        """Take over the messages that wait in a damaged file, as far as they can be read."""
        with self.transaction() as entry:
            salvage_messages(path, self._base)
            entry.changed |= {"kinds", "outbox"}

    def count_lost(self, known: Carried) -> int:
        """Count as dropped what waited in a ledger and does not here; return how much it is."""
        with self.transaction() as entry:
            entry.changed.add("kinds")
            return known.count_lost(self._base)

    def copy(self) -> Ledger:
        """Copy everything into memory; a file that was deleted can be read until it is closed."""
        other = Ledger(None, sites=self._sites, bounds=self._bounds, clock=self._clock)
        with self._reading() as base, other._reading() as target:
            base.backup(target)
            other._carried = Carried.read(target)
        return other

    def write_to(self, path: Path) -> None:
        """Copy everything into a new file."""
        with self._reading() as base, closing(sqlite3.connect(path)) as target:
            base.backup(target)

    def absorb(self, other: Ledger, began_with: Carried) -> None:
        """Add what `other` counted since `began_with`, and the messages that wait in it."""
        with self.transaction() as entry, other._reading() as base:
            began_with.add_since(base, self._base, entry)

    def check_place(self) -> None:
        """LedgerError where the file was moved or deleted: SQLite would write on to nowhere."""
        if self._path is None:
            return
        try:
            is_there = self._path.stat().st_ino == self._place
        except FileNotFoundError:
            is_there = False
        except OSError as error:
            raise LedgerError(f"ledger {self._name}: {error.strerror}") from None
        if not is_there:
            raise LedgerError(f"ledger {self._name} was moved or deleted", gone=True)

    def close(self) -> None:
        """Close the file. Nothing is lost without it."""
        with self._lock:
            self._base.close()

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._lock, self._told():
            yield self._base

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.ProgrammingError:
            raise  # a defect of the program, not of the disk
        except sqlite3.Error as error:
            # What is no database or a malformed one is told apart by its class alone before
            # Python 3.11: the codes SQLITE_NOTADB and SQLITE_CORRUPT, see sqlite3's util.c.
            damaged = type(error) is sqlite3.DatabaseError
            advice = "it is damaged" if damaged else why_not(self._path)
            text = f"ledger {self._name}: {error}; {advice}"
            raise LedgerError(text, damaged=damaged) from error
