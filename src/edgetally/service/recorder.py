"""`Recorder`: writes down what a frame came to, and decides which messages tell of it."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from edgetally.messaging.messages import (
    CameraHealth,
    CameraInventory,
    CountEventMessage,
    FrameReference,
    HealthMessage,
    InventoryMessage,
    ModelReference,
    Point,
    Totals,
    event_id,
    utc,
)
from edgetally.messaging.seen import detections_message
from edgetally.messaging.topics import Topics

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    import numpy as np
    from numpy.typing import NDArray

    from edgetally.bundle import ModelBundle
    from edgetally.capture import Frame
    from edgetally.config import CameraConfig, Config
    from edgetally.counting.events import CameraUpdate, CountEvent
    from edgetally.counting.ledger import Entry, Ledger


@dataclass(frozen=True)
class _Published:
    """The last detections message of a camera: when, and of which objects."""

    time: float
    objects: frozenset[tuple[int, int]]


class Recorder:
    """Keeps the ledger, and puts each message into its outbox. Any thread may call it.

    Times are seconds since the Unix epoch, given by the caller.
    """

    def __init__(self, config: Config, bundle: ModelBundle, ledger: Ledger) -> None:
        self._config = config
        self._classes = bundle.classes
        self._model = ModelReference.of(bundle)
        self._ledger = ledger
        self._topics = Topics(config.publish.topic_prefix, config.publish.thing)
        self._thing = config.publish.thing
        self._lock = threading.Lock()
        self._published: dict[str, _Published] = {}
        self._told_time = 0.0
        self._now: dict[str, CameraUpdate] = {}

    def frame(self, frame: Frame, update: CameraUpdate) -> bool:
        """Write down a frame's events and what is to be told. True if a message was added."""
        # One thread brings a camera's frames, so that those of which nothing is told, nearly all,
        # need not wait until another camera's are on the disk.
        self._now[frame.camera] = update
        wants_detections = self._wants_detections(frame, update)
        if not (wants_detections or update.events):
            return False
        with self._lock, self._ledger.transaction() as entry:
            if wants_detections:
                self._tell_detections(entry, frame, update)
            if update.events:
                self._tell_events(entry, update.events)
                self._tell_inventory(entry, frame.time)
        return True

    def events(self, events: Sequence[CountEvent], time: float) -> None:
        """Write down events that no frame brought: those settled when a source ends."""
        with self._lock, self._ledger.transaction() as entry:
            self._tell_events(entry, events)
            self._tell_inventory(entry, time)

    def health(
        self,
        time: float,
        state: Literal["starting", "running", "stopping"],
        cameras: Mapping[str, CameraHealth],
        engine: tuple[str, str],
        uptime: float,
    ) -> None:
        """Tell how the service is; engine is (runtime, precision)."""
        with self._lock, self._ledger.transaction() as entry:
            message = HealthMessage(
                time=self._not_before(time),
                thing=self._thing,
                sequence=entry.next_sequence(self._topics.health),
                model=self._model,
                state=state,
                cameras=dict(cameras),
                engine=engine[0],
                precision=engine[1],
                uptime=uptime,
            )
            entry.enqueue(self._topics.health, message.to_json())

    def inventory(self, time: float) -> None:
        """Tell the running totals."""
        with self._lock, self._ledger.transaction() as entry:
            self._tell_inventory(entry, time)

    def _wants_detections(self, frame: Frame, update: CameraUpdate) -> bool:
        policy = self._config.publish.detections
        if policy.mode == "never":
            return False
        last = self._published.get(frame.camera)
        if last is not None and frame.time - last.time < policy.min_interval:
            return False
        objects = frozenset((track.id, track.class_id) for track in update.tracks)
        if policy.mode == "onChange" and objects == (last.objects if last else frozenset()):
            return False
        self._published[frame.camera] = _Published(frame.time, objects)
        return True

    def _tell_detections(self, entry: Entry, frame: Frame, update: CameraUpdate) -> None:
        height, width = frame.image.shape[:2]
        topic = self._topics.detections(frame.camera)
        message = detections_message(
            update.detections,
            classes=self._classes,
            frame=FrameReference(index=frame.index, width=width, height=height),
            time=frame.time,
            thing=self._thing,
            camera=frame.camera,
            sequence=entry.next_sequence(topic),
            model=self._model,
        )
        entry.enqueue(topic, message.to_json())

    def _tell_events(self, entry: Entry, events: Sequence[CountEvent]) -> None:
        for event in events:
            entry.add(event)
            topic = self._topics.events(event.camera)
            sequence = entry.next_sequence(topic)
            totals = entry.totals()[event.camera][event.line][event.class_name]
            message = CountEventMessage(
                time=utc(event.time),
                thing=self._thing,
                camera=event.camera,
                sequence=sequence,
                model=self._model,
                id=event_id(event.camera, event.line, sequence),
                line=event.line,
                direction=event.direction,
                class_=event.class_name,
                track_id=event.track_id,
                score=event.score,
                point=Point(x=event.point[0], y=event.point[1]),
                totals=Totals(in_=totals["in"], out=totals["out"]),
            )
            entry.enqueue(topic, message.to_json())

    def _tell_inventory(self, entry: Entry, time: float) -> None:
        counted = entry.totals()
        message = InventoryMessage(
            time=self._not_before(time),
            thing=self._thing,
            sequence=entry.next_sequence(self._topics.inventory),
            model=self._model,
            cameras={
                camera.name: self._camera_inventory(camera, counted.get(camera.name, {}))
                for camera in self._config.cameras
            },
            stock=dict.fromkeys(self._classes, 0) | entry.stock(),
        )
        entry.enqueue(self._topics.inventory, message.to_json())

    def _not_before(self, time: float) -> datetime:
        """Keep times of messages in order: a file's clock runs ahead of the service's."""
        self._told_time = max(self._told_time, time)
        return utc(self._told_time)

    def _camera_inventory(
        self, camera: CameraConfig, counted: Mapping[str, Mapping[str, Mapping[str, int]]]
    ) -> CameraInventory:
        def totals(line: str, class_name: str) -> Totals:
            found = counted.get(line, {}).get(class_name, {})
            return Totals(in_=found.get("in", 0), out=found.get("out", 0))

        now = self._now.get(camera.name)
        nothing = {
            zone.name: dict.fromkeys(zone.classes or self._classes, 0) for zone in camera.zones
        }
        return CameraInventory(
            lines={
                line.name: {name: totals(line.name, name) for name in line.classes or self._classes}
                for line in camera.lines
            },
            zones={name: dict(n) for name, n in now.occupancy.items()} if now else nothing,
            in_view=dict(now.in_view) if now else dict.fromkeys(self._classes, 0),
        )


def published(update: CameraUpdate, confident: NDArray[np.bool_]) -> CameraUpdate:
    """Leave out the weak detections that no track owns; confident: bool [N]."""
    found = update.detections
    kept = confident if found.track_ids is None else confident | (found.track_ids >= 0)
    return replace(update, detections=found.select(kept))
