"""The conversion of a whole artifact: what comes out, what is refused, what is left behind."""

from __future__ import annotations

import json
import tarfile
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnxruntime
import pytest
from training_job import (
    NAMES,
    edit_hyperparameters,
    edit_params,
    edit_symbol,
    tree,
    unpacked,
    write_tar,
)

from edgetally.bundle import ModelBundle
from edgetally.conversion import convert
from edgetally.conversion.network.settings import NmsOverrides
from edgetally.conversion.report.record import ConversionRecord
from edgetally.engines import available_engines
from edgetally.errors import InputError
from edgetally.mxnet_compat import import_mxnet

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

mx = import_mxnet()


@pytest.fixture
def job(artifact: Path, tmp_path: Path) -> Path:
    return unpacked(artifact, tmp_path / "job")


def noise(bundle: ModelBundle, seed: int) -> NDArray[np.float32]:
    size = bundle.input_size
    return np.random.default_rng(seed).integers(0, 256, (1, 3, size, size)).astype(np.float32)


@pytest.fixture(scope="module")
def training_graph(
    artifact: Path, bundle: ModelBundle
) -> Callable[[NDArray[np.float32]], list[NDArray[np.float32]]]:
    """Run the training job's graph in MXNet: det_out, cls_prob, the boxes of all anchors."""
    prefix = str(artifact.parent / "model_algo_1")
    symbol, arguments, states = mx.model.load_checkpoint(prefix, 0)
    inside = symbol.get_internals()
    names = ("det_out", "cls_prob", "multibox_loc_pred", "multibox_anchors")
    group = mx.sym.Group([inside[f"{name}_output"] for name in names])
    module = mx.mod.Module(group, data_names=["data"], label_names=["label"], context=mx.cpu())
    size = bundle.input_size
    module.bind([("data", (1, 3, size, size))], [("label", (1, 1, 5))], for_training=False)
    module.set_params(arguments, states)

    def run(frame: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        batch = mx.io.DataBatch([mx.nd.array(frame)], [mx.nd.zeros((1, 1, 5))])
        module.forward(batch, is_train=False)
        rows, classes, locations, anchors = module.get_outputs()
        boxes = mx.nd.contrib.MultiBoxDetection(
            classes, locations, anchors, threshold=0, nms_threshold=0
        )
        return [rows.asnumpy()[0], classes.asnumpy()[0], boxes.asnumpy()[0, :, 2:]]

    return run


def test_the_deployable_checkpoint_gives_the_training_graphs_detections(
    bundle: ModelBundle, training_graph: Callable[..., list[NDArray[np.float32]]]
) -> None:
    prefix = str(bundle.file("mxnet-symbol")).removesuffix("-symbol.json")
    symbol, arguments, states = mx.model.load_checkpoint(prefix, 0)
    assert set(symbol.list_arguments()) == {"data", *arguments}
    assert set(symbol.list_auxiliary_states()) == set(states)
    module = mx.mod.Module(symbol, data_names=["data"], label_names=None, context=mx.cpu())
    module.bind([("data", (1, 3, bundle.input_size, bundle.input_size))], for_training=False)
    module.set_params(arguments, states, allow_missing=False, allow_extra=False)
    for seed in range(3):
        frame = noise(bundle, seed)
        module.forward(mx.io.DataBatch([mx.nd.array(frame)]), is_train=False)
        found = module.get_outputs()[0].asnumpy()[0]
        wanted, _, _ = training_graph(frame)
        assert (wanted[:, 0] >= 0).sum() > 10
        np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_model_onnx_gives_the_training_graphs_boxes_and_scores(
    bundle: ModelBundle, training_graph: Callable[..., list[NDArray[np.float32]]]
) -> None:
    session = onnxruntime.InferenceSession(bundle.file("onnx"), providers=["CPUExecutionProvider"])
    for seed in range(3):
        frame = noise(bundle, seed)
        boxes, scores = session.run(["boxes", "scores"], {"data": frame})
        _, classes, wanted_boxes = training_graph(frame)
        np.testing.assert_allclose(boxes[0], wanted_boxes, atol=1e-4)
        np.testing.assert_allclose(scores[0], classes[1:].T, atol=1e-4)


def test_model_onnx_is_standard_and_has_the_promised_ends(bundle: ModelBundle) -> None:
    model = onnx.load(bundle.file("onnx"))
    onnx.checker.check_model(model, full_check=True)
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", 17)]
    ends = {
        end.name: [side.dim_value for side in end.type.tensor_type.shape.dim]
        for end in (*model.graph.input, *model.graph.output)
    }
    anchors, size = ends["boxes"][1], bundle.input_size
    assert ends == {
        "data": [1, 3, size, size],
        "boxes": [1, anchors, 4],
        "scores": [1, anchors, len(bundle.classes)],
    }


def test_the_bundle_tells_what_the_job_and_the_proof_said(artifact: Path, tmp_path: Path) -> None:
    names = ["blue box", "yellow box"]
    steps: list[str] = []
    made = convert(artifact, tmp_path / "boxes", classes=names, progress=steps.append)
    record = ConversionRecord.load(tmp_path / "boxes")
    loaded = ModelBundle.load(tmp_path / "boxes")
    assert made == loaded
    assert (made.name, made.version, made.architecture) == ("boxes", "1.0.0", "resnet-50")
    assert made.classes == ("blue box", "yellow box")
    assert made.hyperparameters["overlap_threshold"] == "0.5"
    assert (made.colour_order, made.mean, made.scale) == ("RGB", (0, 0, 0), (1, 1, 1))
    assert (made.nms.threshold.value, made.nms.threshold.source) == (0.45, "symbol")
    assert (made.nms.score_floor.value, made.nms.score_floor.source) == (0.01, "default")
    assert record is not None
    assert record.bundle_sha256 == made.sha256
    assert [parity.reference for parity in record.parity] == ["mxnet training graph"] * 4
    compared = [parity.compared for parity in record.parity]
    assert compared == [
        "mxnet deployable checkpoint",
        *(f"{name} engine" for name in available_engines()),
    ]
    assert all(parity.max_score_difference < 1e-3 for parity in record.parity)
    assert all(parity.detections > 30 for parity in record.parity)
    assert steps[0].startswith("reading")
    assert steps[-1].startswith("wrote")


def test_without_proof_no_parity_is_claimed_and_classes_have_numbers(
    job: Path, tmp_path: Path
) -> None:
    made = convert(job, tmp_path / "out", name="stock", version="2.1.0", verify=False)
    assert (made.name, made.version) == ("stock", "2.1.0")
    assert made.classes == ("class-0", "class-1")
    record = ConversionRecord.load(tmp_path / "out")
    assert record is not None
    assert (record.parity, record.timings) == ((), ())


def test_the_symbol_wins_over_the_hyperparameters_and_that_is_told(
    job: Path, tmp_path: Path
) -> None:
    edit_hyperparameters(job, nms_threshold="0.3")
    told: list[str] = []
    made = convert(job, tmp_path / "out", verify=False, warn=told.append)
    assert (made.nms.threshold.value, made.nms.threshold.source) == (0.45, "symbol")
    assert told == [
        "nms_threshold is 0.45 in the symbol but 0.3 in the hyperparameters; the symbol wins"
    ]
    record = ConversionRecord.load(tmp_path / "out")
    assert record is not None
    assert record.notes == tuple(told)


def test_the_command_line_wins_over_both_and_the_proof_is_of_what_it_says(
    job: Path, tmp_path: Path
) -> None:
    told: list[str] = []
    wanted = NmsOverrides(threshold=0.2, topk=50, force_suppress=True, score_floor=0.4)
    nms = convert(
        job, tmp_path / "out", nms=wanted, verify=True, timings=False, warn=told.append
    ).nms
    for setting, value in (
        (nms.threshold, 0.2),
        (nms.topk, 50),
        (nms.force_suppress, True),
        (nms.score_floor, 0.4),
    ):
        assert (setting.value, setting.source) == (value, "command line")
    assert nms.clip.source == "default"
    assert [line.split()[0] for line in told] == [
        "nms_threshold",
        "nms_threshold",
        "nms_topk",
        "nms_topk",
        "force_suppress",
    ]
    assert all("the command line wins" in line for line in told)


def test_nothing_is_told_where_the_command_line_repeats_what_was_trained(
    job: Path, tmp_path: Path
) -> None:
    told: list[str] = []
    convert(job, tmp_path / "out", nms=NmsOverrides(threshold=0.45), verify=False, warn=told.append)
    assert told == []


def test_what_the_symbol_lacks_comes_from_the_hyperparameters_then_from_mxnets_default(
    job: Path, tmp_path: Path
) -> None:
    edit_symbol(job, lambda nodes: nodes["detection"].update(attrs={}))
    edit_hyperparameters(job, nms_topk=None, nms_threshold="0.3")
    nms = convert(job, tmp_path / "out", verify=True, timings=False).nms
    assert (nms.threshold.value, nms.threshold.source) == (0.3, "hyperparameters")
    assert (nms.topk.value, nms.topk.source) == (-1, "default")


def test_half_precision_parameters_are_converted(job: Path, tmp_path: Path) -> None:
    def halve(params: dict[str, NDArray[Any]]) -> None:
        params.update({name: array.astype(np.float16) for name, array in params.items()})

    edit_params(job, halve)
    convert(job, tmp_path / "out", verify=True, timings=False)
    record = ConversionRecord.load(tmp_path / "out")
    assert record is not None
    assert max(parity.max_score_difference for parity in record.parity) < 1e-4


def test_converting_twice_gives_the_same_bytes(artifact: Path, job: Path, tmp_path: Path) -> None:
    convert(artifact, tmp_path / "one" / "boxes", verify=False)
    convert(job, tmp_path / "two" / "boxes", verify=False)
    one, two = tree(tmp_path / "one"), tree(tmp_path / "two")
    for report in ("boxes/conversion.json", "boxes/report.html"):  # they name their source
        assert one.pop(report)
        assert two.pop(report)
    assert one == two


def test_no_path_of_this_machine_is_recorded(bundle: ModelBundle, artifact: Path) -> None:
    folder = bundle.file("onnx").parent
    for path in (artifact.parent, folder.parent):
        assert all(str(path).encode() not in content for content in tree(folder).values())


@pytest.mark.parametrize("prefix", ["./", "out/model/"])
def test_members_may_lie_in_a_folder_and_others_are_left_alone(
    prefix: str, job: Path, tmp_path: Path
) -> None:
    members = {f"{prefix}{name}": (job / name).read_bytes() for name in NAMES}
    source = write_tar(tmp_path / "model.tar.gz", {"notes.txt": b"x"} | members)
    convert(source, tmp_path / "here" / "out", verify=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["here", "job", "model.tar.gz"]
    assert len(tree(tmp_path / "here" / "out")) == 6


def test_an_output_that_exists_is_refused_and_left_alone(job: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    convert(job, output, verify=False)
    before = tree(output)
    with pytest.raises(InputError, match=r"out exists; .* or --overwrite"):
        convert(job, output, verify=False)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"empty exists"):
        convert(job, tmp_path / "empty", verify=False)
    assert tree(output) == before


def test_an_old_bundle_is_replaced_whole(job: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    convert(job, output, version="1.0.0", verify=False)
    convert(job, output, version="1.1.0", verify=False, overwrite=True)
    assert ModelBundle.load(output).version == "1.1.0"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["job", "out"]


def test_a_replaced_bundle_is_there_at_every_instant(job: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    convert(job, output, version="1", verify=False)
    seen: set[str] = set()
    stop = threading.Event()

    def look() -> None:
        last = False
        while not last:
            last = stop.is_set()
            seen.add(json.loads((output / "bundle.json").read_bytes())["version"])

    with ThreadPoolExecutor(1) as watcher:
        looking = watcher.submit(look)
        try:
            for version in "234":
                convert(job, output, version=version, verify=False, overwrite=True)
        finally:
            stop.set()
        looking.result()  # raises where the folder was gone for a moment
    assert seen == {"1", "2", "3", "4"}


@pytest.mark.parametrize("stranger", ["notes.txt", "int8/notes.txt"])
def test_a_file_that_the_old_bundle_does_not_list_is_never_lost(
    stranger: str, job: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out"
    convert(job, output, verify=False)
    (output / stranger).parent.mkdir(exist_ok=True)
    (output / stranger).write_text("mine")
    before = tree(output)
    with pytest.raises(InputError, match=rf"{stranger} is no part of the old bundle"):
        convert(job, output, verify=False, overwrite=True)
    assert tree(output) == before


def test_a_failure_leaves_the_old_bundle_as_it_was(job: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    convert(job, output, verify=False)
    before = tree(output)
    edit_hyperparameters(job, num_classes="7")
    with pytest.raises(InputError):
        convert(job, output, verify=False, overwrite=True)
    assert tree(output) == before


def test_a_folder_that_is_no_bundle_is_not_touched(job: Path, tmp_path: Path) -> None:
    output = tmp_path / "holiday"
    output.mkdir()
    (output / "bundle.json").write_text('{"format": "something else"}')
    with pytest.raises(InputError, match=r"holiday exists and is no model bundle"):
        convert(job, output, verify=False, overwrite=True)
    assert list(tree(output)) == ["bundle.json"]


def test_the_archive_holds_the_bundle_and_is_the_same_each_time(job: Path, tmp_path: Path) -> None:
    convert(job, tmp_path / "one" / "boxes", verify=False, archive=True)
    convert(job, tmp_path / "two" / "boxes", verify=False, archive=True)
    archive = tmp_path / "one" / "boxes.tar.gz"
    assert archive.read_bytes() == (tmp_path / "two" / "boxes.tar.gz").read_bytes()
    with tarfile.open(archive) as tar:
        for member in tar.getmembers():
            tar.extract(member, tmp_path / "device")
    bundle = ModelBundle.load(tmp_path / "device")
    assert bundle.sha256 == ModelBundle.load(tmp_path / "one" / "boxes").sha256
    held = {"bundle.json", *(entry.path for entry in bundle.files.values())}
    assert set(tree(tmp_path / "device")) == held


def test_an_archive_that_exists_is_refused_before_anything_is_done(
    job: Path, tmp_path: Path
) -> None:
    (tmp_path / "out.tar.gz").write_text("mine")
    with pytest.raises(InputError, match=r"out\.tar\.gz exists"):
        convert(job, tmp_path / "out", verify=False, archive=True)
    assert (tmp_path / "out.tar.gz").read_text() == "mine"
    assert not (tmp_path / "out").exists()
