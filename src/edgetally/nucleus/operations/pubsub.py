"""Local publish and subscribe."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgetally.nucleus.ipc.failure import invalid, service_error
from edgetally.nucleus.json_limits import fits
from edgetally.nucleus.operations.bus import Subscribers
from edgetally.nucleus.topics import is_filter, is_topic

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgetally.nucleus.ipc import Call
    from edgetally.nucleus.kind import Kind


@dataclass(frozen=True)
class LocalMessage:
    """What was published; sender: a component's name, or nothing where it came from outside."""

    topic: str
    payload: bytes
    sender: str = ""
    is_json: bool = False

    @property
    def size(self) -> int:
        """Bytes."""
        return len(self.payload)


class LocalBus:
    """The operations PublishToTopic and SubscribeToTopic."""

    def __init__(self, kind: Kind, published: Callable[[LocalMessage], None]) -> None:
        self._kind = kind
        self._published = published
        self.subscribers = Subscribers()

    async def publish(self, call: Call) -> dict[str, Any]:
        """PublishToTopic."""
        topic = call.text("topic")
        message = _message(topic, call.mapping("publishMessage"), call.component)
        if not is_topic(topic):
            raise service_error("Failed to publish the message.")
        self.deliver(message)
        return {}

    def deliver(self, message: LocalMessage) -> None:
        """Give a message to who hears its topic."""
        self._published(message)
        name, content = (
            ("jsonMessage", json.loads(message.payload))
            if message.is_json
            else (
                "binaryMessage",
                base64.b64encode(message.payload).decode(),
            )
        )
        if message.is_json and self._kind.small_json and not fits(content):
            for stream in self.subscribers.hearing(message.topic, message.sender):
                stream.end()
            return
        body = {name: {"message": content, "context": {"topic": message.topic}}}
        self.subscribers.send(message.topic, "SubscriptionResponseMessage", body, message.sender)

    async def subscribe(self, call: Call) -> dict[str, Any]:
        """SubscribeToTopic."""
        topic = call.text("topic")
        if not is_filter(topic):
            raise service_error("Failed to bind subscription.")
        others_alone = call.arguments.get("receiveMode") == "RECEIVE_MESSAGES_FROM_OTHERS"
        self.subscribers.add(
            topic,
            call.component,
            call.stream,
            hears_own=self._kind.hears_own or not others_alone,
        )
        return {}


def _message(topic: str, given: dict[str, Any], sender: str) -> LocalMessage:
    wrapped = {name: given[name] for name in ("jsonMessage", "binaryMessage") if given.get(name)}
    if len(wrapped) != 1:
        raise invalid()
    ((name, inner),) = wrapped.items()
    if not isinstance(inner, dict) or "message" not in inner:
        raise invalid()
    content = inner["message"]
    if name == "jsonMessage":
        return LocalMessage(topic, json.dumps(content).encode(), sender, is_json=True)
    try:
        return LocalMessage(topic, base64.b64decode(content, validate=True), sender)
    except (TypeError, ValueError, binascii.Error):
        raise invalid() from None
