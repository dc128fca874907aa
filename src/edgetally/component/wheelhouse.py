"""The wheels that a device without internet installs from."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from edgetally.errors import EdgetallyError, InputError

if TYPE_CHECKING:
    from edgetally.component.target import Target


def download_wheels(lock: Path, target: Target, folder: Path) -> list[Path]:
    """Download what a lock file asks for on a target, checked against its hashes.

    EdgetallyError where pip can't.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="edgetally-lock-") as name:
        wanted = Path(name) / "requirements.txt"
        wanted.write_text(requirements_for(lock.read_text(encoding="utf-8"), target), "utf-8")
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        command += ["--disable-pip-version-check", "--only-binary=:all:", "--require-hashes"]
        command += [*target.pip_options, "--dest", str(folder), "-r", str(wanted)]
        ended = subprocess.run(
            command, capture_output=True, text=True, errors="replace", check=False
        )
    if ended.returncode:
        problem = [line for line in ended.stderr.splitlines() if line.startswith("ERROR:")]
        reason = " ".join((problem or ["pip says nothing"])[-1].removeprefix("ERROR:").split())
        raise EdgetallyError(
            f"the wheels for {target} can't be downloaded: {reason}; is a package index reachable?"
        )
    return sorted(folder.glob("*.whl"))


def requirements_for(lock: str, target: Target) -> str:
    """Return the lines of a lock file that count on a target, without their markers.

    pip itself reads markers against the Python that it runs on. InputError where `packaging`,
    which reads them, is not installed.
    """
    try:
        from packaging.markers import Marker  # noqa: PLC0415 - an extra
    except ImportError:
        raise InputError(
            "--wheelhouse needs packaging; pip install 'edgetally[component]'"
        ) from None
    kept = []
    for entry in re.sub(r"\\\n\s*", "", lock).splitlines():
        if not entry.strip() or entry.startswith("#"):
            continue
        requirement, _, hashes = entry.partition(" --hash=")
        pin, _, marker = requirement.partition(" ; ")
        if not marker or Marker(marker).evaluate(target.environment):
            kept.append(f"{pin.strip()} --hash={hashes}\n")
    return "".join(kept)
