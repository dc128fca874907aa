"""The link to a nucleus, over a real socket with the real client: what it lives through."""

from __future__ import annotations

import gc
import json
import logging
import queue
import re
import socket
import threading
import time
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from mosquitto_broker import wait_until
from nucleus_component import NAME, QUICK, Ears, link_to, recipe

from edgetally.errors import EdgetallyError, InputError
from edgetally.greengrass import (
    DeniedError,
    InvalidError,
    NucleusLink,
    OptionalOperationError,
)
from edgetally.nucleus import JAVA, Nucleus
from locked_folder import locked_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TOPIC = "edgetally/dock-1/door/events"
REQUEST = "edgetally/dock-1/inference/request"
LOOPBACK = "edgetally/dock-1/loopback"


@pytest.fixture
def nucleus(tmp_path: Path) -> Iterator[Nucleus]:
    with Nucleus(tmp_path / "nucleus", [recipe({"model": {"path": "a"}})]) as nucleus:
        yield nucleus


@pytest.fixture
def link(nucleus: Nucleus) -> Iterator[NucleusLink]:
    link = link_to(nucleus)
    link.open(5)
    yield link
    link.close()


def ready(link: NucleusLink) -> queue.SimpleQueue[None]:
    told: queue.SimpleQueue[None] = queue.SimpleQueue()
    link.add_ready(lambda: told.put(None))
    return told


def heard_anew(nucleus: Nucleus, ears: Ears, topic: str, timeout: float = 10.0) -> None:
    """Publish until it is heard, as others do who do not know when."""
    until = time.monotonic() + timeout
    while time.monotonic() < until:
        nucleus.publish_local(topic, b"again")
        try:
            assert ears.get(timeout=0.1) == (topic, b"again")
        except queue.Empty:
            continue
        return
    raise AssertionError("never heard")


def test_what_is_published_arrives_as_a_binary_message(nucleus: Nucleus, link: NucleusLink) -> None:
    link.publish_local(TOPIC, b'{"a":1}').result(5)
    link.publish_cloud(TOPIC, b'{"a":2}').result(5)
    (local,), (cloud,) = nucleus.published, nucleus.sent
    assert (local.topic, local.payload, local.is_json) == (TOPIC, b'{"a":1}', False)
    assert (cloud.topic, cloud.payload, cloud.qos) == (TOPIC, b'{"a":2}', 1)


def test_what_others_publish_is_heard_json_too(nucleus: Nucleus, link: NucleusLink) -> None:
    ears = Ears()
    link.subscribe_local(REQUEST, ears).made.result(5)
    link.subscribe_cloud(REQUEST, ears).made.result(5)
    nucleus.publish_local(REQUEST, b"\x00\xff")
    assert ears.get(timeout=5) == (REQUEST, b"\x00\xff")
    nucleus.publish_local(REQUEST, b'{"a": 1}', is_json=True)
    assert ears.get(timeout=5) == (REQUEST, b'{"a": 1}')
    nucleus.publish_from_cloud(REQUEST, b"cloud")
    assert ears.get(timeout=5) == (REQUEST, b"cloud")


def test_a_closed_subscription_hears_no_more(nucleus: Nucleus, link: NucleusLink) -> None:
    first, second = Ears(), Ears()
    subscription = link.subscribe_local(REQUEST, first)
    subscription.made.result(5)
    link.subscribe_local(REQUEST, second).made.result(5)
    subscription.close()
    nucleus.publish_local(REQUEST, b"1")
    assert second.get(timeout=5)
    assert first.empty()


def test_a_cut_connection_is_made_anew_with_its_subscriptions(
    nucleus: Nucleus, link: NucleusLink
) -> None:
    ears, again = Ears(), ready(link)
    link.subscribe_local(REQUEST, ears).made.result(5)
    nucleus.kill_connections()
    again.get(timeout=5)
    assert link.problem is None
    nucleus.publish_local(REQUEST, b"1")
    assert ears.get(timeout=5) == (REQUEST, b"1")
    link.publish_local(TOPIC, b"2").result(5)


def test_a_stale_token_is_followed_by_the_name(nucleus: Nucleus, link: NucleusLink) -> None:
    nucleus.accept_names("all")
    again = ready(link)
    for _ in range(3):
        nucleus.restart()
        again.get(timeout=5)
        link.publish_local(TOPIC, b"1").result(5)


def test_a_nucleus_that_is_away_for_a_while_is_waited_for(
    nucleus: Nucleus, link: NucleusLink
) -> None:
    nucleus.accept_names("all")
    again = ready(link)
    nucleus.go_away()
    wait_until(lambda: link.problem is not None, "nobody notices")
    with pytest.raises(EdgetallyError, match="greengrass: "):
        link.publish_local(TOPIC, b"1").result(5)
    nucleus.come_back()
    again.get(timeout=5)
    link.publish_local(TOPIC, b"2").result(5)
    assert not link.is_hopeless


def test_where_neither_token_nor_name_is_taken_it_is_hopeless_but_not_too_soon(
    nucleus: Nucleus,
) -> None:
    link = link_to(nucleus)
    despaired = threading.Event()
    link.on_hopeless(despaired.set)
    began = time.monotonic()
    link.open(5)
    nucleus.restart()
    assert despaired.wait(5)
    assert time.monotonic() - began >= QUICK.life
    assert link.is_hopeless
    assert link.problem is not None
    assert "does not take us" in link.problem
    link.close()


def test_where_no_nucleus_listens_opening_fails_in_time_and_names_the_socket(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    left = tmp_path / "left"
    with socket.socket(socket.AF_UNIX) as listening:  # it leaves its file behind
        listening.bind(str(left))
    for path in (tmp_path / "none", left):
        link = NucleusLink(component=NAME, socket=path, token="t", patience=QUICK)  # noqa: S106
        reason = f"greengrass: no nucleus listens at {path}; is it running?"
        with pytest.raises(EdgetallyError, match=f"^{re.escape(reason)}$"):
            link.open(0.3)
        assert [record.getMessage() for record in caplog.records] == [reason]
        caplog.clear()


def test_who_may_not_use_the_socket_is_told_so(tmp_path: Path) -> None:
    with locked_folder() as locked:
        link = NucleusLink(component=NAME, socket=locked / "s", token="t", patience=QUICK)  # noqa: S106
        with pytest.raises(EdgetallyError, match=f"this user may not use {locked}/s; run as"):
            link.open(0.3)


def test_a_nucleus_that_does_not_answer_is_named_by_its_socket(tmp_path: Path) -> None:
    path = tmp_path / "mute"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()
        link = NucleusLink(component=NAME, socket=path, token="t")  # noqa: S106
        with pytest.raises(EdgetallyError, match=f"no answer from {path} in time"):
            link.open(0.3)


def test_a_process_that_no_nucleus_started_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SVCUID", raising=False)
    monkeypatch.delenv("AWS_GG_NUCLEUS_DOMAIN_SOCKET_FILEPATH_FOR_COMPONENT", raising=False)
    with pytest.raises(InputError, match="no Greengrass nucleus started this process"):
        NucleusLink.from_environment()


def test_deaf_subscriptions_are_made_anew_locally(nucleus: Nucleus, link: NucleusLink) -> None:
    ears = Ears()
    link.loop_back(LOOPBACK)
    link.subscribe_local(REQUEST, ears).made.result(5)
    heard_anew(nucleus, ears, REQUEST)
    # It speaks to itself once it listens to itself.
    nucleus.wait(lambda: [message for message in nucleus.published if message.topic == LOOPBACK])
    nucleus.deafen()
    heard_anew(nucleus, ears, REQUEST)
    assert link.problem is None


def test_deaf_subscriptions_are_made_anew_in_the_cloud(nucleus: Nucleus, link: NucleusLink) -> None:
    ears, again = Ears(), ready(link)
    link.loop_back(LOOPBACK)
    link.subscribe_cloud(REQUEST, ears).made.result(5)
    nucleus.wait(lambda: [message for message in nucleus.sent if message.topic == LOOPBACK])
    nucleus.deafen()
    again.get(timeout=5)  # it tells that it hears again
    nucleus.publish_from_cloud(REQUEST, b"1")
    assert ears.get(timeout=5) == (REQUEST, b"1")


def test_calls_to_a_frozen_nucleus_end_in_time(nucleus: Nucleus, link: NucleusLink) -> None:
    again = ready(link)
    nucleus.freeze()
    began = time.monotonic()
    with pytest.raises(EdgetallyError, match=r"no answer at PublishToTopic .* in 2 s"):
        link.publish_local(TOPIC, b"1").result(5)
    assert time.monotonic() - began < 3
    nucleus.thaw()
    again.get(timeout=10)
    link.publish_local(TOPIC, b"2").result(5)


def test_what_is_denied_is_told_once_with_the_policy_that_allows_it(
    nucleus: Nucleus, link: NucleusLink, caplog: pytest.LogCaptureFixture
) -> None:
    nucleus.deny("PublishToTopic", TOPIC)
    for _ in range(3):
        with pytest.raises(DeniedError, match=f"PublishToTopic {TOPIC} .UnauthorizedError"):
            link.publish_local(TOPIC, b"1").result(5)
    told = [record.message for record in caplog.records if "denies" in record.message]
    assert len(told) == 1
    assert "interpolateComponentConfiguration" not in told[0]  # which lite needs not
    assert '"aws.greengrass#PublishToTopic"' in told[0]
    assert f'"resources": [\n          "{TOPIC}"' in told[0]
    link.publish_local(REQUEST, b"1").result(5)


def test_a_denied_subscription_is_tried_again(
    nucleus: Nucleus, link: NucleusLink, caplog: pytest.LogCaptureFixture
) -> None:
    nucleus.deny("SubscribeToTopic", REQUEST)
    ears = Ears()
    with pytest.raises(DeniedError):
        link.subscribe_local(REQUEST, ears).made.result(5)
    nucleus.allow("SubscribeToTopic", REQUEST)
    heard_anew(nucleus, ears, REQUEST)
    assert caplog.text.count("denies SubscribeToTopic") == 1


def test_a_broker_that_is_away_is_an_error_that_says_so(
    nucleus: Nucleus, link: NucleusLink
) -> None:
    nucleus.lose_cloud()
    with pytest.raises(EdgetallyError, match=r"fails at PublishToIoTCore .*: ServiceError"):
        link.publish_cloud(TOPIC, b"1").result(5)
    nucleus.find_cloud()
    link.publish_cloud(TOPIC, b"1").result(5)


def test_too_large_a_message_is_refused_before_it_costs_the_connection(
    nucleus: Nucleus, link: NucleusLink
) -> None:
    link.publish_local(TOPIC, b"x" * 7000).result(5)
    link.publish_cloud(TOPIC, b"x" * 7000).result(5)
    for publish in (link.publish_local, link.publish_cloud):
        with pytest.raises(InvalidError, match="too large"):
            publish(TOPIC, b"x" * 7500).result(5)
    assert link.problem is None


def test_the_configuration_is_read_and_watched(nucleus: Nucleus, link: NucleusLink) -> None:
    assert link.configuration() == {"model": {"path": "a"}}
    changed: queue.SimpleQueue[None] = queue.SimpleQueue()
    link.watch_configuration(lambda: changed.put(None))
    nucleus.configure(NAME, {"model": {"path": "b"}})
    changed.get(timeout=5)
    assert link.configuration() == {"model": {"path": "b"}}


def test_a_change_of_the_configuration_without_a_word_is_noticed(
    nucleus: Nucleus, link: NucleusLink
) -> None:
    link.configuration()
    changed: queue.SimpleQueue[None] = queue.SimpleQueue()
    link.watch_configuration(lambda: changed.put(None))
    nucleus.configure(NAME, {"model": {"path": "b"}})
    changed.get(timeout=5)
    link.configuration()
    nucleus.deafen()
    nucleus.configure(NAME, {"model": {"path": "c"}})
    changed.get(timeout=5)
    assert link.configuration() == {"model": {"path": "c"}}


def test_the_state_is_told_now_or_on_the_next_connection(
    nucleus: Nucleus, link: NucleusLink
) -> None:
    link.update_state("RUNNING")
    assert nucleus.states[-1] == (NAME, "RUNNING")
    nucleus.accept_names("all")
    nucleus.go_away()
    link.update_state("ERRORED")
    nucleus.come_back()
    nucleus.wait(lambda: nucleus.states[-1] == (NAME, "ERRORED"))


def test_a_nucleus_without_secrets_says_so(link: NucleusLink) -> None:
    with pytest.raises(OptionalOperationError, match=r"secret arn:aws.*give the secret in a file"):
        link.secret("arn:aws:secretsmanager:eu-west-1:1:secret:camera")


def test_a_nucleus_without_validation_is_missed_in_silence(
    nucleus: Nucleus, link: NucleusLink, caplog: pytest.LogCaptureFixture
) -> None:
    link.validate_updates(lambda _: "wrong")
    link.configuration()
    nucleus.configure(NAME, {"model": {"path": "b"}})
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_an_update_is_validated_before_it_is_deployed(tmp_path: Path) -> None:
    with Nucleus(tmp_path / "nucleus", [recipe({"a": 1})], kind=JAVA) as nucleus:
        link = link_to(nucleus)
        link.open(5)
        seen: list[dict[str, Any]] = []

        def check(configuration: dict[str, Any]) -> str | None:
            seen.append(configuration)
            return "a is two" if configuration["a"] == 2 else None

        link.validate_updates(check).made.result(5)
        with pytest.raises(EdgetallyError, match="a is two"):
            nucleus.configure(NAME, {"a": 2})
        nucleus.configure(NAME, {"a": 3})
        assert seen == [{"a": 2}, {"a": 3}]
        assert link.configuration() == {"a": 3}
        link.close()


def test_closing_with_open_streams_is_quick_and_quiet(
    nucleus: Nucleus, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    link = link_to(nucleus)
    link.open(5)
    for number in range(20):
        link.subscribe_local(f"{TOPIC}/{number}", Ears()).made.result(5)
    began = time.monotonic()
    link.close()
    assert time.monotonic() - began < 1
    assert capfd.readouterr() == ("", "")
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
    with pytest.raises(EdgetallyError, match="closed"):
        link.publish_local(TOPIC, b"1").result(5)


def test_no_secret_is_in_the_log(nucleus: Nucleus, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    token = nucleus.token_for(NAME)
    link = link_to(nucleus)
    link.open(5)
    nucleus.restart()
    wait_until(lambda: link.problem is not None, "nobody notices")
    link.close()
    assert token not in caplog.text


def test_a_subscription_that_died_alone_is_renewed_after_a_while(nucleus: Nucleus) -> None:
    """A nucleus lite ends one over a JSON message with a long list, and loses the message."""
    link = link_to(nucleus, replace(QUICK, renewal=0.3))
    link.open(5)
    ears = Ears()
    link.subscribe_local(REQUEST, ears).made.result(5)
    nucleus.publish_local(REQUEST, json.dumps({"list": [0] * 50}).encode(), is_json=True)
    heard_anew(nucleus, ears, REQUEST)
    link.close()


def test_a_renewed_subscription_hears_each_message_once(nucleus: Nucleus) -> None:
    link = link_to(nucleus, replace(QUICK, renewal=0.01))
    link.open(5)
    ears = Ears()
    link.subscribe_local(REQUEST, ears).made.result(5)
    for number in range(300):
        nucleus.publish_local(REQUEST, b"%d" % number)
    assert [ears.get(timeout=5) for _ in range(300)] == [
        (REQUEST, b"%d" % number) for number in range(300)
    ]
    assert ears.empty()
    link.close()


def test_calls_leave_nothing_behind(nucleus: Nucleus, link: NucleusLink) -> None:
    """A nucleus lite does not end a call's stream, and the client keeps those that are open."""

    def kept() -> int:
        gc.collect()
        return sum(type(each).__name__ == "ClientContinuation" for each in gc.get_objects())

    for _ in range(100):
        link.publish_local(TOPIC, b"1").result(5)
    wait_until(lambda: kept() < 10, "calls are kept")


def test_the_loopback_moves_with_its_topic(nucleus: Nucleus, link: NucleusLink) -> None:
    link.loop_back(LOOPBACK)
    link.subscribe_local(REQUEST, Ears()).made.result(5)
    for topic in (LOOPBACK, "edgetally/dock-2/loopback"):
        link.loop_back(topic)
        nucleus.wait(lambda: nucleus.published and nucleus.published[-1].topic == topic)  # noqa: B023


def test_a_configuration_that_is_too_large_for_one_answer_is_read_in_parts(
    nucleus: Nucleus, link: NucleusLink
) -> None:
    """The policies alone may fill an answer of nucleus lite."""
    lengthy = {f"note {number}": {"policyDescription": "long " * 50} for number in range(40)}
    nucleus.configure(NAME, {"accessControl": {"notes": lengthy}, "cameras": [{"name": "dock"}]})
    assert link.configuration() == {"model": {"path": "a"}, "cameras": [{"name": "dock"}]}


def test_a_configuration_that_can_not_be_read_in_parts_either_is_an_error(
    nucleus: Nucleus, link: NucleusLink
) -> None:
    nucleus.configure(NAME, {"cameraParts": {str(number): "dock" * 100 for number in range(40)}})
    with pytest.raises(EdgetallyError, match="greengrass fails at GetConfiguration cameraParts"):
        link.configuration()


def test_what_is_denied_while_we_are_being_stopped_is_one_line(
    nucleus: Nucleus, link: NucleusLink, caplog: pytest.LogCaptureFixture
) -> None:
    nucleus.deny("PublishToTopic")
    link.expect_end()
    for topic in (TOPIC, REQUEST):
        with pytest.raises(DeniedError):
            link.publish_local(topic, b"1").result(5)
    (line,) = [record.getMessage() for record in caplog.records if "denies" in record.message]
    assert line.startswith("the nucleus takes no more from us")


def test_policies_that_go_just_before_we_are_stopped_are_one_line(
    nucleus: Nucleus,
    link: NucleusLink,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("edgetally.greengrass.calls._LATER", 0.5)
    link.publish_local(TOPIC, b"1").result(5)
    nucleus.deny("PublishToTopic")
    with pytest.raises(DeniedError):
        link.publish_local(TOPIC, b"2").result(5)
    link.expect_end()
    wait_until(lambda: "the nucleus takes no more from us" in caplog.text, "nobody says so")
    assert "accessControl" not in caplog.text


def test_policies_that_go_just_before_we_end_are_told_though_there_is_no_time_left(
    nucleus: Nucleus, link: NucleusLink, caplog: pytest.LogCaptureFixture
) -> None:
    link.publish_local(TOPIC, b"1").result(5)
    nucleus.deny("PublishToTopic")
    with pytest.raises(DeniedError):
        link.publish_local(TOPIC, b"2").result(5)
    link.expect_end()
    link.close()
    (line,) = [record.getMessage() for record in caplog.records if "denies" in record.message]
    assert line.startswith("the nucleus takes no more from us")


def test_what_is_denied_again_after_it_was_allowed_is_told_again(
    nucleus: Nucleus, link: NucleusLink, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        nucleus.deny("PublishToTopic")
        for body in (b"1", b"2"):
            with pytest.raises(DeniedError):
                link.publish_local(TOPIC, body).result(5)
        nucleus.allow("PublishToTopic")
        link.publish_local(TOPIC, b"3").result(5)
    link.close()
    assert sum("denies" in record.message for record in caplog.records) == 2


def test_a_topic_that_is_not_configured_any_more_needs_no_policy(
    nucleus: Nucleus, link: NucleusLink, caplog: pytest.LogCaptureFixture
) -> None:
    link.publish_for(lambda topic: topic.startswith("edgetally/dock-2/"))
    nucleus.deny("PublishToTopic")
    nucleus.deny("SubscribeToIoTCore")
    with pytest.raises(DeniedError):
        link.publish_local(TOPIC, b"1").result(5)
    with pytest.raises(DeniedError):  # as who waits for events to be heard back does
        link.subscribe_cloud("edgetally/dock-1/+/events", Ears()).made.result(5)
    assert caplog.text.count("it is no topic of the configuration any more") == 2
    assert "accessControl" not in caplog.text


def test_what_was_denied_is_tried_again_at_once_when_the_configuration_changes(
    nucleus: Nucleus,
) -> None:
    nucleus.deny("SubscribeToTopic", REQUEST)
    with closing(link_to(nucleus, replace(QUICK, denied=600.0))) as link:
        link.open(5)
        asked = link.subscribe_local(REQUEST, ears := Ears())
        with pytest.raises(DeniedError):
            asked.made.result(5)
        again: queue.SimpleQueue[None] = queue.SimpleQueue()
        link.add_allowed(lambda: again.put(None))
        link.configuration()
        link.watch_configuration(lambda: None).made.result(5)
        nucleus.allow("SubscribeToTopic", REQUEST)
        nucleus.configure(NAME, {"accessControl": {"more": {"a": "b"}}})
        again.get(timeout=5)
        heard_anew(nucleus, ears, REQUEST)


def test_a_java_nucleus_that_is_offline_does_all_that_needs_no_cloud(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It answers a subscription at AWS IoT Core once it is online for the first time."""
    with Nucleus(tmp_path / "nucleus", [recipe({"a": 1})], kind=JAVA) as nucleus:
        nucleus.lose_cloud()
        link = link_to(nucleus, replace(QUICK, answer=0.5))
        link.open(5)
        link.loop_back(LOOPBACK)
        cloud, local = Ears(), Ears()
        asked = link.subscribe_cloud(REQUEST, cloud)
        link.subscribe_local(REQUEST, local).made.result(5)
        wait_until(lambda: "is the device online?" in caplog.text, "nobody says so")
        nucleus.publish_local(REQUEST, b"1")
        assert local.get(timeout=5) == (REQUEST, b"1")
        link.publish_local(TOPIC, b"1").result(5)
        assert link.configuration() == {"a": 1}
        assert link.problem is None
        assert not asked.made.done()
        assert "connection lost" not in caplog.text
        nucleus.find_cloud()
        asked.made.result(5)
        nucleus.publish_from_cloud(REQUEST, b"2")
        assert cloud.get(timeout=5) == (REQUEST, b"2")
        link.close()


def test_a_link_that_is_closed_while_it_connects_stays_closed(tmp_path: Path) -> None:
    with Nucleus(tmp_path / "nucleus", [recipe()], kind=JAVA) as nucleus:
        link = link_to(nucleus)
        link.open(5)
        link.subscribe_cloud(REQUEST, Ears()).made.result(5)
        nucleus.lose_cloud()
        nucleus.kill_connections()
        wait_until(lambda: len(nucleus.connected) == 1, "it does not connect anew")
        link.close()
        wait_until(lambda: not nucleus.connected, "it is connected still")
        assert link.problem == "greengrass: closed"


def test_a_java_nucleus_does_as_well(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with Nucleus(tmp_path / "nucleus", [recipe({"a": 1})], kind=JAVA) as nucleus:
        link = link_to(nucleus)
        link.open(5)
        ears, again = Ears(), ready(link)
        link.subscribe_local(REQUEST, ears).made.result(5)
        link.subscribe_cloud(TOPIC, ears).made.result(5)
        assert link.configuration() == {"a": 1}
        nucleus.deny("PublishToTopic", TOPIC)
        with pytest.raises(DeniedError):
            link.publish_local(TOPIC, b"1").result(5)
        assert "set interpolateComponentConfiguration of aws.greengrass.Nucleus" in caplog.text
        link.update_state("RUNNING")
        link.publish_cloud(TOPIC, b"1").result(5)
        assert ears.get(timeout=5) == (TOPIC, b"1")
        nucleus.kill_connections()
        again.get(timeout=5)
        nucleus.publish_local(REQUEST, b"2")
        assert ears.get(timeout=5) == (REQUEST, b"2")
        link.close()
