"""`Publisher`: a thread that carries messages from the outbox to every transport."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgetally.errors import EdgetallyError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgetally.messaging.outbox import Outbox, OutboxEntry
    from edgetally.messaging.transports import Transport

_log = logging.getLogger(__name__)

_BATCH = 64
_LARGEST_WINDOW = 16_384
_LONGEST_RETRY = 60.0


@dataclass
class _Lane:
    """How far one transport has come."""

    transport: Transport
    sent: int = -1
    delay: float = 0.0  # seconds to the next try; 0 while it works
    retry_at: float = 0.0


class Publisher:
    """Drains an outbox into transports until closed; each gets every message in order.

    A message counts as delivered when every transport took it. A transport that fails is tried
    again after `retry` seconds, then twice as long each time, up to a minute; the others go on
    meanwhile. Which transport took what is kept in memory only: after a restart, a message that
    only some of them took is sent to all of them again.

    An outbox that fails ends the thread; `notify` and `close` then raise its error.
    """

    def __init__(
        self, outbox: Outbox, transports: Sequence[Transport], *, retry: float = 1.0
    ) -> None:
        self._outbox = outbox
        self._lanes = [_Lane(transport) for transport in transports]
        self._retry = retry
        self._window = _BATCH
        self._wake = threading.Condition()
        self._notified = True  # an earlier run may have left messages
        self._closing = False
        self._abandoned = False
        self._drained = False
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="publisher", daemon=True)
        self._thread.start()

    def notify(self) -> None:
        """Tell that the outbox holds something new; cheap and safe from any thread."""
        if self._error is not None:
            raise self._error
        with self._wake:
            self._notified = True
            self._wake.notify()

    def close(self, timeout: float = 5.0) -> bool:
        """Send what is left, stop within `timeout` seconds, close the transports.

        A transport that fails now is not tried again. Returns whether everything was delivered;
        what was not stays in the outbox for the next run.
        """
        with self._wake:
            self._closing = True
            self._wake.notify()
        self._thread.join(timeout)
        if self._thread.is_alive():
            self._abandoned = True
            _log.warning("messages are left in the outbox: sending took longer than %g s", timeout)
            return False
        if self._error is not None:
            raise self._error
        return self._drained

    def _run(self) -> None:
        try:
            while not self._closing:
                while self._pass() and not self._closing:
                    pass
                self._wait()
            for lane in self._lanes:
                lane.retry_at = 0.0  # one more try, whatever it was waiting for
            while self._pass() and not self._abandoned:
                pass
            self._drained = not self._outbox.pending(1)
        except Exception as error:  # noqa: BLE001 - raised by notify() and close()
            _log.error("publishing stopped: %s", error)
            self._error = error
        finally:
            for lane in self._lanes:
                lane.transport.close()

    def _wait(self) -> None:
        retries = [lane.retry_at for lane in self._lanes if lane.delay]
        timeout = max(min(retries) - time.monotonic(), 0) if retries else None
        with self._wake:
            self._wake.wait_for(lambda: self._notified or self._closing, timeout)
            self._notified = False

    def _pass(self) -> bool:
        """Send what the window shows; whether another pass may find more to do."""
        entries = self._outbox.pending(self._window)
        for lane in self._lanes:
            self._send(lane, entries)
        sent = [lane.sent for lane in self._lanes] or [entries[-1].id if entries else -1]
        done = [entry.id for entry in entries if entry.id <= min(sent)]
        if done:
            self._outbox.delivered(done)
            self._window = _BATCH
            return True
        stuck = len(entries) == self._window and max(sent) >= entries[-1].id
        if stuck and self._window < _LARGEST_WINDOW:
            self._window *= 2  # look past what waits for a failing transport only
            return True
        return False

    def _send(self, lane: _Lane, entries: Sequence[OutboxEntry]) -> None:
        if time.monotonic() < lane.retry_at:
            return
        for entry in entries:
            if self._abandoned:
                return
            if entry.id <= lane.sent:
                continue
            try:
                lane.transport.send(entry.topic, entry.body)
            except Exception as error:  # noqa: BLE001 - one transport must not stop the others
                self._postpone(lane, error)
                return
            lane.sent = entry.id
            if lane.delay:
                _log.info("%s works again", lane.transport)
                lane.delay = lane.retry_at = 0.0

    def _postpone(self, lane: _Lane, error: Exception) -> None:
        if not lane.delay:
            known = isinstance(error, EdgetallyError)
            _log.warning("%s fails, messages wait: %s", lane.transport, error, exc_info=not known)
        lane.delay = min(lane.delay * 2 or self._retry, _LONGEST_RETRY)
        lane.retry_at = time.monotonic() + lane.delay
