"""Transports: the ways a message leaves, one file each."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Protocol, TextIO

from edgetally.config import ConsoleTransport as ConsoleConfig
from edgetally.messaging.transports.console import ConsoleTransport
from edgetally.messaging.transports.jsonl import JsonlTransport

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgetally.config import Transport as TransportConfig

__all__ = ["ConsoleTransport", "JsonlTransport", "Transport", "create_transports"]


class Transport(Protocol):
    """A way for messages to leave. `str()` of it names it in the log."""

    def send(self, topic: str, body: str) -> None:
        """Deliver one message, JSON in `body`. EdgetallyError where it can't, for now."""

    def close(self) -> None:
        """Let go of what is open; harmless when repeated."""


def create_transports(
    configs: Sequence[TransportConfig], *, console: TextIO | None = None
) -> tuple[Transport, ...]:
    """Make the configured transports; `console` is where the console writes (None: stdout).

    Raises InputError where one can't be opened, with the others closed again.
    """
    made: list[Transport] = []
    try:
        for config in configs:
            if isinstance(config, ConsoleConfig):
                made.append(ConsoleTransport(console or sys.stdout))
            else:
                made.append(JsonlTransport(config.path))
    except BaseException:
        for transport in made:
            transport.close()
        raise
    return tuple(made)
