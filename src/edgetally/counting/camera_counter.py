"""`CameraCounter`: from the detections of one camera to its count events and occupancy."""

from __future__ import annotations

import difflib
import math
from typing import TYPE_CHECKING

from edgetally.counting.events import CameraUpdate, CountEvent, ZoneEvent
from edgetally.counting.line import Crossing, LineCounter
from edgetally.counting.tracker import Tracker, TrackerSettings
from edgetally.counting.zone import Stay, Zone
from edgetally.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from edgetally.config import CameraConfig, LineConfig
    from edgetally.detections import Detections


class CameraCounter:
    """Follows the objects in a camera's view, over its lines and through its zones.

    It may be given detections below the score that is published: weak ones keep a track alive.
    """

    def __init__(
        self,
        camera: CameraConfig,
        classes: Sequence[str],
        *,
        settings: TrackerSettings | None = None,
    ) -> None:
        """Count for `camera`; `classes` are the model's.

        InputError where a line or zone names a class that the model does not have.
        """
        check_classes([camera], classes)
        self._camera = camera.name
        self._classes = tuple(classes)
        self._tracker = Tracker(settings, name=camera.name)
        self._lines = {line.name: LineCounter(line, classes) for line in camera.lines}
        self._zones = {zone.name: Zone(zone, classes) for zone in camera.zones}

    def become(self, camera: CameraConfig) -> None:
        """Go on with other lines and zones, and the same tracks.

        A line or zone that stays as it was goes on undisturbed. What crossed a line before it was
        there, or where it was before, does not count again. `check_classes` is the caller's.
        """
        tracks, lines, zones = self._tracker.tracks, self._lines, self._zones
        self._lines = {line.name: self._line(line, lines.get(line.name)) for line in camera.lines}
        for line in camera.lines:
            if line.name not in lines:
                self._lines[line.name].begin_among(tracks)
        self._zones = {}
        for zone in camera.zones:
            known = zones.get(zone.name)
            if known is None:
                known = Zone(zone, self._classes)
                known.begin_among(tracks)
            else:
                known.become(zone, self._classes)
            self._zones[zone.name] = known

    def _line(self, line: LineConfig, known: LineCounter | None) -> LineCounter:
        if known is None:
            return LineCounter(line, self._classes)
        return known if known.line == line else known.moved(line, self._classes)

    def know(self, classes: Sequence[str]) -> None:
        """Take the names of the class ids, where there are more now; known ones keep theirs."""
        if len(classes) == len(self._classes):
            return
        self._classes = tuple(classes)
        for line in self._lines.values():
            line.know(classes)
        for zone in self._zones.values():
            zone.know(classes)

    def update(
        self,
        detections: Detections,
        time: float,
        confident: NDArray[np.bool_] | None = None,
        *,
        rested: float = 0.0,
    ) -> CameraUpdate:
        """Take the detections of one frame at `time` (seconds, finite, never going back).

        ValueError for another time; nothing is changed then.
        confident: bool [N], the rows that may begin tracks; absent: as `TrackerSettings` says.
        rested: seconds so far in which nothing moved, so that no frame was looked at, and which
        are in no time: tracks do not grow old in them, but what stands in a zone stays there.
        """
        if not math.isfinite(time):
            raise ValueError(f"the time of a frame is {time}, which is no number of seconds")
        tracked = self._tracker.update(detections, time, confident)
        tracks = self._tracker.tracks
        events = [
            event
            for name, line in self._lines.items()
            for event in self._events(name, line.update(tracks, time, rested))
        ]
        zone_events = [
            self._zone_event(name, stay)
            for name, zone in self._zones.items()
            for stay in zone.update(tracks, time, rested)
        ]
        seen = [track.class_id for track in tracks]
        return CameraUpdate(
            detections=tracked,
            tracks=tracks,
            events=tuple(sorted(events, key=lambda event: event.time)),
            occupancy={
                name: {self._classes[i]: n for i, n in zone.occupancy.items()}
                for name, zone in self._zones.items()
            },
            in_view={name: seen.count(i) for i, name in enumerate(self._classes)},
            zone_events=tuple(sorted(zone_events, key=lambda event: event.time)),
        )

    def finish(self) -> tuple[CountEvent, ...]:
        """Settle the crossings that are under way when a video ends.

        What is in a zone then has not left it.
        """
        return tuple(
            event
            for name, line in self._lines.items()
            for event in self._events(name, line.finish())
        )

    def _events(self, line: str, crossings: Iterable[Crossing]) -> list[CountEvent]:
        return [
            CountEvent(
                camera=self._camera,
                line=line,
                direction=crossing.direction,
                class_name=self._classes[crossing.class_id],
                track_id=crossing.track_id,
                time=crossing.time,
                score=crossing.score,
                point=crossing.point,
            )
            for crossing in crossings
        ]

    def _zone_event(self, zone: str, stay: Stay) -> ZoneEvent:
        return ZoneEvent(
            camera=self._camera,
            zone=zone,
            kind=stay.kind,
            class_name=self._classes[stay.class_id],
            track_id=stay.track_id,
            time=stay.time,
            seconds=stay.seconds,
        )


def check_classes(cameras: Iterable[CameraConfig], classes: Sequence[str]) -> None:
    """InputError where a line or zone names a class that is not among the model's."""
    for camera in cameras:
        for line in camera.lines:
            _check_names(line.classes, classes, f"camera {camera.name!r}, line {line.name!r}")
        for zone in camera.zones:
            _check_names(zone.classes, classes, f"camera {camera.name!r}, zone {zone.name!r}")


def _check_names(names: Iterable[str], classes: Sequence[str], where: str) -> None:
    for name in names:
        if name not in classes:
            near = difflib.get_close_matches(name, classes, n=1, cutoff=0.0)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise InputError(f"{where}: the model has no class {name!r}{hint}")
