"""What `edgetally inspect` tells of bundles and of artifacts that are not converted yet."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tracemalloc
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from recorded import copied, record_of
from training_job import (
    HYPERPARAMETERS,
    edit_hyperparameters,
    edit_params,
    edit_symbol,
    unpacked,
)

from edgetally.conversion.artifact.archive import TrainingArtifact
from edgetally.conversion.artifact.symbol import Graph, Node
from edgetally.conversion.report.artifact_summary import summarize
from edgetally.conversion.report.inspection import describe
from edgetally.errors import InputError
from locked_folder import locked_folder

if TYPE_CHECKING:
    from pathlib import Path

    from edgetally.bundle import ModelBundle


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def text_of(path: Path) -> str:
    stream = io.StringIO()
    describe(path).show(stream)
    return stream.getvalue()


def json_of(path: Path) -> Any:
    return json.loads(describe(path).to_json())


@pytest.fixture
def made(bundle: ModelBundle, tmp_path: Path) -> ModelBundle:
    return copied(bundle, tmp_path / "boxes")


@pytest.fixture
def job(artifact: Path, tmp_path: Path) -> Path:
    return unpacked(artifact, tmp_path / "job")


@pytest.mark.parametrize("place", ["", "bundle.json"])
def test_a_bundle_tells_what_was_recorded_of_it(made: ModelBundle, place: str) -> None:
    folder = made.file("onnx").parent
    record = record_of(made)
    record.write(folder)
    text = text_of(folder / place)
    assert text.startswith(f"{folder}: bundle boxes 1.0.0\n")
    for told in (
        "Classes (2)       blue box, yellow box",
        "- nms_threshold is 0.45 in the symbol but 0.3 in the hyperparameters",
        "Compared with the mxnet training graph on 5 frames with 1,312 detections",
        "Fastest on this machine: openvino int8, 50.0 ms a frame.",
        "Example 9000",
    ):
        assert told in text
    assert "Warning" not in text
    content = json_of(folder / place)
    assert content["kind"] == "bundle"
    assert content["bundle"]["classes"] == ["blue box", "yellow box"]
    assert content["record"] == record.model_dump(mode="json", by_alias=True)
    assert content["recordMatches"] is True


def test_columns_stand_under_their_titles_in_a_pipe(made: ModelBundle) -> None:
    record_of(made).write(made.file("onnx").parent)
    lines = text_of(made.file("onnx").parent).splitlines()
    start = next(i for i, line in enumerate(lines) if "Milliseconds" in line)
    assert [line.split() for line in lines[start : start + 3]] == [
        ["Engine", "Milliseconds", "A", "second", "Runs"],
        ["openvino", "int8", "50.0", "20.0", "10"],
        ["onnxruntime", "fp32", "200.0", "5.0", "10"],
    ]
    ends = {
        line.index(word) + len(word)
        for line, word in zip(
            lines[start : start + 3], ("Milliseconds", "50.0", "200.0"), strict=True
        )
    }
    assert len(ends) == 1
    assert not any(line != line.rstrip() or "\x1b" in line for line in lines)


@pytest.mark.parametrize("width", [40, 80, 200])
def test_a_terminal_gets_tables_with_the_same_words(
    made: ModelBundle, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    folder = made.file("onnx").parent
    record_of(made, notes=("[red]not markup[/red]",)).write(folder)
    stream = Terminal()
    describe(folder).show(stream)
    text = stream.getvalue()
    assert "\x1b[" in text
    assert "[red]not markup[/red]" in text
    assert "Example 9000" in text
    assert "─" in text
    for word in ("onnxruntime", "Detections", "26,543,210", "0.0642", "0.963"):
        assert word in text  # nothing is cut or broken where the terminal is narrow


def test_a_bundle_without_a_record_says_that_nothing_is_recorded(made: ModelBundle) -> None:
    folder = made.file("onnx").parent
    text = text_of(folder)
    assert "no proof, timing or graph is recorded of this bundle" in text
    assert "model.onnx" in text
    content = json_of(folder)
    assert (content["record"], content["recordMatches"]) == (None, None)
    assert content["fileSizes"]["model.onnx"] == made.file("onnx").stat().st_size


def test_the_record_of_another_bundle_is_warned_of(made: ModelBundle) -> None:
    folder = made.file("onnx").parent
    record_of(made, bundle_sha256="0" * 64).write(folder)
    lines = text_of(folder).splitlines()
    assert lines[2] == "Warning"
    assert "conversion.json tells of another bundle (000000000000…" in lines[3]
    assert json_of(folder)["recordMatches"] is False


def test_a_changed_bundle_is_refused(made: ModelBundle) -> None:
    made.file("onnx").write_bytes(b"something else")
    with pytest.raises(InputError, match=r"model.onnx was changed"):
        describe(made.file("onnx").parent)


@pytest.mark.parametrize("packed", [True, False])
def test_an_artifact_tells_what_was_trained(artifact: Path, job: Path, packed: bool) -> None:
    path = artifact if packed else job
    content = json_of(path)
    assert content["kind"] == "artifact"
    assert (content["architecture"], content["classes"], content["imageShape"]) == (
        "resnet-50",
        2,
        300,
    )
    assert (content["convertible"], content["problems"]) == (True, [])
    assert {"setting": "nms_threshold", "value": "0.45", "source": "symbol"} in content["nms"]
    assert {"setting": "nms_topk", "value": "400", "source": "hyperparameters"} in content["nms"]
    assert [head["name"] for head in content["heads"]] == [
        "cls_prob",
        "loc_loss",
        "cls_label",
        "det_out",
    ]
    held = TrainingArtifact.read(artifact)
    nodes = [node for node in held.graph.nodes if node.op != "null"]
    assert sum(content["operators"].values()) == len(nodes)
    assert content["operators"]["_contrib_MultiBoxPrior"] == 6
    numbers = sum(array.size for array in held.params.values())
    assert content["parameters"] == {
        "arrays": len(held.params),
        "numbers": numbers,
        "bytes": 4 * numbers,
        "types": {"float32": len(held.params)},
    }
    text = text_of(path)
    assert "Not converted yet. Nothing speaks against converting it." in text
    assert f"{numbers:,} in {len(held.params)} arrays" in text


def test_half_precision_is_told(job: Path) -> None:
    def halve(params: dict[str, Any]) -> None:
        params.update({name: array.astype(np.float16) for name, array in params.items()})

    edit_params(job, halve)
    parameters = json_of(job)["parameters"]
    assert parameters["types"] == {"float16": parameters["arrays"]}
    assert parameters["bytes"] == 2 * parameters["numbers"]


def test_an_unknown_operator_is_named_with_its_nodes(job: Path) -> None:
    def spoil(nodes: dict[str, dict[str, Any]]) -> None:
        nodes["relu0"]["op"] = nodes["stage1_unit1_relu1"]["op"] = "Teleport"
        nodes["loc_loss_"]["op"] = "OnlyForTraining"

    edit_symbol(job, spoil)
    content = json_of(job)
    assert content["convertible"] is False
    assert content["problems"] == [
        "The operator Teleport is not supported (nodes relu0, stage1_unit1_relu1)."
    ]
    text = text_of(job)
    assert "Not converted yet. It can't be converted:" in text
    assert "- The operator Teleport" in text


def test_missing_and_broken_parameters_are_named(job: Path) -> None:
    def spoil(params: dict[str, Any]) -> None:
        del params["arg:conv0_weight"]
        broken = params["arg:bn0_gamma"].copy()
        broken[0] = np.nan
        params["arg:bn0_gamma"] = broken

    edit_params(job, spoil)
    assert json_of(job)["problems"] == [
        "Parameters are missing: conv0_weight.",
        "Parameters are not finite: bn0_gamma.",
    ]


def test_what_steers_a_terminal_is_replaced(job: Path) -> None:
    edit_hyperparameters(job, optimizer="\x1b]0;owned\x07sgd")
    assert "\x1b" in json.loads((job / HYPERPARAMETERS).read_text())["optimizer"]
    text = text_of(job)
    assert "\x1b" not in text
    assert "\N{REPLACEMENT CHARACTER}]0;owned\N{REPLACEMENT CHARACTER}sgd" in text


def test_an_exported_network_tells_its_classes_without_hyperparameters() -> None:
    nodes = (
        Node("null", "data", {}),
        Node("Reshape", "scores", {"shape": "(0, -1, 21)"}, ((0, 0, 0),)),
        Node("softmax", "probabilities", {"axis": "-1"}, ((1, 0, 0),)),
        Node("_contrib_box_nms", "nms", {"overlap_thresh": "0.45"}, ((2, 0, 0),)),
    )
    graph = Graph(nodes, ((3, 0, 0),), {})
    summary = summarize(TrainingArtifact(graph, {}, {}))
    assert (summary.classes, summary.image_shape) == (20, None)
    assert summary.nms == (("overlap_thresh", "0.45", "symbol"),)


@pytest.mark.parametrize("on_terminal", [True, False])
def test_a_long_value_is_cut_but_not_in_json(job: Path, on_terminal: bool) -> None:
    edit_hyperparameters(job, optimizer="x" * 300_000)
    stream = Terminal() if on_terminal else io.StringIO()
    describe(job).show(stream)
    assert "(300000 characters)" in stream.getvalue().replace("\n", "")
    assert len(stream.getvalue()) < 30_000
    assert json_of(job)["hyperparameters"]["optimizer"] == "x" * 300_000


@pytest.mark.parametrize("name", ["bundle.json", "conversion.json", "model.onnx"])
@pytest.mark.parametrize("kind", ["pipe", "device", "3 GB"])
def test_what_is_no_ordinary_file_of_a_bundle_is_not_read(
    made: ModelBundle, name: str, kind: str
) -> None:
    path = made.file("onnx").with_name(name)
    path.unlink(missing_ok=True)
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        with path.open("wb") as file:
            file.truncate(3 << 30)
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match=name):
            describe(path.parent)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


def test_a_place_that_may_not_be_seen_is_one_line() -> None:
    with locked_folder() as folder:
        for path in (folder, folder / "model.tar.gz", folder / "bundle.json"):
            with pytest.raises(InputError, match=r"Permission denied\b") as caught:
                describe(path)
            assert "\n" not in str(caught.value)


def test_neither_mxnet_nor_onnx_is_needed(artifact: Path) -> None:
    program = (
        "import sys; sys.modules.update(mxnet=None, onnx=None); from pathlib import Path; "
        "from edgetally.conversion.report.inspection import describe; "
        f"print(describe(Path({str(artifact)!r})).to_json())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    content = json.loads(done.stdout)
    assert (content["classes"], content["convertible"]) == (2, None)


@pytest.mark.parametrize("name", ["missing", "nul\0", "missing/bundle.json", "x" * 5000, "ring"])
def test_a_path_that_holds_nothing_is_one_line(tmp_path: Path, name: str) -> None:
    (tmp_path / "ring").symlink_to("ring")
    with pytest.raises(InputError) as caught:
        describe(tmp_path / name)
    assert str(caught.value).isprintable()  # and so one line
    assert len(str(caught.value)) < 500
    assert "give" in str(caught.value)
