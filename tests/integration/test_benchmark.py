"""`scripts/benchmark.py`: a run too short to trust, and the arithmetic behind its figures."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from edgetally.benchmark.command import main
from edgetally.benchmark.measurement import Job, Measured, measure_apart
from edgetally.benchmark.precision import TrueBoxes, mean_average_precision
from edgetally.benchmark.report import Percentiles, below_engine, over_sample
from edgetally.detections import Detections
from edgetally.errors import InputError
from edgetally.mxnet_compat import import_mxnet

if TYPE_CHECKING:
    from pathlib import Path

    from edgetally.bundle import ModelBundle


@pytest.fixture(scope="module")
def results(bundle: ModelBundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("benchmark")
    (folder / "page.md").write_text(
        "# Performance\n\n<!-- measured: scripts/benchmark.py writes what follows -->\nold\n"
        "<!-- /measured -->\n\nThe limit.\n"
    )
    status = main(
        [
            "--quick",
            *("--bundle", str(bundle.file("onnx").parent)),
            *("--work", str(folder / "work")),
            *("--output", str(folder)),
            *("--markdown", str(folder / "page.md")),
        ]
    )
    assert status == 0
    return folder


def test_a_run_leaves_the_figures_of_every_way_as_json(results: Path) -> None:
    report = json.loads((results / "performance.json").read_text())
    assert report["schema"] == "edgetally.benchmark/1"
    assert report["machine"]["cores"] >= 1
    assert (report["file"]["width"], report["file"]["height"]) == (1920, 1080)
    assert report["file"]["codec"] in {"H.264", "MPEG-4 part 2"}
    assert "/" not in report["file"]["path"]
    (model,) = report["models"]
    assert model["inputSize"] == 300
    (row,) = model["rows"]
    assert row["isDefault"]
    assert {"engine", "precision", "loop", "bare", "belowEngine", "latency"} <= set(row)
    for figures in (model["sample"], model["decoding"], row["loop"], row["bare"]):
        assert figures["fps"] > 0
        assert figures["cpuPerFrame"] > 0
        assert figures["peakMemory"] > 10_000_000
    (camera,) = report["cameras"]
    assert camera["fps"] > 0
    assert camera["latency"]["p50"] <= camera["latency"]["p95"] <= camera["latency"]["p99"]
    assert {target["met"] for target in report["targets"]} <= {True, False, None}


def test_ratios_compare_what_ran_in_the_same_round(results: Path) -> None:
    (model,) = json.loads((results / "performance.json").read_text())["models"]
    (row,) = model["rows"]
    assert row["overSample"] == pytest.approx(row["loop"]["fps"] / model["sample"]["fps"])
    quick_then_slow = [Measured(frames=n, seconds=1, cpu=1) for n in (80, 20, 40)]
    sample = [Measured(frames=n, seconds=1, cpu=1) for n in (8, 4, 2)]
    assert over_sample(quick_then_slow, sample) == 10  # of 10, 5 and 20


def test_a_run_leaves_a_chart_and_replaces_the_tables_of_a_page(results: Path) -> None:
    chart = cv2.imread(str(results / "performance.png"))
    assert chart is not None
    assert chart.shape[1] >= 1000
    page = (results / "page.md").read_text()
    assert page.startswith("# Performance\n")
    assert page.endswith("The limit.\n")
    assert "old" not in page
    assert "| the sample's way | " in page


def test_decoding_is_set_aside_at_the_share_of_all_cores() -> None:
    loop = [Measured(frames=80, seconds=1, cpu=2)]  # 12.5 ms a frame
    bare = [Measured(frames=100, seconds=1, cpu=2)]  # 10 ms
    decoding = [Measured(frames=100, seconds=1, cpu=0.4)]  # 4 ms of CPU, 2 ms of both cores
    left = below_engine(loop, bare, decoding, cores=2)  # 10.5 ms where the engine takes 10
    assert left == pytest.approx(1 - 10 / 10.5)
    assert below_engine([Measured(frames=0, seconds=0, cpu=0)], bare, decoding, cores=2) is None


def test_percentiles_are_values_that_occurred() -> None:
    found = Percentiles.of([float(n) for n in range(1, 101)])
    assert found == Percentiles(p50=50, p95=95, p99=99, count=100)
    assert Percentiles.of([3.0]) == Percentiles(p50=3, p95=3, p99=3, count=1)
    assert Percentiles.of([]) is None


def test_a_measurement_that_can_not_be_done_tells_why_in_one_line(tmp_path: Path) -> None:
    job = Job(kind="bare", bundle=str(tmp_path), sources=("none",))
    with pytest.raises(InputError, match="is not a model bundle") as caught:
        measure_apart(job)
    assert "\n" not in str(caught.value)


def test_mean_average_precision_is_gluoncvs() -> None:
    import_mxnet()  # mends numpy, which the next import needs
    from gluoncv.utils.metrics.voc_detection import VOCMApMetric

    rng = np.random.default_rng(3)
    truths, found = [], []
    metric = VOCMApMetric(iou_thresh=0.5, class_names=["a", "b"])
    for _ in range(60):
        count = int(rng.integers(0, 6))
        corner = rng.uniform(0, 0.6, (count, 2))
        truth = TrueBoxes(
            np.concatenate([corner, corner + rng.uniform(0.1, 0.4, (count, 2))], axis=1),
            rng.integers(0, 2, count),
        )
        rows = rng.integers(0, max(count, 1), 2 * count)
        boxes = (truth.boxes[rows] + rng.normal(0, 0.03, (2 * count, 4))).astype(np.float32)
        seen = Detections(
            boxes.clip(0, 1),
            rng.uniform(0, 1, 2 * count).astype(np.float32),
            np.where(rng.random(2 * count) < 0.9, truth.class_ids[rows], 1).astype(np.int64),
        )
        truths.append(truth)
        found.append(seen)
        if count:
            pixels = 1e6  # the metric adds one pixel to every side
            metric.update(
                seen.boxes[None] * pixels,
                seen.class_ids[None],
                seen.scores[None],
                truth.boxes[None] * pixels,
                truth.class_ids[None],
            )
    ours = mean_average_precision(found, truths, 2)
    assert 0.2 < ours.at_50 < 0.95
    assert ours.at_50 == pytest.approx(metric.get()[1][-1], abs=1e-6)
    assert ours.at_50_95 < ours.at_50
