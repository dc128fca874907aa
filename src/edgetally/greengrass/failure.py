"""What can go wrong with a call to the nucleus, in one line each."""

from __future__ import annotations

from awscrt.exceptions import AwsCrtError  # type: ignore[import-untyped]
from awsiot import eventstreamrpc as rpc  # type: ignore[import-untyped]
from awsiot.greengrasscoreipc import model  # type: ignore[import-untyped]

from edgetally.errors import EdgetallyError
from edgetally.greengrass.operation import Operation

# A nucleus that was told of a token that it does not know hangs up (lite), or says so.
_HANG_UPS = ("AWS_IO_SOCKET_CLOSED",)
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


def not_connected(error: BaseException) -> EdgetallyError:
    """Say why there is no connection."""
    hung_up = isinstance(error, AwsCrtError) and error.name in _HANG_UPS
    if hung_up or isinstance(error, rpc.AccessDeniedError):
        return UnknownHereError("greengrass: the nucleus does not take us for its component")
    return EdgetallyError(f"greengrass: no connection: {_told(error)}")


def _told(error: BaseException) -> str:
    text = str(getattr(error, "message", None) or error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
