"""An operation that fails, as the client gets to know it."""

from __future__ import annotations

from typing import Any


class Failure(Exception):  # noqa: N818 - the error is the client's
    """Answered with an APPLICATION_ERROR. `kind` is the model's name, such as ServiceError.

    "" is none of the model: the client finds the stream closed.
    """

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind
        self.text = text

    def to_body(self, *, has_text: bool) -> dict[str, Any]:
        """Return the payload: lite calls the text `_message`, which awsiotsdk does not read."""
        body = {"_message": self.text, "_errorCode": self.kind}
        return {**body, "message": self.text} if has_text else body


def unauthorized() -> Failure:
    """Return what a denied operation fails with."""
    return Failure("UnauthorizedError", "IPC Operation not authorized.")


def unsupported(operation: str) -> Failure:
    """Return what the Java nucleus answers where no component of its offers an operation."""
    return Failure("", f"{operation} is an unsupported operation.")


def service_error(text: str) -> Failure:
    """Return what fails for the nucleus's own reasons."""
    return Failure("ServiceError", text)


def refused(text: str) -> Failure:
    """Return what the Java nucleus fails a request with that it finds wrong."""
    return Failure("InvalidArgumentsError", text)


def invalid(text: str = "Received invalid parameters.") -> Failure:
    """Return what a request fails with whose arguments make no sense."""
    return Failure("ServiceError", text)
