"""AWS's own client, unmodified, at the stand-in nucleus."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from awscrt.exceptions import AwsCrtError  # type: ignore[import-untyped]
from awsiot.eventstreamrpc import (  # type: ignore[import-untyped]
    AccessDeniedError,
    StreamClosedError,
)
from awsiot.greengrasscoreipc.model import (  # type: ignore[import-untyped]
    ConfigurationValidityReport,
    ConfigurationValidityStatus,
    ConflictError,
    InvalidArgumentsError,
    Metric,
    ResourceNotFoundError,
    ServiceError,
    UnauthorizedError,
)
from nucleus_client import DEFAULTS, ONE, WAIT, Heard, binary, client_of, json_message, recipe

from edgetally.errors import EdgetallyError
from edgetally.nucleus import JAVA, LITE, Kind, Nucleus

if TYPE_CHECKING:
    from collections.abc import Callable


pytest_plugins = ("nucleus_fixtures",)
CAMERA, PASSWORD = "arn:camera", "of a camera"
NARROW: dict[str, Any] = {
    "accessControl": {
        "aws.greengrass.ipc.pubsub": {
            "one": {
                "operations": ["aws.greengrass#PublishToTopic", "aws.greengrass#SubscribeToTopic"],
                "resources": ["edgetally/{iot:thingName}/*"],
            }
        }
    }
}


@pytest.fixture(params=[LITE, JAVA], ids=["lite", "java"])
def nucleus(start: Callable[..., Nucleus], request: pytest.FixtureRequest) -> Nucleus:
    return start(kind=request.param)


def _now() -> dt.datetime:
    return dt.datetime.now(dt.timezone.utc)


def test_a_binary_message_comes_to_who_subscribed_with_its_topic(nucleus: Nucleus) -> None:
    client, heard = client_of(nucleus), Heard()
    client.subscribe_to_topic(topic="a/+", **heard.handlers)
    body = bytes(range(256))
    client.publish_to_topic(topic="a/b", publish_message=binary(body))
    message = heard.next().binary_message
    assert (message.message, message.context.topic) == (body, "a/b")
    assert [(one.topic, one.payload, one.sender) for one in nucleus.published] == [
        ("a/b", body, ONE)
    ]


def test_a_json_message_comes_as_json(nucleus: Nucleus) -> None:
    client, heard = client_of(nucleus), Heard()
    client.subscribe_to_topic(topic="a/#", **heard.handlers)
    body = {"text": "é", "list": [1, 2.5, None, True]}
    client.publish_to_topic(topic="a/b/c", publish_message=json_message(body))
    message = heard.next().json_message
    assert (message.message, message.context.topic) == (body, "a/b/c")


def test_messages_keep_their_order(nucleus: Nucleus) -> None:
    client, heard = client_of(nucleus), Heard()
    client.subscribe_to_topic(topic="t", **heard.handlers)
    for number in range(200):
        client.publish_to_topic(topic="t", publish_message=binary(b"%d" % number))
    bodies = [heard.next().binary_message.message for _ in range(200)]
    assert bodies == [b"%d" % number for number in range(200)]


def test_a_subscription_that_was_closed_hears_nothing(nucleus: Nucleus) -> None:
    client, heard, other = client_of(nucleus), Heard(), Heard()
    _, operation = client.subscribe_to_topic(topic="t", **heard.handlers)
    client.subscribe_to_topic(topic="t", **other.handlers)
    operation.close().result(WAIT)
    heard.wait_closed()
    client.publish_to_topic(topic="t", publish_message=binary(b"x"))
    other.next()
    assert heard.is_silent


def test_a_component_need_not_hear_itself_on_the_java_nucleus(
    start: Callable[..., Nucleus],
) -> None:
    nucleus = start(recipe(), recipe("com.example.Two"), kind=JAVA)
    one, two, heard = client_of(nucleus), client_of(nucleus, "com.example.Two"), Heard()
    mode = "RECEIVE_MESSAGES_FROM_OTHERS"
    one.subscribe_to_topic(topic="t", receive_mode=mode, **heard.handlers)
    one.publish_to_topic(topic="t", publish_message=binary(b"own"))
    two.publish_to_topic(topic="t", publish_message=binary(b"other"))
    assert heard.next().binary_message.message == b"other"


def test_what_goes_to_iot_core_comes_back_from_there(nucleus: Nucleus) -> None:
    client, heard = client_of(nucleus), Heard()
    client.subscribe_to_iot_core(topic_name="a/#", qos="1", **heard.handlers)
    client.publish_to_iot_core(topic_name="a/b", qos="1", payload=b"\x00\xff")
    message = heard.next().message
    assert (message.topic_name, message.payload) == ("a/b", b"\x00\xff")
    assert [(one.topic, one.payload, one.qos, one.sender) for one in nucleus.sent] == [
        ("a/b", b"\x00\xff", 1, ONE)
    ]


@pytest.mark.parametrize("value", [{"long": "a" * 1023}, {"list": {"a": 1}}, {"map": 1}])
def test_lite_refuses_a_value_that_is_long_or_of_another_kind(
    nucleus: Nucleus, value: dict[str, Any]
) -> None:
    client = client_of(nucleus)
    before = {"long": "a" * 1022, "list": [1], "map": {"a": 1}}
    nucleus.configure(ONE, before)
    if nucleus.core.kind == LITE:
        with pytest.raises(ServiceError):
            client.update_configuration(key_path=[], timestamp=_now(), value_to_merge=value)
        with pytest.raises(EdgetallyError, match=r"Json encode failed|can't become"):
            nucleus.configure(ONE, value)
    else:
        nucleus.configure(ONE, value)
    whole = client.get_configuration().value
    expected = before if nucleus.core.kind == LITE else before | value
    assert {key: whole[key] for key in before} == expected


def test_a_map_comes_as_it_is_and_a_leaf_by_its_name(nucleus: Nucleus) -> None:
    client = client_of(nucleus)
    whole = client.get_configuration().value
    assert {key: whole[key] for key in DEFAULTS} == DEFAULTS
    assert client.get_configuration(key_path=["model"]).value == DEFAULTS["model"]
    assert client.get_configuration(key_path=["threshold"]).value == {"threshold": 7}
    for missing in ({"key_path": ["nothing"]}, {"component_name": "com.example.Nobody"}):
        with pytest.raises(ResourceNotFoundError):
            client.get_configuration(**missing)
        with pytest.raises(ResourceNotFoundError):
            client.subscribe_to_configuration_update(**missing, **Heard().handlers)


def test_each_changed_leaf_is_an_event(nucleus: Nucleus) -> None:
    client, heard, below = client_of(nucleus), Heard(), Heard()
    client.subscribe_to_configuration_update(key_path=[], **heard.handlers)
    client.subscribe_to_configuration_update(key_path=["model"], **below.handlers)
    nucleus.configure(ONE, {"threshold": 8, "model": {"path": "b", "engine": "auto"}})
    changed = [heard.next().configuration_update_event for _ in range(2)]
    assert [event.key_path for event in changed] == [["threshold"], ["model", "path"]]
    assert {event.component_name for event in changed} == {ONE}
    assert below.next().configuration_update_event.key_path == ["model", "path"]
    assert heard.is_silent
    assert client.get_configuration(key_path=["threshold"]).value == {"threshold": 8}


def test_an_update_with_an_old_timestamp_is_answered_and_changes_nothing(nucleus: Nucleus) -> None:
    client = client_of(nucleus)
    nucleus.configure(ONE, {"threshold": 8})
    old = dt.datetime.fromtimestamp(1, dt.timezone.utc)
    client.update_configuration(key_path=[], timestamp=old, value_to_merge={"threshold": 1})
    assert client.get_configuration(key_path=["threshold"]).value == {"threshold": 8}
    client.update_configuration(
        key_path=["model"], timestamp=_now(), value_to_merge={"path": "mine"}
    )
    assert nucleus.configuration(ONE)["model"]["path"] == "mine"


def test_a_component_can_not_change_what_it_is_allowed(nucleus: Nucleus) -> None:
    client = client_of(nucleus)
    for change in (
        {"key_path": ["accessControl"], "value_to_merge": {"x": 1}},
        {"key_path": [], "value_to_merge": {"accessControl": {}}},
    ):
        with pytest.raises(InvalidArgumentsError):
            client.update_configuration(timestamp=_now(), **change)


def test_the_state_that_a_component_reports_is_known(nucleus: Nucleus) -> None:
    client = client_of(nucleus)
    client.update_state(state="RUNNING")
    client.update_state(state="ERRORED")
    with pytest.raises(ServiceError):
        client.update_state(state="NONSENSE")
    assert nucleus.states == [(ONE, "RUNNING"), (ONE, "ERRORED")]


@pytest.mark.parametrize(
    "topic", ["t" * 257, "", "a/+"], ids=["too long", "empty", "with a wildcard"]
)
def test_what_is_no_topic_is_not_published_to(nucleus: Nucleus, topic: str) -> None:
    with pytest.raises(ServiceError):
        client_of(nucleus).publish_to_topic(topic=topic, publish_message=binary(b""))


def test_what_the_recipe_does_not_allow_is_denied(start: Callable[..., Nucleus]) -> None:
    nucleus = start(recipe(defaults=NARROW))
    client, heard = client_of(nucleus), Heard()
    client.subscribe_to_topic(topic="edgetally/dock-1/#", **heard.handlers)
    client.publish_to_topic(topic="edgetally/dock-1/a", publish_message=binary(b"x"))
    heard.next()
    refused = Heard()
    calls: list[Callable[[], Any]] = [
        lambda: client.publish_to_topic(topic="edgetally/x/a", publish_message=binary(b"x")),
        lambda: client.subscribe_to_topic(topic="#", **refused.handlers),
        lambda: client.publish_to_iot_core(topic_name="t", qos="1", payload=b""),
        lambda: client.subscribe_to_iot_core(topic_name="t", qos="1", **Heard().handlers),
    ]
    for denied in calls:
        with pytest.raises(UnauthorizedError) as error:
            denied()
        assert str(error.value) == ""
    refused.wait_closed()


def test_lite_denies_a_topic_with_a_question_mark_whatever_is_allowed(
    start: Callable[..., Nucleus],
) -> None:
    with pytest.raises(UnauthorizedError):
        client_of(start()).publish_to_topic(topic="a?b", publish_message=binary(b""))
    client_of(start(kind=JAVA)).publish_to_topic(topic="a?b", publish_message=binary(b""))


@pytest.mark.parametrize(
    ("kind", "is_filled_in"),
    [(LITE, True), (JAVA, False), (replace(JAVA, interpolates=True), True)],
    ids=["lite", "java", "java that interpolates"],
)
def test_the_java_nucleus_fills_in_variables_of_policies_only_where_it_is_set_to(
    start: Callable[..., Nucleus], kind: Kind, is_filled_in: bool
) -> None:
    client = client_of(start(recipe(defaults=NARROW), kind=kind))
    allowed, denied = "edgetally/dock-1/a", "edgetally/{iot:thingName}/a"
    if not is_filled_in:
        allowed, denied = denied, allowed
    client.publish_to_topic(topic=allowed, publish_message=binary(b""))
    with pytest.raises(UnauthorizedError):
        client.publish_to_topic(topic=denied, publish_message=binary(b""))


def test_a_topic_can_be_denied_for_a_while(nucleus: Nucleus) -> None:
    client = client_of(nucleus)
    nucleus.deny("PublishToTopic", "a/*")
    with pytest.raises(UnauthorizedError):
        client.publish_to_topic(topic="a/b", publish_message=binary(b""))
    client.publish_to_topic(topic="b", publish_message=binary(b""))
    nucleus.allow("PublishToTopic", "a/*")
    client.publish_to_topic(topic="a/b", publish_message=binary(b""))


def _optional(client: Any) -> list[Callable[[], Any]]:
    return [
        lambda: client.get_secret_value(secret_id=CAMERA),
        lambda: client.put_component_metric(metrics=[Metric(name="m", unit="Count", value=1.0)]),
        lambda: client.update_thing_shadow(
            thing_name="dock-1", shadow_name="s", payload=b'{"state": {"reported": {"a": 1}}}'
        ),
        lambda: client.get_thing_shadow(thing_name="dock-1", shadow_name="s"),
        lambda: client.subscribe_to_validate_configuration_updates(**Heard().handlers),
    ]


def test_lite_offers_nothing_optional_and_says_so_without_a_word(
    start: Callable[..., Nucleus],
) -> None:
    client = client_of(start())
    for call in (*_optional(client), client.list_components):
        with pytest.raises(ServiceError) as error:
            call()
        assert str(error.value) == ""


def test_the_java_nucleus_offers_secrets_metrics_and_shadows(start: Callable[..., Nucleus]) -> None:
    nucleus = start(kind=replace(JAVA, metrics_of_all=True))
    nucleus.give_secret(CAMERA, PASSWORD)
    secret, _, _, shadow, _ = [call() for call in _optional(client_of(nucleus))]
    assert secret.secret_value.secret_string == PASSWORD
    assert b'"a": 1' in shadow.payload
    assert [(metric["name"], metric["value"]) for metric in nucleus.metrics] == [("m", 1.0)]


def _put(client: Any, name: str = "m", unit: str = "Count", value: float = 1.0) -> None:
    client.put_component_metric(metrics=[Metric(name=name, unit=unit, value=value)])


def _update(
    client: Any, state: Any, thing: str = "dock-1", name: str = "s", version: int | None = None
) -> None:
    document = {"state": state} | ({} if version is None else {"version": version})
    payload = json.dumps(document, ensure_ascii=False).encode()
    client.update_thing_shadow(thing_name=thing, shadow_name=name, payload=payload)


def test_the_java_nucleus_takes_metrics_of_components_of_aws_alone(
    start: Callable[..., Nucleus],
) -> None:
    nucleus = start(recipe(), recipe("aws.example.One"), kind=JAVA)
    with pytest.raises(UnauthorizedError):
        _put(client_of(nucleus))
    _put(client_of(nucleus, "aws.example.One"), unit="bytes per_second")
    assert [metric["name"] for metric in nucleus.metrics] == ["m"]


@pytest.mark.parametrize(
    "wrong",
    [{"name": ""}, {"name": "é" * 17}, {"unit": "Pieces"}, {"unit": ""}, {"value": -1.0}],
)
def test_a_metric_that_the_java_nucleus_finds_wrong_is_refused(
    start: Callable[..., Nucleus], wrong: dict[str, Any]
) -> None:
    client = client_of(start(kind=replace(JAVA, metrics_of_all=True)))
    _put(client, name="é" * 16)
    with pytest.raises(InvalidArgumentsError):
        _put(client, **wrong)


def test_an_update_of_a_shadow_merges_objects_and_replaces_lists(
    start: Callable[..., Nucleus],
) -> None:
    nucleus = start(kind=JAVA)
    client = client_of(nucleus)
    _update(client, {"reported": {"a": 1, "in": {"x": 1, "y": 2}, "list": [1, 2, 3]}})
    _update(client, {"reported": {"a": None, "in": {"x": None}, "list": [4]}})
    found = nucleus.shadow("s")
    assert found is not None
    assert found["state"]["reported"] == {"in": {"y": 2}, "list": [4]}
    assert found["version"] == 2
    with pytest.raises(ConflictError):
        _update(client, {"reported": {}}, version=1)
    _update(client, {"reported": None}, version=2)
    emptied = nucleus.shadow("s")
    assert emptied is not None
    assert emptied["state"] == {}


@pytest.mark.parametrize(
    ("state", "names"),
    [
        ({"reported": {"a": "x" * 8200}}, {}),
        ({"reported": [1]}, {}),
        ({"told": {}}, {}),
        ([], {}),
        ({"reported": {"a": {"a": {"a": {"a": {"a": {}}}}}}}, {}),
        ({"reported": {}}, {"thing": "dock/1"}),
        ({"reported": {}}, {"thing": "d" * 129}),
        ({"reported": {}}, {"thing": ""}),
        ({"reported": {}}, {"name": "s" * 65}),
        ({"reported": {}}, {"name": "s s"}),
    ],
)
def test_a_shadow_that_the_java_nucleus_finds_wrong_is_refused(
    start: Callable[..., Nucleus], state: Any, names: dict[str, Any]
) -> None:
    client = client_of(start(kind=JAVA))
    with pytest.raises(InvalidArgumentsError):
        _update(client, state, **names)


def test_a_java_nucleus_without_the_shadow_manager_ends_the_stream(
    start: Callable[..., Nucleus],
) -> None:
    client = client_of(start(kind=replace(JAVA, has_shadows=False)))
    with pytest.raises(StreamClosedError):
        _update(client, {"reported": {}})


def test_the_java_nucleus_says_what_is_wrong(start: Callable[..., Nucleus]) -> None:
    client = client_of(start(kind=JAVA))
    with pytest.raises(ResourceNotFoundError) as error:
        client.get_configuration(key_path=["nothing"])
    assert error.value.message == "Key not found."


@pytest.mark.parametrize(
    ("status", "threshold"),
    [(ConfigurationValidityStatus.ACCEPTED, 9), (ConfigurationValidityStatus.REJECTED, 7)],
)
def test_a_component_is_asked_whether_it_takes_an_update(
    start: Callable[..., Nucleus], status: str, threshold: int
) -> None:
    nucleus = start(kind=JAVA)
    client = client_of(nucleus)

    def answer(event: Any) -> None:
        asked = event.validate_configuration_update_event
        assert asked.configuration["threshold"] == 9
        client.send_configuration_validity_report_async(
            configuration_validity_report=ConfigurationValidityReport(
                status=status, deployment_id=asked.deployment_id, message="too high"
            )
        )

    client.subscribe_to_validate_configuration_updates(on_stream_event=answer)
    if status == ConfigurationValidityStatus.REJECTED:
        with pytest.raises(EdgetallyError, match="too high"):
            nucleus.configure(ONE, {"threshold": 9})
    else:
        nucleus.configure(ONE, {"threshold": 9})
    assert nucleus.configuration(ONE)["threshold"] == threshold


@pytest.mark.parametrize("token", [" ", "AAAA", "A" * 16, "not base64 !!"])
def test_a_wrong_token_is_not_let_in(start: Callable[..., Nucleus], token: str) -> None:
    with pytest.raises(AwsCrtError, match="AWS_IO_SOCKET_CLOSED"):
        client_of(start(), token=token)
    with pytest.raises(AccessDeniedError):
        client_of(start(kind=JAVA), token=token)


def test_a_frame_that_lite_has_no_room_for_ends_the_connection(
    start: Callable[..., Nucleus],
) -> None:
    nucleus = start()
    client, heard = client_of(nucleus), Heard()
    client.subscribe_to_topic(topic="t", **heard.handlers)
    client.publish_to_topic(topic="t", publish_message=binary(bytes(7200)))
    heard.next()
    with pytest.raises((RuntimeError, AwsCrtError)) as error:
        client.publish_to_topic(topic="t", publish_message=binary(bytes(7400)))
    assert not isinstance(error.value, ServiceError)
    heard.wait_closed()
    client_of(nucleus).publish_to_topic(topic="t", publish_message=binary(b"again"))


def test_the_java_nucleus_takes_large_messages(start: Callable[..., Nucleus]) -> None:
    client, heard = client_of(start(kind=JAVA)), Heard()
    client.subscribe_to_topic(topic="t", **heard.handlers)
    client.publish_to_topic(topic="t", publish_message=binary(bytes(100_000)))
    assert len(heard.next().binary_message.message) == 100_000


def test_json_that_lite_has_no_room_for_ends_the_subscription_without_a_word(
    start: Callable[..., Nucleus],
) -> None:
    nucleus = start()
    client, heard, later = client_of(nucleus), Heard(), Heard()
    client.subscribe_to_topic(topic="t", **heard.handlers)
    client.publish_to_topic(topic="t", publish_message=json_message({"l": list(range(60))}))
    client.subscribe_to_topic(topic="t", **later.handlers)
    client.publish_to_topic(topic="t", publish_message=binary(b"x"))
    later.next()
    assert heard.is_silent
