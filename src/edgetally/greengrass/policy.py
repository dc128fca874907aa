"""The policy that would have allowed what a nucleus denied."""

from __future__ import annotations

import json

_SERVICES = {
    "PublishToTopic": "aws.greengrass.ipc.pubsub",
    "SubscribeToTopic": "aws.greengrass.ipc.pubsub",
    "PublishToIoTCore": "aws.greengrass.ipc.mqttproxy",
    "SubscribeToIoTCore": "aws.greengrass.ipc.mqttproxy",
    "GetSecretValue": "aws.greengrass.SecretManager",
    "UpdateThingShadow": "aws.greengrass.ShadowManager",
}


INTERPOLATION = (
    "on a Java nucleus, set interpolateComponentConfiguration of aws.greengrass.Nucleus to true"
)
"""What policies that name `{iot:thingName}` need there: without it they allow nothing."""


def needs_interpolation(operation: str, *, fills_in: bool) -> bool:
    """Whether the default policy for an operation may lack that; fills_in: as lite always does.

    The default policies name the thing in all resources but those of secrets.
    """
    return not fills_in and operation != "GetSecretValue"


def allowing(component: str, operation: str, resource: str) -> str | None:
    """Return the lines of a configuration that allow an operation; None where none does.

    They have a name of their own, so that merging them into a deployment leaves others alone.
    """
    service = _SERVICES.get(operation)
    if service is None:
        return None
    policy = {
        "policyDescription": f"{operation} {resource}",
        "operations": [f"aws.greengrass#{operation}"],
        "resources": [resource],
    }
    name = f"{component}:{operation}:{resource}"
    return json.dumps({"accessControl": {service: {name: policy}}}, indent=2, ensure_ascii=False)
