"""Artifacts in AWS, against moto's server: where a job left its own, and how it is fetched."""

from __future__ import annotations

import contextlib
import json
import logging
import socket
import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest

from edgetally.conversion import convert
from edgetally.conversion.artifact.aws import artifact_of, fetch
from edgetally.conversion.artifact.class_names import read_class_names
from edgetally.conversion.report.inspection import describe
from edgetally.conversion.report.record import ConversionRecord
from edgetally.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

boto3 = pytest.importorskip("boto3", reason="boto3 is not installed (edgetally[convert])")
server = pytest.importorskip("moto.server", reason="moto[server] is not installed")

SECRET = "a-secret-of-mine"  # noqa: S105 - a made-up one, which no message may show
OBJECT_DETECTION = "811284229777.dkr.ecr.us-east-1.amazonaws.com/object-detection:1"
BUCKET = "detectors"
URI = f"s3://{BUCKET}/jobs/boxes/output/model.tar.gz"
CONTENT = bytes(range(256)) * 12_000  # three blocks


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    moto = server.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    moto.start()
    host, port = moto.get_host_and_port()
    yield f"http://{host}:{port}"
    moto.stop()


@pytest.fixture(autouse=True)
def aws(endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give boto an environment of its own: moto, dummy keys, none of this machine's settings."""
    for name, value in {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "AKIADUMMY",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": str(tmp_path / "no-config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "no-credentials"),
        "AWS_MAX_ATTEMPTS": "1",
        "NO_PROXY": "127.0.0.1",
    }.items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_PROFILE", "AWS_REGION", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def session() -> Any:
    """Return one session for the tests' own requests: it reads boto's large tables once."""
    return boto3.session.Session("AKIADUMMY", SECRET, region_name="us-east-1")


@pytest.fixture(scope="module")
def s3(session: Any, endpoint: str) -> Any:
    return session.client("s3", endpoint_url=endpoint)


@pytest.fixture(scope="module")
def stored(s3: Any) -> None:
    s3.create_bucket(Bucket=BUCKET)
    s3.put_object(Bucket=BUCKET, Key=URI.removeprefix(f"s3://{BUCKET}/"), Body=CONTENT)


Trained = Callable[..., str]


@pytest.fixture(scope="module")
def trained(session: Any, endpoint: str) -> Trained:
    """Return what makes a job; moto completes each at once, so a state is set in its store."""
    client = session.client("sagemaker", endpoint_url=endpoint)

    def make(name: str, image: str = OBJECT_DETECTION, **state: Any) -> str:
        client.create_training_job(
            TrainingJobName=name,
            AlgorithmSpecification={"TrainingImage": image, "TrainingInputMode": "File"},
            RoleArn="arn:aws:iam::123456789012:role/training",
            OutputDataConfig={"S3OutputPath": f"s3://{BUCKET}/jobs"},
            ResourceConfig={
                "InstanceType": "ml.p3.2xlarge",
                "InstanceCount": 1,
                "VolumeSizeInGB": 50,
            },
            StoppingCondition={"MaxRuntimeInSeconds": 3600},
        )
        from moto.sagemaker.models import sagemaker_backends

        job = sagemaker_backends["123456789012"]["us-east-1"].training_jobs[name]
        for key, value in state.items():
            setattr(job, key, value)
        return name

    return make


@pytest.fixture
def into(tmp_path: Path) -> Path:
    folder = tmp_path / "into"
    folder.mkdir()
    return folder


def refused(error: pytest.ExceptionInfo[InputError]) -> str:
    """Return the error's line, after looking that it is one and gives no secret away."""
    text = str(error.value)
    assert "\n" not in text
    assert SECRET not in text
    assert "AKIADUMMY" not in text
    return text


@pytest.mark.parametrize("status", ["Completed", "Stopped"])
def test_a_finished_jobs_artifact_is_found_and_fetched_whole(
    status: str, trained: Trained, stored: None, into: Path
) -> None:
    job = trained(f"boxes-{status}", training_job_status=status)
    assert artifact_of(job) == f"s3://{BUCKET}/jobs/{job}/output/model.tar.gz"
    heard: list[tuple[int, int]] = []
    path = fetch(URI, into, limit=len(CONTENT), tell=lambda here, size: heard.append((here, size)))
    assert path == into / "model.tar.gz"
    assert path.read_bytes() == CONTENT
    assert [size for _, size in heard] == [len(CONTENT)] * len(heard)
    assert len(heard) > 1
    assert heard == sorted(heard)
    assert heard[-1][0] == len(CONTENT)


@pytest.mark.parametrize(
    ("image", "algorithm"),
    [
        ("811284229777.dkr.ecr.us-east-1.amazonaws.com/image-classification:1", "image class"),
        (
            "685385470294.dkr.ecr.eu-west-1.amazonaws.com/semantic-segmentation@sha256:00",
            "semantic",
        ),
    ],
)
def test_a_job_of_another_algorithm_is_named_as_such(
    image: str, algorithm: str, trained: Trained
) -> None:
    job = trained(f"other-{abs(hash(image))}", image)
    with pytest.raises(InputError, match=f"trained with SageMaker's {algorithm}.* algorithm"):
        artifact_of(job)


def test_an_image_of_ones_own_is_no_other_algorithm(trained: Trained) -> None:
    job = trained("own", "1.dkr.ecr.eu-west-1.amazonaws.com/image-classification-and-more:1")
    assert artifact_of(job).endswith("/own/output/model.tar.gz")


@pytest.mark.parametrize("status", ["InProgress", "Failed"])
def test_a_job_that_left_nothing_yet_is_told_with_its_status(status: str, trained: Trained) -> None:
    job = trained(f"early-{status}", training_job_status=status)
    with pytest.raises(InputError, match=rf"early-{status} is {status} and has left no artifact"):
        artifact_of(job)


def test_a_stopped_job_without_an_artifact_is_told(trained: Trained) -> None:
    job = trained("empty", training_job_status="Stopped", model_artifacts={})
    with pytest.raises(InputError, match="is Stopped but left no artifact"):
        artifact_of(job)


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("missing", "training job missing does not exist; check its name, the account and"),
        ("", "'' is no name of a training job"),
        ("a job", "is no name of a training job"),
        ("arn:aws:sagemaker:us-east-1:1:training-job/boxes", "is no name of a training job"),
    ],
)
def test_a_job_that_is_not_there_is_one_line(name: str, problem: str) -> None:
    with pytest.raises(InputError, match=problem) as caught:
        artifact_of(name)
    refused(caught)


@contextlib.contextmanager
def answers(reply: bytes) -> Iterator[str]:
    """Serve that reply to each request, then close, on a port of this machine."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(65536)
                    connection.sendall(reply)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def http(status: str, kind: str, body: str) -> bytes:
    return (
        f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
        f"Connection: close\r\n\r\n{body}"
    ).encode()


def xml_error(status: str, code: str) -> bytes:
    return http(status, "application/xml", f"<Error><Code>{code}</Code></Error>")


def json_error(code: str) -> bytes:
    return http("400 Bad Request", "application/x-amz-json-1.1", f'{{"__type": "{code}"}}')


@pytest.mark.parametrize(
    ("reply", "problem"),
    [
        (json_error("AccessDeniedException"), "need the permission sagemaker:DescribeTrainingJob"),
        (json_error("ExpiredTokenException"), "the AWS credentials have expired; renew them"),
        (json_error("UnrecognizedClientException"), "the AWS credentials are not known"),
        (json_error("Strange"), r"AWS answered Strange \(HTTP 400\)"),
    ],
)
def test_what_aws_refuses_to_tell_is_one_line(
    reply: bytes, problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with answers(reply) as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        with pytest.raises(InputError, match=problem) as caught:
            artifact_of("boxes")
        refused(caught)


CUT = b"HTTP/1.1 200 OK\r\nContent-Length: 5000000\r\n\r\n" + bytes(2_000_000)


@pytest.mark.parametrize(
    ("reply", "problem"),
    [
        (xml_error("403 Forbidden", "AccessDenied"), "need the permission s3:GetObject"),
        (xml_error("400 Bad Request", "ExpiredToken"), "have expired"),
        (xml_error("403 Forbidden", "InvalidObjectState"), "restore it first"),
        (xml_error("403 Forbidden", "SignatureDoesNotMatch"), "do not fit together"),
        (CUT, "broke off"),
    ],
)
def test_what_s3_does_not_give_is_one_line_and_leaves_nothing(
    reply: bytes, problem: str, into: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with answers(reply) as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        with pytest.raises(InputError, match=problem) as caught:
            fetch(URI, into, limit=1 << 30)
        assert refused(caught).startswith(URI)
    assert list(into.iterdir()) == []


@pytest.mark.parametrize(
    ("uri", "problem"),
    [
        ("s3://no-such-bucket/model.tar.gz", "there is no such bucket"),
        (f"s3://{BUCKET}/elsewhere/model.tar.gz", "does not exist; check"),
        (f"s3://{BUCKET}", "names no object but a folder"),
        (f"s3://{BUCKET}/jobs/", "names no object but a folder"),
        ("s3:///model.tar.gz", "names no bucket"),
        ("s3://a b/model.tar.gz", "names no bucket"),
        ("model.tar.gz", "names no bucket"),
        (f"s3://{BUCKET}/{'k' * 1025}", "can't be an object's key"),
        (f"s3://{BUCKET}/a\nb", "can't be an object's key"),
        ("s3://" + "b" * 9000, r"b… \(9007 characters\) names no bucket"),
    ],
)
def test_an_address_without_an_object_is_one_line_and_leaves_nothing(
    uri: str, problem: str, stored: None, into: Path
) -> None:
    with pytest.raises(InputError, match=problem) as caught:
        fetch(uri, into, limit=1 << 30)
    refused(caught)
    assert list(into.iterdir()) == []


def test_an_address_may_begin_in_capitals(stored: None, into: Path) -> None:
    assert fetch(f"S3{URI[2:]}", into, limit=len(CONTENT)).read_bytes() == CONTENT


def test_an_object_past_the_limit_is_not_fetched(stored: None, into: Path) -> None:
    with pytest.raises(InputError, match=rf"has {len(CONTENT)} bytes, more than the 99"):
        fetch(URI, into, limit=99)
    assert list(into.iterdir()) == []


def test_who_stops_the_fetch_leaves_nothing(stored: None, into: Path) -> None:
    def stop(_here: int, _size: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(URI, into, limit=1 << 30, tell=stop)
    assert list(into.iterdir()) == []


def test_a_key_of_any_text_stays_inside_the_folder(into: Path, s3: Any, stored: None) -> None:
    for key in ("jobs/..", "jobs/a\\..\\b: 😀"):
        s3.put_object(Bucket=BUCKET, Key=key, Body=b"x")
        assert fetch(f"s3://{BUCKET}/{key}", into, limit=9).resolve().parent == into.resolve()


@pytest.mark.parametrize(
    ("environment", "problem"),
    [
        ({"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}, "no AWS credentials"),
        ({"AWS_SECRET_ACCESS_KEY": None}, "no AWS credentials"),
        ({"AWS_PROFILE": "nobody"}, "AWS_PROFILE names a profile that does not exist"),
        ({"AWS_DEFAULT_REGION": None}, "no AWS region; set AWS_DEFAULT_REGION"),
        ({"AWS_ENDPOINT_URL": "nonsense"}, "AWS_ENDPOINT_URL.* is no URL"),
        ({"AWS_DEFAULT_REGION": "x y"}, "AWS_DEFAULT_REGION.* is no region"),
        ({"AWS_MAX_ATTEMPTS": "x"}, "AWS_MAX_ATTEMPTS.* is no number"),
        ({"AWS_MAX_ATTEMPTS": "0"}, "AWS_MAX_ATTEMPTS.* is no number"),
        ({"AWS_RETRY_MODE": "x"}, "AWS_RETRY_MODE is unknown"),
        ({"AWS_ENDPOINT_URL": "http://me:a-secret-of-mine@127.0.0.1:1"}, "can't be reached"),
    ],
)
def test_settings_with_which_aws_cannot_be_asked_are_one_line(
    environment: dict[str, str | None], problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.delenv(name) if value is None else monkeypatch.setenv(name, value)
    with pytest.raises(InputError, match=problem) as caught:
        artifact_of("boxes")
    refused(caught)


def test_without_boto3_the_extra_is_named(into: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)
    for ask in (lambda: artifact_of("boxes"), lambda: fetch(URI, into, limit=9)):
        with pytest.raises(InputError, match=r"pip install 'edgetally\[aws\]'"):
            ask()


def test_class_names_come_from_a_manifest_in_s3(s3: Any, stored: None) -> None:
    line = '{"bb-metadata": {"class-map": {"1": "yellow box", "0": "blue box"}}}\n'
    s3.put_object(Bucket=BUCKET, Key="out/output.manifest", Body=line.encode())
    names = read_class_names(f"s3://{BUCKET}/out/output.manifest")
    assert names == ("blue box", "yellow box")


def test_a_bad_manifest_in_s3_is_named_by_its_address(s3: Any, stored: None) -> None:
    s3.put_object(Bucket=BUCKET, Key="bad.manifest", Body=b"{}\n[]\n")
    with pytest.raises(InputError, match=rf"class names: s3://{BUCKET}/bad\.manifest, line 2 is"):
        read_class_names(f"s3://{BUCKET}/bad.manifest")


def test_a_job_is_converted_calibrated_and_inspected_from_s3(
    artifact: Path, trained: Trained, s3: Any, stored: None, tmp_path: Path
) -> None:
    """The whole of what lies in S3: the job's artifact, and a manifest with its pictures."""
    uri = artifact_of(trained("boxes-whole"))
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    s3.put_object(Bucket=bucket, Key=key, Body=artifact.read_bytes())
    lines = []
    for number in range(2):
        picture = np.random.default_rng(number).integers(0, 256, (90, 160, 3), np.uint8)
        s3.put_object(
            Bucket=bucket,
            Key=f"frames/{number}.png",
            Body=cv2.imencode(".png", picture)[1].tobytes(),
        )
        labels = {"class-map": {"0": "blue box", "1": "yellow box"}}
        reference = f"s3://{bucket}/frames/{number}.png"
        lines.append(json.dumps({"source-ref": reference, "bb": {}, "bb-metadata": labels}))
    s3.put_object(Bucket=bucket, Key="output.manifest", Body="\n".join(lines).encode())
    manifest = f"s3://{bucket}/output.manifest"

    made = convert(
        uri,
        tmp_path / "boxes",
        classes=read_class_names(manifest),
        calibration=manifest,
        verify=False,
        timings=False,
        archive=True,
    )

    assert made.classes == ("blue box", "yellow box")
    assert "onnx-int8" in made.files
    record = ConversionRecord.load(tmp_path / "boxes")
    assert record is not None
    assert (record.source, record.calibration_images) == (uri, 2)
    assert describe(uri).content["convertible"] is True
    from_archive = describe(tmp_path / "boxes.tar.gz").content
    assert from_archive["sha256"] == made.sha256
    assert from_archive["path"] == str(tmp_path / "boxes.tar.gz")
