"""The page on counting: what it shows is what happens."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from edgetally.cli import main
from edgetally.config import parse_config

PAGE = (Path(__file__).parents[2] / "docs" / "counting.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    (found,) = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return str(found)


def test_its_configuration_is_one() -> None:
    content = {"model": {"path": "models/mine"}, **yaml.safe_load(block("yaml"))}

    assert parse_config(content, "counting.md").cameras[0].lines[0].name == "door"


def test_its_replay_prints_what_it_shows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, recording = tmp_path / "dock.yaml", tmp_path / "recording.jsonl"
    config.write_text(block("yaml"), encoding="utf-8")
    recording.write_text(block("json"), encoding="utf-8")

    with pytest.raises(SystemExit) as end:
        main(["replay", str(recording), "--config", str(config)])

    assert end.value.code in {None, 0}
    assert capsys.readouterr().out == block("text")
