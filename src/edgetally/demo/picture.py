"""`Report`: the demo's annotated video and its contact sheet of the crossings."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING

import cv2
import numpy as np

from edgetally.errors import EdgetallyError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from edgetally.capture import Frame
    from edgetally.config import CameraConfig, LineConfig
    from edgetally.counting.events import CameraUpdate, CountEvent

    Image = NDArray[np.uint8]

_COLUMNS = 4
_THUMBNAIL = 480  # pixels wide
_GREEN, _WHITE, _DARK = (90, 220, 60), (255, 255, 255), (30, 30, 30)
_CLASS_COLOURS = ((255, 140, 30), (0, 215, 255), (200, 90, 220), (120, 220, 120))
_FONT = cv2.FONT_HERSHEY_SIMPLEX


class Report:
    """Draws every frame into `annotated.mp4`, and each crossing into `report.png`."""

    def __init__(self, camera: CameraConfig, classes: Sequence[str], folder: Path) -> None:
        self._camera = camera
        self._classes = classes
        self._folder = folder
        self._fps = 0.0
        self._writer: cv2.VideoWriter | None = None
        self._totals: Counter[tuple[str, str]] = Counter()
        self._sheet: list[Image] = []

    def open(self, fps: float) -> None:
        """Tell the speed of the video, frames a second."""
        self._fps = fps

    def frame(self, frame: Frame, update: CameraUpdate) -> None:
        """Draw one frame, and the crossings that were settled in it."""
        picture = frame.image.copy()
        for event in update.events:
            self._totals[event.class_name, event.direction] += 1
        for line in self._camera.lines:
            _draw_line(picture, line)
        self._draw_tracks(picture, update)
        self._draw_totals(picture)
        if self._writer is None:
            self._writer = self._open_video(picture)
        self._writer.write(picture)
        for event in update.events:
            crossed = event.time - (frame.time - frame.media_time)
            self._sheet.append(self._thumbnail(picture, event, crossed))

    def close(self) -> None:
        """Finish the video and write the contact sheet."""
        if self._writer is not None:
            self._writer.release()
        if not self._sheet:
            return
        rows = []
        blank = np.full_like(self._sheet[0], 24)
        for start in range(0, len(self._sheet), _COLUMNS):
            row = self._sheet[start : start + _COLUMNS]
            rows.append(np.hstack(row + [blank] * (_COLUMNS - len(row))))
        path = self._folder / "report.png"
        if not cv2.imwrite(str(path), np.vstack(rows)):
            raise EdgetallyError(f"{path} can't be written; is the folder writable?")

    def _open_video(self, picture: Image) -> cv2.VideoWriter:
        path = self._folder / "annotated.mp4"
        size = (picture.shape[1], picture.shape[0])
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), self._fps, size)
        if not writer.isOpened():
            raise EdgetallyError(f"{path} can't be written; is the folder writable?")
        return writer

    def _draw_tracks(self, picture: Image, update: CameraUpdate) -> None:
        height, width = picture.shape[:2]
        size = np.array([width, height])
        for track in update.tracks:
            colour = _CLASS_COLOURS[track.class_id % len(_CLASS_COLOURS)]
            trail = [
                ((np.array(s.box[:2]) + s.box[2:]) / 2 * size).astype(np.int32) for s in track.path
            ]
            if len(trail) > 1:
                cv2.polylines(picture, [np.array(trail)], False, colour, 2, cv2.LINE_AA)
            low = (np.array(track.box[:2]) * size).astype(int)
            high = (np.array(track.box[2:]) * size).astype(int)
            thickness = 2 if track.is_seen_now else 1
            cv2.rectangle(picture, low.tolist(), high.tolist(), colour, thickness)
            label = f"{self._classes[track.class_id]} #{track.id}"
            if track.is_seen_now:
                label += f" {track.score:.2f}"
            _label(picture, label, (int(low[0]), max(14, int(low[1]) - 4)), colour)

    def _draw_totals(self, picture: Image) -> None:
        for row, name in enumerate(self._classes):
            text = f"{name}: {self._totals[name, 'in']} in, {self._totals[name, 'out']} out"
            colour = _CLASS_COLOURS[row % len(_CLASS_COLOURS)]
            _label(picture, text, (8, picture.shape[0] - 10 - 20 * row), colour)

    def _thumbnail(self, picture: Image, event: CountEvent, seconds: float) -> Image:
        height = round(picture.shape[0] * _THUMBNAIL / picture.shape[1])
        small = cv2.resize(picture, (_THUMBNAIL, height), interpolation=cv2.INTER_AREA)
        bar = np.full((26, _THUMBNAIL, 3), _DARK, np.uint8)
        text = f"{seconds:5.2f} s  {event.class_name} {event.direction.upper()}  #{event.track_id}"
        cv2.putText(bar, text, (8, 18), _FONT, 0.52, _WHITE, 1, cv2.LINE_AA)
        tile = np.vstack([bar, small])
        return np.asarray(
            cv2.copyMakeBorder(tile, 2, 2, 2, 2, cv2.BORDER_CONSTANT, value=(24, 24, 24)), np.uint8
        )


def _draw_line(picture: Image, line: LineConfig) -> None:
    """Draw a line, and an arrow from its middle to the IN side."""
    height, width = picture.shape[:2]
    start = np.array(line.start) * (width, height)
    end = np.array(line.end) * (width, height)
    cv2.line(picture, start.astype(int).tolist(), end.astype(int).tolist(), _GREEN, 2, cv2.LINE_AA)
    along = end - start
    across = np.array([-along[1], along[0]]) / max(math.hypot(*along), 1e-9)
    if across @ line.in_direction < 0:
        across = -across
    middle = (start + end) / 2
    tip = middle + across * height * 0.16
    cv2.arrowedLine(
        picture,
        middle.astype(int).tolist(),
        tip.astype(int).tolist(),
        _GREEN,
        3,
        cv2.LINE_AA,
        tipLength=0.4,
    )
    _label(picture, f"{line.name}: IN", (int(tip[0]) + 16, int(tip[1]) - 6), _GREEN)


def _label(picture: Image, text: str, place: tuple[int, int], colour: tuple[int, int, int]) -> None:
    (width, height), base = cv2.getTextSize(text, _FONT, 0.42, 1)
    x = min(max(place[0], 0), max(picture.shape[1] - width - 4, 0))
    y = place[1]
    cv2.rectangle(picture, (x, y - height - 3), (x + width + 4, y + base), _DARK, -1)
    cv2.putText(picture, text, (x + 2, y), _FONT, 0.42, colour, 1, cv2.LINE_AA)
