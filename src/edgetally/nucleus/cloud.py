"""AWS IoT Core as the nucleus sees it: something to publish to, and to hear from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from edgetally.nucleus.topics import matches

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class CloudMessage:
    """A message at AWS IoT Core; sender: the component that published it."""

    topic: str
    payload: bytes
    qos: int
    sender: str = ""


class Cloud(Protocol):
    """Lives in the nucleus's event loop."""

    async def start(self, heard: Callable[[str, bytes], None]) -> None:
        """Connect; `heard` gets what comes for a subscribed filter, once a message."""
        ...

    async def publish(self, message: CloudMessage) -> bool:
        """Publish; False where that can't be. It returns once it is acknowledged or refused."""
        ...

    async def subscribe(self, topic_filter: str, qos: int) -> bool:
        """Ask for what is published; False where that can't be."""
        ...

    async def unsubscribe(self, topic_filter: str) -> None:
        """Ask no more."""
        ...

    async def stop(self) -> None:
        """Disconnect."""
        ...


class MemoryCloud:
    """A broker without a network: what is published to it comes back to who subscribed."""

    def __init__(self) -> None:
        self._heard: Callable[[str, bytes], None] | None = None
        self._filters: set[str] = set()

    async def start(self, heard: Callable[[str, bytes], None]) -> None:
        """Be there."""
        self._heard = heard

    async def publish(self, message: CloudMessage) -> bool:
        """Give it to who subscribed."""
        self.deliver(message.topic, message.payload)
        return True

    def deliver(self, topic: str, payload: bytes) -> None:
        """Let a message come from the cloud."""
        if self._heard is not None and any(matches(known, topic) for known in self._filters):
            self._heard(topic, payload)

    async def subscribe(self, topic_filter: str, qos: int) -> bool:  # noqa: ARG002 - no network
        """Remember who wants what."""
        self._filters.add(topic_filter)
        return True

    async def unsubscribe(self, topic_filter: str) -> None:
        """Forget it."""
        self._filters.discard(topic_filter)

    async def stop(self) -> None:
        """Be away."""
        self._heard = None
