"""Deployments made of what is asked for and what the target has."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from greengrass_cloud import COUNTER, GROUP_ARN, MODEL, Answering, moto_account, stubbed_greengrass

from edgetally.component.calls import RealCalls
from edgetally.component.deploying import Deployment, Target, deploy
from edgetally.component.names import NUCLEUS
from edgetally.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

boto3 = pytest.importorskip("boto3", reason="boto3 is not installed (edgetally[aws])")
pytest.importorskip("moto")


@pytest.fixture(autouse=True)
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with moto_account(monkeypatch):
        yield


@pytest.fixture
def greengrass(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    with stubbed_greengrass(monkeypatch) as stubber:
        yield stubber


def test_a_deployment_keeps_what_else_the_target_has(greengrass: Any) -> None:
    boto3.client("iot").create_thing_group(thingGroupName="docks")
    arn = boto3.client("iot").describe_thing_group(thingGroupName="docks")["thingGroupArn"]
    cli = {"componentVersion": "2.12.0"}
    before = {"componentVersion": "0.0.9", "runWith": {"posixUser": "counter"}}
    greengrass.add_response(
        "list_deployments",
        {"deployments": [{"deploymentId": "former", "targetArn": arn}]},
        {"targetArn": arn, "historyFilter": "LATEST_ONLY"},
    )
    greengrass.add_response(
        "get_deployment",
        {"components": {"aws.greengrass.Cli": cli, COUNTER: before}},
        {"deploymentId": "former"},
    )
    greengrass.add_response(
        "create_deployment",
        {"deploymentId": "mine"},
        {
            "targetArn": arn,
            "deploymentName": "edgetally",
            "components": {
                "aws.greengrass.Cli": cli,
                COUNTER: {
                    "componentVersion": "0.1.0",
                    "runWith": {"posixUser": "counter"},
                    "configurationUpdate": {"merge": '{"cameras": []}', "reset": [""]},
                },
                MODEL: {"componentVersion": "2.0.0"},
            },
            "deploymentPolicies": {
                "failureHandlingPolicy": "ROLLBACK",
                "configurationValidationPolicy": {"timeoutInSeconds": 30},
            },
        },
    )
    deployment = Deployment(
        {COUNTER: "0.1.0", MODEL: "2.0.0"}, {COUNTER: {"cameras": []}}, from_defaults=True
    )
    assert deploy(deployment, Target("group", "docks"), RealCalls()) == ("mine", arn)


def test_what_else_the_latest_deployment_says_is_taken_over() -> None:
    rollout = {"jobExecutionsRolloutConfig": {"maximumPerMinute": 5}}
    policies = {
        "failureHandlingPolicy": "DO_NOTHING",
        "componentUpdatePolicy": {"action": "NOTIFY_COMPONENTS", "timeoutInSeconds": 120},
        "configurationValidationPolicy": {"timeoutInSeconds": 90},
    }
    latest = {
        "deploymentName": "dock software",
        "iotJobConfiguration": rollout,
        "deploymentPolicies": policies,
        "parentTargetArn": GROUP_ARN,
        "tags": {"team": "yard", "aws:cloudformation:stack-name": "theirs"},
        "iotJobId": "job",
        "components": {},
    }
    calls = Answering(latest)
    deploy(Deployment({COUNTER: "0.1.0"}), Target("group", "docks"), calls)
    assert calls.asked["create_deployment"] == {
        "targetArn": "<thing group docks>",
        "deploymentName": "dock software",
        "iotJobConfiguration": rollout,
        "deploymentPolicies": policies,
        "parentTargetArn": GROUP_ARN,
        "tags": {"team": "yard"},
        "components": {COUNTER: {"componentVersion": "0.1.0"}},
    }
    deploy(Deployment({}, on_failure="rollback"), Target("group", "docks"), calls)
    asked = calls.asked["create_deployment"]["deploymentPolicies"]
    assert asked == policies | {"failureHandlingPolicy": "ROLLBACK"}


def test_the_java_nucleus_is_told_to_fill_in_names_beside_what_it_was_told_before() -> None:
    told = {"merge": '{"logging": {"level": "DEBUG"}}'}
    before = {"componentVersion": "2.12.0", "configurationUpdate": told}
    calls = Answering({"components": {NUCLEUS: before}})
    versions = {COUNTER: "0.1.0", NUCLEUS: "2.14.0"}
    deploy(Deployment(versions), Target("thing", "dock-1"), calls)
    nucleus = calls.asked["create_deployment"]["components"][NUCLEUS]
    assert nucleus["componentVersion"] == "2.14.0"
    assert json.loads(nucleus["configurationUpdate"]["merge"]) == {
        "logging": {"level": "DEBUG"},
        "interpolateComponentConfiguration": True,
    }


def test_a_thing_that_does_not_exist_is_named(greengrass: Any) -> None:
    with pytest.raises(InputError, match="thing dock-1 does not exist"):
        deploy(Deployment({COUNTER: "0.1.0"}), Target("thing", "dock-1"), RealCalls())


def merging(merge: Any, **more: Any) -> dict[str, Any]:
    """Answer with a latest deployment that merges this into the counter's configuration."""
    text = merge if isinstance(merge, str) else json.dumps(merge)
    update = {"merge": text, **more}
    return {"components": {COUNTER: {"componentVersion": "0.0.9", "configurationUpdate": update}}}


def updated(latest: dict[str, Any], change: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return what a deployment of a change says of the counter's configuration."""
    calls = Answering(latest)
    deployment = Deployment(
        {COUNTER: "0.1.0", **more.pop("versions", {})}, {COUNTER: change}, **more
    )
    deploy(deployment, Target("group", "docks"), calls)
    update = calls.asked["create_deployment"]["components"][COUNTER]["configurationUpdate"]
    return {**update, "merge": json.loads(update["merge"])}


def test_what_the_latest_deployment_merges_is_merged_for_those_that_join_later() -> None:
    before = {
        "cameras": [{"name": "dock"}, {"name": "yard"}],
        "publish": {"topicPrefix": "site", "thing": "yard", "mqtt": {"host": "a", "port": 1}},
    }
    change = {
        "cameras": [{"name": "hall"}],
        "publish": {"thing": None, "mqtt": {"port": 2}},
        "model": {"scoreThreshold": 0.6},
    }
    assert updated(merging(before, reset=[""]), change) == {
        "merge": {
            "cameras": [{"name": "hall"}],
            "publish": {"topicPrefix": "site", "thing": None, "mqtt": {"host": "a", "port": 2}},
            "model": {"scoreThreshold": 0.6},
        }
    }


def test_from_defaults_nothing_of_the_latest_deployment_is_merged() -> None:
    update = updated(merging("no JSON"), {"cameras": []}, from_defaults=True)
    assert update == {"merge": {"cameras": []}, "reset": [""]}


def test_new_cameras_take_the_place_of_all_parts_of_those_before() -> None:
    before = {"cameras": "2 parts", "cameraParts": {"1": "[", "2": "]"}, "publish": {"thing": "a"}}
    assert updated(merging(before), {"cameras": []})["merge"] == {
        "cameras": [],
        "publish": {"thing": "a"},
    }
    assert updated(merging(before), {"publish": {"thing": "b"}})["merge"] == before | {
        "publish": {"thing": "b"}
    }


def test_lite_must_take_a_change_with_what_was_merged_before_it() -> None:
    policies = {f"policy {number}": {"resources": ["x" * 100]} for number in range(25)}
    latest = merging({"accessControl": policies})
    change = {"publish": {"thing": "a" * 1000}}
    with pytest.raises(
        InputError, match=rf"with what the latest deployment merges into {COUNTER}, .*3,900 bytes"
    ):
        updated(latest, change)
    assert updated(latest, change, from_defaults=True)["merge"] == change
    java = {NUCLEUS: {"componentVersion": "2.14.0"}}
    whole = {"accessControl": policies, **change}
    assert updated(latest, change, versions={NUCLEUS: "2.14.0"})["merge"] == whole
    latest["components"].update(java)
    assert updated(latest, change)["merge"] == whole
    with pytest.raises(InputError, match=r"^publish.thing has"):
        updated(merging({}), {"publish": {"thing": "a" * 5000}})


@pytest.mark.parametrize("merge", ["{cameras: []}", "[]"])
def test_what_the_latest_deployment_merges_must_be_json(merge: str) -> None:
    with pytest.raises(
        InputError,
        match=rf"latest deployment merges into {COUNTER} is no JSON object; .*--from-defaults",
    ):
        updated(merging(merge), {"cameras": []})


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("ResourceNotFoundException", f"Component version [{COUNTER}: 0.1.0] not found"),
        ("ValidationException", f"Component {COUNTER} version 0.1.0 does not exist."),
    ],
)
def test_a_component_that_is_not_published_is_told_in_awss_words(
    greengrass: Any, code: str, said: str
) -> None:
    boto3.client("iot").create_thing(thingName="dock-1")
    greengrass.add_response("list_deployments", {"deployments": []})
    greengrass.add_client_error("create_deployment", code, said, 404)
    with pytest.raises(InputError) as error:
        deploy(Deployment({COUNTER: "0.1.0"}), Target("thing", "dock-1"), RealCalls())
    assert str(error.value).startswith(
        f"deployment to thing dock-1: AWS answered {code}: {said}; publish it first"
    )


def test_the_permission_that_aws_names_is_told(greengrass: Any) -> None:
    boto3.client("iot").create_thing(thingName="dock-1")
    greengrass.add_response("list_deployments", {"deployments": []})
    said = "User: arn:aws:iam::1:user/me is not authorized to perform: iot:CreateJob on it"
    greengrass.add_client_error("create_deployment", "AccessDeniedException", said, 403)
    with pytest.raises(InputError, match="the credentials need the permission iot:CreateJob"):
        deploy(Deployment({COUNTER: "0.1.0"}), Target("thing", "dock-1"), RealCalls())
