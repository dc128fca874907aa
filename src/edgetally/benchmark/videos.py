"""The videos that are measured: people at a stock room's door, and the same room at rest."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from edgetally.benchmark.encoding import HEIGHT, WIDTH, encode
from edgetally.demo.scene.clip import demo_stage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from edgetally.demo.scene.stage import Stage

LIVE_FPS = 5
_FPS = 25
_BEGIN = 2.0  # seconds into the demo's script, when someone is in view
_STILL_AT = 71.0  # only a box that was left is in view


class Video(BaseModel):
    """A video file, and how it was coded. fps: of the frames in it."""

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True)

    path: str
    codec: str
    frames: int
    fps: int
    width: int = WIDTH
    height: int = HEIGHT

    def nameless(self) -> Video:
        """Leave out the folders of its path, which are nobody else's business."""
        return self.model_copy(update={"path": Path(self.path).name})


class Videos(BaseModel):
    """file: as fast as it can be read. moving, still: transport streams that are sent live."""

    model_config = ConfigDict(frozen=True)

    file: Video
    moving: Video
    still: Video


def make_videos(folder: Path, *, seconds: float, tell: Callable[[str], None]) -> Videos:
    """Render and encode what the folder does not hold yet.

    seconds: how long the file plays; ten seconds of it are rendered and repeated.
    """
    record = folder / f"videos-{seconds:g}.json"
    if record.exists():
        made = Videos.model_validate_json(record.read_bytes())
        if all((folder / video.path).exists() for video in (made.file, made.moving, made.still)):
            return _in_folder(made, folder)
    tell("rendering and encoding 1080p videos (once)")
    rendered = _rendered(demo_stage(), min(seconds, 10.0))
    count = round(seconds * _FPS)
    names = [f"{what}-{seconds:g}" for what in ("file", "moving", "still")]
    file_codec = encode(folder / f"{names[0]}.mp4", _repeated(rendered, count), _FPS)
    every = _FPS // LIVE_FPS
    live_count = max(LIVE_FPS, round(min(seconds, 20.0) * LIVE_FPS))
    codec = encode(folder / f"{names[1]}.ts", _repeated(rendered[::every], live_count), LIVE_FPS)
    encode(folder / f"{names[2]}.ts", _at_rest(demo_stage(), live_count), LIVE_FPS)
    made = Videos(
        file=Video(path=f"{names[0]}.mp4", codec=file_codec, frames=count, fps=_FPS),
        moving=Video(path=f"{names[1]}.ts", codec=codec, frames=live_count, fps=LIVE_FPS),
        still=Video(path=f"{names[2]}.ts", codec=codec, frames=live_count, fps=LIVE_FPS),
    )
    record.write_text(json.dumps(made.model_dump(mode="json", by_alias=True)), encoding="utf-8")
    return _in_folder(made, folder)


def _in_folder(made: Videos, folder: Path) -> Videos:
    """Give the paths as they are from here."""
    return Videos(
        **{
            name: video.model_copy(update={"path": str(folder / video.path)})
            for name, video in (("file", made.file), ("moving", made.moving), ("still", made.still))
        }
    )


def _rendered(stage: Stage, seconds: float) -> list[NDArray[np.uint8]]:
    rng = np.random.default_rng(0)
    return [
        stage.render(_BEGIN + index / _FPS, rng) for index in range(max(1, round(seconds * _FPS)))
    ]


def _repeated(pictures: list[NDArray[np.uint8]], count: int) -> Iterator[NDArray[np.uint8]]:
    for index in range(count):
        yield _enlarged(pictures[index % len(pictures)])


def _at_rest(stage: Stage, count: int) -> Iterator[NDArray[np.uint8]]:
    """One moment again and again: only the sensor's noise differs."""
    still = replace(stage, optics=replace(stage.optics, exposure=0.0))
    rng = np.random.default_rng(0)
    for _ in range(count):
        yield _enlarged(still.render(_STILL_AT, rng))


def _enlarged(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    enlarged = cv2.resize(picture, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    return np.ascontiguousarray(enlarged, np.uint8)


def frames_of(path: Path, count: int) -> list[NDArray[np.uint8]]:
    """Read pictures spread over a video, uint8 BGR [H, W, 3]; fewer where it is shorter."""
    capture = cv2.VideoCapture(str(path))
    step = max(1, int(capture.get(cv2.CAP_PROP_FRAME_COUNT)) // count)
    found: list[NDArray[np.uint8]] = []
    index = 0
    while len(found) < count and capture.grab():
        if index % step == 0:
            _, image = capture.retrieve()
            found.append(np.asarray(image, np.uint8))
        index += 1
    capture.release()
    return found
