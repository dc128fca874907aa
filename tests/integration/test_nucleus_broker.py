"""The stand-in nucleus with a real broker in the place of AWS IoT Core."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from awsiot.greengrasscoreipc.model import ServiceError  # type: ignore[import-untyped]
from nucleus_client import Heard, client_of

from edgetally.errors import InputError
from edgetally.nucleus.broker import BrokerAddress, BrokerCloud

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mosquitto_broker import Authority, Certificate, MosquittoBroker, Witness

    from edgetally.nucleus import Nucleus

pytest_plugins = ("mqtt_fixtures", "nucleus_fixtures")


def _address(
    broker: MosquittoBroker, ours: Authority, device: Certificate, *, tls: bool
) -> BrokerAddress:
    if not tls:
        return BrokerAddress(broker.address, broker.open_port)
    return BrokerAddress(
        "localhost", broker.port, ours.root, device.certificate, device.private_key
    )


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "mutual TLS"])
def test_messages_cross_the_broker_in_both_directions(
    start: Callable[..., Nucleus],
    broker: MosquittoBroker,
    ours: Authority,
    device: Certificate,
    witness: Witness,
    tls: bool,
) -> None:
    lines: list[str] = []
    cloud = BrokerCloud(_address(broker, ours, device, tls=tls), "dock-1", lines.append)
    client, heard = client_of(start(cloud=cloud)), Heard()
    client.subscribe_to_iot_core(topic_name="edgetally/#", qos="1", **heard.handlers)
    client.publish_to_iot_core(topic_name="edgetally/a", qos="1", payload=b"from the device")
    assert heard.next().message.payload == b"from the device"
    witness.wait_for({"from the device"})
    assert lines[0].startswith("IoT Core: connected to ")


def test_a_broker_that_goes_away_is_a_service_error_and_subscriptions_come_back(
    start: Callable[..., Nucleus], broker: MosquittoBroker
) -> None:
    cloud = BrokerCloud(BrokerAddress(broker.address, broker.open_port), "dock-1", lambda _: None)
    nucleus = start(cloud=cloud)
    client, heard = client_of(nucleus), Heard()
    client.subscribe_to_iot_core(topic_name="edgetally/#", qos="1", **heard.handlers)
    broker.kill()
    _publish_until(client, lambda answer: isinstance(answer, ServiceError))
    broker.start()
    _publish_until(client, lambda answer: answer is None)
    assert heard.next().message.payload == b"x"


def _publish_until(client: Any, happened: Callable[[Exception | None], bool]) -> None:
    answer: Exception | None = None
    for _ in range(3000):
        try:
            client.publish_to_iot_core_async(
                topic_name="edgetally/a", qos="1", payload=b"x"
            ).result(10)
            answer = None
        except ServiceError as error:
            answer = error
        if happened(answer):
            return
    pytest.fail(f"still {answer!r}")


def test_a_frozen_broker_takes_ten_at_a_time(
    start: Callable[..., Nucleus], broker: MosquittoBroker
) -> None:
    cloud = BrokerCloud(BrokerAddress(broker.address, broker.open_port), "dock-1", lambda _: None)
    client = client_of(start(cloud=cloud))
    broker.freeze()
    try:
        for _ in range(10):
            client.publish_to_iot_core(topic_name="edgetally/a", qos="1", payload=b"x")
        with pytest.raises(ServiceError):
            client.publish_to_iot_core(topic_name="edgetally/a", qos="1", payload=b"x")
    finally:
        broker.thaw()


def test_files_of_tls_that_are_none_are_refused(tmp_path: Path) -> None:
    nonsense = tmp_path / "nonsense.pem"
    nonsense.write_text("nonsense")
    with pytest.raises(InputError, match="the broker's TLS"):
        BrokerCloud(
            BrokerAddress("localhost", 1, nonsense, nonsense, nonsense), "dock-1", lambda _: None
        )
