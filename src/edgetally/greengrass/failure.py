"""What can go wrong with a call to the nucleus, in one line each."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from awsiot import eventstreamrpc as rpc  # type: ignore[import-untyped]
from awsiot.greengrasscoreipc import model  # type: ignore[import-untyped]

from edgetally.errors import EdgetallyError
from edgetally.greengrass.operation import Operation

if TYPE_CHECKING:
    from pathlib import Path

# A nucleus that was told of a token that it does not know hangs up (lite), or says so.
_HANG_UPS = ("AWS_IO_SOCKET_CLOSED",)
_NOBODY_LISTENS = ("AWS_ERROR_FILE_INVALID_PATH", "AWS_IO_SOCKET_CONNECTION_REFUSED")
_FORBIDDEN = ("AWS_ERROR_NO_PERMISSION",)
_REFUSING = (model.InvalidArgumentsError,)


class DeniedError(EdgetallyError):
    """The nucleus does not allow an operation on a resource."""


class OptionalOperationError(EdgetallyError):
    """This nucleus does not have an operation, or not this part of it."""


class UnknownHereError(EdgetallyError):
    """The nucleus takes neither the token nor the name that it was told."""


class LostError(EdgetallyError):
    """There is no connection, or not any more."""


class AbsentError(EdgetallyError):
    """There is nothing of this name."""


class InvalidError(EdgetallyError):
    """The nucleus will never take this, whatever is mended."""


def explained(error: BaseException, operation: Operation, resource: str) -> EdgetallyError:
    """Say what became of a call. The nucleus's own words are often empty, its classes are not."""
    if isinstance(error, EdgetallyError):
        return error
    about = f"{operation} {resource}".strip()
    if isinstance(error, model.UnauthorizedError | rpc.AccessDeniedError):
        return DeniedError(f"greengrass denies {about} ({_told(error)})")
    if operation is Operation.READ_SECRET and isinstance(error, model.ResourceNotFoundError):
        return EdgetallyError(
            f"the nucleus has no secret {resource}; "
            "add it to cloudSecrets of aws.greengrass.SecretManager"
        )
    if operation is Operation.READ_CONFIGURATION and isinstance(error, model.ResourceNotFoundError):
        return AbsentError(f"greengrass: our configuration has no {resource}")
    if isinstance(error, _REFUSING):
        return InvalidError(f"greengrass refuses {about}: {_told(error)}")
    # The Java nucleus ends the stream of an operation that none of its components offers, with a
    # word that the client does not read.
    is_ended = operation.is_optional and isinstance(error, rpc.StreamClosedError)
    if is_ended or isinstance(error, model.GreengrassCoreIPCError | rpc.UnmappedDataError):
        # Who has an operation and fails at it says why; lite, which lacks it, does not.
        is_passing = bool(getattr(error, "message", None))
        if operation.is_optional and not is_passing:
            return OptionalOperationError(f"this nucleus has no {operation} ({_told(error)})")
        return EdgetallyError(f"greengrass fails at {about}: {_told(error)}")
    return LostError(f"greengrass: connection lost at {about}: {_told(error)}")


def not_connected(error: BaseException, socket: Path) -> EdgetallyError:
    """Say why there is no connection to the nucleus of a socket."""
    name = _name(error)
    if name in _HANG_UPS or isinstance(error, rpc.AccessDeniedError):
        return UnknownHereError("greengrass: the nucleus does not take us for its component")
    if name in _NOBODY_LISTENS:
        return EdgetallyError(f"greengrass: no nucleus listens at {socket}; is it running?")
    if name in _FORBIDDEN:
        return EdgetallyError(
            f"greengrass: this user may not use {socket}; run as the component's user"
        )
    return EdgetallyError(f"greengrass: no connection to {socket}: {_told(error)}")


def _name(error: BaseException) -> str:
    """Return the name of an error of AWS's common runtime, which may be in its text alone."""
    named = re.match(r"\d+ \((AWS_\w+)\)", str(error))
    return named[1] if named else str(getattr(error, "name", ""))


def _told(error: BaseException) -> str:
    text = str(getattr(error, "message", None) or error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
