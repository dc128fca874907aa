"""`Subscription`: a wish to hear, kept over connections."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgetally.greengrass.operation import Operation


class Subscription:
    """What someone wants to hear, over all connections, until it is closed.

    heard: takes what the client gives. `made` ends when it stands; with DeniedError where the
    nucleus does not allow it, OptionalOperationError where it lacks it. It is another one where
    that changes later.
    """

    def __init__(
        self,
        operation: Operation,
        topic: str,
        heard: Callable[[Any], None],
        changed: Callable[[], None],
    ) -> None:
        self.operation = operation
        self.topic = topic
        self.heard = heard
        self.made: Future[None] = Future()
        self.made.set_running_or_notify_cancel()
        self.is_closed = False
        self._changed = changed
        # Below is the link's alone.
        self.stream: Stream | None = None  # the one that is heard; others are old
        self.asked: Asked | None = None  # for another one
        self.made_at = 0.0
        self.is_outworn = False
        self.retry_at = 0.0
        self.delay = 0.0
        self.failure = ""  # the latest that was told

    def settle(self, error: BaseException | None) -> None:
        """Let `made` say that it stands, or why not."""
        if self.made.done() and self.made.exception() is not error:
            self.made = Future()
            self.made.set_running_or_notify_cancel()
        if self.made.done():
            return
        if error is None:
            self.made.set_result(None)
        else:
            self.made.set_exception(error)

    def close(self) -> None:
        """Hear no more."""
        self.is_closed = True
        self._changed()

    def __str__(self) -> str:
        return f"{self.operation} {self.topic}".strip()


@dataclass(frozen=True)
class Asked:
    """A stream that the nucleus was asked for; at: monotonic seconds."""

    stream: Stream
    answer: Future[Any]
    at: float


class Stream:
    """What comes for a subscription over one connection; called on the connection's thread.

    before: the one whose place it takes.
    """

    def __init__(
        self,
        subscription: Subscription,
        before: Stream | None,
        hand_over: Callable[[Subscription, Any], None],
        ended: Callable[[Stream], None],
    ) -> None:
        self.subscription = subscription
        self.before = before
        self.operation: Any = None  # the client's
        self._hand_over = hand_over
        self._ended = ended

    def answered(self, answer: Future[Any]) -> None:
        """Be the one that is heard, from the moment on that the nucleus has agreed.

        So nothing is heard twice, and nothing missed, while one takes the place of another.
        """
        if answer.exception() is None:
            self.subscription.stream = self

    def event(self, event: Any) -> None:
        """Hand over what came."""
        if self.subscription.stream is self and not self.subscription.is_closed:
            self._hand_over(self.subscription, event)

    def closed(self) -> None:
        """Note that nothing comes any more."""
        self._ended(self)

    def close(self) -> None:
        """Ask for nothing any more."""
        if self.operation is not None:
            self.operation.close()
