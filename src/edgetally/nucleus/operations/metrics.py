"""Metrics of components, as strict as the Java nucleus is about them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from edgetally.nucleus.ipc.failure import refused, unauthorized

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgetally.nucleus.ipc import Call
    from edgetally.nucleus.kind import Kind

_UNITS = (
    "bytes",
    "bytespersecond",
    "count",
    "countpersecond",
    "megabytes",
    "none",
    "percent",
    "seconds",
)
_LONGEST_NAME = 32  # bytes


class Metrics:
    """Every metric that was taken, oldest first. tell: gets a line for each request."""

    def __init__(self, kind: Kind, tell: Callable[[str], None]) -> None:
        self.taken: list[dict[str, Any]] = []
        self._kind, self._tell = kind, tell

    async def put(self, call: Call) -> dict[str, Any]:
        """PutComponentMetric."""
        if not (self._kind.metrics_of_all or call.component.startswith("aws.")):
            raise unauthorized()
        metrics = call.arguments.get("metrics")
        if not isinstance(metrics, list) or not metrics or not all(map(_is_right, metrics)):
            raise refused("Invalid argument found in PutComponentMetricRequest")
        self.taken += metrics
        told = ", ".join(f"{metric['name']} {metric['value']:g}" for metric in metrics)
        self._tell(f"{call.component}: metrics: {told}")
        return {}


def metric_names(call: Call) -> list[str]:
    """Return the metrics that a request names: the resources of its policies."""
    metrics = call.arguments.get("metrics")
    if not isinstance(metrics, list):
        return []
    return [str(metric.get("name")) for metric in metrics if isinstance(metric, dict)]


def _is_right(metric: Any) -> bool:
    if not isinstance(metric, dict):
        return False
    name, unit, value = (metric.get(key) for key in ("name", "unit", "value"))
    return (
        isinstance(name, str)
        and 0 < len(name.encode()) <= _LONGEST_NAME
        and isinstance(unit, str)
        and re.sub("[^a-z0-9]", "", unit.lower()) in _UNITS
        and isinstance(value, int | float)
        and value >= 0
    )
