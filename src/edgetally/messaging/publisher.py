"""`Publisher`: carries messages from the outbox to every transport."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgetally.messaging.lane import Lane

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edgetally.messaging.lane import LaneState
    from edgetally.messaging.outbox import Outbox
    from edgetally.messaging.transports import Transport

_log = logging.getLogger(__name__)
_PATIENCE = 600.0  # seconds; long enough to notice a mistake and take it back
_PARTING = 0.3  # seconds to take leave of a broker, so that no last will is published


@dataclass(frozen=True)
class TransportStatus:
    """How a transport does, how many messages wait for it, and why it fails, if it does."""

    state: LaneState
    waiting: int
    reason: str | None = None


class Publisher:
    """Drains an outbox into transports until closed, each on a thread of its own.

    Each gets every message that is put in while it is registered, at least once: after a crash, or
    where a transport failed, what was on its way comes again. The messages of a topic come in
    order, but for those that had to wait: `Lane` says which leave when, and what `rate` (messages
    a second) and `retry` (seconds) are.

    is_ours: whether a topic is still one of the configured ones. What waits for another one is
    dropped where a transport has refused that topic for `patience` seconds.

    An outbox that fails ends a lane; `notify` and `close` then raise its error.
    """

    def __init__(
        self,
        outbox: Outbox,
        transports: Sequence[Transport],
        *,
        rate: float,
        retry: float = 1.0,
        is_ours: Callable[[str], bool] = lambda _: True,
        patience: float = _PATIENCE,
    ) -> None:
        self._outbox = outbox
        self._lanes = [
            Lane(each, outbox, rate=rate, retry=retry, is_ours=is_ours, patience=patience)
            for each in transports
        ]
        outbox.register([transport.name for transport in transports])
        for lane in self._lanes:
            lane.start()

    def pace(self, rate: float) -> None:
        """Let what had to wait leave at so many messages a second."""
        for lane in self._lanes:
            lane.pace(rate)

    def notify(self) -> None:
        """Tell that the outbox holds something new; cheap and safe from any thread."""
        for lane in self._lanes:
            if lane.error is not None:
                raise lane.error
            lane.notify()

    def states(self) -> dict[str, LaneState]:
        """Return how each transport does, by name; cheap."""
        return {lane.transport.name: lane.state for lane in self._lanes}

    def connections(self) -> int:
        """Return how often a transport has connected; cheap."""
        return sum(lane.connections for lane in self._lanes)

    def status(self) -> dict[str, TransportStatus]:
        """Return how each transport does and how much waits for it, by name."""
        return {
            lane.transport.name: TransportStatus(
                lane.state, self._outbox.waiting(lane.transport.name), lane.reason
            )
            for lane in self._lanes
        }

    def close(self, timeout: float = 5.0) -> bool:
        """Send what is left, stop within `timeout` seconds, close the transports.

        A transport that fails now is not tried again; what takes longer is left, and does not
        touch the outbox any more. Returns whether everything was delivered;
        what was not stays in the outbox for the next run.
        """
        deadline = time.monotonic() + timeout - min(_PARTING, timeout / 2)
        for lane in self._lanes:
            lane.finish()
        ended = [lane.join(deadline - time.monotonic()) for lane in self._lanes]
        if not all(ended):
            _log.warning("messages are left in the outbox: there was no more time to send them")
            until = time.monotonic() + min(_PARTING, timeout / 2)
            for lane in self._lanes:
                lane.part(until - time.monotonic())
            return False
        for lane in self._lanes:
            if lane.error is not None:
                raise lane.error
        return all(lane.is_drained for lane in self._lanes)
