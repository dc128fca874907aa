"""The link to the Greengrass nucleus that runs edgetally; nothing else imports its IPC client."""

from edgetally.greengrass.deadlines import Deadlines
from edgetally.greengrass.failure import (
    DeniedError,
    InvalidError,
    LostError,
    OptionalOperationError,
    UnknownHereError,
)
from edgetally.greengrass.link import NucleusLink
from edgetally.greengrass.patience import Patience
from edgetally.greengrass.subscription import Subscription

__all__ = [
    "Deadlines",
    "DeniedError",
    "InvalidError",
    "LostError",
    "NucleusLink",
    "OptionalOperationError",
    "Patience",
    "Subscription",
    "UnknownHereError",
]
