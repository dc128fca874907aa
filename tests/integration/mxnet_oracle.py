"""What detections are held against: MXNet's own MultiBoxDetection, in the deployable checkpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from edgetally.mxnet_compat import import_mxnet

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from edgetally.bundle import ModelBundle
    from edgetally.detections import Detections

    Frame = NDArray[np.uint8]
    Rows = NDArray[np.float32]


def as_rows(found: Detections) -> Rows:
    return np.column_stack([found.class_ids.astype(np.float32), found.scores, found.boxes])


def whole_model(bundle: ModelBundle) -> Callable[[Frame], Rows]:
    """MXNet's whole checkpoint; rows (class, score, xmin, ymin, xmax, ymax) that it keeps."""
    mx = import_mxnet()
    symbol = mx.sym.load(str(bundle.file("mxnet-symbol")))
    size = bundle.input_size
    network = symbol.simple_bind(mx.cpu(), grad_req="null", data=(1, 3, size, size))
    for name, array in mx.nd.load(str(bundle.file("mxnet-params"))).items():
        kind, _, key = name.partition(":")
        array.copyto((network.arg_dict if kind == "arg" else network.aux_dict)[key])

    def detect(frame: Frame) -> Rows:
        picture = cv2.cvtColor(cv2.resize(frame, (size, size)), cv2.COLOR_BGR2RGB)
        data = mx.nd.array(picture.transpose(2, 0, 1)[np.newaxis])
        rows = network.forward(is_train=False, data=data)[0].asnumpy()[0]
        return np.asarray(rows[rows[:, 0] >= 0], np.float32)

    return detect


def paired(found: Rows, expected: Rows) -> Rows:
    """Reorder `found` within each run of expected scores less than 1e-5 apart.

    Runtimes add in different orders, so that rows so close may come out in either order.
    """
    ends = np.flatnonzero(np.diff(expected[:, 1]) <= -1e-5) + 1
    order: list[int] = []
    for run in np.split(np.arange(len(expected)), ends):
        left = list(run)
        for row in expected[run]:
            left.sort(key=lambda index: np.abs(found[index] - row).max())
            order.append(left.pop(0))
    return found[order]


def is_tied(row: Rows, other: Rows, nms_threshold: float) -> bool:
    """Tell whether two rows suppress one another and only rounding says which of them stays."""
    low, high = np.maximum(row[2:4], other[2:4]), np.minimum(row[4:], other[4:])
    both = np.prod(np.maximum(high - low, 0))
    union = np.prod(row[4:] - row[2:4]) + np.prod(other[4:] - other[2:4]) - both
    close = bool(abs(row[1] - other[1]) < 1e-5 and both / union >= nms_threshold)
    return close and bool(row[0] == other[0])


def assert_same(found: Rows, expected: Rows, nms_threshold: float) -> None:
    """Same count, order and classes, boxes and scores within 1e-3.

    One row of a frame may differ where two boxes suppress each other and only rounding decides.
    """
    assert len(found) == len(expected)
    found = paired(found, expected)
    apart = np.abs(found - expected).max(axis=1, initial=0) > 1e-3
    assert np.count_nonzero(apart) <= 1
    for row, twin in zip(found[apart], expected[apart], strict=True):
        assert is_tied(row, twin, nms_threshold)
