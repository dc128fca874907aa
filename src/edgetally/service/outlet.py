"""`Outlet`: the transports that messages leave by, exchanged while the cameras go on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgetally.messaging.publisher import Publisher
from edgetally.messaging.topics import Topics
from edgetally.messaging.transports import create_transports

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from edgetally.config import Config
    from edgetally.counting.ledger import Storage
    from edgetally.greengrass import NucleusLink
    from edgetally.messaging.publisher import TransportStatus
    from edgetally.messaging.transports import Transport

_LEAVE = 2.0  # seconds for what is on its way when transports are exchanged


class Outlet:
    """Carries what is in the storage to the configured transports, from `open` to `close`.

    will: topic and body of what a broker tells when it loses us. link: to the nucleus that started
    us, if one did. keeps_all: the configuration may not be the one that is meant: nothing is given
    up because it has other topics.
    """

    def __init__(
        self,
        *,
        will: Callable[[Config], tuple[str, str] | None],
        link: NucleusLink | None,
        keeps_all: bool = False,
    ) -> None:
        self._will, self._link, self._keeps_all = will, link, keeps_all
        self._publisher: Publisher | None = None
        self._config: Config | None = None
        self._storage: Storage | None = None
        self.transports: Sequence[Transport] = ()

    def open(self, config: Config, storage: Storage) -> None:
        """Begin. InputError where a transport can't be opened."""
        publish = config.publish
        self.transports = create_transports(
            publish.transports,
            topic_prefix=publish.topic_prefix,
            thing=publish.thing,
            link=self._link,
            will=self._will(config),
        )
        topics = Topics(publish.topic_prefix, publish.thing)
        if self._link is not None:
            self._link.publish_for(topics.has)
        self._publisher = Publisher(
            storage,
            self.transports,
            rate=publish.outbox.max_publish_rate,
            is_ours=lambda topic: self._keeps_all or topics.has(topic),
        )
        self._config, self._storage = config, storage

    def is_same(self, config: Config) -> bool:
        """Tell whether the transports may stay as they are."""
        before = self._config
        return before is not None and all(
            getattr(config.publish, name) == getattr(before.publish, name)
            for name in ("transports", "thing", "topic_prefix")
        )

    def exchange(self, config: Config, storage: Storage) -> None:
        """Close the transports and open others; what was not delivered waits for those.

        InputError where one does not open; those before are open again then.
        """
        before, kept = self._config, self._storage
        self.close(_LEAVE)
        try:
            self.open(config, storage)
        except BaseException:
            if before is not None and kept is not None:
                self.open(before, kept)
            raise

    def pace(self, rate: float) -> None:
        """Let what waited leave at so many messages a second."""
        if self._publisher is not None:
            self._publisher.pace(rate)

    def notify(self) -> None:
        """See `Publisher.notify`."""
        if self._publisher is not None:
            self._publisher.notify()

    def status(self) -> Mapping[str, TransportStatus]:
        """See `Publisher.status`."""
        return self._publisher.status() if self._publisher is not None else {}

    @property
    def condition(self) -> object:
        """What is told at once when it changes."""
        publisher = self._publisher
        return None if publisher is None else (publisher.states(), publisher.connections())

    def close(self, timeout: float) -> bool:
        """See `Publisher.close`; harmless when repeated."""
        publisher, self._publisher = self._publisher, None
        return publisher is None or publisher.close(timeout)
