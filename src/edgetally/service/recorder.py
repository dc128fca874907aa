"""`Recorder`: writes down what a frame came to, and decides which messages tell of it."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, TypeVar

from edgetally.messaging.messages import (
    CountEventMessage,
    FrameReference,
    HealthMessage,
    InventoryMessage,
    ModelReference,
    Point,
    Totals,
    ZoneEventMessage,
    event_id,
    utc,
)
from edgetally.messaging.seen import detections_message
from edgetally.messaging.topics import Topics
from edgetally.service.condition import state_reason
from edgetally.service.inventory import camera_inventory, site_stock
from edgetally.stock import correct, seen_stock, stock_levels

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    import numpy as np
    from numpy.typing import NDArray

    from edgetally.bundle import ModelBundle
    from edgetally.capture import Frame
    from edgetally.config import Config
    from edgetally.counting.events import CameraUpdate, CountEvent, ZoneEvent
    from edgetally.counting.ledger import Correction, Entry, Stock, Storage
    from edgetally.messaging.messages import CameraHealth, OutboxHealth, StorageHealth
    from edgetally.stock import Recount, StockLevel

_T = TypeVar("_T")
_SET_BACK = 60.0  # seconds; a clock that is corrected as it runs goes back by less


@dataclass(frozen=True)
class _Published:
    """The last detections message of a camera: when, and of which objects."""

    time: float
    objects: frozenset[tuple[int, int]]


class Recorder:
    """Keeps the ledger, and puts each message into its outbox. Any thread may call it.

    Times are seconds since the Unix epoch, given by the caller.
    """

    def __init__(self, config: Config, bundle: ModelBundle, storage: Storage) -> None:
        self._config = config
        self._classes = bundle.classes
        self._model = ModelReference.of(bundle)
        self._storage = storage
        self._topics = Topics(config.publish.topic_prefix, config.publish.thing)
        self._thing = config.publish.thing
        self._lock = threading.Lock()
        self._published: dict[str, _Published] = {}
        self._sites = {camera.name: camera.site for camera in config.cameras}
        self._told_time = self._clock_time = 0.0
        self._told_baselines: dict[tuple[str, str], int] = {}
        self._now: dict[str, CameraUpdate] = {}

    def frame(self, frame: Frame, update: CameraUpdate) -> bool:
        """Write down a frame's events and what is to be told. True if a message was added."""
        # One thread brings a camera's frames, so that those of which nothing is told, nearly all,
        # need not wait until another camera's are on the disk.
        self._now[frame.camera] = update
        wants_detections = self._wants_detections(frame, update)
        if not (wants_detections or update.events or update.zone_events):
            return False

        def record(entry: Entry) -> None:
            if wants_detections:
                self._tell_detections(entry, frame, update)
            self._tell_zone_events(entry, update.zone_events)
            if update.events:
                self._tell_events(entry, update.events)
                self._tell_inventory(entry, frame.time)

        self._write(record)
        return True

    def events(self, events: Sequence[CountEvent], time: float) -> None:
        """Write down events that no frame brought: those settled when a source ends."""

        def record(entry: Entry) -> None:
            self._tell_events(entry, events)
            self._tell_inventory(entry, time)

        self._write(record)

    def health(
        self,
        time: float,
        state: Literal["starting", "running", "stopping"],
        cameras: Mapping[str, CameraHealth],
        engine: tuple[str, str],
        uptime: float,
        outbox: OutboxHealth,
        storage: StorageHealth,
    ) -> None:
        """Tell how the service is; engine is (runtime, precision)."""

        def record(entry: Entry) -> None:
            self._follow_clock(time)
            message = HealthMessage(
                time=self._not_before(time),
                thing=self._thing,
                sequence=entry.next_sequence(self._topics.health),
                model=self._model,
                state=state,
                state_reason=state_reason(cameras, outbox, storage),
                cameras=dict(cameras),
                engine=engine[0],
                precision=engine[1],
                uptime=uptime,
                outbox=outbox,
                storage=storage,
            )
            entry.enqueue(self._topics.health, message.to_json(), "health")

        self._write(record)

    def inventory(self, time: float) -> None:
        """Tell the running totals."""

        def record(entry: Entry) -> None:
            self._follow_clock(time)
            self._tell_inventory(entry, time)

        self._write(record)

    def inventory_if_corrected(self, time: float) -> bool:
        """Tell the totals where another process corrected the stock; whether one did."""
        if _baselines(self._storage.stock()) == self._told_baselines:
            return False
        self.inventory(time)
        return True

    def correct(self, recount: Recount, time: float) -> Correction:
        """Write down that somebody counted. InputError where it can't be true."""
        recount.check(dict.fromkeys(self._sites.values()), self._classes)

        def record(entry: Entry) -> Correction:
            correction = correct(entry, recount, time, self._topics, self._model)
            self._tell_inventory(entry, time)
            return correction

        return self._write(record)

    def _write(self, record: Callable[[Entry], _T]) -> _T:
        # One at a time: times must not go back within a topic, nor its numbers be given out twice.
        with self._lock:
            return self._storage.write(record)

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
        entry.enqueue(topic, message.to_json(), "detections")

    def _tell_zone_events(self, entry: Entry, events: Sequence[ZoneEvent]) -> None:
        for event in events:
            entry.add_zone(event)
            topic = self._topics.events(event.camera)
            sequence = entry.next_sequence(topic)
            message = ZoneEventMessage(
                time=utc(event.time),
                thing=self._thing,
                camera=event.camera,
                sequence=sequence,
                model=self._model,
                id=event_id(event.camera, event.zone, sequence),
                site=self._sites[event.camera],
                zone=event.zone,
                kind=event.kind,
                class_=event.class_name,
                track_id=event.track_id,
                seconds=event.seconds,
            )
            entry.enqueue(topic, message.to_json(), "zone_event")

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
                site=self._sites[event.camera],
                line=event.line,
                direction=event.direction,
                class_=event.class_name,
                track_id=event.track_id,
                score=event.score,
                point=Point(x=event.point[0], y=event.point[1]),
                totals=Totals(in_=totals["in"], out=totals["out"]),
            )
            entry.enqueue(topic, message.to_json(), "count_event")

    def _tell_inventory(self, entry: Entry, time: float) -> None:
        counted = entry.totals()
        occupancy = {name: update.occupancy for name, update in self._now.items()}
        seen = seen_stock(self._config.cameras, self._classes, occupancy)
        entry.see(seen, time)
        stock = entry.stock()
        self._told_baselines = _baselines(stock)
        levels = stock_levels(self._sites.values(), self._classes, stock, seen)
        message = InventoryMessage(
            time=self._not_before(time),
            thing=self._thing,
            sequence=entry.next_sequence(self._topics.inventory),
            model=self._model,
            cameras={
                camera.name: camera_inventory(
                    camera,
                    self._classes,
                    counted.get(camera.name, {}),
                    self._now.get(camera.name),
                )
                for camera in self._config.cameras
            },
            sites={
                site: {name: site_stock(level) for name, level in classes.items()}
                for site, classes in levels.items()
            },
            stock=_over_all_sites(levels),
        )
        entry.enqueue(self._topics.inventory, message.to_json(), "inventory")

    def _follow_clock(self, time: float) -> None:
        """Let times go back where the service's clock was set back; a file's go as they like."""
        if time < self._clock_time - _SET_BACK:
            self._told_time = time
        self._clock_time = time

    def _not_before(self, time: float) -> datetime:
        """Keep times of messages in order: a file's clock runs ahead of the service's."""
        self._told_time = max(self._told_time, time)
        return utc(self._told_time)


def _baselines(stock: Mapping[str, Mapping[str, Stock]]) -> dict[tuple[str, str], int]:
    """Return what corrections change, and nothing else does: by site and class, if not 0."""
    return {
        (site, name): one.baseline
        for site, classes in stock.items()
        for name, one in classes.items()
        if one.baseline
    }


def _over_all_sites(levels: Mapping[str, Mapping[str, StockLevel]]) -> dict[str, int]:
    counts = Counter[str]()
    for classes in levels.values():
        counts.update({name: level.stock.count for name, level in classes.items()})
    return dict(counts)


def published(update: CameraUpdate, confident: NDArray[np.bool_]) -> CameraUpdate:
    """Leave out the weak detections that no track owns; confident: bool [N]."""
    found = update.detections
    kept = confident if found.track_ids is None else confident | (found.track_ids >= 0)
    return replace(update, detections=found.select(kept))
