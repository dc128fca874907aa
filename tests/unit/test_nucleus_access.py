"""What an accessControl allows, and which topics a filter stands for."""

from __future__ import annotations

from typing import Any

import pytest

from edgetally.nucleus.access import IOT_CORE, PUBSUB, is_allowed
from edgetally.nucleus.topics import is_filter, is_topic, matches


def _policies(
    service: str, resources: list[str], operations: list[str] | None = None
) -> dict[str, Any]:
    return {service: {"one": {"operations": operations or ["*"], "resources": resources}}}


def _fill(text: str) -> str:
    return text.replace("{iot:thingName}", "dock-1")


@pytest.mark.parametrize(
    ("allowed", "topic", "is_so"),
    [
        ("*", "anything/at/all", True),
        ("edgetally/{iot:thingName}/*", "edgetally/dock-1/events", True),
        ("edgetally/{iot:thingName}/*", "edgetally/dock-1/a/b/c", True),
        ("edgetally/{iot:thingName}/*", "edgetally/dock-1/#", True),
        ("edgetally/{iot:thingName}/*", "edgetally/dock-2/events", False),
        ("edgetally/*/events", "edgetally/dock-1/events", True),
        ("edgetally/*/events", "edgetally/dock-1/event", False),
        ("edgetally/#", "edgetally/dock-1", False),
        ("edgetally/#", "edgetally/#", True),
        ("a.c", "abc", False),
        ("literal/${*}", "literal/*", True),
        ("literal/${*}", "literal/x", False),
    ],
)
def test_a_local_topic_is_allowed_where_a_resource_with_stars_covers_it(
    allowed: str, topic: str, is_so: bool
) -> None:
    assert is_allowed(_policies(PUBSUB, [allowed]), "PublishToTopic", topic, _fill) == is_so


@pytest.mark.parametrize(
    ("allowed", "topic", "is_so"),
    [
        ("edgetally/#", "edgetally/dock-1/events", True),
        ("edgetally/+/events", "edgetally/dock-1/events", True),
        ("edgetally/+/events", "edgetally/dock-1/x/events", False),
        ("edgetally/#", "edgetally/#", True),
        ("edgetally/*", "edgetally/dock-1", True),
        ("edgetally/*/+/events", "edgetally/dock-1/x/events", False),  # they do not mix on lite
    ],
)
def test_at_iot_core_a_resource_may_also_be_a_topic_filter(
    allowed: str, topic: str, is_so: bool
) -> None:
    policies = _policies(IOT_CORE, [allowed])
    assert is_allowed(policies, "SubscribeToIoTCore", topic, _fill) == is_so


def test_only_the_operations_that_a_policy_names_are_allowed() -> None:
    policies = _policies(PUBSUB, ["*"], ["aws.greengrass#PublishToTopic"])
    assert is_allowed(policies, "PublishToTopic", "t", _fill)
    assert not is_allowed(policies, "SubscribeToTopic", "t", _fill)


def test_a_policy_of_one_service_allows_nothing_of_another() -> None:
    assert not is_allowed(_policies(PUBSUB, ["*"]), "PublishToIoTCore", "t", _fill)


@pytest.mark.parametrize(
    "policies",
    [None, {}, [], {PUBSUB: None}, {PUBSUB: {"one": {}}}, {PUBSUB: {"one": {"operations": "*"}}}],
)
def test_what_is_no_policy_allows_nothing(policies: Any) -> None:
    assert not is_allowed(policies, "PublishToTopic", "t", _fill)


@pytest.mark.parametrize(
    ("topic_filter", "topic", "does"),
    [
        ("a/b", "a/b", True),
        ("a/+", "a/b", True),
        ("a/+", "a/b/c", False),
        ("a/#", "a/b/c", True),
        ("a/#", "a", True),
        ("#", "a/b", True),
        ("#", "$aws/things", False),
        ("+/b", "/b", True),
        ("a/b/c", "a/b", False),
    ],
)
def test_a_filter_stands_for_the_topics_that_mqtt_says(
    topic_filter: str, topic: str, does: bool
) -> None:
    assert matches(topic_filter, topic) == does


def test_topics_have_256_characters_at_most_and_no_wildcards() -> None:
    assert is_topic("t" * 256)
    assert not is_topic("t" * 257)
    assert not is_topic("")
    assert not is_topic("a/+")
    assert is_filter("a/+/#")
    assert not is_filter("a/b+")
    assert not is_filter("a/#/b")
    assert not is_filter("t" * 257)
