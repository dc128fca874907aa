"""Built components on their way to devices: published and deployed through the cloud."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from greengrass_cloud import (
    COUNTER,
    Answering,
    moto_account,
    run,
    write_build,
)

from edgetally.component.built import built_components
from edgetally.component.calls import PrintedCalls
from edgetally.component.deploying import Deployment, Target, deploy
from edgetally.component.publishing import publish
from edgetally.component.watching import watch

if TYPE_CHECKING:
    from collections.abc import Iterator

boto3 = pytest.importorskip("boto3", reason="boto3 is not installed (edgetally[aws])")
pytest.importorskip("moto")


@pytest.fixture
def build(tmp_path: Path) -> Path:
    return write_build(tmp_path / "build")


@pytest.fixture(autouse=True)
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with moto_account(monkeypatch):
        yield


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


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--thing", ""), "--thing '' is no name in AWS IoT"),
        (("--group", "our docks"), "--group 'our docks' is no name in AWS IoT"),
        (("--component", f"{COUNTER}=banana"), "'banana' is no component version"),
        (("--component", f"{COUNTER}="), "'' is no component version"),
        (("--component", f"{COUNTER}=1.0.1000000"), "AWS takes numbers up to 999999"),
        (("--component", "=1.0.0"), "'' is no component's name"),
        (("--component", "io.edgetally.Counted"), "the build has no component"),
        (("--java-nucleus", "x y"), "'x y' is no component version; give --java-nucleus"),
    ],
)
def test_what_aws_would_refuse_is_told_before_it_is_asked(
    build: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, str], told: str
) -> None:
    target = () if options[0] in {"--thing", "--group"} else ("--thing", "dock-1")
    assert run("deploy", *target, *options, "--build", build, "--dry-run") == 2
    answered = capsys.readouterr()
    assert told in " ".join(answered.err.split())
    assert not answered.out


def test_an_empty_folder_names_the_command_that_fills_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("publish", "--bucket", "parts", "--build", tmp_path) == 2
    assert "edgetally component build" in capsys.readouterr().err


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
