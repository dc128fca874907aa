"""`LastingConnection`: the connection to the nucleus, made anew whenever it is lost."""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
import time
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from edgetally.errors import EdgetallyError
from edgetally.greengrass.backoff import Backoff
from edgetally.greengrass.calls import Calls
from edgetally.greengrass.dialling import Dialling
from edgetally.greengrass.failure import LostError, UnknownHereError
from edgetally.greengrass.hearing import Hearing

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from edgetally.greengrass.client import NucleusClient
    from edgetally.greengrass.operation import Operation
    from edgetally.greengrass.patience import Patience

_log = logging.getLogger(__name__)


class LastingConnection:
    """Connects with the token, else by the component's name, and tries again until it is closed.

    It has one thread of its own, on which it connects, tends what is subscribed to, and does what
    `do` is given. fills_in: whether the nucleus fills in variables of policies in any case.

    calls, hearing: what is asked and what is subscribed to, over all connections.
    on_made, on_tend: called on the thread, with `time.monotonic()`: after each connection is made,
    and every moment while there is one.
    """

    def __init__(
        self,
        component: str,
        socket: Path,
        token: str,
        patience: Patience,
        *,
        fills_in: bool,
        on_made: Callable[[float], None],
        on_tend: Callable[[float], None],
    ) -> None:
        self.on_hopeless: Callable[[], None] | None = None
        self.is_hopeless = False
        self.calls = Calls(component, patience.answer, self._gone, fills_in=fills_in)
        self.hearing = Hearing(patience, self.calls.tell_denial, self._wake)
        self._socket, self._patience = socket, patience
        self._on_made, self._on_tend = on_made, on_tend
        self._began = time.monotonic()
        self._refused_since: float | None = None
        self._client: NucleusClient | None = None
        self._reason: str | None = None  # why there is no connection; None: no outcome yet
        self._failure: EdgetallyError | None = None  # of the latest try to connect
        self._closed = False
        self._connected = threading.Event()
        self._backoff = Backoff(patience.first_retry, patience.longest_retry)
        self._retry_at = 0.0
        self._tick = min(0.25, patience.echo / 4, patience.quiet)
        self._tasks: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._dialling = Dialling(
            component,
            socket,
            token,
            patience.answer,
            lambda client: self._gone(client, "greengrass: connection lost"),
        )
        self._thread = threading.Thread(target=self._supervise, name="greengrass link", daemon=True)

    @property
    def problem(self) -> str | None:
        """Why there is no connection; None where there is, or the first is being made."""
        return self._reason

    def open(self, patience: float | None = None) -> None:
        """Make the first connection, trying again for so many seconds.

        None: for as long as a component must live to be started again and again. Whoever exits
        earlier is given up by a nucleus lite. EdgetallyError where there is none by then:
        UnknownHereError where the nucleus does not take us.
        """
        self._wake()
        self._thread.start()
        until = time.monotonic() + (self._patience.life if patience is None else patience)
        while not self._connected.wait(0.2):
            if self._closed or self.is_hopeless or time.monotonic() >= until:
                failure = self._failure
                self.close()
                raise failure or EdgetallyError(
                    f"greengrass: no answer from {self._socket} in time"
                )

    def call(
        self, operation: Operation, resource: str, start: Callable[[NucleusClient], Future[Any]]
    ) -> Future[Any]:
        """Begin a call; its future ends in any case, with EdgetallyError where it failed."""
        client = self._client
        if client is None:
            failed: Future[Any] = Future()
            failed.set_exception(LostError(self._reason or "greengrass: not connected yet"))
            return failed
        return self.calls.begin(client, operation, resource, start)

    def ask(
        self, operation: Operation, resource: str, start: Callable[[NucleusClient], Future[Any]]
    ) -> Any:
        """Call, and wait for the answer. EdgetallyError."""
        return self.call(operation, resource, start).result(2 * self._patience.answer)

    def do(self, task: Callable[[], None]) -> None:
        """Do something on the connection's thread, soon, whether there is a connection or not."""
        self._tasks.put(task)

    def close(self) -> None:
        """End the connection, in good order, within two seconds; harmless when repeated."""
        if self._closed:
            return
        self._closed = True
        self._wake()
        if self._thread.is_alive() and threading.current_thread() is not self._thread:
            self._thread.join(0.5)
        self.hearing.close()
        client, self._client = self._client, None
        self._reason = "greengrass: closed"
        if client is not None:
            client.close()
        self.calls.close()

    def _wake(self) -> None:
        self._tasks.put(lambda: None)

    def _gone(self, client: NucleusClient, reason: str) -> None:
        self._tasks.put(lambda: self._lost(client, reason))

    # Below: on the connection's thread.

    def _supervise(self) -> None:
        while not self._closed:
            try:
                with contextlib.suppress(queue.Empty):
                    self._tasks.get(timeout=self._tick)()
                    while not self._tasks.empty():
                        self._tasks.get()()
                self._tend()
            except Exception:  # noqa: BLE001, PERF203 - or the connection would stay down for good
                _log.exception("greengrass: unexpected")

    def _tend(self) -> None:
        if self._closed:
            return
        if self._client is None and time.monotonic() >= self._retry_at:
            self._connect()
        client = self._client
        if client is None:
            return
        try:
            self.hearing.tend(client)
        except LostError as error:
            self._lost(client, str(error))
            return
        self._on_tend(time.monotonic())

    def _connect(self) -> None:
        try:
            client = self._dialling.dial()
        except EdgetallyError as error:
            now = time.monotonic()
            if not isinstance(error, UnknownHereError):
                self._refused_since = None
            elif self._refused_since is None:
                self._refused_since = now
            self._failed(error)
            self._despair(now)
            return
        if self._closed:
            client.close()
            return
        try:
            # Before anything is published: what should come back must be heard.
            self.hearing.settle(client)
        except LostError as error:
            self.hearing.lost()
            client.close()
            self._failed(error)
            return
        if self._closed:  # meanwhile
            client.close()
            return
        self._refused_since = None
        self._backoff.reset()
        self._client, self._reason = client, None
        _log.info("greengrass: connected")
        self._on_made(time.monotonic())
        self._connected.set()

    def _failed(self, error: EdgetallyError) -> None:
        self._retry_at = time.monotonic() + self._backoff.next()
        self._failure = error
        self._down(str(error))

    def _lost(self, client: NucleusClient, reason: str) -> None:
        if client is not self._client or self._closed:
            return
        self._client = None
        self.hearing.lost()
        self._down(reason)
        self._retry_at = 0.0
        client.close()

    def _down(self, reason: str) -> None:
        if reason != self._reason:
            _log.warning("%s", reason)
        self._reason = reason

    def _despair(self, now: float) -> None:
        """See whether nothing is left but to be started again, and late enough for that."""
        refused = self._refused_since is not None and (
            now - self._refused_since >= self._patience.refused
        )
        if self.is_hopeless or not refused or now - self._began < self._patience.life:
            return
        self.is_hopeless = True
        _log.error("greengrass: only a new start gives us a connection; %s", self._reason)
        if self.on_hopeless is not None:
            self.on_hopeless()
