"""`Checkout`: the sources that a component is built from."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import edgetally
from edgetally.errors import InputError

_NO_TIME = 315532800  # 1980-01-01, the first that a zip can hold
_PARTS = ("pyproject.toml", "src/edgetally", "greengrass-component", "recipes", "constraints")
# What an artifact or a recipe is made of; of greengrass-component, what devices run.
_BUILT_FROM = (
    "src",
    "pyproject.toml",
    "README.md",
    "constraints",
    "recipes",
    "greengrass-component/*.py",
    "greengrass-component/*.sh",
)


@dataclass(frozen=True)
class Checkout:
    """A folder with the project's sources.

    time: of the commit, in seconds since 1970; what is built from it carries no other time.
    """

    root: Path
    version: str
    time: int
    is_changed: bool
    """Whether files differ from the commit, so that the commit does not tell what was built."""

    @classmethod
    def at(cls, root: Path) -> Checkout:
        """Look at a folder. InputError where the sources are not there."""
        for needed in _PARTS:
            if not (root / needed).exists():
                raise InputError(
                    f"{root.resolve()} is no checkout of edgetally (no {needed}); give --source"
                )
        project = (root / "pyproject.toml").read_text(encoding="utf-8")
        found = re.search(r'^version = "([^"]+)"', project, re.MULTILINE)
        if found is None:
            raise InputError(f"{root / 'pyproject.toml'} gives no version; add it")
        time = _git(root, "log", "-1", "--format=%ct")
        changed = _git(root, "status", "--porcelain", "--", *_BUILT_FROM)
        return cls(root, found[1], int(time) if time else _NO_TIME, bool(changed))

    @classmethod
    def here(cls) -> Checkout:
        """Look for the checkout that this program runs from, else the working folder is it."""
        own = Path(edgetally.__file__).resolve().parents[2]
        return cls.at(own if (own / "pyproject.toml").exists() else Path())


def _git(root: Path, *arguments: str) -> str | None:
    """Ask git; None where there is none, or the folder is not under it."""
    try:
        return subprocess.run(
            ["git", "-C", str(root), *arguments],  # noqa: S607 - whichever git is on the path
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
