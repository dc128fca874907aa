"""The command line as a user meets it: real processes, their output and exit codes."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
import yaml

from edgetally import __version__

if TYPE_CHECKING:
    from edgetally.bundle import ModelBundle

COMMAND = [sys.executable, "-c", "from edgetally.cli import main; main()"]


def edgetally(*arguments: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def assert_is_one_line(done: subprocess.CompletedProcess[str], words: str) -> None:
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith("edgetally: ")
    assert words in done.stderr


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "picture.png"
    cv2.imwrite(str(path), np.random.default_rng(1).integers(0, 256, (90, 160, 3), np.uint8))
    return path


@pytest.fixture
def bundle_folder(bundle: ModelBundle, tmp_path: Path) -> Path:
    return shutil.copytree(bundle.file("onnx").parent, tmp_path / "bundle")


@pytest.mark.parametrize(
    "command", ["convert", "inspect", "tune", "run", "detect", "demo", "inventory", "version"]
)
def test_every_command_explains_itself(command: str) -> None:
    done = edgetally(command, "--help")
    assert done.returncode == 0
    assert "Usage: edgetally " + command in done.stdout.replace("\x1b[1m", "")


@pytest.mark.parametrize("asked", ["version", "--version"])
def test_version_prints_the_version(asked: str) -> None:
    done = edgetally(asked)
    assert (done.returncode, done.stdout) == (0, f"{__version__}\n")


def test_convert_makes_a_bundle(artifact: Path, tmp_path: Path) -> None:
    done = edgetally(
        "convert",
        artifact,
        "--output",
        tmp_path / "made",
        "--classes",
        "blue box, yellow box",
        "--no-verify",
    )
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "made" / "bundle.json").read_text())["classes"] == [
        "blue box",
        "yellow box",
    ]


def test_convert_of_a_missing_archive_is_one_line(tmp_path: Path) -> None:
    done = edgetally("convert", tmp_path / "absent.tar.gz", "--output", tmp_path / "made")
    assert done.returncode == 2
    assert "absent.tar.gz" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_detect_prints_json(bundle_folder: Path, picture: Path) -> None:
    done = edgetally(
        "detect", picture, picture, "--model", bundle_folder, "--threshold", "0.9", "--json"
    )
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)
    assert [result["image"] for result in results] == [str(picture)] * 2
    assert results[0]["detections"] == results[1]["detections"]
    for row in results[0]["detections"]:
        assert row["class"] in {"blue box", "yellow box"}
        assert row["score"] >= 0.9


def test_detect_prints_a_line_for_each_object(bundle_folder: Path, picture: Path) -> None:
    done = edgetally("detect", picture, "--model", bundle_folder, "--threshold", "0.9")
    assert done.stdout.startswith(f"{picture} (160 x 90)\n")


def test_a_changed_byte_in_a_bundle_is_one_line(bundle_folder: Path, picture: Path) -> None:
    model = bundle_folder / "model.onnx"
    content = bytearray(model.read_bytes())
    content[len(content) // 2] ^= 1
    model.write_bytes(content)
    done = edgetally("detect", picture, "--model", bundle_folder)
    assert_is_one_line(done, "was changed since the conversion")


def test_what_is_no_picture_is_one_line(bundle_folder: Path, tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("no picture")
    assert_is_one_line(edgetally("detect", text, "--model", bundle_folder), "notes.txt")


def run_config(folder: Path, bundle_folder: Path, source: str) -> Path:
    path = folder / "config.yaml"
    path.write_text(
        yaml.safe_dump(
            {
                "model": {"path": str(bundle_folder)},
                "cameras": [{"name": "dock", "source": source}],
                "storage": {"path": str(folder / "state")},
            }
        )
    )
    return path


def test_run_with_a_misspelt_key_names_the_nearest(bundle_folder: Path, tmp_path: Path) -> None:
    config = run_config(tmp_path, bundle_folder, "0")
    config.write_text(config.read_text().replace("source", "sorce"))
    assert_is_one_line(edgetally("run", "--config", config), "did you mean 'source'?")


def test_run_with_a_camera_that_does_not_open_is_one_line(
    bundle_folder: Path, tmp_path: Path
) -> None:
    config = run_config(tmp_path, bundle_folder, "absent.mp4")
    assert_is_one_line(edgetally("run", "--config", config), "absent.mp4")


def test_run_prints_messages_and_ends_with_its_source(
    bundle_folder: Path, picture: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    shutil.copy(picture, folder)
    done = edgetally("run", "--config", run_config(tmp_path, bundle_folder, str(folder)))
    assert done.returncode == 0, done.stderr
    topics = [json.loads(line)["topic"] for line in done.stdout.splitlines()]
    assert topics[0] == topics[-1] == "edgetally/local/health"


def test_sigterm_ends_a_run_in_order(bundle_folder: Path, picture: Path, tmp_path: Path) -> None:
    """A folder of many pictures, stopped at its first message, ends with a goodbye and exit 0."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(3000):
        (folder / f"{number}.png").symlink_to(picture)
    config = run_config(tmp_path, bundle_folder, str(folder))
    with subprocess.Popen(
        [*COMMAND, "run", "--config", str(config)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        rest = process.stdout.read().splitlines()
        assert process.wait(30) == 0
    assert json.loads(rest[-1])["message"]["state"] == "stopping"


def test_an_unforeseen_failure_is_one_line_without_a_traceback() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*COMMAND, "version"], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr


def test_the_demo_refuses_a_folder_of_other_files(tmp_path: Path) -> None:
    (tmp_path / "messages.jsonl").write_text("precious")
    done = edgetally("demo", "--output", tmp_path)
    assert_is_one_line(done, "holds other files")
    assert (tmp_path / "messages.jsonl").read_text() == "precious"


def test_the_script_is_the_same_as_the_command(artifact: Path, tmp_path: Path) -> None:
    script = [sys.executable, "scripts/convert_model.py"]
    by_script = subprocess.run([*script, "--help"], capture_output=True, text=True, check=True)
    assert by_script.stdout == edgetally("convert", "--help").stdout
