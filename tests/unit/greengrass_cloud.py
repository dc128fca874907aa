"""What tests of components in the cloud share: a build, an account, and what AWS answers."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from edgetally.cli import main
from edgetally.component.calls import PrintedCalls

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

COUNTER = "io.edgetally.Counter"
MODEL = "io.edgetally.Model"
THING_ARN = "arn:aws:iot:eu-west-1:123456789012:thing/dock-1"
GROUP_ARN = "arn:aws:iot:eu-west-1:123456789012:thinggroup/docks"
COMPONENT_ARN = "arn:aws:greengrass:eu-west-1:123456789012:components:io.edgetally.Counter"
DEFAULTS = {"model": {"path": "current"}, "accessControl": {}}


def write_build(folder: Path) -> Path:
    """Write a build of the counter and a model, as small as can be."""
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


def set_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let boto3 find credentials, which nobody takes, and a region."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    monkeypatch.delenv("AWS_PROFILE", raising=False)


@contextmanager
def moto_account(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An account of moto's with a bucket; it has no Greengrass, which is stubbed."""
    boto3 = pytest.importorskip("boto3", reason="boto3 is not installed (edgetally[aws])")
    moto = pytest.importorskip("moto")
    set_credentials(monkeypatch)
    with moto.mock_aws():
        boto3.client("s3").create_bucket(
            Bucket="parts", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
        )
        yield


@contextmanager
def stubbed_greengrass(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Answer for AWS IoT Greengrass as it is told to; every answer must be asked for.

    Other services are what stands in for them (moto).
    """
    boto3 = pytest.importorskip("boto3", reason="boto3 is not installed (edgetally[aws])")
    from botocore.stub import Stubber

    set_credentials(monkeypatch)
    stubbed = boto3.client("greengrassv2")
    monkeypatch.setattr(
        "edgetally.component.calls.client",
        lambda service: stubbed if service == "greengrassv2" else boto3.client(service),
    )
    with Stubber(stubbed) as stubber:
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


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["component", *map(str, arguments)])
    return int(ended.value.code or 0)
