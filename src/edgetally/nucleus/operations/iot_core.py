"""Publish to, and subscribe at, AWS IoT Core."""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgetally.nucleus.cloud import CloudMessage
from edgetally.nucleus.ipc.failure import invalid, service_error
from edgetally.nucleus.operations.bus import Subscribers
from edgetally.nucleus.topics import is_filter, is_topic

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgetally.nucleus.cloud import Cloud
    from edgetally.nucleus.ipc import Call
    from edgetally.nucleus.kind import Kind

_SPOOL = 2_500_000  # bytes, by default


@dataclass
class CloudTrouble:
    """What is wrong at the cloud's side, for now.

    away: the broker can't be reached. frozen: it takes messages and acknowledges none.
    losing: so many publishes are taken, and lost.
    """

    away: bool = False
    frozen: bool = False
    losing: int = 0


class IotCore:
    """The operations PublishToIoTCore and SubscribeToIoTCore."""

    def __init__(
        self, kind: Kind, cloud: Cloud, published: Callable[[str, CloudMessage], None]
    ) -> None:
        self._kind = kind
        self._cloud = cloud
        self._published = published
        self._in_flight: set[asyncio.Task[bool]] = set()
        self._unacknowledged = 0
        self._leaving: set[asyncio.Task[None]] = set()  # keeps them from being collected
        self._spool = deque[tuple[str, CloudMessage]]()
        self._back = asyncio.Event()
        self.subscribers = Subscribers()
        self.trouble = CloudTrouble()

    async def start(self) -> None:
        """Connect to the cloud."""
        await self._cloud.start(self.hear)

    async def publish(self, call: Call) -> dict[str, Any]:
        """PublishToIoTCore. It is answered before the broker acknowledges."""
        message = CloudMessage(call.text("topicName"), _payload(call), _qos(call))
        if not is_topic(message.topic) or (self.trouble.away and not self._kind.spools):
            raise service_error("Failed to publish the message.")
        if self.trouble.away:
            self._keep(call.component, message)
            return {}
        if message.qos and self._unacknowledged + len(self._in_flight) >= self._kind.in_flight:
            raise service_error("Failed to publish the message.")
        if self.trouble.frozen:
            self._unacknowledged += bool(message.qos)
            return {}
        if self.trouble.losing:
            self.trouble.losing -= 1
            return {}
        task = self._send(call.component, message)
        await asyncio.sleep(0)  # a broker that is away says so at once
        if task.done() and not task.result():
            raise service_error("Failed to publish the message.")
        return {}

    def _send(self, component: str, message: CloudMessage) -> asyncio.Task[bool]:
        self._published(component, message)
        task = asyncio.ensure_future(self._cloud.publish(message))
        self._in_flight.add(task)
        task.add_done_callback(self._in_flight.discard)
        return task

    def _keep(self, component: str, message: CloudMessage) -> None:
        """Keep it until the broker is back; the oldest go where it is too much."""
        self._spool.append((component, message))
        while sum(len(each.payload) for _, each in self._spool) > _SPOOL:
            self._spool.popleft()

    async def subscribe(self, call: Call) -> dict[str, Any]:
        """SubscribeToIoTCore."""
        topic, qos = call.text("topicName"), _qos(call)
        if not is_filter(topic) or (self.trouble.away and not self._kind.spools):
            raise service_error("Failed to bind the subscription.")
        while self.trouble.away:
            self._back.clear()
            await self._back.wait()
        self.subscribers.add(topic, call.component, call.stream)
        call.stream.on_end(lambda: self._leave(topic))
        if not await self._cloud.subscribe(topic, qos):
            raise service_error("Failed to bind the subscription.")
        return {}

    def _leave(self, topic_filter: str) -> None:
        if topic_filter not in self.subscribers.filters():
            task = asyncio.ensure_future(self._unsubscribe(topic_filter))
            self._leaving.add(task)
            task.add_done_callback(self._leaving.discard)

    async def _unsubscribe(self, topic_filter: str) -> None:
        if topic_filter not in self.subscribers.filters():  # someone may have come meanwhile
            await self._cloud.unsubscribe(topic_filter)

    def hear(self, topic: str, payload: bytes) -> None:
        """Give what comes from the cloud to who subscribed."""
        if len(payload) > self._kind.from_cloud or self.trouble.away or self.trouble.frozen:
            return
        body = {"topicName": topic, "payload": base64.b64encode(payload).decode()}
        self.subscribers.send(topic, "IoTCoreMessage", {"message": body})

    def recover(self) -> None:
        """Let the broker be well again; what it did not acknowledge is lost."""
        self.trouble.away = self.trouble.frozen = False
        self.trouble.losing = 0
        self._unacknowledged = 0
        self._back.set()
        while self._spool:
            self._send(*self._spool.popleft())

    async def stop(self) -> None:
        """Disconnect from the cloud."""
        for task in (*self._in_flight, *self._leaving):
            task.cancel()
        await self._cloud.stop()


def _payload(call: Call) -> bytes:
    given = call.arguments.get("payload") or ""
    try:
        return base64.b64decode(given, validate=True)
    except (TypeError, ValueError, binascii.Error):
        raise invalid("'payload' is not valid base64.") from None


def _qos(call: Call) -> int:
    given = call.arguments.get("qos")
    try:
        qos = int(given or 0)
    except (TypeError, ValueError, OverflowError):
        raise invalid("Failed to parse 'qos' string value.") from None
    if not 0 <= qos <= 2:
        raise invalid("'qos' not a valid value.")
    return qos
