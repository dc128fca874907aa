"""The two nuclei: what each can, and what each can't.

lite's numbers were measured on Greengrass nucleus lite 2.6.0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

KindName = Literal["lite", "java"]


@dataclass(frozen=True)
class Kind:
    """What makes a nucleus of one kind."""

    name: KindName
    version: str
    socket: str
    """The name of its socket's file."""
    frame_limit: int
    """Bytes of a frame after its prelude; a larger one ends the connection."""
    small_json: bool
    """Whether JSON messages are limited, as `json_limits` tells."""
    from_cloud: int
    """Bytes of a message that IoT Core sends; a larger one is not delivered, without a word."""
    in_flight: int
    """Publishes of QoS 1 that wait for IoT Core's acknowledgement; one more is a ServiceError."""
    has_optional: bool
    """Secrets, metrics, validation of updates."""
    has_shadows: bool
    """Shadows of things, as on the Java nucleus once aws.greengrass.ShadowManager is deployed."""
    metrics_of_all: bool
    """Whether PutComponentMetric is for every component; else those whose name begins `aws.`."""
    errors_have_text: bool
    """Whether awsiotsdk can read what is wrong."""
    hears_own: bool
    """Whether RECEIVE_MESSAGES_FROM_OTHERS is ignored."""
    types_of_yaml: bool
    """Whether defaults in a YAML recipe keep their types, or are all strings."""
    spools: bool
    """Whether what is published to an IoT Core that is away is kept until it is back, and a
    subscription waits for it; else both are a ServiceError."""
    restarts_errored: bool
    """Whether a component that says that it is ERRORED is stopped, and started again."""
    interpolates: bool
    """Whether `accessControl` may name recipe variables, such as `{iot:thingName}`; the Java
    nucleus lets it with its option `interpolateComponentConfiguration`, false by default."""
    keeps_kinds: bool
    """Whether a value of a configuration is refused that is longer than `config.lite_value` says,
    or that would make a value of a map or a map of a value."""


LITE = Kind(
    name="lite",
    version="2.6.0",
    socket="gg-ipc.socket",
    frame_limit=10_000,
    small_json=True,
    from_cloud=4960,
    in_flight=10,
    has_optional=False,
    has_shadows=False,
    metrics_of_all=False,
    errors_have_text=False,
    hears_own=True,
    types_of_yaml=False,
    spools=False,
    restarts_errored=False,
    interpolates=True,
    keeps_kinds=True,
)
JAVA = Kind(
    name="java",
    version="2.15.0",
    socket="ipc.socket",
    frame_limit=16 << 20,
    small_json=False,
    from_cloud=128 << 10,
    in_flight=100_000,
    has_optional=True,
    has_shadows=True,
    metrics_of_all=False,
    errors_have_text=True,
    hears_own=False,
    types_of_yaml=True,
    spools=True,
    restarts_errored=True,
    interpolates=False,
    keeps_kinds=False,
)
KINDS: dict[KindName, Kind] = {"lite": LITE, "java": JAVA}
