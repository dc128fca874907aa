"""The component's install step: a virtual environment in the work folder, made once.

It is made in a new folder named after what it holds, which counts as made only once its stamp is
written, and only while all files are there that the stamp lists; then the link `venv` is moved to
it. So an install that was cut off, or that lost files since, is done anew by the next, the
environment in use is never half of anything, and nothing is done where nothing changed.
The environment before stays: a nucleus may still run the old version on it, or come back to it.
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
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

from install_step import CannotInstallError, alone_in, reading, tell
from stamp import STAMP, is_whole, sync_names, unstamp, write_stamp

_LINK = "venv"
_GUARD = "edgetally-guard.pth"
# What root leaves there, who may only have looked in, the component's user could never remove.
_NO_BYTECODE_OF_ROOT = (
    "import os, sys; sys.dont_write_bytecode |= "
    "os.geteuid() == 0 and os.stat(sys.prefix).st_uid != 0\n"
)
_LOCK = "requirements.txt"
_WHEELS = "wheels"
_PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"
_SHOWN = 300  # characters of what pip says
_MEGABYTE = 1_000_000
_NOT_OURS = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR}


def main(artifact: str, work: str) -> int:
    """Install from the artifact, a zip, into the work folder. Return the exit status."""
    try:
        _install(Path(artifact), Path(work))
    except CannotInstallError as problem:
        tell(str(problem))
    except OSError as error:
        tell(_of_the_system(error, work))
    else:
        return 0
    return 1


def _install(artifact: Path, work: Path) -> None:
    with reading(), zipfile.ZipFile(artifact) as archive:
        about = json.loads(archive.read("component.json"))
        name = f"{_LINK}-{_identity(archive, about)}"
    _check_platform(about)
    with alone_in(str(work)):
        before = _in_use(work)
        made = sorted(work.glob(f"{name}*"))
        folder = next((one for one in made if is_whole(one)), None)
        if folder is None:
            _check_python()
            for damaged in made:
                unstamp(damaged)  # one in use is kept for now, and removed by the next install
            for other in _others(work, before):
                _remove(other)
            folder = _make(artifact, about, work, name)
            tell(f"installed edgetally {about['version']} into {folder}")
        else:
            tell(f"{folder} is there already")
        _point(work / _LINK, folder)
        for other in _others(work, folder, before):
            if not (other / STAMP).exists():
                _remove(other)


def _identity(archive: zipfile.ZipFile, about: dict[str, Any]) -> str:
    """Hash what is installed and the Python it is installed for."""
    digest = hashlib.sha256(f"{os.path.realpath(sys.executable)} {sys.version}".encode())
    for name in (_LOCK, about["wheel"]):
        digest.update(archive.read(name))
    return digest.hexdigest()[:12]


def _check_platform(about: dict[str, Any]) -> None:
    served = about["platforms"]
    if served and platform.machine() not in served:
        raise CannotInstallError(
            f"the artifact's wheels are for {' and '.join(served)}, this device is "
            f"{platform.machine()}; build the component with --platform {platform.machine()}"
        )
    library, version = platform.libc_ver()
    oldest = about["glibc"].get(platform.machine())
    if oldest is None:
        raise CannotInstallError(
            f"there are no packages for {platform.machine()}; take a device with "
            f"{' or '.join(about['glibc'])}"
        )
    if library != "glibc" or [int(part) for part in version.split(".")[:2]] < oldest:
        raise CannotInstallError(
            f"the packages need glibc {'.'.join(map(str, oldest))} (Debian 12 and Ubuntu 22.04 "
            f"have 2.35 or newer), this device has {library or 'another C library'} {version}"
        )


def _check_python() -> None:
    """Debian leaves both out of Python: python3-venv has them."""
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        package = f"python{_PYTHON}-venv"
        raise CannotInstallError(
            f"{sys.executable} has no venv; install it, on Debian: apt-get install {package}"
        ) from None


def _make(artifact: Path, about: dict[str, Any], work: Path, name: str) -> Path:
    with tempfile.TemporaryFile(dir=work):  # who may not write is told that, not to free some
        free = shutil.disk_usage(work).free
    needed = about["bytes"][_PYTHON]
    if free < needed:
        raise CannotInstallError(
            f"{work} has {free // _MEGABYTE} MB free, the installation takes "
            f"{needed // _MEGABYTE} MB; free some"
        )
    folder = _new_folder(work, name)
    try:
        _fill(artifact, about, folder)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return folder


def _new_folder(work: Path, name: str) -> Path:
    """Make a folder of this name, or of the next one that is free: some can't be removed."""
    for number in count(1):
        folder = work / (name if number == 1 else f"{name}-{number}")
        with suppress(FileExistsError):
            folder.mkdir()
            return folder
    raise AssertionError


def _fill(artifact: Path, about: dict[str, Any], folder: Path) -> None:
    with tempfile.TemporaryDirectory(dir=folder) as name:
        unpacked = Path(name)
        wheels = about["wheels"].get(_PYTHON)
        with reading(), zipfile.ZipFile(artifact) as archive:
            packed = [f"{_WHEELS}/{wheel}" for wheel in wheels or ()]
            archive.extractall(unpacked, [_LOCK, about["wheel"], *packed])
        _run([sys.executable, "-I", "-m", "venv", str(folder)], unpacked, "venv fails")
        pip = [str(folder / "bin" / "python"), "-I", "-m", "pip", "install", "--quiet"]
        pip += ["--no-input", "--disable-pip-version-check", "--no-cache-dir", "--no-deps"]
        # What is imported gets compiled then: to compile all would take as long as the rest.
        pip += ["--only-binary=:all:", "--no-compile", "--no-user"]
        # What the device's pip is set to concerns an index, where it is asked.
        offline = ["--isolated", "--no-index", "--find-links", str(unpacked / _WHEELS)]
        index = [] if wheels is None else offline
        remedy = "build the component with --wheelhouse" if not index else "build it anew"
        lock = ["--require-hashes", "-r", str(unpacked / _LOCK)]
        _run([*pip, *index, *lock], unpacked, "the packages can't be installed", remedy)
        own = ["--isolated", "--no-index", str(unpacked / about["wheel"])]
        _run([*pip, *own], unpacked, "edgetally can't be installed", "build it anew")
        for packages in folder.glob("lib/python*/site-packages"):
            (packages / _GUARD).write_text(_NO_BYTECODE_OF_ROOT, encoding="utf-8")
        python = str(folder / "bin" / "python")
        _run([python, "-I", "-c", "import edgetally.cli"], unpacked, "edgetally does not start")
    write_stamp(folder, about["version"])


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
            close_fds=False,  # it holds the work folder, too
        )
    except subprocess.CalledProcessError as error:
        if error.returncode < 0:
            raise CannotInstallError(
                f"{problem}: killed by signal {-error.returncode}; is the memory enough?"
            ) from None
        said = [line.strip() for line in error.output.splitlines() if line.strip()]
        for line in said[-20:]:
            sys.stderr.write(f"{line}\n")
        if any("No space left" in line or "Errno 28" in line for line in said):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from None
        errors = [line for line in said if line.startswith("ERROR:")] or said or ["nothing said"]
        reason = errors[-1].removeprefix("ERROR:").strip()[:_SHOWN]
        raise CannotInstallError(f"{problem}: {reason}; {remedy}") from None


def _point(link: Path, folder: Path) -> None:
    """Move the link at once: whoever starts meanwhile finds the one or the other."""
    new = link.with_name(f"{link.name}.new")
    new.unlink(missing_ok=True)
    new.symlink_to(folder.name)
    new.replace(link)
    sync_names(link.parent)


def _in_use(work: Path) -> Path | None:
    try:
        return work / os.readlink(work / _LINK)
    except OSError:
        return None


def _others(work: Path, *kept: Path | None) -> list[Path]:
    return [each for each in work.glob(f"{_LINK}-*") if each not in kept]


def _remove(folder: Path) -> None:
    """Remove an environment; where something of it stays, say why, for it takes room."""
    unstamp(folder)  # first: what is half removed is not whole
    shutil.rmtree(folder, ignore_errors=True)
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        pass
    except OSError as error:
        where, why = error.filename or folder, error.strerror or error
        tell(f"{folder} can't be removed ({where}: {why}); as root: rm -r {folder}")


def _of_the_system(error: OSError, work: str) -> str:
    if error.errno == errno.ENOSPC:
        return f"no space is left in {work}; free some"
    problem = f"{error.filename or work}: {error.strerror or error}"
    if error.errno in _NOT_OURS:
        return f"{problem}; the component's user must be able to write {work}"
    return f"{problem}; see to it, or remove {work}/{_LINK}* and install anew"
