"""Messages of health and inventory to tell things from."""

from __future__ import annotations

from typing import Any

from edgetally.messaging.messages import (
    CameraHealth,
    HealthMessage,
    InventoryMessage,
    ModelReference,
    SiteStock,
    utc,
)

NOON = 1_700_000_000.0
MODEL = ModelReference(name="boxes", version="1.2.0", sha256="ab" * 32)


def camera_health(state: Any = "streaming", **counted: Any) -> CameraHealth:
    """Tell of a camera that has counted nothing but what is given."""
    fields: dict[str, Any] = {
        "captured": 0,
        "processed": 0,
        "skipped_still": 0,
        "dropped": {},
        "reconnects": 0,
        "frame_age": None,
        "fps_wanted": None,
        "fps_processed": 0,
        "shortfall": 0,
        "latency": None,
    }
    return CameraHealth(state=state, **fields | counted)


def health(**changes: Any) -> HealthMessage:
    """Tell of a camera that streams and one that is lost, with changes."""
    fields: dict[str, Any] = {
        "time": utc(NOON + 1),
        "thing": "dock-1",
        "sequence": 1,
        "model": MODEL,
        "state": "running",
        "cameras": {"dock": camera_health(), "yard": camera_health("lost")},
        "engine": "openvino",
        "precision": "fp32",
        "uptime": 1.0,
    }
    return HealthMessage(**fields | changes)


def inventory(sites: dict[str, dict[str, tuple[int, int]]], time: float = NOON) -> InventoryMessage:
    """Tell of stock: by site and class, what came in and went out; 10 were there before."""
    return InventoryMessage(
        time=utc(time),
        thing="dock-1",
        sequence=1,
        model=MODEL,
        cameras={},
        sites={
            site: {
                name: SiteStock(
                    baseline=10, in_=ins, out=outs, stock=10 + ins - outs, seen=None, drift=None
                )
                for name, (ins, outs) in classes.items()
            }
            for site, classes in sites.items()
        },
        stock={},
    )
