"""Built components published: artifacts in a bucket, versions that AWS knows."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest
from greengrass_cloud import (
    COMPONENT_ARN,
    COUNTER,
    MODEL,
    created,
    moto_account,
    stubbed_greengrass,
    write_build,
)

from edgetally.component.built import built_components
from edgetally.component.calls import RealCalls
from edgetally.component.publishing import publish
from edgetally.errors import EdgetallyError, InputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

boto3 = pytest.importorskip("boto3", reason="boto3 is not installed (edgetally[aws])")
pytest.importorskip("moto")


@pytest.fixture
def build(tmp_path: Path) -> Path:
    return write_build(tmp_path / "build")


@pytest.fixture(autouse=True)
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with moto_account(monkeypatch):
        yield


@pytest.fixture
def greengrass(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    with stubbed_greengrass(monkeypatch) as stubber:
        yield stubber


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


COUNTER_ARN = f"{COMPONENT_ARN}:versions:0.1.0"
DELETE = f"'aws greengrassv2 delete-component --arn {COUNTER_ARN}'"


def publish_over(build: Path, greengrass: Any, state: str, described: Any) -> str:
    """Publish what is there already in a state; return what is told of it."""
    said = f"Component [{COUNTER} : 0.1.0] for account [1] already exists with state: [{state}]"
    greengrass.add_client_error("create_component_version", "ConflictException", said, 409)
    if isinstance(described, dict):
        greengrass.add_response("describe_component", described, {"arn": COUNTER_ARN})
    else:
        greengrass.add_client_error("describe_component", described, "no", 403)
    greengrass.add_response("create_component_version", created("DEPLOYABLE"))
    told: list[str] = []
    with pytest.raises(InputError) as error:
        publish(built_components(build).values(), "parts", RealCalls(), told.append)
    assert told == [f"{MODEL} 2.0.0: published"]
    return str(error.value)


def test_a_version_that_is_published_already_is_told_and_the_others_are_published(
    build: Path, greengrass: Any
) -> None:
    told = publish_over(build, greengrass, "DEPLOYABLE", created("DEPLOYABLE"))
    assert told.startswith(f"{COUNTER} 0.1.0 is published already")
    assert "higher --version" in told


def test_a_version_that_aws_refused_before_is_told_with_its_reason(
    build: Path, greengrass: Any
) -> None:
    failed = created("FAILED", message="NONE", errors={"artifact.zip": "no access"})
    told = publish_over(build, greengrass, "FAILED", failed)
    assert told.startswith(f"{COUNTER} 0.1.0 is there already, and AWS refused it: no access; ")
    assert f"delete that version ({DELETE}, or in AWS's console)" in told
    told = publish_over(build, greengrass, "FAILED", "AccessDeniedException")
    assert told.startswith(f"{COUNTER} 0.1.0 is there already, and AWS refused it; delete")


def test_a_version_that_aws_still_reads_is_told(build: Path, greengrass: Any) -> None:
    told = publish_over(build, greengrass, "REQUESTED", created("REQUESTED"))
    assert "has not read all of it (REQUESTED); publish again in some minutes" in told


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
