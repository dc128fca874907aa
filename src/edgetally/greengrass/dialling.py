"""`Dialling`: how a connection is made, and what the nucleus knows us by."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from awscrt import io  # type: ignore[import-untyped]

from edgetally.greengrass.client import NucleusClient
from edgetally.greengrass.failure import UnknownHereError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Dialling:
    """Makes connections, with the token or by the component's name.

    Where the nucleus's part that we talk to begins anew, it may not know the token any more. A
    nucleus lite then takes the name from a process that it started itself.
    """

    def __init__(
        self,
        component: str,
        socket: Path,
        token: str,
        timeout: float,
        lost: Callable[[NucleusClient], None],
    ) -> None:
        self._socket, self._timeout, self._lost = socket, timeout, lost
        self._handshakes: list[dict[str, str]] = [
            {"authToken": token},
            {"componentName": component},
        ]
        loops = io.EventLoopGroup(1)
        self._bootstrap: Any = io.ClientBootstrap(loops, io.DefaultHostResolver(loops))

    def dial(self) -> NucleusClient:
        """Connect. UnknownHereError where the nucleus takes neither; EdgetallyError otherwise."""
        refusal: UnknownHereError | None = None
        for handshake in tuple(self._handshakes):
            client = NucleusClient(self._socket, self._bootstrap, self._lost)
            try:
                client.connect(handshake, self._timeout)
            except UnknownHereError as error:
                refusal = error
                continue
            self._handshakes.remove(handshake)
            self._handshakes.insert(0, handshake)  # the other is likely to be dead
            return client
        assert refusal is not None  # noqa: S101 - there are two handshakes
        raise refusal
