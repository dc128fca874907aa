"""How SQLite gets at a file that lies where it can't be written, and why it does not."""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from pathlib import Path


def ways_to_open(path: Path) -> list[str]:
    """As it is; with its log, without writing anything; and where it has none, alone."""
    ways = ["mode=ro", "mode=ro&vfs=unix-none"]
    with suppress(OSError):
        log = path.with_name(f"{path.name}-wal")
        if not log.exists() or not log.stat().st_size:
            ways.append("immutable=1")
    return ways


def connected(path: Path | str, way: str | None = None, timeout: float = 5.0) -> sqlite3.Connection:
    """Open a database, to be used by any thread; way: of `ways_to_open`, None: to write, too."""
    name = path if way is None else f"{Path(path).resolve().as_uri()}?{way}"
    base = sqlite3.connect(
        name, isolation_level=None, check_same_thread=False, timeout=timeout, uri=way is not None
    )
    if way is not None and "vfs" in way:  # nobody else may use it then, and it needs no file beside
        base.execute("PRAGMA locking_mode = EXCLUSIVE")
    return base


def why_not(path: Path | None) -> str:
    """Say what to do about a file that SQLite can't open or write, as far as it can be told."""
    if path is not None:
        folder = path.parent
        with suppress(OSError):
            if os.statvfs(folder).f_flag & os.ST_RDONLY:
                return f"{folder} is on a disk that is read-only; make it writable"
        for place, use in ((folder, os.W_OK | os.X_OK), (path, os.R_OK | os.W_OK)):
            if os.path.lexists(place) and not _may(place, use):
                return f"{place} may not be written by the user that runs this; let it"
    return "make sure that the disk has room and works"


def _may(place: Path, use: int) -> bool:
    # macOS can't ask for the user that one has become.
    return os.access(place, use, effective_ids=os.access in os.supports_effective_ids)
