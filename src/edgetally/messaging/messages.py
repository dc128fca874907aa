"""The messages: frozen models, snake_case in Python, camelCase in JSON, `schema` first.

Nothing here knows a clock: times are arguments. `docs/schemas` holds the JSON Schema of each.
"""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    WithJsonSchema,
)
from pydantic.alias_generators import to_camel

from edgetally.errors import EdgetallyError

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgetally.bundle import ModelBundle

MAX_BYTES = 128 * 1024
"""The largest message that AWS IoT Core takes (AWS IoT Core message broker quotas)."""


def utc(seconds: float) -> datetime:
    """Turn seconds since the Unix epoch into the time of a message."""
    return datetime.fromtimestamp(seconds, timezone.utc)


def event_id(camera: str, line: str, sequence: int) -> str:
    """Name a count event for ever: `sequence` is its number on the camera's topic."""
    return f"{camera}/{line}/{sequence}"


def _to_milliseconds(time: datetime) -> datetime:
    time = time.astimezone(timezone.utc)
    return time.replace(microsecond=time.microsecond // 1000 * 1000)


def _written(time: datetime) -> str:
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _rounded_to(places: int) -> Callable[[object], object]:
    return lambda value: round(value, places) if isinstance(value, float) else value


Utc = Annotated[
    AwareDatetime,
    AfterValidator(_to_milliseconds),
    PlainSerializer(_written, return_type=str),
    WithJsonSchema(
        {
            "type": "string",
            "format": "date-time",
            "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$",
        }
    ),
]
Count = Annotated[int, Field(ge=0)]
Pixels = Annotated[int, Field(ge=0)]
# Rounded first, so that a float32 a hair above 1 is 1.
Score = Annotated[float, Field(ge=0, le=1), BeforeValidator(_rounded_to(4))]
# Five places are a tenth of a pixel in an image 10 000 wide.
Fraction = Annotated[float, Field(ge=0, le=1), BeforeValidator(_rounded_to(5))]
Seconds = Annotated[float, Field(ge=0), BeforeValidator(_rounded_to(4))]
Rate = Annotated[float, Field(ge=0), BeforeValidator(_rounded_to(2))]
ClassCounts = dict[str, Count]


def _json_name(name: str) -> str:
    return to_camel(name.rstrip("_"))  # class_, in_ and schema_ dodge Python's own names


_SCHEMA = "What this message is, and in which version."


class _Value(BaseModel):
    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=_json_name,
        populate_by_name=True,
        allow_inf_nan=False,
        json_schema_serialization_defaults_required=True,
    )


class ModelReference(_Value):
    """The model that saw what the message tells."""

    name: str = Field(description="The model's name.")
    version: str = Field(description="The model's version.")
    sha256: str = Field(
        pattern="^[0-9a-f]{64}$", description="SHA-256 of the bundle's bundle.json, in hex."
    )

    @classmethod
    def of(cls, bundle: ModelBundle) -> ModelReference:
        """Refer to a bundle that was loaded."""
        return cls(name=bundle.name, version=bundle.version, sha256=bundle.sha256)


class FrameReference(_Value):
    """The frame in which something was seen."""

    index: Count = Field(description="Number of the frame in its source, from 0.")
    width: Annotated[int, Field(gt=0)] = Field(description="Width in pixels.")
    height: Annotated[int, Field(gt=0)] = Field(description="Height in pixels.")


class Box(_Value):
    """A box in 0-1 of the frame; (0, 0) is the top left corner."""

    xmin: Fraction = Field(description="Left edge.")
    ymin: Fraction = Field(description="Top edge.")
    xmax: Fraction = Field(description="Right edge.")
    ymax: Fraction = Field(description="Bottom edge.")


class PixelBox(_Value):
    """The same box in whole pixels of the frame."""

    left: Pixels = Field(description="Left edge.")
    top: Pixels = Field(description="Top edge.")
    width: Pixels = Field(description="Width.")
    height: Pixels = Field(description="Height.")


class DetectedObject(_Value):
    """One object in a frame."""

    class_: str = Field(description="Name of the class.")
    score: Score = Field(description="How sure the model is, rounded to 4 places.")
    box: Box = Field(description="Where it is, in 0-1 of the frame.")
    pixels: PixelBox = Field(description="Where it is, in pixels.")
    track_id: int | None = Field(
        description="Number of the track that follows it; null where none does."
    )


class Point(_Value):
    """A place in 0-1 of the frame; (0, 0) is the top left corner."""

    x: Fraction = Field(description="From the left.")
    y: Fraction = Field(description="From the top.")


class Totals(_Value):
    """How many crossed a line, since counting began."""

    in_: Count = Field(description="Crossings to the IN side.")
    out: Count = Field(description="Crossings to the other side.")


class CameraInventory(_Value):
    """What one camera counted and sees."""

    lines: dict[str, dict[str, Totals]] = Field(
        description="By line, then by class: crossings since counting began."
    )
    zones: dict[str, ClassCounts] = Field(description="By zone, then by class: objects in it now.")
    in_view: ClassCounts = Field(description="By class: objects in view now.")


class Latency(_Value):
    """How long frames took from their capture until they were counted and written down."""

    p50: Seconds = Field(description="Half of the latest frames took at most so long, in seconds.")
    p95: Seconds = Field(description="95 of 100 took at most so long, in seconds.")
    p99: Seconds = Field(description="99 of 100 took at most so long, in seconds.")


class CameraHealth(_Value):
    """How one camera is."""

    state: Literal["connecting", "streaming", "stalled", "lost", "ended", "failed"] = Field(
        description="stalled: it is open but gives no frame; lost: it is opened again and again; "
        "ended: the source is over; failed: it broke."
    )
    captured: Count = Field(description="Frames captured since the start.")
    processed: Count = Field(description="Frames that went through the model.")
    skipped_still: Count = Field(description="Frames not looked at because nothing moved.")
    dropped: dict[str, Count] = Field(
        description="Frames lost, by reason; newer: a newer one came before the device had time."
    )
    reconnects: Count = Field(description="How often the source was opened anew.")
    frame_age: Seconds | None = Field(
        description="Seconds since the newest frame was captured; null before the first."
    )
    fps_wanted: Rate | None = Field(
        description="Frames a second that the configuration or else the source asks for; null "
        "where neither tells."
    )
    fps_processed: Rate = Field(
        description="Frames a second that went through the model in the latest half minute."
    )
    shortfall: Rate = Field(
        description="Frames a second dropped in the latest half minute because the device was "
        "behind; 0 when it keeps up."
    )
    latency: Latency | None = Field(
        description="From a live frame's capture, or from reading a file's, until it is written "
        "down, over the latest 512 frames; null before the first."
    )


class Message(_Value):
    """What every message says."""

    schema_: str
    time: Utc = Field(description="When it happened: UTC, RFC 3339, with milliseconds.")
    thing: str = Field(description="Name of the device.")
    sequence: Annotated[int, Field(ge=1)] = Field(
        description="Number of the message on its topic: from 1, without gaps."
    )
    model: ModelReference = Field(description="The model in use.")

    def to_json(self) -> str:
        """Return compact JSON. EdgetallyError where it exceeds `MAX_BYTES` in UTF-8."""
        text = self.model_dump_json(by_alias=True)
        size = len(text.encode())
        if size > MAX_BYTES:
            raise EdgetallyError(
                f"a message {self.schema_} has {size} bytes, more than the {MAX_BYTES} that AWS "
                "IoT takes; use fewer cameras, lines, zones or classes on this device"
            )
        return text


class _CameraMessage(Message):
    camera: str = Field(description="Name of the camera.")


class _SeenMessage(_CameraMessage):
    frame: FrameReference = Field(description="The frame.")
    detections: tuple[DetectedObject, ...] = Field(description="The objects in it.")
    truncated: Count = Field(
        default=0,
        description="How many objects of the lowest scores are left out because the message "
        "would exceed 128 KiB; 0 as a rule.",
    )


class DetectionsMessage(_SeenMessage):
    """What was seen in one frame of a camera."""

    schema_: Literal["edgetally.detections/1"] = Field(
        default="edgetally.detections/1", description=_SCHEMA
    )


class InferenceResultMessage(_SeenMessage):
    """What was seen in the frame that a request on demand asked for."""

    schema_: Literal["edgetally.inference_result/1"] = Field(
        default="edgetally.inference_result/1", description=_SCHEMA
    )
    request_id: str = Field(description="The id that the request carried.")


class CountEventMessage(_CameraMessage):
    """An object crossed a line."""

    schema_: Literal["edgetally.count_event/1"] = Field(
        default="edgetally.count_event/1", description=_SCHEMA
    )
    id: str = Field(description="Names the event for ever; a repeated message repeats it.")
    line: str = Field(description="Name of the line.")
    direction: Literal["in", "out"] = Field(description="To which side it went.")
    class_: str = Field(description="Name of the object's class.")
    track_id: int = Field(description="Number of the object's track.")
    score: Score = Field(description="How sure the model is, rounded to 4 places.")
    point: Point = Field(description="Where the object crossed the line.")
    totals: Totals = Field(description="Crossings of that class on that line, this one included.")


class InventoryMessage(Message):
    """Running totals: right on its own, whatever was missed before."""

    schema_: Literal["edgetally.inventory/1"] = Field(
        default="edgetally.inventory/1", description=_SCHEMA
    )
    cameras: dict[str, CameraInventory] = Field(description="By camera: what it counted.")
    stock: dict[str, int] = Field(description="By class: in minus out over all lines.")


class HealthMessage(Message):
    """How the service is."""

    schema_: Literal["edgetally.health/1"] = Field(
        default="edgetally.health/1", description=_SCHEMA
    )
    state: Literal["starting", "running", "stopping"] = Field(description="What it is doing.")
    cameras: dict[str, CameraHealth] = Field(description="By camera: how it is.")
    engine: str = Field(description="The runtime that executes the model.")
    precision: str = Field(description="The arithmetic it uses.")
    uptime: Annotated[float, Field(ge=0)] = Field(description="Seconds since the start.")
