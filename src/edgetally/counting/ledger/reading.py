"""What is read from the ledger's tables."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgetally.counting.events import CountEvent, ZoneEvent
from edgetally.counting.ledger.values import (
    Correction,
    RecordedCrossing,
    RecordedZoneEvent,
    SeenStock,
    Stock,
)

if TYPE_CHECKING:
    import sqlite3

    from edgetally.counting.ledger.values import Record, Totals

_WANTED = (
    "WHERE (:site IS NULL OR site = :site) AND (:class IS NULL OR class = :class) "
    "AND time >= :since AND time < :until ORDER BY id DESC LIMIT :limit"
)
_CORRECTIONS = "SELECT site, class, count, before, author, note, time, request FROM corrections "


@dataclass(frozen=True)
class Wanted:
    """Which records: the latest `limit` (-1: all) with since <= time < until; None: any."""

    site: str | None = None
    class_name: str | None = None
    since: float = -math.inf
    until: float = math.inf
    limit: int = -1


_ALL = Wanted()


def totals(base: sqlite3.Connection) -> Totals:
    """Count the crossings since the ledger began."""
    found: Totals = {}
    rows = base.execute(
        "SELECT camera, line, class, direction, count FROM totals ORDER BY 1, 2, 3"
    ).fetchall()
    for camera, line, class_name, direction, count in rows:
        classes = found.setdefault(camera, {}).setdefault(line, {})
        classes.setdefault(class_name, {"in": 0, "out": 0})[direction] = count
    return found


def stock(base: sqlite3.Connection) -> dict[str, dict[str, Stock]]:
    """Return the stock by site and class."""
    found: dict[str, dict[str, Stock]] = {}
    for site, class_name, *numbers in base.execute(
        "SELECT site, class, baseline, moved_in, moved_out FROM stock ORDER BY 1, 2"
    ):
        found.setdefault(site, {})[class_name] = Stock(*numbers)
    return found


def crossings(base: sqlite3.Connection, wanted: Wanted = _ALL) -> list[RecordedCrossing]:
    """Return crossings, oldest first."""
    return [
        RecordedCrossing(site, CountEvent(*(*columns, (x, y))))
        for site, *columns, x, y in _rows(
            base,
            "SELECT site, camera, line, direction, class, track_id, time, score, x, y FROM events ",
            wanted,
        )
    ]


def zone_events(base: sqlite3.Connection, wanted: Wanted = _ALL) -> list[RecordedZoneEvent]:
    """Return what happened in zones, oldest first."""
    return [
        RecordedZoneEvent(site, ZoneEvent(*columns))
        for site, *columns in _rows(
            base,
            "SELECT site, camera, zone, kind, class, track_id, time, seconds FROM zone_events ",
            wanted,
        )
    ]


def corrections(base: sqlite3.Connection, wanted: Wanted = _ALL) -> list[Correction]:
    """Return corrections, oldest first."""
    return [Correction(*row) for row in _rows(base, _CORRECTIONS, wanted)]


def correction_of(base: sqlite3.Connection, request_id: str) -> Correction | None:
    """Return the correction that a message asked for, if it was made."""
    row = base.execute(_CORRECTIONS + "WHERE request = ?", (request_id,)).fetchone()
    return None if row is None else Correction(*row)


def seen(base: sqlite3.Connection) -> SeenStock:
    """Return what zones that see a site's stock saw last."""
    counts: dict[str, dict[str, int]] = {}
    latest: float | None = None
    query = "SELECT site, class, count, time FROM seen ORDER BY 1, 2"
    for site, class_name, count, time in base.execute(query):
        counts.setdefault(site, {})[class_name] = count
        latest = time
    return SeenStock(counts, latest)


def history(base: sqlite3.Connection, wanted: Wanted) -> list[Record]:
    """Return all of that, oldest first."""
    records: list[Record] = [
        *crossings(base, wanted),
        *zone_events(base, wanted),
        *corrections(base, wanted),
    ]
    records.sort(key=lambda record: record.time)
    return records if wanted.limit < 0 else records[-wanted.limit :]


def _rows(base: sqlite3.Connection, query: str, wanted: Wanted) -> list[tuple[Any, ...]]:
    values = {
        "site": wanted.site,
        "class": wanted.class_name,
        "since": wanted.since,
        "until": wanted.until,
        "limit": wanted.limit,
    }
    return base.execute(query + _WANTED, values).fetchall()[::-1]
