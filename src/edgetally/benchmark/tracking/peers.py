"""The published trackers and the metrics: in an environment of their own, beside another numpy."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgetally.errors import EdgetallyError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from edgetally.benchmark.tracking.degraded import KnownFrame
    from edgetally.counting.tracker import TrackerSettings

PACKAGES = ("trackers==2.6.1", "motmetrics==1.4.0")
_WORKER = Path(__file__).with_name("peer_worker.py")
_LONGEST_SECONDS = 3600


@dataclass(frozen=True)
class FollowedScene:
    """A scene, and the track id that we gave each detection of each frame, -1 for none."""

    kind: str
    seed: int
    frames: Sequence[KnownFrame]
    track_ids: Sequence[Sequence[int]]


@dataclass(frozen=True)
class Score:
    """What one tracker made of all scenes of a kind.

    mota, idf1: 0-1; switches: of identity; misses, false_boxes: of `boxes` true ones;
    milliseconds: of CPU time a frame; by_scene: (mota, idf1) of each, by its seed.
    """

    tracker: str
    mota: float
    idf1: float
    switches: int
    misses: int
    false_boxes: int
    boxes: int
    milliseconds: float
    by_scene: Mapping[str, tuple[float, float]]


def prepare(folder: Path, tell: Callable[[str], None]) -> Path:
    """Make the environment unless it is there; return its Python. EdgetallyError if that fails."""
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    stamp = folder / "edgetally.stamp"
    wanted = "\n".join(PACKAGES)
    if stamp.exists() and stamp.read_text(encoding="utf-8") == wanted:
        return python
    tell(f"making {folder} with {', '.join(PACKAGES)} (once)")
    _done([sys.executable, "-m", "venv", "--clear", str(folder)])
    _done([str(python), "-m", "pip", "install", "--quiet", *PACKAGES])
    stamp.write_text(wanted, encoding="utf-8")
    return python


def _done(command: Sequence[str]) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        lines = str(getattr(error, "stderr", "") or error).strip().splitlines()
        raise EdgetallyError(
            f"{' '.join(command)} failed ({lines[-1]}); is a package index reachable?"
        ) from None


def scores(
    python: Path,
    scenes: Sequence[FollowedScene],
    *,
    fps: float,
    seconds: float,
    settings: TrackerSettings,
) -> tuple[Score, ...]:
    """Score our tracks (made in `seconds` of CPU time) beside those of the published trackers."""
    job = {
        "fps": fps,
        "seconds": seconds,
        "settings": {
            "max_gap": settings.max_gap,
            "high_score": settings.high_score,
            "min_hits": settings.min_hits,
        },
        "scenes": [_scene(scene) for scene in scenes],
    }
    done = subprocess.run(
        [str(python), str(_WORKER)],
        input=json.dumps(job),
        capture_output=True,
        text=True,
        timeout=_LONGEST_SECONDS,
        check=False,
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["it said nothing"]
        raise EdgetallyError(f"the published trackers failed: {lines[-1]}")
    return tuple(_score(row) for row in json.loads(done.stdout)["scores"])


def _scene(scene: FollowedScene) -> dict[str, Any]:
    return {
        "seed": scene.seed,
        "ours": scene.track_ids,
        "frames": [
            {
                "time": frame.time,
                "boxes": frame.boxes.tolist(),
                "ids": frame.ids.tolist(),
                "found": frame.detections.boxes.tolist(),
                "scores": frame.detections.scores.tolist(),
                "classes": frame.detections.class_ids.tolist(),
            }
            for frame in scene.frames
        ],
    }


def _score(row: Mapping[str, Any]) -> Score:
    return Score(
        tracker=row["tracker"],
        mota=row["mota"],
        idf1=row["idf1"],
        switches=round(row["switches"]),
        misses=round(row["misses"]),
        false_boxes=round(row["falseBoxes"]),
        boxes=round(row["boxes"]),
        milliseconds=row["milliseconds"],
        by_scene={seed: (one["mota"], one["idf1"]) for seed, one in row["scenes"].items()},
    )
