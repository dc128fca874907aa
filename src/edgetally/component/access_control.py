"""What the counter may do on a nucleus: use its topics, secrets, shadow and metrics; no more."""

from __future__ import annotations

from typing import Any

from edgetally.component.names import COUNTER
from edgetally.config.publish import PublishConfig
from edgetally.messaging.shadow import SHADOW
from edgetally.messaging.topics import Topics

_LOCAL = "aws.greengrass.ipc.pubsub"
_CLOUD = "aws.greengrass.ipc.mqttproxy"
_SECRETS = "aws.greengrass.SecretManager"
_SHADOWS = "aws.greengrass.ShadowManager"
_METRICS = "aws.greengrass.ipc.componentmetric"
_THING = "{iot:thingName}"
_USUAL_PREFIX = PublishConfig().topic_prefix
_OUR_SECRETS = "arn:*:secretsmanager:*:*:secret:edgetally/*"


def access_control(prefix: str, thing: str = _THING) -> dict[str, Any]:
    """Return the policies for topics with this first part, of this thing; else of whichever it is.

    What may still wait under the usual topics from before others were configured may leave, too.
    The shadow is that of the core device's own thing, whatever its name in topics is.

    Local policies know `*`, those of AWS IoT Core the wildcards of MQTT. Secrets are those whose
    name begins with "edgetally/".
    """
    topics = Topics(prefix, thing)
    local, cloud = _said(topics, "*"), _said(topics, "+")
    heard, echoes = _heard(topics), [topics.events("+")]
    usual = Topics(_USUAL_PREFIX, _THING)
    if topics != usual:  # a wildcard each, for what nucleus lite has room for
        local.append(f"{usual.prefix}/{usual.thing}/*")
        cloud.append(f"{usual.prefix}/{usual.thing}/#")
        echoes.append(usual.events("+"))
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
        _SHADOWS: _policy(
            "shadow",
            "Tell how it is.",
            "UpdateThingShadow",
            [f"$aws/things/{_THING}/shadow/name/{SHADOW}"],
        ),
        # Nucleus lite, which lacks it, has little room for what this would be described with.
        _METRICS: _policy("metrics", None, "PutComponentMetric", ["*"]),
    }


def _said(topics: Topics, any_: str) -> list[str]:
    """Return what is published to; any_: what stands for any name, such as a camera's."""
    return [
        topics.detections(any_),
        topics.events(any_),  # of stock, too
        topics.inventory,
        f"{topics.prefix}/{topics.thing}/{any_}/response",
        topics.health,
        topics.loopback,
    ]


def _heard(topics: Topics) -> list[str]:
    return [topics.inventory_set, topics.inference_request, topics.model_set, topics.loopback]


def _policy(
    name: str, description: str | None, operation: str, resources: list[str]
) -> dict[str, Any]:
    described = {} if description is None else {"policyDescription": description}
    allowed = {"operations": [f"aws.greengrass#{operation}"], "resources": resources}
    return {f"{COUNTER}:{name}": described | allowed}
