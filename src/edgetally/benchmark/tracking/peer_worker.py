"""Run in the environment of the published trackers: follow the same scenes, then score everyone.

A job (JSON) on standard input, the scores on standard output; `peers.py` says what they hold. It
imports nothing of edgetally, because it lives beside another numpy.
"""

from __future__ import annotations

import inspect
import json
import sys
import time
from typing import Any

import motmetrics  # type: ignore[import-not-found]
import numpy as np
import supervision  # type: ignore[import-not-found]
import trackers  # type: ignore[import-not-found]

SIZE = 640, 360
FPS_OF_BUFFER = 30  # the published trackers count their patience in frames of 1/30 s
MIN_OVERLAP = 0.5
_CAMEL = {
    "mota": "mota",
    "idf1": "idf1",
    "num_switches": "switches",
    "num_misses": "misses",
    "num_false_positives": "falseBoxes",
    "num_objects": "boxes",
}
PUBLISHED = {
    "ByteTrack": trackers.ByteTrackTracker,
    "C-BIoU": trackers.CBIoUTracker,
    "OC-SORT": trackers.OCSORTTracker,
    "SORT": trackers.SORTTracker,
}
"""Those of the package that need boxes alone, no pictures."""


def _made(name: str, fps: float, fitted: dict[str, float] | None) -> Any:
    """A tracker as published, or with our scores and patience where it has such settings."""
    kind = PUBLISHED[name]
    chosen: dict[str, float] = {"frame_rate": fps}
    if fitted:
        chosen |= {
            "lost_track_buffer": round(fitted["max_gap"] * FPS_OF_BUFFER),
            "track_activation_threshold": fitted["high_score"],
            "high_conf_det_threshold": fitted["high_score"],
            "minimum_consecutive_frames": fitted["min_hits"],
        }
    known = inspect.signature(kind).parameters
    return kind(**{key: value for key, value in chosen.items() if key in known})


def _follow(tracker: Any, frames: list[dict[str, Any]]) -> list[list[int]]:
    """The track id of each detection, -1 for none."""
    found = []
    for frame in frames:
        boxes = np.array(frame["found"], np.float32).reshape(-1, 4) * np.tile(SIZE, 2)
        ids = np.full(len(boxes), -1)
        given = supervision.Detections(
            xyxy=boxes.astype(np.float32),
            confidence=np.array(frame["scores"], np.float32),
            class_id=np.array(frame["classes"], int),
            data={"row": np.arange(len(boxes))},
        )
        tracked = tracker.update(given, timestamp=frame["time"])
        if len(tracked):
            ids[tracked.data["row"]] = tracked.tracker_id
        found.append(ids.tolist())
    return found


def _distances(true: Any, found: Any) -> Any:
    """1 - IoU [N, M], NaN where they overlap too little: motmetrics' own needs numpy 1."""
    low = np.maximum(true[:, None, :2], found[None, :, :2])
    high = np.minimum(true[:, None, 2:], found[None, :, 2:])
    shared = np.prod(np.maximum(high - low, 0), axis=2)
    areas = [np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) for boxes in (true, found)]
    overlap = shared / np.maximum(areas[0][:, None] + areas[1][None] - shared, 1e-12)
    return np.where(overlap >= MIN_OVERLAP, 1 - overlap, np.nan)


def _accumulated(frames: list[dict[str, Any]], followed: list[list[int]]) -> Any:
    accumulator = motmetrics.MOTAccumulator()
    for number, (frame, track_ids) in enumerate(zip(frames, followed, strict=True)):
        ids = np.array(track_ids, int)
        true = np.array(frame["boxes"], float).reshape(-1, 4)
        found = np.array(frame["found"], float).reshape(-1, 4)[ids >= 0]
        accumulator.update(
            frame["ids"], ids[ids >= 0].tolist(), _distances(true, found), frameid=number
        )
    return accumulator


def _score(name: str, scenes: list[Any], followed: list[Any], seconds: float) -> dict[str, Any]:
    accumulators = [
        _accumulated(scene["frames"], ids) for scene, ids in zip(scenes, followed, strict=True)
    ]
    table = motmetrics.metrics.create().compute_many(
        accumulators,
        metrics=list(_CAMEL),
        names=[str(scene["seed"]) for scene in scenes],
        generate_overall=True,
    )
    frames = sum(len(scene["frames"]) for scene in scenes)
    rows = {str(seed): row.to_dict() for seed, row in table.iterrows()}
    overall = rows.pop("OVERALL")
    return {
        "tracker": name,
        **{_CAMEL[key]: value for key, value in overall.items()},
        "scenes": {
            seed: {_CAMEL[key]: value for key, value in row.items()} for seed, row in rows.items()
        },
        "milliseconds": seconds / frames * 1000,
    }


def main() -> None:
    """Read the job, follow, score, print."""
    job = json.load(sys.stdin)
    scenes = job["scenes"]
    scores = [_score("edgetally", scenes, [s["ours"] for s in scenes], job["seconds"])]
    for name in PUBLISHED:
        for suffix, fitted in (("as published", None), ("our settings", job["settings"])):
            began = time.process_time()
            followed = [_follow(_made(name, job["fps"], fitted), s["frames"]) for s in scenes]
            seconds = time.process_time() - began
            scores.append(_score(f"{name}, {suffix}", scenes, followed, seconds))
    json.dump({"scores": scores}, sys.stdout)


if __name__ == "__main__":
    main()
