"""`Calls`: what is asked of the nucleus, each with an end in time and an error in words."""

from __future__ import annotations

import contextlib
import logging
import threading
from concurrent.futures import Future, InvalidStateError
from typing import TYPE_CHECKING, Any

from edgetally.greengrass.deadlines import Deadlines
from edgetally.greengrass.failure import DeniedError, LostError, explained
from edgetally.greengrass.lacking import Lacking
from edgetally.greengrass.operation import Operation
from edgetally.greengrass.policy import INTERPOLATION, allowing, needs_interpolation

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgetally.errors import EdgetallyError
    from edgetally.greengrass.client import NucleusClient

_log = logging.getLogger(__name__)
_LATER = 2.0  # seconds: what was allowed may be denied because we are about to be stopped
# What goes on for old topics for as long as messages wait for them.
_OF_OLD_TOPICS = (Operation.PUBLISH_LOCAL, Operation.PUBLISH_CLOUD, Operation.SUBSCRIBE_CLOUD)


class Calls:
    """Begins calls, and tells of what is denied, once.

    component: our name in policies. timeout: seconds for an answer. unanswered: told of a client
    that does not answer, and of what, on a thread of its own. fills_in: whether the nucleus fills
    in variables of policies in any case, as lite does.

    is_ending: set where we are being stopped: a nucleus lite that removes a component first takes
    its policies away. is_topic_of_ours: tells whether a topic is one that we still publish to.
    """

    def __init__(
        self,
        component: str,
        timeout: float,
        unanswered: Callable[[NucleusClient, str], None],
        *,
        fills_in: bool,
    ) -> None:
        self._component, self._timeout, self._unanswered = component, timeout, unanswered
        self._fills_in = fills_in
        self.is_ending = False
        self.is_topic_of_ours: Callable[[str], bool] = lambda _: True
        self._denials: set[tuple[Operation, str]] = set()
        self._allowed: set[tuple[Operation, str]] = set()
        self._has_parted = False
        self._later: dict[tuple[Operation, str], threading.Timer] = {}
        self._lacking = Lacking()
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
        if (lacking := self._lacking.reason(client, operation)) is not None:
            answer.set_exception(lacking)
            return answer

        def fail(error: BaseException) -> None:
            known = explained(error, operation, resource)
            self._lacking.note(client, operation, known)
            if isinstance(known, DeniedError):
                self.tell_denial(operation, resource, known)
            _settle(answer, error=known)

        def answered(done: Future[Any]) -> None:
            error = done.exception()
            if error is None:
                self._allowed.add((operation, resource))
                self._denials.discard((operation, resource))
                _settle(answer, result=done.result())
            else:
                fail(error)

        def late() -> None:
            about = f"{operation} {resource}".strip()
            reason = f"greengrass: no answer at {about} in {self._timeout:g} s"
            lost = LostError(reason)
            _settle(answer, error=lost)
            if operation.is_aside:
                self._lacking.give_up(client, operation, lost)
            else:
                self._unanswered(client, reason)

        self._deadlines.watch(answer, self._timeout, late)
        try:
            start(client).add_done_callback(answered)
        except Exception as error:  # noqa: BLE001 - of many classes, some of them bare
            fail(error)
        return answer

    def tell_denial(self, operation: Operation, resource: str, error: DeniedError) -> None:
        """Log what is denied, with the policy that would allow it; once, until it is allowed."""
        what = operation, resource
        if what in self._denials:
            return
        self._denials.add(what)
        if self.is_ending or what not in self._allowed:
            self._log_denial(operation, resource, error)
            return
        later = threading.Timer(_LATER, self._log_later, args=(operation, resource, error))
        later.daemon = True
        self._later[what] = later
        later.start()

    def _log_later(self, operation: Operation, resource: str, error: DeniedError) -> None:
        if self._later.pop((operation, resource), None) is not None:
            self._log_denial(operation, resource, error)

    def _log_denial(self, operation: Operation, resource: str, error: DeniedError) -> None:
        if operation.is_for_aws_alone:
            _log.debug("%s", error)
            return
        if self.is_ending:
            if not self._has_parted:
                self._has_parted = True
                _log.warning("the nucleus takes no more from us, for it has us stopped: %s", error)
            return
        if operation in _OF_OLD_TOPICS and not self.is_topic_of_ours(resource):
            _log.warning("%s; it is no topic of the configuration any more", error)
            return
        lines = allowing(self._component, operation.value, resource)
        interpolation = needs_interpolation(operation.value, fills_in=self._fills_in)
        first = f"{INTERPOLATION}; else " if interpolation else ""
        remedy = f"; {first}this in the component's configuration allows it:\n"
        _log.error("%s%s", error, remedy + lines if lines else "")

    def close(self) -> None:
        """End no more calls: the connection's end does. Tell what is still to be told."""
        for later in tuple(self._later.values()):
            later.cancel()
            self._log_later(*later.args)
        self._deadlines.close()


def _settle(
    future: Future[Any], *, result: Any = None, error: EdgetallyError | None = None
) -> None:
    with contextlib.suppress(InvalidStateError):  # it was too late
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)
