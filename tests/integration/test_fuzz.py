"""The fuzzers of the readers, for as many runs as a test may take."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("atheris", reason="atheris has no wheel for this Python")

FUZZERS = Path(__file__).parents[1] / "fuzz"


@pytest.mark.parametrize("name", ["fuzz_params", "fuzz_symbol", "fuzz_archive", "fuzz_request"])
def test_only_bad_input_comes_out_of_hostile_bytes(name: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, FUZZERS / f"{name}.py", "-atheris_runs=3000", "-seed=1"],
        capture_output=True,
        text=True,
        errors="replace",
        timeout=120,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Done 3000" in done.stderr
    assert list(tmp_path.iterdir()) == []
