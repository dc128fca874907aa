"""`replay`: counting alone, over a recording."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain, pairwise
from typing import TYPE_CHECKING

import numpy as np

from edgetally.config import ANY_CAMERA
from edgetally.counting.camera_counter import CameraCounter
from edgetally.errors import InputError
from edgetally.shortened import listed, shortened

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from edgetally.config import CameraConfig, Config
    from edgetally.counting.events import CountEvent, ZoneEvent
    from edgetally.replay.moment import Moment
    from edgetally.replay.recording import Recording

_LONG_GAP = 2.0  # seconds: what is not seen for longer is no longer followed


@dataclass(frozen=True)
class CameraReplay:
    """What one camera counted.

    lines: {line: {class: {"in": n, "out": n}}}, every line and each class that it counts. zones:
    {zone: {class: n}}, as they are at the end. events: crossings and what zones tell, in order of
    time.
    """

    lines: Mapping[str, Mapping[str, Mapping[str, int]]]
    zones: Mapping[str, Mapping[str, int]]
    events: tuple[CountEvent | ZoneEvent, ...]


@dataclass(frozen=True)
class Replay:
    """What counting made of a recording, by camera, and what a reader of it should know."""

    cameras: Mapping[str, CameraReplay]
    notes: tuple[str, ...] = ()

    @property
    def events(self) -> tuple[CountEvent | ZoneEvent, ...]:
        """Those of all cameras, in order of time."""
        events = (event for camera in self.cameras.values() for event in camera.events)
        return tuple(sorted(events, key=lambda event: event.time))


def replay(recording: Recording, config: Config) -> Replay:
    """Count a recording as the cameras of the configuration say.

    A camera is configured by its name, or else by an entry named "*"; one that is neither is left
    out, which a note tells, as it does of a class that is never seen. Boxes that people drew count
    whatever their score; others as the model's thresholds say. InputError where no camera is
    configured.
    """
    known = {camera.name: camera for camera in config.cameras}
    classes = _all_classes(recording.classes, config.cameras)
    thresholds = np.array(
        [config.model.class_thresholds.get(name, config.model.score_threshold) for name in classes],
        np.float32,
    )
    cameras: dict[str, CameraReplay] = {}
    notes = list(recording.notes)
    unseen: dict[str, str] = {}
    for name, moments in sorted(recording.cameras.items()):
        camera = known.get(name) or known.get(ANY_CAMERA)
        if camera is None:
            notes.append(f"camera {name!r} is not in the configuration; it is left out")
            continue
        mine = camera.model_copy(update={"name": name})
        cameras[name] = _counted(mine, classes, moments, thresholds)
        unseen = _unseen(mine, recording.classes) | unseen
        gap = max((later.time - sooner.time for sooner, later in pairwise(moments)), default=0.0)
        if gap > _LONG_GAP and not moments[0].is_certain:
            notes.append(
                f"camera {name!r}: up to {gap:.0f} s between two recorded frames; counts are right "
                "where every frame was recorded (publish.detections: {mode: every, minInterval: 0})"
            )
    there = f"it has {listed(recording.classes)}" if recording.classes else "it has none"
    notes += [
        f"class {shortened(name)!r} of {where} is nowhere in the recording; {there}"
        for name, where in unseen.items()
    ]
    if not cameras:
        raise InputError(
            f"the configuration names none of the recorded cameras ({listed(recording.cameras)}); "
            'name one of its cameras so, or "*", which serves any'
        )
    return Replay(cameras, tuple(notes))


def _counted(
    camera: CameraConfig,
    classes: Sequence[str],
    moments: Sequence[Moment],
    thresholds: NDArray[np.float32],
) -> CameraReplay:
    counter = CameraCounter(camera, classes)
    lines = {
        line.name: {name: {"in": 0, "out": 0} for name in line.classes or classes}
        for line in camera.lines
    }
    zones: Mapping[str, Mapping[str, int]] = {
        zone.name: dict.fromkeys(zone.classes or classes, 0) for zone in camera.zones
    }
    crossings: list[CountEvent] = []
    told: list[ZoneEvent] = []
    for time, found, is_certain in moments:
        confident = found.scores >= thresholds[found.class_ids]
        update = counter.update(found, time, np.ones_like(confident) if is_certain else confident)
        crossings += update.events
        told += update.zone_events
        zones = update.occupancy
    crossings += counter.finish()
    for crossing in crossings:
        lines[crossing.line][crossing.class_name][crossing.direction] += 1
    events: list[CountEvent | ZoneEvent] = [*crossings, *told]
    return CameraReplay(lines, zones, tuple(sorted(events, key=lambda event: event.time)))


def _unseen(camera: CameraConfig, seen: Sequence[str]) -> dict[str, str]:
    """The classes that a line or a zone names and that were never seen, with where they stand."""
    named = [
        *((name, f"line {line.name!r}") for line in camera.lines for name in line.classes or ()),
        *((name, f"zone {zone.name!r}") for zone in camera.zones for name in zone.classes or ()),
    ]
    return {name: where for name, where in reversed(named) if name not in seen}


def _all_classes(seen: Sequence[str], cameras: Sequence[CameraConfig]) -> tuple[str, ...]:
    """Add what lines and zones name, though it was never seen: a model would know it."""
    lines = (line.classes for camera in cameras for line in camera.lines)
    zones = (zone.classes for camera in cameras for zone in camera.zones)
    named = chain.from_iterable((*lines, *zones))
    return tuple(dict.fromkeys((*seen, *named)))
