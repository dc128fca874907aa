"""The install step, from the artifact alone: offline, once, repaired, and what it lacks named."""

from __future__ import annotations

import os
import platform
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from component_checkout import ROOT
from component_device import PYTHON, Device, built, changed, only_line
from mosquitto_broker import wait_until

from disk_trouble import small_disk
from edgetally.component.building import build_counter, build_model
from edgetally.component.checkout import Checkout
from edgetally.component.names import COUNTER, MODEL
from edgetally.component.recipe import read_recipe
from edgetally.component.target import Target

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgetally.bundle import ModelBundle


@contextmanager
def unremovable(folder: Path) -> Iterator[None]:
    """Keep a folder from being removed, by root too."""
    folder.mkdir(parents=True)
    with small_disk() as disk:
        bind = ["mount", "--bind", str(disk), str(folder)]
        subprocess.run(bind, check=True)
        try:
            yield
        finally:
            release = ["umount", "--lazy", str(folder)]
            subprocess.run(release, check=True)


@pytest.fixture
def device(tmp_path: Path) -> Device:
    (tmp_path / "work").mkdir()
    return Device(tmp_path / "work")


@pytest.fixture(scope="module")
def counter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(tmp_path_factory.mktemp("counter"), "counting")


@pytest.fixture(scope="module")
def installed(counter: Path, tmp_path_factory: pytest.TempPathFactory) -> Device:
    """A device on which the counter is installed, and stays as it is."""
    device = Device(tmp_path_factory.mktemp("work"))
    ended = device.install(counter)
    assert ended.returncode == 0, ended.stderr
    return device


def test_it_installs_from_the_artifact_alone_and_runs(installed: Device) -> None:
    device = installed
    assert device.says() == "hello counting\n"
    (environment,) = device.environments
    assert sorted(path.name for path in device.work.iterdir()) == ["venv", environment]
    assert not [*(device.work / environment).glob("tmp*")]


def test_where_nothing_changed_it_does_nothing(counter: Path, installed: Device) -> None:
    program = installed.work / "venv" / "bin" / "edgetally"
    before = program.stat()
    ended = installed.install(counter)
    assert "is there already" in ended.stderr
    assert (program.stat().st_ino, program.stat().st_mtime) == (before.st_ino, before.st_mtime)


def test_another_version_takes_the_place_of_the_one_before(
    counter: Path, device: Device, tmp_path: Path
) -> None:
    device.install(counter)
    before = device.environments
    device.install(built(tmp_path, "counting better"))
    assert device.says() == "hello counting better\n"
    assert len(device.environments) == 2
    assert set(before) < set(device.environments)  # the old version may still run on it


def test_a_rollback_finds_its_environment_and_older_ones_are_removed(
    counter: Path, device: Device, tmp_path: Path
) -> None:
    first, second, third = counter, built(tmp_path / "b", "second"), built(tmp_path / "c", "third")
    for artifact in (first, second):
        device.install(artifact)
    oldest, *_ = [each for each in device.environments if each != device.in_use]
    assert "is there already" in device.install(first).stderr
    assert device.says() == "hello counting\n"
    assert "is there already" in device.install(second).stderr
    assert device.install(third).returncode == 0
    assert device.says() == "hello third\n"
    assert len(device.environments) == 2
    assert oldest not in device.environments


def test_what_cannot_be_removed_stands_in_nobodys_way_and_is_named(
    counter: Path, installed: Device, device: Device
) -> None:
    name = installed.environments[0].rpartition("-2")[0] or installed.environments[0]
    half = device.work / name
    with unremovable(half / "lib"):
        for _ in range(2):
            ended = device.install(counter)
            assert ended.returncode == 0, ended.stderr
            assert device.says() == "hello counting\n"
            assert device.in_use == f"{name}-2"
            assert f"edgetally: {half} can't be removed (" in ended.stderr
            assert f"as root: rm -r {half}" in ended.stderr
    device.install(counter)
    assert device.environments == [f"{name}-2"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can leave what others can't remove")
@pytest.mark.parametrize("owner", [0, 65534])
def test_root_leaves_no_bytecode_in_an_environment_of_another_user(
    owner: int, counter: Path, device: Device
) -> None:
    device.install(counter)
    environment = device.work / device.in_use
    os.chown(environment, owner, owner)
    (packages,) = environment.glob("lib/python*/site-packages")
    (packages / "looked_at").mkdir()
    (packages / "looked_at" / "__init__.py").write_text("")
    command = [str(device.work / "venv" / "bin" / "python"), "-c", "import looked_at"]
    subprocess.run(command, env={}, check=True)
    assert (packages / "looked_at" / "__pycache__").exists() == (owner == 0)


def test_an_install_that_was_killed_is_repaired_by_the_next(counter: Path, device: Device) -> None:
    process = subprocess.Popen(
        device.command(counter), env=device.environment({}), start_new_session=True
    )
    wait_until(lambda: any(device.work.glob("venv-*/bin/python")), "no environment begins")
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not (device.work / "venv").exists()
    assert device.install(counter).returncode == 0
    assert device.says() == "hello counting\n"


def test_an_environment_whose_python_went_away_is_made_anew(
    counter: Path, installed: Device
) -> None:
    device = installed
    python = device.work / "venv" / "bin" / "python"
    python.unlink()
    python.symlink_to("/nowhere/python")
    assert device.install(counter).returncode == 0
    assert device.says() == "hello counting\n"


@pytest.mark.parametrize("damage", ["emptied", "unlisted", "stamp"])
def test_an_environment_that_lost_files_is_made_anew_and_then_removed(
    damage: str, counter: Path, device: Device
) -> None:
    assert device.install(counter).returncode == 0
    whole = device.work / device.in_use
    (packages,) = whole.glob("lib/python*/site-packages")
    if damage == "emptied":  # as by a power cut
        (packages / "greeting.py").write_bytes(b"")
    elif damage == "unlisted":  # with all that tells of it
        (packages / "greeting.py").unlink()
        shutil.rmtree(next(packages.glob("greeting-*")))
    else:
        stamp = whole / "edgetally.stamp"
        stamp.write_bytes(stamp.read_bytes()[:-10])
    ended = device.install(counter)
    assert (ended.returncode, "installed edgetally" in ended.stderr) == (0, True), ended.stderr
    assert device.says() == "hello counting\n"
    assert "is there already" in device.install(counter).stderr
    assert device.environments == [device.in_use]


def test_what_an_environment_gains_while_it_is_used_makes_it_no_less_whole(
    counter: Path, device: Device
) -> None:
    device.install(counter)
    device.says()
    (packages,) = (device.work / device.in_use).glob("lib/python*/site-packages")
    (packages / "tried.py").write_text("")
    shutil.rmtree(packages / "edgetally" / "__pycache__", ignore_errors=True)
    assert "is there already" in device.install(counter).stderr


def test_an_install_that_fails_leaves_what_runs_and_nothing_half_made(
    installed: Device, tmp_path: Path
) -> None:
    device = installed
    in_use = device.in_use
    ended = device.install(changed(built(tmp_path, "never"), tmp_path, wheels={PYTHON: []}))
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1].startswith("edgetally: the packages can't be installed: ")
    assert (device.environments, device.says()) == ([in_use], "hello counting\n")


def test_what_the_devices_pip_is_set_to_does_not_stop_it(counter: Path, device: Device) -> None:
    settings = {"PIP_USER": "1", "PIP_TARGET": "/nowhere", "PIP_REQUIRE_HASHES": "1"}
    ended = device.install(counter, **settings)
    assert ended.returncode == 0, ended.stderr


def test_without_wheels_and_without_an_index_it_says_what_would_help(
    device: Device, tmp_path: Path
) -> None:
    ended = device.install(built(tmp_path, "online", wheels=False))
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1].endswith("build the component with --wheelhouse")
    assert device.environments == []


@pytest.mark.parametrize(
    ("about", "line"),
    [
        ({"bytes": {PYTHON: 10**15}}, "the installation takes 1000000000 MB; free some"),
        ({"platforms": ["riscv64"]}, "the artifact's wheels are for riscv64, this device is "),
        ({"pythons": ["3.99"]}, "; build the component with --python "),
        ({"pythons": ["3.99"], "platforms": []}, "the component needs 3.99 to 3.99; install one "),
        ({"glibc": {platform.machine(): [2, 999]}}, "the packages need glibc 2.999 "),
        ({"glibc": {"vax": [2, 1]}}, "take a device with vax"),
    ],
)
def test_what_the_device_lacks_is_named_in_one_line(
    about: dict[str, Any], line: str, counter: Path, device: Device, tmp_path: Path
) -> None:
    assert line in only_line(device.install(changed(counter, tmp_path, **about)))
    assert device.environments == []


def test_a_python_without_venv_is_named_with_its_package(
    counter: Path, device: Device, tmp_path: Path
) -> None:
    # As Debian's without python3-venv.
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['ensurepip'] = None\n")
    line = only_line(device.install(counter, PYTHONPATH=str(tmp_path)))
    assert line.endswith(f"has no venv; install it, on Debian: apt-get install python{PYTHON}-venv")


def test_a_work_folder_that_cannot_be_written_is_named(counter: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    line = only_line(Device(tmp_path / "file").install(counter))
    assert str(tmp_path / "file") in line
    assert "must be able to write" in line


def test_an_old_python_goes_on_in_a_newer_one_or_says_that_it_is_too_old(
    counter: Path, device: Device, tmp_path: Path
) -> None:
    old = next(
        (each for each in _all_pythons() if each[0] < (3, 10)),
        None,
    )
    if old is None:
        pytest.skip("no Python older than 3.10 is here")
    command = [str(old[1]), str(counter), str(device.work)]
    alone = subprocess.run(
        command, env={"PATH": "/nowhere"}, capture_output=True, text=True, check=False
    )
    assert f"this device's is {old[0][0]}.{old[0][1]}; install Python {PYTHON}," in only_line(alone)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / f"python{PYTHON}").symlink_to(sys.executable)
    path = {"PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin"}
    helped = subprocess.run(command, env=path, capture_output=True, text=True, check=False)
    assert helped.returncode == 0, helped.stderr


def _all_pythons() -> list[tuple[tuple[int, int], Path]]:
    roots = [Path("/usr"), *Path("~/.pyenv/versions").expanduser().glob("3.*")]
    found = []
    for root in roots:
        for minor in range(6, 14):
            program = root / "bin" / f"python3.{minor}"
            if program.exists():
                found.append(((3, minor), program))
    return found


@pytest.mark.parametrize("name", [COUNTER, MODEL])
def test_a_device_without_python_is_told_in_the_recipes_own_words(
    name: str, tmp_path: Path
) -> None:
    recipe = read_recipe(ROOT / "recipes", name)
    script = recipe["Manifests"][0]["Lifecycle"]["install"]["Script"]
    shell = shutil.which("sh") or "/bin/sh"
    ended = subprocess.run(
        [shell, "-c", script],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "this device has no python3; install it" in only_line(ended)


def test_a_models_artifact_puts_its_bundle_in_place(
    bundle: ModelBundle, device: Device, tmp_path: Path
) -> None:
    (artifact,) = build_model(
        Checkout.at(ROOT), tmp_path / "build", bundle.file("onnx").parent
    ).artifacts
    for _ in range(2):
        ended = device.install(artifact)
        assert ended.returncode == 0, ended.stderr
        assert (device.work / "current" / "bundle.json").is_file()
        assert sorted(path.name for path in device.work.iterdir()) == ["current", "models"]


@pytest.mark.skipif(
    "EDGETALLY_WHEELHOUSE" not in os.environ,
    reason="downloads 170 MB and installs them; EDGETALLY_WHEELHOUSE=1 has it done",
)
def test_everything_it_counts_with_installs_from_the_artifact_alone(
    device: Device, tmp_path: Path
) -> None:
    made = build_counter(Checkout.at(ROOT), tmp_path / "build", [Target.of("x86_64", PYTHON)])
    ended = device.install(made.artifacts[0])
    assert ended.returncode == 0, ended.stderr
    python = str(device.work / "venv" / "bin" / "python")
    parts = "import cv2, openvino, scipy, awsiot.greengrasscoreipc.clientv2, edgetally.cli"
    subprocess.run([python, "-c", parts], env={}, check=True)
