"""What the fuzzers share: start atheris with bounds on time and memory, and valid seeds."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import atheris
from hostile_bytes import damaged

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_BOUNDS = ("-timeout=10", "-rss_limit_mb=2048", "-max_len=65536")


def fuzz(
    try_one: Callable[[bytes], None],
    seeds: Sequence[bytes],
    damage: Callable[[bytes, int, int], bytes] = damaged,
) -> None:
    """Call try_one with damaged seeds until -atheris_runs are done; any exception ends it.

    damage: takes valid bytes, a seed and the most bytes it may return.
    """

    def mutate(data: bytes, largest: int, seed: int) -> bytes:
        if seed % 4 == 0:
            return bytes(atheris.Mutate(data, largest))
        return damage(data or seeds[seed % len(seeds)], seed, largest)[:largest]

    given = [argument.split("=")[0] for argument in sys.argv[1:]]
    bounds = [bound for bound in _BOUNDS if bound.split("=")[0] not in given]
    with tempfile.TemporaryDirectory() as folder:
        for number, seed in enumerate(seeds):
            (Path(folder) / f"seed-{number}").write_bytes(seed)
        # Crashing inputs belong to who started this, and not into the checkout.
        arguments = [*sys.argv, *bounds, f"-artifact_prefix={tempfile.gettempdir()}/", folder]
        atheris.Setup(arguments, try_one, custom_mutator=mutate)
        atheris.Fuzz()
