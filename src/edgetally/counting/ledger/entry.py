"""`Entry`: what may be written in one transaction."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from edgetally.counting.ledger import reading
from edgetally.counting.ledger.schema import DEFAULT_SITE
from edgetally.counting.ledger.values import Correction

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping

    from edgetally.counting.events import CountEvent, ZoneEvent
    from edgetally.counting.ledger.values import MessageKind, Stock, Totals

ANY_STREAM = ""
"""In `sequences`: what a stream goes on from that is not there: its numbers are not known, or would
be given out again."""
_IN_2020 = 1_577_836_800  # seconds; a clock that tells less was not set since it was switched on
_CLOCKLESS = 1_000_000_000_000


def number_never_given(now: float) -> int:
    """Return a number that no stream was given before; now: seconds since the Unix epoch.

    Those are the milliseconds: a stream of less than a thousand messages a second is never ahead.
    A clock that begins at the same time whenever it is switched on has them drawn, from below.
    """
    if now >= _IN_2020:
        return int(1000 * now)
    return _CLOCKLESS + secrets.randbelow(1000 * _IN_2020 - _CLOCKLESS)


class Entry:
    """What is written together, or not at all. Made by `Ledger.transaction`.

    changed: tables, beside the histories and the outbox, that it wrote to.
    """

    def __init__(self, base: sqlite3.Connection, sites: Mapping[str, str], now: float) -> None:
        self._base = base
        self._sites = sites
        self._now = now
        self.changed: set[str] = set()

    def add(self, event: CountEvent, site: str | None = None) -> None:
        """Write a count event, and add it to the totals and to its site's stock.

        site: absent: where the event's camera is.
        """
        place = site or self._site(event.camera)
        self._base.execute(
            "INSERT INTO events (camera, line, direction, class, track_id, time, score, x, y, "
            "site) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                event.camera,
                event.line,
                event.direction,
                event.class_name,
                event.track_id,
                event.time,
                event.score,
                *event.point,
                place,
            ),
        )
        self._base.execute(
            "INSERT INTO totals VALUES (?, ?, ?, ?, 1) ON CONFLICT DO UPDATE SET count = count + 1",
            (event.camera, event.line, event.class_name, event.direction),
        )
        self._base.execute(
            "INSERT INTO stock VALUES (?, ?, 0, ?, ?) ON CONFLICT DO UPDATE SET "
            "moved_in = moved_in + excluded.moved_in, moved_out = moved_out + excluded.moved_out",
            (place, event.class_name, event.direction == "in", event.direction == "out"),
        )
        self.changed |= {"totals", "stock", "events"}

    def add_zone(self, event: ZoneEvent, site: str | None = None) -> None:
        """Write down what happened in a zone; it changes no total."""
        self._base.execute(
            "INSERT INTO zone_events (site, camera, zone, kind, class, track_id, time, seconds) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                site or self._site(event.camera),
                event.camera,
                event.zone,
                event.kind,
                event.class_name,
                event.track_id,
                event.time,
                event.seconds,
            ),
        )

    def correct(
        self,
        site: str,
        class_name: str,
        count: int,
        author: str,
        note: str,
        time: float,
        request_id: str | None = None,
    ) -> Correction:
        """Write down that `count` pieces were counted at a site; its stock is that from now on.

        request_id: of the message that asked for it; it must not be that of another correction.
        """
        before = self.stock().get(site, {}).get(class_name)
        had = before.count if before else 0
        self._base.execute(
            "INSERT INTO stock VALUES (?, ?, ?, 0, 0) "
            "ON CONFLICT DO UPDATE SET baseline = ? - moved_in + moved_out",
            (site, class_name, count, count),
        )
        correction = Correction(site, class_name, count, had, author, note, time, request_id)
        self._base.execute(
            "INSERT INTO corrections VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?)",
            (site, class_name, count, had, author, note, time, request_id),
        )
        self.changed |= {"stock", "corrections"}
        return correction

    def correction_of(self, request_id: str) -> Correction | None:
        """Return the correction that a message asked for, if it was made."""
        return reading.correction_of(self._base, request_id)

    def see(self, counts: Mapping[str, Mapping[str, int]], time: float) -> None:
        """Write down what zones see of the stock now, by site and class."""
        self._base.execute("DELETE FROM seen")
        self._base.executemany(
            "INSERT INTO seen VALUES (?, ?, ?, ?)",
            [
                (site, class_name, count, time)
                for site, classes in counts.items()
                for class_name, count in classes.items()
            ],
        )

    def next_sequence(self, stream: str) -> int:
        """Give out a stream's next number: 1, 2, 3 … without gaps, but where it can't be known."""
        self._base.execute(
            "INSERT INTO sequences VALUES "
            "(?, 1 + COALESCE((SELECT last FROM sequences WHERE stream = ?), 0)) "
            "ON CONFLICT (stream) DO UPDATE SET last = last + 1",
            (stream, ANY_STREAM),
        )
        query = "SELECT last FROM sequences WHERE stream = ?"
        (number,) = self._base.execute(query, (stream,)).fetchone()
        self.changed.add("sequences")
        return int(number)

    def enqueue(self, topic: str, body: str, kind: MessageKind) -> None:
        """Put a message into the outbox, for every transport that is registered."""
        size = len(topic.encode()) + len(body.encode())
        self._base.execute(
            "INSERT INTO outbox (kind, time, bytes, topic, body) SELECT ?, ?, ?, ?, ? "
            "WHERE EXISTS (SELECT 1 FROM transports)",
            (kind, self._now, size, topic, body),
        )
        self.changed |= {"kinds", "outbox"}

    def totals(self) -> Totals:
        """Count the crossings, those of this transaction included."""
        return reading.totals(self._base)

    def stock(self) -> dict[str, dict[str, Stock]]:
        """Return the stock by site and class, this transaction included."""
        return reading.stock(self._base)

    def _site(self, camera: str) -> str:
        return self._sites.get(camera, DEFAULT_SITE)
