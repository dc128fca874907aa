"""`ComponentMetrics`: adds to the component's metrics what was counted since the last ones."""

from __future__ import annotations

import logging
from collections import Counter
from typing import TYPE_CHECKING

from edgetally.messaging.metrics import figures, grown

if TYPE_CHECKING:
    from concurrent.futures import Future

    from edgetally.greengrass import NucleusLink
    from edgetally.messaging.messages import HealthMessage, InventoryMessage
    from edgetally.messaging.metrics import Figures

_log = logging.getLogger(__name__)


class ComponentMetrics:
    """Puts sums; those that were not taken are in the next ones. One thread calls it."""

    def __init__(self, link: NucleusLink) -> None:
        self._link = link
        self._before: Figures = {}
        self._sums = Counter[str]()  # not taken yet
        self._asked: tuple[Counter[str], Future[None]] | None = None

    def put(self, health: HealthMessage, inventory: InventoryMessage | None) -> None:
        """Put what was counted up to these messages, unless an answer is still to come."""
        self._count(health, inventory)
        self._look()
        if self._asked is None:
            sums = self._sums.copy()
            self._asked = sums, self._link.put_metrics(sums)

    def leave_out(self, health: HealthMessage, inventory: InventoryMessage | None) -> None:
        """Forget what was counted up to these messages."""
        self._count(health, inventory)
        self._asked = None
        self._sums.clear()

    def _count(self, health: HealthMessage, inventory: InventoryMessage | None) -> None:
        now = figures(health, inventory)
        self._sums.update(grown(self._before, now))
        self._before = now

    def _look(self) -> None:
        if self._asked is None or not self._asked[1].done():
            return
        (sums, answer), self._asked = self._asked, None
        error = answer.exception()
        if error is None:
            self._sums.subtract(sums)
        else:
            _log.debug("metrics: %s", error)
