"""Write what the training leaves: SageMaker's archive, the training curve, the model's page."""

from __future__ import annotations

import gzip
import json
import tarfile
import tempfile
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgetally.mxnet_compat import import_mxnet

if TYPE_CHECKING:
    from edgetally.demo.evaluation import Evaluation
    from edgetally.demo.training import Progress, Recipe

_PREFIX = "model_algo_1"
_AIM = 0.97


def write_archive(
    path: Path,
    symbol: Any,
    arguments: dict[str, Any],
    auxiliary: dict[str, Any],
    hyperparameters: dict[str, str],
) -> None:
    """Write `model.tar.gz` with the three members that a training job puts there.

    The same model gives the same bytes: the archive holds no times and no names of users.
    """
    mx = import_mxnet()
    with tempfile.TemporaryDirectory(dir=path.parent) as name:
        folder = Path(name)
        mx.model.save_checkpoint(str(folder / _PREFIX), 0, symbol, arguments, auxiliary)
        (folder / "hyperparams.json").write_text(json.dumps(hyperparameters))
        packed = BytesIO()
        with (
            gzip.GzipFile(fileobj=packed, mode="wb", mtime=0) as stream,
            tarfile.open(fileobj=stream, mode="w") as tar,
        ):
            for member in (
                f"{_PREFIX}-symbol.json",
                f"{_PREFIX}-0000.params",
                "hyperparams.json",
            ):
                content = (folder / member).read_bytes()
                entry = tarfile.TarInfo(member)
                entry.size, entry.mode = len(content), 0o644
                tar.addfile(entry, BytesIO(content))
        aside = folder / path.name
        aside.write_bytes(packed.getvalue())
        aside.replace(path)


def draw_curve(path: Path, course: list[Progress]) -> None:
    """Draw the losses and the mAP on unseen scenes over the steps, as a PNG."""
    import matplotlib as mpl  # noqa: PLC0415 - training's extra

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    figure, losses = plt.subplots(figsize=(8, 4))
    steps = [moment.step for moment in course]
    losses.plot(steps, [m.class_loss for m in course], label="class loss", linewidth=1)
    losses.plot(steps, [m.box_loss for m in course], label="box loss", linewidth=1)
    losses.set(xlabel="step", ylabel="loss", yscale="log")
    measured = [m for m in course if m.mean_average_precision is not None]
    if measured:
        precision = losses.twinx()
        precision.plot(
            [m.step for m in measured],
            [m.mean_average_precision or 0.0 for m in measured],
            "o-",
            color="black",
            label="mAP@0.5, unseen scenes",
        )
        precision.set(ylabel="mAP@0.5", ylim=(0, 1))
        precision.legend(loc="center right")
    losses.legend(loc="lower left")
    figure.tight_layout()
    figure.savefig(path, dpi=90, metadata={"Software": None})
    plt.close(figure)


@dataclass(frozen=True)
class Made:
    """What the model's page tells."""

    recipe: Recipe
    scenes: int
    pictures: int
    objects: int
    unseen_scenes: int
    result: Evaluation
    archive_bytes: int


def model_page(made: Made) -> str:
    """The text of `models/boxes/README.md`."""
    recipe, result = made.recipe, made.result
    small = f"the first {recipe.small_steps} at {recipe.small_size} pixels"
    cycles = " then ".join(f"{steps} steps from {rate:g}" for steps, rate in recipe.cycles)
    every, visible = result.every, result.without_difficult
    rows = [
        ("boxes", str(every.objects), str(visible.objects)),
        ("mAP@0.5", f"{every.at_50:.4f}", f"{visible.at_50:.4f}"),
        ("mAP@[.5:.95]", f"{every.at_50_95:.4f}", f"{visible.at_50_95:.4f}"),
    ]
    rows += [
        (f"AP@0.5 {name}", f"{ap:.4f}", f"{visible.classes_at_50[name]:.4f}")
        for name, ap in every.classes_at_50.items()
    ]
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    reached = [
        name
        for name, figures in (("the first", every), ("the second", visible))
        if figures.at_50 >= _AIM
    ]
    verdict = (
        f"The aim was {_AIM} at mAP@0.5; it is reached by {' and '.join(reached) or 'no'} column."
    )
    return f"""# The demo model

`model.tar.gz` is a training artifact in the shape that SageMaker's built-in Object Detection
algorithm leaves: `model_algo_1-symbol.json`, `model_algo_1-0000.params` and `hyperparams.json`.
It was trained in MXNet on rendered scenes; no SageMaker job ran. The graph has the layer names,
operators and heads of a real job's resnet-50 symbol, with {recipe.width:g} of its filters.

    scripts/test --co -q                                  # once: makes the environment
    .venv-test/bin/python scripts/train_demo_model.py     # makes everything in this folder anew

## What it was trained on

{made.pictures} pictures of {made.scenes} rendered rooms, {made.objects} boxes. Each room has
its own floor, furniture, light, people, boxes and things in the boxes' colours that are no boxes.

| setting | value |
| --- | --- |
| classes | 0 blue box, 1 yellow box |
| input | {recipe.image_shape} x {recipe.image_shape}, RGB, 0-255, no mean |
| seed | {recipe.seed} |
| steps of {recipe.batch} pictures | {recipe.steps}, {small} |
| optimizer | Adam, learning rate {cycles}, each a cosine to zero |
| archive | {made.archive_bytes / 1e6:.1f} MB |

## How good it is

Measured with GluonCV's `VOCMApMetric` on {result.pictures} pictures of
{made.unseen_scenes} rooms from other seeds, with kinds of floor and light that training never
had. Every box counts of which 15 % lie in the picture, also one that someone bends over; the
second column sets aside, as "difficult" in VOC's sense, those of which less than a third is seen.

| measure | every box | a third or more visible |
| --- | --- | --- |
{table}

{verdict}

![losses and mAP over the training steps](training.png)

The scenes are rendered: these figures say that the way from an artifact to counts works, and
nothing about photographs of other boxes. Train on your own frames for those. Its commonest
mistake is someone in a shirt of a box's colour.

## The demo clip

`demo.mp4` is rendered by the same code from a seed that neither training nor evaluation uses;
`demo.json` holds its known crossings, `demo.yaml` the configuration that counts them.
"""
