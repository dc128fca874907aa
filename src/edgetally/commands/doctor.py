"""`edgetally doctor`: what this device lacks, a line each, with the remedy."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict
from pathlib import Path  # noqa: TC003 - typer reads it at run time
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from edgetally.config import load_config
from edgetally.config.from_nucleus import config_of_nucleus
from edgetally.config.reading import read_yaml
from edgetally.errors import InputError

if TYPE_CHECKING:
    from edgetally.config import Config


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
    from edgetally.doctor import examine  # noqa: PLC0415 - loads OpenCV

    configured = None if config is None else (_deployed if greengrass else load_config)(config)
    if logging.getLogger().level > logging.DEBUG:
        # What a nucleus denies is a finding here, and not to be told twice.
        logging.getLogger("edgetally.greengrass").setLevel(logging.CRITICAL)
    is_well = True
    for finding in examine(configured):
        typer.echo(json.dumps(asdict(finding)) if as_json else str(finding))
        is_well = is_well and finding.state != "wrong"
    if not is_well:
        raise typer.Exit(1)


def _deployed(path: Path) -> Config:
    """Read a deployment's file as the component would have it."""
    from edgetally.component.configuring import merged  # noqa: PLC0415 - of this alone
    from edgetally.component.default_configuration import default_configuration  # noqa: PLC0415

    change = read_yaml(path)
    if not isinstance(change, dict):
        raise InputError(f"configuration {path}: expected keys such as cameras")
    whole = merged(default_configuration(), change)
    whole.pop("accessControl", None)  # Greengrass's own
    return config_of_nucleus(whole, thing="")
