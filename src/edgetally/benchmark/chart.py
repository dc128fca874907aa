"""The chart: frames a second of every way, and what more and more cameras get."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from edgetally.errors import EdgetallyError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from edgetally.benchmark.report import CamerasRow, ModelReport, Report

    Colour = tuple[int, int, int]

_WIDTH = 1400
_MARGIN = 40
_LABELS = 390  # width of the column of names
_ROW = 38
_HEAD = 84
_FOOT = 46
_CAMERAS_HEIGHT = 330
_FONT = cv2.FONT_HERSHEY_DUPLEX
# BGR
_PAPER: Colour = (255, 255, 255)
_INK: Colour = (40, 34, 30)
_FAINT: Colour = (140, 132, 126)
_GRID: Colour = (232, 228, 224)
_SAMPLE: Colour = (110, 120, 214)
_LOOP: Colour = (176, 122, 42)
_DEFAULT: Colour = (140, 84, 16)
_BARE: Colour = (206, 190, 170)


def draw_chart(path: Path, report: Report) -> None:
    """Draw it as a PNG. EdgetallyError where it can't be written."""
    panels = [_model_panel(model) for model in reversed(report.models)]
    if len(report.cameras) > 1:
        panels.append(_cameras_panel(report))
    panels.append(_foot(report))
    if not cv2.imwrite(str(path), np.concatenate(panels)):
        raise EdgetallyError(f"{path} can't be written; is the folder writable?")


def _model_panel(model: ModelReport) -> NDArray[np.uint8]:
    rows = len(model.rows) + (model.sample is not None)
    panel = _paper(_HEAD + rows * _ROW + 20)
    _text(panel, f"{model.name} at {model.input_size} pixels", (_MARGIN, 40), 0.8)
    legend = "frames a second from one 1080p file; pale: the bare engine, its input in memory"
    _text(panel, legend, (_MARGIN, 66), 0.5, _FAINT)
    tops = [row.loop.fps for row in model.rows] + [row.bare.fps for row in model.rows]
    scale = (_WIDTH - _LABELS - _MARGIN - 190) / max([*tops, 1e-9])
    y = _HEAD
    if model.sample is not None:
        _bar(panel, y, "the sample's way", model.sample.fps * scale, 0.0, _SAMPLE)
        _value(panel, y, model.sample.fps * scale, f"{model.sample.fps:.1f}")
        y += _ROW
    for row in model.rows:
        held = ", AVX-512 VNNI" if row.held_to else ""
        name = f"{row.engine} {row.precision}{held}{' (default)' if row.is_default else ''}"
        colour = _DEFAULT if row.is_default else _LOOP
        _bar(panel, y, name, row.loop.fps * scale, row.bare.fps * scale, colour)
        shown = f"{row.loop.fps:.1f}"
        if row.over_sample is not None:
            shown += f"  {row.over_sample:.1f}x"
        _value(panel, y, max(row.loop.fps, row.bare.fps) * scale, shown)
        y += _ROW
    return panel


def _bar(
    panel: NDArray[np.uint8], y: int, name: str, length: float, pale: float, colour: Colour
) -> None:
    (width, _), _ = cv2.getTextSize(name, _FONT, 0.55, 1)
    _text(panel, name, (_LABELS - 16 - width, y + 23), 0.55)
    if pale:
        _box(panel, (_LABELS, y + 3), (_LABELS + round(pale), y + _ROW - 7), _BARE)
    _box(panel, (_LABELS, y + 8), (_LABELS + max(2, round(length)), y + _ROW - 12), colour)


def _value(panel: NDArray[np.uint8], y: int, length: float, shown: str) -> None:
    _text(panel, shown, (_LABELS + round(length) + 12, y + 23), 0.55)


def _cameras_panel(report: Report) -> NDArray[np.uint8]:
    panel = _paper(_CAMERAS_HEIGHT)
    title = f"Live 1080p cameras at {report.live.fps} frames a second each, {report.cameras_model}"
    _text(panel, title, (_MARGIN, 40), 0.8)
    half = (_WIDTH - 3 * _MARGIN) // 2
    asked = [row.fps_wanted for row in report.cameras]
    _columns(
        panel,
        _MARGIN,
        half,
        "frames a second; pale: asked for",
        report.cameras,
        [row.fps for row in report.cameras],
        asked,
    )
    _columns(
        panel,
        2 * _MARGIN + half,
        half,
        "milliseconds from capture to message, p50; pale: p99",
        report.cameras,
        [row.latency.p50 if row.latency else 0.0 for row in report.cameras],
        [row.latency.p99 if row.latency else 0.0 for row in report.cameras],
    )
    return panel


def _columns(
    panel: NDArray[np.uint8],
    left: int,
    width: int,
    legend: str,
    rows: tuple[CamerasRow, ...],
    values: list[float],
    pale: list[float],
) -> None:
    _text(panel, legend, (left, 70), 0.5, _FAINT)
    ground, height = _CAMERAS_HEIGHT - 44, _CAMERAS_HEIGHT - 150
    scale = height / max([*values, *pale, 1e-9])
    step = width // len(rows)
    cv2.line(panel, (left, ground), (left + width, ground), _GRID, 2)
    for number, (row, value, behind) in enumerate(zip(rows, values, pale, strict=True)):
        x, column = left + number * step + step // 5, step * 3 // 5
        _box(panel, (x, ground - round(behind * scale)), (x + column, ground), _BARE)
        inner = ground - max(2, round(value * scale))
        _box(panel, (x + column // 6, inner), (x + column - column // 6, ground), _LOOP)
        shown = f"{value:.1f}" if value < 10 else f"{value:.0f}"
        _centred(panel, shown, (x + column // 2, inner - 8))  # of the dark column
        _centred(panel, str(row.cameras), (x + column // 2, ground + 24))


def _foot(report: Report) -> NDArray[np.uint8]:
    panel = _paper(_FOOT)
    machine = report.machine
    shown = f"{machine.processor}, {machine.cores} cores, {report.time[:10]}, {report.file.codec}"
    _text(panel, shown, (_MARGIN, 22), 0.5, _FAINT)
    return panel


def _paper(height: int) -> NDArray[np.uint8]:
    return np.full((height, _WIDTH, 3), _PAPER, np.uint8)


def _box(
    panel: NDArray[np.uint8], corner: tuple[int, int], opposite: tuple[int, int], colour: Colour
) -> None:
    cv2.rectangle(panel, corner, opposite, colour, cv2.FILLED)


def _centred(panel: NDArray[np.uint8], text: str, at: tuple[int, int]) -> None:
    (width, _), _ = cv2.getTextSize(text, _FONT, 0.5, 1)
    _text(panel, text, (at[0] - width // 2, at[1]), 0.5)


def _text(
    panel: NDArray[np.uint8], text: str, at: tuple[int, int], size: float, colour: Colour = _INK
) -> None:
    cv2.putText(panel, text, at, _FONT, size, colour, 1, cv2.LINE_AA)
