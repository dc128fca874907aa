"""Built components on their way to devices: published, deployed, watched."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from edgetally.cli import main
from edgetally.component.built import built_components
from edgetally.component.calls import PrintedCalls, RealCalls
from edgetally.component.deploying import Deployment, Target, deploy, watch
from edgetally.component.names import NUCLEUS
from edgetally.component.publishing import publish
from edgetally.errors import EdgetallyError, InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

boto3 = pytest.importorskip("boto3", reason="boto3 is not installed (edgetally[aws])")
stubbing = pytest.importorskip("botocore.stub")
moto = pytest.importorskip("moto")

COUNTER = "io.edgetally.Counter"
MODEL = "io.edgetally.Model"
THING_ARN = "arn:aws:iot:eu-west-1:123456789012:thing/dock-1"
GROUP_ARN = "arn:aws:iot:eu-west-1:123456789012:thinggroup/docks"
COMPONENT_ARN = "arn:aws:greengrass:eu-west-1:123456789012:components:io.edgetally.Counter"
DEFAULTS = {"model": {"path": "current"}, "accessControl": {}}


@pytest.fixture
def build(tmp_path: Path) -> Path:
    """A build of the counter and a model, as small as can be."""
    folder = tmp_path / "build"
    for name, version in ((COUNTER, "0.1.0"), (MODEL, "2.0.0")):
        file = folder / "artifacts" / name / version / "artifact.zip"
        file.parent.mkdir(parents=True)
        file.write_bytes(name.encode())
        uri = "s3://BUCKET_NAME/COMPONENT_NAME/COMPONENT_VERSION/artifact.zip"
        recipe = {
            "ComponentName": name,
            "ComponentVersion": version,
            "ComponentConfiguration": {"DefaultConfiguration": DEFAULTS},
            "Manifests": [{"Artifacts": [{"Uri": uri}]}, {"Artifacts": [{"Uri": uri}]}],
        }
        path = folder / "recipes" / f"{name}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(recipe))
    return folder


@pytest.fixture(autouse=True)
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An account of moto's, which has no Greengrass; that is stubbed."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    with moto.mock_aws():
        boto3.client("s3").create_bucket(
            Bucket="parts", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
        )
        yield


@pytest.fixture
def greengrass(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """What answers for AWS IoT Greengrass, as it is told to; every answer must be asked for."""
    stubbed = boto3.client("greengrassv2")
    monkeypatch.setattr(
        "edgetally.component.calls.client",
        lambda service: stubbed if service == "greengrassv2" else boto3.client(service),
    )
    with stubbing.Stubber(stubbed) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


def created(state: str, **more: Any) -> dict[str, Any]:
    return {
        "arn": f"{COMPONENT_ARN}:versions:0.1.0",
        "componentName": COUNTER,
        "componentVersion": "0.1.0",
        "creationTimestamp": 0,
        "status": {"componentState": state, **more},
    }


def recipe_in_bucket(build: Path) -> bytes:
    component = built_components(build)[COUNTER]
    return json.dumps(component.with_artifacts_at("parts"), indent=2).encode()


def test_a_component_is_published_with_its_artifacts_in_the_bucket(
    build: Path, greengrass: Any
) -> None:
    recipe = recipe_in_bucket(build)
    greengrass.add_response(
        "create_component_version", created("REQUESTED"), {"inlineRecipe": recipe}
    )
    greengrass.add_response(
        "describe_component",
        created("DEPLOYABLE"),
        {"arn": f"{COMPONENT_ARN}:versions:0.1.0"},
    )
    told: list[str] = []
    component = built_components(build)[COUNTER]
    publish([component], "parts", RealCalls(), told.append, pause=lambda _: None)
    assert told == [f"{COUNTER} 0.1.0: published"]
    uris = [each["Artifacts"][0]["Uri"] for each in json.loads(recipe)["Manifests"]]
    digest = hashlib.sha256(COUNTER.encode()).hexdigest()[:16]
    key = f"{COUNTER}/0.1.0/{digest}/artifact.zip"
    assert uris == [f"s3://parts/{key}"] * 2
    stored = boto3.client("s3").get_object(Bucket="parts", Key=key)
    assert stored["Body"].read() == COUNTER.encode()


def test_a_version_that_is_published_already_is_told_and_the_others_are_published(
    build: Path, greengrass: Any
) -> None:
    greengrass.add_client_error("create_component_version", "ConflictException", "exists", 409)
    greengrass.add_response("create_component_version", created("DEPLOYABLE"))
    told: list[str] = []
    with pytest.raises(InputError, match=rf"{COUNTER} 0.1.0 is published.*higher --version"):
        publish(built_components(build).values(), "parts", RealCalls(), told.append)
    assert told == [f"{MODEL} 2.0.0: published"]


def test_what_is_published_again_overwrites_no_artifact_that_is_deployed(
    build: Path, greengrass: Any
) -> None:
    for content in (b"first", b"second"):
        (build / "artifacts" / COUNTER / "0.1.0" / "artifact.zip").write_bytes(content)
        greengrass.add_response("create_component_version", created("DEPLOYABLE"))
        publish([built_components(build)[COUNTER]], "parts", RealCalls(), print)
    assert boto3.client("s3").list_objects_v2(Bucket="parts")["KeyCount"] == 2


def test_a_recipe_that_aws_finds_wrong_is_told_with_its_reason(
    build: Path, greengrass: Any
) -> None:
    greengrass.add_client_error(
        "create_component_version", "ValidationException", "Lifecycle is wrong", 400
    )
    with pytest.raises(InputError, match=f"component {COUNTER} 0.1.0.*Lifecycle is wrong"):
        publish([built_components(build)[COUNTER]], "parts", RealCalls(), print)


def test_artifacts_that_aws_cannot_read_are_a_failure_with_its_reason(
    build: Path, greengrass: Any
) -> None:
    failed = created("FAILED", errors={"artifact.zip": "no access"})
    greengrass.add_response("create_component_version", failed)
    with pytest.raises(EdgetallyError, match="was refused: no access"):
        publish([built_components(build)[COUNTER]], "parts", RealCalls(), print)


def test_a_bucket_that_is_not_there_is_named(build: Path, greengrass: Any) -> None:
    with pytest.raises(InputError, match=r"s3://nowhere-at-all/.*no such bucket"):
        publish([built_components(build)[COUNTER]], "nowhere-at-all", RealCalls(), print)


def test_a_deployment_keeps_what_else_the_target_has(build: Path, greengrass: Any) -> None:
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


class Answering(PrintedCalls):
    """Answers with a target's latest deployment; `asked`: the calls, with the last of each."""

    def __init__(self, latest: dict[str, Any] | None = None) -> None:
        super().__init__(print)
        self.asked: dict[str, dict[str, Any]] = {}
        self._answers: dict[str, dict[str, Any]] = {
            "list_deployments": {"deployments": [{"deploymentId": "former"}]},
            "get_deployment": latest or {},
            "create_deployment": {"deploymentId": "mine"},
            "list_core_devices": {"coreDevices": [{"coreDeviceThingName": "dock-1"}]},
            "list_effective_deployments": effective("SUCCEEDED"),
            "create_component_version": {"arn": "a", "status": {"componentState": "REQUESTED"}},
            "describe_component": created("DEPLOYABLE"),
        }

    def make(self, service: str, operation: str, about: str, **given: Any) -> dict[str, Any]:
        self.asked[operation] = given
        return self._answers.get(operation, {})


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


def effective(status: str, deployment: str = "mine", **more: Any) -> dict[str, Any]:
    return {
        "effectiveDeployments": [
            {
                "deploymentId": deployment,
                "deploymentName": "edgetally",
                "targetArn": GROUP_ARN,
                "coreDeviceExecutionStatus": status,
                "creationTimestamp": 0,
                "modifiedTimestamp": 0,
                **more,
            }
        ]
    }


def test_each_devices_progress_is_told_until_all_have_taken_it(greengrass: Any) -> None:
    devices = {"coreDevices": [{"coreDeviceThingName": name} for name in ("dock-1", "dock-2")]}
    for first, second in (
        (effective("SUCCEEDED", "another"), effective("IN_PROGRESS")),
        (effective("SUCCEEDED"), effective("IN_PROGRESS")),
        (effective("SUCCEEDED"), effective("SUCCEEDED")),
    ):
        greengrass.add_response("list_core_devices", devices, {"thingGroupArn": GROUP_ARN})
        for name, state in (("dock-1", first), ("dock-2", second)):
            greengrass.add_response(
                "list_effective_deployments", state, {"coreDeviceThingName": name}
            )
    told: list[str] = []
    watch(
        "mine",
        Target("group", "docks"),
        GROUP_ARN,
        RealCalls(),
        told.append,
        timeout=60,
        pause=lambda _: None,
    )
    assert told == [
        "dock-1: queued",
        "dock-2: in progress",
        "dock-1: succeeded",
        "dock-2: succeeded",
    ]


def test_a_deployment_is_found_among_many_of_a_device(greengrass: Any) -> None:
    first = effective("SUCCEEDED", "another") | {"nextToken": "more"}
    device = {"coreDeviceThingName": "dock-1"}
    greengrass.add_response("list_effective_deployments", first, device)
    greengrass.add_response(
        "list_effective_deployments", effective("SUCCEEDED"), device | {"nextToken": "more"}
    )
    told: list[str] = []
    watch("mine", Target("thing", "dock-1"), THING_ARN, RealCalls(), told.append, timeout=0)
    assert told == ["dock-1: succeeded"]


def test_a_device_that_fails_is_named_with_its_reason(greengrass: Any) -> None:
    failed = effective(
        "FAILED", reason="rolled back", statusDetails={"errorTypes": ["COMPONENT_BROKEN"]}
    )
    greengrass.add_response("list_effective_deployments", failed)
    with pytest.raises(EdgetallyError, match=r"1 of 1 .*dock-1 \(rolled back; COMPONENT_BROKEN\)"):
        watch("mine", Target("thing", "dock-1"), THING_ARN, RealCalls(), print, timeout=60)


def test_devices_that_are_away_end_the_wait_and_are_named(greengrass: Any) -> None:
    times = iter([0.0, 61.0])
    greengrass.add_response("list_effective_deployments", {"effectiveDeployments": []})
    with pytest.raises(EdgetallyError, match="after 60 s these have not finished: dock-1"):
        watch(
            "mine",
            Target("thing", "dock-1"),
            THING_ARN,
            RealCalls(),
            print,
            timeout=60,
            clock=lambda: next(times),
        )


def test_a_dry_run_prints_each_call_and_makes_none(build: Path) -> None:
    told: list[str] = []
    calls = PrintedCalls(told.append)
    publish(built_components(build).values(), "parts", calls, told.append)
    deploy(Deployment({COUNTER: "0.1.0"}), Target("thing", "dock-1"), calls)
    assert [line.split(" ", 2)[:2] for line in told if not line.endswith("published")] == [
        ["s3", "put-object"],
        ["greengrassv2", "create-component-version"],
        ["s3", "put-object"],
        ["greengrassv2", "create-component-version"],
        ["iot", "describe-thing"],
        ["greengrassv2", "list-deployments"],
        ["greengrassv2", "create-deployment"],
    ]
    assert boto3.client("s3").list_objects_v2(Bucket="parts")["KeyCount"] == 0


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["component", *map(str, arguments)])
    return int(ended.value.code or 0)


def test_a_configuration_that_the_service_would_refuse_is_not_deployed(
    build: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "dock.yaml"
    config.write_text("cameras: [{name: dock, source: 'test:', fsp: 5}]\n")
    options = ("--thing", "dock-1", "--config", config, "--build", build, "--dry-run")
    assert run("deploy", *options) == 2
    assert "did you mean 'fps'" in capsys.readouterr().err
    config.write_text("model: {scoreThreshold: 0.6}\n")
    assert run("deploy", *options) == 0  # a fleet's part; each device has its cameras
    assert "accessControl" not in capsys.readouterr().out
    config.write_text("publish: {thing: yard}\n")
    assert run("deploy", *options) == 0
    assert "edgetally/yard/health" in capsys.readouterr().out
    config.write_text("cameras: [{name: dock, source: 'test:', fps: 5}]\n")
    assert run("deploy", *options) == 0
    printed = capsys.readouterr().out
    assert '"merge": "{\\"cameras\\": [{\\"name\\": \\"dock\\"' in printed


def test_more_than_nucleus_lite_takes_is_deployed_to_java_nuclei_alone(
    build: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "hall.yaml"
    names = ", ".join(f"{{name: dock-{number}, source: 'test:', fps: 5}}" for number in range(300))
    config.write_text(f"cameras: [{names}]\n")
    options = ("--group", "docks", "--config", config, "--build", build, "--dry-run")
    assert run("deploy", *options) == 2
    assert "--java-nucleus" in capsys.readouterr().err
    assert run("deploy", *options, "--java-nucleus", "2.14.0") == 0
    assert "dock-299" in capsys.readouterr().out


def test_another_topic_prefix_brings_the_policies_for_it(
    build: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "site.yaml"
    config.write_text("cameras: [{name: dock, source: 'test:'}]\npublish: {topicPrefix: site}\n")
    assert run("deploy", "--thing", "t", "--build", build, "--config", config, "--dry-run") == 0
    assert "site/{iot:thingName}/inventory" in capsys.readouterr().out


def test_an_empty_folder_names_the_command_that_fills_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("publish", "--bucket", "parts", "--build", tmp_path) == 2
    assert "edgetally component build" in capsys.readouterr().err


def install(folder: Path, name: str, script: str) -> None:
    folder.mkdir(exist_ok=True)
    program = folder / name
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)


def test_the_nucleus_of_this_machine_is_asked_in_its_own_words(
    build: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    config = tmp_path / "dock.yaml"
    config.write_text("cameras: [{name: dock, source: 'test:'}]\n")
    programs = tmp_path / "bin"
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    # Lite takes no configuration beside a local deployment: it lies in the recipe.
    install(programs, "journalctl", "exit 1")
    install(programs, "systemctl", "exit 1")
    install(programs, "ggl-cli", f'echo "$@"; cat "$3"/{COUNTER}-0.1.0.json; ls -R "$5"')
    assert run("local", "--config", config, "--build", build) == 0
    printed = capsys.readouterr().out
    assert f"--add-component {COUNTER}=0.1.0 --add-component {MODEL}=2.0.0" in printed
    assert '"cameras":[{"name":"dock"' in printed
    assert "artifact.zip" in printed
    assert 'grep "reporting job"\' tells how it ends' in printed
    install(programs, "greengrass-cli", 'echo "$@"')
    assert run("local", "--config", config, "--build", build) == 0
    printed = capsys.readouterr().out
    assert f"--merge {COUNTER}=0.1.0 --merge {MODEL}=2.0.0 --merge {NUCLEUS}=^2.0.0 " in printed
    update = json.loads(printed.partition("--update-config ")[2])
    assert update[COUNTER]["MERGE"]["cameras"] == [{"name": "dock", "source": "test:"}]
    # It takes a configuration of what it deploys alone.
    assert update[NUCLEUS] == {"MERGE": {"interpolateComponentConfiguration": True}}
    assert run("local", "--build", build) == 0
    assert '{"aws.greengrass.Nucleus": {"MERGE"' in capsys.readouterr().out
    install(programs, "greengrass-cli", "echo not so >&2; exit 3")
    assert run("local", "--build", build) == 1
    assert "refuses the deployment: not so" in capsys.readouterr().err


def on_lite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *log: str) -> Path:
    """Make this machine one of nucleus lite's; log: what it says of a deployment, once asked."""
    programs = tmp_path / "bin"
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    asked, written = tmp_path / "asked", tmp_path / "log"
    written.write_text("\n".join(log))
    install(programs, "ggl-cli", f"touch {asked}; cp $3/*.json {tmp_path}")
    install(
        programs,
        "journalctl",
        f"""echo '-- cursor: s=1'
case "$*" in *--after-cursor\\ s=1*) if [ -e {asked} ]; then cat {written}; fi ;; esac""",
    )
    install(programs, "systemctl", f"[ -e {tmp_path}/{COUNTER}-0.1.0.json ]")
    return tmp_path / f"{COUNTER}-0.1.0.json"


END = (
    "I[ggdeploymentd] deployment_handler.c:2833: Completed deployment processing and reporting job"
)
BEGIN = "I[ggdeploymentd] deployment_handler.c:4255: Processing incoming deployment."


def test_a_deployment_on_lite_is_followed_to_its_end(
    build: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = f"{END} as FAILED."  # of the deployment that was under way
    cleaning = "I[ggdeploymentd] deployment_handler.c:4070: Performing cleanup of stale components"
    on_lite(tmp_path, monkeypatch, before, BEGIN, cleaning, f"{END} as SUCCEEDED.")
    assert run("local", "--build", build) == 0
    told = capsys.readouterr().out.splitlines()
    assert [line.partition(";")[0] for line in told] == [
        "lite has taken it up",
        "all runs",
        "succeeded",
    ]
    on_lite(tmp_path, monkeypatch, BEGIN)
    assert run("local", "--build", build, "--timeout", "0") == 1
    assert "has not ended after 0 s" in capsys.readouterr().err
    assert run("local", "--build", build, "--no-wait") == 0
    assert capsys.readouterr().out.startswith("queued; 'journalctl -f ")


@pytest.mark.parametrize(
    ("line", "remedy"),
    [
        (
            "E[ggconfigd] db_corebus.c:199: Json encode failed for key services/a/configuration/x.",
            "removed: 'ggl-cli deploy --remove-component NAME'",
        ),
        (
            "E[ggdeploymentd] handler.c:2386: Failed to write configuration arn list.",
            f"--remove-component {COUNTER} --remove-component {MODEL}', with all others",
        ),
        (
            "W[ggconfigd] db_interface.c:553: value already present for key (a). Failing request.",
            "lite refuses every deployment until",
        ),
    ],
)
def test_what_lite_refuses_is_told_in_its_words_with_the_way_out(
    build: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    line: str,
    remedy: str,
) -> None:
    usual = "E[ggdeploymentd] iot_jobs_listener.c:332: Failed to publish on describe job topic"
    on_lite(tmp_path, monkeypatch, BEGIN, usual, line, f"{END} as FAILED.")
    assert run("local", "--build", build) == 1
    told = capsys.readouterr().err
    assert f"the deployment failed: {line.partition(': ')[2].rstrip('.')}; " in told
    assert remedy in told


def test_on_lite_a_configuration_is_given_whole_and_without_one_the_devices_own_stays(
    build: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recipe = on_lite(tmp_path, monkeypatch, BEGIN, f"{END} as SUCCEEDED.")
    config = tmp_path / "dock.yaml"
    config.write_text("cameras: [{name: dock, source: 'test:'}]\npublish: {thing: dock-9}\n")

    def configured() -> Any:
        return json.loads(recipe.read_text()).get("ComponentConfiguration")

    assert run("local", "--build", build) == 0
    assert configured() == {"DefaultConfiguration": DEFAULTS}
    assert run("local", "--build", build, "--config", config) == 0
    first = configured()["DefaultConfiguration"]
    assert first["publish"] == {"thing": "dock-9"}
    assert first["model"] == {"path": "current", "tuning": None}
    assert run("local", "--build", build) == 0
    assert configured() is None
    config.write_text("cameras: [{name: dock, source: 'test:'}]\npublish:\n")
    assert run("local", "--build", build, "--config", config) == 0
    assert configured()["DefaultConfiguration"]["publish"] == {"thing": None}


def test_a_name_that_is_taken_back_takes_its_policies_along(
    build: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "dock.yaml"
    config.write_text("publish: {thing: null}\n")
    options = ("--thing", "dock-1", "--config", config, "--build", build, "--dry-run")
    assert run("deploy", *options) == 0
    printed = capsys.readouterr().out
    assert '\\"thing\\": null' in printed
    assert "edgetally/{iot:thingName}/health" in printed


def test_without_a_nucleus_a_dry_run_shows_the_commands_of_both(
    build: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    assert run("local", "--build", build) == 2
    before = os.umask(0o077)
    try:
        assert run("local", "--build", build, "--dry-run") == 0
    finally:
        os.umask(before)
    about, java, lite = capsys.readouterr().out.splitlines()
    assert about.startswith("# neither greengrass-cli nor ggl-cli is here")
    assert java.startswith("greengrass-cli deployment create --recipeDir ")
    assert lite.startswith("ggl-cli deploy --recipe-dir ")
    for folder in (java.split()[4], lite.split()[3]):  # a nucleus is another user
        assert stat.S_IMODE(Path(folder).stat().st_mode) == 0o755
        assert {stat.S_IMODE(path.stat().st_mode) for path in Path(folder).iterdir()} == {0o644}


def test_the_page_allows_all_that_is_asked_of_aws(build: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "deploy.md").read_text(encoding="utf-8")
    (policy,) = (
        json.loads(block.partition("```")[0])
        for block in page.split("```json\n")[1:]
        if block.startswith('{"Version"')
    )
    allowed = {
        action.partition(":")[2] for each in policy["Statement"] for action in each["Action"]
    }
    calls, group = Answering(), Target("group", "docks")
    publish(built_components(build).values(), "parts", calls, print, pause=lambda _: None)
    deploy(Deployment({COUNTER: "0.1.0"}), Target("thing", "dock-1"), calls)
    number, arn = deploy(Deployment({COUNTER: "0.1.0"}), group, calls)
    watch(number, group, arn, calls, print, timeout=0)
    asked = {operation.title().replace("_", "") for operation in calls.asked} | {"PutObject"}
    assert len(asked) == 10
    assert asked <= allowed


def test_the_infrastructure_is_clean_to_the_linter() -> None:
    api = pytest.importorskip("cfnlint.api")
    template = Path(__file__).parents[2] / "greengrass-component" / "cloudformation.yaml"
    problems = api.lint(template.read_text(encoding="utf-8"))
    assert not [str(problem) for problem in problems]
