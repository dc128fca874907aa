"""Who listens to what on one bus."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgetally.nucleus.topics import matches

if TYPE_CHECKING:
    from edgetally.nucleus.ipc import Stream


class Subscribers:
    """Streams by topic filter; a stream that ends is gone from here."""

    def __init__(self) -> None:
        self._streams: dict[Stream, tuple[str, str, bool]] = {}

    def add(
        self, topic_filter: str, component: str, stream: Stream, *, hears_own: bool = True
    ) -> None:
        """Let a component's stream hear a filter; `hears_own`: also what it publishes itself."""
        self._streams[stream] = (topic_filter, component, hears_own)
        stream.on_end(lambda: self._streams.pop(stream, None))

    def filters(self) -> set[str]:
        """Return what someone listens to."""
        return {topic_filter for topic_filter, _, _ in self._streams.values()}

    def hearing(self, topic: str, sender: str = "") -> list[Stream]:
        """Return the streams that hear what a component publishes to a topic."""
        return [
            stream
            for stream, (topic_filter, component, hears_own) in self._streams.items()
            if matches(topic_filter, topic) and (hears_own or component != sender)
        ]

    def send(self, topic: str, model: str, body: dict[str, Any], sender: str = "") -> int:
        """Send an event to everyone who hears a topic; return to how many."""
        hearing = self.hearing(topic, sender)
        for stream in hearing:
            stream.send(model, body)
        return len(hearing)
