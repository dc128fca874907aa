"""`Checkout`: the sources that a component is built from."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import edgetally
from edgetally.errors import InputError

_UPWARDS = (".", "..", "../..")
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
    caution: why the commit does not tell what is built; None where it does.
    """

    root: Path
    version: str
    time: int
    caution: str | None

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
        status = ("status", "--porcelain", "--untracked-files=all", "--", *_BUILT_FROM)
        try:
            time = int(_git(root, "log", "-1", "--format=%ct"))
            changed = _git(root, *status)
        except _GitError as error:
            caution = f"no commit is known here ({error}), so what is built carries no time of one"
            return cls(root, found[1], _NO_TIME, caution)
        caution = "the sources differ from the commit, so the commit does not tell what is built"
        return cls(root, found[1], time, caution if changed else None)

    @classmethod
    def here(cls) -> Checkout:
        """Look for the checkout that this program runs from, else the one that one stands in."""
        own = Path(edgetally.__file__).resolve().parents[2]
        for folder in (own, *(Path() / name for name in _UPWARDS)):
            if all((folder / needed).exists() for needed in _PARTS):
                return cls.at(folder)
        return cls.at(Path())

    def sources(self) -> list[Path]:
        """Return the files under src, from the root, without those that git is told to ignore."""
        try:
            listed = _git(
                self.root, "ls-files", "-z", "--cached", "--others", "--exclude-standard", "src"
            )
        except _GitError:
            found = sorted((self.root / "src").rglob("*"))
            return [path.relative_to(self.root) for path in found if path.is_file()]
        names = [Path(name) for name in sorted(set(listed.split("\0"))) if name]
        return [name for name in names if (self.root / name).is_file()]


class _GitError(Exception):
    """There is no git, or it does not know the folder."""


def _git(root: Path, *arguments: str) -> str:
    # Whose the folder is does not matter: what is in it is built, and so run, anyway.
    options = ("-c", "safe.directory=*", "-c", "core.quotePath=false")
    try:
        return subprocess.run(
            ["git", *options, "-C", str(root), *arguments],  # noqa: S607 - whichever git there is
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()
    except OSError:
        raise _GitError("there is no git") from None
    except subprocess.CalledProcessError as error:
        raise _GitError((error.stderr.strip().splitlines() or ["git fails"])[0]) from None
