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
    UPDATE_SHADOW = "UpdateThingShadow"
    PUT_METRICS = "PutComponentMetric"

    def __str__(self) -> str:
        return self.value

    @property
    def is_optional(self) -> bool:
        """Whether one carries on with a nucleus that lacks it."""
        return self.is_aside or self in (
            Operation.READ_SECRET,
            Operation.VALIDATE,
            Operation.REPORT_VALIDITY,
        )

    @property
    def is_aside(self) -> bool:
        """Whether nothing hangs on it: not even the connection, where it is not answered."""
        return self in (Operation.UPDATE_SHADOW, Operation.PUT_METRICS)

    @property
    def is_for_aws_alone(self) -> bool:
        """Whether the Java nucleus denies it to all components but those of AWS."""
        return self is Operation.PUT_METRICS
