"""`Outbox`: the messages that wait to be sent, kept where a crash can't lose them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence


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
    """What `Publisher` drains, from a thread of its own."""

    def pending(self, limit: int) -> Sequence[OutboxEntry]:
        """Return up to `limit` messages that are not delivered yet, lowest id first."""

    def delivered(self, ids: Sequence[int]) -> None:
        """Forget messages that reached every transport."""
