"""What the tests at the stand-in nucleus share: nuclei that end with the test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from nucleus_client import DEFAULTS, recipe

from edgetally.nucleus import Nucleus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Nucleus]]:
    started: list[Nucleus] = []

    def start(*recipes: Any, **options: Any) -> Nucleus:
        given = recipes or (recipe(defaults=DEFAULTS),)
        nucleus = Nucleus(tmp_path / f"nucleus{len(started)}", given, thing="dock-1", **options)
        nucleus.start()
        started.append(nucleus)
        return nucleus

    yield start
    for nucleus in started:
        nucleus.stop()
