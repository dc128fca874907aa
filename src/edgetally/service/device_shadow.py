"""`DeviceShadow`: keeps the thing's named shadow as it should be, without waiting for anything."""

from __future__ import annotations

import logging
import math
import time
from concurrent.futures import wait
from typing import TYPE_CHECKING

from edgetally.errors import EdgetallyError
from edgetally.greengrass import DeniedError, LostError, OptionalOperationError
from edgetally.messaging.shadow import SHADOW

if TYPE_CHECKING:
    from concurrent.futures import Future

    from edgetally.greengrass import NucleusLink
    from edgetally.messaging.shadow import Shadow

_log = logging.getLogger(__name__)
_PACE = 5.0  # seconds between two updates, at least


class DeviceShadow:
    """Tells what changed, at a pace, and all of it on each new connection. One thread calls it."""

    def __init__(self, link: NucleusLink) -> None:
        self._link = link
        self._wanted: tuple[str, Shadow] | None = None  # of this thing
        self._asked: tuple[tuple[str, Shadow], Future[None]] | None = None
        self._taken: tuple[str, Shadow] | None = None
        self._began = -math.inf  # the latest update
        self._next = -math.inf
        self._failure = ""
        self._renewed = False
        self._end_ready = link.add_ready(self._note_ready)

    def want(self, thing: str, shadow: Shadow, *, at_once: bool = False) -> None:
        """Let the shadow be so, now or when it is time; the latest wish counts."""
        self._wanted = thing, shadow
        self._tend(at_once=at_once)

    def leave(self) -> None:
        """Let the shadow be as it is."""
        self._wanted = None

    def close(self, timeout: float) -> None:
        """Wait so long at most for what is on its way, and for the last wish."""
        self._end_ready()
        until = time.monotonic() + timeout
        self._await(until)
        self._tend(at_once=True)
        self._await(until)
        self._wanted = None

    def _await(self, until: float) -> None:
        if self._asked is not None:
            wait([self._asked[1]], max(0.0, until - time.monotonic()))

    def _note_ready(self) -> None:  # on the link's thread
        self._renewed = True

    def _tend(self, *, at_once: bool) -> None:
        self._look()
        if self._renewed and self._asked is None:
            self._renewed, self._taken = False, None
            self._next = self._began + _PACE
        is_due = at_once or time.monotonic() >= self._next
        if self._wanted is None or self._asked is not None or not is_due or self._is_right():
            return
        self._began = time.monotonic()
        self._next = self._began + _PACE
        thing, shadow = self._wanted
        future = self._link.update_shadow(thing, SHADOW, shadow.document())
        self._asked = self._wanted, future

    def _is_right(self) -> bool:
        if self._taken is None or self._wanted is None:
            return False
        return self._taken[0] == self._wanted[0] and self._wanted[1].says_the_same(self._taken[1])

    def _look(self) -> None:
        """See what became of the latest update."""
        if self._asked is None or not self._asked[1].done():
            return
        (told, answer), self._asked = self._asked, None
        error = answer.exception()
        if error is None:
            self._taken, self._failure = told, ""
            return
        self._taken = None
        self._next = time.monotonic() + self._link.patience.denied  # or the next connection
        self._tell(error)

    def _tell(self, error: BaseException) -> None:
        # The link tells of what is denied; what there is not is missed in silence.
        known = isinstance(error, DeniedError | LostError | OptionalOperationError)
        if known or not isinstance(error, EdgetallyError):
            _log.debug("shadow: %s", error)
        elif str(error) != self._failure:
            self._failure = str(error)
            _log.warning("the shadow is not up to date: %s", error)
