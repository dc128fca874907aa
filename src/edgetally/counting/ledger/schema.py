"""The tables of the ledger's file: its format, and how an older one is brought to it.

The outbox keeps itself, by triggers, whichever process writes: a message that is put in waits for
each transport, and leaves once none waits for it; `kinds` counts them.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from edgetally.errors import InputError

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping

FILE_NAME = "ledger.sqlite"
DEFAULT_SITE = "site"
"""Where a camera is of which nothing else is known, as in the configuration."""
VERSION = 2

_EVENTS = """CREATE TABLE events (
    id INTEGER PRIMARY KEY, camera TEXT NOT NULL, line TEXT NOT NULL, direction TEXT NOT NULL,
    class TEXT NOT NULL, track_id INTEGER NOT NULL, time REAL NOT NULL, score REAL NOT NULL,
    x REAL NOT NULL, y REAL NOT NULL, site TEXT NOT NULL DEFAULT 'site'
)"""
_TOTALS = """CREATE TABLE totals (
    camera TEXT NOT NULL, line TEXT NOT NULL, class TEXT NOT NULL, direction TEXT NOT NULL,
    count INTEGER NOT NULL, PRIMARY KEY (camera, line, class, direction)
)"""
_SEQUENCES = "CREATE TABLE sequences (stream TEXT PRIMARY KEY, last INTEGER NOT NULL)"
_ADDED_IN_2 = (
    """CREATE TABLE zone_events (
        id INTEGER PRIMARY KEY, site TEXT NOT NULL, camera TEXT NOT NULL, zone TEXT NOT NULL,
        kind TEXT NOT NULL, class TEXT NOT NULL, track_id INTEGER NOT NULL, time REAL NOT NULL,
        seconds REAL NOT NULL
    )""",
    """CREATE TABLE corrections (
        id INTEGER PRIMARY KEY, site TEXT NOT NULL, class TEXT NOT NULL, count INTEGER NOT NULL,
        before INTEGER NOT NULL, author TEXT NOT NULL, note TEXT NOT NULL, time REAL NOT NULL,
        request TEXT UNIQUE
    )""",
    """CREATE TABLE seen (
        site TEXT NOT NULL, class TEXT NOT NULL, count INTEGER NOT NULL, time REAL NOT NULL,
        PRIMARY KEY (site, class)
    )""",
    """CREATE TABLE stock (
        site TEXT NOT NULL, class TEXT NOT NULL, baseline INTEGER NOT NULL,
        moved_in INTEGER NOT NULL, moved_out INTEGER NOT NULL, PRIMARY KEY (site, class)
    )""",
    """CREATE TABLE outbox (
        id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, time REAL NOT NULL,
        bytes INTEGER NOT NULL, topic TEXT NOT NULL, body TEXT NOT NULL
    )""",
    "CREATE INDEX outbox_by_kind ON outbox (kind, id)",
    "CREATE TABLE transports (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE)",
    # For whom messages wait until a service has said which transports it has.
    "INSERT INTO transports VALUES (0, '')",
    """CREATE TABLE undelivered (
        transport INTEGER NOT NULL, urgent INTEGER NOT NULL, message INTEGER NOT NULL,
        PRIMARY KEY (transport, urgent, message)
    ) WITHOUT ROWID""",
    """CREATE TABLE kinds (
        kind TEXT PRIMARY KEY, waiting INTEGER NOT NULL DEFAULT 0,
        bytes INTEGER NOT NULL DEFAULT 0, dropped INTEGER NOT NULL DEFAULT 0
    )""",
    """CREATE TRIGGER put_in AFTER INSERT ON outbox BEGIN
        INSERT INTO undelivered
            SELECT id, new.kind <> 'detections', new.id FROM transports;
        INSERT OR IGNORE INTO kinds (kind) VALUES (new.kind);
        UPDATE kinds SET waiting = waiting + 1, bytes = bytes + new.bytes WHERE kind = new.kind;
    END""",
    """CREATE TRIGGER taken_out AFTER DELETE ON outbox BEGIN
        DELETE FROM undelivered WHERE transport IN (SELECT id FROM transports)
            AND urgent IN (0, 1) AND message = old.id;
        UPDATE kinds SET waiting = waiting - 1, bytes = bytes - old.bytes WHERE kind = old.kind;
    END""",
    """CREATE TRIGGER delivered_by_all AFTER DELETE ON undelivered
    WHEN NOT EXISTS (
        SELECT 1 FROM transports CROSS JOIN undelivered ON transport = transports.id
            AND urgent = old.urgent AND message = old.message
    ) BEGIN
        DELETE FROM outbox WHERE id = old.message;
    END""",
)
_TABLES_OF_1 = {"events", "totals", "sequences", "outbox"}
_TABLES = {*_TABLES_OF_1, "zone_events", "corrections", "stock"}
_TABLES |= {"seen", "transports", "undelivered", "kinds"}


def version_of(base: sqlite3.Connection, name: str) -> int | None:
    """Return the format of a file, 0 where it is empty; None where tables of ours are missing.

    InputError where the file is newer, or no ledger.
    """
    (version,) = base.execute("PRAGMA user_version").fetchone()
    query = "SELECT name FROM sqlite_master WHERE type = 'table'"
    tables = {table for (table,) in base.execute(query)}
    if version > VERSION:
        raise InputError(
            f"{name} has format {version}, this edgetally reads {VERSION}; "
            "update edgetally, or give another folder"
        )
    if version == 0 and tables:
        raise InputError(f"{name} is no ledger of edgetally; move it away to begin a new ledger")
    expected = {0: set[str](), 1: _TABLES_OF_1, VERSION: _TABLES}
    return int(version) if tables >= expected[version] else None


def bring_up(base: sqlite3.Connection, version: int, sites: Mapping[str, str], now: float) -> None:
    """Make the tables in an empty file, or bring an older one to this format; all or nothing.

    sites: of cameras, for what was counted before the ledger knew sites. now: when messages that
    wait have begun to, for all one knows.
    """
    base.execute("BEGIN IMMEDIATE")
    try:
        if version == 0:
            for statement in (_EVENTS, _TOTALS, _SEQUENCES, *_ADDED_IN_2):
                base.execute(statement)
        else:
            _bring_from_1(base, sites, now)
        base.execute(f"PRAGMA user_version = {VERSION}")
        base.execute("COMMIT")
    except BaseException:
        if base.in_transaction:
            base.execute("ROLLBACK")
        raise


def _bring_from_1(base: sqlite3.Connection, sites: Mapping[str, str], now: float) -> None:
    base.execute("ALTER TABLE events ADD COLUMN site TEXT NOT NULL DEFAULT 'site'")
    base.execute("ALTER TABLE outbox RENAME TO outbox_1")
    for statement in _ADDED_IN_2:
        base.execute(statement)
    for camera, site in sites.items():
        base.execute("UPDATE events SET site = ? WHERE camera = ?", (site, camera))
    counted = base.execute("SELECT camera, class, direction, count FROM totals").fetchall()
    for camera, class_name, direction, count in counted:
        into = (count, 0) if direction == "in" else (0, count)
        base.execute(
            "INSERT INTO stock VALUES (?, ?, 0, ?, ?) ON CONFLICT DO UPDATE SET "
            "moved_in = moved_in + excluded.moved_in, moved_out = moved_out + excluded.moved_out",
            (sites.get(camera, DEFAULT_SITE), class_name, *into),
        )
    for number, topic, body in base.execute("SELECT id, topic, body FROM outbox_1 ORDER BY id"):
        base.execute(
            "INSERT INTO outbox VALUES (?, ?, ?, ?, ?, ?)",
            (number, _kind_of(body), now, len(topic.encode()) + len(body.encode()), topic, body),
        )
    base.execute("DROP TABLE outbox_1")


def _kind_of(body: str) -> str:
    try:
        schema = json.loads(body)["schema"]
    except (ValueError, TypeError, KeyError):
        return "count_event"  # what is kept longest
    return str(schema).removeprefix("edgetally.").partition("/")[0]
