"""`Echoes`: what was published and is to be heard back."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from concurrent.futures import Future

_REMEMBERED = 1000  # messages that were given up

_Key = tuple[str, bytes]


class Echoes:
    """Matches what is heard with what waits for it, by topic and body; from any thread.

    What is heard after it was given up is remembered, so that it need not be published again.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[_Key, list[Future[None]]] = {}
        self._given_up: OrderedDict[_Key, bool] = OrderedDict()  # whether it was heard since

    def expect(self, topic: str, body: bytes, future: Future[None]) -> bool:
        """Wait for a message; False where it was heard since it was given up."""
        key = _key(topic, body)
        with self._lock:
            if self._given_up.pop(key, False):
                return False
            self._waiting.setdefault(key, []).append(future)
            return True

    def heard(self, topic: str, body: bytes) -> list[Future[None]]:
        """Return who waited for what was heard."""
        key = _key(topic, body)
        with self._lock:
            if key in self._given_up:
                self._given_up[key] = True
            return self._waiting.pop(key, [])

    def give_up(self, topic: str, body: bytes, future: Future[None]) -> None:
        """Wait no more."""
        key = _key(topic, body)
        with self._lock:
            waiting = self._waiting.get(key, [])
            if future not in waiting:
                return
            waiting.remove(future)
            if not waiting:
                del self._waiting[key]
            self._given_up[key] = False
            if len(self._given_up) > _REMEMBERED:
                self._given_up.popitem(last=False)


def _key(topic: str, body: bytes) -> _Key:
    return topic, hashlib.sha256(body).digest()
