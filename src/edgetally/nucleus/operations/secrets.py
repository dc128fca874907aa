"""Secrets, which the Java nucleus offers with a component of its own, and lite does not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgetally.nucleus.ipc.failure import Failure

if TYPE_CHECKING:
    from edgetally.nucleus.ipc import Call


class Secrets:
    """Secrets by ARN or name, kept in memory."""

    def __init__(self) -> None:
        self.by_name: dict[str, str] = {}

    async def read(self, call: Call) -> dict[str, Any]:
        """GetSecretValue."""
        name = call.text("secretId")
        if name not in self.by_name:
            raise Failure("ResourceNotFoundError", f"secret {name} is not here")
        return {
            "secretId": name,
            "versionId": "1",
            "versionStage": ["AWSCURRENT"],
            "secretValue": {"secretString": self.by_name[name]},
        }
