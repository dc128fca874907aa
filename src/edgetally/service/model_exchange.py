"""`ModelExchange`: a thread that lets another model take the place of the one in use."""

from __future__ import annotations

import logging
import threading
import time
from concurrent.futures import Future, wait
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from edgetally.counting.camera_counter import check_classes
from edgetally.errors import EdgetallyError
from edgetally.messaging.messages import ModelCandidate
from edgetally.service.canary import Canary, PutOffError
from edgetally.service.model_in_use import load_model, named, weak_thresholds
from edgetally.service.model_places import bundle_at, fingerprint, model_meant, note_in_use
from edgetally.service.model_record import DIED, ModelRecord, PlacedModel, Refusal, digest_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgetally.bundle import ModelBundle
    from edgetally.config import Config
    from edgetally.service.model_in_use import LoadedModel, ModelInUse
    from edgetally.service.model_places import Fingerprint
    from edgetally.service.turns import Turns

_LOOK = 1.0  # seconds between looks at where the models are
_HAND_OVER = 0.1  # seconds between looks at whether to stop
_PROBATION = 60.0  # seconds after which a model that was taken is believed to work
_log = logging.getLogger(__name__)


class _ConfigurationError(EdgetallyError):
    """The configuration that a model needs can't be in force for now."""


@dataclass(frozen=True)
class _Wish:
    model: str
    answer: Callable[[str | None], None]


@dataclass(frozen=True, eq=False)
class _Passed:
    """A model that may take the place of `before`; taken: done once it did.

    together_with: the configuration that must be in force with it; None: the present one.
    """

    model: LoadedModel
    before: LoadedModel
    taken: Future[None]
    together_with: Config | None


class ModelExchange:
    """Follows what the configured path leads to, and what messages ask for.

    Another bundle there is loaded beside the one in use, while the cameras go on, compared with it
    on what they showed (`Canary`), and handed over. Whatever goes wrong, the one in use stays.
    Where it needs a configuration that waits for it, both are taken in one step.

    candidate: the model that is not in use though the path leads to it, for health; else None.
    """

    def __init__(
        self,
        config: Config,
        models: ModelInUse,
        turns: Callable[[], Turns],
        switch: Callable[[LoadedModel], None],
        apply: Callable[[Config, LoadedModel], None],
    ) -> None:
        """Exchange what is in `models`.

        turns: gives the turns at the engine. switch: lets another model take the next frame; apply:
        that, with another configuration. Both are called in the thread that calls `tend`.
        """
        self.candidate: ModelCandidate | None = None
        self._config, self._models, self._turns = config, models, turns
        self._switch, self._apply = switch, apply
        self._awaiting: Config | None = None  # what the model in use does not fit
        self._asked: SimpleQueue[_Wish | None] = SimpleQueue()
        self._lock = threading.RLock()  # of the record, which both threads change
        self._record = ModelRecord(path=str(config.model.path))
        self._settled: Fingerprint | None = None
        self._read: tuple[Fingerprint, ModelBundle] | None = None
        self._waits_since: float | None = None
        self._passed: _Passed | None = None
        self._probation_until: float | None = None
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="models", daemon=True)

    @property
    def problem(self) -> str | None:
        """Why a model is not in use that should be; None where none was refused."""
        candidate = self.candidate
        if candidate is None or candidate.state != "refused":
            return None
        which = candidate.model
        name = "the model" if which is None else f"model {which.name} {which.version}"
        return f"{name} is not taken: {candidate.reason}"

    def start(self) -> None:
        """Begin to follow."""
        config = self._config
        record = ModelRecord.read(config.storage.path, config.model.path)
        died, in_use = record.on_trial, self._in_use()
        if died is not None and died != in_use.sha256:
            refused = Refusal(sha256=died, reason=DIED, configured=digest_of(config))
            trusted = tuple(sha256 for sha256 in record.trusted if sha256 != died)
            record = record.model_copy(update={"refused": refused, "trusted": trusted})
        self._models.frames.keep(*_kept(config))
        if died == in_use.sha256:  # it is given another chance
            self._probation_until = time.monotonic() + _PROBATION
        else:
            record = record.model_copy(update={"on_trial": None, "was_spared": False})
        self._note(record.using(in_use))
        self._thread.start()

    def follow(self, config: Config) -> None:
        """Go on as configured otherwise; the model in use is as configured."""
        with self._lock:
            before, self._config, record = self._config, config, self._record
            if before.model.path != config.model.path:
                record = ModelRecord(path=str(config.model.path), trusted=record.trusted)
                self.candidate = None
            if before.storage.path != config.storage.path:
                record.write(config.storage.path)
            self._note(record.using(self._in_use()))
        self._models.frames.keep(*_kept(config))
        if config != before:
            self._awaiting = None
        self._settled = None
        self._asked.put(None)

    def expect(self, config: Config | None) -> None:
        """Try models with this configuration, too, which can't be in force without another one."""
        if config is not None or self._awaiting is not None:
            self._awaiting, self._settled = config, None
            self._asked.put(None)

    def ask(self, model: str, answer: Callable[[str | None], None]) -> None:
        """Ask for a model, as `model_meant` reads it; it is loaded, and not compared.

        answer: called once, from the exchange's thread, with why it is not in use; None: it is.
        """
        self._asked.put(_Wish(model, answer))

    def tend(self) -> None:
        """Let a model that passed take its place, between two frames."""
        passed, self._passed = self._passed, None
        if passed is not None and passed.taken.set_running_or_notify_cancel():
            try:
                self._take(passed)
            except Exception as error:
                passed.taken.set_exception(error)
                if passed.together_with is not None and not isinstance(error, EdgetallyError):
                    raise  # nobody knows what is in force now
            else:
                passed.taken.set_result(None)
        if self._probation_until is not None and time.monotonic() >= self._probation_until:
            self._probation_until = None
            if self._record.on_trial == self._models.current.reference.sha256:
                self._change(on_trial=None, was_spared=False)

    def close(self, timeout: float, *, failed: bool) -> None:
        """Exchange no more; failed: the service ends because it can't go on."""
        self._closed = True
        self._asked.put(None)
        if self._thread.ident is not None:
            self._thread.join(timeout)
            if not failed:
                self._change(on_trial=None, was_spared=False)

    def _run(self) -> None:
        while not self._closed:
            try:
                wish = self._asked.get(timeout=_LOOK)
            except Empty:
                wish = None
            try:
                if wish is not None:
                    wish.answer(self._granted(wish.model))
                if not self._closed:
                    self._look()
            except Exception:  # noqa: BLE001 - what is wrong once may be right the next time
                if not self._closed:
                    _log.exception("models can't be exchanged for now")

    def _look(self) -> None:
        """See whether the path leads to another model, and try it."""
        config, awaiting, settled = self._config, self._awaiting, self._settled
        seen = fingerprint(config.model.path)
        if seen is not None and seen == settled:
            return
        try:
            if self._read is None or self._read[0] != seen:
                self._read = seen or (), bundle_at(config.model.path)
        except (EdgetallyError, OSError) as error:
            self._refuse(None, str(error))
            self._read, self._settled = None, seen
            return
        bundle = self._read[1]
        if not self._is_settled(bundle) and not self._could_try(config, bundle):
            return
        self._waits_since = self._read = None
        if self._config is config and self._awaiting is awaiting:
            self._settled = seen

    def _could_try(self, config: Config, bundle: ModelBundle) -> bool:
        """Try a model to which the path leads, unless it is too early."""
        is_compared = config.model.canary.enabled and bundle.sha256 not in self._record.trusted
        if is_compared and not self._has_frames(config):
            reason = "it is compared once the cameras have shown enough"
            self.candidate = ModelCandidate.of(bundle, "waiting", reason)
            return False
        configured = self._configured(config)
        try:
            self._try(config, bundle, is_compared=is_compared)
        except PutOffError:
            self.candidate = ModelCandidate.of(bundle, "waiting", None)
            return False
        except _ConfigurationError as error:  # tried again when that configuration is
            self.candidate = ModelCandidate.of(bundle, "waiting", str(error))
        except EdgetallyError as error:
            reason = str(error)
            refused = Refusal(sha256=bundle.sha256, reason=reason, configured=configured)
            self._change(refused=refused)
            self._refuse(bundle, reason)
        else:
            self._change(chosen_against=None, refused=None)
            self.candidate = None
        return True

    def _is_settled(self, bundle: ModelBundle) -> bool:
        """Tell whether nothing is to be done about the bundle that the path leads to."""
        refused = self._record.refused
        if bundle.sha256 == self._models.current.reference.sha256:
            self._change(chosen_against=None, refused=None)
        elif bundle.sha256 == self._record.chosen_against:
            pass
        elif (
            refused is not None
            and refused.sha256 == bundle.sha256
            and refused.configured == self._tried_with(refused, self._config)
        ):
            self._refuse(bundle, refused.reason)
            return True
        else:
            return False
        self.candidate = None
        return True

    def _has_frames(self, config: Config) -> bool:
        frames = self._models.frames
        if frames.is_empty:
            return False
        if frames.is_complete(camera.name for camera in config.cameras):
            return True
        now = time.monotonic()
        self._waits_since = now if self._waits_since is None else self._waits_since
        return now - self._waits_since >= config.model.canary.wait

    def _granted(self, wish: str) -> str | None:
        """Do what a message asked for; return why not."""
        config, record = self._config, self._record
        bundle: ModelBundle | None = None
        try:
            bundle = model_meant(wish, config.model.path, record.in_use, record.previous)
            if bundle.sha256 != self._models.current.reference.sha256:
                self._try(config, bundle, is_compared=False)
            try:
                led_to = bundle_at(config.model.path).sha256
            except (EdgetallyError, OSError):
                led_to = None
        except (EdgetallyError, OSError) as error:
            _log.warning("a message asked for model %r, which is not taken: %s", wish, error)
            if bundle is not None:
                self.candidate = self._settled = None  # the next look says what is of the path
            return str(error)
        self._change(chosen_against=led_to if led_to != bundle.sha256 else None, refused=None)
        self.candidate = self._settled = None
        return None

    def _try(self, config: Config, bundle: ModelBundle, *, is_compared: bool) -> None:
        """Load a bundle, compare it and let it take its place. EdgetallyError says why not."""
        old = self._models.current
        self.candidate = ModelCandidate.of(bundle, "trying", None)
        self._change(on_trial=bundle.sha256)
        new: LoadedModel | None = None
        try:
            wanted = self._config_for(bundle, config)
            new = load_model(wanted.model, bundle, old.names)
            canary = Canary(wanted.model.canary, self._turns)
            canary.check(new)
            if is_compared and (reason := canary.refusal(old, new, self._models.frames.pictures())):
                raise EdgetallyError(reason)  # noqa: TRY301 - it ends as all that is wrong
            together_with = None if wanted is config else wanted
            self._hand_over(_Passed(new, old, Future(), together_with))
        except Exception as error:
            self._change(on_trial=None)
            if new is not None and new.detector is not self._models.current.detector:
                new.detector.close()
            if isinstance(error, EdgetallyError):
                raise
            # Runtimes raise all kinds, and whoever is out of memory does.
            raise EdgetallyError(str(error) or type(error).__name__) from error

    def _config_for(self, bundle: ModelBundle, config: Config) -> Config:
        """Return the present configuration; the one that waits where only that fits a model."""
        awaiting = self._awaiting
        try:
            check_classes(config.cameras, bundle.classes)
        except EdgetallyError:
            if awaiting is None or awaiting.model.path != config.model.path:
                raise
            check_classes(awaiting.cameras, bundle.classes)
            return awaiting
        return config

    def _tried_with(self, refused: Refusal, config: Config) -> str:
        # Whoever took the process down does so with any configuration.
        return digest_of(config) if refused.reason == DIED else self._configured(config)

    def _configured(self, config: Config) -> str:
        return digest_of(*filter(None, (config, self._awaiting)))

    def _hand_over(self, passed: _Passed) -> None:
        """Wait until a model took its place. PutOffError where it may not any more."""
        self._passed = passed
        while not wait([passed.taken], _HAND_OVER).done:
            if self._closed and passed.taken.cancel():
                raise PutOffError("the service is stopping")
        passed.taken.result()

    def _take(self, passed: _Passed) -> None:
        config, detector, before = self._config.model, passed.model.detector, passed.before
        together_with = passed.together_with
        if self._models.current is not before or together_with not in (None, self._awaiting):
            raise PutOffError("the configuration changed meanwhile")
        if together_with is not None:
            try:
                self._apply(together_with, passed.model)
            except EdgetallyError as error:
                raise _ConfigurationError(f"configuration: {error}") from error
        else:
            detector.report_from(*weak_thresholds(config))
            self._switch(named(detector, config, before.names))
        self._probation_until = time.monotonic() + _PROBATION
        self._note(self._record.using(self._in_use()))
        _log.info("%s takes the place of %s", passed.model.title, before.title)

    def _in_use(self) -> PlacedModel:
        return PlacedModel.of(self._models.current.detector.bundle)

    def _refuse(self, bundle: ModelBundle | None, reason: str) -> None:
        before = self.problem
        self.candidate = ModelCandidate.of(bundle, "refused", reason)
        if self.problem != before:
            _log.warning("%s; %s goes on", self.problem, self._models.current.title)

    def _change(self, **update: object) -> None:
        with self._lock:
            self._note(self._record.model_copy(update=update))

    def _note(self, record: ModelRecord) -> None:
        with self._lock:
            if record.in_use is not None:
                before = None if record.previous is None else record.previous.folder
                note_in_use(self._config.model.path, record.in_use.folder, before)
            if record != self._record:
                self._record = record
                record.write(self._config.storage.path)


def _kept(config: Config) -> tuple[int, list[str]]:
    """Say how many frames are kept, and of which cameras."""
    canary = config.model.canary
    return canary.frames if canary.enabled else 0, [camera.name for camera in config.cameras]
