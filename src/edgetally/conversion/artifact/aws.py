"""Artifacts in AWS: where a training job left its own, and how it comes from S3.

Region, credentials and endpoints are boto3's usual ones (environment, profile, role).
"""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from edgetally.errors import EdgetallyError, InputError
from edgetally.shortened import shortened

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_SCHEME = re.compile("s3://", re.IGNORECASE)
_BLOCK = 1 << 20
_CONNECT_SECONDS = 10
_READ_SECONDS = 60
# S3 User Guide, "Bucket naming rules", with what older buckets of us-east-1 may hold.
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]")
_LONGEST_KEY = 1024
_TRAINING_JOB = re.compile(r"[A-Za-z0-9](-*[A-Za-z0-9]){0,62}")  # CreateTrainingJob's pattern
# The image of a built-in algorithm is ACCOUNT.dkr.ecr.REGION.amazonaws.com/ALGORITHM:VERSION.
_ALGORITHM = re.compile(r"/(image-classification|semantic-segmentation)(?:-neo)?(?:[:@]|$)")
_WRONG_KEYS = {
    "ExpiredToken": "have expired",
    "ExpiredTokenException": "have expired",
    "RequestExpired": "have expired",
    "InvalidAccessKeyId": "are not known",
    "InvalidClientTokenId": "are not known",
    "UnrecognizedClientException": "are not known",
    "InvalidToken": "are not known",
    "SignatureDoesNotMatch": "do not fit together",
    "InvalidSignatureException": "do not fit together",
}
_RETRIES = "AWS_MAX_ATTEMPTS, or max_attempts of AWS's configuration, is no number from 1 up"
_RETRIES_REMEDY = "give one, or unset it"
_DENIED = {"AccessDenied", "AccessDeniedException", "403", "Forbidden", "AllAccessDisabled"}
_MISSING = {"404", "NoSuchKey", "NotFound", "ResourceNotFound"}


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
    with _told(subject, "sagemaker:DescribeTrainingJob"):
        job = _client("sagemaker").describe_training_job(TrainingJobName=training_job)
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
    with _told(uri, "s3:GetObject"):
        found = _client("s3").get_object(Bucket=place.bucket, Key=place.key)
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


def _boto3() -> Any:
    try:
        import boto3  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise InputError(
            f"AWS needs boto3 ({error}); pip install 'edgetally[convert]', or download the "
            "artifact and give its path"
        ) from None
    return boto3


def _client(service: str) -> Any:
    boto3 = _boto3()
    from botocore import exceptions as boto  # noqa: PLC0415 - comes with boto3
    from botocore.config import Config  # noqa: PLC0415 - comes with boto3

    waits = Config(connect_timeout=_CONNECT_SECONDS, read_timeout=_READ_SECONDS)
    try:
        return boto3.session.Session().client(service, config=waits)
    except boto.InvalidRegionError:
        raise InputError(
            "AWS_DEFAULT_REGION, or the region of AWS's configuration, is no region; "
            "give one like eu-west-1"
        ) from None
    except boto.InvalidRetryConfigurationError:
        raise InputError(f"{_RETRIES}, or AWS_RETRY_MODE is unknown; {_RETRIES_REMEDY}") from None
    except ValueError as error:
        if "int()" in str(error):
            raise InputError(f"{_RETRIES}; {_RETRIES_REMEDY}") from None
        raise InputError(
            "AWS_ENDPOINT_URL, or another endpoint of AWS's configuration, is no URL; "
            "give one like https://host:port, or unset it"
        ) from None


@contextlib.contextmanager
def _told(subject: str, action: str) -> Iterator[None]:
    """Turn boto3's errors into InputErrors. Their own texts stay out: these may hold addresses."""
    _boto3()
    from botocore import exceptions as boto  # noqa: PLC0415 - comes with boto3

    no_keys = (
        boto.NoCredentialsError,
        boto.PartialCredentialsError,
        boto.CredentialRetrievalError,
        boto.TokenRetrievalError,
        boto.SSOError,
        boto.MetadataRetrievalError,
    )
    try:
        yield
    except no_keys as error:
        raise InputError(
            f"{subject}: no AWS credentials ({type(error).__name__}); set AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or run 'aws configure'"
        ) from None
    except boto.ProfileNotFound:
        raise InputError(
            f"{subject}: AWS_PROFILE names a profile that does not exist; see ~/.aws/config"
        ) from None
    except boto.NoRegionError:
        raise InputError(
            f"{subject}: no AWS region; set AWS_DEFAULT_REGION to the training job's region"
        ) from None
    except boto.ClientError as error:
        raise _of_answer(subject, action, error.response) from None
    except boto.FlexibleChecksumError:
        raise InputError(f"{subject} was damaged on its way; try again") from None
    except (boto.HTTPClientError, boto.ConnectionError, boto.IncompleteReadError) as error:
        raise InputError(
            f"{subject}: AWS can't be reached, or broke off{_host_of(error)} "
            f"({type(error).__name__}); check the network, the region and AWS_ENDPOINT_URL, then "
            "try again"
        ) from None
    except boto.BotoCoreError as error:
        raise InputError(
            f"{subject}: AWS can't be asked ({type(error).__name__}); check AWS's configuration "
            "(region, profile, AWS_ENDPOINT_URL), then try again"
        ) from None


def _of_answer(subject: str, action: str, response: dict[str, Any]) -> InputError:
    error = response.get("Error", {})
    code = str(error.get("Code", "unknown"))
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    if code in _WRONG_KEYS:
        return InputError(f"{subject}: the AWS credentials {_WRONG_KEYS[code]}; renew them")
    if code == "NoSuchBucket":
        return InputError(f"{subject}: there is no such bucket; check the address")
    # DescribeTrainingJob tells of a missing job as a ValidationException, in words.
    absent = re.search("not found|not find", str(error.get("Message", "")))
    if code in _MISSING or (code == "ValidationException" and absent) or status == 404:
        return InputError(f"{subject} does not exist; check its name, the account and the region")
    if code == "InvalidObjectState":
        return InputError(f"{subject} lies in an archive of S3; restore it first")
    if code in _DENIED or status == 403:
        return InputError(
            f"{subject}: access is denied; the credentials need the permission {action}"
        )
    return InputError(f"{subject}: AWS answered {code} (HTTP {status}); try again")


def _host_of(error: Any) -> str:
    """Name the host that was asked: an address may carry a password or a signature."""
    try:
        host = urlsplit(str(error.kwargs.get("endpoint_url", ""))).hostname
    except (AttributeError, ValueError):
        return ""
    return f" at {host}" if host else ""
