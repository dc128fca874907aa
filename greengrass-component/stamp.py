"""The stamp of an environment: what tells one that is whole from one that is not."""

from __future__ import annotations

import json
import os
import subprocess
from contextlib import suppress
from pathlib import Path

STAMP = "edgetally.stamp"


def is_whole(folder: Path) -> bool:
    """Tell whether an earlier install came to its end, nothing changed since, and it starts."""
    try:
        files = json.loads((folder / STAMP).read_bytes())["files"]
        if any(_state(folder / path) != state for path, state in files.items()):
            return False
        subprocess.run(
            [str(folder / "bin" / "edgetally"), "--version"],
            check=True,
            stdin=subprocess.DEVNULL,
            capture_output=True,
        )
    # ValueError: it ends in its midst, or was written before stamps listed files.
    except (OSError, ValueError, subprocess.CalledProcessError):
        return False
    return True


def _state(path: Path) -> list[int]:
    """Return what changes with a file: whole seconds, for not every disk keeps parts of them."""
    found = path.lstat()
    return [found.st_size, int(found.st_mtime)]


def write_stamp(folder: Path, version: str) -> None:
    """List what the folder holds, in a stamp that is on the disk only after all of it is."""
    files = {}
    for place, folders, names in os.walk(folder):
        if "__pycache__" in folders:
            folders.remove("__pycache__")  # comes and goes
        for path in (Path(place, name) for name in names):
            files[str(path.relative_to(folder))] = _state(path)
    os.sync()  # else a power cut might keep the stamp and lose files
    with (folder / STAMP).open("w", encoding="utf-8") as stamp:
        json.dump({"version": version, "files": files}, stamp)
        stamp.flush()
        os.fsync(stamp.fileno())
    sync_names(folder)


def sync_names(folder: Path) -> None:
    """Have the names in a folder on the disk."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def unstamp(folder: Path) -> None:
    """Let a folder be no whole environment from now on."""
    with suppress(OSError):
        (folder / STAMP).unlink()
