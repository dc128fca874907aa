"""The clock: events carry its time, and certificates are valid by it."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

from edgetally.doctor.finding import note, ok, wrong

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgetally.doctor.finding import Finding

_SUBJECT = "clock"
_BUILT = 1_767_225_600.0  # 2026-01-01T00:00:00Z: no right clock shows less
_SYNCHRONIZED = Path("/run/systemd/timesync/synchronized")
_SETTER = "timedatectl"


def clock() -> Iterator[Finding]:
    """Look whether the time can be right, and whether it is kept so."""
    now = time.time()
    shown = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now))
    if now < _BUILT:
        yield wrong(_SUBJECT, f"{shown} can't be", "set it: times in messages would be wrong")
    elif _is_synchronized():
        yield ok(_SUBJECT, f"{shown}, synchronized")
    else:
        yield note(_SUBJECT, f"{shown}, not known to be synchronized", _remedy())


def _remedy() -> str:
    if shutil.which(_SETTER) is None:
        return "enable NTP: install chrony or ntpd"
    return f"enable NTP: {_SETTER} set-ntp true"


def _is_synchronized() -> bool:
    if _SYNCHRONIZED.exists():
        return True
    program = shutil.which(_SETTER)
    if program is None:
        return False
    try:
        shown = subprocess.run(
            [program, "show", "--property=NTPSynchronized", "--value"],
            capture_output=True,
            text=True,
            timeout=5,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return shown.stdout.strip() == "yes"
