"""What the tests against a broker share: it, its certificates, and a device that connects."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from mosquitto_broker import Authority, MosquittoBroker, Witness, need_mosquitto
from mqtt_device import HASTY, Counting

from edgetally.messaging.transports.mqtt import MqttTransport

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from mosquitto_broker import Certificate

    from edgetally.config import MqttTransport as MqttConfig
    from edgetally.messaging.transports.mqtt_client import Patience


@pytest.fixture
def ours(tmp_path: Path) -> Authority:
    need_mosquitto()
    return Authority(tmp_path, "ours")


@pytest.fixture
def broker(tmp_path: Path, ours: Authority) -> Iterator[MosquittoBroker]:
    broker = MosquittoBroker(tmp_path, ours, ours.issue("server", "localhost", "127.0.0.1"))
    yield broker
    broker.kill()


@pytest.fixture
def witness(broker: MosquittoBroker) -> Iterator[Witness]:
    witness = Witness(broker, "edgetally/#")
    yield witness
    witness.close()


@pytest.fixture
def device(ours: Authority) -> Certificate:
    return ours.issue("device")


@pytest.fixture
def connect() -> Iterator[Callable[..., MqttTransport]]:
    made: list[MqttTransport] = []

    def connect(
        config: MqttConfig, *, will: tuple[str, str] | None = None, patience: Patience = HASTY
    ) -> MqttTransport:
        made.append(MqttTransport(config, "dock-1", will, patience=patience))
        return made[-1]

    yield connect
    for transport in made:
        transport.close()


@pytest.fixture
def counting(tmp_path: Path) -> Iterator[Callable[[MqttTransport], Counting]]:
    made: list[Counting] = []

    def counting(transport: MqttTransport) -> Counting:
        made.append(Counting(tmp_path, transport))
        return made[-1]

    yield counting
    for one in made:
        one.publisher.close()
        one.ledger.close()
