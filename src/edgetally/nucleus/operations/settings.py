"""Configuration over IPC: read, merge, watch, validate."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from edgetally.nucleus.configuration import Configuration, Missing, Refused
from edgetally.nucleus.ipc.failure import Failure, invalid

if TYPE_CHECKING:
    from edgetally.nucleus.configuration import Path
    from edgetally.nucleus.ipc import Call, Stream

_PROTECTED = "accessControl"


class Settings:
    """Every component's configuration, and who watches it. keeps_kinds: as in `Kind`."""

    def __init__(self, *, keeps_kinds: bool) -> None:
        self._keeps_kinds = keeps_kinds
        self._known: dict[str, Configuration] = {}
        self._watchers: dict[Stream, tuple[str, Path]] = {}
        self._validators: dict[Stream, str] = {}
        self._reports: dict[tuple[str, str], asyncio.Future[str | None]] = {}

    def of(self, component: str) -> Configuration:
        """Return a component's configuration, an empty one where it is new."""
        new = Configuration(keeps_kinds=self._keeps_kinds)
        return self._known.setdefault(component, new)

    def tell_changes(self, component: str, changed: list[Path]) -> None:
        """Send an event for each changed leaf to each who watches it."""
        for path in changed:
            for stream, (watched, prefix) in list(self._watchers.items()):
                shorter = min(len(prefix), len(path))
                if watched == component and prefix[:shorter] == path[:shorter]:
                    event = {"componentName": component, "keyPath": list(path)}
                    stream.send("ConfigurationUpdateEvents", {"configurationUpdateEvent": event})

    async def read(self, call: Call) -> dict[str, Any]:
        """GetConfiguration: a map as it is, a leaf as `{its key: its value}`."""
        component, path = call.component_name(), call.path()
        value = self._find(component, path)
        if not isinstance(value, dict):
            value = {path[-1]: value}
        return {"componentName": component, "value": value}

    def _find(self, component: str, path: Path) -> Any:
        try:
            return self._known[component].get(path)
        except (KeyError, Missing):
            raise Failure("ResourceNotFoundError", "Key not found.") from None

    async def update(self, call: Call) -> dict[str, Any]:
        """UpdateConfiguration: what is older than what is there changes nothing."""
        path = call.path()
        value = call.arguments.get("valueToMerge")
        at = call.arguments.get("timestamp")
        if "valueToMerge" not in call.arguments or not isinstance(at, (int, float)):
            raise Failure("InvalidArgumentsError", "Received invalid parameters.")
        at_top = isinstance(value, dict) and not path and _PROTECTED in value
        if path[:1] == (_PROTECTED,) or at_top:
            raise Failure("InvalidArgumentsError", "accessControl can't be updated.")
        if not path and not isinstance(value, dict):
            raise invalid("Failed to update the configuration.")
        try:
            changed = self.of(call.component).merge(path, value, float(at))
        except Refused:
            raise invalid("Failed to update the configuration.") from None
        self.tell_changes(call.component, changed)
        return {}

    async def watch(self, call: Call) -> dict[str, Any]:
        """SubscribeToConfigurationUpdate."""
        component, path = call.component_name(), call.path()
        self._find(component, path)
        stream = call.stream
        self._watchers[stream] = (component, path)
        stream.on_end(lambda: self._watchers.pop(stream, None))
        return {}

    async def validate(self, call: Call) -> dict[str, Any]:
        """SubscribeToValidateConfigurationUpdates."""
        stream = call.stream
        self._validators[stream] = call.component
        stream.on_end(lambda: self._validators.pop(stream, None))
        return {}

    async def report(self, call: Call) -> dict[str, Any]:
        """SendConfigurationValidityReport."""
        report = call.mapping("configurationValidityReport")
        deployment = report.get("deploymentId")
        waiting = self._reports.pop((call.component, str(deployment)), None)
        if waiting is None or report.get("status") not in ("ACCEPTED", "REJECTED"):
            raise Failure("InvalidArgumentsError", "No such deployment waits for a report.")
        is_valid = report["status"] == "ACCEPTED"
        waiting.set_result(None if is_valid else str(report.get("message") or "rejected"))
        return {}

    def validates(self, component: str) -> bool:
        """Whether a component wants to be asked."""
        return component in self._validators.values()

    async def ask(
        self, component: str, configuration: dict[str, Any], deployment: str, seconds: float
    ) -> str | None:
        """Ask a component whether it takes a configuration; return why not, None where it does.

        One that does not validate takes everything; one that says nothing takes nothing.
        """
        asked = [stream for stream, name in self._validators.items() if name == component]
        if not asked:
            return None
        waiting = asyncio.get_running_loop().create_future()
        self._reports[component, deployment] = waiting
        event = {"configuration": configuration, "deploymentId": deployment}
        for stream in asked:
            stream.send(
                "ValidateConfigurationUpdateEvents", {"validateConfigurationUpdateEvent": event}
            )
        try:
            return str(refused) if (refused := await asyncio.wait_for(waiting, seconds)) else None
        except asyncio.TimeoutError:
            return f"{component} did not say within {seconds:g} s whether it takes it"
        finally:
            self._reports.pop((component, deployment), None)
