"""The targets, and which of them a report meets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgetally.benchmark.report import Target
from edgetally.benchmark.rounds import VNNI

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from edgetally.benchmark.report import EngineRow, ModelReport, Report

_MEGABYTE = 1e6
_OVER_SAMPLE = {"default": 10.0, "int8": 13.0, "fp32": 2.2}
_OVER_SAMPLE_HELD = 7.0
_BELOW_ENGINE = 0.05
_STILL_CORES = 0.5
_FOUR_CAMERAS = 700.0
_POSTPROCESSING, _COUNTING = 0.5, 0.3
_POINTS_LOST = {"bf16": 0.2, "int8": 0.5}


def judge(report: Report) -> tuple[Target, ...]:
    """Hold the report against every target. The speed of a model is that of the last one."""
    has_amx = "amx_tile" in report.machine.features
    return (
        *_speed(report.models[-1], has_amx=has_amx),
        *_many_cameras(report),
        *_own_work(report),
        *_accuracy(report),
    )


def _speed(model: ModelReport, *, has_amx: bool) -> Iterator[Target]:
    free = [row for row in model.rows if not row.held_to]
    chosen: dict[str, Callable[[EngineRow], bool]] = {
        "default": lambda row: row.is_default,
        "int8": lambda row: row.precision == "int8",
        "fp32": lambda row: row.precision == "fp32",
    }
    for name, is_meant in chosen.items():
        ratio = _ratio(name, _OVER_SAMPLE[name], [row for row in free if is_meant(row)], model)
        if ratio.met is False and name != "fp32" and not has_amx:
            ratio = ratio.model_copy(update={"limit": f"{ratio.limit}; this CPU has no AMX"})
        yield ratio
    held = [row for row in model.rows if row.held_to == VNNI]
    yield _ratio("int8 held to AVX-512 VNNI", _OVER_SAMPLE_HELD, held, model)
    default = next((row for row in model.rows if row.is_default), None)
    what = "loop below the bare engine, decoding set aside"
    if default is None or default.below_engine is None:
        yield _unknown(what, f"{_BELOW_ENGINE:.0%} at most")
        return
    threads = ", ".join(f"{kind} {cpu:.1f}" for kind, cpu in default.loop.threads.items())
    yield Target(
        what=what,
        target=f"{_BELOW_ENGINE:.0%} at most",
        found=f"{default.below_engine:.1%}",
        met=default.below_engine <= _BELOW_ENGINE,
        limit=f"CPU ms a frame by thread: {threads}" if threads else "",
    )


def _ratio(name: str, wanted: float, rows: list[EngineRow], model: ModelReport) -> Target:
    what = f"loop over the sample's way, {name}"
    known = [(row.over_sample, row) for row in rows if row.over_sample is not None]
    if not known or model.sample is None:
        return _unknown(what, f"{wanted:g}x")
    best, row = max(known, key=lambda pair: pair[0])
    ceiling = row.bare.fps / model.sample.fps
    return Target(
        what=what,
        target=f"{wanted:g}x",
        found=f"{best:.1f}x",
        met=best >= wanted,
        limit=f"{row.engine} {row.precision}; the bare engine is {ceiling:.1f}x",
    )


def _many_cameras(report: Report) -> Iterator[Target]:
    still, cores = report.still, f"{_STILL_CORES:g} of a core"
    if still is None:
        yield _unknown("eight still cameras, beyond decoding", cores)
    else:
        yield Target(
            what=f"{still.cameras} still cameras at {still.fps_each:.1f} fps, beyond decoding",
            target=cores,
            found=f"{still.cores_beyond:.2f}",
            met=still.cores_beyond <= _STILL_CORES,
            limit=f"decoding takes {still.cores_decoding:.2f}; "
            f"{still.skipped_share:.0%} of the frames are not inferred",
        )
    four = next((row for row in report.cameras if row.cameras == 4), None)
    what = f"memory of four cameras, {report.cameras_model}"
    if four is None:
        yield _unknown(what, f"{_FOUR_CAMERAS:g} MB")
        return
    yield Target(
        what=what,
        target=f"{_FOUR_CAMERAS:g} MB",
        found=f"{four.memory / _MEGABYTE:.0f} MB",
        met=four.memory / _MEGABYTE <= _FOUR_CAMERAS,
        limit=f"{four.peak_memory / _MEGABYTE:.0f} MB at most, while the model loads",
    )


def _own_work(report: Report) -> Iterator[Target]:
    own = report.own_work
    for what, wanted, found in (
        ("postprocessing", _POSTPROCESSING, own.postprocessing),
        ("tracking and counting", _COUNTING, own.counting),
    ):
        yield Target(
            what=f"{what}, {own.objects} objects",
            target=f"{wanted:g} ms",
            found=f"{found:.2f} ms",
            met=found <= wanted,
            limit="",
        )


def _accuracy(report: Report) -> Iterator[Target]:
    exact = next((one for one in report.accuracy if one.precision == "fp32"), None)
    for precision, allowed in _POINTS_LOST.items():
        what, target = f"mAP@0.5 that {precision} loses", f"{allowed:g} points"
        found = [one for one in report.accuracy if one.precision == precision]
        if exact is None or not found:
            yield _unknown(what, target)
            continue
        worst = min(found, key=lambda one: one.at_50)
        lost = exact.at_50 - worst.at_50
        yield Target(
            what=what,
            target=target,
            found=f"{lost:.2f} points",
            met=lost <= allowed,
            limit=f"{worst.engine}; mAP@[.5:.95] loses {exact.at_50_95 - worst.at_50_95:.2f}",
        )


def _unknown(what: str, target: str) -> Target:
    return Target(what=what, target=target, found="not measured", met=None, limit="")
