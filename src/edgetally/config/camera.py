"""The part of the configuration that is about cameras, their lines and their zones."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from edgetally.config.fields import (
    FLAT,
    Anchor,
    Name,
    NoSwitch,
    PixelCount,
    Point,
    Polygon,
    Region,
    Rotation,
    Seconds,
    Section,
    UsablePath,
    Vector,
    reject_twins,
    usable_source,
)


class LineConfig(Section):
    """A line that is counted when it is crossed."""

    name: Name = Field(description="Name in messages.")
    start: Point = Field(alias="from", description="One end, in 0-1 of the turned frame.")
    end: Point = Field(alias="to", description="The other end, in 0-1 of the turned frame.")
    in_direction: Vector = Field(
        description="A vector that points to the IN side: [0, 1] is down the picture."
    )
    classes: tuple[str, ...] = Field((), description="Classes that count; none named: all.")
    anchor: Anchor = Field("centre", description="Point of the box that has to cross.")
    dead_band: Annotated[float, Field(ge=0, le=0.5), NoSwitch] = Field(
        0.01,
        description="Distance from the line, in 0-1 of the frame, within which an object is on "
        "neither side; at least a tenth of the box's size.",
    )
    min_stay: Annotated[float, Field(ge=0, le=60), NoSwitch] = Field(
        0.0,
        description="Seconds that an object must stay on the far side before it counts. One that "
        "is lost sooner counts only where it left the picture, or is found again.",
    )

    @model_validator(mode="after")
    def _has_sides(self) -> LineConfig:
        along = (self.end[0] - self.start[0], self.end[1] - self.start[1])
        if along == (0, 0):
            raise ValueError("from and to are the same point")
        if abs(along[0] * self.in_direction[1] - along[1] * self.in_direction[0]) < FLAT:
            raise ValueError("inDirection must point across the line, not along it")
        return self


class ZoneConfig(Section):
    """An area whose occupancy is counted."""

    name: Name = Field(description="Name in messages.")
    polygon: Polygon = Field(description="Corners, in 0-1 of the turned frame.")
    classes: tuple[str, ...] = Field((), description="Classes that count; none named: all.")
    anchor: Anchor = Field("centre", description="Point of the box that has to be inside.")
    dwell: Annotated[float, Field(ge=0, le=3600), NoSwitch] = Field(
        0.5, description="Seconds after which an object has entered or left."
    )
    loitering: Seconds | None = Field(
        None, description="Seconds inside after which a loitering event is told; absent: never."
    )
    sees_stock: bool = Field(
        False, description="Whether it sees all of its site's stock, so that drift can be told."
    )


class MotionGateConfig(Section):
    """Leaving out the detector while nothing moves."""

    enabled: bool = Field(False, description="Whether still frames are not looked at.")
    max_idle: Seconds = Field(
        10.0, description="Seconds after which a still frame is looked at anyway."
    )


class CameraConfig(Section):
    """A camera and what is counted in its view."""

    name: Name = Field(description="Name in topics and messages.")
    site: Name = Field("site", description="Place whose stock its lines change.")
    source: Annotated[
        str, Field(min_length=1, coerce_numbers_to_str=True), AfterValidator(usable_source)
    ] = Field(
        description="A camera index, a device, a URL, a video file, a folder or glob of images, a "
        "GStreamer pipeline, or test: for a moving pattern.",
    )
    secret_arn: Annotated[str, Field(min_length=1, max_length=2048)] | None = Field(
        None,
        description="Secret of AWS Secrets Manager with the user and password of a source that is "
        'a URL: {"username": …, "password": …} or user:password. Under a Greengrass nucleus that '
        "has aws.greengrass.SecretManager; elsewhere credentialsFile is taken.",
    )
    credentials_file: UsablePath | None = Field(
        None, description="File, of mode 600, that holds the same where there is no such secret."
    )
    fps: Annotated[float, Field(gt=0, le=240), NoSwitch] | None = Field(
        None, description="Frames taken a second; absent: all. Timing of a folder of images."
    )
    max_frames: Annotated[int, Field(gt=0), NoSwitch] | None = Field(
        None, description="Stop after so many frames; absent: never."
    )
    buffer: Literal["auto", "newest", "every"] = Field(
        "auto",
        description="newest: a frame that nobody took gives way to the next; every: the source "
        "waits; auto: newest for a live source, every for files.",
    )
    width: PixelCount | None = Field(None, description="Width asked of a local camera, in pixels.")
    height: PixelCount | None = Field(
        None, description="Height asked of a local camera, in pixels."
    )
    rtsp_transport: Literal["tcp", "udp"] = Field(
        "tcp", description="How RTSP carries its video: tried first."
    )
    open_timeout: Seconds = Field(10.0, description="Seconds in which a source must open.")
    read_timeout: Seconds = Field(
        10.0, description="Seconds without a frame after which a live source is opened anew."
    )
    watch: bool = Field(
        False,
        description="After a folder's images, wait for new ones, for ever, also while it is away.",
    )
    rotate: Rotation = Field(
        0,
        description="Degrees by which each frame is turned clockwise before anything else: masks, "
        "region, zones and lines lie in 0-1 of the turned frame.",
    )
    region: Region | None = Field(
        None,
        description="Part of the turned frame (xmin, ymin, xmax, ymax in 0-1) that the detector "
        "sees; everything else stays in 0-1 of the whole frame.",
    )
    motion_gate: MotionGateConfig = MotionGateConfig()
    masks: tuple[Polygon, ...] = Field(
        (),
        description="Areas that are blacked out before anything sees the frame, each all that its "
        "outline goes around; corners in 0-1 of the turned frame.",
    )
    zones: tuple[ZoneConfig, ...] = Field((), description="Areas of occupancy.")
    lines: tuple[LineConfig, ...] = Field((), description="Lines of crossings.")

    @model_validator(mode="after")
    def _has_one_login(self) -> CameraConfig:
        if self.secret_arn is None and self.credentials_file is None:
            return self
        if not re.match(r"\s*(?:https?|rtmps?|rtsps?)://", self.source, re.IGNORECASE):
            raise ValueError("secretArn and credentialsFile are for a source that is a URL")
        if "@" in self.source:
            raise ValueError(
                "source has a login of its own; take it out, or secretArn and credentialsFile"
            )
        return self

    @model_validator(mode="after")
    def _unique_names(self) -> CameraConfig:
        if self.name == "inventory":  # its events would be on the topic of the stock's
            raise ValueError("no camera can be named 'inventory', which is a topic of the device")
        reject_twins("line", [line.name for line in self.lines])
        reject_twins("zone", [zone.name for zone in self.zones])
        return self
