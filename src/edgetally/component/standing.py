"""Whether a deployment is still its target's, or was replaced or cancelled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from edgetally.aws import AwsError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edgetally.component.calls import Calls


class Ending(NamedTuple):
    """How a deployment ended before its devices had taken it, and what to do."""

    how: str
    remedy: str


class Standing:
    """A deployment among those of its target."""

    def __init__(self, deployment_id: str, arn: str, calls: Calls) -> None:
        self._id = deployment_id
        self._arn = arn
        self._calls = calls
        self._created: Any = None  # when the deployment was; None: not known
        self._refused: set[str] = set()

    def ending(self) -> Ending | None:
        """Ask AWS; None while it stands, or where AWS does not tell. AwsError where that passes."""
        found = self._asked("get_deployment", deploymentId=self._id)
        self._created = found.get("creationTimestamp", self._created)
        if found.get("isLatestForTarget") is False:
            listed = self._asked(
                "list_deployments", targetArn=self._arn, historyFilter="LATEST_ONLY"
            ).get("deployments", [])
            latest = listed[0] if listed else {}
            # What was asked for just now may be told of as it was before.
            if not latest or self._is_later(latest):
                return _replaced(latest)
        if found.get("deploymentStatus") == "CANCELED":
            return Ending("was cancelled", "deploy again where it shall be taken")
        return None

    def ending_seen_in(self, effective: Mapping[str, Any]) -> Ending | None:
        """Tell of a device's deployment whether it has taken this one's place."""
        if effective.get("deploymentId") == self._id:
            self._created = effective.get("creationTimestamp", self._created)
        elif effective.get("targetArn") == self._arn and self._created is not None:
            return _replaced(effective) if self._is_later(effective) else None
        return None

    def _is_later(self, other: Mapping[str, Any]) -> bool:
        if other.get("deploymentId") == self._id:
            return False
        created = other.get("creationTimestamp")
        return created is None or self._created is None or bool(created > self._created)

    def _asked(self, operation: str, **parameters: str) -> Mapping[str, Any]:
        """Return what AWS answers; nothing from the time on when it refuses to."""
        if operation in self._refused:
            return {}
        try:
            return self._calls.make(
                "greengrassv2", operation, f"deployment {self._id}", **parameters
            )
        except AwsError as error:
            if error.passing:
                raise
            self._refused.add(operation)
            return {}


def _replaced(by: Mapping[str, Any]) -> Ending:
    newer = f"deployment {by['deploymentId']}" if "deploymentId" in by else "a later one"
    return Ending(f"was replaced by {newer}", "each takes that one")
