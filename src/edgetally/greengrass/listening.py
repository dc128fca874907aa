"""`Listening`: hears whether what is subscribed to is still heard."""

from __future__ import annotations

import logging
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgetally.greengrass.loopback import Loopback

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from edgetally.greengrass.hearing import Hearing
    from edgetally.greengrass.operation import Operation
    from edgetally.greengrass.patience import Patience
    from edgetally.greengrass.subscription import Subscription

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Way:
    """A way on which one hears oneself."""

    subscribed_by: Operation
    publish: Callable[[str, bytes], Future[None]]
    subscribe: Callable[[str, Callable[[str, bytes], None]], Subscription]
    every: float


@dataclass(frozen=True)
class _Ear:
    way: Way
    loopback: Loopback
    subscription: Subscription


class Listening:
    """Speaks to itself on each way on which someone wants to hear; all on the link's thread.

    A part of a nucleus that was started anew knows nothing of the subscriptions made before, and
    nobody says so. do: lets the link's thread do something. recovered: called when a way works
    again.
    """

    def __init__(
        self,
        ways: tuple[Way, ...],
        hearing: Hearing,
        patience: Patience,
        do: Callable[[Callable[[], None]], None],
        recovered: Callable[[], None],
    ) -> None:
        self._ways, self._hearing, self._patience = ways, hearing, patience
        self._do, self._recovered = do, recovered
        self._ears: list[_Ear] = []
        self.topic: str | None = None

    def tend(self, now: float) -> None:
        """Speak where it is due; where nothing comes back, let all be subscribed to anew."""
        if self.topic is None:
            return
        for ear in self._ears:
            if ear.subscription.topic != self.topic:
                ear.subscription.close()
        self._ears = [ear for ear in self._ears if not ear.subscription.is_closed]
        grown = [ear.way for ear in self._ears]
        for way in self._ways:
            if way not in grown and self._hearing.has(way.subscribed_by):
                self._ears.append(self._grow(way, self.topic, now))
        for ear in self._ears:
            if ear.subscription.stream is None:
                continue  # denied, or not made yet
            if (body := ear.loopback.due(now)) is not None:
                self._speak(ear, body)
            elif ear.loopback.finds_deaf(now):
                _log.warning(
                    "greengrass: what we publish to %s does not come back; doing each %s anew",
                    ear.subscription.topic,
                    ear.way.subscribed_by,
                )
                self._hearing.renew((ear.way.subscribed_by,))

    def hurry(self, operation: Operation) -> None:
        """Speak soon on one way: something else should have come, and stays out."""
        for ear in self._ears:
            if ear.way.subscribed_by is operation:
                ear.loopback.hurry()

    def begin_anew(self, now: float) -> None:
        """Speak at once: all subscriptions are new."""
        for ear in self._ears:
            ear.loopback.begin_anew(now)

    def _grow(self, way: Way, topic: str, now: float) -> _Ear:
        loopback = Loopback(
            uuid.uuid4().hex,
            every=way.every,
            within=self._patience.echo,
            longest=self._patience.deaf,
            now=now,
        )

        def heard(_topic: str, body: bytes) -> None:
            self._do(lambda: self._note(loopback, body))

        return _Ear(way, loopback, way.subscribe(topic, heard))

    def _note(self, loopback: Loopback, body: bytes) -> None:
        was_well = loopback.is_well
        if loopback.heard(body, time.monotonic()) and not was_well:
            _log.info("greengrass: we hear again what we publish")
            self._recovered()

    def _speak(self, ear: _Ear, body: bytes) -> None:
        def answered(sent: Future[None]) -> None:
            if sent.exception() is not None:
                self._do(lambda: ear.loopback.not_sent(time.monotonic()))

        ear.way.publish(ear.subscription.topic, body).add_done_callback(answered)
