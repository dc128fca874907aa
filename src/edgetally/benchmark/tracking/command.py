"""What `scripts/benchmark_tracking.py` is told, and what it prints."""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from edgetally.benchmark.tracking.cost import measure_cost
from edgetally.benchmark.tracking.degraded import Damage, degraded
from edgetally.benchmark.tracking.peers import FollowedScene, prepare, scores
from edgetally.benchmark.tracking.scenes import HURRY, STOCK_ROOM, Kind, stock_room
from edgetally.counting.tracker import Tracker, TrackerSettings
from edgetally.errors import EdgetallyError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgetally.benchmark.tracking.peers import Score

_FIRST_SEED = 7000  # what the tracker was tuned on has others
_OBJECTS = 20, 100, 300


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse, measure and print; tell an error in one line. Return the exit status."""
    options = _parser().parse_args(arguments)
    console = Console(highlight=False, soft_wrap=True)
    errors = Console(stderr=True, highlight=False, soft_wrap=True)
    damage = replace(Damage(), fps=options.fps, uneven=options.uneven)
    seeds = range(options.first_seed, options.first_seed + options.scenes)
    try:
        python = prepare(options.environment, lambda line: errors.print(line, style="dim"))
        for kind in (STOCK_ROOM, HURRY):
            console.print(f"{kind.name}, {len(seeds)} scenes, {damage.fps:g} frames a second\n")
            console.print(_table(_measured(python, kind, seeds, damage)), markup=False)
    except EdgetallyError as error:
        errors.print(f"benchmark: {error}", markup=False)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    console.print("| objects | CPU ms a frame, median | least |\n| ---: | ---: | ---: |")
    for cost in map(measure_cost, _OBJECTS):
        console.print(f"| {cost.objects} | {cost.median:.2f} | {cost.least:.2f} |")
    return 0


def _measured(python: Path, kind: Kind, seeds: Sequence[int], damage: Damage) -> tuple[Score, ...]:
    settings = TrackerSettings()
    scenes, seconds = [], 0.0
    for seed in seeds:
        frames = degraded(stock_room(kind, seed), damage, seed)
        tracker, track_ids = Tracker(settings), []
        began = time.process_time()
        for frame in frames:
            found = tracker.update(frame.detections, frame.time).track_ids
            track_ids.append([] if found is None else found.tolist())
        seconds += time.process_time() - began
        scenes.append(FollowedScene(kind.name, seed, frames, track_ids))
    return scores(python, scenes, fps=damage.fps, seconds=seconds, settings=settings)


def _table(found: Sequence[Score]) -> str:
    """As Markdown; `ahead`: in how many scenes our MOTA, our IDF1 is higher."""
    lines = [
        "| tracker | MOTA | IDF1 | identity switches | missed | false | ms a frame | we lead in |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |",
    ]
    ours = found[0].by_scene
    for score in found:
        ahead = [
            sum(ours[seed][i] > theirs[i] for seed, theirs in score.by_scene.items())
            for i in (0, 1)
        ]
        leads = "" if score is found[0] else f"{ahead[0]}, {ahead[1]} of {len(ours)}"
        lines.append(
            f"| {score.tracker} | {score.mota * 100:.1f} | {score.idf1 * 100:.1f} "
            f"| {score.switches} | {score.misses / score.boxes * 100:.1f} % "
            f"| {score.false_boxes / score.boxes * 100:.1f} % | {score.milliseconds:.2f} "
            f"| {leads} |"
        )
    return "\n".join([*lines, ""])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="benchmark_tracking",
        description="Our tracker beside published ones, on degraded scenes with known tracks.",
    )
    parser.add_argument("--scenes", type=int, default=20, help="scenes of each kind (20)")
    parser.add_argument("--first-seed", type=int, default=_FIRST_SEED, help=f"({_FIRST_SEED})")
    parser.add_argument("--fps", type=float, default=5.0, help="frames a second (5)")
    parser.add_argument(
        "--uneven", type=float, default=0.0, help="share by which the gaps vary, 0-1 (0)"
    )
    parser.add_argument(
        "--environment",
        type=Path,
        default=Path(".venv-trackers"),
        help="where the published trackers are installed (.venv-trackers)",
    )
    return parser
