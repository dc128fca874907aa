"""The proof itself: what differs from the training graph is refused, whatever the frames show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from training_job import edit_params, unpacked

from edgetally.bundle import ModelBundle, Setting
from edgetally.conversion import convert
from edgetally.conversion.artifact.archive import TrainingArtifact
from edgetally.conversion.proof.verification import verify
from edgetally.conversion.report.record import ConversionRecord
from edgetally.errors import EdgetallyError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


def hush(arrays: dict[str, NDArray[Any]]) -> None:
    """Let every head prefer the background so much that nothing reaches the score floor."""
    for name, array in arrays.items():
        if name.endswith("_cls_pred_conv_bias"):
            bias = array.reshape(-1, 3).copy()
            bias[:, 0] += 14
            arrays[name] = bias.reshape(-1)


@pytest.fixture(scope="module", params=["detections", "no detections"])
def job(
    request: pytest.FixtureRequest, artifact: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    folder = unpacked(artifact, tmp_path_factory.mktemp("job"))
    if request.param == "no detections":
        edit_params(folder, hush)
    return folder


@pytest.fixture(scope="module")
def made(job: Path, tmp_path_factory: pytest.TempPathFactory) -> ModelBundle:
    return convert(job, tmp_path_factory.mktemp("made") / "boxes", verify=False)


def proved(job: Path, bundle: ModelBundle) -> int:
    parities = verify(TrainingArtifact.read(job), bundle, [], lambda _line: None)
    return parities[0].detections


def test_what_was_converted_agrees(job: Path, made: ModelBundle) -> None:
    proved(job, made)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("threshold", 0.5),
        ("topk", 399),
        ("topk", -1),
        ("force_suppress", True),
        ("score_floor", 0.011),
        ("score_floor", 0.05),
        ("clip", False),
        ("variances", (0.11, 0.1, 0.2, 0.2)),
        ("variances", (0.1, 0.1, 0.2, 0.21)),
        ("algorithm", "box_nms"),
    ],
    ids=str,
)
def test_a_setting_that_was_read_wrong_is_refused(
    key: str, value: Any, job: Path, made: ModelBundle
) -> None:
    changed = value if key == "algorithm" else Setting[Any](value=value, source="symbol")
    nms = made.nms.model_copy(update={key: changed})
    with pytest.raises(EdgetallyError, match="nothing was written"):
        proved(job, made.model_copy(update={"nms": nms}))


@pytest.mark.parametrize("share", [1.01, 1.1])
def test_weights_that_changed_are_refused(
    share: float, job: Path, made: ModelBundle, tmp_path: Path
) -> None:
    def change(arrays: dict[str, NDArray[Any]]) -> None:
        arrays["arg:stage4_unit3_conv3_weight"] = (
            np.float32(share) * (arrays["arg:stage4_unit3_conv3_weight"])
        )
        arrays["arg:_plus15_cls_pred_conv_bias"] = arrays["arg:_plus15_cls_pred_conv_bias"] + (
            np.float32(share - 1)
        )

    other = unpacked_copy(job, tmp_path / "other")
    edit_params(other, change)
    with pytest.raises(EdgetallyError, match="nothing was written"):
        proved(other, made)


def unpacked_copy(job: Path, folder: Path) -> Path:
    folder.mkdir()
    for path in job.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


def test_frames_without_a_detection_are_told(job: Path, tmp_path: Path) -> None:
    told: list[str] = []
    convert(job, tmp_path / "boxes", verify=True, timings=False, warn=told.append)
    record = ConversionRecord.load(tmp_path / "boxes")
    assert record is not None
    assert bool(told) == (record.parity[0].detections == 0)
    assert all("nothing was detected" in line for line in told)


def test_the_checkpoints_difference_is_measured(
    artifact: Path, bundle: ModelBundle, tmp_path: Path
) -> None:
    other = unpacked(artifact, tmp_path / "other")
    name = "arg:_plus15_loc_pred_conv_bias"
    edit_params(other, lambda arrays: arrays.update({name: arrays[name] + np.float32(1e-3)}))
    checkpoint, *_ = verify(TrainingArtifact.read(other), bundle, [], lambda _line: None)
    assert 1e-5 < checkpoint.max_box_difference < 1e-3
