"""`edgetally doctor`: what this device lacks, a line each, with the remedy."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path  # noqa: TC003 - typer reads it at run time
from typing import Annotated, Optional

import typer

from edgetally.config import load_config


def doctor(
    config: Annotated[
        Optional[Path],  # noqa: UP045 - typer reads it at run time on Python 3.10
        typer.Option(
            "--config",
            "-c",
            help="Configuration whose model, cameras, storage and transports to try, too.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, an object a line.")] = False,
) -> None:
    """Look whether this device can run edgetally; exit 1 where something would fail.

    Example: edgetally doctor --config edgetally.yaml
    """
    from edgetally.doctor import examine  # noqa: PLC0415 - loads OpenCV

    is_well = True
    for finding in examine(load_config(config) if config is not None else None):
        typer.echo(json.dumps(asdict(finding)) if as_json else str(finding))
        is_well = is_well and finding.state != "wrong"
    if not is_well:
        raise typer.Exit(1)
