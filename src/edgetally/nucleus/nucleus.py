"""The nucleus's door: what tests and the command line do with it, from any thread."""

from __future__ import annotations

import asyncio
import copy
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from edgetally.errors import InputError
from edgetally.nucleus.cloud import Cloud, MemoryCloud
from edgetally.nucleus.core import Core
from edgetally.nucleus.device.authority import place_authority
from edgetally.nucleus.device.device import Deployment, Device
from edgetally.nucleus.device.supervision import Patience
from edgetally.nucleus.kind import LITE, Kind
from edgetally.nucleus.operations.pubsub import LocalMessage
from edgetally.nucleus.recipe import read_recipe
from edgetally.nucleus.record import Record

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, Sequence

    from edgetally.nucleus.cloud import CloudMessage
    from edgetally.nucleus.registry import Names

Result = TypeVar("Result")
_PARTING = 2.0  # seconds
_LONGEST_PATH = 100  # bytes; a Unix socket's has 107 at most


class Nucleus:
    """A nucleus that serves from `start` (or `with`) to `stop`.

    >>> with Nucleus(folder, recipes=[Path("recipe.yaml")]) as nucleus:  # doctest: +SKIP
    ...     connect(ipc_socket=str(nucleus.socket), authtoken=nucleus.token_for("com.example.One"))

    folder: its root, where components work. recipes: of the components that may connect; `deploy`
    runs them, too. thing: the device's name. cloud: what IoT Core is; without one it is kept in
    memory. user: as whom components run; None: as we do. root_ca: the file that components find by
    GG_ROOT_CA_PATH. patience: with components that fail. show: gets a line for all that happens.
    """

    def __init__(
        self,
        folder: Path,
        recipes: Sequence[Path | dict[str, Any]] = (),
        *,
        kind: Kind = LITE,
        thing: str = "stand-in",
        cloud: Cloud | None = None,
        user: str | None = None,
        region: str = "us-east-1",
        root_ca: Path | None = None,
        patience: Patience | None = None,
        show: Callable[[str], None] | None = None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder.resolve()
        self.kind = kind
        self.cloud = cloud or MemoryCloud()
        self.record = Record(show)
        self._given = [read_recipe(recipe, kind) for recipe in recipes]
        self._short: tempfile.TemporaryDirectory[str] | None = None
        self.socket = self._place_socket()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="nucleus", daemon=True)
        self._thing = thing
        self._core: Core | None = None
        self._device: Device | None = None
        self._user = user
        self._region = region
        self._root_ca = root_ca
        self._patience = patience or Patience()

    def _place_socket(self) -> Path:
        usual = self.folder / self.kind.socket
        if len(str(usual).encode()) <= _LONGEST_PATH:
            return usual
        self._short = tempfile.TemporaryDirectory(prefix="nucleus-")
        short = Path(self._short.name)
        short.chmod(0o755)
        return short / self.kind.socket

    def start(self) -> None:
        """Serve. EdgetallyError where that can't be."""
        self._thread.start()
        try:
            self._do(self._start())
        except BaseException:
            self.stop()
            raise

    async def _start(self) -> None:
        self._core = Core(
            root=self.folder,
            socket=self.socket,
            kind=self.kind,
            thing=self._thing,
            cloud=self.cloud,
            record=self.record,
        )
        self._device = Device(
            self._core,
            user=self._user,
            region=self._region,
            authority=place_authority(self._root_ca, self.folder),
            patience=self._patience,
        )
        for recipe in self._given:
            self._core.add(recipe)
        await self._core.start()

    def stop(self) -> None:
        """Stop all components, and serve no more."""
        try:
            if self._device is not None:
                self._do(self.device.stop_all())
            if self._core is not None:
                self._do(self.core.stop())
            self._do(_finish())
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()
            if self._short is not None:
                self._short.cleanup()

    def __enter__(self) -> Nucleus:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def core(self) -> Core:
        """What serves, in its own thread."""
        if self._core is None:
            raise RuntimeError("the nucleus was not started")
        return self._core

    @property
    def device(self) -> Device:
        """What runs components, in the same thread."""
        if self._device is None:
            raise RuntimeError("the nucleus was not started")
        return self._device

    def _do(self, doing: Coroutine[Any, Any, Result], timeout: float | None = None) -> Result:
        return asyncio.run_coroutine_threadsafe(doing, self._loop).result(timeout)

    def _call(self, function: Callable[..., Result], *arguments: Any) -> Result:
        async def call() -> Result:
            return function(*arguments)

        return self._do(call())

    # What runs on it.

    def deploy(
        self,
        recipes: Sequence[Path | dict[str, Any]] = (),
        *,
        artifacts: Path | None = None,
        merge: Mapping[str, dict[str, Any]] | None = None,
        reset: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        """Install and run components; return once all are installed and started.

        recipes: new ones, or new versions; none: those that the nucleus was made with.
        artifacts: the folder that holds `NAME/VERSION/FILE`. merge, reset: as in a deployment's
        configurationUpdate, by component. EdgetallyError where one can't be installed.
        """
        read = tuple(read_recipe(recipe, self.kind) for recipe in recipes)
        self._do(self.device.deploy(Deployment(read, artifacts, merge or {}, reset or {})))

    def stop_component(self, component: str) -> None:
        """Stop a component as a nucleus does: SIGTERM, and SIGKILL after a while.

        InputError, as with all that take a component's name: it is not known.
        """
        self._refuse_unknown(component)
        self._do(self.device.stop(component))

    def kill_component(self, component: str) -> None:
        """Let a component's processes die at once; it is started again."""
        self._refuse_unknown(component)
        self._call(self.device.kill, component)

    def pid_of(self, component: str) -> int | None:
        """Return the process of a component, while it runs."""
        return self._call(self.device.pid_of, component)

    # What it knows.

    def _refuse_unknown(self, component: str) -> None:
        if component not in self.core.registry.recipes:
            raise InputError(f"no component {component}; give its recipe")

    def token_for(self, component: str) -> str:
        """Return the token by which a component connects now."""
        self._refuse_unknown(component)
        return self._call(self.core.registry.token_for, component)

    @property
    def published(self) -> list[LocalMessage]:
        """What was published locally, oldest first."""
        return self.record.published

    @property
    def sent(self) -> list[CloudMessage]:
        """What was published to IoT Core and not lost by `lose_cloud_publishes`."""
        return self.record.sent

    @property
    def states(self) -> list[tuple[str, str]]:
        """Components and the states they came into, oldest first."""
        return self.record.states

    @property
    def connected(self) -> list[str]:
        """Return the components that are connected, a name a connection."""
        return self._call(lambda: [known.component for known in self.core.server.connections])

    def wait(self, find: Callable[[], Result], timeout: float = 10.0) -> Result:
        """Return what `find` finds once something happened that makes it find something."""
        return self.record.wait(find, timeout)

    # What others do on a device.

    def publish_local(self, topic: str, payload: bytes, *, is_json: bool = False) -> None:
        """Publish as another component would."""
        message = LocalMessage(topic, payload, is_json=is_json)
        self._call(self.core.operations.local.deliver, message)

    def publish_from_cloud(self, topic: str, payload: bytes) -> None:
        """Let a message come from IoT Core, without a broker."""
        self._call(self.core.operations.iot_core.hear, topic, payload)

    def configuration(self, component: str) -> dict[str, Any]:
        """Return a component's configuration."""
        self._refuse_unknown(component)
        return dict(self._call(self.core.operations.settings.of(component).get))

    def configure(self, component: str, merge: dict[str, Any], reset: Sequence[str] = ()) -> None:
        """Change a configuration as a deployment does: paths put back first, then the merge.

        reset: JSON pointers; "" is all of it. EdgetallyError where the component, asked, refuses.
        """
        self._do(self.core.configure(component, merge, reset))

    def give_secret(self, name: str, value: str) -> None:
        """Let GetSecretValue find a secret, by its ARN or name; on lite nothing finds it."""
        self.core.operations.secrets.by_name[name] = value

    @property
    def metrics(self) -> list[dict[str, Any]]:
        """What was put by PutComponentMetric, oldest first."""
        return list(self.core.operations.metrics.taken)

    def shadow(self, name: str, thing: str | None = None) -> dict[str, Any] | None:
        """Return a thing's named shadow, the device's own by default; None: there is none."""
        found = self.core.operations.shadows.known.get((thing or self._thing, name))
        return None if found is None else copy.deepcopy(found)

    # What goes wrong.

    def kill_connections(self) -> int:
        """Cut every connection; return how many there were. Tokens stay good."""
        return self._call(self.core.server.cut)

    def restart(self, away: float = 0.0) -> None:
        """Let the IPC daemon die and come back after so many seconds; all tokens are dead then."""
        self._do(self.core.restart(away))

    def go_away(self) -> None:
        """Let the IPC daemon die: connections end, and there is no socket. Tokens are dead."""
        self._do(self.core.go_away())

    def come_back(self) -> None:
        """Listen again."""
        self._do(self.core.server.start())

    def deafen(self) -> None:
        """Let subscriptions of now be dead without a word; calls work, and new subscriptions."""
        self._call(self.core.server.deafen)

    def freeze(self, seconds: float | None = None) -> None:
        """Answer nothing, for so long or until `thaw`; connections stay."""
        self._call(self.core.freeze)
        if seconds is not None:
            self._loop.call_soon_threadsafe(self._loop.call_later, seconds, self.core.thaw)

    def thaw(self) -> None:
        """Go on after `freeze` with what has come meanwhile."""
        self._call(self.core.thaw)

    def deny(self, operation: str = "*", resource: str = "*") -> None:
        """Refuse an operation, such as PublishToTopic, on topics that a pattern with * names."""
        self._call(self.core.deny, operation, resource)

    def allow(self, operation: str = "*", resource: str = "*") -> None:
        """Take back what was denied in the same words."""
        self._call(self.core.allow, operation, resource)

    def expire_tokens(self) -> None:
        """Let every token be dead; connections stay, and a component that starts gets a new one."""
        self._call(self.core.registry.forget_tokens)

    def accept_names(self, whose: Names) -> None:
        """Say who may connect by a component's name in place of its token.

        `own`, as on a nucleus: processes that it started for this component; `all`: anyone, such
        as a test's own process; `none`.
        """
        self.core.registry.names = whose

    def lose_cloud(self) -> None:
        """Let the broker be away: to publish to IoT Core is a ServiceError."""
        self.core.operations.iot_core.trouble.away = True

    def find_cloud(self) -> None:
        """Let the broker be there, and well, again."""
        self._call(self.core.operations.iot_core.recover)

    def freeze_cloud(self) -> None:
        """Let the broker take messages, lose them, and acknowledge none."""
        self.core.operations.iot_core.trouble.frozen = True

    def lose_cloud_publishes(self, number: int) -> None:
        """Answer so many publishes to IoT Core with OK, and lose them."""
        self.core.operations.iot_core.trouble.losing = number


async def _finish() -> None:
    """Let what goes on in the loop end, such as a deployment, for which others wait."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    if others:
        _, endless = await asyncio.wait(others, timeout=_PARTING)
        for task in endless:
            task.cancel()
        await asyncio.gather(*endless, return_exceptions=True)
