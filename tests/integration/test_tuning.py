"""Tuning with the real engines: what is measured, chosen, and used from then on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
from mxnet_oracle import as_rows, assert_same, whole_model

from conftest import CLASSES, write_artifact
from edgetally.conversion import convert
from edgetally.detector import Detector
from edgetally.engines import (
    EngineSettings,
    available_engines,
    create_engine,
    default_precision,
)
from edgetally.engines.device import this_device
from edgetally.engines.tuned import TunedChoice, write_choice
from edgetally.errors import InputError
from edgetally.tuning import Tuning, tune
from edgetally.tuning.smaller_input import with_input_size

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from edgetally.bundle import ModelBundle

BUDGET = 10.0


def blocks(seed: int, height: int = 240, width: int = 320) -> NDArray[np.uint8]:
    rng = np.random.default_rng(seed)
    drawn = rng.integers(0, 256, (6, 8, 3), np.uint8)
    return drawn.repeat(-(-height // 6), 0).repeat(-(-width // 8), 1)[:height, :width].copy()


@pytest.fixture(scope="module")
def sure_bundle(tmp_path_factory: pytest.TempPathFactory) -> ModelBundle:
    """A network with an int8 form that is sure of something: its scores come near 1."""
    folder = tmp_path_factory.mktemp("sure")
    artifact = write_artifact(folder, spread=0.05, norms_trained=True, size=320)
    (folder / "seen").mkdir()
    for seed in range(4):
        cv2.imwrite(str(folder / "seen" / f"{seed}.png"), blocks(seed))
    return convert(
        artifact,
        folder / "sure",
        classes=CLASSES,
        calibration=str(folder / "seen"),
        verify=False,
        timings=False,
    )


@pytest.fixture(scope="module")
def tuned(sure_bundle: ModelBundle) -> Tuning:
    pictures = [blocks(seed) for seed in range(4)]
    return tune(
        sure_bundle,
        cameras=2,
        fps=0.01,
        pictures=pictures,
        allow_smaller_input=True,
        budget_seconds=BUDGET,
    )


def test_every_engine_is_measured_in_time_and_the_best_that_agrees_is_chosen(
    tuned: Tuning, sure_bundle: ModelBundle
) -> None:
    measured = {row.candidate.engine for row in tuned.rows}
    late = " ".join(note for note in tuned.notes if "time was over" in note)
    assert available_engines()[0] in measured
    assert all(engine in measured or engine in late for engine in available_engines())
    assert tuned.bundle == sure_bundle.sha256
    assert tuned.chosen in tuned.rows
    assert tuned.chosen.keeps_agreement
    assert all(row.speed.frames_per_second > 0 for row in tuned.rows)
    assert all(row.speed.latency > 0 for row in tuned.rows)


def test_reduced_precisions_are_compared_with_fp32_on_the_pictures(tuned: Tuning) -> None:
    for row in tuned.rows:
        if row.candidate.precision == "fp32":
            assert row.agreement is None
        else:
            assert row.agreement is not None
            assert 1 <= row.agreement.images <= 4
            assert row.agreement.reference_detections > 0


def test_int8_takes_several_streams_that_answer_as_one_does(sure_bundle: ModelBundle) -> None:
    batch = blocks(1, 320, 320)[np.newaxis]
    alone = create_engine(sure_bundle, "openvino", "int8")
    several = create_engine(sure_bundle, "openvino", "int8", EngineSettings(2, 2))

    expected = alone.infer(batch)

    for found in [several.submit(batch) for _ in range(4)]:
        np.testing.assert_allclose(found.result(60).scores, expected.scores, rtol=0, atol=1e-3)
    alone.close()
    several.close()


def test_what_manages_the_cameras_with_the_least_cpu_is_best(tuned: Tuning) -> None:
    """Two cameras of a frame a hundred seconds: everything manages them."""
    assert tuned.wanted == pytest.approx(0.02)
    usable = [row for row in tuned.rows if row.keeps_agreement]
    assert tuned.chosen.speed.cpu_time == min(row.speed.cpu_time for row in usable)


def test_smaller_inputs_are_shown_with_their_cost_and_never_chosen(tuned: Tuning) -> None:
    assert [row.input_size for row in tuned.smaller] == [300]
    for row in tuned.smaller:
        assert row.agreement is not None
        assert 1 <= row.agreement.images <= 4
        assert row.candidate.engine == tuned.chosen.candidate.engine
    assert tuned.chosen.input_size == 320


def test_without_pictures_only_fp32_or_the_default_is_chosen(bundle: ModelBundle) -> None:
    tuning = tune(bundle, budget_seconds=BUDGET)

    assert tuning.chosen.candidate.precision in {"fp32", default_precision("auto")}
    assert all(row.agreement is None for row in tuning.rows)
    if any(row.candidate.precision == "bf16" and not row.is_default for row in tuning.rows):
        assert any("--calibration" in note for note in tuning.notes)


def test_auto_is_the_tuned_choice_from_then_on(
    tuned: Tuning, sure_bundle: ModelBundle, tmp_path: Path
) -> None:
    choice = tuned.choice
    path = write_choice(choice, tmp_path / "tuning.json")

    with Detector(sure_bundle, tuning=path) as detector:
        assert (detector.engine_name, detector.precision) == (choice.engine, choice.precision)


def chosen(bundle: ModelBundle, **changes: Any) -> TunedChoice:
    known: dict[str, Any] = {
        "bundle": bundle.sha256,
        "device": this_device(),
        "engine": "onnxruntime",
        "precision": "fp32",
        "threads": 1,
        "streams": 1,
        "frames_per_second": 1.0,
        "milliseconds": 1.0,
    }
    return TunedChoice(**(known | changes))


def test_a_detector_runs_what_was_chosen_unless_it_is_told_otherwise(
    bundle: ModelBundle, tmp_path: Path
) -> None:
    path = write_choice(chosen(bundle), tmp_path / "tuning.json")

    with Detector(bundle, tuning=path) as detector:
        assert (detector.engine_name, detector.precision) == ("onnxruntime", "fp32")
    with Detector(bundle, "mxnet", tuning=path) as detector:
        assert detector.engine_name == "mxnet"
    with Detector(bundle, "auto", "fp32", tuning=path) as detector:
        assert detector.engine_name == available_engines()[0]


def test_a_choice_that_can_not_be_loaded_gives_way_with_one_warning(
    bundle: ModelBundle, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_choice(chosen(bundle, precision="int8"), tmp_path / "tuning.json")

    with Detector(bundle, tuning=path) as detector:
        assert (detector.engine_name, detector.precision) == (
            available_engines()[0],
            default_precision("auto"),
        )

    (record,) = caplog.records
    assert "int8" in record.getMessage()


@pytest.mark.parametrize("size", [224, 300])
def test_a_smaller_input_gives_what_mxnet_gives_at_that_size(
    sure_bundle: ModelBundle, size: int, tmp_path: Path
) -> None:
    smaller = with_input_size(sure_bundle, size, tmp_path / "smaller")

    assert smaller.input_size == size
    assert smaller.sha256 != sure_bundle.sha256
    expected = whole_model(smaller)
    with Detector(smaller, "openvino", "fp32") as detector:
        for seed in range(2):
            found = as_rows(detector.detect(blocks(seed)))
            assert len(found) > 0
            assert_same(found, expected(blocks(seed)), smaller.nms.threshold.value)


def test_anchors_at_fixed_steps_stand_at_the_cells_of_the_smaller_input(tmp_path: Path) -> None:
    artifact = write_artifact(tmp_path, network="vgg-16", size=512)
    bundle = convert(artifact, tmp_path / "b", classes=CLASSES, verify=False)

    smaller = with_input_size(bundle, 320, tmp_path / "smaller")

    # The first feature map has a cell for each 8 pixels.
    assert f'"({8 / 512}, {8 / 512})"' in bundle.file("mxnet-symbol").read_text()
    assert f'"({8 / 320}, {8 / 320})"' in smaller.file("mxnet-symbol").read_text()
    with Detector(smaller, "openvino", "fp32") as detector:
        found = as_rows(detector.detect(blocks(1)))
    assert len(found) > 0
    assert_same(found, whole_model(smaller)(blocks(1)), smaller.nms.threshold.value)


def test_an_input_that_is_too_small_for_the_network_is_refused(
    tmp_path: Path,
) -> None:
    artifact = write_artifact(tmp_path, network="vgg-16", size=300)
    bundle = convert(artifact, tmp_path / "b", classes=CLASSES, verify=False)

    with pytest.raises(InputError, match=r"^an input of 200 pixels is too small") as refusal:
        with_input_size(bundle, 200, tmp_path / "smaller")
    assert "same training job" not in str(refusal.value)
    assert not (tmp_path / "smaller").exists()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"cameras": 0}, "--cameras 0 must be at least 1 and at most 1024"),
        ({"cameras": 10**400}, "--cameras 1000.* at most 1024"),
        ({"fps": 0.0}, "--fps 0.0 must be at least 0.001 and at most 1000"),
        ({"fps": 1e308}, "--fps 1e.308 must be .* at most 1000"),
        ({"fps": float("nan")}, "--fps nan must be at least 0.001"),
        ({"budget_seconds": -1.0}, "must be above 0"),
    ],
)
def test_numbers_that_make_no_sense_are_refused(
    bundle: ModelBundle, arguments: dict[str, Any], told: str
) -> None:
    with pytest.raises(InputError, match=told):
        tune(bundle, **arguments)
