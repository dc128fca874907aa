"""What the values of a configuration may be, and what a section of it is.

Keys are camelCase in YAML and snake_case in Python. Strings that hold numbers are accepted,
because Greengrass consoles send them; an unknown key is an error that names the nearest one.
"""

from __future__ import annotations

import json
import re
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    model_validator,
)
from pydantic.alias_generators import to_camel

# Each is a part of an MQTT topic, and what a broker would take for something else can't stand
# in it. $ starts the broker's own topics: MQTT 3.1.1, section 4.7.
_NO_LEVEL = r"/+#\x00-\x1f\x7f-\x9f"
NAME_PATTERN = rf"^[^{_NO_LEVEL}\s][^{_NO_LEVEL}]*$"
PREFIX_PATTERN = rf"^[^{_NO_LEVEL}\s$][^{_NO_LEVEL}\s]*(/[^{_NO_LEVEL}\s]+)*$"
FLAT = 1e-9
_SMALLEST_REGION = 0.01
_SECRET_SIGNS = re.compile(r"[@=?&!;]|//|[A-Za-z]:[^\s\\]")


def quoted(value: object) -> str:
    """Show a value in an error, as YAML has it; "" for one that is long or may hold a password."""
    if isinstance(value, int) and value.bit_length() > 64:
        return ""
    text = json.dumps(value) if isinstance(value, bool | float) else repr(value)
    return "" if len(text) > 80 or may_be_secret(text) else text


def may_be_secret(text: str) -> bool:
    """Tell whether a text may be a camera's URL or pipeline, or a part of one, with a password."""
    return bool(_SECRET_SIGNS.search(text))


def _no_switch(value: object) -> object:
    # Python takes True for 1, so an fps of "yes" would be one frame a second.
    if isinstance(value, bool):
        raise ValueError("expected a number")  # noqa: TRY004 - pydantic wants a ValueError
    return value


def _has_area(polygon: tuple[Point, ...]) -> tuple[Point, ...]:
    (x, y), *others = polygon
    for (ax, ay), (bx, by) in pairwise(others):
        if abs((ax - x) * (by - y) - (ay - y) * (bx - x)) > FLAT:
            return polygon
    raise ValueError("all corners lie on one line; give corners that enclose an area")


def _usable_path(value: object) -> object:
    if isinstance(value, str) and (not value.strip() or re.search(r"[\0\ud800-\udfff]", value)):
        raise ValueError("expected a path")
    return value


def usable_source(value: str) -> str:
    """Refuse what can't be a camera's source. ValueError."""
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


def _without_nulls(content: Any) -> Any:
    if not isinstance(content, dict):
        return content
    return {key: value for key, value in content.items() if value is not None}


NoSwitch = BeforeValidator(_no_switch)
NullIsAbsent = BeforeValidator(_without_nulls)
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
Anchor = Literal["centre", "topCentre", "bottomCentre", "leftCentre", "rightCentre"]
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

    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, content: Any) -> Any:
        if not isinstance(content, dict):
            return content
        known = {field.alias for field in cls.model_fields.values()}
        return {
            key: value for key, value in content.items() if value is not None or key not in known
        }


def reject_twins(kind: str, names: list[str]) -> None:
    """Refuse names that are given twice; kind says of what. ValueError names the first."""
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
