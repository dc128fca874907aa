"""A process that counts, with everything of the service but cameras and a model, to be killed.

Usage: counting_process.py FOLDER FRAMES. Each line on stdin starts a process that goes on where the
ledger in FOLDER says: "start 0.01" kills it 0.01 seconds after it has started, "open 0.01" after
it has opened the ledger. A line on stdout says "killed", or "ended" where it had got through all
frames. Importing takes long, hence the fork.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
import time
import traceback
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgetally.bundle import ModelBundle
from edgetally.capture import Frame
from edgetally.config import Config, parse_config
from edgetally.counting.camera_counter import CameraCounter
from edgetally.counting.ledger import FILE_NAME, Storage
from edgetally.detections import Detections
from edgetally.messaging.publisher import Publisher
from edgetally.messaging.transports import create_transports
from edgetally.service.recorder import Recorder

if TYPE_CHECKING:
    from edgetally.counting.events import CameraUpdate

CLASSES = ("blue box", "yellow box")
FPS = 5
_COLUMNS = 12
_STEPS = 14  # frames in which a box goes through the picture
_PAUSE = 12  # frames without a box
_EPOCH = 1_700_000_000.0


def configured(folder: Path) -> Config:
    """Return the configuration: two cameras at two sites, a file for messages."""
    return parse_config(
        {
            "model": {"path": "none"},
            "cameras": [
                {
                    "name": name,
                    "source": "0",
                    "site": site,
                    "lines": [
                        {"name": "door", "from": [0, 0.5], "to": [1, 0.5], "inDirection": [0, 1]}
                    ],
                    "zones": [{"name": "room", "polygon": [[0, 0.5], [1, 0.5], [1, 1], [0, 1]]}],
                }
                for name, site in (("dock", "hall"), ("gate", "yard"))
            ],
            "publish": {
                "detections": {"mode": "every", "minInterval": 0},
                "transports": [{"type": "jsonl", "path": str(folder / "messages.jsonl")}],
            },
            "storage": {"path": str(folder)},
        },
        "counting_process",
    )


def detected(camera: int, index: int) -> Detections:
    """Boxes that go down or up in twelve columns, one after the other."""
    boxes, classes = [], []
    for column in range(_COLUMNS):
        turn, step = divmod(index + 7 * column + 3 * camera, _STEPS + _PAUSE)
        if step < _STEPS:
            way = 0.1 + 0.8 * step / (_STEPS - 1)
            y = way if (turn + column) % 2 else 1 - way
            x = (column + 0.5) / _COLUMNS
            boxes.append((x - 0.03, y - 0.05, x + 0.03, y + 0.05))
            classes.append((turn + camera) % 2)
    return Detections(
        np.array(boxes, np.float32).reshape(-1, 4),
        np.full(len(boxes), 0.9, np.float32),
        np.array(classes, np.int64),
    )


def counted(config: Config, frames: int) -> list[tuple[Frame, CameraUpdate]]:
    """Return what counting says of each frame, the cameras' in turn."""
    image = np.zeros((48, 64, 3), np.uint8)
    counters = [CameraCounter(camera, CLASSES) for camera in config.cameras]
    return [
        (
            Frame(camera.name, index, _EPOCH + index / FPS, index / FPS, image),
            counters[number].update(detected(number, index), _EPOCH + index / FPS),
        )
        for index in range(frames)
        for number, camera in enumerate(config.cameras)
    ]


def model() -> ModelBundle:
    """Return a bundle of which there are only names."""
    names: dict[str, Any] = {"name": "boxes", "version": "1", "classes": CLASSES}
    bundle = ModelBundle.model_construct(**names)
    bundle.__pydantic_private__ = {"_folder": Path(), "_sha256": "0" * 64}
    return bundle


def go_on(config: Config, updates: list[tuple[Frame, CameraUpdate]], tells: int) -> None:
    """Write down, and publish, what the ledger does not hold yet; say when it is open."""
    storage = Storage(
        config.storage.path, sites={camera.name: camera.site for camera in config.cameras}
    )
    recorder = Recorder(config, model(), storage, clock=time.time)
    publisher = Publisher(storage, create_transports(config.publish.transports), rate=1e6)
    os.write(tells, b"o")
    for frame, update in updates[recorded(config.storage.path) :]:
        if recorder.frame(frame, update):
            publisher.notify()
    publisher.close(60)
    storage.close()


def recorded(folder: Path) -> int:
    """Return how many frames are in the ledger: each has a detections message with a number."""
    with closing(sqlite3.connect(f"{(folder / FILE_NAME).as_uri()}?mode=ro", uri=True)) as base:
        query = "SELECT COALESCE(SUM(last), 0) FROM sequences WHERE stream LIKE '%/detections'"
        (frames,) = base.execute(query).fetchone()
    return int(frames)


def main() -> None:
    """Serve the lines on stdin."""
    config = configured(Path(sys.argv[1]))
    updates = counted(config, int(sys.argv[2]))
    say("ready")
    for line in sys.stdin:
        instant, seconds = line.split()
        hears, tells = os.pipe()
        process = os.fork()
        if process == 0:
            try:
                go_on(config, updates, tells)
                os._exit(0)
            finally:
                traceback.print_exc()
                os._exit(1)
        os.close(tells)
        if instant == "open":
            os.read(hears, 1)
        os.close(hears)
        say("killed" if killed_within(process, float(seconds)) else "ended")


def say(word: str) -> None:
    """Answer the test."""
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


def killed_within(process: int, seconds: float) -> bool:
    """Kill a process after so long; False where it had ended well before."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        ended, status = os.waitpid(process, os.WNOHANG)
        if ended:
            if status:
                raise SystemExit("the counting process failed")
            return False
        time.sleep(0.0005)
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)
    return True


if __name__ == "__main__":
    main()
