"""`GstLaunch`: a gst-launch-1.0 that writes pictures to a pipe, and dies with this process."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgetally.capture.launch_line import LaunchLine

PROGRAM = "gst-launch-1.0"
_TETHERED = Path(__file__).with_name("tethered.py")
_FAREWELL_SECONDS = 0.5  # to take leave of a camera; less than who stops waits
_LAST_WORDS_SECONDS = 2.0  # from its last picture to its end, where it fails
_MOST_LINES = 50


class GstLaunch:
    """Runs a pipeline, and gives the bytes that it writes.

    It is told to stop when closed, and killed where that takes long or this process ends,
    however that ends.
    """

    def __init__(self, line: LaunchLine) -> None:
        self._read_end, write_end = os.pipe()
        os.set_blocking(self._read_end, False)
        self._woken = os.eventfd(0)
        self._readable = select.poll()
        for descriptor in (self._read_end, self._woken):
            self._readable.register(descriptor, select.POLLIN)
        self._lock = threading.Lock()
        self._is_open = True
        self._process: subprocess.Popen[str] | None = None
        self._said: list[str] = []
        # The kernel kills it when the thread that started it ends: so a thread that lasts.
        self._thread = threading.Thread(
            target=self._run, args=(line, write_end), name=PROGRAM, daemon=True
        )
        self._thread.start()

    def fill(self, view: memoryview, deadline: float) -> None:
        """Fill a buffer from the pipe; deadline by `time.monotonic`.

        EOFError when the pipeline is over, TimeoutError after the deadline or once woken.
        """
        filled = 0
        while filled < len(view):
            try:
                count = os.readv(self._read_end, [view[filled:]])
            except BlockingIOError:
                self._wait(deadline)
                continue
            if not count:
                raise EOFError
            filled += count

    def last_words(self) -> list[str]:
        """Return what it wrote when it failed, from its first error on; nothing if it didn't."""
        self._thread.join(_LAST_WORDS_SECONDS)
        return list(self._said)

    def wake(self) -> None:
        """End a `fill` that waits; from any thread."""
        with self._lock:
            if self._is_open:
                os.eventfd_write(self._woken, 1)

    def close(self) -> None:
        """End it; harmless when repeated."""
        with self._lock:
            if not self._is_open:
                return
            self._is_open = False
        deadline = time.monotonic() + _FAREWELL_SECONDS
        self._signal(signal.SIGINT)
        self._drain(deadline)
        self._thread.join(max(0.0, deadline - time.monotonic()))
        self._signal(signal.SIGKILL)
        self._thread.join(_FAREWELL_SECONDS)
        os.close(self._read_end)
        os.close(self._woken)

    def _wait(self, deadline: float) -> None:
        left = max(0.0, deadline - time.monotonic())
        ready = [descriptor for descriptor, _ in self._readable.poll(left * 1000)]
        if not ready or self._woken in ready:
            raise TimeoutError

    def _drain(self, deadline: float) -> None:
        # Blocked in a write of megabytes, it hears no signal.
        self._readable.unregister(self._woken)
        rest = memoryview(bytearray(1 << 16))
        with suppress(EOFError, TimeoutError):
            while time.monotonic() < deadline:
                self.fill(rest, deadline)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)

    def _run(self, line: LaunchLine, write_end: int) -> None:
        command = [
            *(sys.executable, "-I", "-S", str(_TETHERED), str(os.getpid())),
            *(PROGRAM, *line.arguments(write_end)),
        ]
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,  # where drivers write as they please
                stderr=subprocess.PIPE,
                pass_fds=(write_end,),
                start_new_session=True,  # Ctrl-C is for this process, which then ends the other
                env={**os.environ, "LC_ALL": "C.UTF-8", "LANGUAGE": "C"},
                text=True,
                errors="replace",
            )
        except OSError as error:
            self._said.append(f"ERROR: {PROGRAM} does not start: {error.strerror}")
            return
        finally:
            os.close(write_end)
        with process:
            self._process = process
            for said in process.stderr or ():
                is_error = re.match("ERROR: |WARNING: erroneous pipeline: ", said)
                if (self._said or is_error) and len(self._said) < _MOST_LINES:
                    self._said.append(said.rstrip("\n"))
