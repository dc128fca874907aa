"""Runs a program that the kernel kills with the process that asked for it, however that ends.

`tethered.py PARENT PROGRAM ARGUMENT...`; PARENT is that process's id. It is a file to run by
itself, because code between fork and exec is not safe in a process with threads.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # prctl(2); the signal comes when the thread that forked ends
_NOT_STARTED = 127  # what a shell says


def _run(parent: int, command: list[str]) -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before the signal was asked for
        sys.exit(_NOT_STARTED)
    try:
        os.execvp(command[0], command)  # noqa: S606 - there is no shell on purpose
    except OSError as error:
        sys.exit(f"ERROR: {command[0]} does not start: {error.strerror}")


if __name__ == "__main__":
    _run(int(sys.argv[1]), sys.argv[2:])
