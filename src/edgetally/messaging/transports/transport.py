"""What a transport is: `Transport`, and `Receiving` for one that also hears."""

from __future__ import annotations

from concurrent.futures import Future
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from edgetally.errors import EdgetallyError

if TYPE_CHECKING:
    from collections.abc import Callable


class RefusedError(EdgetallyError):
    """This message will never be taken, whatever is mended; others may be."""


class TopicRefusedError(EdgetallyError):
    """Messages of this topic are not taken until someone mends that; those of others may be.

    is_told: whether the log has it already.
    """

    def __init__(self, reason: str, *, is_told: bool = False) -> None:
        super().__init__(reason)
        self.is_told = is_told


class Transport(Protocol):
    """A way for messages to leave. `str()` of it names it in the log, without secrets."""

    @property
    def name(self) -> str:
        """What it is called in the outbox: stable over restarts, and different for each."""

    @property
    def max_bytes(self) -> int | None:
        """The largest body that it carries; None: any."""

    @property
    def window(self) -> int:
        """How many bodies may be on their way at once."""

    def send(self, topic: str, body: str) -> Future[None]:
        """Send one message, JSON in `body`; the future ends once it is delivered.

        Raises or ends with EdgetallyError where that is not possible for now, with
        TopicRefusedError where it is for other topics, with RefusedError where it never will be.
        The future ends in any case, in bounded time.
        """

    def close(self) -> None:
        """Let go of what is open; harmless when repeated."""


@runtime_checkable
class Connecting(Protocol):
    """A transport that knows when messages can go again."""

    on_ready: Callable[[], None] | None
    """Called, on any thread, when it has connected."""

    @property
    def problem(self) -> str | None:
        """Why there is no connection; None where there is, or the first is being made."""


@runtime_checkable
class Policed(Protocol):
    """A transport that knows when the rules by which it refuses topics have changed."""

    on_allowed: Callable[[], None] | None
    """Called, on any thread, when what it refused may be taken now."""


@runtime_checkable
class Receiving(Protocol):
    """A transport that messages come from."""

    def subscribe(self, topic: str, heard: Callable[[str, bytes], None]) -> None:
        """Call `heard` with topic and body of each message; it must return at once."""


def done() -> Future[None]:
    """Return what `send` does when the message was delivered before it returned."""
    future: Future[None] = Future()
    future.set_result(None)
    return future
