"""The nucleus itself: what connections ask, and what is wrong with it at present."""

from __future__ import annotations

import asyncio
import copy
import time
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from edgetally.errors import EdgetallyError, InputError
from edgetally.nucleus.access import is_allowed, pattern, service_of
from edgetally.nucleus.configuration import Configuration, Missing, Refused
from edgetally.nucleus.ipc import Server
from edgetally.nucleus.ipc.failure import unauthorized
from edgetally.nucleus.operations.metrics import metric_names
from edgetally.nucleus.operations.shadows import shadow_resource
from edgetally.nucleus.operations.table import Operations
from edgetally.nucleus.registry import Registry
from edgetally.nucleus.variables import Folders, Variables

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from edgetally.nucleus.cloud import Cloud, CloudMessage
    from edgetally.nucleus.ipc import Call
    from edgetally.nucleus.kind import Kind
    from edgetally.nucleus.operations.pubsub import LocalMessage
    from edgetally.nucleus.recipe import Recipe
    from edgetally.nucleus.record import Record

_VALIDATION = 20.0  # seconds that a component has to say whether it takes a configuration
_RESOURCES = {
    "PublishToTopic": "topic",
    "SubscribeToTopic": "topic",
    "PublishToIoTCore": "topicName",
    "SubscribeToIoTCore": "topicName",
    "GetSecretValue": "secretId",
}


class Core:
    """Lives in one event loop; `Nucleus` is its door for other threads."""

    def __init__(
        self, *, root: Path, socket: Path, kind: Kind, thing: str, cloud: Cloud, record: Record
    ) -> None:
        self.root = root
        self.socket = socket
        self.kind = kind
        self.thing = thing
        self.record = record
        self.registry = Registry()
        self.operations = Operations(
            kind,
            cloud,
            published=self._published,
            sent=self._sent,
            stated=self._stated,
            tell=record.tell,
        )
        self.server = Server(self, socket)
        self.on_state: Callable[[str, str], None] = lambda _component, _state: None
        """Told of each state that a component tells."""
        self._denied: list[tuple[str, str]] = []
        self._moving = asyncio.Event()
        self._moving.set()

    async def start(self) -> None:
        """Connect to the cloud, and listen."""
        await self.operations.iot_core.start()
        await self.server.start()

    async def stop(self) -> None:
        """Listen no more."""
        self.thaw()
        await self.server.stop()
        await self.operations.iot_core.stop()

    def add(self, recipe: Recipe) -> None:
        """Know a component, or a new version of it, and its defaults.

        EdgetallyError where the defaults are refused.
        """
        self.registry.add(recipe)
        self._deploy(recipe.name, {}, ())

    def variables_of(self, component: str) -> Variables:
        """Return what a component's recipe may name."""
        recipe = self.registry.recipes[component]
        folders = Folders(self.root, component, recipe.version)
        return Variables(folders, self.thing, self.operations.settings.of(component))

    # What connections ask.

    @property
    def frame_limit(self) -> int:
        """How many bytes a frame has at most."""
        return self.kind.frame_limit

    @property
    def errors_have_text(self) -> bool:
        """Whether a client can read what is wrong."""
        return self.kind.errors_have_text

    def component_of(self, token: str) -> str:
        """Return whose token it is, or nothing."""
        return self.registry.owner_of(token)

    def token_of(self, component: str, pid: int) -> str:
        """Return a token for a component's own process."""
        if not self.registry.is_process_of(component, pid):
            return ""
        return self.registry.token_for(component)

    async def moving(self) -> None:
        """Wait while the nucleus stands still."""
        await self._moving.wait()

    async def answer(self, call: Call) -> dict[str, Any]:
        """Do what a call asks for, where that is allowed."""
        handler = self.operations.handler(call.operation)
        needs_policy = service_of(call.operation) is not None
        for resource in self._resources(call):
            if self._is_denied(call.operation, resource):
                raise unauthorized()
            if needs_policy and not self._allows(call, resource):
                raise unauthorized()
        return await handler(call)

    def _allows(self, call: Call, resource: str) -> bool:
        if self.kind.name == "lite" and "?" in resource:
            return False  # whatever the policies say
        try:
            policies = self.operations.settings.of(call.component).get(("accessControl",))
        except Missing:
            return False
        fill = self.variables_of(call.component).fill_known if self.kind.interpolates else str
        return is_allowed(policies, call.operation, resource, fill)

    def _resources(self, call: Call) -> list[str]:
        if call.operation in ("GetThingShadow", "UpdateThingShadow"):
            return [shadow_resource(call)]
        if call.operation == "PutComponentMetric":
            return metric_names(call)
        return [str(call.arguments.get(_RESOURCES.get(call.operation, ""), ""))]

    def tell(self, line: str) -> None:
        """Let whoever watches know."""
        self.record.tell(line)

    # What a deployment does.

    async def configure(self, component: str, merge: dict[str, Any], reset: Sequence[str]) -> None:
        """Put paths back, merge, and tell who watches. EdgetallyError where it is refused."""
        settings = self.operations.settings
        if component not in self.registry.recipes:
            raise InputError(f"no component {component} to configure")
        known = settings.of(component)
        if settings.validates(component):
            await self._ask(component, known, merge, reset)
        self._deploy(component, merge, reset)

    def _deploy(self, component: str, merge: dict[str, Any], reset: Sequence[str]) -> None:
        settings, defaults = self.operations.settings, self.registry.recipes[component].defaults
        try:
            changed = settings.of(component).deploy(defaults, merge, reset, time.time())
        except Refused as refused:
            raise EdgetallyError(f"{component}: {refused}") from None
        except RecursionError:
            raise EdgetallyError(f"{component}: its configuration has too many levels") from None
        settings.tell_changes(component, changed)

    async def _ask(
        self,
        component: str,
        known: Configuration,
        merge: dict[str, Any],
        reset: Sequence[str],
    ) -> None:
        trial = copy.deepcopy(known)
        trial.deploy(self.registry.recipes[component].defaults, merge, reset, time.time())
        refused = await self.operations.settings.ask(
            component, trial.get(()), str(uuid.uuid4()), _VALIDATION
        )
        if refused is not None:
            raise EdgetallyError(f"{component} refuses the configuration: {refused}")

    # What is wrong with it.

    async def go_away(self) -> None:
        """Let the IPC daemon be dead, and with it every token."""
        self.registry.forget_tokens()
        await self.server.stop()

    async def restart(self, away: float) -> None:
        """Be dead for so many seconds."""
        await self.go_away()
        await asyncio.sleep(away)
        await self.server.start()

    def deny(self, operation: str, resource: str) -> None:
        """Refuse an operation (or `*`) on resources that a pattern with `*` names."""
        self._denied.append((operation, resource))

    def allow(self, operation: str, resource: str) -> None:
        """Take back what was denied in the same words."""
        self._denied = [known for known in self._denied if known != (operation, resource)]

    def _is_denied(self, operation: str, resource: str) -> bool:
        return any(
            name in ("*", operation) and pattern(denied).fullmatch(resource)
            for name, denied in self._denied
        )

    def freeze(self) -> None:
        """Stand still: connections stay, and nothing is answered."""
        self._moving.clear()

    def thaw(self) -> None:
        """Go on with what has come meanwhile."""
        self._moving.set()

    # What is kept for whoever watches.

    def _published(self, message: LocalMessage) -> None:
        self.record.local(message)

    def _sent(self, component: str, message: CloudMessage) -> None:
        self.record.cloud(replace(message, sender=component))

    def _stated(self, component: str, state: str) -> None:
        self.record.state(component, state)
        self.on_state(component, state)
