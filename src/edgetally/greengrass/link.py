"""`NucleusLink`: what a component says to the nucleus that runs it, and hears from it."""

from __future__ import annotations

import contextlib
import json
import logging
import os
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from edgetally.errors import EdgetallyError, InputError
from edgetally.greengrass.component_configuration import ComponentConfiguration
from edgetally.greengrass.failure import InvalidError, OptionalOperationError
from edgetally.greengrass.frame import LARGEST_FRAME, frame_size
from edgetally.greengrass.lasting_connection import LastingConnection
from edgetally.greengrass.listening import Listening, Way
from edgetally.greengrass.operation import Operation
from edgetally.greengrass.patience import Patience

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from edgetally.greengrass.subscription import Subscription

_log = logging.getLogger(__name__)

COMPONENT = "io.edgetally.Counter"
_SOCKET = "AWS_GG_NUCLEUS_DOMAIN_SOCKET_FILEPATH_FOR_COMPONENT"
_SOCKET_OF_LITE = "gg-ipc.socket"
_TOKEN = "SVCUID"  # noqa: S105 - the variable that holds it
_THING = "AWS_IOT_THING_NAME"


class NucleusLink:
    """The operations of the nucleus that started us, over a connection that renews itself.

    component: our name. socket, token: where the nucleus listens and what it knows us by; None:
    from the environment. timeout: seconds for the nucleus to answer a call. keys: of our
    configuration, which is read part by part where it is too large for one answer.

    Callbacks are called on threads of the link and must return at once, but for that of
    `validate_updates`.
    """

    def __init__(
        self,
        *,
        component: str,
        socket: Path | None = None,
        token: str | None = None,
        timeout: float = 10.0,
        patience: Patience | None = None,
        keys: Collection[str] = (),
    ) -> None:
        self.component = component
        self.thing = os.environ.get(_THING) or None
        """The core device's name in AWS IoT, where the nucleus told it."""
        self.patience = patience or Patience(answer=timeout)
        socket = socket or Path(os.environ.get(_SOCKET, ""))
        self.fills_in = socket.name == _SOCKET_OF_LITE
        """Whether the nucleus fills in variables of policies in any case, as lite does."""
        self._ready: list[Callable[[], None]] = []
        self._allowed: list[Callable[[], None]] = []
        self._wanted_state: Literal["RUNNING", "ERRORED"] | None = None  # not told yet
        self._connection = LastingConnection(
            component,
            socket,
            token if token is not None else os.environ.get(_TOKEN, ""),
            self.patience,
            fills_in=self.fills_in,
            on_made=self._begin_anew,
            on_tend=self._tend,
        )
        self._configuration = ComponentConfiguration(
            self._connection, keys, self.patience, self._tell_allowed
        )
        self._listening = Listening(
            (
                Way(
                    Operation.SUBSCRIBE_LOCAL,
                    self.publish_local,
                    self.subscribe_local,
                    self.patience.check_local,
                ),
                Way(
                    Operation.SUBSCRIBE_CLOUD,
                    self.publish_cloud,
                    self.subscribe_cloud,
                    self.patience.check_cloud,
                ),
            ),
            self._connection.hearing,
            self.patience,
            self._connection.do,
            self._tell_ready,
        )

    @classmethod
    def from_environment(
        cls, component: str = COMPONENT, keys: Collection[str] = ()
    ) -> NucleusLink:
        """Make the link of a process that a nucleus started. InputError where none did."""
        for name in (_SOCKET, _TOKEN):
            if not os.environ.get(name):
                raise InputError(
                    f"no Greengrass nucleus started this process: {name} is not set; deploy "
                    "edgetally as a component, or run it with --config FILE"
                )
        return cls(component=component, keys=keys)

    def open(self, patience: float | None = None) -> None:
        """Make the first connection: see `LastingConnection.open`."""
        self._connection.open(patience)

    def on_hopeless(self, callback: Callable[[], None]) -> None:
        """Call back, once, when nothing is left to try: the process should exit non-zero."""
        self._connection.on_hopeless = callback

    @property
    def is_hopeless(self) -> bool:
        """Whether nothing is left to try."""
        return self._connection.is_hopeless

    @property
    def problem(self) -> str | None:
        """Why there is no connection; None where there is, or the first is being made."""
        return self._connection.problem

    def add_ready(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call back whenever messages can go (again); returns what ends that."""
        return _added(self._ready, callback)

    def add_allowed(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call back whenever policies may have changed; returns what ends that."""
        return _added(self._allowed, callback)

    def publish_local(self, topic: str, body: bytes) -> Future[None]:
        """Publish a binary message to the device's components; done when the nucleus took it."""
        return self._publish(Operation.PUBLISH_LOCAL, topic, body)

    def publish_cloud(self, topic: str, body: bytes) -> Future[None]:
        """Publish to AWS IoT Core with QoS 1; done when the nucleus took it, which may lose it."""
        return self._publish(Operation.PUBLISH_CLOUD, topic, body)

    def subscribe_local(self, topic: str, heard: Callable[[str, bytes], None]) -> Subscription:
        """Call `heard(topic, body)` for what components publish, over all connections."""
        return self._connection.hearing.add(
            Operation.SUBSCRIBE_LOCAL, topic, lambda event: heard(*_local_message(event, topic))
        )

    def subscribe_cloud(self, topic: str, heard: Callable[[str, bytes], None]) -> Subscription:
        """Call `heard(topic, body)` for what comes from AWS IoT Core, over all connections."""

        def take(event: Any) -> None:
            heard(event.message.topic_name or topic, event.message.payload or b"")

        return self._connection.hearing.add(Operation.SUBSCRIBE_CLOUD, topic, take)

    def loop_back(self, topic: str) -> None:
        """Speak to oneself on a topic, to hear whether what is subscribed to is still heard."""
        self._listening.topic = topic

    def doubt_cloud(self) -> None:
        """Hear soon whether one still hears AWS IoT Core: something that should come stays out."""
        self._connection.do(lambda: self._listening.hurry(Operation.SUBSCRIBE_CLOUD))

    def configuration(self) -> dict[str, Any]:
        """Read our configuration, whole, without what is the nucleus's own. EdgetallyError."""
        return self._configuration.read()

    def watch_configuration(self, changed: Callable[[], None]) -> Subscription:
        """Call back a moment after the configuration has changed; also without a word of it."""
        return self._configuration.watch(changed)

    def validate_updates(self, check: Callable[[dict[str, Any]], str | None]) -> Subscription:
        """Let `check` say what is wrong with a configuration that is about to be deployed.

        It may take its time. A nucleus that does not ask is missed in silence.
        """
        return self._configuration.validate(check)

    def update_state(self, state: Literal["RUNNING", "ERRORED"]) -> None:
        """Tell the nucleus how we are; where that fails, again on the next connection."""
        self._wanted_state = state
        self._tell_state()

    def secret(self, arn: str) -> str:
        """Read a secret of AWS Secrets Manager. EdgetallyError, also where there are none."""
        try:
            answer = self._connection.ask(
                Operation.READ_SECRET, arn, lambda client: client.secret(arn)
            )
        except OptionalOperationError as error:
            raise OptionalOperationError(
                f"secret {arn}: {error}; deploy aws.greengrass.SecretManager with it, or give the "
                "secret in a file"
            ) from None
        value = answer.secret_value
        if value is None or (value.secret_string is None and value.secret_binary is None):
            raise EdgetallyError(f"secret {arn} is empty")
        if value.secret_string is not None:
            return str(value.secret_string)
        return bytes(value.secret_binary).decode(errors="replace")

    def update_shadow(self, thing: str, name: str, document: bytes) -> Future[None]:
        """Merge a document into a thing's named shadow; done when the nucleus took it.

        Ends with OptionalOperationError where it has no shadows, and is not asked again then on
        the same connection.
        """
        if frame_size(thing + name, document) > LARGEST_FRAME:
            return _refused(f"{len(document)} bytes for the shadow {name} are too many")
        return self._connection.call(
            Operation.UPDATE_SHADOW,
            f"$aws/things/{thing}/shadow/name/{name}",
            lambda client: client.update_shadow(thing, name, document),
        )

    def put_metrics(self, counts: Mapping[str, int]) -> Future[None]:
        """Let the nucleus add counts to our metrics, by their names; done when it took them.

        Ends as `update_shadow` where it has no metrics, and with DeniedError where it takes none of
        ours; it is never asked again then.
        """
        return self._connection.call(
            Operation.PUT_METRICS, "", lambda client: client.put_metrics(counts)
        )

    def publish_for(self, is_topic_of_ours: Callable[[str], bool]) -> None:
        """Know which topics are still published to; others may wait from before."""
        self._connection.calls.is_topic_of_ours = is_topic_of_ours

    def expect_end(self) -> None:
        """Know that we are being stopped. Signal-safe."""
        self._connection.calls.is_ending = True

    def close(self) -> None:
        """End the connection, in good order, within two seconds; harmless when repeated."""
        self._connection.close()

    def _publish(self, operation: Operation, topic: str, body: bytes) -> Future[None]:
        if frame_size(topic, body) > LARGEST_FRAME:
            return _refused(f"{len(body)} bytes for {topic} are too large a message")
        local = operation is Operation.PUBLISH_LOCAL
        return self._connection.call(
            operation,
            topic,
            lambda client: (client.publish_local if local else client.publish_cloud)(topic, body),
        )

    def _tell_state(self) -> None:
        state = self._wanted_state
        if state is None:
            return
        try:
            self._connection.ask(
                Operation.UPDATE_STATE, state, lambda client: client.update_state(state)
            )
        except EdgetallyError as error:
            _log.debug("%s", error)
        else:
            if self._wanted_state == state:
                self._wanted_state = None

    # Below: on the connection's thread.

    def _begin_anew(self, now: float) -> None:
        """Take up again, on a connection that was just made, what hung on the last one."""
        self._listening.begin_anew(now)
        self._configuration.look_soon()
        self._connection.do(self._tell_state)
        self._tell_ready()

    def _tend(self, now: float) -> None:
        self._listening.tend(now)
        self._configuration.tend(now)

    def _tell_ready(self) -> None:
        for callback in tuple(self._ready):
            callback()

    def _tell_allowed(self) -> None:
        """Let be tried again what policies denied: they are a part of the configuration."""
        self._connection.hearing.retry()
        for callback in tuple(self._allowed):
            callback()


def _added(callbacks: list[Callable[[], None]], callback: Callable[[], None]) -> Callable[[], None]:
    callbacks.append(callback)

    def remove() -> None:
        with contextlib.suppress(ValueError):
            callbacks.remove(callback)

    return remove


def _refused(reason: str) -> Future[None]:
    refused: Future[None] = Future()
    refused.set_exception(InvalidError(f"greengrass: {reason}"))
    return refused


def _local_message(event: Any, topic: str) -> tuple[str, bytes]:
    """Take a message out of what the client gives; JSON ones as their text."""
    message = event.binary_message or event.json_message
    if message is None:
        return topic, b""
    named = message.context.topic if message.context is not None else None
    if event.binary_message is not None:
        return named or topic, message.message or b""
    return named or topic, json.dumps(message.message).encode()
