"""Disks as they fail: full, read-only, with a damaged file on them."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def small_disk(megabytes: int = 1) -> Iterator[Path]:
    """Yield the folder of a disk of so many megabytes; only root can make one."""
    mount = shutil.which("mount")
    if os.geteuid() != 0 or mount is None:
        pytest.skip("mounting a small disk needs root")
    folder = Path(tempfile.mkdtemp())
    command = [mount, "-t", "tmpfs", "-o", f"size={megabytes}m", "none", str(folder)]
    if subprocess.run(command, check=False, capture_output=True).returncode:
        folder.rmdir()
        pytest.skip("mounting is not allowed here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)  # noqa: S607
        folder.rmdir()


def remount(disk: Path, mode: str) -> None:
    """Make a small disk ro or rw."""
    command = ["mount", "-o", f"remount,{mode}", str(disk)]
    subprocess.run(command, check=True, capture_output=True)


def fill(disk: Path) -> Path:
    """Leave no room; deleting the file that is returned makes room again."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as stream, suppress(OSError):
        while True:
            stream.write(bytes(4096))
    return ballast


def damage(path: Path) -> None:
    """Spoil everything in a file but its first 4096 bytes."""
    content = bytearray(path.read_bytes())
    content[4096:] = bytes(byte ^ 0x5A for byte in content[4096:])
    path.write_bytes(content)
