"""The component's metrics: what grew since the last ones, from figures of health and inventory."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edgetally.messaging.messages import HealthMessage, InventoryMessage

Figures = dict[tuple[str, str], int]
"""What was counted so far, by metric and by what counts it, such as a camera."""

_SINCE_THE_START = ("FramesInferred", "FramesDropped", "CameraReconnects")
_SINCE_COUNTING_BEGAN = ("CountEvents", "MessagesDropped")
METRICS = (*_SINCE_THE_START, *_SINCE_COUNTING_BEGAN)
"""Their names: 32 bytes at most, as the nucleus wants it. All are counts."""


def figures(health: HealthMessage, inventory: InventoryMessage | None) -> Figures:
    """Read what these messages count; inventory: None where nothing is known of it yet."""
    found: Figures = {}
    for name, camera in health.cameras.items():
        found["FramesInferred", name] = camera.processed
        found["FramesDropped", name] = sum(camera.dropped.values())
        found["CameraReconnects", name] = camera.reconnects
    if health.outbox is not None:
        found["MessagesDropped", ""] = sum(health.outbox.dropped.values())
    sites = (inventory.sites if inventory is not None else None) or {}
    for site, classes in sites.items():
        found["CountEvents", site] = sum(stock.in_ + stock.out for stock in classes.values())
    return found


def grown(before: Mapping[tuple[str, str], int], now: Figures) -> Counter[str]:
    """Return by metric what was counted between, 0 included.

    What counts since the start and is smaller now was started anew. What counts for ever has no
    growth where it is seen first, nor where another ledger begins anew.
    """
    sums = Counter(dict.fromkeys(METRICS, 0))
    for (metric, source), count in now.items():
        since_the_start = metric in _SINCE_THE_START
        known = before.get((metric, source), 0 if since_the_start else count)
        sums[metric] += count - known if count >= known else count * since_the_start
    return sums
