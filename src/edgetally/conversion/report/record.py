"""`conversion.json`: what a conversion did, proved and measured, beside the bundle it made.

It tells of one conversion on one machine, while `bundle.json` tells of the model: two machines
that convert one artifact write the same bundle and different records.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from edgetally.detector.agreement import Agreement  # noqa: TC001 - pydantic reads it
from edgetally.errors import InputError
from edgetally.ordinary_file import read_ordinary
from edgetally.shortened import shortened

if TYPE_CHECKING:
    from pathlib import Path

RECORD_NAME = "conversion.json"
REPORT_NAME = "report.html"
_LARGEST = 16 << 20


class _Value(BaseModel):
    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        populate_by_name=True,
        allow_inf_nan=False,
    )


class GraphSummary(_Value):
    """The deployable network: operators by name, sizes of its parameters and outputs.

    parameters counts numbers, not arrays. folded counts the BatchNorms that the ONNX model has
    in its convolutions' weights.
    """

    nodes: int
    operators: dict[str, int]
    parameters: int
    anchors: int
    classes: int
    input_size: int
    onnx_nodes: int
    folded: int


class Parity(_Value):
    """How far `compared` stood from `reference` over the same frames.

    max_box_difference is in 0-1 of the frame, over every anchor; detections counts rows after
    suppression. undecided counts rows that only rounding of the reference itself decides.
    """

    reference: str
    compared: str
    frames: int
    detections: int
    undecided: int
    max_box_difference: float
    max_score_difference: float


class Timing(_Value):
    """One frame at a time through one engine, without decoding or resizing.

    milliseconds is the median of `frames` runs, from the picture to boxes and scores.
    """

    engine: str
    precision: str
    milliseconds: float
    frames: int


class Machine(_Value):
    """Where figures were measured: processor, usable cores, Python and package versions."""

    processor: str
    cores: int
    python: str
    packages: dict[str, str]


class ConversionRecord(_Value):
    """Everything that one conversion has to tell. file_sizes are bytes by path in the bundle.

    notes are what the user was told, such as contradictions between the artifact's settings.
    """

    format: Literal["edgetally.conversion/1"] = "edgetally.conversion/1"
    edgetally: str
    source: str
    bundle_sha256: str
    notes: tuple[str, ...]
    graph: GraphSummary
    file_sizes: dict[str, int]
    machine: Machine
    parity: tuple[Parity, ...]
    timings: tuple[Timing, ...]
    agreement: tuple[Agreement, ...]
    calibration_images: int

    def write(self, folder: Path) -> None:
        """Write `conversion.json` into the bundle's folder."""
        text = self.model_dump_json(by_alias=True, indent=2) + "\n"
        (folder / RECORD_NAME).write_text(text, encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> ConversionRecord | None:
        """Read the record of a bundle; None where it has none. InputError where it is broken."""
        path = folder / RECORD_NAME
        try:
            content = read_ordinary(path, _LARGEST)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise InputError(
                f"{path}: {error.strerror or error}; convert the model again"
            ) from None
        try:
            return cls.model_validate_json(content)
        except ValidationError as error:
            first = error.errors()[0]
            where = shortened(".".join(str(part) for part in first["loc"])) or "the file"
            raise InputError(f"{path}: {where}: {first['msg']}; convert the model again") from None
