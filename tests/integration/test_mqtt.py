"""MQTT with a real broker: what is delivered, and what is refused, by whom and why."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest
from mosquitto_broker import WAIT, Authority, MosquittoBroker, Witness, wait_until
from mqtt_device import TOPIC, failure_of, settings
from swallowing_broker import SwallowingBroker

from edgetally.config import MqttTransport as MqttConfig
from edgetally.errors import EdgetallyError, InputError
from edgetally.messaging.transports import RefusedError, TopicRefusedError
from edgetally.messaging.transports.mqtt import MqttTransport
from edgetally.messaging.transports.mqtt_client import Patience

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mosquitto_broker import Certificate

pytest_plugins = ("mqtt_fixtures",)


def test_a_message_is_delivered_when_the_broker_has_acknowledged_it(
    broker: MosquittoBroker,
    witness: Witness,
    ours: Authority,
    device: Certificate,
    connect: Callable[..., MqttTransport],
) -> None:
    transport = connect(settings(broker.port, device, ours.root))
    transport.send(TOPIC, '{"direction":"in"}').result(WAIT)
    witness.wait_for({'{"direction":"in"}'})
    assert witness.heard == [(TOPIC, '{"direction":"in"}')]
    assert transport.state == "connected"
    assert str(transport) == transport.name == f"mqtt localhost:{broker.port}/dock-1"


def test_certificate_and_key_may_come_in_one_pkcs12_file(
    broker: MosquittoBroker,
    ours: Authority,
    device: Certificate,
    connect: Callable[..., MqttTransport],
) -> None:
    config = MqttConfig(
        type="mqtt",
        endpoint="localhost",
        port=broker.port,
        pkcs12=device.pkcs12,
        pkcs12_password_file=device.password_file,
        root_ca=ours.root,
    )
    connect(config).send(TOPIC, "1").result(WAIT)


@pytest.mark.parametrize("size", [128 * 1024, 128 * 1024 + 1])
def test_a_message_may_have_128_kib(
    size: int,
    broker: MosquittoBroker,
    ours: Authority,
    device: Certificate,
    connect: Callable[..., MqttTransport],
) -> None:
    transport = connect(settings(broker.port, device, ours.root))
    if size == transport.max_bytes:
        transport.send(TOPIC, "x" * size).result(WAIT)
    else:
        with pytest.raises(RefusedError, match="131073 bytes for"):
            transport.send(TOPIC, "x" * size)


def test_a_topic_that_can_not_be_one_fails_alone(
    broker: MosquittoBroker,
    ours: Authority,
    device: Certificate,
    connect: Callable[..., MqttTransport],
) -> None:
    transport = connect(settings(broker.port, device, ours.root))
    with pytest.raises(RefusedError, match="can't publish to a/#"):
        transport.send("a/#", "1").result(WAIT)
    transport.send(TOPIC, "1").result(WAIT)


@pytest.mark.parametrize(
    ("identity", "root", "reason"),
    [
        ("device", "foreign", "the broker's certificate is not signed by rootCa"),
        ("expired", "ours", "the broker refused our certificate: it has expired; renew it"),
        ("stranger", "ours", "the broker refused our certificate: its authority does not count"),
    ],
)
def test_a_refusal_is_told_in_a_line_and_not_tried_again_soon(
    identity: str,
    root: str,
    reason: str,
    tmp_path: Path,
    broker: MosquittoBroker,
    ours: Authority,
    device: Certificate,
    connect: Callable[..., MqttTransport],
    caplog: pytest.LogCaptureFixture,
) -> None:
    foreign = Authority(tmp_path, "foreign")
    certificate = {
        "device": device,
        "expired": ours.issue("expired", expired=True),
        "stranger": foreign.issue("stranger"),
    }[identity]
    root_ca = {"ours": ours, "foreign": foreign}[root].root
    before, patience = broker.connections(), Patience(silence=0.3, refused=1.0)
    transport = connect(settings(broker.port, certificate, root_ca), patience=patience)
    assert reason in failure_of(transport)
    assert reason in transport.state
    wait_until(lambda: broker.connections() >= before + 4, "it did not try again")
    # Each attempt is one connection of the client's and one that finds out why.
    began, attempts = time.monotonic(), broker.connections()
    wait_until(lambda: time.monotonic() > began + 3 * patience.refused, "time stood still")
    # A rest lasts half of it at least.
    assert broker.connections() - attempts <= 2 * (2 * 3 + 1)
    told = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert [reason in record.getMessage() for record in told] == [True]


def test_a_certificate_that_was_renewed_is_taken_without_a_restart(
    broker: MosquittoBroker,
    ours: Authority,
    connect: Callable[..., MqttTransport],
) -> None:
    config = settings(broker.port, ours.issue("device", expired=True), ours.root)
    transport = connect(config)
    assert "it has expired" in failure_of(transport)
    ready = threading.Event()
    transport.on_ready = ready.set
    # One file after the other: between the two, they don't belong together.
    ours.issue("device")
    assert ready.wait(WAIT)
    transport.send(TOPIC, "1").result(WAIT)


@pytest.mark.parametrize(
    ("expired", "name", "reason"),
    [
        (False, "elsewhere.example", "the broker's certificate is for another host"),
        (True, "localhost", "the broker's certificate has expired"),
    ],
)
def test_a_broker_that_is_not_the_one_is_not_believed(
    expired: bool,
    name: str,
    reason: str,
    tmp_path: Path,
    ours: Authority,
    device: Certificate,
    connect: Callable[..., MqttTransport],
) -> None:
    server = ours.issue("server", name, expired=expired)
    broker = MosquittoBroker(tmp_path, ours, server)
    try:
        assert reason in failure_of(connect(settings(broker.port, device, ours.root)))
    finally:
        broker.kill()


def test_a_broker_that_is_not_there_is_told(
    ours: Authority, device: Certificate, connect: Callable[..., MqttTransport]
) -> None:
    refused = connect(settings(1, device, ours.root))
    assert "connection refused; check port" in failure_of(refused)
    unknown = connect(settings(8883, device, ours.root, host="no-such-host.invalid"))
    assert "host not found; check endpoint" in failure_of(unknown)


def test_files_that_are_not_usable_are_told_at_the_start(
    tmp_path: Path, ours: Authority, device: Certificate
) -> None:
    def told(config: MqttConfig) -> str:
        with pytest.raises(InputError) as caught:
            MqttTransport(config, "dock-1")
        return str(caught.value)

    good = settings(8883, device, ours.root)
    other = ours.issue("other")
    wrong = tmp_path / "wrong"
    wrong.write_text("nothing")
    config = good.model_copy
    assert "No such file" in told(config(update={"certificate": tmp_path / "none.pem"}))
    assert "is of another certificate" in told(config(update={"private_key": other.private_key}))
    assert f"private key {wrong}: holds no PEM private key" in told(
        config(update={"private_key": wrong})
    )
    assert f"certificate {wrong}: holds no PEM certificate" in told(
        config(update={"certificate": wrong})
    )
    swapped = {"certificate": device.private_key, "private_key": device.certificate}
    assert f"certificate {device.private_key} holds a private key" in told(config(update=swapped))
    assert "it has a password; give pkcs12PasswordFile" in told(
        config(update={"pkcs12": device.pkcs12})
    )
    assert "no PEM certificate" in told(config(update={"root_ca": wrong}))
    assert "not of this password" in told(
        config(update={"pkcs12": device.pkcs12, "pkcs12_password_file": wrong})
    )


def test_a_secret_that_others_may_read_is_warned_of_and_never_logged(
    broker: MosquittoBroker,
    ours: Authority,
    device: Certificate,
    connect: Callable[..., MqttTransport],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    device.private_key.chmod(0o644)
    connect(settings(broker.port, device, ours.root)).send(TOPIC, "1").result(WAIT)
    warned = [each.getMessage() for each in caplog.records if each.levelno == logging.WARNING]
    assert warned == [f"{device.private_key}: others may read it (mode 644); chmod 600 it"]
    secret = device.private_key.read_text().splitlines()[1]
    assert secret not in caplog.text


def test_a_listener_that_fails_costs_its_message_alone(
    broker: MosquittoBroker,
    ours: Authority,
    device: Certificate,
    connect: Callable[..., MqttTransport],
    caplog: pytest.LogCaptureFixture,
) -> None:
    transport = connect(settings(broker.port, device, ours.root))
    heard: list[bytes] = []

    def hear(_: str, payload: bytes) -> None:
        heard.append(payload)
        raise ValueError("no JSON")

    transport.subscribe("edgetally/request", hear)
    transport.send("edgetally/request", "first").result(WAIT)
    transport.send("edgetally/request", "second").result(WAIT)
    wait_until(lambda: len(heard) == 2, "not heard")
    assert "no JSON" in caplog.text


@pytest.mark.parametrize(("code", "kind"), [(0x87, TopicRefusedError), (0x90, RefusedError)])
def test_a_message_that_the_broker_refuses_is_not_delivered(
    code: int,
    kind: type[EdgetallyError],
    ours: Authority,
    device: Certificate,
    connect: Callable[..., MqttTransport],
) -> None:
    with SwallowingBroker(ours.issue("server", "localhost"), ours.root, puback=code) as broker:
        transport = connect(settings(broker.port, device, ours.root))
        error = transport.send(TOPIC, "1").exception(WAIT)
        assert type(error) is kind
        assert f"the broker refused a message for {TOPIC}: " in str(error)
        transport.close()


def test_on_port_443_the_protocol_is_aws_iots(
    ours: Authority, device: Certificate, connect: Callable[..., MqttTransport]
) -> None:
    try:
        listening = SwallowingBroker(ours.issue("server", "localhost"), ours.root, port=443)
    except OSError as error:
        pytest.skip(f"port 443 can't be had: {error.strerror}")
    with listening as broker:
        transport = connect(settings(443, device, ours.root))
        broker.wait_for_connections(1)
        transport.close()
        assert broker.protocols == ["x-amzn-mqtt-ca"]


def test_a_client_that_may_not_connect_is_told_so(
    ours: Authority, device: Certificate, connect: Callable[..., MqttTransport]
) -> None:
    with SwallowingBroker(ours.issue("server", "localhost"), ours.root, connack=0x87) as broker:
        transport = connect(settings(broker.port, device, ours.root))
        assert "the broker refused the connection: not authorized" in failure_of(transport)
        transport.close()


def test_awscrt_is_loaded_for_this_transport_alone() -> None:
    asked = "import sys, edgetally.messaging.transports; print('awscrt' in sys.modules)"
    said = subprocess.run(
        [sys.executable, "-c", asked], capture_output=True, text=True, check=True, timeout=WAIT
    )
    assert said.stdout == "False\n"
