"""SSDs of GluonCV's model zoo, from their export to a verified bundle."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
from gluoncv_network import BODIES, SIZE, calm, write_export
from mxnet_oracle import as_rows
from training_job import write_tar

from edgetally.conversion import convert
from edgetally.conversion.network.settings import NmsOverrides
from edgetally.conversion.report.record import ConversionRecord
from edgetally.detector import Detector
from edgetally.errors import InputError
from edgetally.mxnet_compat import import_mxnet

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

mx = import_mxnet()


def photo(seed: int) -> NDArray[np.uint8]:
    noise = np.random.default_rng(seed).integers(0, 256, (9, 16, 3)).astype(np.uint8)
    return np.asarray(cv2.resize(noise, (160, 90)), np.uint8)


def gluoncv_rows(symbol: Path, frame: NDArray[np.uint8], size: int = SIZE) -> NDArray[np.float32]:
    """Run an export as GluonCV's users do; rows (class, score, corners in 0-1) that it keeps."""
    net = mx.gluon.SymbolBlock.imports(
        str(symbol), ["data"], str(symbol).replace("-symbol.json", "-0000.params")
    )
    picture = cv2.cvtColor(cv2.resize(frame, (size, size)), cv2.COLOR_BGR2RGB)
    data = mx.nd.image.normalize(
        mx.nd.image.to_tensor(mx.nd.array(picture, dtype="uint8")),
        mean=(0.485, 0.456, 0.406),
        std=(0.229, 0.224, 0.225),
    ).expand_dims(0)
    ids, scores, boxes = (output.asnumpy()[0] for output in net(data))
    rows = np.hstack([ids, scores, boxes / np.float32(size)])
    return np.asarray(rows[rows[:, 0] >= 0], np.float32)


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("engine", ["openvino", "onnxruntime", "mxnet"])
def test_a_bundle_detects_what_gluoncv_detects(body: str, engine: Any, tmp_path: Path) -> None:
    symbol = write_export(tmp_path, body)
    bundle = convert(symbol, tmp_path / "bundle", verify=False)
    assert (bundle.nms.algorithm, bundle.nms.max_detections.value) == ("box_nms", 100)
    with Detector(bundle, engine) as detector:
        for seed in range(3):
            frame = photo(seed)
            found = as_rows(detector.detect(frame))
            wanted = gluoncv_rows(symbol, frame)
            assert len(wanted) > 20
            np.testing.assert_allclose(found, wanted, atol=1e-3)


@pytest.mark.parametrize("body", BODIES)
def test_an_export_verifies(body: str, tmp_path: Path) -> None:
    symbol = write_export(tmp_path, body, classes=1 if body == "resnet50_v1" else 20)
    bundle = convert(symbol, tmp_path / "bundle", verify=True, timings=False)
    record = ConversionRecord.load(tmp_path / "bundle")
    assert record is not None
    assert len(record.parity) == 4
    assert all(parity.max_box_difference < 1e-4 for parity in record.parity)
    assert (bundle.architecture, bundle.input_size) == (f"ssd_{SIZE}_{body}", SIZE)
    assert bundle.hyperparameters == {}


@pytest.mark.parametrize(
    "settings",
    [{"nms_thresh": 0.3}, {"nms_topk": -1}, {"nms_topk": 50, "post_nms": 7}, {"post_nms": -1}],
    ids=str,
)
def test_the_settings_of_an_export_are_kept(settings: dict[str, Any], tmp_path: Path) -> None:
    symbol = write_export(tmp_path, "mobilenet1.0", **settings)
    nms = convert(symbol, tmp_path / "bundle", verify=True, timings=False).nms
    assert nms.threshold.value == settings.get("nms_thresh", 0.45)
    assert nms.topk.value == settings.get("nms_topk", 400)
    assert nms.max_detections.value == settings.get("post_nms", 100)
    assert nms.score_floor.value == 0.01
    assert {nms.threshold.source, nms.topk.source, nms.score_floor.source} == {"symbol"}


def test_the_command_line_replaces_the_settings_of_an_export(tmp_path: Path) -> None:
    symbol = write_export(tmp_path, "mobilenet1.0")
    told: list[str] = []
    overrides = NmsOverrides(0.2, 30, force_suppress=True, score_floor=0.3)
    nms = convert(
        symbol, tmp_path / "bundle", nms=overrides, verify=True, timings=False, warn=told.append
    ).nms
    found = (nms.threshold, nms.topk, nms.force_suppress, nms.score_floor)
    assert [setting.value for setting in found] == [0.2, 30, True, 0.3]
    assert {setting.source for setting in found} == {"command line"}
    assert len(told) == 4


def test_an_archive_or_a_folder_serves_as_well(tmp_path: Path) -> None:
    (tmp_path / "export").mkdir()
    symbol = write_export(tmp_path / "export", "mobilenet1.0")
    members = {path.name: path.read_bytes() for path in symbol.parent.iterdir()}
    archive = write_tar(tmp_path / "model.tar.gz", members)
    hashes = {
        convert(source, tmp_path / "out" / str(number) / "boxes", verify=False).sha256
        for number, source in enumerate((symbol, symbol.parent, archive))
    }
    assert len(hashes) == 1


def test_the_input_may_have_another_size_where_it_is_asked_for(tmp_path: Path) -> None:
    symbol = write_export(tmp_path, "mobilenet1.0")
    bundle = convert(symbol, tmp_path / "bundle", image_shape=96, verify=True, timings=False)
    assert bundle.input_size == 96
    with Detector(bundle, "openvino") as detector:
        found = as_rows(detector.detect(photo(1)))
    np.testing.assert_allclose(found, gluoncv_rows(symbol, photo(1), 96), atol=1e-3)


def test_untrained_variances_that_are_negative_give_what_they_give_in_mxnet(
    tmp_path: Path,
) -> None:
    """GluonCV's `initialize()` draws the moving variances of an SSD's further scales around 0."""

    def untrained(net: Any) -> None:
        calm(net)
        for name, parameter in net.collect_params(".*expand.*moving_var").items():
            signs = np.where(np.arange(parameter.shape[0]) % 3, 1, -1)
            parameter.set_data(parameter.data() * mx.nd.array(signs))
            assert "bn" in name

    symbol = write_export(tmp_path, "mobilenet1.0", initialize=untrained)
    with Detector(
        convert(symbol, tmp_path / "bundle", verify=True, timings=False), "onnxruntime"
    ) as detector:
        found = as_rows(detector.detect(photo(0)))
    wanted = gluoncv_rows(symbol, photo(0))
    assert len(wanted) > 20
    np.testing.assert_allclose(found, wanted, atol=1e-3)


def test_a_network_that_is_no_ssd_is_named(tmp_path: Path) -> None:
    symbol = write_export(tmp_path, "mobilenet1.0", minimal_opset=True)
    with pytest.raises(InputError, match="0 nodes of _contrib_box_decode where an SSD has one"):
        convert(symbol, tmp_path / "bundle", verify=False)
    assert not (tmp_path / "bundle").exists()
