"""The outbox in the ledger's file: which message waits for which transport.

`schema` tells what the tables do by themselves.
"""

from __future__ import annotations

import heapq
import json
from typing import TYPE_CHECKING, get_args

from edgetally.counting.ledger.values import MessageKind, OutboxMessage, OutboxStatus

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    from edgetally.counting.ledger.values import OutboxBounds

_FADING = (
    "detections",
    "health",
    "inference_result",
    "inventory_response",
    "model_response",
    "inventory",
)
_NO_END = 2**63 - 1
_NONE_YET = 0  # the transport that everything waits for before any is known
_LASTING = (
    "(kind IN ('count_event', 'stock') OR "
    "outbox.id = (SELECT MAX(id) FROM outbox WHERE kind = 'inventory'))"
)
_SHARE = 15 / 16  # of the room, for one of several transports


def register(base: sqlite3.Connection, names: Sequence[str]) -> int:
    """Let messages wait for these transports, and for no others any more.

    A new one gets what is put in from now on; in a ledger that knew none before, all that waits.
    Where others are gone, which may be the same under an earlier name, the new ones get what of
    theirs has lasting worth. Return how many messages were dropped for those that are gone.
    """
    known = dict(base.execute("SELECT name, id FROM transports").fetchall())
    gone = [number for name, number in known.items() if name not in names]
    added = [name for name in names if name not in known]
    for name in added:
        base.execute("INSERT INTO transports (name) VALUES (?)", (name,))
        for number in gone:
            base.execute(
                "INSERT OR IGNORE INTO undelivered "  # noqa: S608
                "SELECT transports.id, urgent, message FROM undelivered "
                "JOIN transports ON transports.name = :name JOIN outbox ON outbox.id = message "
                f"WHERE transport = :gone AND (:gone = {_NONE_YET} OR {_LASTING})",
                {"name": name, "gone": number},
            )
    dropped: set[int] = set()
    for number in gone:
        if number != _NONE_YET:
            lost = f"NOT {_LASTING}" if added else "TRUE"
            rows = base.execute(
                "SELECT message FROM undelivered JOIN outbox ON outbox.id = message "  # noqa: S608
                f"WHERE transport = ? AND {lost}",
                (number,),
            )
            dropped |= {message for (message,) in rows}
    count_dropped(base, dropped)
    for number in gone:
        # Its messages first: they go with the last transport that they wait for.
        base.execute("DELETE FROM undelivered WHERE transport = ?", (number,))
        base.execute("DELETE FROM transports WHERE id = ?", (number,))
    return len(dropped)


def newest(base: sqlite3.Connection) -> int:
    """Return the id of the message that was put in last; 0 before the first."""
    (number,) = base.execute("SELECT COALESCE(MAX(id), 0) FROM outbox").fetchone()
    return int(number)


def pending(
    base: sqlite3.Connection,
    transport: str | None,
    limit: int,
    after: int,
    until: int | None,
    *,
    urgent: bool | None,
    without: Collection[str] = (),
) -> list[OutboxMessage]:
    """Return messages that wait, oldest first: after < id <= until.

    transport: None: any. urgent: False: detections alone, True: all but them, None: all.
    without: topics left out.
    """
    last = _NO_END if until is None else until
    omitted = json.dumps(list(without))
    if transport is None:
        rows = base.execute(
            "SELECT id, topic, body FROM outbox WHERE id > ? AND id <= ? "
            "AND topic NOT IN (SELECT value FROM json_each(?)) ORDER BY id LIMIT ?",
            (after, last, omitted, limit),
        )
        return [OutboxMessage(*row) for row in rows]
    found = (
        base.execute(
            "SELECT outbox.id, topic, body FROM undelivered JOIN outbox ON outbox.id = message "
            "WHERE transport = (SELECT id FROM transports WHERE name = ?) AND urgent = ? "
            "AND message > ? AND message <= ? "
            "AND topic NOT IN (SELECT value FROM json_each(?)) ORDER BY message LIMIT ?",
            (transport, wanted, after, last, omitted, limit),
        ).fetchall()
        for wanted in ((False, True) if urgent is None else (urgent,))
    )
    return [OutboxMessage(*row) for row in heapq.merge(*found)][:limit]


def of_topic(base: sqlite3.Connection, transport: str, topic: str) -> list[int]:
    """Return the ids of all messages that wait for a transport under a topic."""
    rows = base.execute(
        "SELECT outbox.id FROM undelivered JOIN outbox ON outbox.id = message "
        "WHERE transport = (SELECT id FROM transports WHERE name = ?) AND topic = ? ORDER BY 1",
        (transport, topic),
    )
    return [number for (number,) in rows]


def delivered(base: sqlite3.Connection, transport: str, ids: Iterable[int]) -> None:
    """Forget messages that a transport delivered; ids that are not there are no error."""
    base.executemany(
        "DELETE FROM undelivered WHERE transport = (SELECT id FROM transports WHERE name = ?) "
        "AND urgent IN (0, 1) AND message = ?",
        ((transport, number) for number in ids),
    )


def waiting(base: sqlite3.Connection, transport: str | None) -> int:
    """Count the messages that wait for a transport; None: for any."""
    if transport is None:
        query = "SELECT COALESCE(SUM(waiting), 0) FROM kinds"
        (count,) = base.execute(query).fetchone()
    else:
        query = (
            "SELECT COUNT(*) FROM undelivered "
            "WHERE transport = (SELECT id FROM transports WHERE name = ?)"
        )
        (count,) = base.execute(query, (transport,)).fetchone()
    return int(count)


def status(base: sqlite3.Connection, now: float) -> OutboxStatus:
    """Tell how the outbox is."""
    rows = base.execute("SELECT kind, waiting, bytes, dropped FROM kinds ORDER BY kind").fetchall()
    oldest = base.execute("SELECT time FROM outbox ORDER BY id LIMIT 1").fetchone()
    return OutboxStatus(
        waiting=sum(row[1] for row in rows),
        bytes=sum(row[2] for row in rows),
        dropped={kind: dropped for kind, _, _, dropped in rows if dropped},
        oldest_age=None if oldest is None else max(0.0, now - oldest[0]),
    )


def count_dropped(base: sqlite3.Connection, ids: Iterable[int]) -> None:
    """Count messages as dropped that are still there."""
    base.executemany(
        "UPDATE kinds SET dropped = dropped + 1 "
        "WHERE kind = (SELECT kind FROM outbox WHERE id = ?)",
        ((number,) for number in ids),
    )


def drop(base: sqlite3.Connection, ids: Sequence[int]) -> None:
    """Take messages out that were not delivered, and count them."""
    count_dropped(base, ids)
    base.executemany("DELETE FROM outbox WHERE id = ?", ((number,) for number in ids))


def shrink(base: sqlite3.Connection, bounds: OutboxBounds) -> None:
    """Drop what is worth least, the oldest of it first, until the rest fits.

    Where there are several transports, first for those alone that take up nearly all the room: a
    transport that nothing can be delivered to costs the others nothing.
    """
    excess = _size(base) - bounds.max_bytes
    if excess <= 0:
        return
    transports = [number for (number,) in base.execute("SELECT id FROM transports").fetchall()]
    if len(transports) > 1:
        most = int(bounds.max_bytes * _SHARE)
        lost = {transport: _lost_for(base, transport, most) for transport in transports}
        count_dropped(base, {number for ids in lost.values() for number in ids})
        base.executemany(
            "DELETE FROM undelivered WHERE transport = ? AND urgent IN (0, 1) AND message = ?",
            ((transport, number) for transport, ids in lost.items() for number in ids),
        )
        excess = _size(base) - bounds.max_bytes
    drop(base, _worth_least(excess, lambda kind: _oldest(base, kind)))


def outdated(base: sqlite3.Connection, bounds: OutboxBounds, now: float) -> list[int]:
    """Find the messages that waited too long, of the kinds that are worth less with time."""
    found = []
    for kind in _FADING:
        for number, time, _ in _oldest(base, kind):
            if time > now:  # put in under a clock that was ahead
                continue
            if now - time <= bounds.max_age:
                break
            found.append(number)
    return found


def follow_clock(base: sqlite3.Connection, jump: float, now: float) -> None:
    """Move the times of what waits with a clock that was set, and none into the future."""
    base.execute("UPDATE outbox SET time = MIN(?, time + MAX(?, 0))", (now, jump))


def _lost_for(base: sqlite3.Connection, transport: int, most: int) -> list[int]:
    """Find the least worth of what waits for a transport, beyond so many bytes."""
    query = (
        "SELECT COALESCE(SUM(bytes), 0) FROM undelivered JOIN outbox ON outbox.id = message "
        "WHERE transport = ?"
    )
    (size,) = base.execute(query, (transport,)).fetchone()
    return _worth_least(size - most, lambda kind: _oldest(base, kind, transport))


def _worth_least(
    excess: int, oldest: Callable[[str], Iterator[tuple[int, float, int]]]
) -> list[int]:
    """Choose messages of so many bytes together."""
    chosen: list[int] = []
    for kind in get_args(MessageKind):
        for number, _, size in oldest(kind) if excess > 0 else ():
            chosen.append(number)
            excess -= size
            if excess <= 0:
                break
    return chosen


def _size(base: sqlite3.Connection) -> int:
    (size,) = base.execute("SELECT COALESCE(SUM(bytes), 0) FROM kinds").fetchone()
    return int(size)


def _oldest(
    base: sqlite3.Connection, kind: str, transport: int | None = None
) -> Iterator[tuple[int, float, int]]:
    """Give (id, time, bytes) of a kind, oldest first; of the totals not the newest, never.

    transport: None: whoever it waits for.
    """
    rows: Iterator[tuple[int, float, int]] = base.execute(
        "SELECT id, time, bytes FROM outbox WHERE kind = :kind AND (kind <> 'inventory' OR "
        "id < (SELECT MAX(id) FROM outbox WHERE kind = :kind)) AND (:transport IS NULL OR "
        "EXISTS (SELECT 1 FROM undelivered WHERE transport = :transport "
        "AND urgent = (:kind <> 'detections') AND message = outbox.id)) ORDER BY id",
        {"kind": kind, "transport": transport},
    )
    yield from rows
