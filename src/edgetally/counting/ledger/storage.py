"""`Storage`: the ledger that a service keeps, on the disk as long as the disk lets it.

Where it does not (it is full, read-only or broken, the file is damaged), counting goes on in
memory with the totals that were known, and what was counted meanwhile is written once the disk
works again. Numbers in memory are others than the disk's next ones, which the next run gives out
if that never happens. A damaged file is set aside, and a new one goes on. So does one after a file
that was moved or deleted, with all that was in it.
"""

from __future__ import annotations

import logging
import threading
import time as clocks
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from edgetally.counting.ledger.carrying import Carried
from edgetally.counting.ledger.ledger import Ledger, LedgerError
from edgetally.counting.ledger.opening import Opening, told, unknown
from edgetally.counting.ledger.salvaging import salvaged
from edgetally.counting.ledger.values import OutboxBounds, StorageState
from edgetally.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from pathlib import Path

    from edgetally.counting.ledger.entry import Entry
    from edgetally.counting.ledger.values import OutboxMessage, OutboxStatus, Stock, Totals

_log = logging.getLogger(__name__)
_T = TypeVar("_T")
_JUMP = 30.0  # seconds; a clock that is merely trimmed makes less
_MOST_IN_MEMORY = 8_000_000  # bytes of messages


class Storage:
    """Keeps the ledger of a folder. Any thread may use it; a broken disk is no error.

    >>> storage.write(lambda entry: entry.add(event))  # doctest: +SKIP
    """

    def __init__(
        self,
        folder: Path,
        *,
        sites: Mapping[str, str] | None = None,
        bounds: OutboxBounds | None = None,
        clock: Callable[[], float] = clocks.time,
        steady: Callable[[], float] = clocks.monotonic,
        retry: float = 10.0,
    ) -> None:
        """Open the ledger in `folder`, or begin one.

        sites: where each camera is. clock: seconds since the Unix epoch; steady: that never go
        back. retry: seconds between two tries to write to a disk that did not let it.

        InputError where the folder can't be one or is another service's, and where the ledger is
        of a newer edgetally or someone else's: those are the person's to mend.
        """
        self._sites, self._bounds = sites, bounds or OutboxBounds()
        self._opening = Opening(folder, sites, self._bounds, clock)
        self._folder = self._opening.folder
        self._clock, self._steady, self._retry = clock, steady, retry
        self._lock = threading.RLock()
        self._transports: tuple[str, ...] | None = None
        self._began_with = Carried()
        self._retry_at = 0.0
        self._closed = False
        self._is_untold = True
        self._times = (clock(), steady())
        self._gone: LedgerError | None = None  # why all of the ledger is in memory
        self._state = StorageState()
        try:
            self._ledger = self._open()
            self._state = replace(self._state, reason=self._untold())
        except (LedgerError, OSError) as error:
            self._began_with = salvaged(self._opening.file, Carried(), clock())
            self._ledger = self._in_memory(error)
        except InputError:
            self._folder.leave()
            raise

    @property
    def state(self) -> StorageState:
        """Whether counts reach the disk."""
        return self._state

    def write(self, record: Callable[[Entry], _T]) -> _T:
        """Write all that `record` does to the entry, or nothing; return what it returns.

        It is called again, for memory, where the disk fails; an error of its own undoes it all.
        """

        def write(ledger: Ledger) -> _T:
            with ledger.transaction() as entry:
                return record(entry)

        return self._do(write)

    def totals(self) -> Totals:
        """Count the crossings since the ledger began."""
        return self._do(Ledger.totals)

    def stock(self) -> dict[str, dict[str, Stock]]:
        """Return the stock by site and class."""
        return self._do(Ledger.stock)

    def register(self, transports: Sequence[str]) -> None:
        """Let messages wait for these transports, and for no others any more."""
        self._transports = tuple(transports)
        self._do(lambda ledger: ledger.register(transports))

    def limit(self, bounds: OutboxBounds) -> None:
        """Bound the outbox otherwise, from the next message on."""
        with self._lock:
            self._bounds = bounds
            self._opening.limit(bounds)
            in_memory = self._state.state == "memory"
            self._ledger.limit(_in_memory(bounds) if in_memory else bounds)

    def newest(self) -> int:
        """Return the id of the message that was put in last; 0 where none waits."""
        return self._do(Ledger.newest)

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
        return self._do(
            lambda ledger: ledger.pending(
                transport, limit, after=after, until=until, urgent=urgent, without=without
            )
        )

    def of_topic(self, transport: str, topic: str) -> list[int]:
        """Return the ids of all messages that wait for a transport under a topic."""
        return self._do(lambda ledger: ledger.of_topic(transport, topic))

    def delivered(self, transport: str, ids: Iterable[int]) -> None:
        """Note what a transport delivered; ids that the outbox does not hold are no error."""
        done = tuple(ids)
        self._do(lambda ledger: ledger.delivered(transport, done))

    def refused(self, transport: str, ids: Iterable[int]) -> None:
        """Note what a transport will never take, and count it as dropped."""
        done = tuple(ids)
        self._do(lambda ledger: ledger.refused(transport, done))

    def waiting(self, transport: str | None = None) -> int:
        """Count the messages that a transport, or any, did not deliver."""
        return self._do(lambda ledger: ledger.waiting(transport))

    def status(self) -> OutboxStatus:
        """Tell how the outbox is; while in memory, only of what was put in since."""
        return self._do(Ledger.status)

    def tend(self) -> None:
        """Look after everything, each second or so: the disk, and messages that wait too long."""
        with self._lock:
            if self._state.state == "memory":
                if self._steady() >= self._retry_at:
                    self._return_to_disk()
            else:
                self._do(Ledger.look_beside)
                self._do(Ledger.check_place)
                self._forget_told()
            self._follow_clock()
            self._do(Ledger.drop_outdated)

    def _untold(self) -> str | None:
        """Tell what was wrong here, and at earlier starts that ended before they could tell it."""
        reasons = dict.fromkeys(filter(None, (self._folder.noted(), self._state.reason)))
        if self._state.reason is not None:
            self._folder.note("; ".join(reasons))
        return "; ".join(reasons) or None

    def _forget_told(self) -> None:
        # Messages waited for the transports since they were registered, health among them.
        if self._is_untold and self._transports and self._state.state == "ok":
            self._folder.forget()
            self._is_untold = False

    def _follow_clock(self) -> None:
        """What waits while the clock is set gets no older by that."""
        (clock, steady), self._times = self._times, (self._clock(), self._steady())
        jump = (self._times[0] - clock) - (self._times[1] - steady)
        if abs(jump) > _JUMP:
            self._do(lambda ledger: ledger.follow_clock(jump))

    def close(self) -> None:
        """Write what is still in memory alone, if the disk lets it, and close the file.

        Harmless when repeated; `state` tells afterwards whether something was lost.
        """
        with self._lock:
            if self._closed:
                return
            self._closed = True
            if self._state.state == "memory":
                self._return_to_disk()
            if self._state.state == "memory":
                _log.error("what was counted in memory is lost: %s", self._state.reason)
            self._forget_told()
            self._ledger.close()
            self._folder.leave()

    def _do(self, work: Callable[[Ledger], _T]) -> _T:
        with self._lock:
            if self._closed:
                raise LedgerError(f"ledger {self._opening.file} is closed")
            try:
                return work(self._ledger)
            except LedgerError as error:
                if self._state.state == "memory":
                    raise
                self._leave_disk(error)
                return work(self._ledger)

    def _leave_disk(self, error: LedgerError) -> None:
        copy = self._copy() if error.gone else None
        self._began_with = self._ledger.carried
        # Before there is another: it deletes its log by the name, which the other's has as well.
        self._ledger.close()
        if copy is None:
            self._ledger = self._in_memory(error)
        else:
            self._ledger, self._gone = copy, error
            self._stay_in_memory(error)
        if error.damaged or error.gone:
            self._return_to_disk()

    def _copy(self) -> Ledger | None:
        try:
            return self._ledger.copy()
        except LedgerError:
            return None

    def _in_memory(self, error: Exception) -> Ledger:
        memory = Ledger(
            None,
            sites=self._sites,
            bounds=_in_memory(self._bounds),
            clock=self._clock,
        )
        memory.go_on_with(self._began_with.renumbered(self._clock()))
        if self._transports is not None:
            memory.register(self._transports)
        self._stay_in_memory(error)
        _log.error("%s", self._state.reason)
        return memory

    def _stay_in_memory(self, error: Exception) -> None:
        self._retry_at = self._steady() + self._retry
        self._folder.mark()
        reason = f"{told(error)}; counts are kept in memory alone{unknown(self._began_with)}"
        self._state = StorageState("memory", reason)

    def _return_to_disk(self) -> None:
        try:
            if self._gone is None:
                ledger = self._open()
            else:
                opened = self._opening.write_anew(self._ledger, self._gone)
                self._state, ledger = StorageState("ok", opened.reason), opened.ledger
        except (LedgerError, OSError, InputError) as error:
            self._stay_in_memory(error)
            return
        try:
            if self._gone is None:
                if self._transports is not None:
                    ledger.register(self._transports)
                ledger.absorb(self._ledger, self._began_with)
        except LedgerError as error:
            ledger.close()
            self._stay_in_memory(error)
            return
        self._ledger.close()
        self._ledger, self._gone = ledger, None
        self._folder.unmark()
        _log.warning("counts are written to %s again", self._opening.file)

    def _open(self) -> Ledger:
        opened = self._opening.open(self._began_with)
        if opened.is_new:
            self._began_with = self._began_with.standing_on(opened.ledger.carried)
        self._state = StorageState("ok", opened.reason)
        return opened.ledger


def _in_memory(bounds: OutboxBounds) -> OutboxBounds:
    return replace(bounds, max_bytes=min(bounds.max_bytes, _MOST_IN_MEMORY))
