"""`edgetally component build`: recipes and artifacts from this checkout."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from edgetally.errors import InputError

if TYPE_CHECKING:
    from edgetally.component.building import Built

_BUILD = Path("greengrass-component/build")


def build(
    output: Annotated[
        Optional[Path],  # noqa: UP045 - typer reads it at run time on Python 3.10
        typer.Option(
            "--output", "-o", help=f"Folder for recipes and artifacts. Default: {_BUILD}."
        ),
    ] = None,
    wheelhouse: Annotated[
        bool,
        typer.Option("--wheelhouse", help="Pack every wheel, for devices without internet."),
    ] = False,
    platform: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(help="x86_64 or aarch64, of the devices; may be repeated. Default: x86_64."),
    ] = None,
    python: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(help="Python of the devices; may be repeated. Default: 3.11."),
    ] = None,
    model: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="Bundle to build the model's component from, in place of the counter's."),
    ] = None,
    version: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="Component version. Default: edgetally's, or the bundle's."),
    ] = None,
    source: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="Checkout to build from. Default: the one that this program runs from."),
    ] = None,
    gdk: Annotated[
        bool,
        typer.Option(
            "--gdk",
            help="Build into greengrass-build, as gdk-config.json here has it; for the GDK.",
        ),
    ] = False,
) -> None:
    """Build the counter's component, or a model's: its recipe and its artifact.

    Example: edgetally component build --wheelhouse --platform aarch64 --python 3.11
    """
    from edgetally.component.building import build_counter, build_model  # noqa: PLC0415 - slow
    from edgetally.component.checkout import Checkout  # noqa: PLC0415
    from edgetally.component.gdk import build_for_gdk  # noqa: PLC0415
    from edgetally.component.target import Target  # noqa: PLC0415

    if (platform or python) and not wheelhouse:
        raise InputError("--platform and --python choose wheels; add --wheelhouse")
    if model is not None and wheelhouse:
        raise InputError("a model has no wheels; leave --wheelhouse out")
    asked = {"--output": output, "--model": model, "--version": version}
    if gdk and (given := [name for name, value in asked.items() if value is not None]):
        raise InputError(
            f"gdk-config.json says what --gdk builds, which version and where; leave "
            f"{' and '.join(given)} out"
        )
    checkout = Checkout.here() if source is None else Checkout.at(source)
    if checkout.caution is not None:
        typer.echo(checkout.caution)
    if output is not None and output.resolve() == checkout.root.resolve():
        raise InputError(f"--output {output} is the checkout itself; give a folder of its own")
    targets = [
        Target.of(each, of)
        for each in (platform or ["x86_64"] if wheelhouse else ())
        for of in python or ["3.11"]
    ]
    if gdk:
        _tell(build_for_gdk(checkout, Path(), targets))
    elif model is not None:
        _tell(build_model(checkout, output or _BUILD, model, version))
    else:
        _tell(build_counter(checkout, output or _BUILD, targets, version))


def _tell(built: Built) -> None:
    typer.echo(built.recipe)
    for artifact in built.artifacts:
        typer.echo(f"{artifact} ({artifact.stat().st_size / 1e6:.2f} MB)")
