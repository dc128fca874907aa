"""The ceilings: an engine whose input lies in memory already, and videos read for nothing."""

from __future__ import annotations

import threading
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from edgetally.benchmark.stopwatch import Stopwatch, time_steps
from edgetally.benchmark.videos import frames_of
from edgetally.detector.preprocessing import fit_input
from edgetally.engines import create_engine

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Future

    from edgetally.benchmark.measurement import Measured
    from edgetally.bundle import ModelBundle
    from edgetally.config import EngineName, Precision
    from edgetally.engines import RawPredictions

_IN_FLIGHT = 6  # more than any engine works on at once
_PICTURES = 8


def measure_engine(
    bundle: ModelBundle,
    engine: EngineName,
    precision: Precision,
    video: str,
    *,
    warm_up: float,
    seconds: float,
) -> Measured:
    """Keep the engine full of pictures that were read and resized before."""
    batches = [
        fit_input(frame, bundle.input_size)[np.newaxis]
        for frame in frames_of(Path(video), _PICTURES)
    ]
    loaded = create_engine(bundle, engine, precision)
    pending: deque[Future[RawPredictions]] = deque()
    submitted = 0

    def step() -> None:
        nonlocal submitted
        while len(pending) < _IN_FLIGHT:
            pending.append(loaded.submit(batches[submitted % len(batches)]))
            submitted += 1
        pending.popleft().result()

    try:
        measured = time_steps(step, warm_up=warm_up, seconds=seconds)
    finally:
        loaded.close()
    return measured.model_copy(update={"engine": loaded.name, "precision": loaded.precision})


def measure_decoding(videos: Sequence[str], *, warm_up: float, seconds: float) -> Measured:
    """Read every video with OpenCV, each in a thread of its own, and drop what comes.

    As fast as they come: a file as fast as it can be decoded, a live stream at its own pace.
    """
    watch, stop, began = Stopwatch(), threading.Event(), threading.Event()

    def read(video: str) -> None:
        capture = cv2.VideoCapture(video)
        while not stop.is_set() and capture.read()[0]:
            began.set()
            watch.frame()
        capture.release()

    threads = [
        threading.Thread(target=read, args=(video,), name="camera", daemon=True) for video in videos
    ]
    for thread in threads:
        thread.start()
    began.wait(30)
    stop.wait(warm_up)
    watch.begin()
    while not watch.is_enough(seconds) and any(thread.is_alive() for thread in threads):
        stop.wait(0.05)
    measured = watch.end()
    stop.set()
    for thread in threads:
        thread.join(5)
    return measured
