"""The wheel of edgetally itself, the same bytes each time."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from edgetally.component.archive import rewrite_zip
from edgetally.errors import EdgetallyError

if TYPE_CHECKING:
    from edgetally.component.checkout import Checkout

_SOURCES = ("pyproject.toml", "README.md")


def build_wheel(checkout: Checkout, folder: Path) -> Path:
    """Build the wheel into a folder. EdgetallyError where pip can't."""
    with tempfile.TemporaryDirectory(prefix="edgetally-wheel-") as name:
        # setuptools packs what an earlier build left in the tree, so it gets a tree of its own.
        tree = Path(name) / "tree"
        ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
        shutil.copytree(checkout.root / "src", tree / "src", ignore=ignored)
        for source in _SOURCES:
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
        rewrite_zip(wheels[0], checkout.time)
        folder.mkdir(parents=True, exist_ok=True)
        return Path(shutil.copyfile(wheels[0], folder / wheels[0].name))
