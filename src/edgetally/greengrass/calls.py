"""`Calls`: what is asked of the nucleus, each with an end in time and an error in words."""

from __future__ import annotations

import contextlib
import logging
from concurrent.futures import Future, InvalidStateError
from typing import TYPE_CHECKING, Any

from edgetally.greengrass.deadlines import Deadlines
from edgetally.greengrass.failure import DeniedError, LostError, explained
from edgetally.greengrass.policy import INTERPOLATION, allowing

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgetally.errors import EdgetallyError
    from edgetally.greengrass.client import NucleusClient
    from edgetally.greengrass.operation import Operation

_log = logging.getLogger(__name__)


class Calls:
    """Begins calls, and tells of what is denied, once.

    component: our name in policies. timeout: seconds for an answer. unanswered: told of a client
    that does not answer, and of what, on a thread of its own.
    """

    def __init__(
        self, component: str, timeout: float, unanswered: Callable[[NucleusClient, str], None]
    ) -> None:
        self._component, self._timeout, self._unanswered = component, timeout, unanswered
        self._denials: set[tuple[Operation, str]] = set()
        self._deadlines = Deadlines("greengrass deadlines")

    def begin(
        self,
        client: NucleusClient,
        operation: Operation,
        resource: str,
        start: Callable[[NucleusClient], Future[Any]],
    ) -> Future[Any]:
        """Begin a call; its future ends in any case, with EdgetallyError where it failed."""
        answer: Future[Any] = Future()
        answer.set_running_or_notify_cancel()

        def fail(error: BaseException) -> None:
            known = explained(error, operation, resource)
            if isinstance(known, DeniedError):
                self.tell_denial(operation, resource, known)
            _settle(answer, error=known)

        def answered(done: Future[Any]) -> None:
            error = done.exception()
            if error is None:
                _settle(answer, result=done.result())
            else:
                fail(error)

        def late() -> None:
            about = f"{operation} {resource}".strip()
            reason = f"greengrass: no answer at {about} in {self._timeout:g} s"
            _settle(answer, error=LostError(reason))
            self._unanswered(client, reason)

        self._deadlines.watch(answer, self._timeout, late)
        try:
            start(client).add_done_callback(answered)
        except Exception as error:  # noqa: BLE001 - of many classes, some of them bare
            fail(error)
        return answer

    def tell_denial(self, operation: Operation, resource: str, error: DeniedError) -> None:
        """Log what is denied, with the policy that would allow it; the first time."""
        if (operation, resource) in self._denials:
            return
        self._denials.add((operation, resource))
        lines = allowing(self._component, operation.value, resource)
        remedy = f"; {INTERPOLATION}; else this in the component's configuration allows it:\n"
        _log.error("%s%s", error, remedy + lines if lines else "")

    def close(self) -> None:
        """End no more calls: the connection's end does."""
        self._deadlines.close()


def _settle(
    future: Future[Any], *, result: Any = None, error: EdgetallyError | None = None
) -> None:
    with contextlib.suppress(InvalidStateError):  # it was too late
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)
