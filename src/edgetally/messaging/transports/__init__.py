"""Transports: the ways a message leaves, one file each."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, TextIO

from edgetally.config import ConsoleTransport as ConsoleConfig
from edgetally.config import JsonlTransport as JsonlConfig
from edgetally.errors import InputError
from edgetally.messaging.transports.console import ConsoleTransport
from edgetally.messaging.transports.jsonl import JsonlTransport
from edgetally.messaging.transports.transport import (
    Connecting,
    Receiving,
    RefusedError,
    TopicRefusedError,
    Transport,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgetally.config import Transport as TransportConfig

__all__ = [
    "Connecting",
    "ConsoleTransport",
    "JsonlTransport",
    "Receiving",
    "RefusedError",
    "TopicRefusedError",
    "Transport",
    "create_transports",
]


def create_transports(
    configs: Sequence[TransportConfig],
    *,
    thing: str = "local",
    will: tuple[str, str] | None = None,
    console: TextIO | None = None,
) -> tuple[Transport, ...]:
    """Make the configured transports.

    thing: the device's name, which a broker knows it by. will: topic and body of what a broker
    tells when it loses us. console: where the console writes; None: stdout.

    Raises InputError where one can't be opened, or is there twice, with the others closed again.
    """
    made: list[Transport] = []
    try:
        for config in configs:
            made.append(_create(config, thing, will, console))
            _refuse_twin(made)
    except BaseException:
        for transport in made:
            transport.close()
        raise
    return tuple(made)


def _refuse_twin(made: Sequence[Transport]) -> None:
    name = made[-1].name
    if name in [transport.name for transport in made[:-1]]:
        raise InputError(f"publish.transports: {name} is there twice; keep one")


def _create(
    config: TransportConfig, thing: str, will: tuple[str, str] | None, console: TextIO | None
) -> Transport:
    if isinstance(config, ConsoleConfig):
        return ConsoleTransport(console or sys.stdout)
    if isinstance(config, JsonlConfig):
        return JsonlTransport(config.path)
    from edgetally.messaging.transports.mqtt import MqttTransport  # noqa: PLC0415 - heavy

    return MqttTransport(config, config.client_id or thing, will)
