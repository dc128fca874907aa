"""`Lacking`: what a nucleus was found to lack, so that it is not asked again and again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgetally.greengrass.failure import DeniedError, OptionalOperationError

if TYPE_CHECKING:
    from edgetally.errors import EdgetallyError
    from edgetally.greengrass.client import NucleusClient
    from edgetally.greengrass.operation import Operation


class Lacking:
    """Of the operations that nothing hangs on: which are in vain. Any thread may call it.

    What a nucleus has not got may be there on the next connection; what it keeps for components of
    AWS stays so until the next process.
    """

    def __init__(self) -> None:
        self._known: dict[Operation, tuple[NucleusClient | None, EdgetallyError]] = {}

    def reason(self, client: NucleusClient, operation: Operation) -> EdgetallyError | None:
        """Say why it is in vain to ask for an operation; None where it may not be."""
        where, error = self._known.get(operation, (None, None))
        return error if where in (None, client) else None

    def give_up(self, client: NucleusClient, operation: Operation, error: EdgetallyError) -> None:
        """Ask no more over this connection: what is not answered is kept by both sides."""
        self._known[operation] = client, error

    def note(self, client: NucleusClient, operation: Operation, error: EdgetallyError) -> None:
        """Learn from a call that failed."""
        if not operation.is_aside:
            return
        if isinstance(error, OptionalOperationError):
            self._known[operation] = client, error
        elif isinstance(error, DeniedError) and operation.is_for_aws_alone:
            self._known[operation] = None, error
