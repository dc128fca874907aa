"""What tuning found: a row for each measurement, the best of them, and how they are shown."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TextIO

from edgetally.engines.tuned import TunedChoice
from edgetally.tuning.table import Column, show_table

if TYPE_CHECKING:
    from edgetally.detector.agreement import Agreement
    from edgetally.engines.device import Device
    from edgetally.tuning.candidates import Candidate
    from edgetally.tuning.measuring import Speed

LEAST_DETECTIONS = 20
"""Of fp32, with a score of 0.5 and more, on all pictures: on fewer nothing is judged."""

_LEAST_MAP = 0.98
_LEAST_FOUND = 0.98
_LEAST_IOU = 0.9
_MOST_SCORE_DIFFERENCE = 0.05


@dataclass(frozen=True)
class Row:
    """One way to run the bundle, its speed, and how it agrees with fp32 at the full input size.

    agreement is None for fp32 itself, and where nothing was compared. is_default: its precision is
    what the engine takes when nobody has tuned it.
    """

    candidate: Candidate
    input_size: int
    speed: Speed
    agreement: Agreement | None = None
    is_default: bool = False

    @property
    def keeps_agreement(self) -> bool:
        """Whether detections are those of fp32; where nobody can tell, of the default alone."""
        if self.candidate.precision == "fp32":
            return True
        if self.agreement is None or not can_tell(self.agreement):
            return self.is_default
        return agrees(self.agreement)


@dataclass(frozen=True)
class Tuning:
    """All rows of a bundle, by its hash, on a device, and the chosen one.

    name: the bundle's. wanted: frames a second of all cameras together; None where it was not
    said. smaller: rows of the chosen engine at smaller inputs, none of which is ever chosen.
    notes: what one should know of it, such as what was left out, and why.
    """

    bundle: str
    name: str
    device: Device
    rows: tuple[Row, ...]
    chosen: Row
    wanted: float | None = None
    smaller: tuple[Row, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def choice(self) -> TunedChoice:
        """The chosen row as `engines.tuned.write_choice` takes it."""
        candidate, speed = self.chosen.candidate, self.chosen.speed
        return TunedChoice(
            bundle=self.bundle,
            name=self.name,
            device=self.device,
            engine=candidate.engine,
            precision=candidate.precision,
            threads=candidate.settings.threads,
            streams=candidate.settings.streams,
            frames_per_second=round(speed.frames_per_second, 2),
            milliseconds=round(speed.latency * 1000, 2),
        )

    def to_json(self) -> str:
        """Write everything as one JSON object."""
        content = {
            "bundle": self.bundle,
            "name": self.name,
            "device": self.device.model_dump(mode="json"),
            "wantedFramesPerSecond": self.wanted,
            "chosen": _content(self.chosen),
            "rows": [_content(row) for row in self.rows],
            "smallerInputs": [_content(row) for row in self.smaller],
            "notes": list(self.notes),
        }
        return json.dumps(content, indent=2, allow_nan=False)

    def show(self, stream: TextIO) -> None:
        """Print tables where stream is a terminal, plain aligned text elsewhere."""
        device = f"{self.device.processor}, {self.device.cores} cores"
        show_table(device, _COLUMNS, [_cells(row, self.chosen) for row in self.rows], stream)
        if self.smaller:
            title = "smaller inputs, compared with the full size in fp32"
            show_table(title, _COLUMNS, [_cells(row, None) for row in self.smaller], stream)
        stream.writelines(f"note: {note}\n" for note in self.notes)
        speed = self.chosen.speed.frames_per_second
        stream.write(f"best: {self.chosen.candidate}: {speed:.1f} frames a second")
        if self.wanted:
            enough = speed >= self.wanted
            stream.write(f" of {self.wanted:g} wanted{'' if enough else ', too few'}")
        stream.write("\n")


def can_tell(agreement: Agreement) -> bool:
    """Whether fp32 finds enough for anything to be compared with it."""
    return agreement.reference_detections >= LEAST_DETECTIONS


def agrees(agreement: Agreement) -> bool:
    """Judge whether a form may stand in for fp32: docs/decisions/0007 tells why these bounds."""
    return (
        can_tell(agreement)
        and agreement.matched >= _LEAST_FOUND * agreement.reference_detections
        and (agreement.map_50 or 0) >= _LEAST_MAP
        and (agreement.mean_iou or 0) >= _LEAST_IOU
        and (agreement.mean_score_difference or 0) <= _MOST_SCORE_DIFFERENCE
    )


_COLUMNS = (
    Column("engine"),
    Column("precision"),
    Column("input", figures=True),
    Column("threads", figures=True),
    Column("streams", figures=True),
    Column("frames/s", figures=True),
    Column("one, ms", figures=True),
    Column("CPU, ms", figures=True),
    Column("found", figures=True),
    Column("mAP", figures=True),
    Column("IoU", figures=True),
    Column(""),
)


def _cells(row: Row, chosen: Row | None) -> tuple[str, ...]:
    settings, like = row.candidate.settings, row.agreement
    if row is chosen:
        told = "best"
    elif chosen is None or row.keeps_agreement:
        told = ""
    elif like is None:
        told = "not compared"
    elif like.reference_detections < LEAST_DETECTIONS:
        told = "too few objects"
    else:
        told = "too far from fp32"
    return (
        row.candidate.engine,
        row.candidate.precision,
        str(row.input_size),
        str(settings.threads or "auto"),
        str(settings.streams or "auto"),
        f"{row.speed.frames_per_second:.1f}",
        f"{row.speed.latency * 1000:.1f}",
        f"{row.speed.cpu_time * 1000:.1f}",
        f"{like.matched}/{like.reference_detections}" if like else "",
        f"{like.map_50:.3f}" if like and like.map_50 is not None else "",
        f"{like.mean_iou:.3f}" if like and like.mean_iou is not None else "",
        told,
    )


def _content(row: Row) -> dict[str, Any]:
    settings = row.candidate.settings
    return {
        "engine": row.candidate.engine,
        "precision": row.candidate.precision,
        "inputSize": row.input_size,
        "threads": settings.threads,
        "streams": settings.streams,
        "framesPerSecond": row.speed.frames_per_second,
        "milliseconds": row.speed.latency * 1000,
        "cpuMilliseconds": row.speed.cpu_time * 1000,
        "keepsAgreement": row.keeps_agreement,
        "agreement": row.agreement.model_dump(mode="json", by_alias=True)
        if row.agreement
        else None,
    }
