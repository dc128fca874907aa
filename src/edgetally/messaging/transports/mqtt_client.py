"""One MQTT client of AWS's common runtime; for MQTT, nothing else imports awscrt."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from awscrt import io, mqtt5  # type: ignore[import-untyped]
from awscrt.exceptions import AwsCrtError  # type: ignore[import-untyped]
from awsiot import mqtt5_client_builder  # type: ignore[import-untyped]

from edgetally.errors import EdgetallyError, InputError
from edgetally.messaging.transports.mqtt_failure import words
from edgetally.messaging.transports.mqtt_identity import read_identity
from edgetally.messaging.transports.transport import RefusedError, TopicRefusedError

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from edgetally.config import MqttTransport as MqttConfig

_log = logging.getLogger(__name__)

_AWS_HOSTS = (".amazonaws.com", ".amazonaws.com.cn")
# What a broker may send, which keeps back what is larger: of a request that is too big enough has
# to come for a refusal. AWS IoT sends 128 KiB at most.
_LARGEST_PACKET = 8 * 1024 * 1024
_FIRST_FAILING_CODE = 0x80  # MQTT 5, 2.4; below is success, also where nobody subscribes
_STOPPING = 1.5  # seconds
_TIMEOUT = "AWS_ERROR_MQTT_TIMEOUT"
_TOO_LARGE = "AWS_ERROR_MQTT5_PACKET_VALIDATION"
_LOST = (
    "AWS_ERROR_MQTT5_OPERATION_FAILED_DUE_TO_OFFLINE_QUEUE_POLICY",
    "AWS_ERROR_MQTT5_USER_REQUESTED_STOP",
    "AWS_ERROR_MQTT5_CLIENT_TERMINATED",
)
# Reasons of PUBACK that nothing mends: MQTT 5, table 3-4.
_FINAL_REFUSALS = ("TOPIC_NAME_INVALID", "PAYLOAD_FORMAT_INVALID")


@dataclass(frozen=True)
class Patience:
    """How long the transport waits for what, in seconds.

    silence: of an attempt to connect, before it finds out by itself what is wrong.
    acknowledgement: of a broker that owes some, before the connection is made anew.
    longest_retry: between two attempts to connect; each waits a random part of 1, 2, 4, … s.
    refused: between two attempts where only a person mends what is wrong; half of it at least.
    """

    silence: float = 3.0
    acknowledgement: float = 30.0
    longest_retry: float = 120.0
    refused: float = 120.0


@dataclass(frozen=True)
class Connecting:
    """An attempt to connect has begun."""


@dataclass(frozen=True)
class Connected:
    """A connection stands."""


@dataclass(frozen=True)
class NotConnected:
    """An attempt failed, or (`ended`) a connection did.

    code: the broker's reason, by its name in MQTT 5, where it gave one.
    error: awscrt's name of what happened; its numbers are not promised. text: in its words.
    """

    ended: bool
    code: str | None
    error: str
    text: str


Event = Connecting | Connected | NotConnected


class MqttClient:
    """Connects at once, and again after each failure, until it is stopped.

    tell: what becomes of the connection. heard: what is published to a subscribed topic. Both
    are called on the client's thread and must return at once.
    InputError where the configured files are not usable.
    """

    def __init__(
        self,
        name: str,
        config: MqttConfig,
        client_id: str,
        will: tuple[str, str] | None,
        patience: Patience,
        bootstrap: Any,
        tell: Callable[[Event], None],
        heard: Callable[[str, bytes], None],
    ) -> None:
        self._name = name
        identity = read_identity(config)
        self._stopped = stopped = threading.Event()
        options = mqtt5.ClientOptions(
            host_name=config.endpoint,
            port=config.port,
            bootstrap=bootstrap,
            socket_options=_socket_options(),
            connect_options=_connect_packet(config, client_id, will),
            # What was not acknowledged when a connection ends is sent again by the outbox, and
            # no broker keeps requests for a device that is away.
            session_behavior=mqtt5.ClientSessionBehaviorType.CLEAN,
            offline_queue_behavior=mqtt5.ClientOperationQueueBehaviorType.FAIL_ALL_ON_DISCONNECT,
            extended_validation_and_flow_control_options=_flow_control(config.endpoint),
            retry_jitter_mode=mqtt5.ExponentialBackoffJitterMode.FULL,
            min_reconnect_delay_ms=1000,
            max_reconnect_delay_ms=int(patience.longest_retry * 1000),
            ping_timeout_ms=min(10_000, config.keep_alive * 500),
            connack_timeout_ms=20_000,
            # For one that is missing among others; MqttTransport notices when none come.
            ack_timeout_sec=int(10 * patience.acknowledgement),
            on_publish_callback_fn=lambda data: heard(
                data.publish_packet.topic, data.publish_packet.payload or b""
            ),
            on_lifecycle_event_attempting_connect_fn=lambda _: tell(Connecting()),
            on_lifecycle_event_connection_success_fn=lambda _: tell(Connected()),
            on_lifecycle_event_connection_failure_fn=lambda data: tell(
                _not_connected(data.connack_packet, data.exception, ended=False)
            ),
            on_lifecycle_event_disconnection_fn=lambda data: tell(
                _not_connected(data.disconnect_packet, data.exception, ended=True)
            ),
            on_lifecycle_event_stopped_fn=lambda _: stopped.set(),
        )
        try:
            self._client = mqtt5_client_builder.mtls_from_bytes(
                identity.certificate,
                identity.private_key,
                endpoint=config.endpoint,  # with port 443, the builder adds AWS IoT's ALPN
                ca_bytes=identity.root_ca,
                client_options=options,
                enable_metrics_collection=False,
            )
        except (AwsCrtError, RuntimeError) as error:
            raise InputError(f"{name}: {error}; check certificate, key and rootCa") from None
        self._client.start()

    def publish(
        self, topic: str, payload: bytes, done: Callable[[EdgetallyError | None], None]
    ) -> None:
        """Publish with QoS 1; `done` gets None once it is acknowledged, else what is wrong."""
        packet = mqtt5.PublishPacket(payload, mqtt5.QoS.AT_LEAST_ONCE, topic=topic)
        try:
            answer = self._client.publish(packet)
        except (AwsCrtError, RuntimeError) as error:  # such as a topic that can't be one
            done(RefusedError(f"{self._name}: can't publish to {topic}: {error}"))
            return

        def answered(answer: Future[Any]) -> None:
            error = answer.exception()
            if error is None:
                done(self._refusal(topic, answer.result().puback.reason_code))
            else:
                done(self._failure(topic, error))

        answer.add_done_callback(answered)

    def _refusal(self, topic: str, code: Any) -> EdgetallyError | None:
        refused = _refused(code)
        if refused is None:
            return None
        text = f"{self._name}: the broker refused a message for {topic}: {refused}"
        final = getattr(code, "name", "") in _FINAL_REFUSALS
        return RefusedError(text) if final else TopicRefusedError(text)

    def _failure(self, topic: str, error: BaseException) -> EdgetallyError:
        name = getattr(error, "name", "")
        if name == _TOO_LARGE:
            return RefusedError(f"{self._name}: too large for this broker, for {topic}")
        if name == _TIMEOUT:
            return EdgetallyError(f"{self._name}: no acknowledgement of a message for {topic}")
        if name in _LOST:
            return EdgetallyError(f"{self._name}: connection lost")
        return EdgetallyError(f"{self._name}: not delivered: {error}")

    def subscribe(self, topic: str) -> None:
        """Ask for what is published to a topic; lasts as long as the connection."""
        packet = mqtt5.SubscribePacket([mqtt5.Subscription(topic, mqtt5.QoS.AT_LEAST_ONCE)])
        try:
            answer = self._client.subscribe(packet)
        except (AwsCrtError, RuntimeError) as error:
            _log.error("%s: can't subscribe to %s: %s", self._name, topic, error)
            return

        def answered(answer: Future[Any]) -> None:
            # Without an answer the connection has ended, and the next one subscribes again.
            refused = not answer.exception() and _refused(answer.result().reason_codes[0])
            if refused:
                _log.error(
                    "%s: the broker refuses a subscription to %s: %s", self._name, topic, refused
                )

        answer.add_done_callback(answered)

    def stop(self) -> None:
        """Disconnect in good order, so that no last will is published; wait 1.5 s at most."""
        self._client.stop(mqtt5.DisconnectPacket(mqtt5.DisconnectReasonCode.NORMAL_DISCONNECTION))
        self._stopped.wait(_STOPPING)


def create_bootstrap() -> Any:
    """Make what clients share: one thread for their connections, and one for names of hosts."""
    loops = io.EventLoopGroup(1)
    return io.ClientBootstrap(loops, io.DefaultHostResolver(loops))


def _socket_options() -> Any:
    options = io.SocketOptions()
    options.connect_timeout_ms = 10_000
    return options


def _flow_control(endpoint: str) -> Any:
    choices = mqtt5.ExtendedValidationAndFlowControlOptions
    if endpoint.lower().endswith(_AWS_HOSTS):
        return choices.AWS_IOT_CORE_DEFAULTS  # 100 publishes and 512 KiB a second
    return choices.NONE


def _connect_packet(config: MqttConfig, client_id: str, will: tuple[str, str] | None) -> Any:
    packet = mqtt5.ConnectPacket(
        client_id=client_id,
        keep_alive_interval_sec=config.keep_alive,
        session_expiry_interval_sec=0,
        maximum_packet_size=_LARGEST_PACKET,
    )
    if will is not None:
        topic, body = will
        packet.will = mqtt5.PublishPacket(body.encode(), mqtt5.QoS.AT_LEAST_ONCE, topic=topic)
    return packet


def _not_connected(packet: Any, exception: Any, *, ended: bool) -> NotConnected:
    code = None if packet is None else getattr(packet.reason_code, "name", "unknown reason")
    return NotConnected(ended, code, str(getattr(exception, "name", "")), str(exception))


def _refused(code: Any) -> str | None:
    """Return a reason code of PUBACK or SUBACK in words, None where it is a success."""
    if code is None:
        return "unknown reason"
    return words(code.name) if code >= _FIRST_FAILING_CODE else None
