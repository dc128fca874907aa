"""The install steps where all is not well: damage, cut-off installs, others at work, no folder."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import zipfile
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from component_checkout import ROOT, add_package, stand_in
from component_device import PYTHON, Device, build, built, changed, only_line
from mosquitto_broker import wait_until

from edgetally.component.building import build_model
from edgetally.component.checkout import Checkout
from edgetally.component.target import SERVED_PYTHONS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from edgetally.bundle import ModelBundle

ANOTHER = next(python for python in SERVED_PYTHONS if python != PYTHON)
# Minutes pass in a moment.
FAST_CLOCK = "import time\nslow = time.monotonic\ntime.monotonic = lambda: 1000 * slow()\n"


@pytest.fixture
def device(tmp_path: Path) -> Device:
    (tmp_path / "work").mkdir()
    return Device(tmp_path / "work")


@pytest.fixture(scope="module")
def counter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(tmp_path_factory.mktemp("counter"), "counting")


@pytest.fixture(scope="module")
def model(bundle: ModelBundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = bundle.file("onnx").parent
    return build_model(Checkout.at(ROOT), tmp_path_factory.mktemp("model"), folder).artifacts[0]


@pytest.fixture(params=["counter", "model"])
def either(request: pytest.FixtureRequest, counter: Path, model: Path) -> Path:
    return {"counter": counter, "model": model}[request.param]


@contextmanager
def another_installs(work: Path) -> Iterator[None]:
    """Hold a work folder as an installation does."""
    folder = os.open(work, os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)
    try:
        yield
    finally:
        os.close(folder)


def fast_clock(folder: Path) -> str:
    (folder / "sitecustomize.py").write_text(FAST_CLOCK)
    return str(folder)


def damaged(artifact: Path, folder: Path, suffix: str) -> Path:
    """Copy an artifact, with bytes amid one of its files become zeros."""
    path = folder / f"damaged-{artifact.name}"
    content = bytearray(artifact.read_bytes())
    with zipfile.ZipFile(artifact) as archive:
        entry = max(
            (each for each in archive.infolist() if each.filename.endswith(suffix)),
            key=lambda each: each.compress_size,
        )
    length = min(1000, entry.compress_size // 2)
    start = entry.header_offset + 30 + len(entry.filename) + entry.compress_size // 4
    content[start : start + length] = bytes(length)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("of", "suffix"),
    [
        ("counter", "greeting-1.0-py3-none-any.whl"),
        ("counter", "edgetally-0.1.0-py3-none-any.whl"),
        ("counter", "component.json"),
        ("counter", "install.py"),
        ("model", ".onnx"),
        ("model", "bundle.json"),
        ("model", "place_model.sh"),
    ],
)
def test_a_damaged_artifact_is_said_to_be_damaged_in_one_line(
    of: str, suffix: str, counter: Path, model: Path, device: Device, tmp_path: Path
) -> None:
    broken = damaged({"counter": counter, "model": model}[of], tmp_path, suffix)
    line = only_line(device.install(broken))
    assert line.startswith(f"edgetally: the artifact {broken} is damaged; deploy it again")
    assert list(device.work.iterdir()) == []


def test_an_artifact_that_lacks_a_file_is_damaged(
    counter: Path, device: Device, tmp_path: Path
) -> None:
    lacking = changed(counter, tmp_path, wheels={PYTHON: ["lost.whl"]})
    assert "is damaged; deploy it again" in only_line(device.install(lacking))
    assert device.environments == []


@pytest.mark.parametrize("arguments", [[], [""], ["a", "b"]])
def test_without_a_work_folder_it_says_how_it_is_started(
    arguments: list[str], either: Path, tmp_path: Path
) -> None:
    ended = subprocess.run(
        [sys.executable, str(either), *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert f"give one folder, the component's work folder: python3 {either.name}" in only_line(
        ended
    )
    assert list(tmp_path.iterdir()) == []


def test_a_work_folder_that_does_not_exist_is_said_not_to(either: Path, tmp_path: Path) -> None:
    line = only_line(Device(tmp_path / "nowhere").install(either))
    assert f"edgetally: {tmp_path / 'nowhere'} does not exist; give the component's" in line
    assert list(tmp_path.iterdir()) == []


def test_installs_at_once_follow_each_other(counter: Path, device: Device) -> None:
    both = [_start(device, counter) for _ in range(2)]
    said = sorted(process.communicate()[1] for process in both)
    assert [process.returncode for process in both] == [0, 0], said
    assert "edgetally: installed edgetally" in said[1]
    assert "is there already" in said[0]
    assert device.says() == "hello counting\n"


def test_model_installs_at_once_follow_each_other(model: Path, device: Device) -> None:
    several = [_start(device, model) for _ in range(4)]
    said = [process.communicate()[1] for process in several]
    assert [process.returncode for process in several] == [0] * 4, said
    assert sorted(path.name for path in device.work.iterdir()) == ["current", "models"]


def test_an_install_waits_a_minute_for_another_and_then_names_it(
    either: Path, device: Device, tmp_path: Path
) -> None:
    (device.work / ".unpacked-by-another").mkdir()
    with another_installs(device.work):
        line = only_line(device.install(either, PYTHONPATH=fast_clock(tmp_path)))
    assert f"another installation into {device.work} still runs; wait for its end" in line
    assert [path.name for path in device.work.iterdir()] == [".unpacked-by-another"]


def test_what_a_killed_install_left_running_is_waited_for(counter: Path, device: Device) -> None:
    process = _start(device, counter)
    wait_until(lambda: any(device.work.glob("venv-*/bin/python")), "no environment begins")
    process.send_signal(signal.SIGKILL)
    process.wait()
    folder = os.open(device.work, os.O_RDONLY)
    try:
        with pytest.raises(BlockingIOError):  # the step that it had started goes on
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.flock(folder, fcntl.LOCK_EX)
    finally:
        os.close(folder)
    assert device.install(counter).returncode == 0
    assert device.says() == "hello counting\n"


def test_what_a_model_install_that_was_cut_off_left_is_removed(model: Path, device: Device) -> None:
    left = device.work / ".unpacked-a1b2c3d4"
    left.mkdir()
    (left / "model.onnx").write_bytes(bytes(1000))
    assert device.install(model).returncode == 0
    assert sorted(path.name for path in device.work.iterdir()) == ["current", "models"]


@pytest.mark.parametrize(
    ("file", "keeps_time"), [("edgetally/cli.py", True), ("greeting.py", False)]
)
def test_a_file_that_changed_and_kept_its_size_is_found(
    file: str, keeps_time: bool, counter: Path, device: Device
) -> None:
    device.install(counter)
    (packages,) = (device.work / device.in_use).glob("lib/python*/site-packages")
    shutil.rmtree(packages / "edgetally" / "__pycache__")
    changing = packages / file
    before = changing.stat()
    changing.write_bytes(
        bytes(before.st_size) if keeps_time else changing.read_bytes().replace(b"hello", b"adieu")
    )
    os.utime(changing, (before.st_atime, before.st_mtime if keeps_time else 0))
    assert "installed edgetally" in device.install(counter).stderr
    assert device.says() == "hello counting\n"


def test_a_device_takes_the_wheels_of_its_own_python_alone(device: Device, tmp_path: Path) -> None:
    root = stand_in(tmp_path / "checkout")
    add_package(root, "own", PYTHON, "small")
    foreign = add_package(root, "foreign", ANOTHER, "large" * 100_000)
    several = build(root, tmp_path / "several", ANOTHER, PYTHON)
    alone = build(root, tmp_path / "alone", PYTHON)
    assert _asked(several)[PYTHON] == _asked(alone)[PYTHON]
    assert _asked(several)[ANOTHER] > _asked(several)[PYTHON] + foreign.stat().st_size
    needing_more = changed(several, tmp_path, bytes={**_asked(several), ANOTHER: 10**15})
    ended = device.install(damaged(needing_more, tmp_path, foreign.name))  # which it never reads
    assert ended.returncode == 0, ended.stderr
    (packages,) = (device.work / device.in_use).glob("lib/python*/site-packages")
    assert sorted(path.name for path in packages.glob("*.txt")) == ["own.txt"]


def _start(device: Device, artifact: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        device.command(artifact),
        env=device.environment({}),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def _asked(artifact: Path) -> dict[str, int]:
    """Return the bytes that an artifact wants free, for each Python."""
    with zipfile.ZipFile(artifact) as archive:
        asked: dict[str, int] = json.loads(archive.read("component.json"))["bytes"]
    return asked
