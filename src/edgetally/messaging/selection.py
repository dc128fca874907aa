"""`Selection`: which of the messages that wait for a transport is sent next."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from edgetally.messaging.rate import Rate

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from edgetally.messaging.outbox import Outbox, OutboxEntry
    from edgetally.messaging.resting import Resting

_BATCH = 64


class Selection:
    """Chooses among what waits for one transport.

    The backlog leaves at `rate` messages a second, oldest first. What came since goes before it,
    at once; where more comes than the transport carries, all else goes before detections. A topic
    that rests is left out, until it is due to be tried again.

    transport: its name in the outbox. on_the_way: the ids of what was sent and is not done with,
    as of now.
    """

    def __init__(
        self,
        outbox: Outbox,
        transport: str,
        rate: float,
        resting: Resting,
        on_the_way: Collection[int],
    ) -> None:
        self._outbox, self._transport = outbox, transport
        self._resting, self._on_the_way = resting, on_the_way
        self._scanned: dict[tuple[int, int | None, bool | None], int] = {}
        self._backlog_end = 0  # id of the latest message of the backlog; 0: there is none
        self.pace(rate)

    def pace(self, rate: float) -> None:
        """Let the backlog leave at so many messages a second."""
        self._rate = Rate(rate, time.monotonic())

    def begin_backlog(self, newest: int) -> None:
        """Let what was put in up to this id be the backlog."""
        self._backlog_end = newest

    def read_again(self) -> None:
        """Read all that waits again: what was skipped may be sent, or come back."""
        self._scanned.clear()

    def sent(self, number: int) -> None:
        """Note that a message was sent."""
        if number <= self._backlog_end:
            self._rate.take()

    def wait(self, now: float) -> float:
        """Return the seconds until the next of the backlog may leave; 0 where nothing is held."""
        return self._rate.wait(now) if self._backlog_end else 0.0

    def is_left(self) -> bool:
        """Whether anything waits whose topic does not rest."""
        return bool(self._outbox.pending(self._transport, 1, without=self._resting.topics))

    def next(self, *, is_closing: bool) -> Sequence[OutboxEntry]:
        """Choose what to send now; is_closing: nothing that rests is tried any more."""
        due = None if is_closing else self._resting.due(time.monotonic())
        if due:
            # Alone: a broker may close the connection over it. And a message that is not there
            # any more leaves nothing to wait for.
            if self._on_the_way:
                return ()
            return self._again(*due) or self.next(is_closing=is_closing)
        fresh = self._waiting(_BATCH, after=self._backlog_end)
        if len(fresh) < _BATCH:
            return fresh or self._backlog()
        urgent = self._waiting(_BATCH, after=self._backlog_end, urgent=True)
        return urgent or self._backlog() or fresh

    def probe(self, *, is_closing: bool) -> Sequence[OutboxEntry]:
        """Choose what a failing transport is tried with: not only what has failed before."""
        suspects = tuple(self._resting.suspects)
        for urgent in (True, None):
            if found := self._waiting(1, urgent=urgent, without=suspects):
                return found
        for suspect in suspects:
            if found := self._waiting(1, without=set(suspects) - {suspect}):
                return found
        due = None if is_closing else self._resting.due(time.monotonic())
        return self._again(*due) if due else ()

    def _again(self, topic: str, number: int) -> Sequence[OutboxEntry]:
        """Return the message to try a resting topic with."""
        found = self._outbox.pending(self._transport, 1, after=number - 1, until=number)
        if not found:
            self._resting.forget(topic)
            self.read_again()
        return found

    def _backlog(self) -> Sequence[OutboxEntry]:
        allowed = self._rate.allowed(time.monotonic())
        if not self._backlog_end or not allowed:
            return ()
        backlog = self._waiting(min(allowed, _BATCH), until=self._backlog_end)
        if not backlog and not self._on_the_way:
            self._backlog_end = 0
        return backlog

    def _waiting(
        self,
        limit: int,
        *,
        after: int = 0,
        until: int | None = None,
        urgent: bool | None = None,
        without: Collection[str] = (),
    ) -> list[OutboxEntry]:
        key = (after, until, urgent)
        newest = self._outbox.newest() if until is None else until
        entries = self._outbox.pending(
            self._transport,
            limit + len(self._on_the_way),
            after=max(after, self._scanned.get(key, 0)),
            until=until,
            urgent=urgent,
            without={*self._resting.topics, *without},
        )
        if self._resting.topics and not without:
            # What rests may be much, and is not to be read again each time.
            self._scanned[key] = entries[0].id - 1 if entries else newest
        return [entry for entry in entries if entry.id not in self._on_the_way][:limit]
