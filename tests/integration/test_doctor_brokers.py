"""`edgetally doctor` and brokers: who is reached, who trusts whom, and who is no broker."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from typing import TYPE_CHECKING

import pytest
from mosquitto_broker import WAIT, Authority
from mqtt_device import settings

from edgetally.doctor.brokers import transport

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from mosquitto_broker import Certificate, MosquittoBroker

    from edgetally.config import MqttTransport as MqttConfig

pytest_plugins = ("mqtt_fixtures",)


@contextlib.contextmanager
def listener(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    """Yield the port of one that takes a single client, and is closed when `serve` returns."""

    def take() -> None:
        with contextlib.suppress(OSError), listening.accept()[0] as client:
            serve(client)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=take)
        thread.start()
        yield listening.getsockname()[1]
        thread.join(WAIT)


def until_it_leaves(client: socket.socket) -> None:
    while client.recv(4096):
        pass


def told(config: MqttConfig) -> str:
    """Return what is found, where it is wrong."""
    found = list(transport(config))[-1]
    assert found.state == "wrong", found
    return found.text


def test_a_broker_that_trusts_us_and_that_we_trust_is_well(
    broker: MosquittoBroker, ours: Authority, device: Certificate
) -> None:
    findings = list(transport(settings(broker.port, device, ours.root)))
    assert findings[-1].state == "ok"
    assert "both certificates are accepted" in findings[-1].text


def test_a_broker_that_does_not_trust_us_is_told_from_one_that_we_do_not_trust(
    broker: MosquittoBroker, ours: Authority, device: Certificate, tmp_path: Path
) -> None:
    theirs = Authority(tmp_path, "theirs")
    distrusted = list(transport(settings(broker.port, device, theirs.root)))[-1]
    assert distrusted.state == "wrong"
    assert "not signed by rootCa" in distrusted.text
    refused = list(transport(settings(broker.port, theirs.issue("stranger"), ours.root)))[-1]
    assert refused.state == "wrong"
    assert "refused our certificate" in refused.text


def test_an_expired_certificate_is_found_before_the_broker_says_so(
    broker: MosquittoBroker, ours: Authority
) -> None:
    findings = list(transport(settings(broker.port, ours.issue("old", expired=True), ours.root)))
    assert "has expired" in findings[0].text


def test_a_broker_that_is_away_is_found(
    broker: MosquittoBroker, ours: Authority, device: Certificate
) -> None:
    broker.kill()
    assert "can't be reached" in list(transport(settings(broker.port, device, ours.root)))[-1].text


def test_a_port_of_the_brokers_without_tls_is_told(
    broker: MosquittoBroker, ours: Authority, device: Certificate
) -> None:
    text = told(settings(broker.open_port, device, ours.root))
    assert "does not speak TLS" in text
    assert "check endpoint and port" in text


def test_what_greets_in_clear_does_not_speak_tls(ours: Authority, device: Certificate) -> None:
    def greet(client: socket.socket) -> None:
        client.sendall(b"SSH-2.0-x\r\n")
        until_it_leaves(client)

    with listener(greet) as port:
        text = told(settings(port, device, ours.root))
    assert text.startswith("what answers there does not speak TLS")
    assert text.endswith("; check endpoint and port")


def test_what_never_answers_the_handshake_is_told(
    ours: Authority, device: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgetally.messaging.transports.mqtt_failure._PROBE_TIMEOUT", 0.3)
    with listener(until_it_leaves) as port:
        assert "no answer to the TLS handshake" in told(settings(port, device, ours.root))


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize(
    ("greeting", "reason"),
    [
        (b"", "the broker closed the connection after the TLS handshake; check that our "),
        (b"220 mail.example ESMTP\r\n", "what answers there does not speak MQTT 5"),
    ],
)
def test_what_ends_or_speaks_once_tls_stands_is_no_broker_that_accepts_us(
    version: ssl.TLSVersion,
    greeting: bytes,
    reason: str,
    ours: Authority,
    device: Certificate,
) -> None:
    server = ours.issue("server", "localhost")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = context.maximum_version = version
    context.load_cert_chain(server.certificate, server.private_key)

    def shake_hands(client: socket.socket) -> None:
        with context.wrap_socket(client, server_side=True) as secure:
            secure.sendall(greeting)
            if greeting:
                until_it_leaves(secure)

    with listener(shake_hands) as port:
        assert told(settings(port, device, ours.root)).startswith(reason)
