"""Measure a training graph's detections against known boxes with GluonCV's VOC metrics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edgetally.demo.dataset import MAX_OBJECTS, Dataset, network_input
from edgetally.demo.scene.random_scenes import FRAME_SIZE
from edgetally.mxnet_compat import import_mxnet

if TYPE_CHECKING:
    from collections.abc import Sequence

_THRESHOLDS = tuple(np.arange(0.5, 1.0, 0.05).round(2).tolist())
_BATCH = 20
_PIXELS = np.array([*FRAME_SIZE, *FRAME_SIZE], np.float32)  # the metric adds 1: it counts pixels


@dataclass(frozen=True)
class MeanAveragePrecision:
    """mAP at IoU 0.5, its mean over IoU 0.5 to 0.95 in steps of 0.05, and each class at 0.5."""

    at_50: float
    at_50_95: float
    classes_at_50: dict[str, float]
    pictures: int
    objects: int


def evaluate(
    symbol: Any,
    arguments: dict[str, Any],
    auxiliary: dict[str, Any],
    dataset: Dataset,
    size: int,
    classes: Sequence[str],
) -> MeanAveragePrecision:
    """Run the graph's own `det_out` over a dataset (VOC2010 average precision, all points)."""
    mx = import_mxnet()
    from gluoncv.utils.metrics.voc_detection import VOCMApMetric  # noqa: PLC0415 - after numpy's mend

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
    metrics = [VOCMApMetric(iou_thresh=value, class_names=list(classes)) for value in _THRESHOLDS]
    for start in range(0, len(dataset), _BATCH):
        rows = range(start, min(start + _BATCH, len(dataset)))
        data = np.zeros((_BATCH, 3, size, size), np.float32)
        for place, index in enumerate(rows):
            data[place] = network_input(dataset.picture(index), size)
        blank = mx.nd.zeros((_BATCH, MAX_OBJECTS, 5))
        module.forward(mx.io.DataBatch([mx.nd.array(data)], [blank]), is_train=False)
        found = module.get_outputs()[0].asnumpy()[: len(rows)]
        truth = dataset.labels[start : start + len(rows)]
        for metric in metrics:
            metric.update(
                [found[..., 2:] * _PIXELS],
                [found[..., 0]],
                [found[..., 1]],
                [truth[..., 1:] * _PIXELS],
                [truth[..., 0]],
            )
    values = [metric.get()[1] for metric in metrics]
    return MeanAveragePrecision(
        at_50=float(values[0][-1]),
        at_50_95=float(np.mean([value[-1] for value in values])),
        classes_at_50={name: float(ap) for name, ap in zip(classes, values[0], strict=False)},
        pictures=len(dataset),
        objects=int((dataset.labels[:, :, 0] >= 0).sum()),
    )
