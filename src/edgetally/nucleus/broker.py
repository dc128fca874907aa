"""A real MQTT broker in the place of AWS IoT Core."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from awscrt import io, mqtt5  # type: ignore[import-untyped]
from awscrt.exceptions import AwsCrtError  # type: ignore[import-untyped]

from edgetally.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future
    from pathlib import Path

    from edgetally.nucleus.cloud import CloudMessage

_PATIENCE = 5.0  # seconds for the first connection, before components are served without
_STOPPING = 2.0  # seconds
_FIRST_FAILING_CODE = 0x80  # MQTT 5, 2.4


@dataclass(frozen=True)
class BrokerAddress:
    """Where the broker is. With a root CA, or a certificate, TLS is spoken."""

    host: str
    port: int
    root_ca: Path | None = None
    certificate: Path | None = None
    private_key: Path | None = None

    @property
    def has_tls(self) -> bool:
        """Whether TLS is spoken."""
        return self.root_ca is not None or self.certificate is not None


class BrokerCloud:
    """Bridges to a broker over MQTT 5. tell: gets a line when the connection comes or goes.

    InputError where the files of TLS are not usable.
    """

    def __init__(self, address: BrokerAddress, client_id: str, tell: Callable[[str], None]) -> None:
        _refuse_unusable(address)
        self._address = address
        self._tell = tell
        self._filters: dict[str, int] = {}
        self._connected = asyncio.Event()
        self._stopped = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._heard: Callable[[str, bytes], None] | None = None
        self._client = mqtt5.Client(self._options(client_id))

    def _options(self, client_id: str) -> Any:
        loops = io.EventLoopGroup(1)
        socket = io.SocketOptions()
        socket.connect_timeout_ms = 5000
        return mqtt5.ClientOptions(
            host_name=self._address.host,
            port=self._address.port,
            bootstrap=io.ClientBootstrap(loops, io.DefaultHostResolver(loops)),
            socket_options=socket,
            tls_ctx=_tls(self._address) if self._address.has_tls else None,
            connect_options=mqtt5.ConnectPacket(client_id=client_id, keep_alive_interval_sec=30),
            session_behavior=mqtt5.ClientSessionBehaviorType.CLEAN,
            offline_queue_behavior=mqtt5.ClientOperationQueueBehaviorType.FAIL_ALL_ON_DISCONNECT,
            min_reconnect_delay_ms=500,
            max_reconnect_delay_ms=5000,
            on_publish_callback_fn=lambda data: self._in_loop(
                self._hear, data.publish_packet.topic, data.publish_packet.payload or b""
            ),
            on_lifecycle_event_connection_success_fn=lambda _: self._in_loop(self._come),
            on_lifecycle_event_connection_failure_fn=lambda data: self._in_loop(
                self._go, data.exception
            ),
            on_lifecycle_event_disconnection_fn=lambda data: self._in_loop(
                self._go, data.exception
            ),
            on_lifecycle_event_stopped_fn=lambda _: self._in_loop(self._stopped.set),
        )

    async def _outcome(self, function: Callable[[Any], Future[Any]], packet: Any) -> Any:
        """Return what the broker says to a packet; None where it says nothing."""
        answer = asyncio.get_running_loop().create_future()
        try:
            given = function(packet)
        except (AwsCrtError, RuntimeError):
            return None
        # awscrt's own future must not be cancelled, as asyncio.wrap_future would.
        given.add_done_callback(lambda done: self._in_loop(_settle, answer, done))
        return await answer

    def _in_loop(self, function: Callable[..., None], *arguments: Any) -> None:
        loop = self._loop
        if loop is not None:
            with suppress(RuntimeError):  # it is closed
                loop.call_soon_threadsafe(function, *arguments)

    def _hear(self, topic: str, payload: bytes) -> None:
        if self._heard is not None:
            self._heard(topic, payload)

    def _come(self) -> None:
        self._tell(f"IoT Core: connected to {self._address.host}:{self._address.port}")
        self._connected.set()
        for topic_filter, qos in self._filters.items():
            self._client.subscribe(_subscription(topic_filter, qos))

    def _go(self, why: Any) -> None:
        self._connected.clear()
        where = f"{self._address.host}:{self._address.port}"
        self._tell(f"IoT Core: not connected to {where}: {why}")

    async def start(self, heard: Callable[[str, bytes], None]) -> None:
        """Connect; return once that is done, or a few seconds later."""
        self._loop = asyncio.get_running_loop()
        self._heard = heard
        self._client.start()
        try:
            await asyncio.wait_for(self._connected.wait(), _PATIENCE)
        except asyncio.TimeoutError:
            self._tell("IoT Core: served without it; it is tried again and again")

    async def publish(self, message: CloudMessage) -> bool:
        """Publish; False where there is no connection, or the broker refuses."""
        if not self._connected.is_set():
            return False
        packet = mqtt5.PublishPacket(message.payload, _qos(message.qos), topic=message.topic)
        done = await self._outcome(self._client.publish, packet)
        if done is None:
            return False
        code = getattr(done.puback, "reason_code", 0)
        return bool(code is None or code < _FIRST_FAILING_CODE)

    async def subscribe(self, topic_filter: str, qos: int) -> bool:
        """Subscribe, also on every later connection."""
        if not self._connected.is_set():
            return False
        done = await self._outcome(self._client.subscribe, _subscription(topic_filter, qos))
        if done is None or any(code >= _FIRST_FAILING_CODE for code in done.reason_codes):
            return False
        self._filters[topic_filter] = qos
        return True

    async def unsubscribe(self, topic_filter: str) -> None:
        """Subscribe no more."""
        self._filters.pop(topic_filter, None)
        if self._connected.is_set():
            await self._outcome(self._client.unsubscribe, mqtt5.UnsubscribePacket([topic_filter]))

    async def stop(self) -> None:
        """Disconnect in good order."""
        normal = mqtt5.DisconnectReasonCode.NORMAL_DISCONNECTION
        self._client.stop(mqtt5.DisconnectPacket(normal))
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._stopped.wait(), _STOPPING)
        self._loop = None


def _settle(answer: asyncio.Future[Any], given: Future[Any]) -> None:
    if not answer.done():
        answer.set_result(None if given.exception() else given.result())


def _subscription(topic_filter: str, qos: int) -> Any:
    return mqtt5.SubscribePacket([mqtt5.Subscription(topic_filter, _qos(qos))])


def _qos(number: int) -> Any:
    return mqtt5.QoS.AT_LEAST_ONCE if number else mqtt5.QoS.AT_MOST_ONCE


def _tls(address: BrokerAddress) -> Any:
    if address.certificate is not None:
        options = io.TlsContextOptions.create_client_with_mtls_from_path(
            str(address.certificate), str(address.private_key)
        )
    else:
        options = io.TlsContextOptions()
    if address.root_ca is not None:
        options.override_default_trust_store_from_path(None, str(address.root_ca))
    return io.ClientTlsContext(options)


def _refuse_unusable(address: BrokerAddress) -> None:
    """Let Python's TLS read the files first: awscrt does not say what is wrong with them."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        if address.root_ca is not None:
            context.load_verify_locations(address.root_ca)
        if address.certificate is not None:
            context.load_cert_chain(address.certificate, address.private_key, password="")
    except OSError as error:  # ssl.SSLError is one
        raise InputError(f"the broker's TLS: {error}; check certificate, key and CA") from None
