"""What happened at a nucleus, for who waits for it."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgetally.nucleus.cloud import CloudMessage
    from edgetally.nucleus.operations.pubsub import LocalMessage

Found = TypeVar("Found")
_KEPT = 100_000  # of each kind; the oldest go


class Record:
    """Written in the nucleus's thread, read in any. `show` gets each line as it comes."""

    def __init__(self, show: Callable[[str], None] | None = None) -> None:
        self._show = show
        self._changed = threading.Condition()
        self._local: deque[LocalMessage] = deque(maxlen=_KEPT)
        self._cloud: deque[CloudMessage] = deque(maxlen=_KEPT)
        self._states: deque[tuple[str, str]] = deque(maxlen=_KEPT)
        self._lines: deque[str] = deque(maxlen=_KEPT)
        self._told = 0

    def local(self, message: LocalMessage) -> None:
        """A message was published locally."""
        with self._changed:
            self._local.append(message)
        self.tell(f"{message.sender or 'you'}: local: {message.topic}: {shown(message.payload)}")

    def cloud(self, message: CloudMessage) -> None:
        """A message was published to IoT Core."""
        with self._changed:
            self._cloud.append(message)
        self.tell(f"{message.sender}: IoT Core: {message.topic}: {shown(message.payload)}")

    def state(self, component: str, state: str) -> None:
        """A component is in another state."""
        with self._changed:
            self._states.append((component, state))
        self.tell(f"{component}: {state}")

    def output(self, component: str, line: str) -> None:
        """A component printed a line."""
        self.tell(f"{component} | {line}")

    def tell(self, line: str) -> None:
        """Something happened that a line tells."""
        with self._changed:
            self._lines.append(line)
            self._told += 1
            self._changed.notify_all()
        if self._show is not None:
            self._show(line)

    @property
    def published(self) -> list[LocalMessage]:
        """What was published locally."""
        with self._changed:
            return list(self._local)

    @property
    def sent(self) -> list[CloudMessage]:
        """What was published to IoT Core, and taken."""
        with self._changed:
            return list(self._cloud)

    @property
    def states(self) -> list[tuple[str, str]]:
        """Which component came into which state."""
        with self._changed:
            return list(self._states)

    @property
    def lines(self) -> list[str]:
        """What was told."""
        with self._changed:
            return list(self._lines)

    def wait(self, find: Callable[[], Found], timeout: float) -> Found:
        """Return what `find` finds as soon as it finds something. TimeoutError after `timeout`."""
        until = time.monotonic() + timeout
        while True:
            told = self._told
            if found := find():  # not under the lock: it may ask the nucleus's thread
                return found
            with self._changed:
                left = until - time.monotonic()
                if not self._changed.wait_for(lambda: self._told != told, left):  # noqa: B023
                    last = "; ".join(list(self._lines)[-5:]) or "nothing happened"
                    raise TimeoutError(f"not within {timeout:g} s; the nucleus's last: {last}")


def shown(payload: bytes, longest: int = 200) -> str:
    """Return a payload as something to read."""
    text = payload[:longest].decode(errors="backslashreplace")
    shown = "".join(char if char.isprintable() else " " for char in text)
    return shown + (f"… ({len(payload)} bytes)" if len(payload) > longest else "")
