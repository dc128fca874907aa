"""Measure a training graph's detections against known boxes with GluonCV's VOC metrics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edgetally.demo.dataset import MAX_OBJECTS, label_of, network_input
from edgetally.demo.scene.random_scenes import FRAME_SIZE
from edgetally.mxnet_compat import import_mxnet

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from edgetally.demo.scene.stage import Truth

    Sample = tuple[NDArray[np.uint8], Truth]

DIFFICULT_BELOW = 1 / 3
_THRESHOLDS = tuple(np.arange(0.5, 1.0, 0.05).round(2).tolist())
_BATCH = 20
_PIXELS = np.array([*FRAME_SIZE, *FRAME_SIZE], np.float32)  # the metric adds 1: it counts pixels


@dataclass(frozen=True)
class MeanAveragePrecision:
    """mAP at IoU 0.5, its mean over IoU 0.5 to 0.95 in steps of 0.05, and each class at 0.5."""

    at_50: float
    at_50_95: float
    classes_at_50: dict[str, float]
    objects: int


@dataclass(frozen=True)
class Evaluation:
    """The figures over `pictures` pictures: of every box, and without the difficult ones.

    Difficult, as VOC calls what neither counts as found nor as missed, is a box of which less
    than a third can be seen: the rest lies outside the picture or under someone.
    """

    pictures: int
    every: MeanAveragePrecision
    without_difficult: MeanAveragePrecision


def evaluate(
    symbol: Any,
    arguments: dict[str, Any],
    auxiliary: dict[str, Any],
    samples: Sequence[Sample],
    size: int,
    classes: Sequence[str],
) -> Evaluation:
    """Run the graph's own `det_out` over pictures (VOC2010 average precision, all points)."""
    found = _detections(symbol, arguments, auxiliary, [picture for picture, _ in samples], size)
    truths = [truth for _, truth in samples]
    return Evaluation(
        pictures=len(samples),
        every=_measure(found, truths, classes, 0.0),
        without_difficult=_measure(found, truths, classes, DIFFICULT_BELOW),
    )


def _detections(
    symbol: Any,
    arguments: dict[str, Any],
    auxiliary: dict[str, Any],
    pictures: Sequence[NDArray[np.uint8]],
    size: int,
) -> NDArray[np.float32]:
    """Rows (class, score, xmin, ymin, xmax, ymax) of each picture, [N, A, 6]."""
    mx = import_mxnet()
    module = mx.mod.Module(
        symbol.get_internals()["det_out_output"],
        data_names=["data"],
        label_names=["label"],
        context=mx.cpu(),
    )
    module.bind(
        [("data", (_BATCH, 3, size, size))],
        [("label", (_BATCH, MAX_OBJECTS, 5))],
        for_training=False,
    )
    module.set_params(arguments, auxiliary, allow_extra=True)
    blank = mx.nd.zeros((_BATCH, MAX_OBJECTS, 5))
    found = []
    for start in range(0, len(pictures), _BATCH):
        part = pictures[start : start + _BATCH]
        data = np.zeros((_BATCH, 3, size, size), np.float32)
        data[: len(part)] = [network_input(picture, size) for picture in part]
        module.forward(mx.io.DataBatch([mx.nd.array(data)], [blank]), is_train=False)
        found.append(module.get_outputs()[0].asnumpy()[: len(part)])
    return np.concatenate(found)


def _measure(
    found: NDArray[np.float32],
    truths: Sequence[Truth],
    classes: Sequence[str],
    difficult_below: float,
) -> MeanAveragePrecision:
    import_mxnet()  # mends numpy, which the next import needs
    from gluoncv.utils.metrics.voc_detection import VOCMApMetric  # noqa: PLC0415

    labels = np.stack([label_of(truth) for truth in truths])
    difficult = np.zeros(labels.shape[:2], np.int64)
    for row, truth in enumerate(truths):
        rows = min(len(truth.visible), MAX_OBJECTS)
        difficult[row, :rows] = truth.visible[:rows] < difficult_below
    values = []
    for threshold in _THRESHOLDS:
        metric = VOCMApMetric(iou_thresh=threshold, class_names=list(classes))
        for row, label, hard in zip(found, labels, difficult, strict=True):
            metric.update(
                row[None, :, 2:] * _PIXELS,
                row[None, :, 0],
                row[None, :, 1],
                label[None, :, 1:] * _PIXELS,
                label[None, :, 0],
                hard[None],
            )
        values.append(metric.get()[1])
    return MeanAveragePrecision(
        at_50=float(values[0][-1]),
        at_50_95=float(np.mean([value[-1] for value in values])),
        classes_at_50={name: float(ap) for name, ap in zip(classes, values[0], strict=False)},
        objects=int(((labels[:, :, 0] >= 0) & (difficult == 0)).sum()),
    )
