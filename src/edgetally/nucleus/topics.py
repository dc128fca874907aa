"""Topics and topic filters, as MQTT defines them (3.1.1, section 4.7)."""

from __future__ import annotations

LONGEST = 256  # characters of a topic, on either nucleus's local bus


def matches(topic_filter: str, topic: str) -> bool:
    """Whether a topic is one of those that a filter with + and # stands for.

    >>> matches("edgetally/+/events", "edgetally/dock/events")
    True
    """
    levels, wanted = topic.split("/"), topic_filter.split("/")
    if topic.startswith("$") and wanted[0] in ("#", "+"):
        return False
    for number, level in enumerate(wanted):
        if level == "#":
            return True
        if number >= len(levels) or level not in ("+", levels[number]):
            return False
    return len(levels) == len(wanted)


def is_topic(text: str) -> bool:
    """Whether one can publish to it."""
    return 0 < len(text) <= LONGEST and not any(char in text for char in "#+\0")


def is_filter(text: str) -> bool:
    """Whether one can subscribe to it."""
    if not 0 < len(text) <= LONGEST or "\0" in text:
        return False
    *upper, last = text.split("/")
    return all(level == "+" or not any(char in level for char in "+#") for level in upper) and (
        last in ("#", "+") or not any(char in last for char in "+#")
    )
