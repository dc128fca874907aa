"""What the thing's named shadow reports: the newest health and stock, small enough for a shadow.

Shadows merge objects, so that a key that is gone would stay for ever; lists they replace whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from edgetally.messaging.messages.message import ModelReference, Utc, Value
from edgetally.shortened import shortened

if TYPE_CHECKING:
    from edgetally.messaging.messages import HealthMessage, InventoryMessage

SHADOW = "edgetally"
"""The shadow's name."""

# AWS IoT takes 8,192. But a nucleus lite, which has no shadows, cuts the connection over a request
# that is larger than it with this one, in base64, is.
_LARGEST = 7000
_LONGEST_PROBLEM = 400  # characters


class ShadowCamera(Value):
    """How a camera is, as in health."""

    name: str
    state: str


class ShadowStock(Value):
    """How much of a class is at a site, as in the inventory."""

    site: str
    class_: str
    stock: int
    in_: int
    out: int


class Shadow(Value):
    """What is reported; `state` is health's, `problem` its `stateReason`.

    stock: None leaves what was reported before. truncated: entries of the longer list are missing.
    """

    time: Utc
    state: str
    problem: str | None
    model: ModelReference
    cameras: tuple[ShadowCamera, ...]
    stock: tuple[ShadowStock, ...] | None
    truncated: Literal[True] | None = None

    def says_the_same(self, other: Shadow | None) -> bool:
        """Whether another one differs in its time alone."""
        return other is not None and self.model_copy(update={"time": other.time}) == other

    def document(self) -> bytes:
        """Return what updates the shadow: JSON. A null takes away what was there."""
        reported = self.model_dump_json(
            by_alias=True, exclude={"stock"} if self.stock is None else None
        )
        return f'{{"state":{{"reported":{reported}}}}}'.encode()


def shadow_of(
    health: HealthMessage, inventory: InventoryMessage | None, largest: int = _LARGEST
) -> Shadow:
    """Tell what these messages say; inventory: None where nothing is known of stock.

    largest: bytes of the document; what is over that is left out, from the longer list's end.
    """
    times = [health.time] if inventory is None else [health.time, inventory.time]
    whole = Shadow(
        time=max(times),
        state=health.state,
        problem=None
        if health.state_reason is None
        else shortened(health.state_reason, _LONGEST_PROBLEM),
        model=health.model,
        cameras=tuple(
            ShadowCamera(name=name, state=camera.state) for name, camera in health.cameras.items()
        ),
        stock=None if inventory is None else _stock(inventory),
    )
    excess = len(whole.document()) - largest
    return whole if excess <= 0 else _truncated(whole, excess)


def _stock(inventory: InventoryMessage) -> tuple[ShadowStock, ...]:
    return tuple(
        ShadowStock(site=site, class_=name, stock=one.stock, in_=one.in_, out=one.out)
        for site, classes in (inventory.sites or {}).items()
        for name, one in classes.items()
    )


def _truncated(whole: Shadow, excess: int) -> Shadow:
    cameras, stock = _sizes(whole.cameras), _sizes(whole.stock or ())
    while excess > 0 and (cameras or stock):
        longer = max(cameras, stock, key=sum)
        excess -= longer.pop()
    return whole.model_copy(
        update={
            "cameras": whole.cameras[: len(cameras)],
            "stock": None if whole.stock is None else whole.stock[: len(stock)],
            "truncated": True,
        }
    )


def _sizes(entries: tuple[Value, ...]) -> list[int]:
    """Return how many bytes each takes in a list."""
    return [len(entry.model_dump_json(by_alias=True).encode()) + 1 for entry in entries]
