"""Publishing through a nucleus that fails as a real one does: nothing is lost, totals are right."""

from __future__ import annotations

import json
import threading
import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

import pytest
from mosquitto_broker import wait_until
from mqtt_device import Counting
from nucleus_component import NAME, QUICK, Ears, link_to, recipe

from edgetally.config import ConsoleTransport, GreengrassTransport, parse_config
from edgetally.counting.ledger import Storage
from edgetally.errors import EdgetallyError, InputError
from edgetally.messaging.publisher import Publisher
from edgetally.messaging.transports import (
    Connecting,
    Receiving,
    RefusedError,
    TopicRefusedError,
    create_transports,
)
from edgetally.messaging.transports.greengrass import IotCoreTransport, LocalTransport
from edgetally.nucleus import Nucleus
from edgetally.service.outlet import Outlet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future
    from pathlib import Path

    from edgetally.counting.ledger import Entry
    from edgetally.greengrass import NucleusLink
    from edgetally.messaging.transports import Transport

EVENTS = "edgetally/dock-1/door/events"
HEALTH = "edgetally/dock-1/health"
REQUEST = "edgetally/dock-1/inference/request"
FILTER = "edgetally/dock-1/+/events"
_WAIT = 60.0


@pytest.fixture
def nucleus(tmp_path: Path) -> Iterator[Nucleus]:
    with Nucleus(tmp_path / "nucleus", [recipe()]) as nucleus:
        nucleus.accept_names("all")
        yield nucleus


@pytest.fixture
def link(nucleus: Nucleus) -> Iterator[NucleusLink]:
    link = link_to(nucleus)
    link.open(5)
    yield link
    link.close()


@pytest.fixture
def echoed(link: NucleusLink) -> Iterator[IotCoreTransport]:
    transport = IotCoreTransport(link, "echoed", echo=0.5, rate=1000)
    yield transport
    transport.close()


@pytest.fixture
def counting(tmp_path: Path) -> Iterator[Callable[[Transport], Counting]]:
    made: list[Counting] = []

    def count(transport: Transport) -> Counting:
        made.append(Counting(tmp_path, transport))
        return made[-1]

    yield count
    for each in made:
        each.publisher.close()
        each.ledger.close()


def check(here: Counting, found: Callable[[], list[bytes]]) -> None:
    """See that everything arrived, left the outbox, and that the totals are right."""
    wait_until(lambda: here.ledger.waiting() == 0, "the outbox is not empty", _WAIT)
    arrived = {body.decode() for body in found()}
    assert here.bodies <= arrived
    assert here.ledger.totals()["dock"]["door"]["blue box"]["in"] == len(here.bodies)


def in_cloud(nucleus: Nucleus) -> list[bytes]:
    return [message.payload for message in nucleus.sent if message.topic == EVENTS]


def on_device(nucleus: Nucleus) -> list[bytes]:
    return [message.payload for message in nucleus.published if message.topic == EVENTS]


class Load:
    """Counts on and on, beside what a test does."""

    def __init__(self, here: Counting) -> None:
        self._here = here
        self._enough = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self._enough.wait(0.02):
            self._here.count(3)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._enough.set()
        self._thread.join()


def test_one_setting_makes_two_ways_over_one_link(link: NucleusLink) -> None:
    transports = create_transports(
        [GreengrassTransport(type="greengrass"), ConsoleTransport(type="console")],
        thing="dock-1",
        link=link,
    )
    assert [transport.name for transport in transports] == [
        "greengrass local",
        "greengrass iot core",
        "console",
    ]
    for transport in transports[:2]:
        assert isinstance(transport, Connecting)
        assert isinstance(transport, Receiving)
        assert transport.max_bytes == 7000
        transport.close()
    link.publish_local(EVENTS, b"1").result(5)  # it stays open


def test_without_a_nucleus_it_is_an_error_that_says_so() -> None:
    with pytest.raises(InputError, match="greengrass needs the nucleus"):
        create_transports([GreengrassTransport(type="greengrass")])


def test_it_is_there_once_at_most(link: NucleusLink) -> None:
    with pytest.raises(InputError, match="greengrass iot core is there twice"):
        create_transports([GreengrassTransport(type="greengrass", local=False)] * 2, link=link)


def test_an_event_is_delivered_once_it_was_heard_back(
    nucleus: Nucleus, echoed: IotCoreTransport
) -> None:
    echoed.send(EVENTS, '{"sequence":1}').result(5)
    nucleus.lose_cloud_publishes(1)
    lost = echoed.send(EVENTS, '{"sequence":2}')
    with pytest.raises(EdgetallyError, match="not heard back from AWS IoT Core in"):
        lost.result(5)
    echoed.send(EVENTS, '{"sequence":2}').result(5)
    assert in_cloud(nucleus) == [b'{"sequence":1}', b'{"sequence":2}']


def test_what_is_no_event_is_delivered_once_it_was_taken(
    nucleus: Nucleus, echoed: IotCoreTransport
) -> None:
    nucleus.lose_cloud_publishes(1)
    echoed.send(HEALTH, "{}").result(5)
    assert nucleus.sent == []


def test_what_is_heard_late_is_not_published_again(
    nucleus: Nucleus, link: NucleusLink, echoed: IotCoreTransport
) -> None:
    nucleus.lose_cloud_publishes(1)
    with pytest.raises(EdgetallyError, match="not heard back"):
        echoed.send(EVENTS, "{}").result(5)
    ears = Ears()
    link.subscribe_cloud(FILTER, ears).made.result(5)
    nucleus.publish_from_cloud(EVENTS, b"{}")
    ears.get(timeout=5)
    echoed.send(EVENTS, "{}").result(5)
    assert nucleus.sent == []


def test_accepted_is_enough_where_that_is_asked(nucleus: Nucleus, link: NucleusLink) -> None:
    transport = IotCoreTransport(link, "accepted")
    nucleus.lose_cloud_publishes(1)
    transport.send(EVENTS, "{}").result(5)
    transport.close()


def test_no_more_are_on_their_way_than_a_nucleus_bears(nucleus: Nucleus, link: NucleusLink) -> None:
    transport = IotCoreTransport(link, "accepted", rate=1000)
    sent = [transport.send(HEALTH, f'{{"part":{number}}}') for number in range(60)]
    for each in sent:
        each.result(5)
    assert [json.loads(message.payload)["part"] for message in nucleus.sent] == list(range(60))
    transport.close()


def test_the_pace_is_kept(nucleus: Nucleus, link: NucleusLink) -> None:
    transport = IotCoreTransport(link, "accepted", rate=50)
    began = time.monotonic()
    for each in [transport.send(HEALTH, "{}") for _ in range(50)]:
        each.result(5)
    assert 0.8 <= time.monotonic() - began < 3
    transport.close()


def test_a_denied_topic_is_refused_and_others_leave(
    nucleus: Nucleus, link: NucleusLink, echoed: IotCoreTransport
) -> None:
    nucleus.deny("PublishToIoTCore", HEALTH)
    with pytest.raises(TopicRefusedError, match=f"denies PublishToIoTCore {HEALTH}"):
        echoed.send(HEALTH, "{}").result(5)
    echoed.send(EVENTS, "{}").result(5)
    nucleus.deny("PublishToTopic", HEALTH)
    local = LocalTransport(link)
    with pytest.raises(TopicRefusedError, match=f"denies PublishToTopic {HEALTH}"):
        local.send(HEALTH, "{}").result(5)
    local.send(EVENTS, "{}").result(5)
    local.close()


@pytest.mark.parametrize("keeps_all", [False, True])
def test_what_is_denied_is_given_up_where_its_thing_is_not_the_configured_one_any_more(
    nucleus: Nucleus,
    link: NucleusLink,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    keeps_all: bool,
) -> None:
    """Health of both is denied; a configuration that may not be the right one drops nothing."""
    hasty = partial(Publisher, retry=0.01, patience=0.1)
    monkeypatch.setattr("edgetally.service.outlet.Publisher", hasty)
    old, new = "edgetally/dock-9/health", HEALTH
    for topic in (old, new):
        nucleus.deny("PublishToTopic", topic)
    storage = Storage(tmp_path / "state")

    def put(entry: Entry) -> None:
        for topic in (old, old, old, new, EVENTS):
            entry.enqueue(topic, "{}", "health")

    storage.write(put)
    tried: list[str] = []
    publish_local = link.publish_local

    def tried_to_publish(topic: str, body: bytes) -> Future[None]:
        tried.append(topic)
        return publish_local(topic, body)

    monkeypatch.setattr(link, "publish_local", tried_to_publish)
    way = {"type": "greengrass", "iotCore": False}
    publish = {"thing": "dock-1", "transports": [way]}
    config = parse_config({"model": {"path": "none"}, "publish": publish}, "", needs_cameras=False)
    outlet = Outlet(will=lambda _: None, link=link, keeps_all=keeps_all)
    outlet.open(config, storage)
    try:
        if keeps_all:
            wait_until(lambda: tried.count(old) > 8, "it is tried no more", _WAIT)
        else:
            wait_until(lambda: storage.waiting() == 1, "what is of the old thing waits", _WAIT)
        status = outlet.status()["greengrass local"]
    finally:
        outlet.close(1.0)
        storage.close()
    assert (status.state, status.waiting) == ("failing", 4 if keeps_all else 1)


def test_what_was_denied_leaves_as_soon_as_a_deployment_allows_it(
    nucleus: Nucleus, link: NucleusLink, tmp_path: Path
) -> None:
    nucleus.deny("PublishToTopic", HEALTH)
    storage = Storage(tmp_path / "state")
    storage.write(lambda entry: entry.enqueue(HEALTH, "{}", "health"))
    transport = LocalTransport(link)
    publisher = Publisher(storage, (transport,), rate=50.0, retry=600.0)
    link.watch_configuration(lambda: None)
    try:
        wait_until(lambda: publisher.status()[str(transport)].state == "failing", "no", _WAIT)
        nucleus.allow("PublishToTopic", HEALTH)
        nucleus.configure(NAME, {"accessControl": {"another": {"policy": "text"}}})
        wait_until(lambda: not storage.waiting(), "it waits on", _WAIT)
    finally:
        publisher.close()
        transport.close()
        storage.close()


def test_events_leave_once_one_may_listen_though_it_was_denied_before(
    nucleus: Nucleus, link: NucleusLink, echoed: IotCoreTransport
) -> None:
    nucleus.deny("SubscribeToIoTCore", FILTER)
    with pytest.raises(TopicRefusedError):
        echoed.send(EVENTS, "{}").result(5)
    nucleus.allow("SubscribeToIoTCore", FILTER)

    def leaves() -> bool:
        with suppress(EdgetallyError):
            echoed.send(EVENTS, "{}").result(5)
            return True
        return False

    wait_until(leaves, "it is still refused", _WAIT)


def test_where_one_may_not_listen_events_are_refused_and_not_lost(
    nucleus: Nucleus, echoed: IotCoreTransport
) -> None:
    nucleus.deny("SubscribeToIoTCore", FILTER)
    with pytest.raises(TopicRefusedError, match="denies SubscribeToIoTCore"):
        echoed.send(EVENTS, "{}").result(5)
    echoed.send(HEALTH, "{}").result(5)


def test_too_large_a_body_or_topic_is_refused(link: NucleusLink) -> None:
    for transport in (LocalTransport(link), IotCoreTransport(link, "accepted")):
        with pytest.raises(RefusedError, match="7001 bytes"):
            transport.send(HEALTH, "x" * 7001)
        with pytest.raises(RefusedError, match="too long a topic"):
            transport.send("x" * 257, "{}")
        transport.send("edgetally/" + "x" * 246, "x" * 7000).result(5)
        transport.close()


def test_requests_are_heard_on_both_ways_and_answers_are_none(
    nucleus: Nucleus, link: NucleusLink, echoed: IotCoreTransport
) -> None:
    local, ears = LocalTransport(link), Ears()
    local.subscribe(REQUEST, ears)
    echoed.subscribe(REQUEST, ears)
    wait_until(
        lambda: all(each.made.done() for each in (*local._subscriptions, *echoed._subscriptions)),
        "not subscribed",
    )
    echoed.send(EVENTS, "{}").result(5)
    local.send("edgetally/dock-1/inference/response", "{}").result(5)
    nucleus.publish_local(REQUEST, b"1")
    nucleus.publish_from_cloud(REQUEST, b"2")
    assert {ears.get(timeout=5), ears.get(timeout=5)} == {(REQUEST, b"1"), (REQUEST, b"2")}
    assert ears.empty()
    local.close()


def test_what_is_on_its_way_fails_when_it_is_closed(
    nucleus: Nucleus, echoed: IotCoreTransport
) -> None:
    nucleus.lose_cloud_publishes(1)
    sent = echoed.send(EVENTS, "{}")
    echoed.close()
    assert isinstance(sent.exception(1), EdgetallyError)
    with pytest.raises(EdgetallyError, match="closed"):
        echoed.send(EVENTS, "{}")


def test_killed_connections_and_dead_tokens_lose_nothing(
    nucleus: Nucleus, echoed: IotCoreTransport, counting: Callable[[Transport], Counting]
) -> None:
    here = counting(echoed)
    with Load(here):
        for fail in (nucleus.kill_connections, nucleus.restart, lambda: nucleus.restart(0.5)):
            before = len(in_cloud(nucleus))
            nucleus.wait(lambda: len(in_cloud(nucleus)) > before + 30, timeout=_WAIT)  # noqa: B023
            fail()
    check(here, lambda: in_cloud(nucleus))


def test_killed_connections_lose_nothing_locally(
    nucleus: Nucleus, link: NucleusLink, counting: Callable[[Transport], Counting]
) -> None:
    here = counting(LocalTransport(link))
    with Load(here):
        for fail in (nucleus.kill_connections, nucleus.restart, lambda: nucleus.restart(0.5)):
            before = len(on_device(nucleus))
            nucleus.wait(lambda: len(on_device(nucleus)) > before + 30, timeout=_WAIT)  # noqa: B023
            fail()
    check(here, lambda: on_device(nucleus))


def test_a_broker_that_is_away_loses_nothing(
    nucleus: Nucleus, echoed: IotCoreTransport, counting: Callable[[Transport], Counting]
) -> None:
    here = counting(echoed)
    with Load(here):
        nucleus.wait(lambda: len(in_cloud(nucleus)) > 30, timeout=_WAIT)
        nucleus.lose_cloud()
        wait_until(lambda: here.ledger.waiting() > 50, "nothing waits")
        nucleus.find_cloud()
    check(here, lambda: in_cloud(nucleus))


def test_a_frozen_broker_loses_nothing_though_it_takes_everything(
    nucleus: Nucleus, echoed: IotCoreTransport, counting: Callable[[Transport], Counting]
) -> None:
    here = counting(echoed)
    with Load(here):
        nucleus.wait(lambda: len(in_cloud(nucleus)) > 30, timeout=_WAIT)
        nucleus.freeze_cloud()
        wait_until(lambda: here.ledger.waiting() > 50, "nothing waits")
        nucleus.find_cloud()
    check(here, lambda: in_cloud(nucleus))


def test_accepted_and_lost_ones_come_again(
    nucleus: Nucleus, echoed: IotCoreTransport, counting: Callable[[Transport], Counting]
) -> None:
    here = counting(echoed)
    with Load(here):
        for _ in range(3):
            before = len(in_cloud(nucleus))
            nucleus.wait(lambda: len(in_cloud(nucleus)) > before + 20, timeout=_WAIT)  # noqa: B023
            nucleus.lose_cloud_publishes(3)
    check(here, lambda: in_cloud(nucleus))


def test_deafness_holds_events_up_and_loses_none(
    nucleus: Nucleus,
    link: NucleusLink,
    echoed: IotCoreTransport,
    counting: Callable[[Transport], Counting],
) -> None:
    link.loop_back("edgetally/dock-1/loopback")
    here = counting(echoed)
    with Load(here):
        nucleus.wait(lambda: len(in_cloud(nucleus)) > 30, timeout=_WAIT)
        nucleus.deafen()
        before = len(in_cloud(nucleus))
        nucleus.wait(lambda: len(in_cloud(nucleus)) > before + 100, timeout=_WAIT)
    check(here, lambda: in_cloud(nucleus))


def test_a_frozen_nucleus_loses_nothing(
    nucleus: Nucleus, echoed: IotCoreTransport, counting: Callable[[Transport], Counting]
) -> None:
    here = counting(echoed)
    with Load(here):
        nucleus.wait(lambda: len(in_cloud(nucleus)) > 30, timeout=_WAIT)
        nucleus.freeze(QUICK.answer + 0.5)
        before = len(in_cloud(nucleus))
        nucleus.wait(lambda: len(in_cloud(nucleus)) > before + 100, timeout=_WAIT)
    check(here, lambda: in_cloud(nucleus))
