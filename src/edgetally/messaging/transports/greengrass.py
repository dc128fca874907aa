"""Through the Greengrass nucleus: to the device's components, and to AWS IoT Core."""

from __future__ import annotations

import queue
import threading
import time
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from edgetally.errors import EdgetallyError
from edgetally.greengrass import Deadlines, DeniedError, InvalidError
from edgetally.messaging.rate import Rate
from edgetally.messaging.transports.echoes import Echoes
from edgetally.messaging.transports.transport import RefusedError, TopicRefusedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgetally.greengrass import NucleusLink, Subscription

# A frame holds 10,000 bytes on a nucleus lite, and bodies travel in base64.
_LARGEST_BODY = 7000
_LONGEST_TOPIC = 256
_LOCAL_WINDOW = 16
# A nucleus lite fails with more than about ten on their way; the link's own are among them.
_WINDOW, _UNANSWERED = 10, 8
_RATE = 50.0  # messages a second
_LARGEST_ECHO = 4900  # bytes; a nucleus lite does not hand over more
_ECHO = 20.0  # seconds
_AGAIN = 3  # times that, where it is published again meanwhile


class _NucleusTransport:
    """What both have in common: the link, and what is heard over it."""

    max_bytes: int | None = _LARGEST_BODY
    window = _LOCAL_WINDOW
    name = "greengrass"

    def __init__(
        self,
        link: NucleusLink,
        subscribe: Callable[[str, Callable[[str, bytes], None]], Subscription],
    ) -> None:
        self.on_ready: Callable[[], None] | None = None
        """Called, on another thread, when messages can go (again)."""
        self.on_allowed: Callable[[], None] | None = None
        """Called, on another thread, when policies may have changed."""
        self._link = link
        self._subscribe = subscribe
        self._subscriptions: list[Subscription] = []
        self._closed = False
        self._end_ready = link.add_ready(self._ready)
        self._end_allowed = link.add_allowed(self._allowed)

    def __str__(self) -> str:
        return self.name

    @property
    def problem(self) -> str | None:
        """Why there is no connection; None where there is, or the first is being made."""
        return self._link.problem

    def subscribe(self, topic: str, heard: Callable[[str, bytes], None]) -> None:
        """Call `heard(topic, body)` for what is published to a topic."""
        self._subscriptions.append(self._subscribe(topic, heard))

    def close(self) -> None:
        """Hear no more; the link stays open."""
        self._closed = True
        self._end_ready()
        self._end_allowed()
        for subscription in self._subscriptions:
            subscription.close()

    def _ready(self) -> None:
        if self.on_ready is not None:
            self.on_ready()

    def _allowed(self) -> None:
        if self.on_allowed is not None:
            self.on_allowed()

    def _payload(self, topic: str, body: str) -> bytes:
        if self._closed:
            raise EdgetallyError(f"{self} is closed")
        payload = body.encode()
        if len(payload) > _LARGEST_BODY:
            raise RefusedError(
                f"{self}: {len(payload)} bytes for {topic} are too many; {_LARGEST_BODY} at most"
            )
        if len(topic.encode()) > _LONGEST_TOPIC:
            raise RefusedError(
                f"{self}: {topic} is too long a topic; {_LONGEST_TOPIC} bytes at most"
            )
        return payload


class LocalTransport(_NucleusTransport):
    """To the components of the device; delivered when the nucleus took it."""

    name = "greengrass local"

    def __init__(self, link: NucleusLink) -> None:
        super().__init__(link, link.subscribe_local)

    def send(self, topic: str, body: str) -> Future[None]:
        """Publish a binary message."""
        payload = self._payload(topic, body)
        sent: Future[None] = Future()
        sent.set_running_or_notify_cancel()

        def answered(answer: Future[None]) -> None:
            error = answer.exception()
            if error is None:
                sent.set_result(None)
            else:
                sent.set_exception(_mapped(error))

        self._link.publish_local(topic, payload).add_done_callback(answered)
        return sent


@dataclass
class _Message:
    topic: str
    body: bytes
    sent: Future[None]
    is_echoed: bool
    until: float  # when it is given up
    latest: float  # until when that may be put off


class IotCoreTransport(_NucleusTransport):
    """To AWS IoT Core; at a pace that a nucleus lite bears.

    delivery: `accepted`: a message is delivered when the nucleus took it. `echoed`: those of
    topics that end with `events` are when they were heard back, others as with `accepted`.
    """

    name = "greengrass iot core"
    window = _WINDOW

    def __init__(
        self,
        link: NucleusLink,
        delivery: Literal["accepted", "echoed"],
        *,
        echo: float = _ECHO,
        rate: float = _RATE,
    ) -> None:
        super().__init__(link, link.subscribe_cloud)
        self._delivery = delivery
        self._echo = echo
        self._rate = Rate(rate, time.monotonic())
        self._echoes = Echoes()
        self._listening: dict[str, Subscription] = {}  # by filter
        self._unanswered = threading.Semaphore(_UNANSWERED)
        self._deadlines = Deadlines("greengrass echoes")
        self._lock = threading.Lock()
        self._waiting: dict[Future[None], _Message] = {}
        self._unheard: dict[Future[None], _Message] = {}  # of these, what the nucleus took
        self._queue: queue.SimpleQueue[_Message | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=f"{self} pace", daemon=True)
        self._thread.start()

    def send(self, topic: str, body: str) -> Future[None]:
        """Publish with QoS 1, when it is its turn."""
        payload = self._payload(topic, body)
        if self._link.problem is not None:
            raise EdgetallyError(self._link.problem)
        is_echoed = (
            self._delivery == "echoed"
            and topic.rpartition("/")[2] == "events"
            and len(payload) <= _LARGEST_ECHO
        )
        now = time.monotonic()
        message = _Message(
            topic, payload, Future(), is_echoed, now + self._echo, now + _AGAIN * self._echo
        )
        message.sent.set_running_or_notify_cancel()
        with self._lock:
            self._waiting[message.sent] = message
        message.sent.add_done_callback(self._forget)
        self._deadlines.watch(message.sent, self._echo, lambda: self._give_up(message))
        if not is_echoed:
            self._queue.put(message)
        elif not self._echoes.expect(topic, payload, message.sent):
            message.sent.set_result(None)
        else:
            self._deadlines.watch(message.sent, self._echo / 8, self._link.doubt_cloud)
            # What is published before one hears is not heard back.
            self._listen(topic).made.add_done_callback(
                lambda made: self._put_if_heard(message, made)
            )
        return message.sent

    def close(self) -> None:
        """Publish no more, hear no more; the link stays open."""
        if self._closed:
            return
        super().close()
        for subscription in tuple(self._listening.values()):
            subscription.close()
        self._queue.put(None)
        self._unanswered.release()  # for a thread that waits for its turn
        self._thread.join(0.3)
        self._deadlines.close()
        with self._lock:
            left = tuple(self._waiting)
        for sent in left:
            _settle(sent, EdgetallyError(f"{self} is closed"))

    def _ready(self) -> None:
        """Publish again what may have come back while nobody heard it."""
        with self._lock:
            unheard = tuple(self._unheard.values())
            self._unheard.clear()
        for message in unheard:
            message.until = min(message.latest, time.monotonic() + self._echo)
            self._queue.put(message)
        super()._ready()

    def _forget(self, sent: Future[None]) -> None:
        with self._lock:
            self._waiting.pop(sent, None)
            self._unheard.pop(sent, None)

    def _listen(self, topic: str) -> Subscription:
        """Hear the events of all cameras and of the stock: one subscription for them all."""
        *above, _, last = topic.split("/")
        pattern = "/".join([*above, "+", last])
        if pattern not in self._listening:
            self._listening[pattern] = self._link.subscribe_cloud(pattern, self._heard)
        return self._listening[pattern]

    def _heard(self, topic: str, body: bytes) -> None:
        for sent in self._echoes.heard(topic, body):
            _settle(sent)

    def _put_if_heard(self, message: _Message, made: Future[None]) -> None:
        error = made.exception()
        if error is None:
            self._queue.put(message)
        else:
            self._fail(message, error)

    def _give_up(self, message: _Message) -> None:
        left = message.until - time.monotonic()
        if left > 0:
            self._deadlines.watch(message.sent, left, lambda: self._give_up(message))
            return
        if message.is_echoed:
            reason = (
                f"{message.topic} was not heard back from AWS IoT Core in {self._echo:g} s; if it "
                "goes on, see that the device's policy has iot:Subscribe and iot:Receive for it"
            )
        else:
            reason = f"no answer for {message.topic} in {self._echo:g} s"
        self._fail(message, EdgetallyError(f"{self}: {reason}"))

    def _fail(self, message: _Message, error: BaseException) -> None:
        if message.is_echoed:
            self._echoes.give_up(message.topic, message.body, message.sent)
        _settle(message.sent, _mapped(error))

    def _run(self) -> None:
        while (message := self._queue.get()) is not None:
            self._unanswered.acquire()
            time.sleep(self._rate.wait(time.monotonic()))
            if message.sent.done() or self._closed:
                self._unanswered.release()
                continue
            self._rate.take()
            self._publish(message)

    def _publish(self, message: _Message) -> None:
        def answered(answer: Future[None]) -> None:
            self._unanswered.release()
            error = answer.exception()
            if error is not None:
                self._fail(message, error)
            elif not message.is_echoed:
                _settle(message.sent)
            else:
                with self._lock:
                    if message.sent in self._waiting:
                        self._unheard[message.sent] = message

        self._link.publish_cloud(message.topic, message.body).add_done_callback(answered)


def _mapped(error: BaseException) -> BaseException:
    if isinstance(error, DeniedError):
        return TopicRefusedError(str(error), is_told=True)  # by the link, with the policy
    if isinstance(error, InvalidError):
        return RefusedError(str(error))
    return error


def _settle(sent: Future[None], error: BaseException | None = None) -> None:
    with suppress(InvalidStateError):  # heard, failed or given up at the same time
        if error is None:
            sent.set_result(None)
        else:
            sent.set_exception(error)
