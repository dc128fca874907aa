"""AWS through boto3, and what it answers in one line.

Region, credentials and endpoints are boto3's usual ones (environment, profile, role).
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from edgetally.errors import InputError
from edgetally.shortened import shortened

if TYPE_CHECKING:
    from collections.abc import Iterator

_CONNECT_SECONDS = 10
_READ_SECONDS = 60
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
_WRONG_REQUESTS = {"ValidationException", "ConflictException", "ServiceQuotaExceededException"}
_MISSING = {"404", "NoSuchKey", "NotFound", "ResourceNotFound"}


def _boto3() -> Any:
    try:
        import boto3  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise InputError(f"AWS needs boto3 ({error}); pip install 'edgetally[aws]'") from None
    return boto3


def client(service: str) -> Any:
    """Return boto3's client of a service, with time limits.

    InputError where boto3 is not installed or AWS's configuration is wrong.
    """
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


@contextmanager
def told(subject: str, action: str, *, with_reason: bool = False) -> Iterator[None]:
    """Turn boto3's errors into InputErrors. Their own texts stay out: these may hold addresses.

    subject: what the error is about; action: the IAM permission that is needed. with_reason:
    what AWS says of a request that it finds wrong is told, too.
    """
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
        raise InputError(f"{subject}: no AWS region; set AWS_DEFAULT_REGION") from None
    except boto.ClientError as error:
        raise _of_answer(subject, action, error.response, with_reason=with_reason) from None
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


def _of_answer(
    subject: str, action: str, response: dict[str, Any], *, with_reason: bool
) -> InputError:
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
    if with_reason and code in _WRONG_REQUESTS:
        reason = " ".join(str(error.get("Message", "")).split())
        return InputError(f"{subject}: AWS answered {code}: {shortened(reason)}")
    return InputError(f"{subject}: AWS answered {code} (HTTP {status}); try again")


def _host_of(error: Any) -> str:
    """Name the host that was asked: an address may carry a password or a signature."""
    try:
        host = urlsplit(str(error.kwargs.get("endpoint_url", ""))).hostname
    except (AttributeError, ValueError):
        return ""
    return f" at {host}" if host else ""
