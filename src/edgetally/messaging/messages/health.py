"""How the service is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from edgetally.messaging.messages.message import (
    SCHEMA,
    Count,
    DivisibleMessage,
    ModelReference,
    Rate,
    Seconds,
    Value,
    utc,
)
from edgetally.shortened import shortened

if TYPE_CHECKING:
    from typing_extensions import Self

    from edgetally.bundle import ModelBundle


class Latency(Value):
    """How long frames took from their capture until they were counted and written down."""

    p50: Seconds = Field(description="Half of the latest frames took at most so long, in seconds.")
    p95: Seconds = Field(description="95 of 100 took at most so long, in seconds.")
    p99: Seconds = Field(description="99 of 100 took at most so long, in seconds.")


class CameraHealth(Value):
    """How one camera is."""

    state: Literal["connecting", "streaming", "stalled", "lost", "ended", "failed"] = Field(
        description="stalled: it is open but gives no frame, or the engine has owed a result for "
        "half a minute (problem says so); lost: it is opened again and again; ended: the source is "
        "over; failed: it broke."
    )
    captured: Count = Field(description="Frames captured since the start.")
    processed: Count = Field(description="Frames that went through the model.")
    skipped_still: Count = Field(description="Frames not looked at because nothing moved.")
    dropped: dict[str, Count] = Field(
        description="Frames lost, by reason; newer: a newer one came before the device had time; "
        "engine: the engine failed at it."
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
        description="Frames a second that are missing from fpsWanted, while the camera streamed "
        "in the latest half minute: neither through the model nor still, because the device was "
        "behind or the camera gave fewer. 0 when it keeps up but for 2 %, and for what waits, as a "
        "file does. Where fpsWanted is null: those dropped because a newer one came."
    )
    latency: Latency | None = Field(
        description="From a live frame's capture, or from reading a file's, until it is written "
        "down, over the latest 512 frames; null before the first."
    )
    problem: str | None = Field(
        default=None, description="What is wrong with it, in one line; null while nothing is."
    )


class TransportHealth(Value):
    """How one way for messages to leave is."""

    state: Literal["ok", "failing"] = Field(
        description="failing: it does not take messages, and is tried again and again."
    )
    waiting: Count = Field(description="Messages that it did not deliver yet.")
    reason: str | None = Field(default=None, description="Why it is failing, in one line.")


class OutboxHealth(Value):
    """How the messages are that wait to be delivered."""

    waiting: Count = Field(description="Messages that some transport did not deliver yet.")
    bytes: Count = Field(description="Their size.")
    dropped: dict[str, Count] = Field(
        description="By kind: messages that had to give way since counting began, because the "
        "outbox was full, or they waited too long or could not be carried."
    )
    oldest_age: Seconds | None = Field(
        description="Seconds that the oldest has waited; null where none waits."
    )
    transports: dict[str, TransportHealth] = Field(description="By transport: how it is.")


class StorageHealth(Value):
    """Whether what is counted reaches the disk."""

    state: Literal["ok", "memory"] = Field(
        description="memory: it does not, for now, and would be lost with the process."
    )
    reason: str | None = Field(description="What is wrong, or was at the start; else null.")


class ModelCandidate(Value):
    """A model that is to take the place of the one in use."""

    model: ModelReference | None = Field(description="The model; null where it can't be read.")
    state: Literal["waiting", "trying", "refused"] = Field(
        description="waiting: until the cameras have shown enough to compare it on; trying: it is "
        "loaded and compared; refused: it is not taken, and the model in use stays."
    )
    reason: str | None = Field(description="Why, in one line.")

    @classmethod
    def of(
        cls,
        bundle: ModelBundle | None,
        state: Literal["waiting", "trying", "refused"],
        reason: str | None,
    ) -> Self:
        """Tell of a bundle; None: of what can't be read."""
        model = None if bundle is None else ModelReference.of(bundle)
        return cls(model=model, state=state, reason=None if reason is None else shortened(reason))


class HealthMessage(DivisibleMessage):
    """How the service is."""

    schema_: Literal["edgetally.health/1"] = Field(default="edgetally.health/1", description=SCHEMA)
    sequence: Annotated[int, Field(ge=0)] = Field(
        description="Number of the message on its topic: from 1, one by one; it may jump; "
        "0 in a last will."
    )
    state: Literal["starting", "running", "stopping", "offline"] = Field(
        description="What it is doing; offline: a last will, which the broker tells because the "
        "connection ended without a goodbye. The device may be counting on."
    )
    state_reason: str | None = Field(
        default=None, description="Why it is not as it should be; absent where it is."
    )
    cameras: dict[str, CameraHealth] = Field(description="By camera: how it is.")
    engine: str = Field(description="The runtime that executes the model.")
    precision: str = Field(description="The arithmetic it uses.")
    uptime: Annotated[float, Field(ge=0)] = Field(description="Seconds since the start.")
    outbox: OutboxHealth | None = Field(
        default=None, description="How the messages are that wait to be delivered."
    )
    storage: StorageHealth | None = Field(
        default=None, description="Whether what is counted reaches the disk."
    )
    candidate: ModelCandidate | None = Field(
        default=None,
        description="The model that is to take the place of this one; absent where there is none.",
    )

    @classmethod
    def last_will(
        cls, time: float, thing: str, model: ModelReference, engine: str, precision: str
    ) -> Self:
        """Make what a broker tells when it loses the device.

        time: when the service began, in seconds since the Unix epoch: a broker can't tell when.
        """
        return cls(
            time=utc(time),
            thing=thing,
            sequence=0,
            model=model,
            state="offline",
            state_reason="the connection to the broker ended without a goodbye",
            cameras={},
            engine=engine,
            precision=precision,
            uptime=0.0,
        )
