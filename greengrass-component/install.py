"""The component's install step: a virtual environment in the work folder, made once.

It is made in a folder named after what it holds, which counts as made only once its stamp is
written; then the link `venv` is moved to it. So an install that was cut off is done anew by the
next, the environment in use is never half of anything, and nothing is done where nothing changed.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

_LINK = "venv"
_STAMP = "edgetally.stamp"
_LOCK = "requirements.txt"
_SHOWN = 300  # characters of what pip says
_MEGABYTE = 1_000_000


class MissingError(Exception):
    """What is missing on the device, and where to get it, in one line."""


def main(artifact: str, work: str) -> int:
    """Install from the artifact, a zip, into the work folder. Return the exit status."""
    try:
        _install(Path(artifact), Path(work).absolute())
    except MissingError as missing:
        _tell(str(missing))
    except OSError as error:
        _tell(_of_the_system(error, work))
    else:
        return 0
    return 1


def _install(artifact: Path, work: Path) -> None:
    with zipfile.ZipFile(artifact) as archive:
        about = json.loads(archive.read("component.json"))
        _check_platform(about)
        folder = work / f"{_LINK}-{_identity(archive, about)}"
        if _is_whole(folder):
            _tell(f"{folder} is there already")
        else:
            _check_python()
            _make(archive, about, folder)
            _tell(f"installed edgetally {about['version']} into {folder}")
    _point(work / _LINK, folder)
    _remove_others(work, folder)


def _identity(archive: zipfile.ZipFile, about: dict[str, Any]) -> str:
    """Hash what is installed and the Python it is installed for."""
    digest = hashlib.sha256(f"{os.path.realpath(sys.executable)} {sys.version}".encode())
    for name in (_LOCK, about["wheel"]):
        digest.update(archive.read(name))
    return digest.hexdigest()[:12]


def _is_whole(folder: Path) -> bool:
    """Tell whether an earlier install came to its end, and its Python still starts."""
    if not (folder / _STAMP).exists():
        return False
    try:
        subprocess.run(
            [str(folder / "bin" / "python"), "-c", "import edgetally"],
            check=True,
            capture_output=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return False
    return True


def _check_platform(about: dict[str, Any]) -> None:
    served = about["platforms"]
    if served and platform.machine() not in served:
        raise MissingError(
            f"the artifact's wheels are for {' and '.join(served)}, this device is "
            f"{platform.machine()}; build the component with --platform {platform.machine()}"
        )
    library, version = platform.libc_ver()
    oldest = about["glibc"].get(platform.machine())
    if oldest is None:
        raise MissingError(
            f"there are no packages for {platform.machine()}; take a device with "
            f"{' or '.join(about['glibc'])}"
        )
    if library != "glibc" or [int(part) for part in version.split(".")[:2]] < oldest:
        raise MissingError(
            f"the packages need glibc {'.'.join(map(str, oldest))} (Debian 12 and Ubuntu 22.04 "
            f"have 2.35 or newer), this device has {library or 'another C library'} {version}"
        )


def _check_python() -> None:
    """Debian leaves both out of Python: python3-venv has them."""
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        package = f"python{sys.version_info[0]}.{sys.version_info[1]}-venv"
        raise MissingError(
            f"{sys.executable} has no venv; install it, on Debian: apt-get install {package}"
        ) from None


def _make(archive: zipfile.ZipFile, about: dict[str, Any], folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    free = shutil.disk_usage(folder.parent).free
    if free < about["bytes"]:
        raise MissingError(
            f"{folder.parent} has {free // _MEGABYTE} MB free, the installation takes "
            f"{about['bytes'] // _MEGABYTE} MB; free some"
        )
    folder.mkdir()
    try:
        _fill(archive, about, folder)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _fill(archive: zipfile.ZipFile, about: dict[str, Any], folder: Path) -> None:
    with tempfile.TemporaryDirectory(dir=folder) as name:
        unpacked = Path(name)
        archive.extractall(unpacked)
        _run([sys.executable, "-I", "-m", "venv", str(folder)], unpacked, "venv fails")
        pip = [str(folder / "bin" / "python"), "-I", "-m", "pip", "install", "--quiet"]
        pip += ["--no-input", "--disable-pip-version-check", "--no-cache-dir", "--no-deps"]
        # What is imported gets compiled then: to compile all would take as long as the rest.
        pip += ["--only-binary=:all:", "--no-compile"]
        wheels = unpacked / "wheels"
        index = ["--no-index", "--find-links", str(wheels)] if wheels.exists() else []
        remedy = "build the component with --wheelhouse" if not index else "build it anew"
        lock = ["--require-hashes", "-r", str(unpacked / _LOCK)]
        _run([*pip, *index, *lock], unpacked, "the packages can't be installed", remedy)
        own = str(unpacked / about["wheel"])
        _run([*pip, "--no-index", own], unpacked, "edgetally can't be installed", "build it anew")
        python = str(folder / "bin" / "python")
        _run([python, "-I", "-c", "import edgetally.cli"], unpacked, "edgetally does not start")
    (folder / _STAMP).write_text(f"{about['version']}\n", encoding="utf-8")


def _run(command: list[str], scratch: Path, problem: str, remedy: str = "see the log") -> None:
    """Run a step, with its temporary files beside what it makes, where there is room."""
    try:
        subprocess.run(
            command,
            env={**os.environ, "TMPDIR": str(scratch)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=True,
        )
    except subprocess.CalledProcessError as error:
        said = [line.strip() for line in error.output.splitlines() if line.strip()]
        for line in said[-20:]:
            sys.stderr.write(f"{line}\n")
        if any("No space left" in line or "Errno 28" in line for line in said):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from None
        errors = [line for line in said if line.startswith("ERROR:")] or said or ["nothing said"]
        reason = errors[-1].removeprefix("ERROR:").strip()[:_SHOWN]
        raise MissingError(f"{problem}: {reason}; {remedy}") from None


def _point(link: Path, folder: Path) -> None:
    """Move the link at once: whoever starts meanwhile finds the one or the other."""
    new = link.with_name(f"{link.name}.new")
    new.unlink(missing_ok=True)
    new.symlink_to(folder.name)
    new.replace(link)


def _remove_others(work: Path, folder: Path) -> None:
    for other in work.glob(f"{_LINK}-*"):
        if other != folder:
            shutil.rmtree(other, ignore_errors=True)


def _of_the_system(error: OSError, work: str) -> str:
    if error.errno == errno.ENOSPC:
        return f"no space is left in {work}; free some"
    where = error.filename or work
    return f"{where}: {error.strerror or error}; the component's user must be able to write {work}"


def _tell(line: str) -> None:
    sys.stderr.write(f"edgetally: {line}\n")
    sys.stderr.flush()
