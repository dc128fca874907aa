"""`Backoff`: when to try again."""

from __future__ import annotations

import random


class Backoff:
    """Waits, each about twice as long as the one before, half of each by chance.

    >>> backoff = Backoff(1, 4)
    >>> [0.5 <= backoff.next() <= 1, 1 <= backoff.next() <= 2, 2 <= backoff.next() <= 4]
    [True, True, True]
    """

    def __init__(self, first: float, longest: float) -> None:
        self._first, self._longest = first, longest
        self._delay = 0.0
        self._random = random.Random()  # noqa: S311 - spreads retries, hides nothing

    def next(self) -> float:
        """Return the seconds until the next try."""
        self._delay = min(self._longest, 2 * self._delay or self._first)
        return self._delay * self._random.uniform(0.5, 1)

    def reset(self) -> None:
        """Begin again with the first: a try succeeded."""
        self._delay = 0.0
