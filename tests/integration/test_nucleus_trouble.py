"""What the stand-in nucleus does to its components when it is told to."""

from __future__ import annotations

import json
import socket
import time
from concurrent.futures import TimeoutError as NotYetError
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, BinaryIO

import pytest
from awscrt.exceptions import AwsCrtError  # type: ignore[import-untyped]
from awsiot.greengrasscoreipc.model import ServiceError  # type: ignore[import-untyped]
from nucleus_client import ONE, WAIT, Heard, binary, client_by_name, client_of, recipe

from edgetally.nucleus import JAVA, Nucleus
from edgetally.nucleus.wire import MessageType, Packet
from edgetally.nucleus.wire.frame import PRELUDE, decode, length_of
from edgetally.nucleus.wire.packet import read_packet

if TYPE_CHECKING:
    from collections.abc import Callable

    Start = Callable[..., Nucleus]


pytest_plugins = ("nucleus_fixtures",)


def test_connections_that_are_killed_close_every_stream_and_the_token_stays_good(
    start: Start,
) -> None:
    nucleus = start()
    client, heard = client_of(nucleus), Heard()
    client.subscribe_to_topic(topic="t", **heard.handlers)
    assert nucleus.kill_connections() == 1
    heard.wait_closed()
    with pytest.raises((RuntimeError, AwsCrtError)):
        client.get_configuration()
    client_of(nucleus).get_configuration()


def test_after_a_restart_the_old_token_is_dead(start: Start) -> None:
    nucleus = start()
    token = nucleus.token_for(ONE)
    client_of(nucleus, token=token)
    nucleus.restart()
    with pytest.raises(AwsCrtError, match="AWS_IO_SOCKET_CLOSED"):
        client_of(nucleus, token=token)
    assert nucleus.token_for(ONE) != token
    client_of(nucleus).get_configuration()


def test_while_it_is_away_there_is_no_socket(start: Start) -> None:
    nucleus = start()
    token = nucleus.token_for(ONE)
    nucleus.go_away()
    assert not nucleus.socket.exists()
    with pytest.raises((RuntimeError, AwsCrtError)):
        client_of(nucleus, token=token)
    nucleus.come_back()
    client_of(nucleus).get_configuration()


def test_a_name_is_believed_from_whoever_it_is_told_to_believe(start: Start) -> None:
    nucleus = start()
    with pytest.raises(AwsCrtError, match="AWS_IO_SOCKET_CLOSED"):
        client_by_name(nucleus.socket, ONE)
    nucleus.accept_names("all")
    client_by_name(nucleus.socket, ONE).get_configuration()
    with pytest.raises(AwsCrtError, match="AWS_IO_SOCKET_CLOSED"):
        client_by_name(nucleus.socket, "com.example.Nobody")


def test_deafness_kills_subscriptions_without_a_word_and_nothing_else(
    start: Start,
) -> None:
    nucleus = start()
    client = client_of(nucleus)
    local, cloud, settings = Heard(), Heard(), Heard()
    client.subscribe_to_topic(topic="t", **local.handlers)
    client.subscribe_to_iot_core(topic_name="t", qos="1", **cloud.handlers)
    client.subscribe_to_configuration_update(key_path=[], **settings.handlers)
    nucleus.deafen()
    client.publish_to_topic(topic="t", publish_message=binary(b"lost"))
    client.publish_to_iot_core(topic_name="t", qos="1", payload=b"lost")
    nucleus.configure(ONE, {"threshold": 9})
    again = Heard()
    client.subscribe_to_topic(topic="t", **again.handlers)
    client.publish_to_topic(topic="t", publish_message=binary(b"heard"))
    assert again.next().binary_message.message == b"heard"
    assert local.is_silent
    assert cloud.is_silent
    assert settings.is_silent


def test_a_frozen_nucleus_answers_once_it_thaws(start: Start) -> None:
    nucleus = start()
    client = client_of(nucleus)
    nucleus.freeze()
    asked = client.get_configuration_async()
    with pytest.raises((NotYetError, TimeoutError)):
        asked.result(0.3)
    nucleus.thaw()
    assert asked.result(WAIT).component_name == ONE


def test_a_nucleus_may_freeze_for_so_long(start: Start) -> None:
    nucleus = start()
    client = client_of(nucleus)
    began = time.monotonic()
    nucleus.freeze(0.5)
    client.get_configuration_async().result(WAIT)
    assert time.monotonic() - began >= 0.5


def test_a_frozen_nucleus_can_be_stopped(start: Start) -> None:
    nucleus = start()
    client_of(nucleus)
    nucleus.freeze()


def test_with_the_cloud_away_a_publish_fails_at_once_and_subscriptions_come_back(
    start: Start,
) -> None:
    nucleus = start()
    client, heard = client_of(nucleus), Heard()
    client.subscribe_to_iot_core(topic_name="t", qos="1", **heard.handlers)
    nucleus.lose_cloud()
    with pytest.raises(ServiceError):
        client.publish_to_iot_core(topic_name="t", qos="1", payload=b"1")
    nucleus.find_cloud()
    client.publish_to_iot_core(topic_name="t", qos="1", payload=b"2")
    assert heard.next().message.payload == b"2"


def test_the_java_nucleus_keeps_what_is_published_while_the_cloud_is_away(start: Start) -> None:
    nucleus = start(kind=JAVA)
    client, heard = client_of(nucleus), Heard()
    nucleus.lose_cloud()
    asked = client.subscribe_to_iot_core_async(topic_name="t", qos="1", **heard.handlers)
    client.publish_to_iot_core(topic_name="t", qos="1", payload=b"kept")
    assert not asked[0].done()
    assert not nucleus.sent
    nucleus.find_cloud()
    asked[0].result(5)
    client.publish_to_iot_core(topic_name="t", qos="1", payload=b"2")
    nucleus.wait(lambda: [message.payload for message in nucleus.sent] == [b"kept", b"2"])


def test_publishes_that_were_accepted_can_be_lost(start: Start) -> None:
    nucleus = start()
    client, heard = client_of(nucleus), Heard()
    client.subscribe_to_iot_core(topic_name="t", qos="1", **heard.handlers)
    nucleus.lose_cloud_publishes(2)
    for number in range(3):
        client.publish_to_iot_core(topic_name="t", qos="1", payload=b"%d" % number)
    assert heard.next().message.payload == b"2"
    assert [message.payload for message in nucleus.sent] == [b"2"]


def test_a_frozen_cloud_takes_ten_and_loses_them(start: Start) -> None:
    nucleus = start()
    client, heard = client_of(nucleus), Heard()
    client.subscribe_to_iot_core(topic_name="t", qos="1", **heard.handlers)
    nucleus.freeze_cloud()
    for _ in range(10):
        client.publish_to_iot_core(topic_name="t", qos="1", payload=b"lost")
    with pytest.raises(ServiceError):
        client.publish_to_iot_core(topic_name="t", qos="1", payload=b"one too many")
    client.publish_to_iot_core(topic_name="t", qos="0", payload=b"lost, too")
    nucleus.find_cloud()
    client.publish_to_iot_core(topic_name="t", qos="1", payload=b"there")
    assert heard.next().message.payload == b"there"


@pytest.mark.parametrize("size", [4960, 4961])
def test_lite_does_not_deliver_from_the_cloud_what_is_larger_than_it_can(
    start: Start,
    size: int,
) -> None:
    nucleus = start()
    client, heard = client_of(nucleus), Heard()
    client.subscribe_to_iot_core(topic_name="#", qos="1", **heard.handlers)
    nucleus.publish_from_cloud("large", bytes(size))
    nucleus.publish_from_cloud("small", b"x")
    assert heard.next().message.topic_name == ("large" if size == 4960 else "small")


def test_lite_has_room_for_90_subscriptions_on_a_connection(start: Start) -> None:
    client, heard = client_of(start()), Heard()
    for number in range(90):
        client.subscribe_to_topic(topic=f"t/{number}", **heard.handlers)
    with pytest.raises(ServiceError):
        client.subscribe_to_topic(topic="t", **Heard().handlers)
    client.publish_to_topic(topic="t/89", publish_message=binary(b"x"))
    heard.next()


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        bytes(4096),
        b"\xff" * 64,
        b"\0\0\0\x10\0\0\0\0\x05\xc2\x48\xeb",  # a whole prelude, and nothing after
    ],
)
def test_who_does_not_speak_the_protocol_is_cut_off_and_the_others_are_served(
    start: Start,
    sent: bytes,
) -> None:
    nucleus = start()
    client = client_of(nucleus)
    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.connect(str(nucleus.socket))
        stranger.sendall(sent)
        stranger.shutdown(socket.SHUT_WR)
        stranger.settimeout(WAIT)
        assert stranger.recv(100) == b""
    client.get_configuration()


def test_who_says_nothing_is_cut_off_and_makes_room_for_others(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgetally.nucleus.ipc.connection._INTRODUCTION", 0.5)
    nucleus = start()
    token = nucleus.token_for(ONE)
    with ExitStack() as silent:
        for _ in range(60):
            silent.enter_context(socket.socket(socket.AF_UNIX)).connect(str(nucleus.socket))
        nucleus.wait(lambda: "turned away: there are 50" in " ".join(nucleus.record.lines))
        nucleus.wait(lambda: "said who it is for 0.5 s" in " ".join(nucleus.record.lines))
        client_of(nucleus, token=token).get_configuration()


def test_time_that_the_nucleus_stands_still_is_not_a_silence_of_the_clients(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgetally.nucleus.ipc.connection._INTRODUCTION", 0.1)
    nucleus = start()
    nucleus.token_for(ONE)
    nucleus.freeze(0.5)
    client_of(nucleus).get_configuration()


def test_a_request_that_none_expected_is_a_service_error_and_the_connection_stays(
    start: Start,
) -> None:
    nucleus = start()
    client, heard, later = client_of(nucleus), Heard(), Heard()
    client.subscribe_to_topic(topic="t", **heard.handlers)
    deep: Any = 0
    for _ in range(900):
        deep = [deep]
    requests = [
        ("PublishToIoTCore", b'{"topicName": "t", "qos": 1e400}'),
        ("UpdateConfiguration", b'{"valueToMerge": {}, "timestamp": 1%s}' % (b"0" * 400)),
        ("PublishToTopic", _publishing("t", deep)),
    ]
    hello = b'{"authToken": "%s"}' % nucleus.token_for(ONE).encode()
    with socket.socket(socket.AF_UNIX) as stranger, stranger.makefile("rb") as answers:
        stranger.settimeout(WAIT)
        stranger.connect(str(nucleus.socket))
        stranger.sendall(Packet(MessageType.CONNECT, payload=hello).to_bytes())
        said = [_answer(answers)]
        for number, (operation, payload) in enumerate(requests, start=1):
            request = Packet(
                MessageType.APPLICATION_MESSAGE,
                stream=number,
                operation=f"aws.greengrass#{operation}",
                model=f"aws.greengrass#{operation}Request",
                payload=payload,
            )
            stranger.sendall(request.to_bytes())
            said.append(_answer(answers))
    assert [packet.model.partition("#")[2] for packet in said] == [
        *("", "ServiceError", "ServiceError", "PublishToTopicResponse")
    ]
    client.subscribe_to_topic(topic="t", **later.handlers)
    client.publish_to_topic(topic="t", publish_message=binary(b"x"))
    later.next()
    assert heard.is_silent  # what lite has no room for ended its subscription


def _publishing(topic: str, content: object) -> bytes:
    message = {"jsonMessage": {"message": content}}
    return json.dumps({"topic": topic, "publishMessage": message}).encode()


def _answer(answers: BinaryIO) -> Packet:
    prelude = answers.read(PRELUDE)
    return read_packet(decode(prelude + answers.read(length_of(prelude) - PRELUDE)))


def test_a_client_that_does_not_read_loses_messages_and_the_others_do_not(start: Start) -> None:
    nucleus = start(recipe(), recipe("com.example.Slow"), kind=JAVA)
    hello = b'{"authToken": "%s"}' % nucleus.token_for("com.example.Slow").encode()
    subscribe = Packet(
        MessageType.APPLICATION_MESSAGE,
        stream=1,
        operation="aws.greengrass#SubscribeToTopic",
        model="aws.greengrass#SubscribeToTopicRequest",
        payload=b'{"topic": "t"}',
    )
    client, heard = client_of(nucleus), Heard()
    client.subscribe_to_topic(topic="t", **heard.handlers)
    with socket.socket(socket.AF_UNIX) as slow:
        slow.connect(str(nucleus.socket))
        slow.sendall(Packet(MessageType.CONNECT, payload=hello).to_bytes() + subscribe.to_bytes())
        assert slow.recv(1)
        for _ in range(40):
            client.publish_to_topic(topic="t", publish_message=binary(bytes(100_000)))
        for _ in range(40):
            heard.next()
        nucleus.wait(lambda: any("Slow: does not read" in line for line in nucleus.record.lines))
