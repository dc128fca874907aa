"""What is kept of configurations that were good."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest

from edgetally.service.last_configuration import LastConfiguration

if TYPE_CHECKING:
    from pathlib import Path

CONTENT = {"model": {"path": "boxes"}, "cameras": [{"name": "dock", "source": "0", "x": "null"}]}


def test_the_latest_one_is_there_after_a_restart(tmp_path: Path) -> None:
    last = LastConfiguration(tmp_path / "state")
    assert last.content is None
    last.keep({"model": {"path": "before"}})
    last.keep(CONTENT)
    assert last.content == LastConfiguration(tmp_path / "state").content == CONTENT
    assert [each.name for each in (tmp_path / "state").iterdir()] == ["configuration.json"]


def test_nobody_else_may_read_it(tmp_path: Path) -> None:
    (tmp_path / "configuration.json.new").write_text("left by a kill, and readable")
    LastConfiguration(tmp_path).keep(CONTENT)
    assert stat.S_IMODE((tmp_path / "configuration.json").stat().st_mode) == 0o600


@pytest.mark.parametrize("damaged", ["", '{"model"', "[1]", "\x00" * 100, "[" * 100_000, "\ud800"])
def test_a_damaged_file_is_told_and_left_out(
    tmp_path: Path, damaged: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "configuration.json"
    path.write_bytes(damaged.encode(errors="surrogatepass"))
    last = LastConfiguration(tmp_path)
    assert last.content is None
    assert f"{path} is left out: it is no" in caplog.text
    last.keep(CONTENT)
    assert LastConfiguration(tmp_path).content == CONTENT


def test_what_is_no_ordinary_file_is_left_out(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "configuration.json")
    assert LastConfiguration(tmp_path).content is None


def test_a_disk_that_takes_nothing_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "state").write_text("a file where the folder should be")
    last = LastConfiguration(tmp_path / "state")
    last.keep(CONTENT)
    assert "configuration.json can't be written (" in caplog.text
    assert last.content == CONTENT
