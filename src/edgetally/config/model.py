"""The configuration: one pydantic model, read from YAML or from Greengrass.

Keys are camelCase in YAML and snake_case in Python. Strings that hold numbers are accepted,
because Greengrass consoles send them; an unknown key is an error that names the nearest one.
"""

from __future__ import annotations

import json
import re
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

# Each is a part of an MQTT topic, and what a broker would take for something else can't stand
# in it. $ starts the broker's own topics: MQTT 3.1.1, section 4.7.
_NO_LEVEL = r"/+#\x00-\x1f\x7f-\x9f"
NAME_PATTERN = rf"^[^{_NO_LEVEL}\s][^{_NO_LEVEL}]*$"
PREFIX_PATTERN = rf"^[^{_NO_LEVEL}\s$][^{_NO_LEVEL}\s]*(/[^{_NO_LEVEL}\s]+)*$"
_FLAT = 1e-9
_SMALLEST_REGION = 0.01


def quoted(value: object) -> str:
    """Show a value in an error, as YAML has it; "" for one that is long or may hold a password."""
    if isinstance(value, int) and value.bit_length() > 64:
        return ""
    text = json.dumps(value) if isinstance(value, bool | float) else repr(value)
    return "" if len(text) > 80 or may_be_secret(text) else text


def may_be_secret(text: str) -> bool:
    """Tell whether a text may be the URL of a camera, which may hold its password."""
    return "@" in text or "://" in text


def _no_switch(value: object) -> object:
    # Python takes True for 1, so an fps of "yes" would be one frame a second.
    if isinstance(value, bool):
        raise ValueError("expected a number")  # noqa: TRY004 - pydantic wants a ValueError
    return value


def _has_area(polygon: tuple[Point, ...]) -> tuple[Point, ...]:
    (x, y), *others = polygon
    for (ax, ay), (bx, by) in pairwise(others):
        if abs((ax - x) * (by - y) - (ay - y) * (bx - x)) > _FLAT:
            return polygon
    raise ValueError("all corners lie on one line; give corners that enclose an area")


def _usable_path(value: object) -> object:
    if isinstance(value, str) and (not value.strip() or re.search(r"[\0\ud800-\udfff]", value)):
        raise ValueError("expected a path")
    return value


def _usable_source(value: str) -> str:
    if not value.strip() or "\0" in value:
        raise ValueError("expected a camera index, a device, a URL, a file or a folder")
    return value


def _within_frame(region: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
    xmin, ymin, xmax, ymax = region
    if xmax - xmin < _SMALLEST_REGION or ymax - ymin < _SMALLEST_REGION:
        raise ValueError("expected xmin, ymin, xmax, ymax, at least a hundredth of the frame apart")
    return region


def _whole(value: object) -> object:
    is_number = isinstance(value, str) and value.strip().isdecimal()
    return int(str(value)) if is_number else value


NoSwitch = BeforeValidator(_no_switch)
Rotation = Annotated[Literal[0, 90, 180, 270], BeforeValidator(_whole), NoSwitch]
Fraction = Annotated[float, Field(ge=0, le=1), NoSwitch]
Point = tuple[Fraction, Fraction]
Polygon = Annotated[tuple[Point, ...], Field(min_length=3), AfterValidator(_has_area)]
Region = Annotated[tuple[Fraction, Fraction, Fraction, Fraction], AfterValidator(_within_frame)]
PixelCount = Annotated[int, Field(gt=0, le=16384), NoSwitch]
Seconds = Annotated[float, Field(gt=0, le=86400), NoSwitch]
Vector = tuple[Annotated[float, NoSwitch], Annotated[float, NoSwitch]]
UsablePath = Annotated[Path, BeforeValidator(_usable_path)]
Name = Annotated[str, Field(pattern=NAME_PATTERN, max_length=64, coerce_numbers_to_str=True)]
EngineName = Literal["auto", "openvino", "onnxruntime", "mxnet"]
Precision = Literal["auto", "fp32", "bf16", "int8"]


class Section(BaseModel):
    """A part of the configuration: immutable, camelCase outside, no unknown keys."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        populate_by_name=True,
        allow_inf_nan=False,
    )


class ModelConfig(Section):
    """Which model runs, and how."""

    path: UsablePath = Field(description="Folder of the model bundle.")
    engine: EngineName = Field("auto", description="Runtime; auto takes the best one installed.")
    precision: Precision = Field("auto", description="Arithmetic of the engine; auto is fp32.")
    tuning: UsablePath | None = Field(
        None,
        description="File that edgetally tune wrote, for auto; absent: its place of this user.",
    )
    score_threshold: Fraction = Field(
        0.5,
        description="Detections from this score on count; the tracker uses weaker ones only "
        "to keep hold of an object.",
    )
    class_thresholds: dict[str, Fraction] = Field(
        default_factory=dict, description="Score thresholds of single classes, by class name."
    )


class LineConfig(Section):
    """A line that is counted when it is crossed."""

    name: Name = Field(description="Name in messages.")
    start: Point = Field(alias="from", description="One end, in 0-1 of the frame.")
    end: Point = Field(alias="to", description="The other end, in 0-1 of the frame.")
    in_direction: Vector = Field(
        description="A vector that points to the IN side: [0, 1] is down the picture."
    )
    classes: tuple[str, ...] = Field((), description="Classes that count; none named: all.")

    @model_validator(mode="after")
    def _has_sides(self) -> LineConfig:
        along = (self.end[0] - self.start[0], self.end[1] - self.start[1])
        if along == (0, 0):
            raise ValueError("from and to are the same point")
        if abs(along[0] * self.in_direction[1] - along[1] * self.in_direction[0]) < _FLAT:
            raise ValueError("inDirection must point across the line, not along it")
        return self


class ZoneConfig(Section):
    """An area whose occupancy is counted."""

    name: Name = Field(description="Name in messages.")
    polygon: Polygon = Field(description="Corners, in 0-1 of the frame.")
    classes: tuple[str, ...] = Field((), description="Classes that count; none named: all.")


class MotionGateConfig(Section):
    """Leaving out the detector while nothing moves."""

    enabled: bool = Field(False, description="Whether still frames are not looked at.")
    max_idle: Seconds = Field(
        10.0, description="Seconds after which a still frame is looked at anyway."
    )


class CameraConfig(Section):
    """A camera and what is counted in its view."""

    name: Name = Field(description="Name in topics and messages.")
    source: Annotated[
        str, Field(min_length=1, coerce_numbers_to_str=True), AfterValidator(_usable_source)
    ] = Field(
        description="A camera index, a device, a URL, a video file, a folder or glob of images, a "
        "GStreamer pipeline, or test: for a moving pattern.",
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
    watch: bool = Field(False, description="After a folder's images, wait for new ones, for ever.")
    rotate: Rotation = Field(
        0, description="Degrees by which each frame is turned clockwise before anything else."
    )
    region: Region | None = Field(
        None,
        description="Part of the frame (xmin, ymin, xmax, ymax in 0-1) that the detector sees; "
        "everything else stays in 0-1 of the whole frame.",
    )
    motion_gate: MotionGateConfig = MotionGateConfig()
    masks: tuple[Polygon, ...] = Field(
        (), description="Areas that are blacked out before anything sees the frame."
    )
    zones: tuple[ZoneConfig, ...] = Field((), description="Areas of occupancy.")
    lines: tuple[LineConfig, ...] = Field((), description="Lines of crossings.")

    @model_validator(mode="after")
    def _unique_names(self) -> CameraConfig:
        _reject_twins("line", [line.name for line in self.lines])
        _reject_twins("zone", [zone.name for zone in self.zones])
        return self


class DetectionsConfig(Section):
    """When detections are published."""

    mode: Literal["always", "onChange", "never"] = Field(
        "onChange", description="onChange: when the set of tracked objects changes."
    )
    min_interval: Annotated[float, Field(ge=0), NoSwitch] = Field(
        1.0, description="Seconds between two detections messages of a camera, at least."
    )


class InventoryConfig(Section):
    """When the totals are published."""

    heartbeat: Annotated[float, Field(gt=0), NoSwitch] = Field(
        60.0, description="Seconds between two inventory messages when nothing changes."
    )


class JsonlTransport(Section):
    """Appends each message to a file, a line each."""

    type: Literal["jsonl"]
    path: UsablePath = Field(description="The file; it is made where missing.")


class ConsoleTransport(Section):
    """Prints each message as a line."""

    type: Literal["console"]


Transport = Annotated[JsonlTransport | ConsoleTransport, Field(discriminator="type")]


class PublishConfig(Section):
    """What is published, and where to."""

    topic_prefix: str = Field(
        "edgetally", pattern=PREFIX_PATTERN, description="First part of each topic."
    )
    thing: Name = Field("local", description="The device's name in topics and messages.")
    detections: DetectionsConfig = DetectionsConfig()
    inventory: InventoryConfig = InventoryConfig()
    transports: tuple[Transport, ...] = Field(
        (ConsoleTransport(type="console"),), description="Where each message goes."
    )


class StorageConfig(Section):
    """Where counts survive."""

    path: UsablePath = Field(Path("state"), description="Folder of the ledger.")


class Config(Section):
    """The whole configuration."""

    model: ModelConfig
    cameras: Annotated[tuple[CameraConfig, ...], Field(min_length=1)]
    publish: PublishConfig = PublishConfig()
    storage: StorageConfig = StorageConfig()

    @model_validator(mode="after")
    def _unique_names(self) -> Config:
        _reject_twins("camera", [camera.name for camera in self.cameras])
        return self


def _reject_twins(kind: str, names: list[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise ValueError(
                f"two {kind}s are named {quoted(name) or 'the same'}; give each its own name"
            )


def sections_in(annotation: Any) -> list[type[Section]]:
    """Find the sections that a field's type is made of."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return [annotation]
    return [section for inner in get_args(annotation) for section in sections_in(inner)]
