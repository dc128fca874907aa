"""MQTT when the broker dies, hangs or can't be heard, and when the device does."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest
from mosquitto_broker import WAIT, Authority, MosquittoBroker, Witness, wait_until
from mqtt_device import TOPIC, Counting, failure_of, memory, outage, settings
from swallowing_broker import SwallowingBroker
from veth import Veth

from edgetally.errors import EdgetallyError
from edgetally.messaging.transports.mqtt_client import Patience

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mosquitto_broker import Certificate

    from edgetally.messaging.transports.mqtt import MqttTransport

pytest_plugins = ("mqtt_fixtures",)


def test_a_broker_killed_under_load_gets_every_message_once_it_is_back(
    broker: MosquittoBroker,
    witness: Witness,
    ours: Authority,
    device: Certificate,
    connect: Callable[..., MqttTransport],
    counting: Callable[[MqttTransport], Counting],
) -> None:
    here = counting(connect(settings(broker.port, device, ours.root)))
    enough = threading.Event()

    def count() -> None:
        while not enough.is_set():
            here.count(10)
            enough.wait(0.02)

    thread = threading.Thread(target=count)
    thread.start()
    try:
        wait_until(lambda: len(witness.heard) > 500, "nothing arrives")
        broker.kill()
        outage(here.ledger)
        broker.start()
        heard = len(witness.heard)
        wait_until(lambda: len(witness.heard) > heard + 500, "nothing arrives any more")
    finally:
        enough.set()
        thread.join(WAIT)
    here.check(witness)


def test_topics_that_the_broker_refuses_hold_no_other_up(
    tmp_path: Path,
    ours: Authority,
    device: Certificate,
    connect: Callable[..., MqttTransport],
    counting: Callable[[MqttTransport], Counting],
) -> None:
    """The broker, mosquitto 2.0, closes the connection, too."""
    server = ours.issue("server", "localhost")
    broker = MosquittoBroker(tmp_path, ours, server, allowed=(TOPIC,))
    witness = Witness(broker, "edgetally/#")
    try:
        here = counting(connect(settings(broker.port, device, ours.root)))
        refused = "edgetally/dock-1/door/detections"
        for _ in range(20):
            with here.ledger.transaction() as entry:
                entry.enqueue(refused, "{}", "detections")
            here.count(5)
            heard = len(witness.heard)
            wait_until(lambda: len(witness.heard) > heard, "nothing arrives")  # noqa: B023
        witness.wait_for(here.bodies)
        wait_until(lambda: here.ledger.waiting() == 20, "what arrived is not noted")
        (status,) = here.publisher.status().values()
        assert status.state == "failing"
        assert status.reason is not None
        assert here.ledger.status().dropped == {}
    finally:
        witness.close()
        broker.kill()


def test_messages_wait_for_the_first_connection_and_no_longer(
    ours: Authority, device: Certificate, connect: Callable[..., MqttTransport]
) -> None:
    transport = connect(settings(1, device, ours.root))
    assert "connection refused" in failure_of(transport)
    with pytest.raises(EdgetallyError, match="connection refused"):
        transport.send(TOPIC, "2")


def test_a_message_that_is_never_acknowledged_fails_and_the_connection_is_made_anew(
    ours: Authority, device: Certificate, connect: Callable[..., MqttTransport]
) -> None:
    with SwallowingBroker(ours.issue("server", "localhost"), ours.root) as broker:
        transport = connect(settings(broker.port, device, ours.root))
        first = transport.send(TOPIC, "1")
        assert "does not acknowledge" in str(first.exception(WAIT))
        broker.wait_for_connections(2)
        ready = threading.Event()
        transport.on_ready = ready.set
        assert transport.state == "connected" or ready.wait(WAIT)
        second = transport.send(TOPIC, "2")
        assert "does not acknowledge" in str(second.exception(WAIT))
        assert broker.published >= 2
        began = time.monotonic()
        transport.close()
        assert time.monotonic() - began < 2


def test_10_000_messages_that_waited_leave_without_memory_growing(
    broker: MosquittoBroker,
    witness: Witness,
    ours: Authority,
    device: Certificate,
    connect: Callable[..., MqttTransport],
    counting: Callable[[MqttTransport], Counting],
) -> None:
    here = counting(connect(settings(broker.port, device, ours.root)))
    here.count(500)
    here.check(witness)  # everything is loaded and warm
    broker.kill()
    here.count(10_000)
    assert here.ledger.waiting() == 10_000
    before = memory()
    broker.start()
    wait_until(lambda: here.ledger.waiting() == 0, "they don't leave", 60)
    grown = memory() - before
    here.check(witness)
    # What the witness has heard, 4 MB, is in this process too.
    assert grown < 16_000_000, f"{grown / 1e6:.1f} MB"


_DEVICE = """
import sys, json, threading
from edgetally.config import MqttTransport as Config
from edgetally.messaging.transports.mqtt import MqttTransport
transport = MqttTransport(
    Config.model_validate(json.loads(sys.argv[1])), "dock-1", (sys.argv[2], '{"state":"lost"}')
)
transport.send("edgetally/dock-1/health", '{"state":"running"}').result(30)
print("running", flush=True)
if sys.argv[3] == "close":
    transport.close()
else:
    threading.Event().wait()
"""


@pytest.mark.parametrize("end", ["kill", "close"])
def test_the_last_will_tells_of_a_device_that_is_lost_and_not_of_one_that_leaves(
    end: str,
    broker: MosquittoBroker,
    witness: Witness,
    ours: Authority,
    device: Certificate,
) -> None:
    config = settings(broker.port, device, ours.root).model_dump_json(
        by_alias=True, exclude_none=True
    )
    with subprocess.Popen(
        [sys.executable, "-c", _DEVICE, config, "edgetally/dock-1/health", end],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "running\n"
        if end == "kill":
            process.send_signal(signal.SIGKILL)
            witness.wait_for({'{"state":"lost"}'})
        else:
            assert process.wait(WAIT) == 0
            wait_until(lambda: broker.disconnections() > 0, "it did not disconnect")
    states = [json.loads(text)["state"] for _, text in witness.heard]
    assert states == (["running", "lost"] if end == "kill" else ["running"])


def test_what_is_heard_is_heard_again_after_the_broker_came_back(
    broker: MosquittoBroker,
    ours: Authority,
    device: Certificate,
    connect: Callable[..., MqttTransport],
) -> None:
    transport = connect(settings(broker.port, device, ours.root))
    heard: list[tuple[str, bytes]] = []
    request = "edgetally/dock-1/inference/request"
    transport.subscribe(request, lambda topic, payload: heard.append((topic, payload)))
    transport.send(TOPIC, "1").result(WAIT)  # the broker answers in order
    transport.send(request, "first").result(WAIT)
    wait_until(lambda: len(heard) == 1, "the request was not heard")
    broker.kill()
    ready = threading.Event()
    transport.on_ready = ready.set
    broker.start()
    assert ready.wait(WAIT)
    transport.send(request, "second").result(WAIT)
    wait_until(lambda: len(heard) == 2, "the second request was not heard")
    assert heard == [(request, b"first"), (request, b"second")]


@pytest.mark.parametrize("loaded", [True, False])
def test_a_network_that_drops_everything_is_noticed_and_nothing_is_lost(
    loaded: bool,
    tmp_path: Path,
    ours: Authority,
    device: Certificate,
    connect: Callable[..., MqttTransport],
    counting: Callable[[MqttTransport], Counting],
) -> None:
    with Veth() as network:
        server = ours.issue("server", network.there)
        broker = MosquittoBroker(
            tmp_path, ours, server, address=network.there, inside=network.inside
        )
        witness = Witness(broker, "edgetally/#", inside=network.inside)
        try:
            transport = connect(settings(broker.port, device, ours.root, host=network.there))
            here = counting(transport)
            here.count(10)
            here.check(witness)
            network.drop()
            began = time.monotonic()
            if loaded:
                here.count(200)
            assert transport.state == "connected"  # a network that drops tells nothing
            wait_until(lambda: transport.state != "connected", "it was not noticed", 15)
            assert time.monotonic() - began < 12  # a ping after 5 s, its answer within 2.5 s
            here.count(10)
            outage(here.ledger)
            network.mend()
            here.check(witness)
        finally:
            witness.close()
            broker.kill()


def test_closing_takes_no_longer_than_two_seconds_whatever_the_broker_does(
    broker: MosquittoBroker,
    ours: Authority,
    device: Certificate,
    connect: Callable[..., MqttTransport],
) -> None:
    transport = connect(settings(broker.port, device, ours.root), patience=Patience())
    transport.send(TOPIC, "1").result(WAIT)
    broker.freeze()
    owed = transport.send(TOPIC, "2")
    connecting = connect(settings(broker.port, device, ours.root))
    began = time.monotonic()
    transport.close()
    closed = time.monotonic()
    connecting.close()
    assert closed - began < 2
    assert time.monotonic() - closed < 2
    assert "closed" in str(owed.exception(0))
    with pytest.raises(EdgetallyError, match="is closed"):
        transport.send(TOPIC, "3")
    broker.thaw()


def test_two_devices_with_one_client_id_are_told_of_it(
    ours: Authority,
    device: Certificate,
    connect: Callable[..., MqttTransport],
    caplog: pytest.LogCaptureFixture,
) -> None:
    with SwallowingBroker(ours.issue("server", "localhost"), ours.root) as broker:
        transport = connect(settings(broker.port, device, ours.root))
        wait_until(lambda: transport.state == "connected", "it did not connect")
        broker.disconnect(0x8E)  # session taken over: MQTT 5, table 3-10
        wait_until(lambda: "another client came with this client id" in caplog.text, "not told")
        transport.close()


def test_two_devices_with_one_client_id_are_told_of_it_by_a_broker_that_says_nothing(
    broker: MosquittoBroker,
    ours: Authority,
    device: Certificate,
    connect: Callable[..., MqttTransport],
    caplog: pytest.LogCaptureFixture,
) -> None:
    config = settings(broker.port, device, ours.root)
    connect(config), connect(config)
    told = "perhaps another client uses the same client id, dock-1"
    wait_until(lambda: told in caplog.text, "not told")
