"""The link to a broker: made, watched and made again."""

from __future__ import annotations

import logging
import math
import queue
import random
import threading
import time
from typing import TYPE_CHECKING, Protocol

from edgetally.errors import InputError
from edgetally.messaging.transports.mqtt_client import (
    Connected,
    Connecting,
    MqttClient,
    NotConnected,
    Patience,
    create_bootstrap,
)
from edgetally.messaging.transports.mqtt_failure import (
    Failure,
    disconnection,
    hang_up,
    is_hang_up,
    network_failure,
    probe,
    refusal,
)
from edgetally.messaging.transports.mqtt_identity import read_identity
from edgetally.messaging.transports.transport import TopicRefusedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgetally.config import MqttTransport as MqttConfig
    from edgetally.errors import EdgetallyError
    from edgetally.messaging.transports.mqtt_client import Event

_log = logging.getLogger(__name__)

# A connection that ends so soon, so often in a row, ends for a reason.
_SOON, _OFTEN = 5.0, 3


class Listener(Protocol):
    """Who wants to know; called on the link's threads, and must return at once."""

    def connected(self) -> None:
        """A connection stands."""

    def disconnected(self, reason: str) -> None:
        """There is no connection, and why: one line."""

    def heard(self, topic: str, payload: bytes) -> None:
        """Someone published to a topic that was subscribed to."""

    def overdue(self) -> bool:
        """Whether the broker has owed acknowledgements for too long."""


class MqttLink:
    """Keeps a client connected. InputError where the configured files are not usable.

    After a failure of the network, the client tries again with exponential backoff and full
    jitter. After a refusal it is left, and another made much later; that reads the
    certificates again, so that mending the files is enough.
    """

    def __init__(
        self,
        name: str,
        config: MqttConfig,
        client_id: str,
        will: tuple[str, str] | None,
        patience: Patience,
        listener: Listener,
    ) -> None:
        self._name = name
        self._config = config
        self._client_id = client_id
        self._will = will
        self._patience = patience
        self._listener = listener
        self._bootstrap = create_bootstrap()
        self._tasks: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._closed = False
        self._reason = ""  # of the latest failure
        self._connected_at = -math.inf
        self._refused_topic = False  # since then
        self._ended_soon = 0  # times in a row
        self._silent_since: float | None = None  # an attempt without an outcome
        self._rests_until: float | None = None
        self._thread = threading.Thread(target=self._supervise, name=name, daemon=True)
        self._client = self._create()

    def start(self) -> None:
        """Tell the listener what happens, from now on."""
        self._thread.start()

    def publish(
        self, topic: str, payload: bytes, done: Callable[[EdgetallyError | None], None]
    ) -> None:
        """Publish with QoS 1; `done` gets None once it is acknowledged, else what is wrong."""

        def answered(error: EdgetallyError | None) -> None:
            self._refused_topic |= isinstance(error, TopicRefusedError)
            done(error)

        self._client.publish(topic, payload, answered)

    def subscribe(self, topic: str) -> None:
        """Ask for what is published to a topic; lasts as long as the connection."""
        self._client.subscribe(topic)

    def close(self) -> None:
        """Disconnect in good order, within two seconds."""
        self._closed = True
        self._tasks.put(lambda: None)
        self._client.stop()
        self._thread.join(0.3)  # longer only while it probes a broker that does not answer

    # All below is done on the supervisor's thread, so that nothing needs a lock.

    def _supervise(self) -> None:
        tick = min(1.0, self._patience.silence / 2, self._patience.acknowledgement / 4)
        while not self._closed:
            try:
                task = self._tasks.get(timeout=tick)
            except queue.Empty:
                task = self._look
            try:
                task()
            except Exception:  # noqa: BLE001 - or the link would stay down for good
                _log.exception("%s: unexpected", self._name)

    def _create(self) -> MqttClient:
        # A client that was left may still tell something, and that is old news.
        source: list[MqttClient] = []

        def tell(event: Event) -> None:
            self._tasks.put(lambda: self._take(event) if source == [self._client] else None)

        client = MqttClient(
            self._name,
            self._config,
            self._client_id,
            self._will,
            self._patience,
            self._bootstrap,
            tell,
            self._listener.heard,
        )
        source.append(client)
        return client

    def _look(self) -> None:
        """See what is due."""
        now = time.monotonic()
        if self._rests_until is not None:
            if now >= self._rests_until:
                self._rests_until = None
                self._replace()
        elif self._silent_since is not None:
            # awscrt needs 10 to 30 s to tell of a certificate that it does not trust, on
            # purpose: "blinding" in the usage guide of s2n-tls.
            if now >= self._silent_since + self._patience.silence:
                self._silent_since = None
                failure = self._probe()
                if failure is not None and failure.lasting:
                    self._rest(failure.reason)
        elif self._listener.overdue():
            self._start_anew()

    def _take(self, event: Event) -> None:
        if self._rests_until is not None:
            return
        self._silent_since = time.monotonic() if isinstance(event, Connecting) else None
        if isinstance(event, Connected):
            self._reason = ""
            self._connected_at, self._refused_topic = time.monotonic(), False
            _log.info("%s: connected", self._name)
            self._listener.connected()
        elif isinstance(event, NotConnected):
            failure = self._explain(event)
            if failure.lasting:
                self._rest(failure.reason)
            else:
                self._down(failure.reason)

    def _explain(self, event: NotConnected) -> Failure:
        known = network_failure(event.error)
        if event.ended:
            if event.code is not None:
                return disconnection(event.code)
            if is_hang_up(event.error):
                return self._explain_hang_up()
            return Failure(f"connection lost: {known.reason if known else event.text}")
        if event.code is not None:
            return refusal(event.code)
        return known or self._probe() or Failure(f"no connection: {event.text}")

    def _explain_hang_up(self) -> Failure:
        """Tell why a broker may have closed a connection without a word."""
        if self._refused_topic:  # as mosquitto 2.0 does
            return Failure("connection lost: the broker closed it over a message that it refused")
        soon = time.monotonic() - self._connected_at < _SOON
        self._ended_soon = self._ended_soon + 1 if soon else 0
        return hang_up(self._client_id if self._ended_soon >= _OFTEN else None)

    def _probe(self) -> Failure | None:
        try:
            identity = read_identity(self._config)
        except InputError as error:
            return Failure(str(error), lasting=True)
        return probe(identity, self._config.endpoint, self._config.port)

    def _rest(self, reason: str) -> None:
        """Try again much later: soon is no use."""
        rest = self._patience.refused * random.uniform(0.5, 1.0)  # noqa: S311 - a jitter
        self._rests_until = time.monotonic() + rest
        self._down(reason)
        self._client.stop()

    def _replace(self) -> None:
        if self._closed:
            return
        try:
            self._client = self._create()
        except InputError as error:
            self._rest(str(error))
        if self._closed:  # meanwhile
            self._client.stop()

    def _start_anew(self) -> None:
        """Leave a broker that does not acknowledge, and come back at once."""
        self._down("the broker does not acknowledge; connecting anew")
        self._client.stop()
        self._replace()

    def _down(self, reason: str) -> None:
        if reason != self._reason and not self._closed:
            _log.warning("%s: %s", self._name, reason)
        self._reason = reason
        self._listener.disconnected(reason)
