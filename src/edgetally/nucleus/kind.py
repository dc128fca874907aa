"""The two nuclei: what each can, and what each can't.

lite's numbers were measured on Greengrass nucleus lite 2.6.0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

KindName = Literal["lite", "java"]


@dataclass(frozen=True)
class Kind:
    """What makes a nucleus of one kind.

    frame_limit: bytes of a frame after its prelude; a larger one ends the connection.
    small_json: see `json_limits`. from_cloud: bytes of a message that IoT Core sends;
    a larger one is not delivered, and nobody is told. in_flight: publishes of QoS 1 that wait for
    IoT Core's acknowledgement; one more is a ServiceError. has_optional: thing shadows, secrets,
    metrics, validation of updates. errors_have_text: whether awsiotsdk can read what is wrong.
    hears_own: RECEIVE_MESSAGES_FROM_OTHERS is ignored. types_of_yaml: whether defaults in a
    YAML recipe keep their types, or are all strings. interpolates: whether `accessControl` may
    name recipe variables, such as `{iot:thingName}`; the Java nucleus lets it with its option
    `interpolateComponentConfiguration`, which is false by default.
    """

    name: KindName
    version: str
    frame_limit: int
    small_json: bool
    from_cloud: int
    in_flight: int
    has_optional: bool
    errors_have_text: bool
    hears_own: bool
    types_of_yaml: bool
    interpolates: bool


LITE = Kind(
    name="lite",
    version="2.6.0",
    frame_limit=10_000,
    small_json=True,
    from_cloud=4960,
    in_flight=10,
    has_optional=False,
    errors_have_text=False,
    hears_own=True,
    types_of_yaml=False,
    interpolates=True,
)
JAVA = Kind(
    name="java",
    version="2.15.0",
    frame_limit=16 << 20,
    small_json=False,
    from_cloud=128 << 10,
    in_flight=100_000,
    has_optional=True,
    errors_have_text=True,
    hears_own=False,
    types_of_yaml=True,
    interpolates=False,
)
KINDS: dict[KindName, Kind] = {"lite": LITE, "java": JAVA}
