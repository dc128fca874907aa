"""One step's script while it runs."""

from __future__ import annotations

import asyncio
import codecs
import os
import signal
from contextlib import suppress
from typing import TYPE_CHECKING

from edgetally.errors import EdgetallyError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from edgetally.nucleus.device.owner import Owner

_LONGEST_LINE = 8192  # characters; a longer one is cut in two
_LAST_WORDS = 1.0  # seconds to read what a script that has ended left to be read


class Script:
    """A shell and what it started, in a session of their own.

    show: gets each line that they print.
    """

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        printed: asyncio.StreamReader,
        pipe: asyncio.BaseTransport,
        show: Callable[[str], None],
    ) -> None:
        self._process = process
        self._printed = printed
        self._pipe = pipe
        self._show = show
        self._reading = asyncio.ensure_future(self._read())

    @classmethod
    async def start(
        cls,
        text: str,
        *,
        folder: Path,
        environment: dict[str, str],
        owner: Owner,
        show: Callable[[str], None],
    ) -> Script:
        """Start it. EdgetallyError where the machine can't."""
        # Not asyncio's own pipe: with that, `wait` waits for all who hold it, not for the shell.
        reading, writing = os.pipe()
        try:
            process = await asyncio.create_subprocess_exec(
                "/bin/sh",
                "-c",
                text,
                cwd=folder,
                env=environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=writing,
                stderr=writing,
                start_new_session=True,
                user=owner.uid if owner.is_other else None,
                group=owner.gid if owner.is_other else None,
                extra_groups=[] if owner.is_other else None,
            )
        except (OSError, ValueError) as error:  # ValueError: of a NUL, or half of a character
            os.close(reading)
            raise EdgetallyError(f"can't start a shell in {folder}: {error}") from None
        finally:
            os.close(writing)
        return cls(process, *await _reader_of(reading), show)

    @property
    def session(self) -> int:
        """The session's number, which is the shell's process."""
        return self._process.pid

    async def wait(self) -> int:
        """Return the exit status, negative where a signal ended it; nothing of it is left."""
        status = await self._process.wait()
        self._signal(signal.SIGKILL)
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._reading, _LAST_WORDS)
        self._pipe.close()
        return status

    async def stop(self, patience: float) -> None:
        """Send SIGTERM to all of it, and SIGKILL to what is there still after so many seconds."""
        self._signal(signal.SIGTERM)
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(asyncio.shield(self._process.wait()), patience)
        self._signal(signal.SIGKILL)
        await self._process.wait()

    def kill(self) -> None:
        """Send SIGKILL to all of it."""
        self._signal(signal.SIGKILL)

    def _signal(self, number: int) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.session, number)

    async def _read(self) -> None:
        decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")
        line = ""
        while data := await self._printed.read(65536):
            *lines, line = (line + decoder.decode(data)).split("\n")
            for complete in lines:
                self._show(complete.rstrip("\r"))
            while len(line) > _LONGEST_LINE:
                self._show(line[:_LONGEST_LINE])
                line = line[_LONGEST_LINE:]
        if line:
            self._show(line)


async def _reader_of(descriptor: int) -> tuple[asyncio.StreamReader, asyncio.BaseTransport]:
    reader = asyncio.StreamReader()
    pipe, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(descriptor, "rb")
    )
    return reader, pipe
