#!/usr/bin/env python3
"""Render scenes, train the demo model on them, and write everything in models/boxes."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgetally.demo import CLASSES
from edgetally.demo.artifact import Made, draw_curve, model_page, write_archive
from edgetally.demo.dataset import load_dataset
from edgetally.demo.evaluation import evaluate
from edgetally.demo.scene.clip import render_clip, truth_record
from edgetally.demo.scene.random_scenes import samples
from edgetally.demo.training import Progress, Recipe, train
from edgetally.errors import EdgetallyError

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[1]


def main() -> int:
    """Parse the arguments, run, and tell an error in one line."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog="Stop it at any time: the same command goes on from there."
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=ROOT / "models" / "boxes",
        help="where the artifact, its page and the clip go (default: models/boxes)",
    )
    parser.add_argument(
        "--work",
        type=Path,
        default=ROOT / "out" / "training",
        help="rendered pictures and checkpoints (default: out/training)",
    )
    parser.add_argument(
        "--scenes", type=int, default=1500, help="rooms to train on (default: 1500)"
    )
    parser.add_argument("--pictures-per-scene", type=int, default=6)
    parser.add_argument(
        "--unseen-scenes", type=int, default=250, help="rooms to evaluate on (default: 250)"
    )
    parser.add_argument("--steps", type=int, help="a short training of so many steps, to try it")
    parser.add_argument("--seed", type=int, default=Recipe().seed)
    options = parser.parse_args()
    logging.basicConfig(format="%(message)s")
    logging.getLogger("edgetally").setLevel(logging.INFO)
    try:
        make(options)
    except EdgetallyError as error:
        print(f"train_demo_model: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print(
            "\nstopped; the same command goes on from the last checkpoint (one every 200 steps)",
            file=sys.stderr,
        )
        return 130
    return 0


def make(options: argparse.Namespace) -> None:
    """Render, train, evaluate, write."""
    pictures = options.work / "pictures"
    training = load_dataset(
        pictures, options.scenes, options.pictures_per_scene, show("training scenes")
    )
    print("rendering unseen scenes")
    unseen = list(samples("unseen", 0, options.unseen_scenes, 2))
    recipe = replace(Recipe(), seed=options.seed)
    if options.steps is not None:
        rate = recipe.cycles[0][1]
        recipe = replace(recipe, cycles=((options.steps, rate),), small_steps=options.steps // 2)
    symbol, arguments, auxiliary, course = train(
        recipe, training, unseen[:150], options.work / "checkpoints", tell(recipe.steps)
    )
    result = evaluate(symbol, arguments, auxiliary, unseen, recipe.image_shape, CLASSES)
    for name, figures in (("every box", result.every), ("visible", result.without_difficult)):
        print(f"{name}: mAP@0.5 {figures.at_50:.4f}, mAP@[.5:.95] {figures.at_50_95:.4f}")

    output = options.output
    output.mkdir(parents=True, exist_ok=True)
    archive = output / "model.tar.gz"
    hyperparameters = recipe.hyperparameters(len(training))
    write_archive(archive, symbol, arguments, auxiliary, hyperparameters)
    draw_curve(output / "training.png", course)
    made = Made(
        recipe=recipe,
        scenes=options.scenes,
        pictures=len(training),
        objects=int((training.labels[:, :, 0] >= 0).sum()),
        unseen_scenes=options.unseen_scenes,
        result=result,
        archive_bytes=archive.stat().st_size,
    )
    (output / "README.md").write_text(model_page(made), encoding="utf-8")
    render_clip(output / "demo.mp4", show("frames of the demo clip"))
    record = json.dumps(truth_record(), indent=2) + "\n"
    (output / "demo.json").write_text(record, encoding="utf-8")


def show(what: str) -> Callable[[int, int], None]:
    """Make a callback that prints how many of something are done."""

    def report(done: int, total: int) -> None:
        end = "\n" if done == total else "\r"
        print(f"{what}: {done}/{total}", end=end, flush=True)

    return report


def tell(steps: int) -> Callable[[Progress], None]:
    """Make a callback that prints a moment of the training."""

    def report(moment: Progress) -> None:
        found = moment.mean_average_precision
        shown = "" if found is None else f"  mAP@0.5 {found:.4f}"
        print(
            f"step {moment.step}/{steps}  rate {moment.rate:.5f}  class loss "
            f"{moment.class_loss:.4f}  box loss {moment.box_loss:.4f}{shown}",
            flush=True,
        )

    return report


if __name__ == "__main__":
    sys.exit(main())
