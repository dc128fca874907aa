"""What the counter may do on a nucleus: use its topics and its secrets, and nothing else."""

from __future__ import annotations

from typing import Any

from edgetally.component.names import COUNTER
from edgetally.messaging.topics import Topics

_LOCAL = "aws.greengrass.ipc.pubsub"
_CLOUD = "aws.greengrass.ipc.mqttproxy"
_SECRETS = "aws.greengrass.SecretManager"
_THING = "{iot:thingName}"
_OUR_SECRETS = "arn:*:secretsmanager:*:*:secret:edgetally/*"


def access_control(prefix: str) -> dict[str, Any]:
    """Return the policies for topics with this first part, of whichever thing it runs on.

    Local policies know `*`, those of AWS IoT Core the wildcards of MQTT. Secrets are those whose
    name begins with "edgetally/".
    """
    local, cloud = _said(prefix, "*"), _said(prefix, "+")
    heard, echoes = _heard(prefix), [Topics(prefix, _THING).events("+")]
    return {
        _LOCAL: {
            **_policy("pubsub:publish", "Tell other components.", "PublishToTopic", local),
            **_policy("pubsub:subscribe", "Hear requests.", "SubscribeToTopic", heard),
        },
        _CLOUD: {
            **_policy("mqttproxy:publish", "Tell AWS IoT Core.", "PublishToIoTCore", cloud),
            **_policy(
                "mqttproxy:subscribe",
                "Hear requests, and count events that arrived.",
                "SubscribeToIoTCore",
                [*heard, *echoes],
            ),
        },
        _SECRETS: _policy("secrets", "Cameras' credentials.", "GetSecretValue", [_OUR_SECRETS]),
    }


def _said(prefix: str, any_: str) -> list[str]:
    """Return what is published to; any_: what stands for any name, such as a camera's."""
    topics = Topics(prefix, _THING)
    return [
        topics.detections(any_),
        topics.events(any_),  # of stock, too
        topics.inventory,
        f"{prefix}/{_THING}/{any_}/response",
        topics.health,
        topics.loopback,
    ]


def _heard(prefix: str) -> list[str]:
    topics = Topics(prefix, _THING)
    return [topics.inventory_set, topics.inference_request, topics.model_set, topics.loopback]


def _policy(name: str, description: str, operation: str, resources: list[str]) -> dict[str, Any]:
    return {
        f"{COUNTER}:{name}": {
            "policyDescription": description,
            "operations": [f"aws.greengrass#{operation}"],
            "resources": resources,
        }
    }
