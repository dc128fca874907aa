"""`Loopback`: messages to oneself, to hear whether one still hears."""

from __future__ import annotations

_TRIES = 2


class Loopback:
    """When to send the next message to oneself, and what its staying out means.

    key: tells our messages from others' on the topic. every: seconds between two. within: seconds
    for one to come back. longest: seconds between two findings of deafness, at most.
    Times are seconds that never go back, given by the caller.

    >>> ears = Loopback("k", every=10, within=2, longest=60, now=0)
    >>> ears.due(0), ears.heard(b"k 1", 1), ears.due(9), ears.due(10)
    (b'k 1', True, None, b'k 2')
    """

    def __init__(
        self, key: str, *, every: float, within: float, longest: float, now: float
    ) -> None:
        self._key, self._every, self._within, self._longest = key, every, within, longest
        self._number = 0
        self._next_at = self._sent_at = now
        self._waits = False
        self._missed = 0
        self._pause = 0.0
        self.is_well = True
        """False from when a message could not be sent, or stayed out, until one is heard."""

    def due(self, now: float) -> bytes | None:
        """Return the message to send now, if one is due."""
        if self._waits or now < self._next_at:
            return None
        self._number += 1
        self._waits, self._sent_at = True, now
        return self._body()

    def not_sent(self, now: float) -> None:
        """Note that the message could not be sent, which tells nothing of hearing."""
        self._waits = self.is_well = False
        self._next_at = now + self._every

    def heard(self, body: bytes, now: float) -> bool:
        """Take what came on the topic; whether it is ours and was waited for."""
        if not self._waits or body != self._body():
            return False
        self._waits, self._missed, self._pause, self.is_well = False, 0, 0.0, True
        self._next_at = now + self._every
        return True

    def finds_deaf(self, now: float) -> bool:
        """Tell that we hear nothing any more: subscribe anew. Told again, later, while it lasts."""
        if not self._waits or now < self._sent_at + self._within:
            return False
        self._waits, self._next_at = False, now
        self._missed += 1
        if self._missed < _TRIES:
            return False
        self._missed, self.is_well = 0, False
        self._next_at = now + self._pause
        self._pause = min(self._longest, 2 * self._pause or self._every)
        return True

    def hurry(self) -> None:
        """Send the next as soon as one may: something else stays out."""
        self._next_at = min(self._next_at, self._sent_at + self._within)

    def begin_anew(self, now: float) -> None:
        """Check at once: the subscriptions are new."""
        self._waits, self._next_at, self._missed = False, now, 0

    def _body(self) -> bytes:
        return f"{self._key} {self._number}".encode()
