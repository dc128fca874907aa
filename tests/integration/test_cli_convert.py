"""`edgetally convert` as a user meets it: real processes, their output, exit codes and leavings."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from training_job import edit_hyperparameters, edit_params, tree, unpacked

from edgetally.bundle import ModelBundle

if TYPE_CHECKING:
    from collections.abc import Iterable

COMMAND = [sys.executable, "-c", "from edgetally.cli import main; main()", "convert"]
# What a shell runs in the background is deaf to SIGINT, and so is what that starts.
HEARING = [
    sys.executable,
    "-c",
    (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "from edgetally.cli import main; main()"
    ),
    "convert",
]
# What a machine without MXNet answers to its import.
WITHOUT_MXNET = [
    sys.executable,
    "-c",
    "import sys; sys.modules['mxnet'] = None; from edgetally.cli import main; main()",
    "convert",
]


def convert(
    *arguments: str | Path, command: Iterable[str] = COMMAND
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*command, *map(str, arguments)], capture_output=True, text=True, check=False, timeout=200
    )


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("frames")
    rng = np.random.default_rng(7)
    for number in range(6):
        small = rng.integers(0, 256, (9, 16, 3), np.uint8)
        cv2.imwrite(str(folder / f"{number}.png"), cv2.resize(small, (320, 180)))
    return folder


@pytest.fixture(scope="module")
def converted(
    artifact: Path, images: Path, tmp_path_factory: pytest.TempPathFactory
) -> subprocess.CompletedProcess[str]:
    output = tmp_path_factory.mktemp("here") / "boxes"
    done = convert(artifact, "-o", output, "--calibration", images, "--archive")
    done.args = output
    assert done.returncode == 0, done.stderr
    return done


def test_in_a_pipe_a_conversion_says_what_it_made_and_what_to_know(
    converted: subprocess.CompletedProcess[str],
) -> None:
    assert converted.stdout.splitlines() == [
        f"{converted.args}: boxes 1.0.0, resnet-50, 300 x 300, classes class-0, class-1"
    ]
    (note,) = converted.stderr.splitlines()
    assert note.startswith("edgetally: note: int8 was calibrated on 6 images only")


def test_every_promised_file_is_there(converted: subprocess.CompletedProcess[str]) -> None:
    output = Path(str(converted.args))
    assert set(tree(output)) == {
        "bundle.json",
        "conversion.json",
        "deploy_model_algo_1-0000.params",
        "deploy_model_algo_1-symbol.json",
        "int8/model.onnx",
        "model.onnx",
        "report.html",
    }
    assert (output.parent / "boxes.tar.gz").exists()
    record = json.loads((output / "conversion.json").read_text())
    timed = {(timing["engine"], timing["precision"]) for timing in record["timings"]}
    assert timed >= {
        ("openvino", "fp32"),
        ("openvino", "int8"),
        ("onnxruntime", "fp32"),
        ("onnxruntime", "int8"),
        ("mxnet", "fp32"),
    }
    assert [entry["engine"] for entry in record["agreement"]] == ["openvino", "onnxruntime"]
    assert record["calibrationImages"] == 6
    page = (output / "report.html").read_text()
    assert page.count("data:image/jpeg") == 6
    for form in ("MXNet", "fp32", "int8"):
        assert form in page


def test_without_mxnet_the_same_bundle_is_made_and_the_engines_are_compared(
    converted: subprocess.CompletedProcess[str], artifact: Path, images: Path, tmp_path: Path
) -> None:
    output = tmp_path / "boxes"
    done = convert(artifact, "-o", output, "--calibration", images, command=WITHOUT_MXNET)
    assert done.returncode == 0, done.stderr
    record = json.loads((output / "conversion.json").read_text())
    assert [(entry["reference"], entry["compared"]) for entry in record["parity"]] == [
        ("onnxruntime engine", "openvino engine")
    ]
    with_mxnet, without = tree(Path(str(converted.args))), tree(output)
    for of_this_machine in ("conversion.json", "report.html"):
        del with_mxnet[of_this_machine], without[of_this_machine]
    assert without == with_mxnet


def test_on_a_terminal_the_steps_are_shown(artifact: Path, tmp_path: Path) -> None:
    ours, its = pty.openpty()
    with subprocess.Popen(
        [*COMMAND, str(artifact), "-o", str(tmp_path / "boxes"), "--no-verify"],
        stdout=subprocess.DEVNULL,
        stderr=its,
    ) as process:
        os.close(its)
        shown = b""
        while True:
            try:
                part = os.read(ours, 4096)
            except OSError:  # Linux's way to say that the other end is closed
                break
            if not part:
                break
            shown += part
    os.close(ours)
    assert process.returncode == 0
    steps = shown.decode().splitlines()
    assert steps[0] == f"reading {artifact}"
    assert steps[-1] == f"wrote {tmp_path / 'boxes'}"


def test_settings_of_the_command_line_are_told_and_kept(artifact: Path, tmp_path: Path) -> None:
    job = unpacked(artifact, tmp_path / "job")
    edit_hyperparameters(job, nms_threshold="0.3")
    done = convert(
        *(job, "-o", tmp_path / "boxes", "--no-verify"),
        *("--nms-topk", "50", "--force-suppress", "--score-floor", "0.2"),
    )
    assert done.returncode == 0
    assert done.stderr.splitlines() == [
        (
            "edgetally: note: nms_threshold is 0.45 in the symbol but 0.3 in the hyperparameters; "
            "the symbol wins"
        ),
        (
            "edgetally: note: nms_topk is 50 on the command line but 400 in the symbol; "
            "the command line wins"
        ),
        (
            "edgetally: note: nms_topk is 50 on the command line but 400 in the hyperparameters; "
            "the command line wins"
        ),
        (
            "edgetally: note: force_suppress is True on the command line but False in the symbol; "
            "the command line wins"
        ),
    ]
    nms = ModelBundle.load(tmp_path / "boxes").nms
    assert (nms.topk.value, nms.topk.source) == (50, "command line")
    assert (nms.force_suppress.value, nms.force_suppress.source) == (True, "command line")
    assert (nms.score_floor.value, nms.score_floor.source) == (0.2, "command line")


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--nms-threshold", "0"], "--nms-threshold 0 must be above 0"),
        (["--nms-threshold", "nan"], "--nms-threshold nan must be above 0"),
        (["--nms-topk", "0"], "--nms-topk 0 must be 1 to 2147483647"),
        (["--score-floor", "1"], "--score-floor 1 must be 0 or more"),
        (["--image-shape", "0"], "--image-shape 0 must be between"),
        (["--image-shape", "512"], "hyperparams.json says 300"),
        (["--classes", "one"], "1 class names"),
        (["--classes", "absent.txt"], "absent.txt"),
        (["--calibration", "absent"], "absent does not exist"),
        (["--training-job", "job"], "and not both"),
    ],
    ids=" ".join,
)
def test_a_bad_option_is_one_line_and_leaves_nothing(
    arguments: list[str], problem: str, artifact: Path, tmp_path: Path
) -> None:
    done = convert(artifact, "-o", tmp_path / "boxes", "--no-verify", *arguments)
    assert done.returncode == 2, done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert problem in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_neither_source_nor_job_is_one_line(tmp_path: Path) -> None:
    done = convert("-o", tmp_path / "boxes")
    assert done.returncode == 2
    assert done.stderr == "edgetally: give either a SOURCE or --training-job, and not both\n"


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--bogus"], "No such option: --bogus; see edgetally convert --help"),
        (["--nms-threshold", "abc"], "'--nms-threshold'"),
        ([], "Missing option '--output'"),
    ],
    ids=" ".join,
)
def test_a_command_line_that_makes_no_sense_is_one_line(arguments: list[str], problem: str) -> None:
    done = convert("model.tar.gz", *arguments)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1, done.stderr
    assert problem in done.stderr


def test_a_symbol_of_an_older_mxnet_is_converted_in_silence(artifact: Path, tmp_path: Path) -> None:
    job = unpacked(artifact, tmp_path / "job")
    symbol = json.loads((job / "model_algo_1-symbol.json").read_text())
    symbol["attrs"] = {"mxnet_version": ["int", 10300]}
    (job / "model_algo_1-symbol.json").write_text(json.dumps(symbol))
    done = convert(job, "-o", tmp_path / "boxes")
    assert (done.returncode, done.stderr) == (0, "")


def test_the_archive_that_is_converted_is_never_replaced(artifact: Path, tmp_path: Path) -> None:
    source = tmp_path / "boxes.tar.gz"
    source.write_bytes(artifact.read_bytes())
    flags = ("--no-verify", "--archive", "--overwrite")
    done = convert(source, "-o", tmp_path / "boxes", *flags)
    assert done.returncode == 2
    assert "is what is converted" in done.stderr
    done = convert(artifact, "-o", tmp_path / "boxes", *flags)
    assert done.returncode == 2
    assert "is no bundle's archive" in done.stderr
    assert source.read_bytes() == artifact.read_bytes()
    assert not (tmp_path / "boxes").exists()
    source.unlink()
    for _ in range(2):  # its own archive is replaced
        assert convert(artifact, "-o", tmp_path / "boxes", *flags).returncode == 0


def test_an_output_is_where_its_path_leads(artifact: Path, tmp_path: Path) -> None:
    output = tmp_path / "absent" / ".." / "boxes"
    assert convert(artifact, "-o", output, "--no-verify").returncode == 0
    assert [path.name for path in tmp_path.iterdir()] == ["boxes"]
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    done = convert(artifact, "-o", loop / "boxes", "--no-verify")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_conversion_that_is_ended_leaves_nothing(
    number: signal.Signals, artifact: Path, images: Path, tmp_path: Path
) -> None:
    arguments = [str(artifact), "-o", str(tmp_path / "boxes"), "--calibration", str(images)]
    with subprocess.Popen([*HEARING, *arguments]) as process:
        while not any(tmp_path.iterdir()):  # its folder stands as soon as there is much to do
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(number)
    assert process.returncode == (130 if number == signal.SIGINT else 128 + number)
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_conversion_left_is_removed_by_a_later_one(
    artifact: Path, tmp_path: Path
) -> None:
    with subprocess.Popen([*COMMAND, str(artifact), "-o", str(tmp_path / "boxes")]) as process:
        while not any(tmp_path.iterdir()):
            time.sleep(0.01)
        process.kill()
    (left,) = tmp_path.iterdir()
    assert convert(artifact, "-o", tmp_path / "one", "--no-verify").returncode == 0
    assert left.exists()  # so young a folder may be another's, who has not locked it yet
    os.utime(left, (0, 0))
    assert convert(artifact, "-o", tmp_path / "two", "--no-verify").returncode == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "two"]


def test_variances_of_an_untrained_network_are_told(artifact: Path, tmp_path: Path) -> None:
    job = unpacked(artifact, tmp_path / "job")
    name = "aux:bn0_moving_var"
    edit_params(job, lambda arrays: arrays.update({name: -arrays[name]}))
    done = convert(job, "-o", tmp_path / "boxes", "--no-verify")
    assert done.returncode == 0
    assert "1 BatchNorms (bn0) have negative moving variances" in done.stderr
