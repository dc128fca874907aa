"""What a component's `accessControl` allows.

A policy allows operations on resources. `*` stands for any characters; in resources of IoT Core
`+` and `#` stand for what they do in a topic filter. `${*}`, `${?}` and `${$}` are the characters
themselves. A request for a topic filter is compared character by character.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from edgetally.nucleus.topics import matches

if TYPE_CHECKING:
    from collections.abc import Callable

PUBSUB = "aws.greengrass.ipc.pubsub"
IOT_CORE = "aws.greengrass.ipc.mqttproxy"
SECRETS = "aws.greengrass.SecretManager"
SHADOWS = "aws.greengrass.ShadowManager"
METRICS = "aws.greengrass.ipc.componentmetric"

_SERVICES = {
    "PublishToTopic": PUBSUB,
    "SubscribeToTopic": PUBSUB,
    "PublishToIoTCore": IOT_CORE,
    "SubscribeToIoTCore": IOT_CORE,
    "GetSecretValue": SECRETS,
    "GetThingShadow": SHADOWS,
    "UpdateThingShadow": SHADOWS,
    "PutComponentMetric": METRICS,
}
_PARTS = re.compile(r"\*|\$\{([*?$])\}")


def service_of(operation: str) -> str | None:
    """Return the service whose policies an operation needs; None where it needs none."""
    return _SERVICES.get(operation)


def is_allowed(policies: Any, operation: str, resource: str, fill: Callable[[str], str]) -> bool:
    """Whether an `accessControl` allows an operation, such as PublishToTopic, on a resource.

    fill: puts values in place of recipe variables, such as `{iot:thingName}`, where they are.
    """
    service = service_of(operation)
    of_service = policies.get(service) if isinstance(policies, dict) else None
    if not isinstance(of_service, dict):
        return False
    return any(
        isinstance(policy, dict)
        and _has(policy.get("operations"), operation)
        and any(
            matches_resource(fill(str(allowed)), resource, is_topic_filter=service == IOT_CORE)
            for allowed in _list(policy.get("resources"))
        )
        for policy in of_service.values()
    )


def matches_resource(allowed: str, resource: str, *, is_topic_filter: bool) -> bool:
    """Whether a policy's resource covers what a request names."""
    if pattern(allowed).fullmatch(resource):
        return True
    return is_topic_filter and (matches(allowed, resource) or allowed == resource)


def pattern(allowed: str) -> re.Pattern[str]:
    """Return a policy's resource as a regular expression."""
    expression = ""
    at = 0
    for part in _PARTS.finditer(allowed):
        expression += re.escape(allowed[at : part.start()])
        expression += ".*" if part[1] is None else re.escape(part[1])
        at = part.end()
    return re.compile(expression + re.escape(allowed[at:]), re.DOTALL)


def _has(operations: Any, operation: str) -> bool:
    return any(name in ("*", f"aws.greengrass#{operation}") for name in _list(operations))


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
