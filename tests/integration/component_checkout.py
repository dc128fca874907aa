"""Checkouts to build components from: this one as a commit, and a small stand-in."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sysconfig
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_PARTS = ("src", "greengrass-component", "recipes", "constraints")
_FILES = ("pyproject.toml", "README.md")
_TIME = "2026-01-02T03:04:05Z"


def commit_of(root: Path, folder: Path) -> Path:
    """Copy the sources of a checkout into a folder and commit them there."""
    ignored = shutil.ignore_patterns("__pycache__", "build", "greengrass-build", "*.egg-info")
    for part in _PARTS:
        shutil.copytree(root / part, folder / part, ignore=ignored, symlinks=True)
    for name in _FILES:
        shutil.copyfile(root / name, folder / name)
    environment = os.environ | {
        f"GIT_{who}_{what}": value
        for who in ("AUTHOR", "COMMITTER")
        for what, value in (("NAME", "t"), ("EMAIL", "t@example.com"), ("DATE", _TIME))
    }
    for command in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "-m", "all"]):
        arguments = ["git", "-C", str(folder), *command]
        subprocess.run(arguments, check=True, env=environment)
    return folder


def clone(root: Path, folder: Path) -> Path:
    """Clone a checkout, so that only what is committed is there."""
    arguments = ["git", "clone", "--quiet", str(root), str(folder)]
    subprocess.run(arguments, check=True)
    return folder


def stand_in(folder: Path, greeting: str = "counting") -> Path:
    """Make a checkout whose edgetally and whose packages take a second to install.

    Its recipes and its install step are ours.
    """
    package = folder / "src" / "edgetally"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    program = f"import greeting\n\n\ndef main():\n    print(greeting.TEXT, {greeting!r})\n"
    (package / "cli.py").write_text(program)
    (folder / "README.md").write_text("# a stand-in\n")
    (folder / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["setuptools>=77"]\nbuild-backend = "setuptools.build_meta"\n'
        '[project]\nname = "edgetally"\nversion = "0.1.0"\ndependencies = ["greeting"]\n'
        '[project.scripts]\nedgetally = "edgetally.cli:main"\n'
        '[tool.setuptools.packages.find]\nwhere = ["src"]\n'
    )
    for part in ("greengrass-component", "recipes"):
        shutil.copytree(ROOT / part, folder / part, symlinks=True)
    wheel = _wheel(folder / "index", "greeting", "greeting.py", 'TEXT = "hello"\n')
    (folder / "constraints").mkdir()
    (folder / "constraints" / "component.txt").write_text(
        f"greeting==1.0 ; sys_platform == 'linux' \\\n    --hash=sha256:{_digest(wheel)}\n"
        "another==1.0 ; python_full_version < '3.0' \\\n    --hash=sha256:00\n"
    )
    return folder


def add_package(root: Path, name: str, python: str, content: str) -> Path:
    """Let a stand-in ask for one package more on one Python alone; return its wheel."""
    tag = f"cp{python.replace('.', '')}-none-any"
    wheel = _wheel(root / "index", name, f"{name}.txt", content, tag)
    with (root / "constraints" / "component.txt").open("a") as lock:
        lock.write(
            f"{name}==1.0 ; python_version == '{python}' \\\n    --hash=sha256:{_digest(wheel)}\n"
        )
    return wheel


def with_packages_of_here(folder: Path) -> Path:
    """Make a checkout of this edgetally whose packages are those that the tests run with.

    They come in one wheel, which leads to where they are; it installs in a moment.
    """
    commit_of(ROOT, folder)
    places = sorted({sysconfig.get_path(kind) for kind in ("purelib", "platlib")})
    wheel = _wheel(folder / "index", "surroundings", "surroundings.pth", "\n".join(places) + "\n")
    lock = folder / "constraints" / "component.txt"
    lock.write_text(f"surroundings==1.0 \\\n    --hash=sha256:{_digest(wheel)}\n")
    return folder


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _wheel(folder: Path, name: str, file: str, content: str, tag: str = "py3-none-any") -> Path:
    folder.mkdir(exist_ok=True)
    info = f"{name}-1.0.dist-info"
    path = folder / f"{name}-1.0-{tag}.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(file, content)
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        wheel = f"Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: {tag}\n"
        archive.writestr(f"{info}/WHEEL", wheel)
        archive.writestr(f"{info}/RECORD", "")
    return path
