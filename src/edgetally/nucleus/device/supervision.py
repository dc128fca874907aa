"""One component on a device: installed, run, started again, given up."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgetally.errors import EdgetallyError
from edgetally.nucleus.device.environment import environment
from edgetally.nucleus.device.owner import owner
from edgetally.nucleus.device.script import Script
from edgetally.nucleus.device.skipping import is_skipped

if TYPE_CHECKING:
    from edgetally.nucleus.core import Core
    from edgetally.nucleus.device.owner import Owner
    from edgetally.nucleus.lifecycle import Step

_LAST_LINES = 5  # that tell why a step failed


@dataclass(frozen=True)
class Patience:
    """How a component is started again, in seconds.

    starts: within `interval`; one more is not made, and the component is BROKEN.
    """

    restart: float = 1.0
    starts: int = 3
    interval: float = 3600.0
    stop: float = 5.0


class Supervision:
    """Runs a component's steps in the nucleus's event loop."""

    def __init__(
        self,
        core: Core,
        component: str,
        *,
        owner: Owner,
        region: str,
        authority: str,
        patience: Patience,
    ) -> None:
        self._core = core
        self._component = component
        self._owner = owner
        self._region = region
        self._authority = authority
        self._patience = patience
        self._script: Script | None = None
        self._running: asyncio.Task[None] | None = None
        self._starts: deque[float] = deque(maxlen=patience.starts)
        self._last = deque[str](maxlen=_LAST_LINES)
        self._stopping = asyncio.Event()
        self._is_errored = False  # as it said itself

    @property
    def is_running(self) -> bool:
        """Whether it runs, or will be started again."""
        return self._running is not None and not self._running.done()

    @property
    def pid(self) -> int | None:
        """The process of its step, while one runs."""
        return self._script.session if self._script is not None else None

    async def install(self) -> None:
        """Run the install step. EdgetallyError where it fails or takes too long."""
        step = self._core.registry.recipes[self._component].install
        if step is None:
            return
        if self._skips(step, "install"):
            self._core.record.state(self._component, "INSTALLED")
            return
        script = await self._start(step)
        try:
            status = await asyncio.wait_for(script.wait(), step.timeout)
        except asyncio.TimeoutError:
            await script.stop(self._patience.stop)
            raise self._failed(f"its install step took longer than {step.timeout:g} s") from None
        finally:
            self._ended()
        if status:
            raise self._failed(f"its install step {_how(status)}")
        self._core.record.state(self._component, "INSTALLED")

    def run(self) -> None:
        """Run the run step, where there is one, and again when it fails."""
        step = self._core.registry.recipes[self._component].run
        if step is not None and not self.is_running:
            if self._skips(step, "run"):
                self._core.record.state(self._component, "FINISHED")
                return
            self._stopping.clear()
            self._starts.clear()
            self._running = asyncio.ensure_future(self._keep_running(step))

    def _skips(self, step: Step, name: str) -> bool:
        variables = self._core.variables_of(self._component)
        skips = is_skipped(step.skipping, variables, self._owner)
        if skips:
            self._core.tell(f"{self._component}: its {name} step is skipped, as its Skipif says")
        return skips

    async def _keep_running(self, step: Step) -> None:
        while not self._stopping.is_set():
            now = time.monotonic()
            if len(self._starts) == self._patience.starts and (
                now - self._starts[0] < self._patience.interval
            ):
                self._core.record.state(self._component, "BROKEN")
                return
            self._starts.append(now)
            self._is_errored = False
            try:
                status = await (await self._start(step)).wait()
            except EdgetallyError as error:
                self._core.tell(f"{self._component}: {error}")
                status = 1
            finally:
                self._ended()
            if self._stopping.is_set():
                return
            self._core.tell(f"{self._component}: its run step {_how(status)}")
            if not self._is_errored:
                self._core.record.state(self._component, "ERRORED" if status else "FINISHED")
                if status == 0:
                    return
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), self._patience.restart)

    async def restart_errored(self) -> None:
        """Stop it, for it said that it is ERRORED; it is started again, or given up."""
        if self._script is not None:
            self._is_errored = True
            await self._script.stop(self._patience.stop)

    async def _start(self, step: Step) -> Script:
        variables = self._core.variables_of(self._component)
        recipe = self._core.registry.recipes[self._component]
        as_whom = owner(None, self._core.root) if step.needs_root else self._owner
        fill = variables.fill_script if self._core.kind.name == "lite" else variables.fill_known
        found = environment(
            socket=self._core.socket,
            token=self._core.registry.renew(self._component),
            thing=self._core.thing,
            region=self._region,
            version=self._core.kind.version,
            authority=self._authority,
            owner=as_whom,
        )
        added = {**recipe.environment, **step.environment}
        found |= {name: variables.fill_known(value) for name, value in added.items()}
        script = await Script.start(
            fill(step.script),
            folder=variables.folders.work,
            environment=found,
            owner=as_whom,
            show=self._show,
        )
        self._script = script
        self._core.registry.started(self._component, script.session)
        self._core.tell(f"{self._component}: started, process {script.session}")
        if self._stopping.is_set():  # meanwhile
            await script.stop(self._patience.stop)
        return script

    def _show(self, line: str) -> None:
        self._last.append(line)
        self._core.record.output(self._component, line)

    def _ended(self) -> None:
        self._script = None
        self._core.registry.ended(self._component)

    def _failed(self, what: str) -> EdgetallyError:
        self._core.record.state(self._component, "BROKEN")
        last = "; ".join(self._last) or "it printed nothing"
        return EdgetallyError(f"{self._component}: {what}: {last}")

    async def stop(self) -> None:
        """Stop it: SIGTERM, and SIGKILL later."""
        self._stopping.set()
        if self._script is not None:
            await self._script.stop(self._patience.stop)
        if self._running is not None:
            await self._running
            self._running = None

    def kill(self) -> None:
        """Let its processes die at once, as when memory runs out."""
        if self._script is not None:
            self._script.kill()


def _how(status: int) -> str:
    return f"ended by signal {-status}" if status < 0 else f"ended with status {status}"
