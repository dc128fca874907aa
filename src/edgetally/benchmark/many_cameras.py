"""What cameras cost together: more and more of them, and eight that look at a still scene."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgetally.benchmark.measurement import Job, measure_apart
from edgetally.benchmark.report import CamerasRow, Percentiles, StillCameras
from edgetally.benchmark.videos import LIVE_FPS

if TYPE_CHECKING:
    from pathlib import Path

    from edgetally.benchmark.rounds import LiveTimes

_UNTIL_STILL, _STILL_SECONDS = 35.0, 20.0


def measure_cameras(folder: Path, live: str, cameras: int, times: LiveTimes) -> CamerasRow:
    """Run so many live cameras on the default engine, a message for each frame."""
    measured = measure_apart(
        Job(
            kind="loop",
            bundle=str(folder),
            sources=(live,) * cameras,
            every_frame=True,
            warm_up=times.warm_up,
            seconds=times.seconds,
        )
    )
    return CamerasRow(
        cameras=cameras,
        fps_wanted=cameras * LIVE_FPS,
        fps=measured.fps,
        cpu_per_frame=measured.cpu_per_frame * 1000,
        cores=measured.cpu / measured.seconds if measured.seconds else 0.0,
        latency=Percentiles.of(measured.latencies),
        peak_memory=measured.peak_memory,
        memory=measured.memory,
    )


def measure_still(folder: Path, still: str, cameras: int, times: LiveTimes) -> StillCameras:
    """Run live cameras of a still scene with the motion gate, then decode the same alone.

    The gate is at rest only once it has looked at the scene anyway a few times.
    """
    common: dict[str, Any] = {"sources": (still,) * cameras}
    alone = measure_apart(Job(kind="decoding", **common, **times._asdict()))
    common |= {"is_gated": True, "warm_up": _UNTIL_STILL, "seconds": _STILL_SECONDS}
    measured = measure_apart(Job(kind="loop", bundle=str(folder), **common))
    seen = measured.frames + measured.skipped
    return StillCameras(
        cameras=cameras,
        fps_each=seen / measured.seconds / cameras,
        cores=measured.cpu / measured.seconds,
        # the same number of frames, whatever each run happened to be sent
        cores_decoding=alone.cpu_per_frame * seen / measured.seconds,
        skipped_share=measured.skipped / seen if seen else 0.0,
    )
