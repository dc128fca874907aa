"""What can be read of a file that can't be used, and what is known all the same."""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from edgetally.counting.ledger import reading
from edgetally.counting.ledger.carrying import (
    HISTORIES,
    TABLES,
    Carried,
    Rows,
    add_messages,
    moved_since,
)
from edgetally.counting.ledger.entry import ANY_STREAM, number_never_given
from edgetally.counting.ledger.ways import connected, ways_to_open

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def salvaged(path: Path, known: Carried, now: float) -> Carried:
    """Add what can be read of a file that can't be used to what was known.

    Totals and stock that can't be read are counted anew from the histories. Sequence numbers
    that can't be read go on from one that was never given out. now: seconds since the Unix epoch.
    """
    if not _may_hold_something(path):
        return known
    found = known
    for base in _ways_to_open(path):
        for table in {*TABLES, *HISTORIES} - set(found.rows):
            with suppress(sqlite3.Error):
                found = found.renewed(base, {table})
        for table, count in {"totals": _totals, "stock": _stock}.items():
            with suppress(sqlite3.Error):
                if table not in found.rows:
                    found = replace(found, rows={**found.rows, table: count(base)})
        if set(TABLES) <= set(found.rows) or _is_empty(base):
            return found
    if "sequences" not in found.rows:
        first = ((ANY_STREAM, number_never_given(now)),)
        found = replace(found, rows={**found.rows, "sequences": first})
    return found


def salvage_messages(path: Path, target: sqlite3.Connection) -> None:
    """Take over the messages of a damaged file, as far as they can be read."""
    for base in _ways_to_open(path):
        add_messages(base, target)
        if target.execute("SELECT EXISTS (SELECT 1 FROM outbox)").fetchone()[0]:
            return


def _totals(base: sqlite3.Connection) -> Rows:
    query = "SELECT camera, line, class, direction, COUNT(*) FROM events GROUP BY 1, 2, 3, 4"
    return tuple(base.execute(query).fetchall())


def _stock(base: sqlite3.Connection) -> Rows:
    crossings = reading.crossings(base)
    corrections = {(c.site, c.class_name): c for c in reading.corrections(base)}
    query = (
        "SELECT site, class, SUM(direction = 'in'), SUM(direction = 'out') FROM events "
        "GROUP BY 1, 2"
    )
    moved = {(site, class_name): both for site, class_name, *both in base.execute(query)}
    rows = []
    for place in {*moved, *corrections}:
        into, out = moved.get(place, (0, 0))
        correction = corrections.get(place)
        count = correction.count + moved_since(correction, crossings) if correction else into - out
        rows.append((*place, count - into + out, into, out))
    return tuple(rows)


def _may_hold_something(path: Path) -> bool:
    try:
        return path.stat().st_size > 0
    except FileNotFoundError:
        return False
    except OSError:
        return True


def _ways_to_open(path: Path) -> Iterator[sqlite3.Connection]:
    for way in ways_to_open(path):
        with suppress(sqlite3.Error), closing(connected(path, way)) as base:
            yield base


def _is_empty(base: sqlite3.Connection) -> bool:
    with suppress(sqlite3.Error):
        (tables,) = base.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
        return bool(tables == 0)
    return False
