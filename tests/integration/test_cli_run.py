"""`edgetally run` as a process: which configuration it takes, and how it is told of another."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from mosquitto_broker import wait_until
from test_service_reconfigured import DOOR, camera

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from edgetally.bundle import ModelBundle

RUN = [sys.executable, "-c", "from edgetally.cli import main; main()", "run"]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    without = {name: value for name, value in os.environ.items() if name != "SVCUID"}
    return subprocess.run(
        [*RUN, *arguments], capture_output=True, text=True, check=False, env=without, timeout=60
    )


class Counting:
    """A process that counts as a file says."""

    def __init__(self, bundle: ModelBundle, folder: Path) -> None:
        self._folder = folder
        self._content: dict[str, Any] = {
            "model": {"path": str(bundle.file("onnx").parent), "scoreThreshold": 1},
            "cameras": [camera("dock")],
            "publish": {"transports": [{"type": "jsonl", "path": str(folder / "messages.jsonl")}]},
            "storage": {"path": str(folder / "state")},
        }
        self.write()
        self.log = folder / "log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [*RUN, "--config", str(folder / "config.yaml")], stderr=log
            )

    def write(self, **changes: Any) -> None:
        content = yaml.safe_dump(self._content | changes)
        (self._folder / "config.yaml").write_text(content)

    def newest(self, kind: str) -> dict[str, Any]:
        path = self._folder / "messages.jsonl"
        text = path.read_text() if path.exists() else ""
        told = [json.loads(line)["message"] for line in text[: text.rfind("\n")].splitlines()]
        found = [message for message in told if message["schema"] == f"edgetally.{kind}/1"]
        return dict(found[-1]) if found else {}


@contextmanager
def counting(bundle: ModelBundle, folder: Path) -> Iterator[Counting]:
    counting = Counting(bundle, folder)
    try:
        wait_until(lambda: counting.newest("health").get("state") == "running", "no start", 60)
        yield counting
        counting.process.send_signal(signal.SIGTERM)
        assert counting.process.wait(10) == 0
    finally:
        counting.process.kill()
        counting.process.wait()


def test_sighup_reads_the_file_anew(bundle: ModelBundle, tmp_path: Path) -> None:
    with counting(bundle, tmp_path) as device:
        device.write(cameras=[camera("dock", lines=[DOOR])])
        device.process.send_signal(signal.SIGHUP)
        wait_until(
            lambda: set(device.newest("inventory")["cameras"]["dock"]["lines"]) == {"door"},
            "the line is not counted",
            30,
        )
        device.write(cameras=[camera("dock", fps="often")])
        device.process.send_signal(signal.SIGHUP)
        wait_until(
            lambda: "cameras[0].fps" in device.newest("health").get("stateReason", ""), "not told"
        )
        device.write()
        device.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "stateReason" not in device.newest("health"), "still told")
        assert "; the last good one is in force" in device.log.read_text()


@pytest.mark.parametrize("arguments", [(), ("--greengrass", "--config", "x.yaml")])
def test_either_a_file_or_a_nucleus_has_the_configuration(arguments: tuple[str, ...]) -> None:
    ended = run(*arguments)
    assert ended.returncode == 2
    assert ended.stderr == "edgetally: give either --config FILE or --greengrass, and not both\n"


def test_without_a_nucleus_there_is_nothing_to_be_the_component_of() -> None:
    ended = run("--greengrass")
    assert ended.returncode == 2
    assert "no Greengrass nucleus started this process" in ended.stderr
    assert ended.stderr.count("\n") == 1
