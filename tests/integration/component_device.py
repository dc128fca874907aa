"""A device on which a component's artifact is installed, and artifacts made for it."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from component_checkout import stand_in

from edgetally.component.building import build_counter
from edgetally.component.checkout import Checkout
from edgetally.component.names import COUNTER
from edgetally.component.target import Target

if TYPE_CHECKING:
    from pathlib import Path

PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"


def _offline() -> list[str]:
    """A namespace without network, where one may be had."""
    prefix = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--net", "--map-root-user"]
    try:
        subprocess.run([*prefix, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        return []
    return prefix


@dataclass(frozen=True)
class Device:
    """A work folder, and nothing else that would help: no index, no environment."""

    work: Path

    def command(self, artifact: Path) -> list[str]:
        return [*_offline(), sys.executable, str(artifact), str(self.work)]

    def environment(self, more: dict[str, str]) -> dict[str, str]:
        # An index that nobody serves stands in where the network can't be taken away.
        index = {"PIP_INDEX_URL": "http://127.0.0.1:9/", "PIP_CONFIG_FILE": "/dev/null"}
        return {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "PIP_RETRIES": "0", **index, **more}

    def install(self, artifact: Path, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(artifact),
            env=self.environment(more),
            capture_output=True,
            text=True,
            check=False,
        )

    def says(self) -> str:
        """What the installed program prints, started as the recipe's run step starts it."""
        program = str(self.work / "venv" / "bin" / "edgetally")
        return subprocess.run([program], env={}, check=True, capture_output=True, text=True).stdout

    @property
    def environments(self) -> list[str]:
        return sorted(path.name for path in self.work.glob("venv-*"))

    @property
    def in_use(self) -> str:
        return str((self.work / "venv").readlink())


def built(folder: Path, greeting: str, *, wheels: bool = True) -> Path:
    root = stand_in(folder / "checkout", greeting)
    return build(root, folder / "a build", PYTHON) if wheels else build(root, folder / "a build")


def build(root: Path, folder: Path, *pythons: str) -> Path:
    """Build from a stand-in, with wheels for these; return this machine's artifact."""
    platforms = ("x86_64", "aarch64")
    targets = [Target.of(served, python) for python in pythons for served in platforms]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PIP_NO_INDEX", "1")
        patch.setenv("PIP_FIND_LINKS", str(root / "index"))
        made = build_counter(Checkout.at(root), folder, targets)
    machine = {"x86_64": "amd64"}.get(platform.machine(), platform.machine())
    name = f"{COUNTER}-{machine}.zip" if pythons else f"{COUNTER}.zip"
    return next(path for path in made.artifacts if path.name == name)


def changed(artifact: Path, folder: Path, **about: Any) -> Path:
    """Write an artifact anew, with another component.json."""
    path = folder / "changed.zip"
    with zipfile.ZipFile(artifact) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "component.json":
                content = json.dumps(json.loads(content) | about).encode()
            new.writestr(name, content)
    return path


def only_line(ended: subprocess.CompletedProcess[str]) -> str:
    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    return line
