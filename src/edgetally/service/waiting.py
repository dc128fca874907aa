"""`Waiting`: tells in health why nothing is counted yet, while there is no service to tell it."""

from __future__ import annotations

import logging
from contextlib import ExitStack
from typing import TYPE_CHECKING

from edgetally.errors import EdgetallyError
from edgetally.messaging.messages import HealthMessage, ModelReference, utc
from edgetally.messaging.topics import Topics
from edgetally.service.condition import outbox_health, storage_health
from edgetally.service.outlet import Outlet
from edgetally.service.reporting import Reporting
from edgetally.service.running import open_storage
from edgetally.shortened import shortened

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from edgetally.config import Config
    from edgetally.counting.ledger import Entry, Storage
    from edgetally.greengrass import NucleusLink

_log = logging.getLogger(__name__)
_LEAVE = 1.0  # seconds for what is on its way at the end
_PARTING = 0.1  # and for the shadow


class Waiting:
    """Publishes health messages in a `with` block, as far as the configuration allows it.

    reason: in one line, what is waited for. clock: seconds since the Unix epoch; started: when the
    process was.
    """

    def __init__(
        self,
        config: Config,
        reason: str,
        *,
        link: NucleusLink,
        clock: Callable[[], float],
        started: float,
    ) -> None:
        self._config, self._reason = config, reason
        self._clock, self._started = clock, started
        self._outlet = Outlet(will=lambda _: None, link=link, keeps_all=True)
        self._reporting = Reporting(link)
        self._storage: Storage | None = None
        self._closing = ExitStack()

    def __enter__(self) -> Waiting:
        try:
            self._storage = open_storage(self._config, self._clock)
            self._closing.callback(self._storage.close)
            self._closing.callback(lambda: self._outlet.close(_LEAVE))
            self._outlet.open(self._config, self._storage)
        except EdgetallyError as error:
            _log.error("health can't be published: %s", error)
            self._closing.close()
            self._storage = None
        self.tell()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._reporting.close(_PARTING)
        self._closing.close()

    def tell(self) -> None:
        """Tell that it still waits."""
        storage = self._storage
        if storage is None:
            return
        storage.tend()
        publish = self._config.publish
        topic = Topics(publish.topic_prefix, publish.thing).health

        def record(entry: Entry) -> HealthMessage:
            message = HealthMessage(
                time=utc(self._clock()),
                thing=publish.thing,
                sequence=entry.next_sequence(topic),
                model=ModelReference.none(),
                state="starting",
                state_reason=shortened(self._reason, 400),
                cameras={},
                engine="none",
                precision="none",
                uptime=max(0.0, self._clock() - self._started),
                outbox=outbox_health(storage.status(), self._outlet.status()),
                storage=storage_health(storage.state),
            )
            entry.enqueue(topic, message.to_json(), "health")
            return message

        told = storage.write(record)
        self._outlet.notify()
        self._reporting.tell(publish, told, None)
