"""The page on MQTT: its policy allows what the device does, its configuration is one."""

from __future__ import annotations

import json
import re
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
import yaml

from edgetally.config import parse_config
from edgetally.messaging.topics import Topics

_PAGE = (Path(__file__).parents[2] / "docs" / "mqtt.md").read_text(encoding="utf-8")
_TOPICS = Topics("edgetally", "dock-1")
_PUBLISHED = (
    _TOPICS.detections("door"),
    _TOPICS.events("door"),
    _TOPICS.inventory,
    _TOPICS.stock_events,
    _TOPICS.inventory_response,
    _TOPICS.health,
    _TOPICS.inference_response,
    _TOPICS.model_response,
)
_HEARD = (_TOPICS.inference_request, _TOPICS.inventory_set, _TOPICS.model_set)


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", _PAGE, re.DOTALL)
    assert found
    return found[1]


def allowed(action: str, resource: str) -> bool:
    """Whether the policy allows a connected device an action."""
    for statement in json.loads(block("json"))["Statement"]:
        named = statement["Resource"]
        for each in [named] if isinstance(named, str) else named:
            pattern = each.split(":", 5)[5].replace("${iot:Connection.Thing.ThingName}", "dock-1")
            if statement["Action"] == action and fnmatchcase(resource, pattern):
                return True
    return False


@pytest.mark.parametrize("topic", _PUBLISHED)
def test_the_policy_lets_the_device_publish(topic: str) -> None:
    assert allowed("iot:Publish", f"topic/{topic}")
    assert not allowed("iot:Publish", f"topic/{topic.replace('dock-1', 'dock-2')}")
    assert not allowed("iot:Receive", f"topic/{topic}")


@pytest.mark.parametrize("topic", _HEARD)
def test_the_policy_lets_the_device_hear(topic: str) -> None:
    assert allowed("iot:Subscribe", f"topicfilter/{topic}")
    assert allowed("iot:Receive", f"topic/{topic}")
    assert not allowed("iot:Publish", f"topic/{topic}")


def test_the_configuration_is_one() -> None:
    content = {
        "model": {"path": "models/demo/bundle"},
        "cameras": [{"name": "door", "source": "a.mp4"}],
    }
    config = parse_config(content | yaml.safe_load(block("yaml")), "docs/mqtt.md")
    assert config.publish.transports[0].type == "mqtt"
