"""What an inventory message says of cameras and sites."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgetally.messaging.messages import CameraInventory, SiteStock, Totals

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edgetally.config import CameraConfig
    from edgetally.counting.events import CameraUpdate
    from edgetally.stock import StockLevel


def camera_inventory(
    camera: CameraConfig,
    classes: Sequence[str],
    counted: Mapping[str, Mapping[str, Mapping[str, int]]],
    now: CameraUpdate | None,
) -> CameraInventory:
    """Tell what a camera counted and sees; every line, zone and class is there.

    counted: by line, class and direction. now: its latest frame; None before the first.
    """

    def totals(line: str, class_name: str) -> Totals:
        found = counted.get(line, {}).get(class_name, {})
        return Totals(in_=found.get("in", 0), out=found.get("out", 0))

    nothing = {zone.name: dict.fromkeys(zone.classes or classes, 0) for zone in camera.zones}
    return CameraInventory(
        lines={
            line.name: {name: totals(line.name, name) for name in line.classes or classes}
            for line in camera.lines
        },
        zones={name: dict(n) for name, n in now.occupancy.items()} if now else nothing,
        in_view=dict(now.in_view) if now else dict.fromkeys(classes, 0),
    )


def site_stock(level: StockLevel) -> SiteStock:
    """Tell how much of a class is at a site."""
    stock = level.stock
    return SiteStock(
        baseline=stock.baseline,
        in_=stock.in_,
        out=stock.out,
        stock=stock.count,
        seen=level.seen,
        drift=level.drift,
    )
