"""Calls to the nucleus that nothing hangs on, beside those that show whether it is there."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

import pytest
from awsiot.greengrasscoreipc.model import (  # type: ignore[import-untyped]
    ServiceError,
    UnauthorizedError,
)

from edgetally.errors import EdgetallyError
from edgetally.greengrass.calls import Calls
from edgetally.greengrass.client import NucleusClient
from edgetally.greengrass.failure import DeniedError, LostError, OptionalOperationError
from edgetally.greengrass.operation import Operation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SHADOW, METRICS = Operation.UPDATE_SHADOW, Operation.PUT_METRICS


@pytest.fixture
def client(tmp_path: Path) -> NucleusClient:
    return NucleusClient(tmp_path / "ipc.socket", None, lambda _: None)


class Unanswered(list[str]):
    """What was not answered, and when it was told."""

    def __init__(self) -> None:
        super().__init__()
        self.told = threading.Event()

    def __call__(self, _: NucleusClient, reason: str) -> None:
        self.append(reason)
        self.told.set()


@pytest.fixture
def unanswered() -> Unanswered:
    return Unanswered()


@pytest.fixture
def calls(unanswered: Unanswered) -> Iterator[Calls]:
    calls = Calls("io.example", 0.05, unanswered, fills_in=False)
    yield calls
    calls.close()


def failing(error: Exception) -> Callable[[NucleusClient], Future[Any]]:
    failed: Future[Any] = Future()
    failed.set_exception(error)
    return lambda _: failed


def never(_: NucleusClient) -> Future[Any]:
    raise AssertionError("it is asked")


def test_a_shadow_that_is_not_taken_does_not_cost_the_connection(
    calls: Calls, client: NucleusClient, unanswered: Unanswered
) -> None:
    with pytest.raises(LostError, match="no answer at UpdateThingShadow s in"):
        calls.begin(client, SHADOW, "s", lambda _: Future()).result(5)
    with pytest.raises(LostError):
        calls.begin(client, Operation.PUBLISH_LOCAL, "t", lambda _: Future()).result(5)
    assert unanswered.told.wait(5)
    assert len(unanswered) == 1
    assert "PublishToTopic" in unanswered[0]


@pytest.mark.parametrize("operation", [SHADOW, METRICS])
def test_what_is_not_there_is_asked_for_once_a_connection(
    calls: Calls, client: NucleusClient, tmp_path: Path, operation: Operation
) -> None:
    with pytest.raises(OptionalOperationError):
        calls.begin(client, operation, "", failing(ServiceError())).result(5)
    with pytest.raises(OptionalOperationError):
        calls.begin(client, operation, "", never).result(5)
    other = NucleusClient(tmp_path, None, lambda _: None)
    done: Future[Any] = Future()
    done.set_result(None)
    calls.begin(other, operation, "", lambda _: done).result(5)


def test_who_says_why_it_fails_has_it_and_is_asked_again(
    calls: Calls, client: NucleusClient
) -> None:
    busy = ServiceError(message="Too Many Requests")
    for _ in range(2):
        with pytest.raises(EdgetallyError, match=r"fails at UpdateThingShadow s: .*Too Many"):
            calls.begin(client, SHADOW, "s", failing(busy)).result(5)


@pytest.mark.parametrize(
    ("operation", "is_told"), [(Operation.READ_SECRET, False), (Operation.PUBLISH_CLOUD, True)]
)
def test_interpolation_is_told_of_where_our_policies_name_the_thing(
    operation: Operation,
    is_told: bool,
    calls: Calls,
    client: NucleusClient,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with pytest.raises(DeniedError):
        calls.begin(client, operation, "r", failing(UnauthorizedError())).result(5)
    (told,) = caplog.messages
    assert ("interpolateComponentConfiguration" in told) == is_told
    assert "this in the component's configuration allows it" in told


def test_metrics_that_are_denied_are_put_no_more_and_shadows_are(
    calls: Calls, client: NucleusClient, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(DeniedError):
        calls.begin(client, METRICS, "", failing(UnauthorizedError())).result(5)
    assert not caplog.messages
    other = NucleusClient(tmp_path, None, lambda _: None)
    with pytest.raises(DeniedError):
        calls.begin(other, METRICS, "", never).result(5)
    with pytest.raises(DeniedError):
        calls.begin(client, SHADOW, "s", failing(UnauthorizedError())).result(5)
    done: Future[Any] = Future()
    done.set_result(None)
    calls.begin(client, SHADOW, "s", lambda _: done).result(5)
    (told,) = caplog.messages
    assert '"aws.greengrass#UpdateThingShadow"' in told
