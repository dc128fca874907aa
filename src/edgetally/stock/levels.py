"""What is at a site by the ledger, beside what its zones see of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgetally.counting.ledger import Stock

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from edgetally.config import CameraConfig


@dataclass(frozen=True)
class StockLevel:
    """How much of a class is at a site; seen: by zones that see all of it, None where none does."""

    stock: Stock
    seen: int | None

    @property
    def drift(self) -> int | None:
        """How many more are seen than the ledger has."""
        return None if self.seen is None else self.seen - self.stock.count


def seen_stock(
    cameras: Iterable[CameraConfig],
    classes: Sequence[str],
    occupancy: Mapping[str, Mapping[str, Mapping[str, int]]],
) -> dict[str, dict[str, int]]:
    """Add up by site and class what zones with `seesStock` see.

    occupancy: by camera, zone and class; of a camera that saw nothing yet there is none, and its
    site's sums are left out.
    """
    seen: dict[str, dict[str, int]] = {}
    unknown: set[tuple[str, str]] = set()
    for camera in cameras:
        for zone in (zone for zone in camera.zones if zone.sees_stock):
            inside = occupancy.get(camera.name, {}).get(zone.name, {})
            sums = seen.setdefault(camera.site, {})
            for name in zone.classes or classes:
                sums[name] = sums.get(name, 0) + inside.get(name, 0)
                if name not in inside:
                    unknown.add((camera.site, name))
    return {
        site: {name: count for name, count in sums.items() if (site, name) not in unknown}
        for site, sums in seen.items()
    }


def stock_levels(
    sites: Iterable[str],
    classes: Iterable[str],
    stock: Mapping[str, Mapping[str, Stock]],
    seen: Mapping[str, Mapping[str, int]],
) -> dict[str, dict[str, StockLevel]]:
    """Bring together by site and class what the ledger has and what is seen.

    sites, classes: to be told in any case; what the ledger has of others is told, too.
    """
    wanted = tuple(classes)
    return {
        site: {
            name: StockLevel(stock.get(site, {}).get(name, Stock()), seen.get(site, {}).get(name))
            for name in dict.fromkeys((*wanted, *stock.get(site, ()), *seen.get(site, ())))
        }
        for site in dict.fromkeys((*sites, *stock, *seen))
    }
