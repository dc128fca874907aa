"""`edgetally calibrate`: a picture to place zones and lines by."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from edgetally.config import CameraConfig, load_replay_config
from edgetally.errors import InputError
from edgetally.shortened import listed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgetally.capture import Image
    from edgetally.config import LineConfig, ZoneConfig

_KINDS = (".png", ".jpg", ".jpeg")


def calibrate(
    source: Annotated[
        Optional[str],  # noqa: UP045 - typer reads it at run time on Python 3.10
        typer.Option(
            "--source",
            "-s",
            help="A camera index, a device, a URL, a video file, a folder of images, a pipeline. "
            "Default: the configured camera's.",
        ),
    ] = None,
    config: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(
            "--config", "-c", help="Configuration file whose zones and lines are to be drawn."
        ),
    ] = None,
    camera: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="Which of the configuration's cameras, where it has several."),
    ] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The picture to write: PNG or JPEG.")
    ] = Path("calibration.png"),
) -> None:
    """Write a picture of the scene with a grid in 0-1 and the zones and lines of the config.

    Example: edgetally calibrate --source rtsp://camera.local/stream --config edgetally.yaml
    """
    from edgetally.calibration_picture import calibration_picture  # noqa: PLC0415 - loads OpenCV
    from edgetally.capture.still import take_still  # noqa: PLC0415

    _refuse_output(output, source)
    chosen = _chosen(source, config, camera)
    picture = calibration_picture(take_still(chosen), chosen)
    _write(picture, output)
    height, width = picture.shape[:2]
    drawn = _drawn("line", chosen.lines) + _drawn("zone", chosen.zones)
    typer.echo(f"{output}: {width} x {height}, {listed(drawn) if drawn else 'the grid alone'}")


def _drawn(kind: str, all_of_kind: Sequence[LineConfig | ZoneConfig]) -> list[str]:
    from edgetally.calibration_picture import shown_name  # noqa: PLC0415 - loads OpenCV

    shown = [(one.name, shown_name(kind, all_of_kind, one)) for one in all_of_kind]
    return [f"{kind} {name}" + (f" (as {drawn})" if drawn != name else "") for name, drawn in shown]


def _chosen(source: str | None, config: Path | None, name: str | None) -> CameraConfig:
    """Return the camera that is meant, with the source that is meant."""
    if config is None:
        if source is None:
            raise InputError("give --source, or a --config that names one")
        if name is not None:
            raise InputError("--camera chooses from a configuration; give --config, too")
        return _with_source(CameraConfig(name="camera", source="test:"), source)
    # Who places lines may have no model yet; who gives a source needs none in the configuration.
    cameras = load_replay_config(config, needs_sources=source is None).cameras
    named = [one for one in cameras if name is None or one.name == name]
    if name is not None and not named:
        known = listed([one.name for one in cameras])
        raise InputError(f"configuration {config} has no camera {name!r}; it has {known}")
    if len(named) > 1:
        named = [one for one in named if one.source == source] or named
    if len(named) > 1:
        known = listed([one.name for one in named])
        raise InputError(f"configuration {config} has several cameras; give --camera ({known})")
    return named[0] if source is None else _with_source(named[0], source)


def _with_source(camera: CameraConfig, source: str) -> CameraConfig:
    if not source.strip() or "\0" in source:
        raise InputError("--source is empty; give a camera index, a device, a URL or a file")
    # The camera's password is for its own source alone.
    is_its_own = source.strip() == camera.source.strip()
    login = {} if is_its_own else {"secret_arn": None, "credentials_file": None}
    return camera.model_copy(update={"source": source, **login})


def _refuse_output(output: Path, source: str | None) -> None:
    """Refuse what can't be written, before a camera is opened. InputError."""
    if output.suffix.lower() not in _KINDS:
        raise InputError(f"--output {output}: a picture's name ends in .png or .jpg; rename it")
    if output.is_dir():
        raise InputError(f"--output {output} is a folder; name a file in it")
    if not output.parent.is_dir():
        raise InputError(f"--output {output}: there is no folder {output.parent}; make it first")
    if source is not None and output.exists() and output.resolve() == Path(source).resolve():
        raise InputError(f"--output {output} is the source itself; name another file")


def _write(picture: Image, output: Path) -> None:
    import cv2  # noqa: PLC0415 - takes long to load

    _, encoded = cv2.imencode(output.suffix.lower(), picture)
    place = output.resolve()
    aside = place.with_name(f".partial-{os.getpid()}{place.suffix}")
    try:
        try:
            aside.write_bytes(encoded.tobytes())
            aside.replace(place)
        finally:
            aside.unlink(missing_ok=True)
    except OSError as error:
        is_full = error.errno in {errno.ENOSPC, errno.EDQUOT}
        remedy = "make room" if is_full else "name a file that can be written"
        raise InputError(f"--output {output}: {error.strerror}; {remedy}") from None
