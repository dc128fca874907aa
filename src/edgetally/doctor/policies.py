"""What a nucleus allows us: to hear what we listen to, and to speak."""

from __future__ import annotations

import json
import threading
import uuid
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgetally.doctor.finding import ok, wrong
from edgetally.errors import EdgetallyError
from edgetally.greengrass.failure import DeniedError
from edgetally.greengrass.policy import INTERPOLATION, allowing, needs_interpolation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future

    from edgetally.config import GreengrassTransport
    from edgetally.doctor.finding import Finding
    from edgetally.greengrass import NucleusLink, Subscription
    from edgetally.messaging.topics import Topics

_ANSWER = 5.0  # seconds
_ECHO = 10.0


@dataclass(frozen=True)
class _Way:
    """One way for messages. operations: to publish, and to subscribe, as policies name them."""

    name: str
    operations: tuple[str, str]
    publish: Callable[[str, bytes], Future[None]]
    subscribe: Callable[[str, Callable[[str, bytes], None]], Subscription]
    heard: tuple[str, ...]
    remedy: str


def policies(
    link: NucleusLink, topics: Topics, transport: GreengrassTransport
) -> Iterator[Finding]:
    """Subscribe to what is heard, and speak to ourselves; nobody else hears anything of it."""
    for way in _ways(link, topics, transport):
        subject = f"policy {way.name}"
        publishing, subscribing = way.operations
        body = f"doctor {uuid.uuid4()}".encode()
        came = threading.Event()

        def hear(_: str, heard: bytes, body: bytes = body, came: threading.Event = came) -> None:
            if heard == body:
                came.set()

        made = {topic: way.subscribe(topic, hear).made for topic in way.heard}
        problems = [_problem(link, subscribing, *each) for each in made.items()]
        problems.append(
            _problem(link, publishing, topics.loopback, way.publish(topics.loopback, body))
        )
        refused = [wrong(subject, *problem) for problem in problems if problem is not None]
        if refused:
            yield from refused
        elif came.wait(_ECHO):
            yield ok(subject, f"allows {publishing} and {subscribing}, and we hear ourselves")
        else:
            yield wrong(
                subject,
                f"what we publish to {topics.loopback} does not come back in {_ECHO:g} s",
                way.remedy,
            )


def _ways(link: NucleusLink, topics: Topics, transport: GreengrassTransport) -> Iterator[_Way]:
    heard = (topics.loopback, topics.inference_request, topics.inventory_set, topics.model_set)
    if transport.local:
        yield _Way(
            "local",
            ("PublishToTopic", "SubscribeToTopic"),
            link.publish_local,
            link.subscribe_local,
            heard,
            "see the nucleus's log",
        )
    if transport.iot_core:
        echoed = (topics.events("+"),) if transport.delivery == "echoed" else ()
        yield _Way(
            "AWS IoT Core",
            ("PublishToIoTCore", "SubscribeToIoTCore"),
            link.publish_cloud,
            link.subscribe_cloud,
            heard + echoed,
            "see that the device is online and that its AWS IoT policy has iot:Publish, "
            "iot:Subscribe and iot:Receive for it",
        )


def _problem(
    link: NucleusLink, operation: str, topic: str, answer: Future[None]
) -> tuple[str, str] | None:
    """Return why something can't be done, and the remedy; None where it can."""
    try:
        answer.result(_ANSWER)
    except DeniedError as error:
        lines = json.loads(allowing(link.component, operation, topic) or "{}")
        lines = json.dumps(lines, ensure_ascii=False)
        interpolation = needs_interpolation(operation, fills_in=link.fills_in)
        first = f"{INTERPOLATION}; else " if interpolation else ""
        return str(error), f"{first}merge into the component's configuration: {lines}"
    except EdgetallyError as error:
        return " ".join(str(error).split()), "see the nucleus's log"
    except FutureTimeoutError:
        return f"{operation} {topic}: no answer in {_ANSWER:g} s", "see the nucleus's log"
    return None
