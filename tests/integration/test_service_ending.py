"""A service that is told to stop while all hangs, or whose broker thought it lost."""

from __future__ import annotations

import json
import socket
import threading
import time
from contextlib import closing
from typing import TYPE_CHECKING

from mosquitto_broker import WAIT, Authority, MosquittoBroker, Witness, wait_until
from mqtt_device import TOPIC, settings
from test_service import configured

from edgetally.counting.ledger import Ledger
from edgetally.errors import EdgetallyError
from edgetally.messaging.transports.mqtt import MqttTransport
from edgetally.service import Service

if TYPE_CHECKING:
    from pathlib import Path

    import pytest
    from mosquitto_broker import Certificate

    from edgetally.bundle import ModelBundle

pytest_plugins = ("mqtt_fixtures",)
_NUCLEUS_WAITS = 5.0  # seconds


def test_a_service_ends_in_time_while_broker_and_cameras_hang(
    bundle: ModelBundle,
    tmp_path: Path,
    broker: MosquittoBroker,
    witness: Witness,
    ours: Authority,
    device: Certificate,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """And without an error: what the broker did not take is safe, and who stops it knows."""
    mqtt = settings(broker.port, device, ours.root)
    errors: list[Exception] = []
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts, and never says a word
        gone = f"rtsp://127.0.0.1:{silent.getsockname()[1]}/x"
        config = configured(
            bundle,
            tmp_path,
            cameras=[
                {"name": "dock", "source": "test:64x48", "fps": 5},
                {"name": "gate", "source": gone},
                {"name": "yard", "source": gone},
            ],
            publish={
                "thing": "dock-1",
                "detections": {"mode": "every", "minInterval": 0},
                "transports": [mqtt.model_dump(mode="json", by_alias=True, exclude_none=True)],
            },
        )
        service = Service(config)

        def run() -> None:
            try:
                service.run()
            except EdgetallyError as error:
                errors.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        try:
            wait_until(lambda: len(witness.heard) > 3, "nothing is told")
            broker.freeze()
            began = time.monotonic()
            wait_until(lambda: time.monotonic() > began + 1, "time stood still")
        finally:
            stopped = time.monotonic()
            service.stop()
            thread.join(WAIT)
        assert time.monotonic() - stopped < _NUCLEUS_WAITS
        broker.thaw()
    assert errors == []
    told = [record for record in caplog.records if record.name == "edgetally.service.service"]
    (warning,) = (record for record in told if record.levelname == "WARNING")
    assert "messages could not be delivered and wait in" in warning.getMessage()
    with closing(Ledger(tmp_path / "state", beside=True)) as ledger:
        assert ledger.waiting() > 0


def test_health_is_told_anew_after_the_broker_told_the_last_will(
    bundle: ModelBundle,
    tmp_path: Path,
    broker: MosquittoBroker,
    witness: Witness,
    ours: Authority,
    device: Certificate,
) -> None:
    mqtt = settings(broker.port, device, ours.root)
    config = configured(
        bundle,
        tmp_path,
        cameras=[{"name": "dock", "source": "test:64x48", "fps": 5}],
        publish={
            "thing": "dock-1",
            "detections": {"mode": "never"},
            "transports": [mqtt.model_dump(mode="json", by_alias=True, exclude_none=True)],
        },
    )
    service = Service(config)

    def states() -> list[str]:
        heard = [text for topic, text in list(witness.heard) if topic.endswith("/health")]
        return [json.loads(text)["state"] for text in heard]

    thread = threading.Thread(target=service.run)
    thread.start()
    try:
        wait_until(lambda: "running" in states(), "nothing is told")
        other = MqttTransport(mqtt, "dock-1")  # takes the session over
        other.send(TOPIC, "1").result(WAIT)
        other.close()
        wait_until(lambda: "offline" in states(), "there was no last will")
        wait_until(lambda: states()[-1] == "running", "it stays offline")
    finally:
        service.stop()
        thread.join(WAIT)
    assert states()[-1] == "stopping"
