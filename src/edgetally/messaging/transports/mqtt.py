"""MQTT 5 with mutual TLS: a message is delivered when the broker has acknowledged it."""

from __future__ import annotations

import logging
import threading
import time
from concurrent.futures import Future
from functools import partial
from typing import TYPE_CHECKING

from edgetally.errors import EdgetallyError
from edgetally.messaging.transports.mqtt_client import Patience
from edgetally.messaging.transports.mqtt_identity import warn_of_open_secrets
from edgetally.messaging.transports.mqtt_link import MqttLink
from edgetally.messaging.transports.transport import RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgetally.config import MqttTransport as MqttConfig

_log = logging.getLogger(__name__)

# Of AWS IoT Core, in "AWS IoT Core endpoints and quotas"; other brokers bear as much.
_LARGEST_BODY = 128 * 1024
_WINDOW = 100


class MqttTransport:
    """Publishes to a broker, and hears from it; connects, and does so again, by itself.

    config: where to, and with which certificate. InputError where its files are not usable.
    will: topic and body of what the broker publishes when it loses us.
    """

    max_bytes: int | None = _LARGEST_BODY
    window = _WINDOW

    def __init__(
        self,
        config: MqttConfig,
        client_id: str,
        will: tuple[str, str] | None = None,
        *,
        patience: Patience | None = None,
    ) -> None:
        self.name = f"mqtt {config.endpoint}:{config.port}/{client_id}"
        self.on_ready: Callable[[], None] | None = None
        """Called, on another thread, when a connection stands and messages can go again."""
        self._patience = patience or Patience()
        self._lock = threading.Lock()  # of all below
        self._connected = False
        self._reason: str | None = None  # why there is no connection; None: no outcome yet
        self._closed = False
        self._waiting: dict[Future[None], tuple[str, bytes]] = {}  # for an acknowledgement
        self._progress = 0.0  # when the broker last acknowledged, or owed nothing
        self._heard: dict[str, Callable[[str, bytes], None]] = {}
        warn_of_open_secrets(config)
        self._link = MqttLink(self.name, config, client_id, will, self._patience, self)
        self._link.start()

    def __str__(self) -> str:
        return self.name

    @property
    def state(self) -> str:
        """`connected`, `connecting`, or why there is no connection."""
        with self._lock:
            return "connected" if self._connected else self._reason or "connecting"

    @property
    def problem(self) -> str | None:
        """Why there is no connection; None where there is, or the first is being made."""
        return self._reason

    def send(self, topic: str, body: str) -> Future[None]:
        """Publish with QoS 1; done when the broker has acknowledged.

        While the first connection is being made, messages wait for it. Where there is none, or
        it ends before the acknowledgement: EdgetallyError, raised or in the future; RefusedError
        for a message that is too large, or whose topic can't be one.
        """
        payload = body.encode()
        if len(payload) > _LARGEST_BODY:
            raise RefusedError(
                f"{self}: {len(payload)} bytes for {topic} are too many; {_LARGEST_BODY} at most"
            )
        delivered: Future[None] = Future()
        delivered.set_running_or_notify_cancel()
        with self._lock:
            if self._closed:
                raise EdgetallyError(f"{self} is closed")
            if self._reason is not None:
                raise EdgetallyError(f"{self}: {self._reason}")
            if not self._waiting:
                self._progress = time.monotonic()
            self._waiting[delivered] = (topic, payload)
            connected = self._connected
        if connected:
            self._link.publish(topic, payload, partial(self._settle, delivered))
        return delivered

    def subscribe(self, topic: str, heard: Callable[[str, bytes], None]) -> None:
        """Call `heard(topic, payload)` for what is published to a topic, without wildcards.

        It is called on the connection's thread, and must return at once.
        """
        with self._lock:
            self._heard[topic] = heard
            connected = self._connected
        if connected:
            self._link.subscribe(topic)

    def close(self) -> None:
        """Disconnect within two seconds, in good order: no last will is published."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        self.disconnected("closed")
        self._link.close()

    # What the link tells.

    def connected(self) -> None:
        """Subscribe, and send what waited for a first connection."""
        with self._lock:
            self._connected = True
            self._reason = None
            self._progress = time.monotonic()
            held = tuple(self._waiting.items())
            topics = tuple(self._heard)
        for topic in topics:
            self._link.subscribe(topic)
        for delivered, (topic, payload) in held:
            self._link.publish(topic, payload, partial(self._settle, delivered))
        if self.on_ready is not None:
            self.on_ready()

    def disconnected(self, reason: str) -> None:
        """Give up what was not acknowledged."""
        with self._lock:
            self._connected = False
            self._reason = reason
            waiting = tuple(self._waiting)
        for delivered in waiting:
            self._settle(delivered, EdgetallyError(f"{self}: {reason}"))

    def heard(self, topic: str, payload: bytes) -> None:
        """Hand over what came."""
        with self._lock:
            heard = self._heard.get(topic)
        if heard is not None:
            try:
                heard(topic, payload)
            except Exception:  # noqa: BLE001 - on a thread that is not Python's
                _log.exception("%s: what came on %s was not taken", self, topic)

    def overdue(self) -> bool:
        """Whether no acknowledgement has come for long while some are owed.

        Not how long one message waits: over a slow network a full window takes minutes.
        """
        with self._lock:
            silent = time.monotonic() - self._progress
            return (
                self._connected and bool(self._waiting) and silent > self._patience.acknowledgement
            )

    def _settle(self, delivered: Future[None], error: EdgetallyError | None) -> None:
        with self._lock:
            if self._waiting.pop(delivered, None) is None:
                return  # given up before
            self._progress = time.monotonic()
        if error is None:
            delivered.set_result(None)
        else:
            delivered.set_exception(error)
