"""`NucleusLink`: one connection to the nucleus, which renews itself for ever."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import queue
import threading
import time
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from edgetally.errors import EdgetallyError, InputError
from edgetally.greengrass.backoff import Backoff
from edgetally.greengrass.calls import Calls
from edgetally.greengrass.configuration_watch import ConfigurationWatch
from edgetally.greengrass.dialling import Dialling
from edgetally.greengrass.failure import (
    AbsentError,
    DeniedError,
    InvalidError,
    LostError,
    OptionalOperationError,
    UnknownHereError,
)
from edgetally.greengrass.frame import LARGEST_FRAME, frame_size
from edgetally.greengrass.hearing import Hearing
from edgetally.greengrass.listening import Listening, Way
from edgetally.greengrass.operation import Operation
from edgetally.greengrass.patience import Patience

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from edgetally.greengrass.client import NucleusClient
    from edgetally.greengrass.subscription import Subscription

_log = logging.getLogger(__name__)

COMPONENT = "io.edgetally.Counter"
_SOCKET = "AWS_GG_NUCLEUS_DOMAIN_SOCKET_FILEPATH_FOR_COMPONENT"
_SOCKET_OF_LITE = "gg-ipc.socket"
_TOKEN = "SVCUID"  # noqa: S105 - the variable that holds it
_THING = "AWS_IOT_THING_NAME"
_POLICIES = "accessControl"  # the nucleus's own part of a component's configuration


class NucleusLink:
    """One connection to the nucleus that started us; made anew whenever it is lost.

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
        self._keys = keys
        self.thing = os.environ.get(_THING) or None
        """The core device's name in AWS IoT, where the nucleus told it."""
        self.on_hopeless: Callable[[], None] | None = None
        """Called once when there is nothing left to try: the process should exit non-zero."""
        self.is_hopeless = False
        self.patience = patience or Patience(answer=timeout)
        self._began = time.monotonic()
        self._refused_since: float | None = None
        self._client: NucleusClient | None = None
        self._reason: str | None = None  # why there is no connection; None: no outcome yet
        self._closed = False
        self._connected = threading.Event()
        self._ready: list[Callable[[], None]] = []
        self._allowed: list[Callable[[], None]] = []
        self._wanted_state: Literal["RUNNING", "ERRORED"] | None = None  # not told yet
        self._changed: Callable[[], None] | None = None
        self._watch = ConfigurationWatch(self.patience)
        self._backoff = Backoff(self.patience.first_retry, self.patience.longest_retry)
        self._retry_at = 0.0
        self._tick = min(0.25, self.patience.echo / 4, self.patience.quiet)
        self._tasks: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        socket = socket or Path(os.environ.get(_SOCKET, ""))
        self.fills_in = socket.name == _SOCKET_OF_LITE
        """Whether the nucleus fills in variables of policies in any case, as lite does."""
        self._calls = Calls(component, self.patience.answer, self._gone, fills_in=self.fills_in)
        self._hearing = Hearing(self.patience, self._calls.tell_denial, self._wake)
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
            self._hearing,
            self.patience,
            self._tasks.put,
            self._tell_ready,
        )
        self._dialling = Dialling(
            component,
            socket,
            token if token is not None else os.environ.get(_TOKEN, ""),
            self.patience.answer,
            lambda client: self._gone(client, "greengrass: connection lost"),
        )
        self._thread = threading.Thread(target=self._supervise, name="greengrass link", daemon=True)

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
        """Make the first connection, trying again for so many seconds.

        None: for as long as a component must live to be started again and again. Whoever exits
        earlier is given up by a nucleus lite. EdgetallyError where there is none by then.
        """
        self._wake()
        self._thread.start()
        until = time.monotonic() + (self.patience.life if patience is None else patience)
        while not self._connected.wait(0.2):
            if self._closed or self.is_hopeless or time.monotonic() >= until:
                reason = self._reason
                self.close()
                raise EdgetallyError(reason or "greengrass: no connection in time")

    @property
    def problem(self) -> str | None:
        """Why there is no connection; None where there is, or the first is being made."""
        return self._reason

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
        return self._hearing.add(
            Operation.SUBSCRIBE_LOCAL, topic, lambda event: heard(*_local_message(event, topic))
        )

    def subscribe_cloud(self, topic: str, heard: Callable[[str, bytes], None]) -> Subscription:
        """Call `heard(topic, body)` for what comes from AWS IoT Core, over all connections."""

        def take(event: Any) -> None:
            heard(event.message.topic_name or topic, event.message.payload or b"")

        return self._hearing.add(Operation.SUBSCRIBE_CLOUD, topic, take)

    def loop_back(self, topic: str) -> None:
        """Speak to oneself on a topic, to hear whether what is subscribed to is still heard."""
        self._listening.topic = topic

    def doubt_cloud(self) -> None:
        """Hear soon whether one still hears AWS IoT Core: something that should come stays out."""
        self._tasks.put(lambda: self._listening.hurry(Operation.SUBSCRIBE_CLOUD))

    def configuration(self) -> dict[str, Any]:
        """Read our configuration, whole, without what is the nucleus's own. EdgetallyError."""
        found = self._read_configuration()
        self._watch.read(found)
        return found

    def watch_configuration(self, changed: Callable[[], None]) -> None:
        """Call back a moment after the configuration has changed; also without a word of it."""
        self._changed = changed
        self._hearing.add(
            Operation.WATCH_CONFIGURATION,
            "",
            lambda _: self._tasks.put(lambda: self._watch.word(time.monotonic())),
        )

    def validate_updates(self, check: Callable[[dict[str, Any]], str | None]) -> None:
        """Let `check` say what is wrong with a configuration that is about to be deployed.

        It may take its time. A nucleus that does not ask is missed in silence.
        """

        def validate(event: Any) -> None:
            asked = event.validate_configuration_update_event
            try:
                problem = check(_own(asked.configuration))
            except Exception as error:  # noqa: BLE001 - the deployment must have an answer
                problem = str(error)
            with contextlib.suppress(EdgetallyError):
                self._ask(
                    Operation.REPORT_VALIDITY,
                    "",
                    lambda client: client.report_validity(asked.deployment_id, problem),
                )

        self._hearing.add(Operation.VALIDATE, "", validate)

    def update_state(self, state: Literal["RUNNING", "ERRORED"]) -> None:
        """Tell the nucleus how we are; where that fails, again on the next connection."""
        self._wanted_state = state
        self._tell_state()

    def secret(self, arn: str) -> str:
        """Read a secret of AWS Secrets Manager. EdgetallyError, also where there are none."""
        try:
            answer = self._ask(Operation.READ_SECRET, arn, lambda client: client.secret(arn))
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
        return self._call(
            Operation.UPDATE_SHADOW,
            f"$aws/things/{thing}/shadow/name/{name}",
            lambda client: client.update_shadow(thing, name, document),
        )

    def put_metrics(self, counts: Mapping[str, int]) -> Future[None]:
        """Let the nucleus add counts to our metrics, by their names; done when it took them.

        Ends as `update_shadow` where it has no metrics, and with DeniedError where it takes none of
        ours; it is never asked again then.
        """
        return self._call(Operation.PUT_METRICS, "", lambda client: client.put_metrics(counts))

    def publish_for(self, is_topic_of_ours: Callable[[str], bool]) -> None:
        """Know which topics are still published to; others may wait from before."""
        self._calls.is_topic_of_ours = is_topic_of_ours

    def expect_end(self) -> None:
        """Know that we are being stopped. Signal-safe."""
        self._calls.is_ending = True

    def close(self) -> None:
        """End the connection, in good order, within two seconds; harmless when repeated."""
        if self._closed:
            return
        self._closed = True
        self._wake()
        if self._thread.is_alive() and threading.current_thread() is not self._thread:
            self._thread.join(0.5)
        self._hearing.close()
        client, self._client = self._client, None
        self._reason = "greengrass: closed"
        if client is not None:
            client.close()
        self._calls.close()

    def _publish(self, operation: Operation, topic: str, body: bytes) -> Future[None]:
        if frame_size(topic, body) > LARGEST_FRAME:
            return _refused(f"{len(body)} bytes for {topic} are too large a message")
        local = operation is Operation.PUBLISH_LOCAL
        return self._call(
            operation,
            topic,
            lambda client: (client.publish_local if local else client.publish_cloud)(topic, body),
        )

    def _read_configuration(self) -> dict[str, Any]:
        try:
            return self._below()
        except (LostError, DeniedError):
            raise
        except EdgetallyError as error:
            # A nucleus lite can't answer with more than a frame holds, policies included.
            parts = {key: part for key in self._keys if (part := self._part(key)) is not None}
            if not parts:
                raise error from None
            return parts

    def _part(self, key: str) -> Any:
        try:
            part = self._below(key)
        except AbsentError:
            return None
        return part[key] if part.keys() == {key} else part  # a leaf comes with its name

    def _below(self, *keys: str) -> dict[str, Any]:
        answer = self._ask(
            Operation.READ_CONFIGURATION,
            ".".join(keys),
            lambda client: client.configuration(*keys),
        )
        return _own(answer.value)

    def _call(
        self, operation: Operation, resource: str, start: Callable[[NucleusClient], Future[Any]]
    ) -> Future[Any]:
        client = self._client
        if client is None:
            failed: Future[Any] = Future()
            failed.set_exception(LostError(self._reason or "greengrass: not connected yet"))
            return failed
        return self._calls.begin(client, operation, resource, start)

    def _ask(
        self, operation: Operation, resource: str, start: Callable[[NucleusClient], Future[Any]]
    ) -> Any:
        return self._call(operation, resource, start).result(2 * self.patience.answer)

    def _tell_state(self) -> None:
        state = self._wanted_state
        if state is None:
            return
        try:
            self._ask(Operation.UPDATE_STATE, state, lambda client: client.update_state(state))
        except EdgetallyError as error:
            _log.debug("%s", error)
        else:
            if self._wanted_state == state:
                self._wanted_state = None

    def _wake(self) -> None:
        self._tasks.put(lambda: None)

    def _gone(self, client: NucleusClient, reason: str) -> None:
        self._tasks.put(lambda: self._lost(client, reason))

    # Below: on the link's thread.

    def _supervise(self) -> None:
        while not self._closed:
            try:
                with contextlib.suppress(queue.Empty):
                    self._tasks.get(timeout=self._tick)()
                    while not self._tasks.empty():
                        self._tasks.get()()
                self._tend()
            except Exception:  # noqa: BLE001, PERF203 - or the link would stay down for good
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
            self._hearing.tend(client)
        except LostError as error:
            self._lost(client, str(error))
            return
        self._listening.tend(time.monotonic())
        self._look_at_configuration(time.monotonic())

    def _connect(self) -> None:
        try:
            client = self._dialling.dial()
        except EdgetallyError as error:
            now = time.monotonic()
            if not isinstance(error, UnknownHereError):
                self._refused_since = None
            elif self._refused_since is None:
                self._refused_since = now
            self._retry_at = now + self._backoff.next()
            self._down(str(error))
            self._despair(now)
            return
        if self._closed:
            client.close()
            return
        try:
            # Before anything is published: what should come back must be heard.
            self._hearing.settle(client)
        except LostError as error:
            self._hearing.lost()
            client.close()
            self._retry_at = time.monotonic() + self._backoff.next()
            self._down(str(error))
            return
        if self._closed:  # meanwhile
            client.close()
            return
        self._refused_since = None
        self._backoff.reset()
        self._client, self._reason = client, None
        _log.info("greengrass: connected")
        self._listening.begin_anew(time.monotonic())
        self._watch.look_soon()
        self._connected.set()
        self._tasks.put(self._tell_state)
        self._tell_ready()

    def _tell_ready(self) -> None:
        for callback in tuple(self._ready):
            callback()

    def _tell_allowed(self) -> None:
        """Let be tried again what policies denied: they are a part of the configuration."""
        self._hearing.retry()
        for callback in tuple(self._allowed):
            callback()

    def _lost(self, client: NucleusClient, reason: str) -> None:
        if client is not self._client or self._closed:
            return
        self._client = None
        self._hearing.lost()
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
            now - self._refused_since >= self.patience.refused
        )
        if self.is_hopeless or not refused or now - self._began < self.patience.life:
            return
        self.is_hopeless = True
        _log.error("greengrass: only a new start gives us a connection; %s", self._reason)
        if self.on_hopeless is not None:
            self.on_hopeless()

    def _look_at_configuration(self, now: float) -> None:
        if self._changed is None:
            return
        if self._watch.has_changed(now):
            self._tell_allowed()
            self._changed()
        if not self._watch.should_look(now):
            return
        try:
            is_other = self._watch.read(self._read_configuration())
        except EdgetallyError as error:
            _log.debug("%s", error)
            return
        if is_other:
            self._tell_allowed()
            self._hearing.renew((Operation.WATCH_CONFIGURATION,))
            self._changed()


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


def _own(configuration: dict[str, Any] | None) -> dict[str, Any]:
    return {key: each for key, each in (configuration or {}).items() if key != _POLICIES}


def _local_message(event: Any, topic: str) -> tuple[str, bytes]:
    """Take a message out of what the client gives; JSON ones as their text."""
    message = event.binary_message or event.json_message
    if message is None:
        return topic, b""
    named = message.context.topic if message.context is not None else None
    if event.binary_message is not None:
        return named or topic, message.message or b""
    return named or topic, json.dumps(message.message).encode()
