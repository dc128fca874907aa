"""A conversion's record with figures of all kinds, to be changed by a test."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

from edgetally.bundle import ModelBundle
from edgetally.conversion.report.record import (
    RECORD_NAME,
    REPORT_NAME,
    ConversionRecord,
    GraphSummary,
    Machine,
    Parity,
    Timing,
)
from edgetally.detector.agreement import Agreement

if TYPE_CHECKING:
    from pathlib import Path


def copied(bundle: ModelBundle, folder: Path) -> ModelBundle:
    """Copy a bundle, without a record or a report."""
    source = bundle.file("onnx").parent
    shutil.copytree(source, folder, ignore=shutil.ignore_patterns(RECORD_NAME, REPORT_NAME))
    return ModelBundle.load(folder)


def record_of(bundle: ModelBundle, **changes: Any) -> ConversionRecord:
    values: dict[str, Any] = {
        "edgetally": "0.1.0",
        "source": "model.tar.gz",
        "bundle_sha256": bundle.sha256,
        "notes": ("nms_threshold is 0.45 in the symbol but 0.3 in the hyperparameters",),
        "graph": GraphSummary(
            nodes=237,
            operators={"Convolution": 69, "softmax": 1},
            parameters=26_543_210,
            anchors=6132,
            classes=len(bundle.classes),
            input_size=bundle.input_size,
            onnx_nodes=180,
            folded=48,
        ),
        "file_sizes": {"model.onnx": 8_118_794, "int8/model.onnx": 2_345_678},
        "machine": Machine(
            processor="Example 9000", cores=4, python="3.11.9", packages={"numpy": "1.26.4"}
        ),
        "parity": (
            Parity(
                reference="mxnet training graph",
                compared="openvino engine",
                frames=5,
                detections=1312,
                undecided=2,
                max_box_difference=1.25e-6,
                max_score_difference=3.5e-6,
            ),
        ),
        "timings": (
            Timing(engine="onnxruntime", precision="fp32", milliseconds=200, frames=10),
            Timing(engine="openvino", precision="int8", milliseconds=50, frames=10),
        ),
        "agreement": (
            Agreement(
                engine="openvino",
                precision="int8",
                images=32,
                reference_detections=70,
                detections=69,
                matched=68,
                mean_iou=0.9371,
                mean_score_difference=0.0081,
                max_score_difference=0.0642,
                map_50=0.9634,
            ),
        ),
        "calibration_images": 64,
    }
    return ConversionRecord(**(values | changes))
