"""Operations that the Java nucleus offers with its own components, and lite does not."""

from __future__ import annotations

import base64
import json
import time
from typing import TYPE_CHECKING, Any

from edgetally.nucleus.ipc.failure import Failure, invalid

if TYPE_CHECKING:
    from edgetally.nucleus.ipc import Call


class Optional:
    """Secrets, metrics and shadows, kept in memory. `secrets`: values by ARN or name."""

    def __init__(self) -> None:
        self.secrets: dict[str, str] = {}
        self.metrics: list[dict[str, Any]] = []
        self.shadows: dict[tuple[str, str], dict[str, Any]] = {}

    async def secret(self, call: Call) -> dict[str, Any]:
        """GetSecretValue."""
        name = call.text("secretId")
        if name not in self.secrets:
            raise Failure("ResourceNotFoundError", f"secret {name} is not here")
        return {
            "secretId": name,
            "versionId": "1",
            "versionStage": ["AWSCURRENT"],
            "secretValue": {"secretString": self.secrets[name]},
        }

    async def metric(self, call: Call) -> dict[str, Any]:
        """PutComponentMetric."""
        metrics = call.arguments.get("metrics")
        if not isinstance(metrics, list) or not metrics:
            raise invalid()
        self.metrics += [metric for metric in metrics if isinstance(metric, dict)]
        return {}

    async def shadow(self, call: Call) -> dict[str, Any]:
        """GetThingShadow."""
        name = _shadow(call)
        if name not in self.shadows:
            raise Failure("ResourceNotFoundError", f"no shadow {'/'.join(name)}")
        return {"payload": _encoded(self.shadows[name])}

    async def update_shadow(self, call: Call) -> dict[str, Any]:
        """UpdateThingShadow."""
        name = _shadow(call)
        try:
            document = json.loads(base64.b64decode(call.text("payload")))
            state = document["state"]
        except (ValueError, KeyError, TypeError):
            raise Failure("InvalidArgumentsError", "the payload is no shadow document") from None
        known = self.shadows.get(name, {"state": {}, "version": 0})
        if document.get("version", known["version"]) != known["version"]:
            raise Failure("ConflictError", "the shadow has another version")
        self.shadows[name] = {
            "state": _merged(known["state"], state),
            "version": known["version"] + 1,
            "timestamp": int(time.time()),
        }
        return {"payload": _encoded({**self.shadows[name], "state": state})}


def _shadow(call: Call) -> tuple[str, str]:
    return call.text("thingName"), str(call.arguments.get("shadowName") or "")


def _encoded(document: dict[str, Any]) -> str:
    return base64.b64encode(json.dumps(document).encode()).decode()


def _merged(known: Any, new: Any) -> Any:
    """Merge as shadows do: null takes a key away."""
    if not isinstance(known, dict) or not isinstance(new, dict):
        return new
    merged = {**known, **{key: _merged(known.get(key), value) for key, value in new.items()}}
    return {key: value for key, value in merged.items() if value is not None}
