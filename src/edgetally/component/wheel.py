"""The wheel of edgetally itself, the same bytes each time."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from edgetally.component.archive import write_zip
from edgetally.errors import EdgetallyError

if TYPE_CHECKING:
    from edgetally.component.checkout import Checkout

_SOURCES = (Path("pyproject.toml"), Path("README.md"))
_LEFT_BEHIND = {"__pycache__", ".egg-info"}  # by earlier builds
_GENERATOR = b"Generator: edgetally"


def build_wheel(checkout: Checkout, folder: Path) -> Path:
    """Build the wheel into a folder. EdgetallyError where pip can't."""
    with tempfile.TemporaryDirectory(prefix="edgetally-wheel-") as name:
        # setuptools packs what an earlier build left in the tree, so it gets a tree of its own.
        tree = Path(name) / "tree"
        for source in (*checkout.sources(), *_SOURCES):
            if not _LEFT_BEHIND.isdisjoint({*source.parts, source.parent.suffix}):
                continue
            (tree / source).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(checkout.root / source, tree / source)
        command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"]
        command += ["--disable-pip-version-check", "--wheel-dir", name, str(tree)]
        if importlib.util.find_spec("setuptools") is not None:
            command.insert(-1, "--no-build-isolation")
        ended = subprocess.run(
            command,
            env=os.environ | {"SOURCE_DATE_EPOCH": str(checkout.time)},
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        wheels = [*Path(name).glob("*.whl")]
        if ended.returncode or len(wheels) != 1:
            reason = " ".join(ended.stderr.split()[-30:]) or "no wheel came out"
            raise EdgetallyError(f"the wheel can't be built: {reason}; is pip there?")
        _normalise(wheels[0], checkout.time)
        folder.mkdir(parents=True, exist_ok=True)
        return Path(shutil.copyfile(wheels[0], folder / wheels[0].name))


def _normalise(wheel: Path, seconds: int) -> None:
    """Write a wheel anew, so that its bytes depend neither on the time nor on what packed it.

    A wheel says what packed it, with the version, and its record has that file's hash.
    """
    with zipfile.ZipFile(wheel) as archive:
        files = {entry.filename: archive.read(entry) for entry in archive.infolist()}
    files = {name: content for name, content in files.items() if not name.endswith("/")}
    (about,) = (name for name in files if name.endswith(".dist-info/WHEEL"))
    files[about] = re.sub(rb"(?m)^Generator:.*$", _GENERATOR, files[about])
    record = f"{about.rpartition('/')[0]}/RECORD"
    lines = [_recorded(name, files[name]) for name in sorted(files.keys() - {record})]
    files[record] = "".join(f"{line}\n" for line in [*lines, f"{record},,"]).encode()
    write_zip(wheel, files, seconds)


def _recorded(name: str, content: bytes) -> str:
    """Return a file's line in a record: PyPA, "Recording installed projects"."""
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
    return f"{name},sha256={digest},{len(content)}"
