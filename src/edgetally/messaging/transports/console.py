"""The console: each message as a line on a stream."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, TextIO

from edgetally.errors import EdgetallyError, InputError
from edgetally.messaging.transports.jsonl import line_of
from edgetally.messaging.transports.transport import done

if TYPE_CHECKING:
    from concurrent.futures import Future

_log = logging.getLogger(__name__)


class ConsoleTransport:
    """Writes the lines of a JSON Lines file to a stream, and flushes each.

    When the reader at the other end of a pipe has gone, the rest goes nowhere, silently.
    InputError where there is no stream: Python's stdout is None when it was closed at the start.
    """

    name = "console"
    max_bytes: int | None = None
    window = 1

    def __init__(self, stream: TextIO | None) -> None:
        if stream is None:
            raise InputError(
                "console transport: there is no standard output; open it or remove the transport"
            )
        self._stream = stream
        self._abandoned = False

    def __str__(self) -> str:
        return self.name

    def send(self, topic: str, body: str) -> Future[None]:
        """Write one message. EdgetallyError where the stream does not take it."""
        if self._abandoned:
            return done()
        try:
            self._stream.write(line_of(topic, body))
            self._stream.flush()
        except BrokenPipeError:
            self._abandon()
        except (OSError, ValueError) as error:  # ValueError: closed, or can't encode
            raise EdgetallyError(f"console: {error}; check where the output goes") from None
        return done()

    def close(self) -> None:
        """Leave the stream open, it belongs to the caller."""

    def _abandon(self) -> None:
        _log.info("console: nobody reads any more; messages are no longer shown")
        self._abandoned = True
        # What is still buffered would fail again, and loudly, when Python ends: "Note on
        # SIGPIPE" in the documentation of Python's module signal.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stream.fileno())
        os.close(nowhere)
