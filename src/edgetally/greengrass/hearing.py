"""`Hearing`: every subscription, made on each connection, and a thread that hands over."""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
import time
from concurrent.futures import wait
from typing import TYPE_CHECKING, Any

from edgetally.greengrass.failure import (
    DeniedError,
    InvalidError,
    LostError,
    OptionalOperationError,
    explained,
)
from edgetally.greengrass.operation import Operation
from edgetally.greengrass.subscription import Asked, Stream, Subscription

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from edgetally.errors import EdgetallyError
    from edgetally.greengrass.client import NucleusClient
    from edgetally.greengrass.patience import Patience

_log = logging.getLogger(__name__)
_MOST = 2000  # messages that wait to be handed over; what comes beyond is lost
_LONGEST_RETRY = 60.0  # seconds
_WORD_EACH = 60.0
_SETTLING = 2.0  # a part of nucleus lite that is started again takes one


class Hearing:
    """Keeps subscriptions. All but `add` and `close` is called by the link's thread.

    denied: told of each denial. wake: called when there is something to tend.
    """

    def __init__(
        self,
        patience: Patience,
        denied: Callable[[Operation, str, DeniedError], None],
        wake: Callable[[], None],
    ) -> None:
        self._patience = patience
        self._denied, self._wake = denied, wake
        self._lock = threading.Lock()
        self._subscriptions: list[Subscription] = []
        self._came: queue.Queue[tuple[Subscription, Any] | None] = queue.Queue(_MOST)
        self._lost = 0
        self._next_word = 0.0
        self._thread = threading.Thread(
            target=self._hand_over, name="greengrass heard", daemon=True
        )
        self._thread.start()

    def add(self, operation: Operation, topic: str, heard: Callable[[Any], None]) -> Subscription:
        """Hear a topic from now on; `heard` is called on a thread that all share."""
        subscription = Subscription(operation, topic, heard, self._wake)
        with self._lock:
            self._subscriptions.append(subscription)
        self._wake()
        return subscription

    def has(self, operation: Operation) -> bool:
        """Whether someone wants to hear by an operation."""
        return any(each.operation is operation for each in self._all())

    def tend(self, client: NucleusClient) -> None:
        """Make what is missing or outworn, end what is closed. LostError without an answer.

        Those of AWS IoT Core may take their time: a Java nucleus answers once it is online.
        """
        for subscription in self._all():
            now = time.monotonic()
            if subscription.is_closed:
                self._end(subscription)
            elif subscription.asked is not None:
                self._look(subscription, subscription.asked, now)
            elif now >= subscription.retry_at and (
                subscription.stream is None
                or subscription.is_outworn
                or now >= subscription.made_at + self._patience.renewal
            ):
                self._ask(client, subscription)

    def settle(self, client: NucleusClient) -> None:
        """Tend, and give what is still unanswered a while: who publishes then is heard back."""
        self.tend(client)
        unanswered = [each.asked.answer for each in self._all() if each.asked is not None]
        if unanswered:
            wait(unanswered, min(_SETTLING, self._patience.answer))
            self.tend(client)

    def lost(self) -> None:
        """Note that the connection has ended: all is made anew on the next one."""
        for subscription in self._all():
            subscription.stream = subscription.asked = None
            subscription.retry_at = subscription.delay = 0.0

    def retry(self) -> None:
        """Let those that could not be made be tried at once."""
        for subscription in self._all():
            subscription.retry_at = 0.0

    def renew(self, operations: Collection[Operation]) -> None:
        """Make subscriptions anew when they are tended next."""
        for subscription in self._all():
            subscription.is_outworn |= subscription.operation in operations

    def close(self) -> None:
        """End all, hand over no more."""
        for subscription in self._all():
            subscription.is_closed = True
            self._end(subscription)
        with contextlib.suppress(queue.Full):  # then it is busy, and dies with the process
            self._came.put_nowait(None)
        if threading.current_thread() is not self._thread:
            self._thread.join(0.5)

    def _all(self) -> tuple[Subscription, ...]:
        with self._lock:
            return tuple(self._subscriptions)

    def _end(self, subscription: Subscription) -> None:
        with self._lock, contextlib.suppress(ValueError):
            self._subscriptions.remove(subscription)
        if subscription.asked is not None:
            subscription.asked.stream.close()
        if subscription.stream is not None:
            subscription.stream.close()
        subscription.stream = subscription.asked = None

    def _ask(self, client: NucleusClient, subscription: Subscription) -> None:
        operation, topic, before = subscription.operation, subscription.topic, subscription.stream
        stream = Stream(subscription, before, self._take, self._ended)
        try:
            answer, stream.operation = client.subscribe(
                operation, topic, stream.event, stream.closed
            )
        except Exception as error:  # noqa: BLE001 - of many classes, some of them bare
            self._failed(subscription, explained(error, operation, topic))
            return
        answer.add_done_callback(stream.answered)
        subscription.asked = Asked(stream, answer, time.monotonic())
        if operation is Operation.SUBSCRIBE_CLOUD:
            answer.add_done_callback(lambda _: self._wake())
            return
        if not wait([answer], self._patience.answer).done:
            raise LostError(self._unanswered(subscription))
        self._look(subscription, subscription.asked, time.monotonic())

    def _unanswered(self, subscription: Subscription) -> str:
        return f"greengrass: no answer at {subscription} in {self._patience.answer:g} s"

    def _look(self, subscription: Subscription, asked: Asked, now: float) -> None:
        """See what became of a subscription that the nucleus was asked for."""
        if asked.answer.done():
            subscription.asked = None
            error = asked.answer.exception()
            if error is None:
                self._made(subscription, asked.stream)
            else:
                self._failed(
                    subscription, explained(error, subscription.operation, subscription.topic)
                )
        elif now >= asked.at + self._patience.renewal:
            subscription.asked = None
            asked.stream.close()
        elif now >= asked.at + self._patience.answer and not subscription.failure:
            subscription.failure = self._unanswered(subscription)
            _log.warning("%s; is the device online? We wait for it", subscription.failure)

    def _made(self, subscription: Subscription, stream: Stream) -> None:
        if stream.before is not None:
            stream.before.close()
            stream.before = None
        subscription.made_at = time.monotonic()
        subscription.is_outworn = False
        subscription.retry_at = subscription.delay = 0.0
        if subscription.failure:
            _log.info("greengrass: %s works again", subscription)
            subscription.failure = ""
        subscription.settle(None)

    def _failed(self, subscription: Subscription, error: EdgetallyError) -> None:
        lasting = isinstance(error, DeniedError | InvalidError | OptionalOperationError)
        subscription.delay = min(_LONGEST_RETRY, 2 * subscription.delay or 1.0)
        wait = self._patience.denied if lasting else subscription.delay
        subscription.retry_at = time.monotonic() + wait
        if isinstance(error, DeniedError):
            self._denied(subscription.operation, subscription.topic, error)
        elif isinstance(error, OptionalOperationError | LostError):
            _log.debug("%s", error)
        elif str(error) != subscription.failure:
            _log.warning("%s", error)
            subscription.failure = str(error)
        if lasting:
            subscription.settle(error)

    # Below: on the connection's thread.

    def _ended(self, stream: Stream) -> None:
        subscription = stream.subscription
        if subscription.stream is stream:
            subscription.stream = None
            self._wake()

    def _take(self, subscription: Subscription, event: Any) -> None:
        try:
            self._came.put_nowait((subscription, event))
        except queue.Full:
            self._lost += 1
            if (now := time.monotonic()) >= self._next_word:
                self._next_word = now + _WORD_EACH
                _log.warning("greengrass: %d messages came too fast and are lost", self._lost)

    # Below: on its own thread.

    def _hand_over(self) -> None:
        while (came := self._came.get()) is not None:
            subscription, event = came
            if subscription.is_closed:
                continue
            try:
                subscription.heard(event)
            except Exception:  # noqa: BLE001 - whoever hears must not deafen the others
                _log.exception("greengrass: what came by %s was not taken", subscription)
