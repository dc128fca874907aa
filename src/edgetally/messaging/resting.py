"""`Resting`: the topics whose messages a transport does not take while it takes others."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, KeysView

_LONGEST = 120.0  # seconds


@dataclass
class _Suspect:
    message: int
    another_arrived: bool = False


@dataclass
class _Rest:
    message: int
    reason: str
    delay: float
    until: float
    since: float


class Resting:
    """Tells topics that fail from a transport that does, and when each is tried again.

    A topic rests where the transport says so (`refuse`), or where it failed by itself twice while
    another topic's messages arrived in between (`is_to_blame`). It is tried again after `retry`
    seconds or so, then after twice as long each time, up to two minutes. Times are seconds that
    never go back, given by the caller.

    is_ours: whether a topic is one that messages are put in for, as of now. One that is not, and
    has rested for `patience` seconds, is given up.
    """

    def __init__(self, retry: float, is_ours: Callable[[str], bool], patience: float) -> None:
        self._retry, self._is_ours, self._patience = retry, is_ours, patience
        self._random = random.Random()  # noqa: S311 - spreads retries, hides nothing
        self._rests: dict[str, _Rest] = {}
        self._suspects: dict[str, _Suspect] = {}

    @property
    def topics(self) -> KeysView[str]:
        """Those that rest, those that are due included."""
        return self._rests.keys()

    @property
    def suspects(self) -> KeysView[str]:
        """Those that failed by themselves, and have not arrived since; longest ago first."""
        return self._suspects.keys()

    @property
    def reason(self) -> str | None:
        """Why the first of ours rests; None where none does. Others are given up some day."""
        rests = tuple(self._rests.items())
        return next((rest.reason for topic, rest in rests if self._is_ours(topic)), None)

    def due(self, now: float) -> tuple[str, int] | None:
        """Return a topic that is to be tried again, and the id of the message to do it with."""
        for name, suspect in self._suspects.items():
            if suspect.another_arrived:
                return name, suspect.message
        due = ((name, rest.message) for name, rest in self._rests.items() if now >= rest.until)
        return next(due, None)

    def hurry(self) -> None:
        """Let all that rest be due: what refused them may allow them now. Any thread."""
        for rest in tuple(self._rests.values()):
            rest.until = 0.0

    def wait(self, now: float) -> float | None:
        """Return the seconds until one is due; None where none rests."""
        return min((max(0.0, rest.until - now) for rest in self._rests.values()), default=None)

    def arrived(self, topic: str) -> bool:
        """Note that a message arrived; True where its topic rested."""
        self._suspects.pop(topic, None)
        for suspect in self._suspects.values():
            suspect.another_arrived = True
        return self._rests.pop(topic, None) is not None

    def is_given_up(self, topic: str, now: float) -> bool:
        """Tell whether a topic that was refused once more is to be tried no more."""
        rest = self._rests.get(topic)
        is_long = rest is not None and now - rest.since >= self._patience
        return is_long and not self._is_ours(topic)

    def forget(self, topic: str) -> None:
        """Let a topic rest no more: what it would be tried with is not there any more."""
        self._rests.pop(topic, None)
        self._suspects.pop(topic, None)

    def is_to_blame(self, topic: str, message: int) -> bool:
        """Note that a message failed by itself; whether that is its topic's failure."""
        before = self._suspects.pop(topic, None)
        if topic in self._rests or (before is not None and before.another_arrived):
            return True
        self._suspects[topic] = _Suspect(message)
        return False

    def refuse(self, topic: str, message: int, error: BaseException, now: float) -> bool:
        """Let a topic rest; True where it did not before."""
        self._suspects.pop(topic, None)
        before = self._rests.get(topic)
        if before is not None and now < before.until:
            return False  # of the same refusal
        delay = min(before.delay * 2, _LONGEST) if before else self._retry
        until = now + delay * self._random.uniform(0.5, 1)
        text = str(error)
        reason = text if topic in text else f"{topic}: {text}"
        since = before.since if before else now
        self._rests[topic] = _Rest(message, reason, delay, until, since)
        return before is None
