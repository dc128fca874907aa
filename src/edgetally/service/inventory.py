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

    A class that the model does not know, and another once did, is there if it was counted.

    counted: by line, class and direction. now: its latest frame; None before the first.
    """

    def totals(line: str, class_name: str) -> Totals:
        found = counted.get(line, {}).get(class_name, {})
        return Totals(in_=found.get("in", 0), out=found.get("out", 0))

    def told(counts: Mapping[str, int]) -> dict[str, int]:
        # Of a class that only an earlier model knew, what is left is told, and no zeros for ever.
        return {name: n for name, n in counts.items() if n or name in classes}

    return CameraInventory(
        lines={
            line.name: {
                name: totals(line.name, name)
                for name in dict.fromkeys((*(line.classes or classes), *counted.get(line.name, ())))
            }
            for line in camera.lines
        },
        zones={
            zone.name: told(now.occupancy[zone.name])
            if now and zone.name in now.occupancy
            else dict.fromkeys(zone.classes or classes, 0)
            for zone in camera.zones
        },
        in_view=told(now.in_view) if now else dict.fromkeys(classes, 0),
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
