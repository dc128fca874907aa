"""Artifacts in AWS: where a training job left its own, and how it comes from S3."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from edgetally.aws import client, told
from edgetally.errors import EdgetallyError, InputError
from edgetally.shortened import shortened

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_SCHEME = re.compile("s3://", re.IGNORECASE)
_BLOCK = 1 << 20
# S3 User Guide, "Bucket naming rules", with what older buckets of us-east-1 may hold.
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]")
_LONGEST_KEY = 1024
_TRAINING_JOB = re.compile(r"[A-Za-z0-9](-*[A-Za-z0-9]){0,62}")  # CreateTrainingJob's pattern
# The image of a built-in algorithm is ACCOUNT.dkr.ecr.REGION.amazonaws.com/ALGORITHM:VERSION.
_ALGORITHM = re.compile(r"/(image-classification|semantic-segmentation)(?:-neo)?(?:[:@]|$)")


class _Place(NamedTuple):
    bucket: str
    key: str


def is_address(text: str) -> bool:
    """Tell whether a text begins as an address in S3 does, in small letters or capitals."""
    return _SCHEME.match(text) is not None


def artifact_of(training_job: str) -> str:
    """Return the `s3://` address of the artifact that a training job left.

    Raises InputError where there is no such job or no artifact yet, where the job trained with
    another algorithm, and where AWS can't be asked (region, credentials, permission, network).
    """
    if not _TRAINING_JOB.fullmatch(training_job):
        raise InputError(
            f"{shortened(repr(training_job))} is no name of a training job; give --training-job "
            "the name that CreateTrainingJob was given, of up to 63 letters, digits and hyphens"
        )
    subject = f"training job {training_job}"
    with told(subject, "sagemaker:DescribeTrainingJob"):
        job = client("sagemaker").describe_training_job(TrainingJobName=training_job)
    found = _ALGORITHM.search(job.get("AlgorithmSpecification", {}).get("TrainingImage", ""))
    if found:
        raise InputError(
            f"{subject} trained with SageMaker's {found[1].replace('-', ' ')} algorithm, not with "
            "object detection; name an Object Detection job"
        )
    status = job.get("TrainingJobStatus", "unknown")
    address = job.get("ModelArtifacts", {}).get("S3ModelArtifacts", "")
    if status not in {"Completed", "Stopped"}:
        remedy = (
            "wait until it completes" if status in {"InProgress", "Stopping"} else "train again"
        )
        raise InputError(f"{subject} is {status} and has left no artifact; {remedy}")
    if not address:
        raise InputError(f"{subject} is {status} but left no artifact; train again")
    return str(address)


def fetch(
    uri: str, folder: Path, *, limit: int, tell: Callable[[int, int], None] | None = None
) -> Path:
    """Copy `s3://bucket/key` into a file of the folder and return its path.

    limit: the most bytes the object may have. tell: hears how many bytes are here, and of how
    many, after each block.

    Raises InputError where the address is malformed, the object is missing, forbidden or too
    large, and where AWS can't be reached or breaks off; then nothing is left in the folder.
    """
    place = _parse(uri)
    # The key's last part may be any text; as a file's name it must stay inside the folder.
    name = re.sub(r"[^A-Za-z0-9._-]", "_", place.key.rsplit("/", 1)[-1])[-100:].lstrip(".")
    path = folder / (name or "artifact")
    with told(uri, "s3:GetObject"):
        found = client("s3").get_object(Bucket=place.bucket, Key=place.key)
        with contextlib.closing(found["Body"]) as body:
            _copy(uri, body, int(found["ContentLength"]), path, limit, tell)
    return path


def _copy(
    uri: str,
    body: Any,
    size: int,
    path: Path,
    limit: int,
    tell: Callable[[int, int], None] | None,
) -> None:
    if size > limit:
        raise InputError(
            f"{uri} has {size} bytes, more than the {limit} that may be fetched; "
            "give the model.tar.gz of an Object Detection job"
        )
    here = 0
    with _new_file(path) as write:
        while block := body.read(_BLOCK):
            write(block)
            here += len(block)
            if tell:
                tell(here, size)


@contextlib.contextmanager
def _new_file(path: Path) -> Iterator[Callable[[bytes], None]]:
    """Yield what writes a block to a new file, which goes again where an error comes."""

    def failed(error: OSError) -> EdgetallyError:
        return EdgetallyError(f"{path} can't be written ({error.strerror or error}); make room")

    try:
        file = path.open("xb")
    except OSError as error:
        raise failed(error) from None

    def write(block: bytes) -> None:
        try:
            file.write(block)
        except OSError as error:
            raise failed(error) from None

    try:
        with file:
            yield write
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _parse(uri: str) -> _Place:
    bucket, _, key = _SCHEME.sub("", uri, count=1).partition("/")
    shown = shortened(repr(uri))
    if not is_address(uri) or not _BUCKET.fullmatch(bucket):
        raise InputError(f"{shown} names no bucket; give s3://bucket/path/to/model.tar.gz")
    if not key or key.endswith("/"):
        raise InputError(
            f"{shown} names no object but a folder; give s3://bucket/path/to/model.tar.gz"
        )
    if len(key.encode("utf-8", "replace")) > _LONGEST_KEY or not key.isprintable():
        raise InputError(f"{shown} can't be an object's key; give s3://bucket/path/to/model.tar.gz")
    return _Place(bucket, key)
