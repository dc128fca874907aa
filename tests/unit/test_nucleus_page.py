"""docs/nucleus.md says what there is."""

from __future__ import annotations

import re
from pathlib import Path

import typer.main

from edgetally.cli import app
from edgetally.nucleus import Nucleus
from edgetally.nucleus.control import COMMANDS

PAGE = (Path(__file__).parents[2] / "docs" / "nucleus.md").read_text(encoding="utf-8")


def test_every_command_is_on_the_page_with_its_words() -> None:
    told = re.findall(r"^\| `([^`]*)` \|", PAGE, re.MULTILINE)
    wanted = {f"{name} {command.words}".rstrip() for name, command in COMMANDS.items()}
    assert wanted <= {line.replace("\\|", "|") for line in told}


def test_every_option_is_on_the_page() -> None:
    group = typer.main.get_command(app)
    options = {option for param in group.commands["nucleus"].params for option in param.opts}  # type: ignore[attr-defined]
    assert {option for option in options if option.startswith("--")} <= set(
        re.findall(r"--[a-z-]+", PAGE)
    )


def test_every_method_that_the_page_names_is_there() -> None:
    named = re.findall(r"nucleus\.([a-z_]+)", PAGE.partition("## In tests")[2])
    assert named
    nucleus = [*dir(Nucleus), "record"]
    assert set(named) <= set(nucleus)
