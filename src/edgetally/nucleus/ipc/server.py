"""The socket that components connect to."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

from edgetally.errors import EdgetallyError
from edgetally.nucleus.ipc.connection import Connection

if TYPE_CHECKING:
    from pathlib import Path

    from edgetally.nucleus.ipc.call import Call

_CONNECTIONS = 50
_log = logging.getLogger(__name__)


class Host(Protocol):
    """What connections ask the nucleus."""

    @property
    def frame_limit(self) -> int:
        """How many bytes a frame has at most."""
        ...

    @property
    def errors_have_text(self) -> bool:
        """Whether a client can read what is wrong."""
        ...

    def component_of(self, token: str) -> str:
        """Return whose token it is, or nothing."""
        ...

    def token_of(self, component: str, pid: int) -> str:
        """Return a token for a process that says whose it is; nothing where that is untrue."""
        ...

    async def moving(self) -> None:
        """Wait while the nucleus stands still."""
        ...

    async def answer(self, call: Call) -> dict[str, Any]:
        """Do what a call asks for. Failure where it can't be."""
        ...

    def tell(self, line: str) -> None:
        """Let whoever watches know."""
        ...


class Server:
    """Listens on a path, and knows who is connected. Lives in one event loop."""

    def __init__(self, host: Host, path: Path) -> None:
        self._host = host
        self._path = path
        self._server: asyncio.Server | None = None
        self._serving: dict[asyncio.Task[None], Connection] = {}

    @property
    def connections(self) -> list[Connection]:
        """Return those that have introduced themselves."""
        return [connection for connection in self._serving.values() if connection.component]

    async def start(self) -> None:
        """Listen. EdgetallyError where the path can't be listened on."""
        with suppress(OSError):
            self._path.unlink()
        try:
            self._server = await asyncio.start_unix_server(self._serve, self._path)
            self._path.chmod(0o666)  # components run as users of their own
        except OSError as error:
            raise EdgetallyError(f"{self._path}: can't listen: {error}") from None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None:  # never: a server's callback runs in a task
            return
        if len(self._serving) >= _CONNECTIONS:
            self._host.tell(f"a client is turned away: there are {_CONNECTIONS} connections")
            writer.transport.abort()
            return
        connection = Connection(self._host, reader, writer)
        self._serving[task] = connection
        try:
            await connection.serve()
        except Exception:  # noqa: BLE001 - one client's trouble is not the others'
            _log.exception("a connection failed")
        finally:
            del self._serving[task]

    def cut(self) -> int:
        """End every connection; return how many there were."""
        for connection in self._serving.values():
            connection.cut()
        return len(self._serving)

    def deafen(self) -> None:
        """Let all subscriptions of now be dead, without a word."""
        for connection in self._serving.values():
            connection.forget_streams()

    async def stop(self) -> None:
        """Listen no more, and end every connection."""
        if self._server is not None:
            self._server.close()
            self._server = None
        with suppress(OSError):
            self._path.unlink()
        self.cut()
        tasks = list(self._serving)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
