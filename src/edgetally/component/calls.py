"""`Calls`: what is asked of AWS, made or only printed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Protocol

from edgetally.aws import client, told

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_IAM = {"greengrassv2": "greengrass"}


class Calls(Protocol):
    """Makes calls of AWS's services by boto3's names."""

    def make(self, service: str, operation: str, about: str, **parameters: Any) -> dict[str, Any]:
        """Make one; about: what it is for, in an error (InputError)."""

    def upload(self, path: Path, bucket: str, key: str) -> None:
        """Put a file into a bucket, in parts where it is large."""

    def region(self) -> str:
        """Return the region that is asked."""


class RealCalls:
    """Makes the calls."""

    def __init__(self) -> None:
        self._clients: dict[str, Any] = {}

    def make(self, service: str, operation: str, about: str, **parameters: Any) -> dict[str, Any]:
        """Make one."""
        action = "".join(part.title() for part in operation.split("_"))
        permission = f"{_IAM.get(service, service)}:{action}"
        with told(about, permission, with_reason=service == "greengrassv2"):
            made: dict[str, Any] = getattr(self._client(service), operation)(**parameters)
        return made

    def upload(self, path: Path, bucket: str, key: str) -> None:
        """Put a file into a bucket."""
        from boto3.exceptions import S3UploadFailedError  # noqa: PLC0415 - an extra

        about = f"s3://{bucket}/{key}"
        with told(about, "s3:PutObject"):
            try:
                self._client("s3").upload_file(str(path), bucket, key)
            except S3UploadFailedError as error:
                # It hides what AWS answered behind a text of its own.
                raise error.__context__ or error from None

    def region(self) -> str:
        """Return the region that is asked."""
        return str(self._client("greengrassv2").meta.region_name)

    def _client(self, service: str) -> Any:
        if service not in self._clients:
            self._clients[service] = client(service)
        return self._clients[service]


class PrintedCalls:
    """Prints the calls instead, as `aws` would be given them, and asks AWS nothing.

    What AWS would have answered is a name in angle brackets.
    """

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell

    def make(
        self,
        service: str,
        operation: str,
        about: str,  # noqa: ARG002 - as `Calls` has it
        **parameters: Any,
    ) -> dict[str, Any]:
        """Print one."""
        shown = json.dumps(parameters, default=_shown, sort_keys=True)
        self._tell(f"{service} {operation.replace('_', '-')} {shown}")
        return {}

    def upload(self, path: Path, bucket: str, key: str) -> None:
        """Print that a file would be put into a bucket."""
        self._tell(f"s3 put-object {path} s3://{bucket}/{key} ({path.stat().st_size} bytes)")

    def region(self) -> str:
        """Return a name in the place of the region."""
        return "<region>"


def _shown(value: object) -> object:
    if isinstance(value, bytes):
        return json.loads(value)  # a recipe
    raise TypeError
