"""`Outbox`: the messages that wait to be sent, kept where a crash can't lose them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence


class OutboxEntry(Protocol):
    """A message that waits: ids grow in the order in which messages were put in."""

    @property
    def id(self) -> int:
        """Its number in the outbox, never used again."""

    @property
    def topic(self) -> str:
        """Where it goes."""

    @property
    def body(self) -> str:
        """Its JSON."""


class Outbox(Protocol):
    """What `Publisher` drains, from threads of its own."""

    def register(self, transports: Sequence[str]) -> None:
        """Let messages wait for these transports, and for no others any more."""

    def newest(self) -> int:
        """Return the id of the message that was put in last; 0 where none waits."""

    def pending(
        self,
        transport: str,
        limit: int,
        *,
        after: int = 0,
        until: int | None = None,
        urgent: bool | None = None,
        without: Collection[str] = (),
    ) -> Sequence[OutboxEntry]:
        """Return messages that wait for a transport, lowest id first: after < id <= until.

        urgent: False: detections alone, True: all but them, None: all. without: topics left out.
        """

    def of_topic(self, transport: str, topic: str) -> Sequence[int]:
        """Return the ids of all messages that wait for a transport under a topic."""

    def delivered(self, transport: str, ids: Sequence[int]) -> None:
        """Note that a transport delivered messages; they go once every transport did."""

    def refused(self, transport: str, ids: Sequence[int]) -> None:
        """Note that a transport will never take messages, and count them as dropped."""

    def waiting(self, transport: str) -> int:
        """Count the messages that wait for a transport."""
