"""What every message says, and the kinds of values that messages are made of.

What was added to a version later has the default None: a message without it is still valid, and
one that has nothing to say there leaves it out.
"""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING, Annotated

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

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgetally.bundle import ModelBundle

SCHEMA = "What this message is, and in which version."


def utc(seconds: float) -> datetime:
    """Turn seconds since the Unix epoch into the time of a message."""
    return datetime.fromtimestamp(seconds, timezone.utc)


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


class Value(BaseModel):
    """A part of a message."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=_json_name,
        populate_by_name=True,
        allow_inf_nan=False,
        json_schema_serialization_defaults_required=True,
    )


class ModelReference(Value):
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

    @classmethod
    def none(cls) -> ModelReference:
        """Stand for no model: none could be loaded."""
        return cls(name="none", version="none", sha256="0" * 64)


class Part(Value):
    """Which part of a message this is, where it was too big for its way."""

    number: Annotated[int, Field(ge=1)] = Field(description="Number of this part, from 1.")
    of: Annotated[int, Field(ge=2)] = Field(description="How many parts there are.")


class Message(Value):
    """What every message says."""

    schema_: str
    time: Utc = Field(description="When it happened: UTC, RFC 3339, with milliseconds.")
    thing: str = Field(description="Name of the device.")
    sequence: Annotated[int, Field(ge=1)] = Field(
        description="Number of the message on its topic: from 1, one by one; it may jump."
    )
    model: ModelReference = Field(
        description="The model in use; its name is none where none could be loaded yet."
    )

    def to_json(self) -> str:
        """Return compact JSON, without what was added later and is not told."""
        absent = {
            name
            for name, field in type(self).model_fields.items()
            if not field.is_required() and field.default is None and getattr(self, name) is None
        }
        return self.model_dump_json(by_alias=True, exclude=absent)


class CameraMessage(Message):
    """What a message of one camera says."""

    camera: str = Field(description="Name of the camera.")


class DivisibleMessage(Message):
    """A message that goes in parts where it is too big for its way."""

    part: Part | None = Field(
        default=None,
        description="Which part of the message this is, where it came in several: all of the same "
        "sequence number; lists and objects of the parts belong together. Absent: it is whole.",
    )
