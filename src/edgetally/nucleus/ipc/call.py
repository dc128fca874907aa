"""One call of an operation, and the stream that it may leave open."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol

from edgetally.nucleus.ipc.failure import invalid


class Stream(Protocol):
    """What goes on after a subscription was answered, until either side ends it."""

    @property
    def is_open(self) -> bool:
        """Whether someone is there still."""
        ...

    def send(self, model: str, body: dict[str, Any]) -> None:
        """Send an event, such as `SubscriptionResponseMessage`; nothing where it is closed."""
        ...

    def end(self) -> None:
        """Forget the stream without a word, as a nucleus does whose daemon has restarted."""
        ...

    def on_end(self, ended: Callable[[], object]) -> None:
        """Call this once, when the stream is closed for whatever reason."""
        ...


@dataclass(frozen=True)
class Call:
    """What a component asks for. operation: without `aws.greengrass#`."""

    component: str
    operation: str
    arguments: dict[str, Any]
    stream: Stream

    def text(self, name: str) -> str:
        """Return an argument that has to be there, and a string."""
        value = self.arguments.get(name)
        if not isinstance(value, str):
            raise invalid()
        return value

    def component_name(self) -> str:
        """Return which component is meant; without a word the one that asks."""
        if self.arguments.get("componentName") is None:
            return self.component
        return self.text("componentName")

    def mapping(self, name: str) -> dict[str, Any]:
        """Return an argument that has to be there, and an object."""
        value = self.arguments.get(name)
        if not isinstance(value, dict):
            raise invalid()
        return value

    def path(self, name: str = "keyPath") -> tuple[str, ...]:
        """Return a list of strings, empty where it is missing."""
        value = self.arguments.get(name) or []
        if not isinstance(value, list) or not all(isinstance(key, str) for key in value):
            raise invalid()
        return tuple(value)


Handler = Callable[[Call], Awaitable[dict[str, Any]]]
