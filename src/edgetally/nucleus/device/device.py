"""The components that are deployed, in the order in which they need each other."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from edgetally.errors import EdgetallyError, InputError
from edgetally.nucleus.device.artifacts import make_folder, place_artifacts
from edgetally.nucleus.device.owner import Owner, owner
from edgetally.nucleus.device.supervision import Patience, Supervision

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from edgetally.nucleus.core import Core
    from edgetally.nucleus.recipe import Recipe


@dataclass(frozen=True)
class Deployment:
    """What a deployment brings.

    recipes: none: what the nucleus knows already. merge, reset: as in a deployment's
    configurationUpdate, by component.
    """

    recipes: tuple[Recipe, ...] = ()
    artifacts: Path | None = None
    merge: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    reset: Mapping[str, Sequence[str]] = field(default_factory=dict)


class Device:
    """Lives in the nucleus's event loop.

    user: as whom components run; None: as we do. authority: file of the root CA, or nothing.
    """

    def __init__(
        self, core: Core, *, user: str | None, region: str, authority: str, patience: Patience
    ) -> None:
        self._core = core
        self._user = user
        self._region = region
        self._authority = authority
        self._patience = patience
        self._deploying = asyncio.Lock()
        self._deployed: dict[str, tuple[str, Supervision]] = {}
        self._restarting: asyncio.Task[None] | None = None  # keeps it from being collected
        core.on_state = self.note_state

    async def deploy(self, deployment: Deployment) -> None:
        """Install what is new, configure, and run everything that does not.

        EdgetallyError where a component can't be installed, or refuses its configuration.
        """
        async with self._deploying:
            await self._deploy(deployment)

    async def _deploy(self, deployment: Deployment) -> None:
        recipes = deployment.recipes or tuple(self._core.registry.recipes.values())
        for name in {*deployment.merge, *deployment.reset}:
            if name not in self._core.registry.recipes and not any(
                recipe.name == name for recipe in recipes
            ):
                raise InputError(f"no component {name} to configure")
        as_whom = owner(self._user, self._core.root)
        for recipe in recipes:
            self._refuse_missing(recipe, recipes)
        stopped = []
        for recipe in recipes:
            if self.version_of(recipe.name) not in (None, recipe.version):
                stopped += await self._stop_dependents(recipe.name)
                await self.stop(recipe.name)
            self._core.add(recipe)
        for name in self._core.registry.ordered(recipe.name for recipe in recipes):
            await self._place(name, deployment, as_whom)
        for supervision in stopped:
            supervision.run()

    def _refuse_missing(self, recipe: Recipe, beside: Sequence[Recipe]) -> None:
        known = {*self._core.registry.recipes, *(other.name for other in beside)}
        for needed in recipe.dependencies:
            if needed not in known and not needed.startswith("aws."):
                raise InputError(f"{recipe.name} needs {needed}; give its recipe, too")

    async def _place(self, name: str, deployment: Deployment, as_whom: Owner) -> None:
        recipe = self._core.registry.recipes[name]
        merge, reset = deployment.merge.get(name, {}), deployment.reset.get(name, ())
        if merge or reset:
            await self._core.configure(name, merge, reset)
        if self.version_of(name) == recipe.version:
            self._deployed[name][1].run()
            return
        folders = self._core.variables_of(name).folders
        place_artifacts(recipe, deployment.artifacts, folders)
        make_folder(folders.work, self._core.root)
        as_whom.own(folders.work)
        for line in recipe.left_out:
            self._core.tell(f"{name}: {line}")
        supervision = Supervision(
            self._core,
            name,
            owner=as_whom,
            region=self._region,
            authority=self._authority,
            patience=self._patience,
        )
        self._deployed[name] = (recipe.version, supervision)  # so that `stop` ends it meanwhile
        try:
            await supervision.install()
        except EdgetallyError:
            self._deployed.pop(name, None)
            raise
        supervision.run()

    async def _stop_dependents(self, component: str) -> list[Supervision]:
        stopped = []
        for name, (_, supervision) in self._deployed.items():
            if component in self._core.registry.recipes[name].hard and supervision.is_running:
                await supervision.stop()
                self._core.tell(f"{name}: stopped, for it needs {component}")
                stopped.append(supervision)
        return stopped

    def version_of(self, component: str) -> str | None:
        """Return which version of a component is deployed; None where none is."""
        deployed = self._deployed.get(component)
        return deployed[0] if deployed is not None else None

    def pid_of(self, component: str) -> int | None:
        """Return the process of a component, while it runs."""
        deployed = self._deployed.get(component)
        return deployed[1].pid if deployed is not None else None

    async def stop(self, component: str) -> None:
        """Stop a component; the next deployment installs it anew."""
        deployed = self._deployed.pop(component, None)
        if deployed is not None:
            await deployed[1].stop()
            self._core.tell(f"{component}: stopped")

    async def stop_all(self) -> None:
        """Stop every component, those that need others first."""
        for name in reversed(self._core.registry.ordered(self._deployed)):
            await self.stop(name)

    def note_state(self, component: str, state: str) -> None:
        """Do what a nucleus does when a component tells its state."""
        deployed = self._deployed.get(component)
        if state == "ERRORED" and self._core.kind.restarts_errored and deployed is not None:
            self._restarting = asyncio.ensure_future(deployed[1].restart_errored())

    def kill(self, component: str) -> None:
        """Let a component's processes die at once."""
        deployed = self._deployed.get(component)
        if deployed is not None:
            deployed[1].kill()
