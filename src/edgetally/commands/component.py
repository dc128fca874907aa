"""`edgetally component`: build the Greengrass component, publish it, deploy it."""

from __future__ import annotations

import typer

from edgetally.commands.component_build import build
from edgetally.commands.component_cloud import deploy, local, publish

component = typer.Typer(
    name="component",
    help="Build the Greengrass component, publish it, deploy it.",
    no_args_is_help=True,
)
component.command()(build)
component.command()(publish)
component.command()(deploy)
component.command()(local)
