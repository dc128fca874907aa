"""The unmodified client of AWS's SDK, connected to the stand-in nucleus."""

from __future__ import annotations

import queue
from typing import TYPE_CHECKING, Any

from awscrt.io import (  # type: ignore[import-untyped]
    ClientBootstrap,
    DefaultHostResolver,
    EventLoopGroup,
    SocketDomain,
    SocketOptions,
)
from awsiot.eventstreamrpc import (  # type: ignore[import-untyped]
    Connection,
    LifecycleHandler,
    MessageAmendment,
)
from awsiot.greengrasscoreipc import connect  # type: ignore[import-untyped]
from awsiot.greengrasscoreipc.client import GreengrassCoreIPCClient  # type: ignore[import-untyped]
from awsiot.greengrasscoreipc.clientv2 import (  # type: ignore[import-untyped]
    GreengrassCoreIPCClientV2,
)
from awsiot.greengrasscoreipc.model import (  # type: ignore[import-untyped]
    BinaryMessage,
    JsonMessage,
    PublishMessage,
)

if TYPE_CHECKING:
    from pathlib import Path

    from edgetally.nucleus import Nucleus

ONE = "com.example.One"
WAIT = 10.0
DEFAULTS = {"threshold": 7, "model": {"path": "a", "engine": "auto"}}


def recipe(name: str = ONE, version: str = "1.0.0", **parts: Any) -> dict[str, Any]:
    """Return a recipe that allows everything; parts: install, run, defaults, needs, artifacts."""
    policy = {"all": {"operations": ["*"], "resources": ["*"]}}
    services = (
        "aws.greengrass.ipc.pubsub",
        "aws.greengrass.ipc.mqttproxy",
        "aws.greengrass.SecretManager",
        "aws.greengrass.ShadowManager",
        "aws.greengrass.ipc.componentmetric",
    )
    access = dict.fromkeys(services, policy)
    defaults = {"accessControl": access, **parts.get("defaults", {})}
    steps = {step: parts[step] for step in ("install", "run") if step in parts}
    return {
        "RecipeFormatVersion": "2020-01-25",
        "ComponentName": name,
        "ComponentVersion": version,
        "ComponentConfiguration": {"DefaultConfiguration": defaults},
        "ComponentDependencies": parts.get("needs", {}),
        "Manifests": [
            {
                "Platform": {"os": "linux", "runtime": "*"},
                "Artifacts": parts.get("artifacts", []),
                "Lifecycle": steps,
            }
        ],
    }


def client_of(nucleus: Nucleus, component: str = ONE, token: str | None = None) -> Any:
    """Connect by a token."""
    token = nucleus.token_for(component) if token is None else token
    connected = connect(ipc_socket=str(nucleus.socket), authtoken=token, timeout=WAIT)
    return GreengrassCoreIPCClientV2(client=connected)


def client_by_name(socket: Path, component: str) -> Any:
    """Connect by a component's name, from this process."""
    loops = EventLoopGroup(1)
    options = SocketOptions()
    options.domain = SocketDomain.Local
    connection = Connection(
        host_name=str(socket),
        port=0,
        bootstrap=ClientBootstrap(loops, DefaultHostResolver(loops)),
        socket_options=options,
        connect_message_amender=lambda: MessageAmendment(
            payload=b'{"componentName": "%s"}' % component.encode()
        ),
    )
    connection.connect(LifecycleHandler()).result(WAIT)
    return GreengrassCoreIPCClientV2(client=GreengrassCoreIPCClient(connection))


def binary(body: bytes) -> Any:
    """Return a binary message."""
    return PublishMessage(binary_message=BinaryMessage(message=body))


def json_message(body: Any) -> Any:
    """Return a JSON message."""
    return PublishMessage(json_message=JsonMessage(message=body))


class Heard:
    """What a subscription gets."""

    def __init__(self) -> None:
        self._events: queue.Queue[Any] = queue.Queue()
        self._closed: queue.Queue[None] = queue.Queue()

    @property
    def handlers(self) -> dict[str, Any]:
        """Return what the client's methods take."""
        return {
            "on_stream_event": self._events.put,
            "on_stream_error": lambda _: True,
            "on_stream_closed": lambda: self._closed.put(None),
        }

    def next(self) -> Any:
        """Return the next event, waiting for it."""
        return self._events.get(timeout=WAIT)

    def wait_closed(self) -> None:
        """Wait until the stream is closed."""
        self._closed.get(timeout=WAIT)

    @property
    def is_silent(self) -> bool:
        """Whether nothing has come that was not taken, and nothing was closed."""
        return self._events.empty() and self._closed.empty()
