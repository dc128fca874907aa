"""`edgetally replay`: count again what was recorded."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path  # noqa: TC003 - typer reads it at run time
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from edgetally.config import load_replay_config
from edgetally.errors import InputError

if TYPE_CHECKING:
    from edgetally.counting.events import CountEvent, ZoneEvent
    from edgetally.replay import Replay


def replay(
    recording: Annotated[
        Path,
        typer.Argument(
            help="Messages that a transport of type jsonl wrote, or a Ground Truth output "
            "manifest of bounding boxes.",
            metavar="INPUT",
        ),
    ],
    config: Annotated[
        Path,
        typer.Option(
            "--config", "-c", help='Configuration file; a camera named "*" serves any camera.'
        ),
    ],
    fps: Annotated[
        Optional[float],  # noqa: UP045 - typer reads it at run time on Python 3.10
        typer.Option(help="Frames a second of a manifest's videos. Default: the camera's fps."),
    ] = None,
    label_attribute: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="The manifest's label attribute, where it has several."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Count recorded detections again, without cameras and without a model.

    Example: edgetally replay messages.jsonl --config edgetally.yaml --json
    """
    from edgetally.replay import read_recording  # noqa: PLC0415 - loads numpy
    from edgetally.replay import replay as count  # noqa: PLC0415

    if fps is not None and not 0 < fps < float("inf"):
        raise InputError(f"--fps {fps} must be above 0")
    settings = load_replay_config(config)
    known = {camera.name: camera.fps for camera in settings.cameras}
    found = read_recording(recording, fps=fps or known, label=label_attribute)
    counted = count(found, settings)
    for note in counted.notes:
        typer.echo(f"note: {note}", err=True)
    if as_json:
        typer.echo(json.dumps(_as_dict(counted, is_timed=found.is_timed), indent=2))
        return
    for event in counted.events:
        shown = _event(event, is_timed=found.is_timed)
        where = shown.get("line") or shown.get("zone")
        what = shown.get("direction") or shown.get("kind")
        typer.echo(f"{shown['time']}  {event.camera}, {where}: {event.class_name} {what}")
    for name, camera in counted.cameras.items():
        for line, classes in camera.lines.items():
            for class_name, total in classes.items():
                typer.echo(f"{name}, {line}: {class_name}: {total['in']} in, {total['out']} out")
        for zone, inside in camera.zones.items():
            for class_name, number in inside.items():
                typer.echo(f"{name}, {zone}: {class_name}: {number} inside")


def _as_dict(counted: Replay, *, is_timed: bool) -> dict[str, Any]:
    return {
        "cameras": {
            name: {"lines": camera.lines, "zones": camera.zones}
            for name, camera in counted.cameras.items()
        },
        "events": [_event(event, is_timed=is_timed) for event in counted.events],
    }


def _event(event: CountEvent | ZoneEvent, *, is_timed: bool) -> dict[str, Any]:
    names = {"class_name": "class", "track_id": "trackId"}
    shown: dict[str, Any] = {names.get(key, key): value for key, value in asdict(event).items()}
    if "point" in shown:
        shown["point"] = dict(zip("xy", (round(value, 5) for value in shown["point"]), strict=True))
    shown["time"] = _time(event.time, is_timed=is_timed)
    return shown


def _time(seconds: float, *, is_timed: bool) -> str | float:
    if not is_timed:
        return round(seconds, 3)
    moment = datetime.fromtimestamp(seconds, timezone.utc)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
