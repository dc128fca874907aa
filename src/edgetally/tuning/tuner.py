"""`tune`: short measurements of everything, then longer ones of the best."""

from __future__ import annotations

import logging
import os
import tempfile
import time
from dataclasses import replace
from itertools import chain, zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

from edgetally.engines.device import this_device
from edgetally.errors import EdgetallyError, InputError
from edgetally.tuning.bench import Bench
from edgetally.tuning.budget import Budget
from edgetally.tuning.candidates import Candidate, divisions, runnable
from edgetally.tuning.measuring import faster
from edgetally.tuning.outcome import LEAST_DETECTIONS, Row, Tuning
from edgetally.tuning.smaller_input import SMALLER_SIZES, refuse_missing_onnx, with_input_size

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from edgetally.bundle import ModelBundle

    Picture = NDArray[np.uint8]

_log = logging.getLogger(__name__)
_SPARE = 1.25  # of what the cameras want, for the rest of the work
_DIVIDED = 3  # engines and precisions whose threads and streams are varied
_FINALISTS = 3
_QUIET = 0.5  # of the cores may be at work
# Shares of the budget.
_SHORT = 1 / 40  # one short measurement
_LONG = 1 / 15  # one of a finalist, at most
_COMPARISON = 1 / 30  # the pictures of one comparison
# Shares of it after which nothing more is begun.
_UNTIL_DIVISION = 0.5
_UNTIL_FINAL = 0.75
_MOST_CAMERAS = 1024
_LEAST_FPS, _MOST_FPS = 0.001, 1000


def tune(
    bundle: ModelBundle,
    *,
    cameras: int = 1,
    fps: float | None = None,
    pictures: Sequence[Picture] = (),
    allow_smaller_input: bool = False,
    tell: Callable[[str], None] | None = None,
    budget_seconds: float = 60.0,
    clock: Callable[[], float] = time.perf_counter,
) -> Tuning:
    """Measure every engine and precision on this device, and choose the best.

    cameras, fps: what is to be done. Of what can do it with a quarter to spare, that which costs
    the least CPU a frame is best; otherwise, and without fps, that which does most frames a second.
    pictures: what the cameras see, uint8 BGR [H, W, 3]. A precision is only chosen where it finds
    on them what fp32 does (`outcome.agrees`); without pictures that is
    fp32, or bf16 where it is the default.
    allow_smaller_input: show, too, what smaller inputs cost and bring; none is chosen.
    tell: hears a line for each step. budget_seconds: about how long it takes, smaller inputs
    apart: what is not likely to end in time is left out, and told in the notes; one candidate is
    always measured. clock: seconds that only grow.

    Nothing is written: see `engines.tuned.write_choice`. Raises InputError for numbers that
    make no sense, or where onnx is missing for smaller inputs; EdgetallyError where no engine can
    run the bundle.
    """
    _refuse_nonsense(cameras, fps, budget_seconds)
    if allow_smaller_input:
        refuse_missing_onnx()

    def told(line: str) -> None:
        _log.info(line)
        if tell:
            tell(line)

    wanted = cameras * fps if fps is not None else None
    busy = _busy()
    bench = Bench(bundle, pictures, budget_seconds * _COMPARISON, told, clock)
    budget = Budget(budget_seconds, clock)
    short = budget_seconds * _SHORT

    def rank(row: Row) -> tuple[int, float]:
        speed = row.speed
        if wanted is not None and speed.frames_per_second >= _SPARE * wanted:
            return 0, speed.cpu_time
        return 1, -speed.frames_per_second

    rows: list[Row] = []
    late: list[str] = []
    for each in runnable(bundle):
        if rows and not budget.allows(each, _UNTIL_DIVISION):
            late.append(str(each))
            continue
        with budget.spending(each):
            row = bench.measure(each, short, compare=True)
        rows += [row] if row is not None else []
    if not any(row.keeps_agreement for row in rows):
        raise EdgetallyError(
            f"no engine can run {bundle.name} in fp32; edgetally --debug tune tells why of each"
        )
    notes = [*busy, *_notes(rows, bench.compared)]
    if late:
        notes.append(f"time was over before {' and '.join(late)} could be measured")
    best = sorted((row for row in rows if row.keeps_agreement), key=rank)[:_DIVIDED]
    cores = this_device().cores
    for parent, candidate in _in_turn(best, cores):
        if not budget.allows(candidate, _UNTIL_FINAL):
            notes.append("time was over before every division of the cores was measured")
            break
        with budget.spending(candidate):
            row = bench.measure(candidate, short, compare=False)
        if row is not None:  # it computes what its parent does
            rows.append(replace(row, agreement=parent.agreement))
    finalists = sorted((row for row in rows if row.keeps_agreement), key=rank)[:_FINALISTS]
    for place, row in enumerate(finalists):
        if not budget.allows(row.candidate, 1.0):
            break
        seconds = max(short, min(budget_seconds * _LONG, budget.left / _FINALISTS))
        with budget.spending(row.candidate):
            again = bench.measure(row.candidate, seconds, compare=False)
        if again is not None:
            finalists[place] = replace(row, speed=faster(row.speed, again.speed))
            rows[rows.index(row)] = finalists[place]
    chosen = min(finalists, key=rank)
    smaller: list[Row] = []
    if allow_smaller_input:
        smaller = _smaller(bundle, bench, chosen.candidate, short, told, notes)
    return Tuning(
        bundle.sha256,
        bundle.name,
        this_device(),
        tuple(sorted(rows, key=lambda row: (row is not chosen, rank(row)))),
        chosen,
        wanted,
        tuple(smaller),
        (*notes, *dict.fromkeys(bench.left_out)),
    )


def _refuse_nonsense(cameras: int, fps: float | None, budget_seconds: float) -> None:
    if not 1 <= cameras <= _MOST_CAMERAS:
        raise InputError(f"--cameras {cameras} must be at least 1 and at most {_MOST_CAMERAS}")
    if fps is not None and not _LEAST_FPS <= fps <= _MOST_FPS:
        raise InputError(f"--fps {fps} must be at least {_LEAST_FPS} and at most {_MOST_FPS}")
    if not 0 < budget_seconds < float("inf"):
        raise InputError(f"a budget of {budget_seconds} seconds must be above 0")


def _busy() -> list[str]:
    """Tell of a device that had other work before this began."""
    try:
        load = os.getloadavg()[0]
    except OSError:
        return []
    if load < this_device().cores * _QUIET:
        return []
    return [f"the device was busy (load {load:.1f}); figures of a quiet one are more exact"]


def _in_turn(best: Sequence[Row], cores: int) -> list[tuple[Row, Candidate]]:
    """Divide the cores for each of the best, the first division of each before any second."""
    divided = [[(row, each) for each in divisions(row.candidate, cores)] for row in best]
    return [pair for pair in chain.from_iterable(zip_longest(*divided)) if pair is not None]


def _notes(rows: Sequence[Row], compared: int) -> list[str]:
    doubtful = {row.candidate.precision for row in rows if not row.is_default} - {"fp32"}
    others = " and ".join(sorted(doubtful))
    seen = [row.agreement.reference_detections for row in rows if row.agreement]
    notes = []
    if others and not compared:
        notes.append(
            f"{others} can't be chosen unless compared with fp32: "
            "give --calibration a folder of pictures that the cameras took"
        )
    elif seen and min(seen) < LEAST_DETECTIONS:
        notes.append(
            f"fp32 finds {min(seen)} objects in {compared} pictures, too few to compare {others} "
            f"with it; give --calibration pictures with {LEAST_DETECTIONS} objects and more"
        )
    return notes


def _smaller(
    bundle: ModelBundle,
    bench: Bench,
    chosen: Candidate,
    seconds: float,
    tell: Callable[[str], None],
    notes: list[str],
) -> list[Row]:
    sizes = [size for size in SMALLER_SIZES if size < bundle.input_size]
    if not sizes:
        notes.append(f"an input of {bundle.input_size} pixels is small already; none was tried")
        return []
    if chosen.precision == "int8":  # it would have to be calibrated anew
        notes.append("smaller inputs were measured in fp32: int8 is made by a conversion")
        chosen = replace(chosen, precision="fp32")
    rows = []
    for size in sizes:
        tell(f"writing the network for an input of {size} pixels")
        with tempfile.TemporaryDirectory(prefix="edgetally-tune-") as folder:
            try:
                smaller = with_input_size(bundle, size, Path(folder))
            except InputError as error:
                notes.append(f"{error}")
                continue
            row = bench.measure_smaller(smaller, chosen, seconds)
        if row is not None:
            rows.append(row)
    return rows
