"""What `scripts/benchmark.py` is told, and what it prints."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from edgetally.benchmark.outputs import (
    make_folder,
    refuse_unwritable,
    termination_interrupts,
)
from edgetally.benchmark.run import QUICK, Settings, run, write
from edgetally.benchmark.tables import machine_line, sheets
from edgetally.errors import EdgetallyError

if TYPE_CHECKING:
    from collections.abc import Sequence


_FILE_WIDTH = 160  # of lines that go to a file
_MOST_ROUNDS, _MOST_SECONDS = 100, 120


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse, measure, print and write; tell an error in one line. Return the exit status."""
    options = _parser().parse_args(arguments)
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _FILE_WIDTH
    errors = Console(stderr=True, highlight=False)
    settings = QUICK if options.quick else Settings()
    if options.rounds:
        settings = replace(settings, rounds=options.rounds)
    if options.seconds:
        settings = replace(settings, seconds=options.seconds)
    try:
        make_folder(options.output)
        if options.markdown:
            refuse_unwritable(options.markdown)
        with termination_interrupts():
            report = run(
                options.work,
                settings,
                demo_archive=options.models / "model.tar.gz",
                own_bundle=options.bundle,
                tell=lambda line: console.print(line, style="dim"),
            )
        write(report, options.output, options.markdown)
    except EdgetallyError as error:
        errors.print(f"benchmark: {error}", soft_wrap=True, markup=False)
        return error.exit_code
    except KeyboardInterrupt:
        errors.print("\nstopped; no result was written")
        return 130
    console.print(machine_line(report))
    for sheet in sheets(report):
        console.print()
        console.print(sheet.for_terminal())
    console.print(f"\nwrote {options.output / 'performance.json'} and performance.png")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="benchmark",
        description="Measure the loop on this device beside the original sample's way and the "
        "bare engine. Leave the device alone meanwhile: it takes some minutes.",
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("out/benchmark"),
        help="where performance.json and performance.png go (default: out/benchmark)",
    )
    parser.add_argument("--markdown", type=Path, help="a page to write the tables into, too")
    parser.add_argument(
        "--work",
        type=Path,
        default=Path("out/benchmark"),
        help="where videos and models are kept once made (default: out/benchmark)",
    )
    parser.add_argument(
        "--models",
        type=Path,
        default=Path("models/boxes"),
        help="folder of the demo's artifact (default: models/boxes)",
    )
    parser.add_argument("--bundle", type=Path, help="measure this bundle only")
    parser.add_argument("--rounds", type=_whole, help="rounds over all ways (default: 3)")
    parser.add_argument("--seconds", type=_seconds, help="seconds of each measurement (default: 2)")
    parser.add_argument(
        "--quick", action="store_true", help="try it: the default engine only, too short to trust"
    )
    return parser


def _whole(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) <= _MOST_ROUNDS:
        raise argparse.ArgumentTypeError(f"expected a whole number, 1 to {_MOST_ROUNDS}")
    return int(text)


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= _MOST_SECONDS:
        raise argparse.ArgumentTypeError(f"expected a number above 0, at most {_MOST_SECONDS}")
    return value
