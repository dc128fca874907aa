"""`Carried`: what goes on when the ledger's file can't, and how it comes back together."""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from edgetally.counting.ledger import outbox, reading
from edgetally.counting.ledger.entry import ANY_STREAM, number_never_given

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from edgetally.counting.ledger.entry import Entry
    from edgetally.counting.ledger.values import Correction, RecordedCrossing

TABLES = {
    "totals": (
        "SELECT camera, line, class, direction, count FROM totals",
        "INSERT OR REPLACE INTO totals VALUES (?, ?, ?, ?, ?)",
    ),
    "stock": (
        "SELECT site, class, baseline, moved_in, moved_out FROM stock",
        "INSERT OR REPLACE INTO stock VALUES (?, ?, ?, ?, ?)",
    ),
    "sequences": (
        "SELECT stream, last FROM sequences",
        """INSERT INTO sequences VALUES (?, ?)
        ON CONFLICT DO UPDATE SET last = MAX(last, excluded.last)""",
    ),
    "kinds": (
        "SELECT kind, dropped, waiting FROM kinds",
        """INSERT INTO kinds (kind, dropped) VALUES (?, ?)
        ON CONFLICT DO UPDATE SET dropped = excluded.dropped""",
    ),
}
HISTORIES = ("events", "corrections", "outbox")
Rows = tuple[tuple[Any, ...], ...]


@dataclass(frozen=True)
class Carried:
    """The totals, the stock, the sequence numbers and how much was dropped, without the history.

    rows: of each table that could be read. last_event, last_correction, last_message: ids of the
    latest; None where nothing is known of the file.
    """

    rows: Mapping[str, Rows] = field(default_factory=dict)
    last_event: int | None = None
    last_correction: int | None = None
    last_message: int | None = None

    @classmethod
    def read(cls, base: sqlite3.Connection) -> Carried:
        """Read everything. sqlite3.Error where it can't be read."""
        return cls().renewed(base, {*TABLES, *HISTORIES})

    def renewed(self, base: sqlite3.Connection, changed: set[str]) -> Carried:
        """Read what has changed anew."""
        if not changed:
            return self
        rows = {
            table: tuple(base.execute(query).fetchall())
            for table, (query, _) in TABLES.items()
            if table in changed
        }
        found = replace(self, rows={**self.rows, **rows})
        if "events" in changed:
            found = replace(found, last_event=_last(base, "events"))
        if "corrections" in changed:
            found = replace(found, last_correction=_last(base, "corrections"))
        if "outbox" in changed:
            found = replace(found, last_message=_last(base, "outbox"))
        return found

    def standing_on(self, file: Carried) -> Carried:
        """Tell what is in a new file that goes on with this; its histories begin anew."""
        return replace(file, rows=self.rows)

    def renumbered(self, now: float) -> Carried:
        """Go on with numbers that were never given out; now: seconds since the Unix epoch.

        In memory: should what is counted there be lost, the file gives out those after its own.
        """
        known = [last for _, last in self.rows.get("sequences", ())]
        beyond = max([number_never_given(now), *known])
        return replace(self, rows={**self.rows, "sequences": ((ANY_STREAM, beyond),)})

    @property
    def numbers_from(self) -> int | None:
        """The number that all streams begin after; None where each stream's is known."""
        last: dict[str, int] = dict(self.rows.get("sequences", ()))
        return last.get(ANY_STREAM)

    @property
    def is_empty(self) -> bool:
        """Whether nothing was ever counted or numbered."""
        return not any(self.rows.get(table) for table in ("totals", "stock", "sequences"))

    @property
    def tables(self) -> set[str]:
        """What could be read."""
        return set(self.rows)

    def write(self, base: sqlite3.Connection) -> None:
        """Begin a new file with it."""
        for table, rows in self.rows.items():
            columns = 2 if table == "kinds" else None  # what waits is counted as it is put in
            base.executemany(TABLES[table][1], [row[:columns] for row in rows])

    def count_lost(self, base: sqlite3.Connection) -> int:
        """Count as dropped what waited and does not in the new file; return how much it is."""
        waits = dict(base.execute("SELECT kind, waiting FROM kinds").fetchall())
        lost = {
            kind: waiting - waits.get(kind, 0)
            for kind, _, waiting in self.rows.get("kinds", ())
            if waiting > waits.get(kind, 0)
        }
        base.executemany(
            "UPDATE kinds SET dropped = dropped + ? WHERE kind = ?",
            [(count, kind) for kind, count in lost.items()],
        )
        return sum(lost.values())

    def add_since(self, memory: sqlite3.Connection, disk: sqlite3.Connection, entry: Entry) -> None:
        """Add what was counted in `memory`, which began with this, to the file; `entry` is its.

        A transaction whose end failed may have reached the file nevertheless, and was then
        counted in memory as well; its crossings are the first there, and are not added again. Its
        messages are told as those in memory, under the numbers they have there.
        """
        seen_twice = 0
        if self.last_event is not None:
            seen_twice = max(0, _last(disk, "events") - self.last_event)
        if self.last_message is not None:  # another process only tells of corrections
            disk.execute(
                "DELETE FROM outbox WHERE kind <> 'stock' AND id > ?", (self.last_message,)
            )
        corrected = self._corrected_beside(disk)
        crossings = reading.crossings(memory)
        for crossing in crossings[seen_twice:]:
            entry.add(crossing.event, crossing.site)
        for happened in reading.zone_events(memory):
            entry.add_zone(happened.event, happened.site)
        _add_corrections(memory, disk, corrected, crossings)
        (select, insert) = TABLES["sequences"]
        disk.executemany(insert, [row for row in memory.execute(select) if row[0] != ANY_STREAM])
        before = {kind: dropped for kind, dropped, _ in self.rows.get("kinds", ())}
        for kind, dropped, _ in memory.execute(TABLES["kinds"][0]).fetchall():
            disk.execute("INSERT OR IGNORE INTO kinds (kind) VALUES (?)", (kind,))
            disk.execute(
                "UPDATE kinds SET dropped = dropped + ? WHERE kind = ?",
                (dropped - before.get(kind, 0), kind),
            )
        add_messages(memory, disk)
        entry.changed |= {*TABLES, *HISTORIES}

    def _corrected_beside(self, disk: sqlite3.Connection) -> list[Correction]:
        """Corrections that somebody wrote to the file while it was counted in memory."""
        if self.last_correction is None:
            return []
        new = _last(disk, "corrections") - self.last_correction
        return reading.corrections(disk, reading.Wanted(limit=max(0, new)))


def add_messages(source: sqlite3.Connection, target: sqlite3.Connection) -> None:
    """Let the messages that wait in one ledger wait in another, for those who have not got them."""
    ids = []
    for number, *columns in _messages(source):
        size = len(columns[-1].encode()) + len(columns[-2].encode())
        target.execute(
            "INSERT OR IGNORE INTO outbox (id, kind, time, bytes, topic, body) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            (number, *columns[:2], size, *columns[2:]),
        )
        ids.append(number)
    with suppress(sqlite3.Error):  # a damaged one: everybody gets everything
        for transport, name in source.execute("SELECT id, name FROM transports").fetchall():
            rows = source.execute(
                "SELECT message FROM undelivered WHERE transport = ?", (transport,)
            )
            waiting = {message for (message,) in rows}
            outbox.delivered(target, name, [number for number in ids if number not in waiting])


def _messages(source: sqlite3.Connection) -> Iterator[tuple[Any, ...]]:
    query = "SELECT id, kind, time, topic, body FROM outbox ORDER BY id"
    with suppress(sqlite3.Error):  # a damaged one: up to where it is
        yield from source.execute(query)


def _add_corrections(
    memory: sqlite3.Connection,
    disk: sqlite3.Connection,
    beside: list[Correction],
    crossings: list[RecordedCrossing],
) -> None:
    """What somebody counted is right, whatever the file says; the latest who did, most of all."""
    corrections = reading.corrections(memory)
    disk.executemany(
        "INSERT OR IGNORE INTO corrections VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (c.site, c.class_name, c.count, c.before, c.author, c.note, c.time, c.request_id)
            for c in corrections
        ],
    )
    stock = reading.stock(memory)
    latest = {(c.site, c.class_name): c for c in sorted(corrections, key=lambda c: c.time)}
    counts = {place: stock[place[0]][place[1]].count for place in latest}
    for c in beside:
        place = (c.site, c.class_name)
        if place not in latest or c.time >= latest[place].time:
            counts[place] = c.count + moved_since(c, crossings)
    for (site, class_name), count in counts.items():
        disk.execute(
            "INSERT INTO stock VALUES (?, ?, ?, 0, 0) "
            "ON CONFLICT DO UPDATE SET baseline = ? - moved_in + moved_out",
            (site, class_name, count, count),
        )


def moved_since(correction: Correction, crossings: list[RecordedCrossing]) -> int:
    """Count what came in and did not go out after somebody counted."""
    return sum(
        1 if crossing.event.direction == "in" else -1
        for crossing in crossings
        if crossing.time > correction.time
        and (crossing.site, crossing.event.class_name) == (correction.site, correction.class_name)
    )


def _last(base: sqlite3.Connection, table: str) -> int:
    (last,) = base.execute(f"SELECT COALESCE(MAX(id), 0) FROM {table}").fetchone()  # noqa: S608
    return int(last)
