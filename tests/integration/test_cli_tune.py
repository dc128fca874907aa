"""`edgetally tune` as a program: what it refuses, what it leaves behind, and in which order."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from edgetally.bundle import ModelBundle

# The whole command, with a budget that tests can wait for.
PROGRAM = """
import functools
import edgetally.tuning
edgetally.tuning.tune = functools.partial(edgetally.tuning.tune, budget_seconds=1.0)
from edgetally.cli import main
main()
"""


def tune(
    place: Path, *arguments: object, stdout: int = subprocess.PIPE
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, "tune", *map(str, arguments)],
        env={**os.environ, "EDGETALLY_TUNING": str(place)},
        stdout=stdout,
        stderr=subprocess.PIPE,
        check=False,
        text=True,
    )


def folder_of(bundle: ModelBundle) -> Path:
    return bundle.file("onnx").parent


def test_the_json_tells_what_was_left_out_and_the_choice_is_kept(
    bundle: ModelBundle, tmp_path: Path
) -> None:
    done = tune(tmp_path / "t.json", folder_of(bundle), "--json", "--fps", "1000")

    assert done.returncode == 0, done.stderr
    content = json.loads(done.stdout)
    assert content["wantedFramesPerSecond"] == 1000
    assert any("could be measured" in note for note in content["notes"])
    (choice,) = json.loads((tmp_path / "t.json").read_text())["choices"]
    assert (choice["bundle"], choice["name"]) == (bundle.sha256, bundle.name)


def test_a_result_that_nobody_reads_is_kept(bundle: ModelBundle, tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        tune(tmp_path / "t.json", folder_of(bundle), stdout=writer)
    finally:
        os.close(writer)

    assert len(json.loads((tmp_path / "t.json").read_text())["choices"]) == 1


def test_a_file_that_is_not_of_tune_is_refused_before_anything_is_measured(
    bundle: ModelBundle, tmp_path: Path
) -> None:
    (tmp_path / "config.yaml").write_text("model: {}\n")

    done = tune(tmp_path / "config.yaml", folder_of(bundle))

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1
    assert "config.yaml is not a file of edgetally tune; it is left as it is" in done.stderr
    assert (tmp_path / "config.yaml").read_text() == "model: {}\n"


def test_an_archive_is_told_from_a_bundle(artifact: Path, tmp_path: Path) -> None:
    done = tune(tmp_path / "t.json", artifact)

    assert done.returncode == 2
    assert f"{artifact} is a file, not the folder of a bundle" in done.stderr
    assert f"edgetally convert {artifact} --output FOLDER" in done.stderr


@pytest.mark.parametrize(
    "arguments", [("--cameras", "1025"), ("--fps", "1e308"), ("--fps", "inf"), ("--cameras", "0")]
)
def test_numbers_out_of_all_reason_are_refused(
    bundle: ModelBundle, tmp_path: Path, arguments: tuple[str, str]
) -> None:
    done = tune(tmp_path / "t.json", folder_of(bundle), *arguments)

    assert done.returncode == 2
    assert f"{arguments[0]} " in done.stderr
    assert "at most" in done.stderr
