"""The ledger's folder: can it be written, will it last, is there room."""

from __future__ import annotations

import shutil
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from edgetally.counting.ledger.schema import FILE_NAME
from edgetally.doctor.finding import note, ok, wrong
from edgetally.doctor.places import nearest, remedy, why_not_made

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgetally.config import Config
    from edgetally.doctor.finding import Finding

_SUBJECT = "storage"
_BESIDE = 50_000_000  # bytes, for the ledger itself
_IN_MEMORY = {"tmpfs", "ramfs"}
_REMOTE = {"nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs"}


def storage(config: Config) -> Iterator[Finding]:
    """Look at the folder as it is; a folder that is missing is not made."""
    folder = config.storage.path
    place = nearest(folder)
    error = why_not_made(place)
    if error is not None:
        reason = f"{folder} can't be written to ({error.strerror})"
        yield wrong(_SUBJECT, reason, remedy(error, place))
        return
    yield _room(folder, place, config.publish.outbox.max_bytes)
    kind = _file_system(place)
    if kind in _IN_MEMORY:
        yield wrong(
            _SUBJECT, f"{folder} lies in memory ({kind})", "counts end with the power; use a disk"
        )
    elif kind in _REMOTE:
        yield wrong(
            _SUBJECT, f"{folder} lies on {kind}", "SQLite's log needs a disk of the device; use one"
        )
    yield from _ledger(folder)


def _room(folder: Path, place: Path, outbox: int) -> Finding:
    free, wanted = shutil.disk_usage(place).free, outbox + _BESIDE
    text = f"{folder}, {free / 1e6:.0f} MB free"
    if free < _BESIDE:
        return wrong(_SUBJECT, f"{text}, and counting needs {_BESIDE / 1e6:.0f}", "make room")
    if free < wanted:
        return note(
            _SUBJECT,
            f"{text}, and messages may take {wanted / 1e6:.0f}",
            "make room, or lower publish.outbox.maxBytes",
        )
    return ok(_SUBJECT, text)


def _ledger(folder: Path) -> Iterator[Finding]:
    import sqlite3  # noqa: PLC0415 - of this check alone

    file = folder / FILE_NAME
    if not file.exists():
        return
    try:
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=5)) as database:
            (state,) = database.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.Error as error:
        state = str(error)
    if state == "ok":
        yield ok("ledger", f"{file}, {file.stat().st_size / 1e6:.1f} MB")
    else:
        yield wrong("ledger", f"{file}: {state}", "the service sets it aside and saves what it can")


def _file_system(place: Path) -> str:
    """Return the kind of file system that a folder lies on, as Linux names it; else ""."""
    try:
        lines = Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    best, kind = "", ""
    resolved = str(place.resolve())
    for line in lines:
        _, mount, found, *_ = line.split(" ")
        inside = resolved == mount or resolved.startswith(mount.rstrip("/") + "/")
        if inside and len(mount) >= len(best):
            best, kind = mount, found
    return kind
