"""A service on a real broker: it answers requests, takes corrections, and leaves a last will."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import cv2
import jsonschema
import numpy as np
import pytest
import yaml
from mosquitto_broker import WAIT, Authority, MosquittoBroker, Witness, wait_until

from edgetally.config import parse_config
from edgetally.messaging.schemas import json_schemas
from edgetally.service import Service

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from mosquitto_broker import Certificate

    from edgetally.bundle import ModelBundle

pytest_plugins = ("mqtt_fixtures",)
_PUBLISHER = shutil.which("mosquitto_pub") or "mosquitto_pub"
ROOT = "edgetally/dock-1"
RESULTS, RESPONSES = f"{ROOT}/inference/response", f"{ROOT}/inventory/response"


@pytest.fixture
def content(
    tmp_path: Path,
    bundle: ModelBundle,
    broker: MosquittoBroker,
    ours: Authority,
    device: Certificate,
) -> dict[str, Any]:
    """A configuration: one live camera, half of it black, and the broker."""
    (tmp_path / "open").mkdir()
    return {
        "model": {"path": str(bundle.file("onnx").parent), "scoreThreshold": 0.3},
        "cameras": [
            {
                "name": "dock",
                "site": "hall",
                "source": "test:320x240",
                "fps": 2,
                "region": [0, 0, 0.5, 1],
            }
        ],
        "publish": {
            "thing": "dock-1",
            "detections": {"mode": "never"},
            "transports": [
                {
                    "type": "mqtt",
                    "endpoint": "localhost",
                    "port": broker.port,
                    "certificate": str(device.certificate),
                    "privateKey": str(device.private_key),
                    "rootCa": str(ours.root),
                }
            ],
        },
        "requests": {"folders": [str(tmp_path / "open")], "maxRate": 20},
        "storage": {"path": str(tmp_path / "state")},
    }


class Cloud:
    """Another client: asks, and waits for what comes."""

    def __init__(self, broker: MosquittoBroker, witness: Witness) -> None:
        self._broker, self._witness = broker, witness

    def ask(self, topic: str, body: str | dict[str, Any]) -> None:
        text = body if isinstance(body, str) else json.dumps(body)
        door = ("-h", self._broker.address, "-p", str(self._broker.open_port))
        done = subprocess.run(
            [_PUBLISHER, *door, "-q", "1", "-t", f"{ROOT}/{topic}", "-s"],
            input=text.encode(),
            check=False,
        )
        assert done.returncode == 0

    def heard(self, topic: str) -> list[dict[str, Any]]:
        return [json.loads(text) for name, text in list(self._witness.heard) if name == topic]

    def wait(self, topic: str, comes: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Return the first message that is meant; it is valid."""

        def found() -> bool:
            return any(comes(body) for body in self.heard(topic))

        wait_until(found, f"{topic} did not come", 2 * WAIT)
        body = next(body for body in self.heard(topic) if comes(body))
        name = body["schema"].removeprefix("edgetally.").removesuffix("/1")
        jsonschema.validate(body, json_schemas()[name])
        return body

    def wait_until_it_hears(self) -> None:
        """Ask until the first answer comes: before it subscribed, it hears nothing."""

        def answers() -> bool:
            self.ask("inference/request", {"requestId": "first", "camera": "nowhere"})
            return bool(self.heard(RESULTS))

        wait_until(answers, "no answer came", 2 * WAIT)

    def answer(self, topic: str, request_id: str) -> dict[str, Any]:
        return self.wait(topic, lambda body: body["requestId"] == request_id)


@pytest.fixture
def cloud(broker: MosquittoBroker, witness: Witness) -> Cloud:
    return Cloud(broker, witness)


@pytest.fixture
def service(content: dict[str, Any], cloud: Cloud) -> Iterator[Service]:
    service = Service(parse_config(content, "test"))
    running = threading.Thread(target=service.run)
    running.start()
    cloud.wait_until_it_hears()
    yield service
    service.stop()
    running.join(30)
    assert not running.is_alive()


def test_the_newest_frame_of_a_camera_is_looked_at_in_its_region(
    service: Service, cloud: Cloud
) -> None:
    wait_until(lambda: bool(service.loops[0].processed), "no frame was counted")
    cloud.ask("inference/request", {"requestId": "r-1", "camera": "dock", "scoreThreshold": 0})
    answer = cloud.answer(RESULTS, "r-1")
    assert (answer["camera"], answer["frame"]["width"], answer["frame"]["height"]) == (
        "dock",
        320,
        240,
    )
    assert answer["detections"]
    assert all(row["box"]["xmax"] <= 0.5 for row in answer["detections"])
    cloud.ask("inference/request", {"requestId": "r-2", "camera": "dock", "scoreThreshold": 1})
    assert cloud.answer(RESULTS, "r-2")["detections"] == []


def test_pictures_are_looked_at_from_a_folder_and_from_the_request(
    service: Service, cloud: Cloud, tmp_path: Path
) -> None:
    picture = np.random.default_rng(1).integers(0, 256, (90, 160, 3), np.uint8)
    encoded = cv2.imencode(".jpg", picture)[1].tobytes()
    (tmp_path / "open" / "cat.jpg").write_bytes(encoded)
    (tmp_path / "closed.jpg").write_bytes(encoded)
    as_text = base64.b64encode(encoded).decode()
    sources = {"imageBase64": as_text, "filePath": "cat.jpg", "filepath": "cat.jpg"}
    for key, source in sources.items():
        cloud.ask("inference/request", {"requestId": key, key: source, "scoreThreshold": 0.0})
    answers = [cloud.answer(RESULTS, key) for key in sources]
    for answer in answers:
        assert (answer["camera"], answer["frame"]) == (
            None,
            {"index": 0, "width": 160, "height": 90},
        )
    assert answers[0]["detections"] == answers[1]["detections"] == answers[2]["detections"]
    cloud.ask("inference/request", {"requestId": "away", "filePath": "../closed.jpg"})
    assert cloud.answer(RESULTS, "away")["error"]["code"] == "forbidden"
    cloud.ask("inference/request", "garbage")
    cloud.wait(RESULTS, lambda body: body.get("error", {}).get("code") == "malformed")


def test_large_requests_are_answered_and_huge_ones_refused(service: Service, cloud: Cloud) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (400, 400, 3), np.uint8)
    encoded = base64.b64encode(cv2.imencode(".png", noise)[1].tobytes()).decode()
    assert 1 << 19 < len(encoded) < 1 << 20
    cloud.ask("inference/request", {"requestId": "large", "imageBase64": encoded})
    assert cloud.answer(RESULTS, "large")["frame"]["width"] == 400
    for number, size in enumerate((2 << 20, 7 << 20)):
        cloud.ask("inference/request", {"requestId": f"huge-{number}", "filePath": "x" * size})
        assert cloud.answer(RESULTS, f"huge-{number}")["error"] == {
            "code": "tooBig",
            "message": "the request has more than 1048576 bytes",
        }


def test_a_correction_is_answered_told_and_in_the_totals(service: Service, cloud: Cloud) -> None:
    recount = {"requestId": "r-1", "class": "blue box", "count": 40, "author": "mia"}
    cloud.ask("inventory/set", recount)
    assert cloud.answer(RESPONSES, "r-1")["accepted"]
    event = cloud.wait(f"{ROOT}/inventory/events", lambda body: body["requestId"] == "r-1")
    assert (event["site"], event["count"], event["before"]) == ("hall", 40, 0)
    cloud.wait(f"{ROOT}/inventory", lambda body: body["stock"]["blue box"] == 40)
    cloud.ask("inventory/set", {**recount, "requestId": "r-2", "class": "green box"})
    refused = cloud.answer(RESPONSES, "r-2")
    assert not refused["accepted"]
    assert "no class 'green box'; it has blue box, yellow box" in refused["reason"]


def test_a_correction_by_command_reaches_the_broker_from_a_running_service(
    service: Service, cloud: Cloud, content: dict[str, Any], tmp_path: Path
) -> None:
    config = tmp_path / "edgetally.yaml"
    config.write_text(yaml.safe_dump(content))
    command = [sys.executable, "-c", "from edgetally.cli import main; main()", "inventory", "set"]
    given = ["--class", "yellow box", "--count", "7", "--author", "mia"]
    subprocess.run([*command, "--config", str(config), *given], check=True, timeout=60)
    event = cloud.wait(f"{ROOT}/inventory/events", lambda body: body["class"] == "yellow box")
    assert (event["count"], event["author"], event["requestId"]) == (7, "mia", None)
    cloud.wait(f"{ROOT}/inventory", lambda body: body["stock"]["yellow box"] == 7)


def test_a_service_that_is_killed_leaves_its_last_will(
    content: dict[str, Any], cloud: Cloud, tmp_path: Path
) -> None:
    config = tmp_path / "edgetally.yaml"
    config.write_text(yaml.safe_dump(content))
    command = [sys.executable, "-c", "from edgetally.cli import main; main()", "run"]
    with subprocess.Popen([*command, "--config", str(config)]) as running:
        cloud.wait(f"{ROOT}/health", lambda body: body["state"] == "running")
        running.kill()
    will = cloud.wait(f"{ROOT}/health", lambda body: body["state"] == "offline")
    assert will["sequence"] == 0
    assert "without a goodbye" in will["stateReason"]
