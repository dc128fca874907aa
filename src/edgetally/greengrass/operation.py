"""`Operation`: what is asked of a nucleus."""

from __future__ import annotations

from enum import Enum


class Operation(Enum):
    """An operation of the nucleus, by its name in policies."""

    PUBLISH_LOCAL = "PublishToTopic"
    PUBLISH_CLOUD = "PublishToIoTCore"
    SUBSCRIBE_LOCAL = "SubscribeToTopic"
    SUBSCRIBE_CLOUD = "SubscribeToIoTCore"
    READ_CONFIGURATION = "GetConfiguration"
    WATCH_CONFIGURATION = "SubscribeToConfigurationUpdate"
    UPDATE_STATE = "UpdateState"
    READ_SECRET = "GetSecretValue"  # noqa: S105 - a name
    VALIDATE = "SubscribeToValidateConfigurationUpdates"
    REPORT_VALIDITY = "SendConfigurationValidityReport"

    def __str__(self) -> str:
        return self.value

    @property
    def is_optional(self) -> bool:
        """Whether one carries on with a nucleus that lacks it."""
        return self in (Operation.READ_SECRET, Operation.VALIDATE, Operation.REPORT_VALIDITY)
