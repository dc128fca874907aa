"""The page on Greengrass: its access control allows what edgetally does, and no more."""

from __future__ import annotations

import json
import re
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
import yaml

from edgetally.config import parse_config
from edgetally.messaging.topics import Topics

_PAGE = (Path(__file__).parents[2] / "docs" / "greengrass.md").read_text(encoding="utf-8")
_TOPICS = Topics("edgetally", "dock-1")
_PUBLISHED = (
    _TOPICS.detections("door"),
    _TOPICS.events("door"),
    _TOPICS.inventory,
    _TOPICS.stock_events,
    _TOPICS.inventory_response,
    _TOPICS.health,
    _TOPICS.inference_response,
    _TOPICS.loopback,
)
_HEARD = (_TOPICS.inference_request, _TOPICS.inventory_set, _TOPICS.loopback)


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", _PAGE, re.DOTALL)
    assert found
    return found[1]


def allowed(operation: str, topic: str) -> bool:
    """Whether the page's policies allow an operation on a topic of this thing."""
    cloud = operation.endswith("IoTCore")
    service = f"aws.greengrass.ipc.{'mqttproxy' if cloud else 'pubsub'}"
    return any(
        operations == [f"aws.greengrass#{operation}"]
        and any(_matches(each.replace("{iot:thingName}", "dock-1"), topic, cloud) for each in names)
        for operations, names in (
            (policy["operations"], policy["resources"])
            for policy in json.loads(block("json"))[service].values()
        )
    )


def _matches(resource: str, topic: str, cloud: bool) -> bool:
    """A resource of the cloud's is a topic filter, one of the device's has *."""
    if not cloud:
        return fnmatchcase(topic, resource)
    pattern = "[^/]+".join(map(re.escape, resource.split("+")))
    return re.fullmatch(pattern, topic) is not None


@pytest.mark.parametrize("operation", ["PublishToTopic", "PublishToIoTCore"])
@pytest.mark.parametrize("topic", _PUBLISHED)
def test_the_policies_let_edgetally_publish(operation: str, topic: str) -> None:
    assert allowed(operation, topic)
    assert not allowed(operation, topic.replace("dock-1", "dock-2"))


@pytest.mark.parametrize("operation", ["SubscribeToTopic", "SubscribeToIoTCore"])
@pytest.mark.parametrize("topic", _HEARD)
def test_the_policies_let_edgetally_hear(operation: str, topic: str) -> None:
    assert allowed(operation, topic)
    assert not allowed(operation, topic.replace("dock-1", "dock-2"))


def test_requests_can_not_be_made_by_edgetally_itself() -> None:
    for topic in _HEARD[:2]:
        assert not allowed("PublishToTopic", topic)
        assert not allowed("PublishToIoTCore", topic)


def test_events_can_be_heard_back() -> None:
    resource = "edgetally/{iot:thingName}/+/events"
    policies = json.loads(block("json"))["aws.greengrass.ipc.mqttproxy"]
    assert resource in policies["io.edgetally.Counter:mqttproxy:subscribe"]["resources"]


def test_the_configuration_is_one_and_has_the_defaults() -> None:
    content = {
        "model": {"path": "models/demo/bundle"},
        "cameras": [{"name": "door", "source": "a.mp4"}],
    }
    shown = parse_config(content | yaml.safe_load(block("yaml")), "docs/greengrass.md")
    bare = {"publish": {"transports": [{"type": "greengrass"}]}}
    assert shown.publish == parse_config(content | bare, "test").publish
