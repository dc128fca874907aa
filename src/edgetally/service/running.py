"""`Running`: everything that runs for a configuration, and how another one takes its place."""

from __future__ import annotations

import logging
import threading
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Literal

from edgetally.capture import Camera
from edgetally.counting.camera_counter import CameraCounter, check_classes
from edgetally.counting.ledger import OutboxBounds, Storage
from edgetally.service.answers import Answers
from edgetally.service.camera_loop import CameraLoop
from edgetally.service.condition import last_will, outbox_health, storage_health
from edgetally.service.hearing import Hearing
from edgetally.service.model_exchange import ModelExchange
from edgetally.service.model_in_use import ModelInUse
from edgetally.service.model_wanted import model_wanted
from edgetally.service.outlet import Outlet
from edgetally.service.recorder import Recorder
from edgetally.service.reporting import Reporting
from edgetally.service.turns import Turns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from types import TracebackType

    from edgetally.capture import Frame
    from edgetally.config import CameraConfig, Config
    from edgetally.counting.events import CameraUpdate, CountEvent
    from edgetally.greengrass import NucleusLink
    from edgetally.service.model_in_use import LoadedModel

_log = logging.getLogger(__name__)
_MOMENT = 0.05  # seconds for a model that is being tried: what takes longer is left behind
_GONE = 3.5  # seconds for a camera that is taken out: two for the engine, and one for itself


class Running:
    """Opens everything, in a `with` block that closes it, and keeps it as configured.

    models: what looks at frames; loops: the cameras, in the order of the configuration.
    clock: seconds since the Unix epoch; started: when the service was. on_frame, on_event: called
    in the cameras' threads. is_stopping: asked before what takes long. left: gives the seconds that
    are left for ending. link: to the nucleus that started us, if one did.
    """

    def __init__(
        self,
        config: Config,
        model: LoadedModel,
        *,
        clock: Callable[[], float],
        started: float,
        on_frame: Callable[[Frame, CameraUpdate], None],
        on_event: Callable[[CountEvent], None],
        is_stopping: Callable[[], bool],
        left: Callable[[], float],
        link: NucleusLink | None = None,
    ) -> None:
        self.config = config
        self.models = ModelInUse(model)
        self.turns = Turns(model.detector.in_flight)
        self.exchange = ModelExchange(
            config, self.models, lambda: self.turns, self.switch, self._apply
        )
        self.loops: tuple[CameraLoop, ...] = ()
        self.outlet = Outlet(
            will=lambda config: last_will(config, self.models.current.detector, started), link=link
        )
        self.reporting = Reporting(link)
        self._clock, self._started, self._left = clock, started, left
        self._on_frame, self._on_event = on_frame, on_event
        self._is_stopping = is_stopping
        self._secret = None if link is None else link.secret
        self._closing = ExitStack()

    def __enter__(self) -> Running:
        try:
            self._open()
        except BaseException:
            self._closing.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._closing.close()

    def _open(self) -> None:
        config, model = self.config, self.models.current
        self._closing.callback(lambda: self.reporting.close(0.0))  # should the rest not open
        # Whoever ends the service does not wait for a runtime that hangs.
        self._closing.callback(lambda: self.models.current.detector.close(self._left()))
        check_classes(config.cameras, model.classes)
        with ExitStack() as undo:
            cameras = []
            for camera in config.cameras:
                if self._is_stopping():
                    break
                cameras.append(undo.enter_context(self._camera(camera)))
            self.storage = open_storage(config, self._clock)
            self._closing.callback(self._close_storage)
            self._closing.callback(lambda: self.reporting.close(0.0))
            self._closing.callback(lambda: self.outlet.close(self._left()))
            self.outlet.open(config, self.storage)
            self.recorder = Recorder(config, model.detector.bundle, self.storage, clock=self._clock)
            self.answers = Answers(config, model.detector.bundle, self.storage)
            self.hearing = Hearing(
                self.models,
                self.recorder,
                self.exchange,
                notify=self.outlet.notify,
                clock=self._clock,
            )
            self.loops = tuple(self._loop(camera) for camera in cameras)
            undo.pop_all()
        self._closing.callback(self._stop_cameras)

    def start(self) -> None:
        """Let the cameras count, and requests be heard."""
        for loop in self.loops:
            loop.start()
        self.exchange.start()
        self._hear()

    def apply(
        self, config: Config, *, anew: bool = False, model: LoadedModel | None = None
    ) -> None:
        """Go on as configured otherwise; what stays the same goes on undisturbed.

        anew: load the model again, and open those cameras again that failed. model: take this one,
        which is loaded for it.

        EdgetallyError where the configuration can't be; nothing is changed then.
        """
        with ExitStack() as undo:
            if model is None:
                model = model_wanted(
                    config.model, self.config.model, self.models, self._is_stopping, undo, anew=anew
                )
            check_classes(config.cameras, (model or self.models.current).classes)
            begun = self._begun(config.cameras, undo, anew=anew)
            storage = self.storage
            if config.storage.path.resolve() != self.config.storage.path.resolve():
                storage = open_storage(config, self._clock)
                undo.callback(storage.close)
            if storage is not self.storage or not self.outlet.is_same(config):
                self.outlet.exchange(config, storage)
            undo.pop_all()
        self._become(config, model, begun, storage)

    def _begun(
        self, configs: Iterable[CameraConfig], undo: ExitStack, *, anew: bool
    ) -> dict[str, Camera]:
        """Make the cameras that are new, or can't go on as they are; open files and folders."""
        loops = {loop.camera.name: loop for loop in self.loops}
        begun = {}
        for config in configs:
            loop = loops.get(config.name)
            hangs = anew and loop is not None and loop.is_overdue
            if loop is not None and not hangs and loop.can_become(config):
                continue
            camera = begun[config.name] = self._camera(config)
            # A device can't be opened while the one before has it.
            if not camera.planned().can_be_lost:
                undo.enter_context(camera)
        return begun

    def _become(
        self,
        config: Config,
        model: LoadedModel | None,
        begun: Mapping[str, Camera],
        storage: Storage,
    ) -> None:
        wanted = [camera.name for camera in config.cameras]
        kept = {
            loop.camera.name: loop
            for loop in self.loops
            if loop.camera.name in wanted and loop.camera.name not in begun
        }
        self.config = config
        self.recorder.become(config, storage, kept.keys())
        if storage is not self.storage:
            before, self.storage = self.storage, storage
            _leave(before)
        outbox = config.publish.outbox
        storage.limit(OutboxBounds(max_bytes=outbox.max_bytes, max_age=outbox.max_age))
        self.outlet.pace(outbox.max_publish_rate)
        if model is not None:
            self.switch(model)
        if not kept:
            self.turns.close()
        until = time.monotonic() + _GONE
        gone = [loop for loop in self.loops if loop.camera.name not in kept]
        end_loops(gone, lambda: max(0.0, until - time.monotonic()))
        if not kept:
            self.turns = Turns(self.models.current.detector.in_flight)
        loops, fresh = [], []
        for camera in config.cameras:
            if camera.name in kept:
                loop = kept[camera.name]
                if loop.camera.config != camera:
                    loop.become(camera)
            else:
                if begun[camera.name].planned().can_be_lost:
                    begun[camera.name].start()
                loop = self._loop(begun[camera.name])
                fresh.append(loop)
            loops.append(loop)
        self.loops = tuple(loops)
        self.answers = Answers(config, self.models.current.detector.bundle, storage)
        self.exchange.follow(config)
        for loop in fresh:
            loop.start()
        self._hear()

    def _apply(self, config: Config, model: LoadedModel) -> None:
        self.apply(config, model=model)

    def switch(self, model: LoadedModel) -> None:
        """Let another model take the next frame."""
        before = self.models.switch(model)
        self.turns.resize(model.detector.in_flight)
        self.recorder.use(model)
        self.answers.use(model)
        if before.detector is not model.detector:
            threading.Thread(target=before.detector.close, name="unload", daemon=True).start()

    def end(self, left: Callable[[], float]) -> None:
        """Stop the cameras; what hangs is left behind."""
        self.turns.close()
        end_loops(self.loops, left)
        failed = any(loop.error is not None for loop in self.loops)
        self.exchange.close(_MOMENT, failed=failed)

    def tell(
        self, state: Literal["starting", "running", "stopping"], trouble: str | None = None
    ) -> None:
        """Tell how everything is; trouble: what else is not as it should be."""
        detector = self.models.current.detector
        self.recorder.health(
            state,
            {loop.camera.name: loop.health() for loop in self.loops},
            (detector.engine_name, detector.precision),
            max(0.0, self._clock() - self._started),
            outbox_health(self.storage.status(), self.outlet.status()),
            storage_health(self.storage.state),
            "; ".join(filter(None, (trouble, self.exchange.problem))) or None,
            candidate=self.exchange.candidate,
        )
        self.outlet.notify()
        told = self.recorder.newest_health, self.recorder.newest_inventory
        self.reporting.tell(self.config.publish, *told)

    def tell_totals(self) -> None:
        """Tell the running totals."""
        self.recorder.inventory()
        self.outlet.notify()

    def tend(self) -> None:
        """Look after what goes on by itself, each second or so."""
        self.storage.tend()
        self.exchange.tend()
        if self.recorder.inventory_if_changed():
            self.outlet.notify()
        for loop in self.loops:
            loop.measure()
        told = self.recorder.newest_health, self.recorder.newest_inventory
        self.reporting.tend(self.config.publish, *told)

    @property
    def condition(self) -> object:
        """What is told at once when it changes."""
        return (
            [loop.condition for loop in self.loops],
            self.storage.state,
            self.outlet.condition,
            self.models.current.reference,
            self.exchange.candidate,
        )

    def _close_storage(self) -> None:
        self.storage.close()

    def _stop_cameras(self) -> None:
        for loop in self.loops:
            loop.camera.stop()

    def _hear(self) -> None:
        cameras = [loop.camera for loop in self.loops]
        self.hearing.renew(self.config, self.outlet.transports, cameras, self.turns, self.answers)

    def _camera(self, config: CameraConfig) -> Camera:
        return Camera(config, clock=self._clock, secret=self._secret)

    def _loop(self, camera: Camera) -> CameraLoop:
        return CameraLoop(
            camera.config,
            camera,
            self.models,
            self.turns,
            CameraCounter(camera.config, self.models.current.names),
            self.recorder,
            clock=self._clock,
            on_frame=self._on_frame,
            on_event=self._on_event,
            notify=self.outlet.notify,
        )


def end_loops(loops: Iterable[CameraLoop], left: Callable[[], float]) -> None:
    """Stop all at once, for each may have to wait; what hangs is left once no time is left."""
    ending = tuple(loops)
    stops = [threading.Thread(target=loop.stop, daemon=True) for loop in ending]
    for stop in stops:
        stop.start()
    for thread in (*stops, *ending):
        if thread.ident is not None:
            thread.join(left())


def open_storage(config: Config, clock: Callable[[], float]) -> Storage:
    """Open the configured ledger. InputError as `Storage`."""
    outbox = config.publish.outbox
    return Storage(
        config.storage.path,
        sites={camera.name: camera.site for camera in config.cameras},
        bounds=OutboxBounds(max_bytes=outbox.max_bytes, max_age=outbox.max_age),
        clock=clock,
    )


def _leave(storage: Storage) -> None:
    waiting = storage.waiting()
    storage.close()
    if waiting:
        _log.warning("%d messages wait in the ledger that was left", waiting)
