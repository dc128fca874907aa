"""Our loop end to end: the service as it runs on a device, from cameras to messages."""

from __future__ import annotations

import json
import os
import tempfile
import threading
import time
from collections import deque
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgetally.benchmark.stopwatch import Stopwatch
from edgetally.config import Config
from edgetally.service import Service

if TYPE_CHECKING:
    from edgetally.benchmark.measurement import Job, Measured
    from edgetally.capture import Frame
    from edgetally.counting.events import CameraUpdate, CountEvent

_LONGEST_START = 60.0
_LOOK = 0.05
_LATENCIES = 4096  # the latest; bounded, so that memory stays flat however long it runs


def measure_loop(job: Job) -> Measured:
    """Run the service with a line and a zone for each camera, messages into a file.

    Raises what the service raises.
    """
    with tempfile.TemporaryDirectory(prefix="edgetally-benchmark-") as name:
        folder = Path(name)
        messages = folder / "messages.jsonl"
        ways: _Ways | None = None
        if job.every_frame:
            os.mkfifo(messages)
            ways = _Ways(messages)
        config = _config(job, folder, messages)
        observer = _Observer(len(config.cameras))
        service = Service(config, observer=observer)
        timer = threading.Thread(target=_time, args=(job, service, observer, ways), daemon=True)
        timer.start()
        try:
            service.run()
        finally:
            observer.ended.set()
            timer.join()
        if observer.measured is None:
            observer.finish(service)
        measured = observer.measured
        if measured is None:
            raise RuntimeError("the loop was not measured")
        return measured.model_copy(
            update={
                "engine": service.engine,
                "precision": service.precision,
                "latencies": tuple(ways.latencies) if ways else (),
            }
        )


def _config(job: Job, folder: Path, messages: Path) -> Config:
    detections: dict[str, Any] = {"mode": "every", "minInterval": 0} if job.every_frame else {}
    return Config.model_validate(
        {
            "model": {"path": job.bundle, "engine": job.engine, "precision": job.precision},
            "cameras": [
                {
                    "name": f"camera-{number}",
                    "source": source,
                    "fps": job.fps,
                    "motionGate": {"enabled": job.is_gated},
                    "lines": [
                        {"name": "door", "from": [0, 0.36], "to": [1, 0.36], "inDirection": [0, 1]}
                    ],
                    "zones": [{"name": "room", "polygon": [[0, 0.36], [1, 0.36], [1, 1], [0, 1]]}],
                }
                for number, source in enumerate(job.sources, start=1)
            ],
            "publish": {
                "detections": detections,
                "transports": [{"type": "jsonl", "path": str(messages)}],
            },
            "storage": {"path": str(folder / "state")},
        }
    )


def _time(job: Job, service: Service, observer: _Observer, ways: _Ways | None) -> None:
    """Measure from when every camera has given a frame, then stop the service."""
    deadline = time.monotonic() + _LONGEST_START
    while not observer.has_begun and time.monotonic() < deadline:
        if observer.ended.wait(_LOOK):
            return
    if observer.ended.wait(job.warm_up):
        return
    observer.begin(service)
    if ways is not None:
        ways.latencies.clear()
    while not observer.is_enough(job.seconds) and not observer.ended.wait(_LOOK):
        pass
    observer.finish(service)
    service.stop()


class _Observer:
    """Counts the frames of a service, and what its cameras gave."""

    def __init__(self, cameras: int) -> None:
        self.ended = threading.Event()
        self.measured: Measured | None = None
        self._watch = Stopwatch()
        self._cameras = cameras
        self._seen: set[str] = set()
        self._began = 0.0
        self._before = (0, 0, 0)
        self._cpu = 0.0

    @property
    def has_begun(self) -> bool:
        """Whether every camera has given a frame."""
        return len(self._seen) == self._cameras

    def started(self, service: Service) -> None:
        """See `Observer.started`."""

    def frame(self, frame: Frame, update: CameraUpdate) -> None:  # noqa: ARG002 - the protocol's
        """See `Observer.frame`."""
        self._seen.add(frame.camera)
        self._watch.frame()

    def event(self, event: CountEvent) -> None:
        """See `Observer.event`."""

    def begin(self, service: Service) -> None:
        """Start the watch."""
        self._before = _counts(service)
        self._began, self._cpu = time.perf_counter(), time.process_time()
        self._watch.begin()

    def is_enough(self, seconds: float) -> bool:
        """Whether it has run long enough; where the gate keeps frames back, by the clock."""
        over = time.perf_counter() - self._began
        return self._watch.is_enough(seconds) or over >= 2 * seconds

    def finish(self, service: Service) -> None:
        """Stop the watch. Live cameras are counted by the clock: their frames come in bursts."""
        measured = self._watch.end()
        captured, processed, skipped = (
            after - before for after, before in zip(_counts(service), self._before, strict=True)
        )
        update: dict[str, Any] = {"captured": captured, "skipped": skipped}
        if self._cameras > 1 or skipped:
            update |= {
                "frames": processed,
                "seconds": time.perf_counter() - self._began,
                "cpu": time.process_time() - self._cpu,
            }
        self.measured = measured.model_copy(update=update)


def _counts(service: Service) -> tuple[int, int, int]:
    """Frames of all cameras so far: captured, processed, skipped because nothing moved."""
    healths = [loop.health() for loop in service.loops]
    return (
        sum(health.captured for health in healths),
        sum(health.processed for health in healths),
        sum(getattr(health, "skipped_still", 0) for health in healths),
    )


class _Ways:
    """Reads the messages as they are written, and times each from its frame's capture.

    Messages tell milliseconds, cut off: a latency is up to one too long.
    """

    def __init__(self, pipe: Path) -> None:
        self.latencies: deque[float] = deque(maxlen=_LATENCIES)
        self._pipe = pipe
        threading.Thread(target=self._read, name="reader", daemon=True).start()

    def _read(self) -> None:
        with self._pipe.open(encoding="utf-8") as stream:
            for line in stream:
                now = time.time()
                message = json.loads(line)["message"]
                if message["schema"] == "edgetally.detections/1":
                    captured = datetime.fromisoformat(message["time"].replace("Z", "+00:00"))
                    self.latencies.append((now - captured.timestamp()) * 1000)
