"""AWS through boto3, and what it answers in one line.

Region, credentials and endpoints are boto3's usual ones (environment, profile, role).
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from http import HTTPStatus
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
_PASSING = re.compile(r"Throttl|TooManyRequests|RequestLimitExceeded|RequestTimeout|SlowDown")
_NOT_AUTHORIZED = re.compile(r"not authorized to perform: ([a-z0-9-]+:[A-Za-z]+)")


class AwsError(InputError):
    """What AWS refused, or could not be asked. Its text: `what`, and what to do.

    code: AWS's or boto3's own name of it; missing: what was asked for does not exist;
    passing: the same may be answered well later.
    """

    def __init__(
        self,
        what: str,
        remedy: str = "",
        *,
        code: str = "",
        missing: bool = False,
        passing: bool = False,
    ) -> None:
        """Take what is told, and what it is about."""
        super().__init__(f"{what}; {remedy}" if remedy else what)
        self.what = what
        self.code = code
        self.missing = missing
        self.passing = passing


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
    """Turn boto3's errors into AwsErrors. Their own texts stay out: these may hold addresses.

    subject: what the error is about; action: the IAM permission that is needed. with_reason:
    what AWS says of a request that it finds wrong, or of what it does not find, is told, too.
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
        raise AwsError(
            f"{subject}: no AWS credentials ({type(error).__name__})",
            "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or run "
            "'aws configure'",
        ) from None
    except boto.ProfileNotFound:
        raise AwsError(
            f"{subject}: AWS_PROFILE names a profile that does not exist", "see ~/.aws/config"
        ) from None
    except boto.NoRegionError:
        raise AwsError(f"{subject}: no AWS region", "set AWS_DEFAULT_REGION") from None
    except boto.ClientError as error:
        raise _of_answer(subject, action, error.response, with_reason=with_reason) from None
    except boto.FlexibleChecksumError:
        raise AwsError(f"{subject} was damaged on its way", "try again", passing=True) from None
    except (boto.HTTPClientError, boto.ConnectionError, boto.IncompleteReadError) as error:
        raise AwsError(
            f"{subject}: AWS can't be reached, or broke off{_host_of(error)} "
            f"({type(error).__name__})",
            "check the network, the region and AWS_ENDPOINT_URL, then try again",
            code=type(error).__name__,
            passing=True,
        ) from None
    except boto.BotoCoreError as error:
        raise AwsError(
            f"{subject}: AWS can't be asked ({type(error).__name__})",
            "check AWS's configuration (region, profile, AWS_ENDPOINT_URL), then try again",
        ) from None


def _of_answer(
    subject: str, action: str, response: dict[str, Any], *, with_reason: bool
) -> AwsError:
    error = response.get("Error", {})
    code = str(error.get("Code", "unknown"))
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    reason = " ".join(str(error.get("Message", "")).split())
    if code in _WRONG_KEYS:
        return AwsError(f"{subject}: the AWS credentials {_WRONG_KEYS[code]}", "renew them")
    if code == "NoSuchBucket":
        return AwsError(f"{subject}: there is no such bucket", "check the address")
    missing = code in _MISSING or status == HTTPStatus.NOT_FOUND
    if with_reason and reason and (missing or code in _WRONG_REQUESTS):
        said = f"{subject}: AWS answered {code}: {shortened(reason)}"
        return AwsError(said, code=code, missing=missing)
    # DescribeTrainingJob tells of a missing job as a ValidationException, in words.
    absent = re.search("not found|not find", reason)
    if missing or (code == "ValidationException" and absent):
        return AwsError(
            f"{subject} does not exist",
            "check its name, the account and the region",
            code=code,
            missing=True,
        )
    if code == "InvalidObjectState":
        return AwsError(f"{subject} lies in an archive of S3", "restore it first")
    if code in _DENIED or status == HTTPStatus.FORBIDDEN:
        # What a service does in our name needs permissions that AWS alone can name.
        named = _NOT_AUTHORIZED.search(reason)
        return AwsError(
            f"{subject}: access is denied",
            f"the credentials need the permission {named[1] if named else action}",
            code=code,
        )
    passing = (
        status == HTTPStatus.TOO_MANY_REQUESTS
        or (status or 0) >= HTTPStatus.INTERNAL_SERVER_ERROR
        or _PASSING.search(code) is not None
    )
    said = f"{subject}: AWS answered {code} (HTTP {status})"
    return AwsError(said, "try again", code=code, passing=passing)


def _host_of(error: Any) -> str:
    """Name the host that was asked: an address may carry a password or a signature."""
    try:
        host = urlsplit(str(error.kwargs.get("endpoint_url", ""))).hostname
    except (AttributeError, ValueError):
        return ""
    return f" at {host}" if host else ""
