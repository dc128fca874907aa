"""A live camera and a real broker: another model comes, and a message brings the first one back."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
from mosquitto_broker import WAIT, Authority, MosquittoBroker, Witness, wait_until

from edgetally.bundle import ModelBundle
from edgetally.config import parse_config
from edgetally.messaging.schemas import json_schemas
from edgetally.service import Service

if TYPE_CHECKING:
    import pytest
    from mosquitto_broker import Certificate

pytest_plugins = ("mqtt_fixtures",)
PLACE = Path(__file__).parents[2] / "greengrass-component" / "place_model.sh"
ROOT = "edgetally/dock-1"
_PUBLISHER = shutil.which("mosquitto_pub") or "mosquitto_pub"


def test_a_message_brings_the_model_before_back_though_another_was_refused_since(
    tmp_path: Path,
    bundle: ModelBundle,
    broker: MosquittoBroker,
    witness: Witness,
    ours: Authority,
    device: Certificate,
    caplog: pytest.LogCaptureFixture,
) -> None:
    work = tmp_path / "work"

    def place(version: str, **changes: object) -> None:
        folder = tmp_path / version
        shutil.copytree(bundle.folder, folder)
        update = {"version": version, **changes}
        ModelBundle.load(folder).model_copy(update=update).write(folder)
        subprocess.run(["/bin/sh", PLACE, folder, work], check=True)

    def heard(topic: str) -> list[dict[str, Any]]:
        bodies = [json.loads(body) for name, body in list(witness.heard) if name == topic]
        return [body for body in bodies if "part" not in body]

    def versions() -> list[str]:
        """Of the model that saw the frames, one after the other, without repetitions."""
        seen = [body["model"]["version"] for body in heard(f"{ROOT}/yard/detections")]
        pairs = zip(seen, ["", *seen], strict=False)
        return [version for version, before in pairs if version != before]

    def refused() -> list[str]:
        candidates = [body.get("candidate") or {} for body in heard(f"{ROOT}/health")[-1:]]
        return [each["model"]["version"] for each in candidates if each.get("state") == "refused"]

    def ask(request: str, model: str) -> None:
        body = json.dumps({"requestId": request, "model": model})
        door = ("-h", broker.address, "-p", str(broker.open_port))
        asked = ("-q", "1", "-t", f"{ROOT}/model/set", "-m", body)
        subprocess.run([_PUBLISHER, *door, *asked], check=True)

    def answers() -> dict[str, bool]:
        return {each["requestId"]: each["accepted"] for each in heard(f"{ROOT}/model/response")}

    place("1.0")
    config = {
        "model": {
            "path": str(work / "current"),
            "scoreThreshold": 0.4,
            "canary": {"wait": 0, "maxSlowdown": 1000},
        },
        "cameras": [
            {
                "name": "yard",
                "source": "test:320x240",
                "fps": 2,
                "zones": [
                    {
                        "name": "all",
                        "polygon": [[0, 0], [1, 0], [1, 1], [0, 1]],
                        "classes": bundle.classes[:1],
                    }
                ],
            }
        ],
        "publish": {
            "thing": "dock-1",
            "detections": {"mode": "every", "minInterval": 0},
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
        "storage": {"path": str(tmp_path / "state")},
    }
    service = Service(parse_config(config, "test"))
    running = threading.Thread(target=service.run)
    running.start()
    try:
        wait_until(lambda: versions() == ["1.0"], "no frame came", 2 * WAIT)
        place("2.0")
        wait_until(lambda: versions() == ["1.0", "2.0"], "no other model came", 2 * WAIT)
        place("3.0", classes=tuple(f"other {name}" for name in bundle.classes))
        wait_until(lambda: refused() == ["3.0"], "it was not refused", 2 * WAIT)
        ask("m-0", "none such")
        wait_until(lambda: answers() == {"m-0": False}, "no answer came", WAIT)
        ask("m-1", "previous")
        wait_until(lambda: versions() == ["1.0", "2.0", "1.0"], "it did not come back", 2 * WAIT)
        wait_until(lambda: "m-1" in answers(), "no answer came", WAIT)
    finally:
        service.stop()
        running.join(30)
    assert caplog.text.count("3.0 is not taken") == 1  # nor is it tried for a name that is none
    answer = heard(f"{ROOT}/model/response")[-1]
    jsonschema.validate(answer, json_schemas()["model_response"])
    assert (answer["requestId"], answer["accepted"]) == ("m-1", True)
    assert answer["model"]["version"] == "1.0"
    frames = heard(f"{ROOT}/yard/detections")
    assert [body["sequence"] for body in frames] == list(range(1, len(frames) + 1))
    health = heard(f"{ROOT}/health")[-1]
    assert (health["state"], health["model"]["version"]) == ("stopping", "1.0")
    assert health["cameras"]["yard"]["dropped"]["engine"] == 0
    assert not running.is_alive()
