"""What was counted: the events, and the totals they add up to."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from edgetally.messaging.messages.message import (
    SCHEMA,
    CameraMessage,
    ClassCounts,
    Count,
    DivisibleMessage,
    Fraction,
    Message,
    Score,
    Seconds,
    Value,
)

_ID = "Names the event for ever; a repeated message repeats it."


def event_id(where: str, what: str, sequence: int) -> str:
    """Name an event for ever: a camera, its line or zone, and its number on the camera's topic."""
    return f"{where}/{what}/{sequence}"


class Point(Value):
    """A place in 0-1 of the frame; (0, 0) is the top left corner."""

    x: Fraction = Field(description="From the left.")
    y: Fraction = Field(description="From the top.")


class Totals(Value):
    """How many crossed a line, since counting began."""

    in_: Count = Field(description="Crossings to the IN side.")
    out: Count = Field(description="Crossings to the other side.")


class CameraInventory(Value):
    """What one camera counted and sees."""

    lines: dict[str, dict[str, Totals]] = Field(
        description="By line, then by class: crossings since counting began."
    )
    zones: dict[str, ClassCounts] = Field(description="By zone, then by class: objects in it now.")
    in_view: ClassCounts = Field(description="By class: objects in view now.")


class SiteStock(Value):
    """How much of a class is at a site."""

    baseline: int = Field(description="What was there without any crossing; corrections set it.")
    in_: Count = Field(description="Crossings to the IN side of the site's lines.")
    out: Count = Field(description="Crossings to the other side.")
    stock: int = Field(description="baseline + in - out: what should be there.")
    seen: Count | None = Field(
        description="What the site's zones with seesStock see; null where none does."
    )
    drift: int | None = Field(
        description="seen - stock: it is told, never repaired; null where seen is."
    )


class CountEventMessage(CameraMessage):
    """An object crossed a line."""

    schema_: Literal["edgetally.count_event/1"] = Field(
        default="edgetally.count_event/1", description=SCHEMA
    )
    id: str = Field(description=_ID)
    site: str | None = Field(default=None, description="The site whose stock it changes.")
    line: str = Field(description="Name of the line.")
    direction: Literal["in", "out"] = Field(description="To which side it went.")
    class_: str = Field(description="Name of the object's class.")
    track_id: int = Field(description="Number of the object's track.")
    score: Score = Field(description="How sure the model is, rounded to 4 places.")
    point: Point = Field(description="Where the object crossed the line.")
    totals: Totals = Field(description="Crossings of that class on that line, this one included.")


class ZoneEventMessage(CameraMessage):
    """An object entered a zone, left it, or stays in it for long."""

    schema_: Literal["edgetally.zone_event/1"] = Field(
        default="edgetally.zone_event/1", description=SCHEMA
    )
    id: str = Field(description=_ID)
    site: str = Field(description="The camera's site.")
    zone: str = Field(description="Name of the zone.")
    kind: Literal["entered", "left", "loitering"] = Field(description="What it did.")
    class_: str = Field(description="Name of the object's class.")
    track_id: int = Field(description="Number of the object's track.")
    seconds: Seconds = Field(description="How long it has been inside; 0 where it entered.")


class StockEventMessage(Message):
    """Somebody counted a site's stock of a class: a correction."""

    schema_: Literal["edgetally.stock_event/1"] = Field(
        default="edgetally.stock_event/1", description=SCHEMA
    )
    id: str = Field(description=_ID)
    site: str = Field(description="Where it was counted.")
    class_: str = Field(description="Of which class.")
    count: Count = Field(description="What was counted: the stock from then on.")
    before: int = Field(description="The stock until then.")
    author: str = Field(description="Who says so.")
    note: str = Field(description="Why, or how; may be empty.")
    request_id: str | None = Field(
        description="The id of the message that asked for it; null where a command did."
    )


class InventoryMessage(DivisibleMessage):
    """Running totals: right on its own, whatever was missed before."""

    schema_: Literal["edgetally.inventory/1"] = Field(
        default="edgetally.inventory/1", description=SCHEMA
    )
    cameras: dict[str, CameraInventory] = Field(description="By camera: what it counted.")
    sites: dict[str, dict[str, SiteStock]] | None = Field(
        default=None, description="By site, then by class: what is there."
    )
    stock: dict[str, int] = Field(
        description="By class: baseline + in - out over all lines and sites."
    )
