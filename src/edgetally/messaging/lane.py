"""`Lane`: a thread that carries messages from the outbox to one transport."""

from __future__ import annotations

import logging
import random
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from edgetally.errors import EdgetallyError
from edgetally.messaging.parts import parts_of
from edgetally.messaging.resting import Resting
from edgetally.messaging.selection import Selection
from edgetally.messaging.transports.transport import (
    Connecting,
    Policed,
    RefusedError,
    TopicRefusedError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Future

    from edgetally.messaging.outbox import Outbox, OutboxEntry
    from edgetally.messaging.transports.transport import Transport

_log = logging.getLogger(__name__)
_DROPPED_AT_ONCE = 1000  # else who counts would wait for it
_POLL = 1.0  # seconds; another process may have put something in
_LONGEST_RETRY = 60.0

LaneState = Literal["ok", "failing"]


@dataclass(frozen=True)
class _Sent:
    topic: str
    parts: Sequence[Future[None]]
    at: float

    @property
    def is_done(self) -> bool:
        return all(part.done() for part in self.parts)


class Lane:
    """Carries what waits for one transport, from `start` until `finish`.

    What waited when the lane began, or when a transport works again that failed, is the backlog,
    which leaves at `rate` messages a second: see `Selection`.

    A transport that fails is tried again after `retry` seconds or so, with one message, then after
    twice as long each time, up to a minute. A topic that alone is not taken rests, and all else
    goes on: see `Resting`. What waits for one that is given up is dropped.
    """

    def __init__(
        self,
        transport: Transport,
        outbox: Outbox,
        *,
        rate: float,
        retry: float,
        is_ours: Callable[[str], bool],
        patience: float,
    ) -> None:
        self.transport = transport
        self.error: Exception | None = None
        self.is_drained = False
        self._outbox = outbox
        self._retry = retry
        self._random = random.Random()  # noqa: S311 - spreads retries, hides nothing
        self._wake = threading.Condition()
        self._notified = False
        self._closing = self._abandoned = False
        self._on_the_way: dict[int, _Sent] = {}
        self._resting = Resting(retry, is_ours, patience)
        self._failure = ""  # the latest
        self.connections = 0
        self._delay = 0.0  # seconds to the next try; 0 while it works
        self._retry_at = 0.0
        self._ready_at = 0.0  # when the transport said that messages can go again
        self._newest_at_try = 0  # id, when a failing transport was last tried
        self._name = transport.name
        self._selection = Selection(
            outbox, self._name, rate, self._resting, self._on_the_way.keys()
        )
        self._thread = threading.Thread(target=self._run, name=str(transport), daemon=True)

    def start(self) -> None:
        """Begin; the transport is registered with the outbox."""
        if isinstance(self.transport, Connecting):
            self.transport.on_ready = self._connected
        if isinstance(self.transport, Policed):
            self.transport.on_allowed = self._allowed
        self._selection.begin_backlog(self._outbox.newest())
        self._thread.start()

    @property
    def state(self) -> LaneState:
        """Whether the transport takes messages, of every topic."""
        failing = self._delay or self._problem or self._resting.reason
        return "failing" if failing else "ok"

    @property
    def reason(self) -> str | None:
        """Why it does not; None where it does."""
        if self._problem:
            return self._problem
        return self._failure if self._delay else self._resting.reason

    @property
    def _problem(self) -> str | None:
        return self.transport.problem if isinstance(self.transport, Connecting) else None

    def pace(self, rate: float) -> None:
        """Let the backlog leave at so many messages a second."""
        self._selection.pace(rate)
        self.notify()

    def notify(self) -> None:
        """Look into the outbox."""
        with self._wake:
            self._notified = True
            self._wake.notify()

    def finish(self) -> None:
        """Send what is left and end; a transport that fails gets one more try."""
        with self._wake:
            self._closing = True
            self._wake.notify()

    def join(self, timeout: float) -> bool:
        """Wait for the end of `finish`; whether it came. Nothing new is sent afterwards."""
        self._thread.join(max(0.0, timeout))
        with self._wake:
            self._abandoned = True
            self._wake.notify()
        return not self._thread.is_alive()

    def part(self, timeout: float) -> None:
        """Wait, after `join`, until the transport is closed."""
        self._thread.join(max(0.0, timeout))

    def _run(self) -> None:
        try:
            while not self._closing:
                self._work()
                self._wait(heeds_closing=True)
            self._retry_at = 0.0  # one more try, whatever it was waiting for
            while not self._abandoned:
                self._work()
                if not self._on_the_way and (self._delay or not self._selection.is_left()):
                    break
                self._wait(heeds_closing=False)
            if self._abandoned:
                return  # whoever owns the outbox may have closed it
            self._note_ends()
            self.is_drained = not self._outbox.pending(self._name, 1)
        except Exception as error:  # noqa: BLE001 - the publisher tells it
            if not self._abandoned:
                _log.error("%s: publishing stopped: %s", self.transport, error)
                self.error = error
        finally:
            self.transport.close()

    def _work(self) -> None:
        """Send until the window is full or there is nothing to send now."""
        while not self._abandoned:
            self._note_ends()
            if self._is_full() or time.monotonic() < self._retry_at:
                return
            choose = self._selection.probe if self._delay else self._selection.next
            entries = choose(is_closing=self._closing)
            if not entries:
                return
            for entry in entries:
                if self._abandoned or self._is_full() or not self._send(entry):
                    break

    def _wait(self, *, heeds_closing: bool) -> None:
        now = time.monotonic()
        timeout = _POLL
        if self._retry_at > now:
            timeout = self._retry_at - now
        elif not self._is_full():
            timeout = self._selection.wait(now) or _POLL
        rest = self._resting.wait(now)
        if rest:  # else it waits for what is on its way
            timeout = min(timeout, rest)

        def is_due() -> bool:
            ended = any(sent.is_done for sent in self._on_the_way.values())
            closing = self._abandoned or (heeds_closing and self._closing)
            return self._notified or ended or closing

        with self._wake:
            self._wake.wait_for(is_due, min(_POLL, timeout))
            self._notified = False

    def _is_full(self) -> bool:
        under_way = [sent.topic for sent in self._on_the_way.values() if not sent.is_done]
        tried = self._resting.topics | self._resting.suspects
        alone = self._delay or not tried.isdisjoint(under_way)
        return len(under_way) >= (1 if alone else self.transport.window)

    def _send(self, entry: OutboxEntry) -> bool:
        """Hand an entry over; False where the transport fails."""
        if self._delay:
            self._newest_at_try = self._outbox.newest()
        largest = self.transport.max_bytes
        parts: list[Future[None]] = []
        now = time.monotonic()
        try:
            for body in [entry.body] if largest is None else parts_of(entry.body, largest):
                parts.append(self.transport.send(entry.topic, body))  # noqa: PERF401 - may raise
        except RefusedError as error:
            self._refuse(entry.id, error)
            return True
        except TopicRefusedError as error:
            self._rest(entry.topic, entry.id, error)
            return False
        except Exception as error:  # noqa: BLE001 - one transport must not stop the others
            self._blame(entry.topic, entry.id, error, now, alone=not self._on_the_way)
            return False
        self._on_the_way[entry.id] = _Sent(entry.topic, parts, now)
        self._selection.sent(entry.id)
        for future in parts:
            if not future.done():
                future.add_done_callback(lambda _: self.notify())
        return True

    def _note_ends(self) -> None:
        """Look at what was on its way and has arrived or failed."""
        alone = len(self._on_the_way) == 1
        delivered = []
        failed: tuple[str, int, BaseException, float] | None = None
        for number, sent in list(self._on_the_way.items()):
            if not sent.is_done:
                continue
            del self._on_the_way[number]
            errors = [error for error in (part.exception() for part in sent.parts) if error]
            refusals = [error for error in errors if isinstance(error, RefusedError)]
            rests = [error for error in errors if isinstance(error, TopicRefusedError)]
            if refusals:
                self._refuse(number, refusals[0])
            elif rests:
                self._rest(sent.topic, number, rests[0])
                self._works()
            elif errors:
                failed = sent.topic, number, errors[0], sent.at
            else:
                delivered.append(number)
                self._arrived(sent.topic)
        if delivered:
            self._outbox.delivered(self._name, delivered)
            self._works()
        if failed is not None:
            self._blame(*failed, alone=alone)

    def _arrived(self, topic: str) -> None:
        if self._resting.arrived(topic):
            self._selection.read_again()
            _log.info("%s takes messages for %s again", self.transport, topic)

    def _rest(self, topic: str, number: int, error: BaseException) -> None:
        # Now and then all is read again: earlier messages come back with a disk that had failed.
        self._selection.read_again()
        now = time.monotonic()
        if isinstance(error, TopicRefusedError) and self._resting.is_given_up(topic, now):
            self._give_up(topic, error)
        elif self._resting.refuse(topic, number, error, now):
            is_told = isinstance(error, TopicRefusedError) and error.is_told
            _log.log(
                logging.DEBUG if is_told else logging.WARNING,
                "%s does not take messages for %s, which wait: %s",
                self.transport,
                topic,
                error,
            )

    def _give_up(self, topic: str, error: BaseException) -> None:
        numbers = self._outbox.of_topic(self._name, topic)
        for first in range(0, len(numbers), _DROPPED_AT_ONCE):
            if self._abandoned:  # others may be configured by now
                return
            self._outbox.refused(self._name, numbers[first : first + _DROPPED_AT_ONCE])
        self._resting.forget(topic)
        _log.warning(
            "%s: %d messages for %s, which is no topic of the configuration any more, are dropped: "
            "%s",
            self.transport,
            len(numbers),
            topic,
            error,
        )

    def _blame(
        self, topic: str, number: int, error: BaseException, sent_at: float, *, alone: bool
    ) -> None:
        """Tell a topic that fails from a transport that does."""
        if alone and not self._problem and self._resting.is_to_blame(topic, number):
            self._rest(topic, number, error)
        else:
            self._fail(error, sent_at)

    def _refuse(self, number: int, error: RefusedError) -> None:
        _log.error("%s refuses a message, which is dropped: %s", self.transport, error)
        self._outbox.refused(self._name, [number])

    def _works(self) -> None:
        if self._delay:
            _log.info("%s works again", self.transport)
            self._delay = self._retry_at = 0.0
            self._selection.read_again()
            self._selection.begin_backlog(self._newest_at_try)

    def _fail(self, error: BaseException, sent_at: float) -> None:
        now = time.monotonic()
        if now < self._retry_at:
            return  # of the same failure
        if sent_at < self._ready_at:
            return  # of one that is over
        self._failure = str(error)
        if not self._delay:
            self._newest_at_try = self._outbox.newest()
            known = isinstance(error, EdgetallyError)
            _log.warning(
                "%s fails, messages wait: %s",
                self.transport,
                error,
                exc_info=None if known else error,
            )
        self._delay = min(self._delay * 2 or self._retry, _LONGEST_RETRY)
        self._retry_at = now + self._delay * self._random.uniform(0.5, 1)

    def _connected(self) -> None:
        self.connections += 1
        self._ready_at = time.monotonic()
        self._retry_at = 0.0
        self.notify()

    def _allowed(self) -> None:
        self._resting.hurry()
        self.notify()
