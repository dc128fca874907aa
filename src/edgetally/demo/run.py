"""The demo: convert, run the real service over the clip, compare with the truth, show it."""

from __future__ import annotations

import json
import shutil
import time
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from edgetally.config import JsonlTransport, load_config
from edgetally.demo import CLASSES
from edgetally.demo.picture import Report
from edgetally.errors import InputError
from edgetally.service import Service

if TYPE_CHECKING:
    from pathlib import Path

    from edgetally.capture import Frame
    from edgetally.config import Config, EngineName
    from edgetally.counting.events import CameraUpdate, CountEvent

_STATE = "demo-state"
_Counts = dict[str, dict[str, int]]


def run_demo(models: Path, output: Path, engine: EngineName = "auto") -> bool:
    """Run the demo of the folder `models`, leave its results in `output`.

    Returns whether every count equals the truth. InputError where something is missing.
    """
    console = Console(highlight=False)
    truth = _read_truth(models / "demo.json")
    _claim(output)
    _prepare(models, console)
    config = _config(models, output, engine)
    watcher = _Watcher(console, config, output)
    service = Service(config, observer=watcher)
    with watcher:
        service.run()
    counted = _counted(service)
    summary = {
        "expected": truth,
        "counted": counted,
        "frames": watcher.frames,
        "fps": round(watcher.fps, 1),
        "engine": service.engine,
        "precision": service.precision,
    }
    (output / "summary.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    console.print(_table(counted, truth))
    is_right = counted == truth
    console.print(
        f"{watcher.frames} frames at {watcher.fps:.1f} frames/s, {service.engine} "
        f"{service.precision}; results in {output}"
    )
    console.print("[green]counts equal the truth" if is_right else "[red]counts are wrong")
    return is_right


def _read_truth(path: Path) -> _Counts:
    try:
        expected = json.loads(path.read_text(encoding="utf-8"))["expected"]
        return {name: {key: int(n) for key, n in row.items()} for name, row in expected.items()}
    except FileNotFoundError:
        raise InputError(
            f"{path} is missing; run the demo from the top of the repository, or give --models"
        ) from None
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise InputError(f"{path} is damaged ({error}); restore it from the repository") from None


def _claim(output: Path) -> None:
    """Make the folder, marked as the demo's; refuse one that holds something else."""
    try:
        output.mkdir(parents=True, exist_ok=True)
        if not (output / _STATE).exists() and any(output.iterdir()):
            raise InputError(f"{output} holds other files; give --output a new or empty folder")
        (output / _STATE).mkdir(exist_ok=True)
    except OSError as error:
        raise InputError(
            f"{output}: {error.strerror or error}; give --output a writable folder"
        ) from None


def _prepare(models: Path, console: Console) -> None:
    """Convert the artifact; render the clip if the repository came without it."""
    from edgetally.conversion import convert  # noqa: PLC0415 - an extra

    console.print(f"converting {models / 'model.tar.gz'}")
    convert(
        models / "model.tar.gz",
        models / "bundle",
        classes=CLASSES,
        name="boxes",
        verify=False,
        overwrite=True,
    )
    clip = models / "demo.mp4"
    if not clip.exists():
        from edgetally.demo.scene.clip import render_clip  # noqa: PLC0415 - rarely needed

        console.print(f"rendering {clip}")
        render_clip(clip)


def _config(models: Path, output: Path, engine: EngineName) -> Config:
    """The demo's configuration with its paths moved to the folders given, and a clean start."""
    config = load_config(models / "demo.yaml")
    messages, state = output / "messages.jsonl", output / _STATE
    messages.unlink(missing_ok=True)
    shutil.rmtree(state)
    camera = config.cameras[0].model_copy(update={"source": str(models / "demo.mp4")})
    transport = JsonlTransport(type="jsonl", path=messages)
    return config.model_copy(
        update={
            "model": config.model.model_copy(
                update={"path": models / "bundle", "engine": engine, "precision": "fp32"}
            ),
            "cameras": (camera,),
            "publish": config.publish.model_copy(update={"transports": (transport,)}),
            "storage": config.storage.model_copy(update={"path": state}),
        }
    )


def _counted(service: Service) -> _Counts:
    loop = service.loops[0]
    lines = service.totals.get(loop.camera.name, {}).get("door", {})
    in_view = loop.update.in_view if loop.update else {}
    return {
        name: {**lines.get(name, {"in": 0, "out": 0}), "inView": in_view.get(name, 0)}
        for name in service.classes
    }


def _table(counted: _Counts, truth: _Counts) -> Table:
    table = Table(title="Counted (truth)")
    table.add_column("class")
    for heading in ("in", "out", "in view"):
        table.add_column(heading, justify="right")
    for name, row in counted.items():
        known = truth.get(name, {})
        cells = []
        for key in ("in", "out", "inView"):
            colour = "green" if row[key] == known.get(key) else "red"
            cells.append(f"[{colour}]{row[key]}[/] ({known.get(key, '?')})")
        table.add_row(name, *cells)
    return table


class _Watcher:
    """Watches the service: progress bar, a line for each crossing, annotated video, report."""

    def __init__(self, console: Console, config: Config, output: Path) -> None:
        self.frames = 0
        self._console = console
        self._progress = Progress(
            TextColumn("counting"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[fps]:.1f} frames/s"),
            console=console,
        )
        self._report = Report(config.cameras[0], CLASSES, output)
        self._task: Any = None
        self._began = self._ended = time.monotonic()
        self._events: list[CountEvent] = []
        self._first_time: float | None = None

    @property
    def fps(self) -> float:
        """Frames a second so far."""
        return self.frames / max(self._ended - self._began, 1e-9)

    def __enter__(self) -> _Watcher:
        self._progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._progress.stop()
        self._report.close()

    def started(self, service: Service) -> None:
        """Begin the clock."""
        camera = service.loops[0].camera
        self._report.open(camera.fps or 8.0)
        self._task = self._progress.add_task("", total=camera.frame_count, fps=0.0)
        self._began = time.monotonic()

    def frame(self, frame: Frame, update: CameraUpdate) -> None:
        """Draw a frame."""
        self.frames += 1
        self._ended = time.monotonic()
        if self._first_time is None:
            self._first_time = frame.time - frame.media_time
        self._report.frame(frame, update)
        self._progress.update(self._task, completed=self.frames, fps=self.fps)

    def event(self, event: CountEvent) -> None:
        """Print a crossing."""
        seconds = event.time - (self._first_time or event.time)
        colour = "blue" if event.class_name.startswith("blue") else "yellow"
        self._console.print(
            f"{seconds:6.2f} s  [{colour}]{event.class_name:<10}[/] {event.direction:<3} "
            f"over {event.line}  (track {event.track_id}, score {event.score:.2f})"
        )
