"""The parts of the link that need no nucleus: policies, sizes, changes, echoes, deadlines."""

from __future__ import annotations

import json
import queue
from concurrent.futures import Future
from pathlib import Path

import pytest
from awscrt.exceptions import AwsCrtError  # type: ignore[import-untyped]
from awsiot.eventstreamrpc import ConnectionClosedError, UnmappedDataError  # type: ignore[import-untyped]
from awsiot.greengrasscoreipc import model  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st

from edgetally.config import parse_config
from edgetally.errors import EdgetallyError, InputError
from edgetally.greengrass import Deadlines, DeniedError, OptionalOperationError, Patience
from edgetally.greengrass.backoff import Backoff
from edgetally.greengrass.configuration_watch import ConfigurationWatch
from edgetally.greengrass.failure import LostError, UnknownHereError, explained, not_connected
from edgetally.greengrass.frame import LARGEST_FRAME, frame_size
from edgetally.greengrass.operation import Operation
from edgetally.greengrass.policy import allowing
from edgetally.messaging.transports.echoes import Echoes

TOPIC = "edgetally/dock-1/door/events"


@pytest.mark.parametrize(
    ("operation", "service"),
    [
        ("PublishToTopic", "aws.greengrass.ipc.pubsub"),
        ("SubscribeToTopic", "aws.greengrass.ipc.pubsub"),
        ("PublishToIoTCore", "aws.greengrass.ipc.mqttproxy"),
        ("SubscribeToIoTCore", "aws.greengrass.ipc.mqttproxy"),
        ("GetSecretValue", "aws.greengrass.SecretManager"),
    ],
)
def test_a_policy_allows_what_was_denied_and_nothing_else(operation: str, service: str) -> None:
    lines = allowing("io.edgetally.Counter", operation, TOPIC)
    assert lines is not None
    ((name, policies),) = json.loads(lines)["accessControl"].items()
    (policy,) = policies.values()
    assert name == service
    assert policy["operations"] == [f"aws.greengrass#{operation}"]
    assert policy["resources"] == [TOPIC]


def test_what_needs_no_policy_gets_none() -> None:
    assert allowing("io.edgetally.Counter", "UpdateState", "RUNNING") is None


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (model.UnauthorizedError(), DeniedError, "denies PublishToTopic t (UnauthorizedError)"),
        (model.ServiceError(), EdgetallyError, "fails at PublishToTopic t: ServiceError"),
        (model.ServiceError(message="why"), EdgetallyError, "ServiceError: why"),
        (ConnectionClosedError(""), LostError, "connection lost at PublishToTopic t"),
        (RuntimeError("4104 (CLOSED)"), LostError, "RuntimeError: 4104 (CLOSED)"),
        (AwsCrtError(1051, "AWS_IO_SOCKET_CLOSED", "closed"), LostError, "connection lost"),
    ],
)
def test_an_error_is_told_by_class_operation_and_topic(
    error: Exception, kind: type[EdgetallyError], text: str
) -> None:
    told = explained(error, Operation.PUBLISH_LOCAL, "t")
    assert type(told) is kind
    assert text in str(told)


@pytest.mark.parametrize("error", [model.ServiceError(), UnmappedDataError("unknown")])
def test_an_optional_operation_may_be_missing(error: Exception) -> None:
    assert isinstance(explained(error, Operation.READ_SECRET, "arn"), OptionalOperationError)


@pytest.mark.parametrize("operation", [Operation.READ_SECRET, Operation.VALIDATE])
def test_who_says_why_an_optional_operation_fails_has_it(operation: Operation) -> None:
    told = explained(model.ServiceError(message="busy"), operation, "r")
    assert type(told) is EdgetallyError
    assert str(told) == f"greengrass fails at {operation} r: ServiceError: busy"


def test_a_secret_that_was_not_configured_is_told_from_a_nucleus_without_secrets() -> None:
    error = model.ResourceNotFoundError(message="Secret not configured arn", resource_type="secret")
    told = explained(error, Operation.READ_SECRET, "arn")
    assert type(told) is EdgetallyError
    assert str(told) == (
        "the nucleus has no secret arn; add it to cloudSecrets of aws.greengrass.SecretManager"
    )


def test_a_nucleus_that_hangs_up_does_not_know_us() -> None:
    hung_up = not_connected(AwsCrtError(1051, "AWS_IO_SOCKET_CLOSED", "closed"), Path("s"))
    assert isinstance(hung_up, UnknownHereError)
    away = not_connected(RuntimeError("44 (AWS_ERROR_FILE_INVALID_PATH): no"), Path("s"))
    assert not isinstance(away, UnknownHereError)


@given(st.text(min_size=1, max_size=100), st.integers(0, 7500))
def test_a_message_that_passes_fits_into_a_frame(topic: str, size: int) -> None:
    """The frame: prelude, headers with their names, JSON around topic and base64, checksum."""
    body = json.dumps({"topicName": topic, "qos": "1", "payload": "A" * (4 * ((size + 2) // 3))})
    headers = {
        ":message-type": "0000",
        ":message-flags": "0000",
        ":stream-id": "0000",
        "operation": "aws.greengrass#PublishToIoTCore",
        ":content-type": "application/json",
        "service-model-type": "aws.greengrass#PublishToIoTCoreRequest",
    }
    frame = 16 + len(body) + sum(len(key) + len(value) + 4 for key, value in headers.items())
    if frame_size(topic, bytes(size)) <= LARGEST_FRAME:
        assert frame <= LARGEST_FRAME


def test_the_largest_body_fits_with_the_longest_topic() -> None:
    assert frame_size("x" * 256, bytes(7000)) <= LARGEST_FRAME


def test_a_change_is_told_when_it_is_quiet() -> None:
    watch = ConfigurationWatch(Patience(quiet=1.0))
    assert not watch.has_changed(0)
    watch.word(0)
    watch.word(0.9)
    assert not watch.has_changed(1.5)
    assert watch.has_changed(1.9)
    assert not watch.has_changed(9)


def test_the_configuration_is_looked_at_now_and_then_once_it_is_known() -> None:
    watch = ConfigurationWatch(Patience(configuration=60.0))
    assert not watch.should_look(0)
    assert not watch.read({"a": 1})
    assert not watch.should_look(59)
    assert watch.should_look(60)
    assert not watch.should_look(61)
    assert not watch.read({"a": 1})
    assert watch.read({"a": 2})
    watch.look_soon()
    assert watch.should_look(62)


def test_what_is_heard_ends_all_that_wait_for_it() -> None:
    echoes = Echoes()
    futures: list[Future[None]] = [Future(), Future(), Future()]
    assert echoes.expect(TOPIC, b"1", futures[0])
    assert echoes.expect(TOPIC, b"1", futures[1])
    assert echoes.expect(TOPIC, b"2", futures[2])
    assert echoes.heard("other", b"1") == []
    assert echoes.heard(TOPIC, b"1") == futures[:2]
    assert echoes.heard(TOPIC, b"1") == []
    assert echoes.heard(TOPIC, b"2") == futures[2:]


def test_what_is_heard_late_is_known_once() -> None:
    echoes, future = Echoes(), Future[None]()
    echoes.expect(TOPIC, b"1", future)
    echoes.give_up(TOPIC, b"1", future)
    echoes.give_up(TOPIC, b"1", future)
    assert echoes.heard(TOPIC, b"1") == []
    assert not echoes.expect(TOPIC, b"1", future)
    assert echoes.expect(TOPIC, b"1", future)


def test_what_was_given_up_is_not_remembered_for_ever() -> None:
    echoes = Echoes()
    for number in range(1001):
        future: Future[None] = Future()
        echoes.expect(TOPIC, b"%d" % number, future)
        echoes.give_up(TOPIC, b"%d" % number, future)
    for number in (0, 1000):
        echoes.heard(TOPIC, b"%d" % number)
    assert echoes.expect(TOPIC, b"0", Future())
    assert not echoes.expect(TOPIC, b"1000", Future())


def test_retries_come_ever_more_seldom_and_by_chance() -> None:
    backoff = Backoff(0.1, 1.0)
    for longest in (0.1, 0.2, 0.4, 0.8, 1.0, 1.0):
        assert longest / 2 <= backoff.next() <= longest
    backoff.reset()
    assert backoff.next() <= 0.1


def test_futures_that_nobody_ends_are_called_late_in_their_order() -> None:
    deadlines = Deadlines("test")
    late: queue.SimpleQueue[str] = queue.SimpleQueue()
    futures: dict[str, Future[None]] = {name: Future() for name in ("slow", "quick", "done")}
    futures["done"].set_result(None)
    for name, seconds in (("slow", 0.2), ("quick", 0.05), ("done", 0.01)):
        deadlines.watch(futures[name], seconds, lambda name=name: late.put(name))  # type: ignore[misc]
    assert [late.get(timeout=5), late.get(timeout=5)] == ["quick", "slow"]
    deadlines.close()
    assert late.empty()


def configured(**transport: object) -> object:
    content = {
        "model": {"path": "models/demo/bundle"},
        "cameras": [{"name": "door", "source": "a.mp4"}],
        "publish": {"transports": [{"type": "greengrass", **transport}]},
    }
    return parse_config(content, "test").publish.transports[0]


def test_a_transport_of_its_own_needs_nothing_but_its_type() -> None:
    found = configured()
    assert (found.local, found.iot_core, found.delivery) == (True, True, "echoed")  # type: ignore[attr-defined]
    found = configured(local="false", delivery="accepted")
    assert (found.local, found.delivery) == (False, "accepted")  # type: ignore[attr-defined]


def test_one_that_leads_nowhere_is_refused() -> None:
    with pytest.raises(InputError, match="local and iotCore are both off"):
        configured(local=False, iotCore=False)
