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
    from collections.abc import Callable, Collection, Mapping, Sequence
    from datetime import datetime

    import numpy as np
    from numpy.typing import NDArray

    from edgetally.bundle import ModelBundle
    from edgetally.capture import Frame
    from edgetally.config import Config
    from edgetally.counting.events import CameraUpdate, CountEvent, ZoneEvent
    from edgetally.counting.ledger import Correction, Entry, Stock, Storage
    from edgetally.messaging.messages import (
        CameraHealth,
        ModelCandidate,
        OutboxHealth,
        StorageHealth,
    )
    from edgetally.service.model_in_use import LoadedModel
    from edgetally.stock import Recount, StockLevel

    _Occupancy = Mapping[str, Mapping[str, int]]

_T = TypeVar("_T")
_SET_BACK = 60.0  # seconds; a clock that is corrected as it runs goes back by less


@dataclass(frozen=True)
class _Published:
    """The last detections message of a camera: when, and of which objects."""

    time: float
    objects: frozenset[tuple[int, int]]


class Recorder:
    """Keeps the ledger, and puts each message into its outbox. Any thread may call it.

    clock: seconds since the Unix epoch, as all times are.
    """

    def __init__(
        self,
        config: Config,
        bundle: ModelBundle,
        storage: Storage,
        *,
        clock: Callable[[], float],
    ) -> None:
        self._config = config
        self._classes = bundle.classes
        self._model = ModelReference.of(bundle)
        self._seen_by: dict[str, LoadedModel] = {}
        self._storage = storage
        self._clock = clock
        self._topics = Topics(config.publish.topic_prefix, config.publish.thing)
        self._thing = config.publish.thing
        self._lock = threading.Lock()
        self._published: dict[str, _Published] = {}
        self._sites = {camera.name: camera.site for camera in config.cameras}
        self._told_times: dict[str, float] = {}
        self._told_baselines: dict[tuple[str, str], int] = {}
        self._told_occupancy: Mapping[str, _Occupancy] = {}
        self._now: dict[str, CameraUpdate] = {}
        self.newest_health: HealthMessage | None = None
        self.newest_inventory: InventoryMessage | None = None

    def use(self, model: LoadedModel, camera: str | None = None) -> None:
        """Tell from now on that a camera's frames were seen by this model; None: all the rest."""
        if camera is None:
            self._classes, self._model = model.classes, model.reference
        else:
            self._seen_by[camera] = model

    def become(self, config: Config, storage: Storage, kept: Collection[str]) -> None:
        """Go on as configured otherwise, in another ledger perhaps.

        kept: the cameras whose counting goes on; of others, what was seen last is forgotten.
        """
        with self._lock:
            self._config, self._storage = config, storage
            self._topics = Topics(config.publish.topic_prefix, config.publish.thing)
            self._thing = config.publish.thing
            # One that is gone may have an event left to tell.
            self._sites |= {camera.name: camera.site for camera in config.cameras}
            for name in self._now.keys() - kept:
                self._now.pop(name, None)
                self._published.pop(name, None)

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
        state: Literal["starting", "running", "stopping"],
        cameras: Mapping[str, CameraHealth],
        engine: tuple[str, str],
        uptime: float,
        outbox: OutboxHealth,
        storage: StorageHealth,
        trouble: str | None = None,
        *,
        candidate: ModelCandidate | None = None,
    ) -> None:
        """Tell how the service is; engine is (runtime, precision).

        trouble: what else is not as it should be.
        """

        def record(entry: Entry) -> None:
            message = HealthMessage(
                time=self._not_before(self._topics.health, self._clock()),
                thing=self._thing,
                sequence=entry.next_sequence(self._topics.health),
                model=self._model,
                state=state,
                state_reason=state_reason(cameras, outbox, storage, trouble),
                cameras=dict(cameras),
                engine=engine[0],
                precision=engine[1],
                uptime=uptime,
                outbox=outbox,
                storage=storage,
                candidate=candidate,
            )
            self.newest_health = message
            entry.enqueue(self._topics.health, message.to_json(), "health")

        self._write(record)

    def inventory(self) -> None:
        """Tell the running totals."""

        def record(entry: Entry) -> None:
            self._tell_inventory(entry, self._clock())

        self._write(record)

    def inventory_if_changed(self) -> bool:
        """Tell the totals where something changed that told none by itself; whether it did.

        That is the stock, which another process corrected, and what is in the zones.
        """
        if (
            _baselines(self._storage.stock()) == self._told_baselines
            and _occupancy(self._now.copy()) == self._told_occupancy
        ):
            return False
        self.inventory()
        return True

    def correct(self, recount: Recount) -> Correction:
        """Write down that somebody counted. InputError where it can't be true."""
        sites = {camera.site: None for camera in self._config.cameras}
        recount.check(sites, self._classes)

        def record(entry: Entry) -> Correction:
            time = self._clock()
            correction = correct(entry, recount, time, self._topics, self._model)
            self._tell_inventory(entry, time)
            return correction

        return self._write(record)

    def _model_of(self, camera: str) -> ModelReference:
        seen_by = self._seen_by.get(camera)
        return self._model if seen_by is None else seen_by.reference

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
        seen_by = self._seen_by.get(frame.camera)
        message = detections_message(
            update.detections,
            classes=self._classes if seen_by is None else seen_by.names,
            frame=FrameReference(index=frame.index, width=width, height=height),
            time=frame.time,
            thing=self._thing,
            camera=frame.camera,
            sequence=entry.next_sequence(topic),
            model=self._model_of(frame.camera),
        )
        entry.enqueue(topic, message.to_json(), "detections")

    def _tell_zone_events(self, entry: Entry, events: Sequence[ZoneEvent]) -> None:
        for event in events:
            entry.add_zone(event, self._sites[event.camera])
            topic = self._topics.events(event.camera)
            sequence = entry.next_sequence(topic)
            message = ZoneEventMessage(
                time=utc(event.time),
                thing=self._thing,
                camera=event.camera,
                sequence=sequence,
                model=self._model_of(event.camera),
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
            entry.add(event, self._sites[event.camera])
            topic = self._topics.events(event.camera)
            sequence = entry.next_sequence(topic)
            totals = entry.totals()[event.camera][event.line][event.class_name]
            message = CountEventMessage(
                time=utc(event.time),
                thing=self._thing,
                camera=event.camera,
                sequence=sequence,
                model=self._model_of(event.camera),
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
        time = min(time, self._clock())  # what a file shows is ahead of all else
        counted = entry.totals()
        now = self._now.copy()  # cameras' threads go on
        occupancy = _occupancy(now)
        seen = seen_stock(self._config.cameras, self._classes, occupancy)
        entry.see(seen, time)
        stock = entry.stock()
        self._told_baselines, self._told_occupancy = _baselines(stock), occupancy
        sites = [camera.site for camera in self._config.cameras]
        levels = stock_levels(sites, self._classes, stock, seen)
        message = InventoryMessage(
            time=self._not_before(self._topics.inventory, time),
            thing=self._thing,
            sequence=entry.next_sequence(self._topics.inventory),
            model=self._model,
            cameras={
                camera.name: camera_inventory(
                    camera,
                    self._classes,
                    counted.get(camera.name, {}),
                    now.get(camera.name),
                )
                for camera in self._config.cameras
            },
            sites={
                site: {name: site_stock(level) for name, level in classes.items()}
                for site, classes in levels.items()
            },
            stock=_over_all_sites(levels),
        )
        self.newest_inventory = message
        entry.enqueue(self._topics.inventory, message.to_json(), "inventory")

    def _not_before(self, topic: str, time: float) -> datetime:
        """Keep a topic's times in order, but where the clock was set back."""
        told = self._told_times.get(topic, time)
        if told <= self._clock() + _SET_BACK:
            time = max(time, told)
        self._told_times[topic] = time
        return utc(time)


def _occupancy(now: Mapping[str, CameraUpdate]) -> Mapping[str, _Occupancy]:
    """Return by camera, zone and class what is in the zones of those cameras that have some."""
    return {name: update.occupancy for name, update in now.items() if update.occupancy}


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
