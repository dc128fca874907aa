"""`ComponentConfiguration`: our configuration, as the nucleus keeps it."""

from __future__ import annotations

import contextlib
import logging
import time
from typing import TYPE_CHECKING, Any

from edgetally.errors import EdgetallyError
from edgetally.greengrass.configuration_watch import ConfigurationWatch
from edgetally.greengrass.failure import AbsentError, DeniedError, LostError
from edgetally.greengrass.operation import Operation

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from edgetally.greengrass.lasting_connection import LastingConnection
    from edgetally.greengrass.patience import Patience
    from edgetally.greengrass.subscription import Subscription

_log = logging.getLogger(__name__)
_POLICIES = "accessControl"  # the nucleus's own part of a component's configuration


class ComponentConfiguration:
    """Reads the configuration, hears of its changes, and has updates validated.

    keys: of our configuration, which is read part by part where it is too large for one answer.
    other: called on the connection's thread when it may have changed, policies included.
    """

    def __init__(
        self,
        connection: LastingConnection,
        keys: Collection[str],
        patience: Patience,
        other: Callable[[], None],
    ) -> None:
        self._connection, self._keys, self._other = connection, keys, other
        self._watch = ConfigurationWatch(patience)
        self._changed: Callable[[], None] | None = None

    def read(self) -> dict[str, Any]:
        """Read it, whole, without what is the nucleus's own. EdgetallyError."""
        found = self._read()
        self._watch.read(found)
        return found

    def watch(self, changed: Callable[[], None]) -> Subscription:
        """Call back a moment after it has changed; also without a word of it."""
        self._changed = changed
        return self._connection.hearing.add(
            Operation.WATCH_CONFIGURATION,
            "",
            lambda _: self._connection.do(lambda: self._watch.word(time.monotonic())),
        )

    def validate(self, check: Callable[[dict[str, Any]], str | None]) -> Subscription:
        """Let `check` say what is wrong with one that is about to be deployed.

        It may take its time. A nucleus that does not ask is missed in silence.
        """

        def validate(event: Any) -> None:
            asked = event.validate_configuration_update_event
            try:
                problem = check(_own(asked.configuration))
            except Exception as error:  # noqa: BLE001 - the deployment must have an answer
                problem = str(error)
            with contextlib.suppress(EdgetallyError):
                self._connection.ask(
                    Operation.REPORT_VALIDITY,
                    "",
                    lambda client: client.report_validity(asked.deployment_id, problem),
                )

        return self._connection.hearing.add(Operation.VALIDATE, "", validate)

    # Below: on the connection's thread.

    def look_soon(self) -> None:
        """Look whether it has changed: words of it may have been missed."""
        self._watch.look_soon()

    def tend(self, now: float) -> None:
        """Tell of a change, once it is quiet; look now and then whether there was one."""
        if self._changed is None:
            return
        if self._watch.has_changed(now):
            self._other()
            self._changed()
        if not self._watch.should_look(now):
            return
        try:
            is_other = self._watch.read(self._read())
        except EdgetallyError as error:
            _log.debug("%s", error)
            return
        if is_other:
            self._other()
            self._connection.hearing.renew((Operation.WATCH_CONFIGURATION,))
            self._changed()

    def _read(self) -> dict[str, Any]:
        try:
            return self._below()
        except (LostError, DeniedError):
            raise
        except EdgetallyError as error:
            # A nucleus lite can't answer with more than a frame holds, policies included.
            parts = {key: part for key in self._keys if (part := self._part(key)) is not None}
            if not parts:
                raise error from None
            return parts

    def _part(self, key: str) -> Any:
        try:
            part = self._below(key)
        except AbsentError:
            return None
        return part[key] if part.keys() == {key} else part  # a leaf comes with its name

    def _below(self, *keys: str) -> dict[str, Any]:
        answer = self._connection.ask(
            Operation.READ_CONFIGURATION,
            ".".join(keys),
            lambda client: client.configuration(*keys),
        )
        return _own(answer.value)


def _own(configuration: dict[str, Any] | None) -> dict[str, Any]:
    return {key: each for key, each in (configuration or {}).items() if key != _POLICIES}
