"""What this process uses: CPU time, by thread where Linux tells, and memory."""

from __future__ import annotations

import os
import re
import sys
import threading
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


def memory(process: int | str = "self") -> tuple[int, int]:
    """Return the most memory a process had so far, and what it has now, in bytes of RAM.

    (0, 0) where the system does not tell. Linux: proc_pid_status(5).
    """
    try:
        status = Path(f"/proc/{process}/status").read_text(encoding="utf-8")
    except OSError:
        return _peak_elsewhere(), 0
    found = dict(re.findall(r"^(VmHWM|VmRSS):\s+(\d+) kB$", status, flags=re.MULTILINE))
    return int(found.get("VmHWM", 0)) * 1024, int(found.get("VmRSS", 0)) * 1024


def thread_cpu() -> dict[str, float]:
    """CPU seconds of each kind of thread of this process so far; empty where it is not told.

    A thread of Python's counts under the first word of its name, FFmpeg's under "decoder", any
    other under "runtime": the pools of the engines. Linux: proc_pid_stat(5).
    """
    names = {thread.native_id: thread.name for thread in threading.enumerate()}
    used: dict[str, float] = {}
    try:
        tasks = list(Path("/proc/self/task").iterdir())
    except OSError:
        return {}
    for task in tasks:
        try:
            before, _, after = (task / "stat").read_text(encoding="utf-8").rpartition(")")
        except OSError:
            continue  # it has ended
        fields = after.split()
        kind = _kind(names.get(int(task.name)), before.partition("(")[2])
        used[kind] = used.get(kind, 0.0) + (int(fields[11]) + int(fields[12])) / _TICKS
    return used


def _kind(name: str | None, command: str) -> str:
    if name is not None:
        return re.split(r"[\s_-]", name)[0]
    return "decoder" if command.startswith("av:") else "runtime"


def _peak_elsewhere() -> int:
    if sys.platform == "win32":
        return 0
    import resource  # noqa: PLC0415 - Windows has none

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak if sys.platform == "darwin" else peak * 1024)
