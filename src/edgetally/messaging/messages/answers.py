"""What answers a request."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from edgetally.messaging.messages.message import SCHEMA, Count, DivisibleMessage, Message, Value
from edgetally.messaging.messages.seen import (  # noqa: TC001 - pydantic reads them
    DetectedObject,
    FrameReference,
)

_REQUEST_ID = "The id that the request carried; made up where it carried none."


class InferenceError(Value):
    """Why a request was refused."""

    code: str = Field(
        description="malformed, tooBig, tooFrequent, busy, forbidden, notFound, unreadable, "
        "noPicture or failed; later versions may know more."
    )
    message: str = Field(description="What was wrong and what to do, in one line.")


class InferenceResultMessage(DivisibleMessage):
    """What was seen in the picture that a request on demand asked for, or why it was refused."""

    schema_: Literal["edgetally.inference_result/1"] = Field(
        default="edgetally.inference_result/1", description=SCHEMA
    )
    request_id: str = Field(description=_REQUEST_ID)
    camera: str | None = Field(
        description="Name of the camera that was asked for; null where a picture was given."
    )
    frame: FrameReference | None = Field(
        description="The frame, number 0 of a picture that was given; null in a refusal."
    )
    detections: tuple[DetectedObject, ...] = Field(
        description="The objects in it; none in a refusal."
    )
    truncated: Count = Field(
        default=0,
        description="0: nothing is left out; a message too big for its way goes in parts.",
    )
    error: InferenceError | None = Field(
        default=None, description="Why the request was refused; absent where it was answered."
    )


class InventoryResponseMessage(Message):
    """Whether a correction of the stock that a message asked for was made."""

    schema_: Literal["edgetally.inventory_response/1"] = Field(
        default="edgetally.inventory_response/1", description=SCHEMA
    )
    request_id: str = Field(description=_REQUEST_ID)
    accepted: bool = Field(description="Whether it was made, now or when it was asked for before.")
    reason: str | None = Field(
        default=None, description="Why not, and what to do; absent where it was accepted."
    )


class ModelResponseMessage(Message):
    """Whether the model that a message asked for is in use."""

    schema_: Literal["edgetally.model_response/1"] = Field(
        default="edgetally.model_response/1", description=SCHEMA
    )
    request_id: str = Field(description=_REQUEST_ID)
    accepted: bool = Field(description="Whether it is in use, from now on or already.")
    reason: str | None = Field(
        default=None, description="Why not, and what to do; absent where it was accepted."
    )
