"""Transports: the ways a message leaves, one file each."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, TextIO

from edgetally.config import ConsoleTransport as ConsoleConfig
from edgetally.config import GreengrassTransport as GreengrassConfig
from edgetally.config import JsonlTransport as JsonlConfig
from edgetally.errors import InputError
from edgetally.messaging.topics import Topics
from edgetally.messaging.transports.console import ConsoleTransport
from edgetally.messaging.transports.jsonl import JsonlTransport
from edgetally.messaging.transports.transport import (
    Connecting,
    Policed,
    Receiving,
    RefusedError,
    TopicRefusedError,
    Transport,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgetally.config import MqttTransport as MqttConfig
    from edgetally.config import Transport as TransportConfig
    from edgetally.greengrass import NucleusLink

__all__ = [
    "Connecting",
    "ConsoleTransport",
    "JsonlTransport",
    "Policed",
    "Receiving",
    "RefusedError",
    "TopicRefusedError",
    "Transport",
    "create_transports",
]


def create_transports(
    configs: Sequence[TransportConfig],
    *,
    topic_prefix: str = "edgetally",
    thing: str = "local",
    link: NucleusLink | None = None,
    will: tuple[str, str] | None = None,
    console: TextIO | None = None,
) -> tuple[Transport, ...]:
    """Make the configured transports.

    topic_prefix: first part of each topic. thing: the device's name, which a broker knows it by.
    link: to the nucleus that started us, which stays open; None: none did. will: topic and body of
    what a broker tells when it loses us. console: where the console writes; None: stdout.

    Raises InputError where one can't be opened, or is there twice, with the others closed again.
    """
    made: list[Transport] = []
    try:
        for config in configs:
            if isinstance(config, GreengrassConfig):
                new = _through_nucleus(config, link, Topics(topic_prefix, thing))
            else:
                new = [_create(config, thing, will, console)]
            made += new
            for transport in new:
                _refuse_twin(made, transport)
    except BaseException:
        for transport in made:
            transport.close()
        raise
    return tuple(made)


def _refuse_twin(made: Sequence[Transport], new: Transport) -> None:
    if any(each is not new and each.name == new.name for each in made):
        raise InputError(f"publish.transports: {new.name} is there twice; keep one")


def _through_nucleus(
    config: GreengrassConfig, link: NucleusLink | None, topics: Topics
) -> list[Transport]:
    if link is None:
        raise InputError(
            "publish.transports: greengrass needs the nucleus that edgetally is a component of; "
            "deploy it, or give another transport"
        )
    from edgetally.messaging.transports.greengrass import (  # noqa: PLC0415 - heavy
        IotCoreTransport,
        LocalTransport,
    )

    link.loop_back(topics.loopback)
    made: list[Transport] = []
    if config.local:
        made.append(LocalTransport(link))
    if config.iot_core:
        made.append(IotCoreTransport(link, config.delivery))
    return made


def _create(
    config: JsonlConfig | ConsoleConfig | MqttConfig,
    thing: str,
    will: tuple[str, str] | None,
    console: TextIO | None,
) -> Transport:
    if isinstance(config, ConsoleConfig):
        return ConsoleTransport(console or sys.stdout)
    if isinstance(config, JsonlConfig):
        return JsonlTransport(config.path)
    from edgetally.messaging.transports.mqtt import MqttTransport  # noqa: PLC0415 - heavy

    return MqttTransport(config, config.client_id or thing, will)
