"""A report as tables, for the terminal and as Markdown."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import JustifyMethod

    from edgetally.benchmark.report import Figures, ModelReport, Percentiles, Report

_MEGABYTE = 1e6
_NOTHING = "-"


@dataclass(frozen=True)
class Sheet:
    """A table: the first column is text, the others are figures, but for a last one of words."""

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    ends_in_words: bool = False

    def for_terminal(self) -> Table:
        """Draw it with rich."""
        table = Table(title=Text(self.title), title_justify="left")
        for number, heading in enumerate(self.headings):
            justify: JustifyMethod = "right" if self._is_figure(number) else "left"
            table.add_column(Text(heading), justify=justify, overflow="fold")
        for row in self.rows:
            table.add_row(*(Text(cell) for cell in row))
        return table

    def markdown(self) -> str:
        """Write it as Markdown."""
        rules = ["---:" if self._is_figure(n) else "---" for n in range(len(self.headings))]
        lines = [
            f"**{_escaped(self.title)}**",
            "",
            f"| {' | '.join(self.headings)} |",
            f"| {' | '.join(rules)} |",
            *(f"| {' | '.join(_escaped(cell) for cell in row)} |" for row in self.rows),
        ]
        return "\n".join(lines) + "\n"

    def _is_figure(self, column: int) -> bool:
        return 0 < column < len(self.headings) - self.ends_in_words


def _escaped(text: str) -> str:
    """Keep a name from being taken for Markdown."""
    return re.sub(r"([\\|*_`<])", r"\\\1", text)


def sheets(report: Report) -> tuple[Sheet, ...]:
    """Lay out a report: targets first."""
    return tuple(_sheets(report))


def machine_line(report: Report) -> str:
    """The machine and the run, in two sentences."""
    machine = report.machine
    packages = ", ".join(f"{name} {version}" for name, version in machine.packages.items())
    memory = f", {machine.memory / 2**30:.0f} GiB" if machine.memory else ""
    return (
        f"{machine.processor}, {machine.cores} cores{memory} "
        f"({', '.join(machine.features) or 'no features told'}); {machine.system}, "
        f"Python {machine.python}, {packages}. {report.time}, {report.rounds} rounds of "
        f"{report.seconds:g} s; load before {report.load[0]:g}, after {report.load[1]:g}. Videos: "
        f"{report.file.width}x{report.file.height} {report.file.codec}, the file at "
        f"{report.file.fps} and the live streams at {report.live.fps} frames a second."
    )


def _sheets(report: Report) -> Iterator[Sheet]:
    verdicts = {True: "yes", False: "no", None: _NOTHING}
    yield Sheet(
        "Targets",
        ("what", "target", "found", "met", "beside it"),
        tuple((t.what, t.target, t.found, verdicts[t.met], t.limit) for t in report.targets),
        ends_in_words=True,
    )
    for model in reversed(report.models):
        yield _model_sheet(model)
    yield _threads_sheet(report.models[-1])
    if report.cameras:
        yield Sheet(
            f"Live cameras at {report.live.fps} frames a second each, {report.cameras_model}",
            (
                *("cameras", "frames/s wanted", "done", "CPU ms a frame", "cores"),
                *("latency p50", "p95", "p99 (ms)", "memory (MB)", "at most (MB)"),
            ),
            tuple(
                (
                    str(row.cameras),
                    f"{row.fps_wanted:g}",
                    f"{row.fps:.1f}",
                    f"{row.cpu_per_frame:.1f}",
                    f"{row.cores:.2f}",
                    *_percentiles(row.latency),
                    f"{row.memory / _MEGABYTE:.0f}",
                    f"{row.peak_memory / _MEGABYTE:.0f}",
                )
                for row in report.cameras
            ),
        )
    if report.accuracy:
        exact = next((a for a in report.accuracy if a.precision == "fp32"), report.accuracy[0])
        yield Sheet(
            f"Accuracy of the demo model on {exact.pictures} pictures of rooms it never saw",
            ("engine", "precision", "mAP@0.5", "against fp32", "mAP@[.5:.95]", "against fp32"),
            tuple(
                (
                    one.engine,
                    one.precision,
                    f"{one.at_50:.2f}",
                    f"{one.at_50 - exact.at_50:+.2f}",
                    f"{one.at_50_95:.2f}",
                    f"{one.at_50_95 - exact.at_50_95:+.2f}",
                )
                for one in report.accuracy
            ),
        )


def _model_sheet(model: ModelReport) -> Sheet:
    rows = []
    if model.sample is not None:
        way = ("the sample's way", *_figures(model.sample), "1.0x", _NOTHING, _NOTHING)
        rows.append((*way, *_percentiles(model.sample.latency)))
    for row in model.rows:
        held = f", held to {row.held_to}" if row.held_to else ""
        name = f"{row.engine} {row.precision}{held}{' (default)' if row.is_default else ''}"
        ratio = _NOTHING if row.over_sample is None else f"{row.over_sample:.1f}x"
        rows.append(
            (
                name,
                *_figures(row.loop),
                ratio,
                f"{row.bare.fps:.1f}",
                _NOTHING if row.below_engine is None else f"{row.below_engine:.1%}",
                *_percentiles(row.latency),
            )
        )
    rows.append(("decoding alone", *_figures(model.decoding), *(_NOTHING,) * 6))
    return Sheet(
        f"{model.name} at {model.input_size} pixels, one 1080p file",
        (
            *("way", "frames/s", "CPU ms a frame", "memory (MB)", "over the sample"),
            *("bare engine, frames/s", "loop below it", "latency p50", "p95", "p99 (ms)"),
        ),
        tuple(rows),
    )


def _threads_sheet(model: ModelReport) -> Sheet:
    rows = []
    for row in model.rows:
        used = dict(row.loop.threads)
        engine = used.pop(row.engine, 0.0) + used.pop("runtime", 0.0)
        known = [used.pop(kind, 0.0) for kind in ("camera", "look", "count", "publisher")]
        held = f", held to {row.held_to}" if row.held_to else ""
        name = f"{row.engine} {row.precision}{held}{' (default)' if row.is_default else ''}"
        figures = (engine, *known, sum(used.values()))
        rows.append((name, *(f"{figure:.1f}" for figure in figures)))
    return Sheet(
        f"Where the loop's CPU time goes with {model.name}, ms a frame by thread",
        (
            *("way", "engine, postprocessing, FFmpeg's decoding", "camera: colours of the video"),
            *("look: resize", "count: track, write down", "publisher", "others"),
        ),
        tuple(rows),
    )


def _figures(figures: Figures) -> tuple[str, str, str]:
    return (
        f"{figures.fps:.1f}",
        f"{figures.cpu_per_frame:.1f}",
        f"{figures.peak_memory / _MEGABYTE:.0f}",
    )


def _percentiles(found: Percentiles | None) -> tuple[str, str, str]:
    if found is None:
        return (_NOTHING,) * 3
    return f"{found.p50:.0f}", f"{found.p95:.0f}", f"{found.p99:.0f}"
