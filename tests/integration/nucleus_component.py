"""A component of the stand-in nucleus, as the tests of the link need it."""

from __future__ import annotations

import queue
from typing import TYPE_CHECKING, Any

from edgetally.greengrass import NucleusLink, Patience

if TYPE_CHECKING:
    from edgetally.nucleus import Nucleus

NAME = "io.edgetally.Counter"
_ALL = {
    "aws.greengrass.ipc.pubsub": {
        f"{NAME}:pubsub:1": {
            "operations": ["aws.greengrass#PublishToTopic", "aws.greengrass#SubscribeToTopic"],
            "resources": ["edgetally/*"],
        }
    },
    "aws.greengrass.ipc.mqttproxy": {
        f"{NAME}:mqttproxy:1": {
            "operations": ["aws.greengrass#PublishToIoTCore", "aws.greengrass#SubscribeToIoTCore"],
            "resources": ["edgetally/#"],
        }
    },
    "aws.greengrass.ShadowManager": {
        f"{NAME}:shadow": {
            "operations": ["aws.greengrass#UpdateThingShadow"],
            "resources": ["$aws/things/*/shadow/name/edgetally"],
        }
    },
    "aws.greengrass.ipc.componentmetric": {
        f"{NAME}:metrics": {
            "operations": ["aws.greengrass#PutComponentMetric"],
            "resources": ["*"],
        }
    },
}
QUICK = Patience(
    answer=2.0,
    first_retry=0.02,
    longest_retry=0.1,
    denied=0.2,
    check_local=0.1,
    check_cloud=0.1,
    echo=0.2,
    deaf=0.2,
    renewal=600.0,
    configuration=0.2,
    quiet=0.05,
    refused=0.3,
    life=0.5,
)


def recipe(configuration: dict[str, Any] | None = None) -> dict[str, Any]:
    return {
        "RecipeFormatVersion": "2020-01-25",
        "ComponentName": NAME,
        "ComponentVersion": "1.0.0",
        "ComponentConfiguration": {
            "DefaultConfiguration": {"accessControl": _ALL} | (configuration or {})
        },
        "Manifests": [{"Platform": {"os": "linux", "runtime": "*"}, "Lifecycle": {}}],
    }


def link_to(nucleus: Nucleus, patience: Patience = QUICK) -> NucleusLink:
    return NucleusLink(
        component=NAME,
        socket=nucleus.socket,
        token=nucleus.token_for(NAME),
        patience=patience,
        keys=("model", "cameras", "cameraParts"),
    )


class Ears(queue.SimpleQueue[tuple[str, bytes]]):
    """What was heard, in order; called as a link calls who hears."""

    def __call__(self, topic: str, body: bytes) -> None:
        self.put((topic, body))
