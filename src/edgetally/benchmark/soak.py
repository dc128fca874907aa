"""Run four cameras for long, and watch the memory: a device runs for years."""

from __future__ import annotations

import argparse
import subprocess
import time
from contextlib import ExitStack
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from rich.console import Console

from edgetally.benchmark.measurement import (
    Job,
    Measured,
    Value,
    worker_command,
    worker_environment,
)
from edgetally.benchmark.models import make_demo_bundle, make_full_bundle
from edgetally.benchmark.outputs import make_folder, termination_interrupts
from edgetally.benchmark.paced_stream import paced_stream
from edgetally.benchmark.process import memory
from edgetally.benchmark.surroundings import Machine, describe_machine
from edgetally.benchmark.videos import make_videos
from edgetally.bundle import ModelBundle
from edgetally.errors import EdgetallyError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_CAMERAS = 4
_VIDEO_SECONDS = 40.0
_SETTLED = 0.25  # of the time; a runtime fills its caches first
_SHORTEST = 300.0  # seconds; in less, growth can't be told from settling
_LOOK = 0.5
_MOST_MINUTES = 7 * 24 * 60
_SIZE = (1000, 420)
_EDGE = (80, 60, 30, 50)  # left, top, right, bottom of the curve
_INK, _FAINT, _CURVE = (40, 34, 30), (224, 220, 216), (176, 122, 42)


class Soak(Value):
    """What it came to: seconds since the start and bytes of RAM, and frames that were counted.

    growth: bytes an hour once it has settled, the slope of the line that fits best; None where it
    ran too short to tell. frames is None where it was stopped before its time.
    """

    time: str
    machine: Machine
    model: str
    cameras: int
    seconds: tuple[float, ...]
    memory: tuple[int, ...]
    growth: float | None
    frames: int | None


def soak(work: Path, minutes: float, *, demo_archive: Path, tell: Callable[[str], None]) -> Soak:
    """Run the default engine on live cameras, a message a frame, and note its memory.

    On the full-size network, or the demo's where MXNet, which makes it, is missing.
    EdgetallyError where the loop fails before the time is over.
    """
    make_folder(work)
    videos = make_videos(work, seconds=_VIDEO_SECONDS, tell=tell)
    bundle = make_full_bundle(work, Path(videos.file.path), tell=tell)
    bundle = bundle or make_demo_bundle(demo_archive, work, tell=tell)
    with ExitStack() as stack:
        url = stack.enter_context(paced_stream(Path(videos.moving.path), videos.moving.fps))
        job = Job(
            kind="loop",
            bundle=str(bundle),
            sources=(url,) * _CAMERAS,
            every_frame=True,
            seconds=minutes * 60,
        )
        stack.enter_context(termination_interrupts())
        moments, used, frames = _watched(job, minutes * 60, tell)
    return Soak(
        time=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        machine=describe_machine(),
        model=ModelBundle.load(bundle).name,
        cameras=_CAMERAS,
        seconds=tuple(round(moment, 1) for moment in moments),
        memory=tuple(used),
        growth=_growth(moments, used),
        frames=frames,
    )


def draw_curve(path: Path, found: Soak) -> None:
    """Draw memory over time as a PNG. EdgetallyError where it can't be written."""
    (width, height), (left, top, right, bottom) = _SIZE, _EDGE
    picture = np.full((height, width, 3), 255, np.uint8)
    font = cv2.FONT_HERSHEY_DUPLEX
    title = f"{found.cameras} cameras, {found.model}: {_told(found.growth)}"
    cv2.putText(picture, title, (left, 36), font, 0.6, _INK, 1, cv2.LINE_AA)
    highest = max(found.memory) / 1e6
    step = 100 if highest < 1000 else 500
    ceiling = (highest // step + 1) * step
    inner = (width - left - right, height - top - bottom)
    for level in range(0, int(ceiling) + 1, step):
        y = top + round(inner[1] * (1 - level / ceiling))
        cv2.line(picture, (left, y), (width - right, y), _FAINT, 1)
        cv2.putText(picture, f"{level} MB", (8, y + 5), font, 0.42, _INK, 1, cv2.LINE_AA)
    seconds = np.array(found.seconds)
    xs = left + seconds / seconds[-1] * inner[0]
    ys = top + inner[1] * (1 - np.array(found.memory) / 1e6 / ceiling)
    points = np.stack([xs, ys], axis=1).round().astype(np.int32)
    cv2.polylines(
        picture, [points], isClosed=False, color=_CURVE, thickness=2, lineType=cv2.LINE_AA
    )
    for share in (0.0, 0.5, 1.0):
        shown = f"{share * seconds[-1] / 60:.1f} min"
        (length, _), _ = cv2.getTextSize(shown, font, 0.42, 1)
        at = (left + round(share * (inner[0] - length)), height - 18)
        cv2.putText(picture, shown, at, font, 0.42, _INK, 1, cv2.LINE_AA)
    if not cv2.imwrite(str(path), picture):
        raise EdgetallyError(f"{path} can't be written; is the folder writable?")


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse, run, write `soak.json` and `soak.png`; return the exit status."""
    parser = argparse.ArgumentParser(prog="soak", description=__doc__)
    parser.add_argument("--minutes", type=_minutes, default=60.0, help="how long (default: 60)")
    parser.add_argument("--output", type=Path, default=Path("out/soak"), help="where results go")
    parser.add_argument(
        "--work", type=Path, default=Path("out/benchmark"), help="where models are kept once made"
    )
    parser.add_argument("--models", type=Path, default=Path("models/boxes"))
    options = parser.parse_args(arguments)
    console, errors = Console(highlight=False), Console(stderr=True, highlight=False)
    try:
        make_folder(options.output)
        found = soak(
            options.work,
            options.minutes,
            demo_archive=options.models / "model.tar.gz",
            tell=lambda line: console.print(line, style="dim"),
        )
        text = found.model_dump_json(by_alias=True, indent=2) + "\n"
        (options.output / "soak.json").write_text(text, encoding="utf-8")
        draw_curve(options.output / "soak.png", found)
    except EdgetallyError as error:
        errors.print(f"soak: {error}", soft_wrap=True, markup=False)
        return error.exit_code
    except KeyboardInterrupt:
        errors.print("\nstopped; nothing was written")
        return 130
    frames = "stopped early" if found.frames is None else f"{found.frames} frames"
    console.print(
        f"{frames}, {found.memory[-1] / 1e6:.0f} MB at the end, {_told(found.growth)}; "
        f"wrote {options.output / 'soak.png'}"
    )
    return 0 if found.frames is not None else 130


def _minutes(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= _MOST_MINUTES:
        raise argparse.ArgumentTypeError(f"expected a number above 0, at most {_MOST_MINUTES}")
    return value


def _told(growth: float | None) -> str:
    return "too short to tell growth" if growth is None else f"{growth / 1e6:+.1f} MB an hour"


def _watched(
    job: Job, seconds: float, tell: Callable[[str], None]
) -> tuple[list[float], list[int], int | None]:
    """Run the job, and note its memory; Ctrl-C or SIGTERM ends it, and what was noted is kept."""
    moments: list[float] = []
    used: list[int] = []
    is_stopped, said, words = False, "", ""
    with subprocess.Popen(
        worker_command(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=worker_environment(),
    ) as worker:
        try:
            if worker.stdin is None:
                raise EdgetallyError("the loop's process has no input")
            worker.stdin.write(job.model_dump_json())
            worker.stdin.close()
            worker.stdin = None
            start, told = time.monotonic(), 0.0
            every = max(_LOOK, seconds / 720)
            while worker.poll() is None:
                time.sleep(every)
                moments.append(time.monotonic() - start)
                used.append(memory(worker.pid)[1])
                if moments[-1] - told >= 60:
                    told = moments[-1]
                    tell(f"{told / 60:.0f} min: {used[-1] / 1e6:.0f} MB")
            said, words = worker.communicate()
        except KeyboardInterrupt:
            is_stopped = True
        finally:
            worker.kill()
    if worker.returncode != 0 and not is_stopped:
        raise EdgetallyError(f"the loop failed: {(words.strip().splitlines() or ['?'])[-1]}")
    kept = [(moment, size) for moment, size in zip(moments, used, strict=True) if size]
    if is_stopped and len(kept) < 2:
        raise KeyboardInterrupt
    if len(kept) < 2:
        raise EdgetallyError("this system does not tell how much memory a process has")
    frames = None if is_stopped else Measured.model_validate_json(said.splitlines()[-1]).frames
    if frames == 0:
        raise EdgetallyError("the loop counted no frame; give it more minutes")
    # the last moments are those of stopping
    end = kept[-1][0] - 2
    kept = [pair for pair in kept if pair[0] <= end] or kept
    return [moment for moment, _ in kept], [size for _, size in kept], frames


def _growth(moments: Sequence[float], used: Sequence[int]) -> float | None:
    """Bytes an hour, by least squares over what follows the first quarter; None of minutes."""
    if moments[-1] < _SHORTEST:
        return None
    begin = int(len(moments) * _SETTLED)
    slope = np.polyfit(np.array(moments[begin:]), np.array(used[begin:], np.float64), 1)[0]
    return float(slope) * 3600
