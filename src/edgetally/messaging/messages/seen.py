"""What was seen in a frame."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from edgetally.messaging.messages.message import (
    SCHEMA,
    CameraMessage,
    Count,
    DivisibleMessage,
    Fraction,
    Pixels,
    Score,
    Value,
)


class FrameReference(Value):
    """The frame in which something was seen."""

    index: Count = Field(description="Number of the frame in its source, from 0.")
    width: Annotated[int, Field(gt=0)] = Field(description="Width in pixels.")
    height: Annotated[int, Field(gt=0)] = Field(description="Height in pixels.")


class Box(Value):
    """A box in 0-1 of the frame; (0, 0) is the top left corner."""

    xmin: Fraction = Field(description="Left edge.")
    ymin: Fraction = Field(description="Top edge.")
    xmax: Fraction = Field(description="Right edge.")
    ymax: Fraction = Field(description="Bottom edge.")


class PixelBox(Value):
    """The same box in whole pixels of the frame."""

    left: Pixels = Field(description="Left edge.")
    top: Pixels = Field(description="Top edge.")
    width: Pixels = Field(description="Width.")
    height: Pixels = Field(description="Height.")


class DetectedObject(Value):
    """One object in a frame."""

    class_: str = Field(description="Name of the class.")
    score: Score = Field(description="How sure the model is, rounded to 4 places.")
    box: Box = Field(description="Where it is, in 0-1 of the frame.")
    pixels: PixelBox = Field(description="Where it is, in pixels.")
    track_id: int | None = Field(
        description="Number of the track that follows it; null where none does."
    )


class DetectionsMessage(DivisibleMessage, CameraMessage):
    """What was seen in one frame of a camera."""

    schema_: Literal["edgetally.detections/1"] = Field(
        default="edgetally.detections/1", description=SCHEMA
    )
    frame: FrameReference = Field(description="The frame.")
    detections: tuple[DetectedObject, ...] = Field(description="The objects in it.")
    truncated: Count = Field(
        default=0,
        description="0: nothing is left out; a message too big for its way goes in parts.",
    )
