"""`edgetally doctor`: what this device lacks, a line each, with the remedy."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict
from pathlib import Path  # noqa: TC003 - typer reads it at run time
from typing import Annotated, Optional

import typer

from edgetally.errors import InputError


def doctor(
    config: Annotated[
        Optional[Path],  # noqa: UP045 - typer reads it at run time on Python 3.10
        typer.Option(
            "--config",
            "-c",
            help="Configuration whose model, cameras, storage and transports to try, too.",
        ),
    ] = None,
    greengrass: Annotated[
        bool,
        typer.Option(
            "--greengrass",
            help="The configuration is a deployment's, on top of the component's defaults; paths "
            "are meant from the component's work folder: start doctor there.",
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, an object a line.")] = False,
) -> None:
    """Look whether this device can run edgetally; exit 1 where something would fail.

    Example: edgetally doctor --config edgetally.yaml
    """
    if greengrass and config is None:
        raise InputError("--greengrass goes with --config; give the deployment's file")
    from edgetally.doctor import examine, of_deployment, of_file  # noqa: PLC0415 - loads OpenCV

    given = None if config is None else (of_deployment if greengrass else of_file)(config)
    if logging.getLogger().level > logging.DEBUG:
        # What a nucleus denies is a finding here, and not to be told twice.
        logging.getLogger("edgetally.greengrass").setLevel(logging.CRITICAL)
    is_well = True
    for finding in examine(given):
        typer.echo(json.dumps(asdict(finding)) if as_json else str(finding))
        is_well = is_well and finding.state != "wrong"
    if not is_well:
        raise typer.Exit(1)
