"""One measurement: what is asked of a process of its own, and what it answers."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from edgetally.capture import tethered
from edgetally.config import EngineName, Precision  # noqa: TC001 - pydantic reads them
from edgetally.errors import EdgetallyError, InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

Kind = Literal["sample", "loop", "bare", "decoding"]
_LONGEST_SECONDS = 600
# What the user tuned is not what is measured: "auto" is what it is on a device that nobody tuned.
_UNTUNED = {"EDGETALLY_TUNING": str(Path(__file__).with_name("there-is-none.json"))}


class Value(BaseModel):
    """Frozen, and camelCase in JSON."""

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True)


class Job(Value):
    """What to measure.

    kind: the original sample's way, our loop, the bare engine, or reading the videos alone.
    sources: what the cameras read, one each (the loop and decoding), or the video (sample, bare).
    fps: frames a second that each camera takes; None: all.
    seconds: how long the measurement lasts at least. warm_up: seconds before it begins.
    every_frame: publish a message for each frame, and time its way.
    """

    kind: Kind
    bundle: str = ""
    engine: EngineName = "auto"
    precision: Precision = "auto"
    sources: tuple[str, ...] = ()
    fps: float | None = None
    is_gated: bool = False
    every_frame: bool = False
    warm_up: float = 0.5
    seconds: float = 3.0


class Measured(Value):
    """What it came to.

    frames: that went through in `seconds`; captured: that the cameras gave. cpu: seconds of all
    threads in that time. peak_memory, memory: bytes of RAM at most and at the end; 0 where the
    system does not tell. threads: CPU seconds by kind of thread, where the system tells.
    latencies: milliseconds from a frame's capture to its message.
    """

    engine: str = ""
    precision: str = ""
    frames: int
    captured: int = 0
    skipped: int = 0
    seconds: float
    cpu: float
    peak_memory: int = 0
    memory: int = 0
    threads: dict[str, float] = {}
    latencies: tuple[float, ...] = ()

    @property
    def fps(self) -> float:
        """Frames a second."""
        return self.frames / self.seconds if self.seconds else 0.0

    @property
    def cpu_per_frame(self) -> float:
        """CPU seconds a frame."""
        return self.cpu / self.frames if self.frames else 0.0


def worker_command() -> list[str]:
    """What starts a process that reads a `Job`; where Linux lets it, it ends when this one does."""
    worker = [sys.executable, "-m", "edgetally.benchmark.worker"]
    if sys.platform != "linux":
        return worker
    return [sys.executable, tethered.__file__, str(os.getpid()), *worker]


def worker_environment(variables: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment for a worker, with these variables, too."""
    return {**os.environ, **_UNTUNED, **(variables or {})}


def measure_apart(job: Job, environment: Mapping[str, str] | None = None) -> Measured:
    """Measure in a process of its own, so that memory and threads are that job's alone.

    environment: variables that are set for it. Raises what it says, as the InputError or the
    EdgetallyError that it was there.
    """
    try:
        done = subprocess.run(
            worker_command(),
            input=job.model_dump_json(),
            capture_output=True,
            text=True,
            check=False,
            timeout=_LONGEST_SECONDS,
            env=worker_environment(environment),
        )
    except subprocess.TimeoutExpired:
        raise EdgetallyError(
            f"measuring {job.kind} {job.engine} {job.precision} did not end; is the device busy?"
        ) from None
    if done.returncode != 0:
        words = done.stderr.strip().splitlines() or ["it says nothing"]
        kind = InputError if done.returncode == InputError.exit_code else EdgetallyError
        raise kind(f"measuring {job.kind} {job.engine} {job.precision} failed: {words[-1]}")
    return Measured.model_validate_json(done.stdout.splitlines()[-1])
