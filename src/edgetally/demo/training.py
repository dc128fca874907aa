"""Train the demo model in MXNet, as SageMaker's Object Detection algorithm would."""

from __future__ import annotations

import json
import logging
import math
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edgetally.demo import CLASSES
from edgetally.demo.dataset import MAX_OBJECTS, Dataset, augmented
from edgetally.demo.evaluation import evaluate
from edgetally.demo.network import training_symbol
from edgetally.errors import InputError
from edgetally.mxnet_compat import import_mxnet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from edgetally.demo.evaluation import Sample

_log = logging.getLogger(__name__)
_BATCHES_AHEAD = 3
_SETTLING_BATCHES = 60


@dataclass(frozen=True)
class Recipe:
    """How the model is trained.

    The first `small_steps` see pictures of `small_size` pixels, which is faster; the rest see
    `image_shape`. cycles: (steps, learning rate) each; the rate follows a cosine from there to
    zero (warm restarts, Loshchilov and Hutter 2017, arXiv:1608.03983), after a warm-up at first.
    """

    seed: int = 7
    width: float = 0.25
    image_shape: int = 300
    small_size: int = 208
    small_steps: int = 2250
    batch: int = 16
    cycles: tuple[tuple[int, float], ...] = ((5000, 0.002), (2600, 0.001))
    warmup: int = 150
    weight_decay: float = 0.00005
    nms_threshold: float = 0.45
    nms_topk: int = 400
    overlap_threshold: float = 0.5

    @property
    def steps(self) -> int:
        """How many batches in all."""
        return sum(steps for steps, _ in self.cycles)

    def size_at(self, step: int) -> int:
        """Side of the pictures at a step, in pixels."""
        return self.small_size if step < self.small_steps else self.image_shape

    def rate_at(self, step: int) -> float:
        """Learning rate at a step."""
        start, warmup = 0, self.warmup
        for steps, rate in self.cycles:
            if step < start + warmup:
                return rate * (step - start + 1) / warmup
            if step < start + steps:
                done = (step - start - warmup) / max(1, steps - warmup)
                return rate * 0.5 * (1 + math.cos(math.pi * done))
            start, warmup = start + steps, 0
        return 0.0

    def hyperparameters(self, pictures: int) -> dict[str, str]:
        """What the algorithm writes into `hyperparams.json`: all values are strings."""
        values = {
            "base_network": "resnet-50",
            "use_pretrained_model": 0,
            "num_classes": len(CLASSES),
            "num_training_samples": pictures,
            "epochs": round(self.steps * self.batch / pictures),
            "image_shape": self.image_shape,
            "mini_batch_size": self.batch,
            "optimizer": "adam",
            "learning_rate": self.cycles[0][1],
            "weight_decay": self.weight_decay,
            "overlap_threshold": self.overlap_threshold,
            "nms_threshold": self.nms_threshold,
            "nms_topk": self.nms_topk,
            "label_width": MAX_OBJECTS * 5 + 2,
            "kv_store": "device",
        }
        return {name: str(value) for name, value in values.items()}


@dataclass(frozen=True)
class Progress:
    """A moment of the training: losses are means since the last one; mAP where it was measured."""

    step: int
    rate: float
    class_loss: float
    box_loss: float
    mean_average_precision: float | None = None


def train(
    recipe: Recipe,
    training: Dataset,
    validation: Sequence[Sample],
    work: Path,
    report: Callable[[Progress], None],
    *,
    report_every: int = 25,
    save_every: int = 200,
    validate_every: int = 600,
) -> tuple[Any, dict[str, Any], dict[str, Any], list[Progress]]:
    """Train, or go on from the last checkpoint in `work`.

    Returns the symbol, the arguments, the auxiliary states and the course of the training.
    InputError where `work` holds the checkpoint of another recipe.
    """
    mx = import_mxnet()
    mx.random.seed(recipe.seed)
    symbol = training_symbol(
        len(CLASSES),
        width=recipe.width,
        nms_threshold=recipe.nms_threshold,
        nms_topk=recipe.nms_topk,
        overlap_threshold=recipe.overlap_threshold,
    )
    state = _Checkpoint(mx, work, recipe)
    course = state.course
    module = mx.mod.Module(symbol, data_names=["data"], label_names=["label"], context=mx.cpu())
    size = recipe.size_at(state.step)
    module.bind(*_shapes(recipe.batch, size), for_training=True)
    module.init_params(mx.init.Xavier(rnd_type="gaussian", factor_type="in", magnitude=2))
    optimizer = mx.optimizer.Adam(
        learning_rate=recipe.rate_at(state.step),
        wd=recipe.weight_decay,
        begin_num_update=state.step,
        clip_gradient=2.0,
        param_idx2name=dict(enumerate(module._exec_group.param_names)),  # noqa: SLF001
        sym=symbol,
    )
    with warnings.catch_warnings():  # of gradients that the graph's heads normalise already
        warnings.simplefilter("ignore", UserWarning)
        module.init_optimizer(kvstore=None, optimizer=optimizer)
    state.restore(module)

    losses: list[tuple[float, float]] = []
    for step, (data, label) in enumerate(_batches(recipe, training, state.step), state.step):
        if recipe.size_at(step) != size:
            size = recipe.size_at(step)
            module.reshape(*_shapes(recipe.batch, size))
        optimizer.set_learning_rate(recipe.rate_at(step))
        module.forward_backward(mx.io.DataBatch([mx.nd.array(data)], [mx.nd.array(label)]))
        module.update()
        losses.append(_losses(*module.get_outputs()[:3]))
        done = step + 1
        if done % report_every == 0 or done == recipe.steps:
            means = np.mean(losses, axis=0)
            losses.clear()
            precision = None
            if done % validate_every == 0:
                arguments, auxiliary = module.get_params()
                precision = evaluate(
                    symbol, arguments, auxiliary, validation, recipe.image_shape, CLASSES
                ).every.at_50
            class_loss, box_loss = means.tolist()
            course.append(Progress(done, recipe.rate_at(step), class_loss, box_loss, precision))
            report(course[-1])
        if done % save_every == 0 or done == recipe.steps:
            state.save(module, done, course)

    arguments, _ = module.get_params()
    return symbol, arguments, _settled_statistics(mx, module, recipe, training), course


def _shapes(batch: int, size: int) -> tuple[list[Any], list[Any]]:
    return [("data", (batch, 3, size, size))], [("label", (batch, MAX_OBJECTS, 5))]


def _losses(cls_prob: Any, loc_loss: Any, cls_label: Any) -> tuple[float, float]:
    """Cross entropy of the mined anchors, and smooth L1 of the matched ones, each a mean."""
    target = cls_label.asnumpy().astype(int)
    used = target >= 0
    chosen = np.take_along_axis(cls_prob.asnumpy(), np.maximum(target, 0)[:, None], axis=1)[:, 0]
    matched = max(1, int((target > 0).sum()))
    cross_entropy = -np.log(np.maximum(chosen[used], 1e-9)).mean()
    return float(cross_entropy), float(loc_loss.asnumpy().sum() / matched)


def _batches(
    recipe: Recipe, dataset: Dataset, first: int, *, steps: int | None = None
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Batches from step `first` on; a step's batch is the same whenever it is asked for."""
    per_epoch = len(dataset) // recipe.batch
    if per_epoch == 0:
        raise InputError(f"{len(dataset)} pictures are fewer than a batch of {recipe.batch}")

    def make(step: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        order = np.random.default_rng((recipe.seed, step // per_epoch)).permutation(len(dataset))
        start = step % per_epoch * recipe.batch
        rng = np.random.default_rng((recipe.seed, 1, step))
        pairs = [
            augmented(dataset, int(index), recipe.size_at(step), rng)
            for index in order[start : start + recipe.batch]
        ]
        return np.stack([data for data, _ in pairs]), np.stack([label for _, label in pairs])

    last = recipe.steps if steps is None else first + steps
    with ThreadPoolExecutor(1) as pool:
        ahead = [
            pool.submit(make, step) for step in range(first, min(first + _BATCHES_AHEAD, last))
        ]
        for step in range(first, last):
            batch = ahead.pop(0).result()
            if step + _BATCHES_AHEAD < last:
                ahead.append(pool.submit(make, step + _BATCHES_AHEAD))
            yield batch


def _settled_statistics(mx: Any, module: Any, recipe: Recipe, dataset: Dataset) -> dict[str, Any]:
    """BatchNorm's statistics over many batches; a momentum of 0.9 remembers only the last ten."""
    sums: dict[str, Any] = {}
    for data, label in _batches(recipe, dataset, recipe.steps, steps=_SETTLING_BATCHES):
        # BatchNorm moves its statistics on the way back; nothing is updated from the gradients.
        module.forward_backward(mx.io.DataBatch([mx.nd.array(data)], [mx.nd.array(label)]))
        module._params_dirty = True  # noqa: SLF001 - else it returns what it knew before
        for name, value in module.get_params()[1].items():
            sums[name] = sums.get(name, 0) + value.copy()
    return {name: value / _SETTLING_BATCHES for name, value in sums.items()}


class _Checkpoint:
    """The state of an unfinished training, in a folder."""

    def __init__(self, mx: Any, folder: Path, recipe: Recipe) -> None:
        self._mx, self._folder, self._recipe = mx, folder, recipe
        self.step = 0
        self.course: list[Progress] = []
        folder.mkdir(parents=True, exist_ok=True)
        self._index = folder / "training.json"
        if self._index.exists():
            saved = json.loads(self._index.read_text())
            if saved["recipe"] != json.loads(json.dumps(asdict(recipe))):
                raise InputError(
                    f"{folder} holds an unfinished training of another recipe; remove it or give "
                    "another --work folder"
                )
            self.step = saved["step"]
            self.course = [Progress(**row) for row in saved["course"]]
            _log.info("going on from step %d", self.step)

    def restore(self, module: Any) -> None:
        if self.step:
            prefix = str(self._folder / f"step{self.step:06}")
            _, arguments, auxiliary = self._mx.model.load_checkpoint(prefix, 0)
            module.set_params(arguments, auxiliary)
            module.load_optimizer_states(f"{prefix}.states")

    def save(self, module: Any, step: int, course: list[Progress]) -> None:
        prefix = self._folder / f"step{step:06}"
        module.save_checkpoint(str(prefix), 0)
        module.save_optimizer_states(f"{prefix}.states")
        content = {
            "recipe": asdict(self._recipe),
            "step": step,
            "course": [asdict(row) for row in course],
        }
        aside = self._index.with_suffix(".tmp")
        aside.write_text(json.dumps(content))
        aside.replace(self._index)  # from here on the new checkpoint counts
        for old in self._folder.glob("step*"):
            if not old.name.startswith(prefix.name):
                old.unlink()
        self.step = step
