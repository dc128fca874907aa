"""The whole benchmark: make what is needed, measure in turn, write JSON, chart and tables."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from edgetally.benchmark.accuracy import measure_accuracy
from edgetally.benchmark.chart import draw_chart
from edgetally.benchmark.many_cameras import measure_cameras, measure_still
from edgetally.benchmark.models import make_demo_bundle, make_full_bundle
from edgetally.benchmark.outputs import make_folder
from edgetally.benchmark.own_work import measure_own_work
from edgetally.benchmark.paced_stream import paced_stream
from edgetally.benchmark.report import Report
from edgetally.benchmark.rounds import LiveTimes, measure_model, possible_ways
from edgetally.benchmark.surroundings import describe_machine, load
from edgetally.benchmark.tables import machine_line, sheets
from edgetally.benchmark.targets import judge
from edgetally.benchmark.videos import make_videos
from edgetally.bundle import ModelBundle
from edgetally.errors import EdgetallyError, InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgetally.benchmark.accuracy import Accuracy
    from edgetally.benchmark.rounds import Way

_BEGIN, _END = "<!-- measured: scripts/benchmark.py writes what follows -->", "<!-- /measured -->"

_LIVE = LiveTimes(warm_up=3.0, seconds=4.0)


@dataclass(frozen=True)
class Settings:
    """How much is measured.

    video_seconds: length of the video that is read as fast as it can be. every_way: each engine
    and precision, or only what is the default. cameras: numbers of live cameras; still_cameras 0
    and scenes 0 leave their parts out.
    """

    rounds: int = 3
    seconds: float = 2.0
    live: LiveTimes = _LIVE
    video_seconds: float = 40.0
    every_way: bool = True
    cameras: tuple[int, ...] = (1, 2, 4, 8, 16)
    still_cameras: int = 8
    scenes: int = 250


QUICK = Settings(
    rounds=1,
    seconds=0.3,
    live=LiveTimes(0.5, 0.5),
    video_seconds=1.0,
    every_way=False,
    cameras=(1,),
    still_cameras=0,
    scenes=0,
)


def run(
    work: Path,
    settings: Settings,
    *,
    demo_archive: Path,
    own_bundle: Path | None,
    tell: Callable[[str], None],
) -> Report:
    """Measure everything, one process at a time.

    work: folder for what is made once. own_bundle: measured in place of the demo's bundle and of
    the full-size network; then accuracy is left out, its pictures are not known.
    Raises InputError for a missing artifact or bundle, EdgetallyError where a measurement fails.
    """
    if own_bundle is None and not demo_archive.exists():
        raise InputError(f"{demo_archive} is missing; run from the top of the repository")
    make_folder(work)
    machine, load_before = describe_machine(), load()
    videos = make_videos(work, seconds=settings.video_seconds, tell=tell)
    folders = _bundles(work, Path(videos.file.path), settings, demo_archive, own_bundle, tell)
    bundles = [ModelBundle.load(folder) for folder in folders]
    ways = possible_ways(
        every=settings.every_way, may_hold={"avx512_vnni"} <= set(machine.features)
    )
    models = []
    with ExitStack() as stack:
        live, still = (
            stack.enter_context(paced_stream(Path(video.path), video.fps))
            for video in (videos.moving, videos.still)
        )
        for folder, bundle in zip(folders, bundles, strict=True):
            is_last = folder == folders[-1]
            models.append(
                measure_model(
                    folder,
                    bundle,
                    ways if is_last else tuple(way for way in ways if not way.held_to),
                    file=videos.file.path,
                    live=live,
                    rounds=settings.rounds,
                    # the demo's small network does enough frames in half the time
                    seconds=settings.seconds if is_last else settings.seconds / 2,
                    cores=machine.cores,
                    live_times=settings.live if settings.every_way else None,
                    tell=tell,
                )
            )
        rows = []
        for count in settings.cameras:
            tell(f"{count} live cameras")
            try:
                rows.append(measure_cameras(folders[-1], live, count, settings.live))
            except EdgetallyError as error:  # more than this device can open
                tell(f"left out: {error}")
                break
        at_rest = None
        if settings.still_cameras:
            tell(f"{settings.still_cameras} cameras of a still scene")
            try:
                at_rest = measure_still(folders[-1], still, settings.still_cameras, settings.live)
            except EdgetallyError as error:
                tell(f"left out: {error}")
    tell("postprocessing, tracking, accuracy")
    report = Report(
        time=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        rounds=settings.rounds,
        seconds=settings.seconds,
        machine=machine,
        load=(load_before, load()),
        file=videos.file.nameless(),
        live=videos.moving.nameless(),
        models=tuple(models),
        cameras_model=bundles[-1].name,
        cameras=tuple(rows),
        still=at_rest,
        own_work=measure_own_work(bundles[-1]),
        accuracy=_accuracy(folders[0], ways, settings) if own_bundle is None else (),
    )
    return report.model_copy(update={"targets": judge(report)})


def write(report: Report, folder: Path, markdown: Path | None) -> None:
    """Write `performance.json`, `performance.png` and, where asked for, the tables as Markdown.

    In a page that holds the two comments of an earlier run, what stands between them is replaced.
    """
    make_folder(folder)
    text = report.model_dump_json(by_alias=True, indent=2) + "\n"
    (folder / "performance.json").write_text(text, encoding="utf-8")
    draw_chart(folder / "performance.png", report)
    if markdown is None:
        return
    parts = [machine_line(report), *(sheet.markdown() for sheet in sheets(report))]
    measured = "\n\n".join(part.strip() for part in parts)
    page = markdown.read_text(encoding="utf-8") if markdown.exists() else ""
    before, begin, rest = page.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    kept = (before, after) if begin and end else ("", "\n")
    markdown.write_text(f"{kept[0]}{_BEGIN}\n\n{measured}\n\n{_END}{kept[1]}", encoding="utf-8")


def _bundles(
    work: Path,
    video: Path,
    settings: Settings,
    demo_archive: Path,
    own_bundle: Path | None,
    tell: Callable[[str], None],
) -> list[Path]:
    """The models to measure, the one that the targets are about last."""
    if own_bundle is not None:
        return [own_bundle]
    folders = [make_demo_bundle(demo_archive, work, tell=tell)]
    if settings.every_way:
        full = make_full_bundle(work, video, tell=tell)
        if full is not None:
            folders.append(full)
    return folders


def _accuracy(bundle: Path, ways: tuple[Way, ...], settings: Settings) -> tuple[Accuracy, ...]:
    if not settings.scenes:
        return ()
    engines = [
        (way.engine, way.precision) for way in ways if way.engine != "auto" and not way.held_to
    ]
    return measure_accuracy(bundle, engines, scenes=settings.scenes)
