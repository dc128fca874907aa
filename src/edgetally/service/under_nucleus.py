"""`UnderNucleus`: the service as a Greengrass component: configured, watched and stopped by it."""

from __future__ import annotations

import logging
import math
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Literal

from edgetally.config.from_nucleus import config_of_nucleus, how_to_tell
from edgetally.errors import EdgetallyError, InputError
from edgetally.service.complaint import Complaint
from edgetally.service.last_configuration import Keeping, LastConfiguration
from edgetally.service.loading import load_unless
from edgetally.service.service import Service
from edgetally.service.waiting import Waiting

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future
    from pathlib import Path

    from edgetally.config import Config
    from edgetally.greengrass import NucleusLink
    from edgetally.service.standing import Standing

_log = logging.getLogger(__name__)
_QUIET = 0.3  # seconds without another word of a change
_UNREAD = 1.0  # seconds until a configuration that could not be read is asked for again
_SHORT_UNREAD, _LONG_UNREAD = 3.0, 15.0  # until one goes on with the last good one, and without
_FIRST_RETRY, _LONGEST_RETRY = 10.0, 60.0
_LONGEST_RETRY_BESIDE = 600.0  # while another one is in force: to try one may take its time
_PATIENCE = 60.0  # seconds in which what is missing may still come: a model is deployed beside
_REACTION = 5.0  # seconds in which a nucleus that ends us for being ERRORED does so
_PARTING = 0.3  # seconds for the link; what hangs there is left behind

_State = Literal["RUNNING", "ERRORED"]


@dataclass(frozen=True, eq=False)
class _News:
    """A configuration that was read; wrong: why it can't be used, and how that is told."""

    content: dict[str, Any]
    config: Config
    wrong: str | None = None


class UnderNucleus:
    """Runs from `run` to `stop`: waits for a configuration, and takes each one that follows.

    A start at which the present one can't be used goes on with the last good one.

    thing: the device's name, where the configuration gives no other. folder: where the last good
    configuration is kept. clock: seconds since the Unix epoch.
    """

    def __init__(
        self,
        link: NucleusLink,
        *,
        thing: str,
        folder: Path,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._link, self._thing, self._clock = link, thing, clock
        self._last = LastConfiguration(folder)
        self._stopping = self._hopeless = False
        self._woken: SimpleQueue[None] = SimpleQueue()
        self._changes: SimpleQueue[None] = SimpleQueue()
        self._states: SimpleQueue[_State] = SimpleQueue()
        self._told: _State | None = None
        self._complaint = Complaint(folder, clock)
        self._errored_at = self._stopped_at = -math.inf  # monotonic seconds
        self._lock = threading.Lock()
        self._unread_since: float | None = None
        self._again: threading.Timer | None = None
        self._news: _News | None = None
        self._refused: _News | None = None  # by the service that runs
        self._retry: threading.Timer | None = None
        self._service: Service | None = None

    def stop(self) -> None:
        """Ask for the end. Signal-safe."""
        if not self._stopping:
            self._stopped_at = time.monotonic()
        self._stopping = True
        self._link.expect_end()
        self._woken.put(None)
        if (service := self._service) is not None:
            service.stop()

    def run(self) -> None:
        """Run to the end. EdgetallyError where only another process can go on."""
        started = self._clock()
        self._link.on_hopeless(self._give_up)
        if load_unless(lambda: self._stopping, self._open) is None:
            return
        for work in (self._read_changes, self._tell_states):
            threading.Thread(target=work, name=work.__name__.strip("_"), daemon=True).start()
        try:
            self._run(started)
        finally:
            if 0 <= self._stopped_at - self._errored_at < _REACTION:
                self._complaint.note()
            closing = threading.Thread(target=self._link.close, name="part", daemon=True)
            closing.start()
            closing.join(_PARTING)
        if self._hopeless:
            raise EdgetallyError("the nucleus does not take us any more; it has to start us again")

    def _open(self) -> bool:
        self._link.open()
        self._link.watch_configuration(lambda: self._changes.put(None))
        self._link.validate_updates(self._problem_with)
        self._changes.put(None)
        return True

    def _give_up(self) -> None:
        self._hopeless = True
        self.stop()

    def _run(self, started: float) -> None:
        retry = _FIRST_RETRY
        failing_since: float | None = None
        told = ""
        while (news := self._next_news()) is not None:
            began = time.monotonic()
            reason = news.wrong or self._serve(news)
            if reason is not None:
                reason = self._serve_last(news, reason)
            if reason is None:
                return
            if failing_since is None or time.monotonic() - began > _PATIENCE:
                failing_since, retry = time.monotonic(), _FIRST_RETRY
            with Waiting(
                news.config, reason, link=self._link, clock=self._clock, started=started
            ) as waiting:
                if reason != told:
                    told = reason
                    _log.error("%s; waiting for it to be mended", reason)
                if news.wrong:
                    self._tell("ERRORED")
                is_useless = news.wrong is not None and self._last.content is None
                until = None if is_useless else time.monotonic() + retry
                self._wait(news, waiting, until, failing_since + _PATIENCE)
            retry = _FIRST_RETRY if self._news is not news else min(2 * retry, _LONGEST_RETRY)

    def _next_news(self) -> _News | None:
        """Wait for the first configuration; None at the end."""
        while not self._stopping:
            if self._news is not None:
                return self._news
            self._woken.get()
        return None

    def _wait(self, news: _News, waiting: Waiting, until: float | None, errored_at: float) -> None:
        """Wait for another configuration, or until it is time to try this one again."""
        heartbeat = news.config.publish.health.heartbeat
        next_health = time.monotonic() + heartbeat
        while not self._stopping and self._news is news:
            now = time.monotonic()
            if until is not None and now >= until:
                return
            if now >= errored_at:
                self._tell("ERRORED")
            if now >= next_health:
                next_health = now + heartbeat
                waiting.tell()
            try:
                self._woken.get(timeout=min(1.0, next_health - now))
            except Empty:
                continue

    def _serve_last(self, news: _News, reason: str) -> str | None:
        """Run the service as it was configured last, as `_serve` does, where that was otherwise.

        reason: why it can't be run as the news have it.
        """
        content = self._last.content
        if content is None or self._stopping or self._news is not news:
            return reason
        try:
            last = _News(content, config_of_nucleus(content, self._thing))
        except InputError:  # it was good for another version of ours
            return reason
        if last.config == news.config and news.wrong is None:
            return reason
        refused = news.wrong or f"configuration: {reason}"
        trouble = self._serve(last, instead_of=news, refused=refused)
        return trouble and f"{reason}; the last good one can't be used either: {trouble}"

    def _serve(
        self, news: _News, *, instead_of: _News | None = None, refused: str | None = None
    ) -> str | None:
        """Run the service to the end; say why where it can't.

        instead_of: the present configuration, where it is another one; refused: why it is not used.
        """
        service = Service(
            news.config,
            clock=self._clock,
            stays=True,
            link=self._link,
            observer=Keeping(self._last, news.content),
            on_standing=self._note_standing,
            on_model=self._pass_on_again,
        )
        with self._lock:
            self._service = service
            latest = self._news
        if latest is not None and latest is not (instead_of or news):
            self._pass_on(latest, service)
        elif instead_of is not None:
            service.refuse(refused)
            if instead_of.wrong is None:
                self._pass_on_later(instead_of, service, _FIRST_RETRY)
        if self._stopping:
            service.stop()
        try:
            service.run()
        except EdgetallyError as error:
            if self._stopping:
                raise
            return str(error)
        finally:
            self._service = None
        return None

    def _pass_on(self, news: _News, service: Service, retry: float = _FIRST_RETRY) -> None:
        """Let a service that runs have the news; retry: seconds until it tries what it can't use.

        What is missing may still come.
        """
        if news.wrong is not None:
            service.refuse(news.wrong)
            return

        def tell(taken: Future[None]) -> None:
            if taken.cancelled():
                return
            if taken.exception() is None:
                self._refused = None
                self._last.keep(news.content)
            else:
                self._pass_on_later(news, service, retry)

        service.reconfigure(news.config).add_done_callback(tell)

    def _pass_on_again(self) -> None:
        """Let the service have what it refused, now that another model is in use."""
        refused, service = self._refused, self._service
        if refused is not None and refused is self._news and service is not None:
            self._pass_on(refused, service)

    def _pass_on_later(self, news: _News, service: Service, retry: float) -> None:
        def pass_on() -> None:
            if self._refused is news is self._news and self._service is service:
                self._pass_on(news, service, min(2 * retry, _LONGEST_RETRY_BESIDE))

        self._refused = news
        if self._retry is not None:
            self._retry.cancel()
        self._retry = threading.Timer(retry, pass_on)
        self._retry.daemon = True
        self._retry.start()

    def _note_standing(self, standing: Standing) -> None:
        if standing.state == "running":
            self._tell("RUNNING")
        elif standing.state == "failed":
            _log.error("nothing is counted: %s", standing.reason)
            self._tell("ERRORED")

    # The configuration, in a thread of its own: to read it may take long.

    def _read_changes(self) -> None:
        while not self._stopping:
            self._changes.get()
            try:
                while True:  # a word comes for each leaf that has changed
                    self._changes.get(timeout=_QUIET)
            except Empty:
                pass
            try:
                content = self._link.configuration()
            except EdgetallyError as error:
                self._note_unread(f"the configuration can't be read: {error}")
            else:
                self._unread_since = None
                self._take(content)

    def _note_unread(self, problem: str) -> None:
        """Ask again, soon and then ever later; where it goes on, go on without."""
        now = time.monotonic()
        if self._unread_since is None:
            self._unread_since = now
            _log.warning("%s", problem)
        lasts = now - self._unread_since
        if lasts >= (_LONG_UNREAD if self._last.content is None else _SHORT_UNREAD):
            self._be(_News({}, how_to_tell({}, self._thing), problem))
        if self._again is not None:
            self._again.cancel()
        self._again = threading.Timer(
            min(_UNREAD + lasts, _LONGEST_RETRY), self._changes.put, args=(None,)
        )
        self._again.daemon = True
        self._again.start()

    def _take(self, content: dict[str, Any]) -> None:
        try:
            self._be(_News(content, config_of_nucleus(content, self._thing)))
        except InputError as error:
            self._be(_News(content, how_to_tell(content, self._thing), str(error)))

    def _be(self, news: _News) -> None:
        before = self._news
        if before is not None and (before.config, before.wrong) == (news.config, news.wrong):
            return
        with self._lock:
            self._news = news
            service = self._service
        if service is not None:
            self._pass_on(news, service)
        self._woken.put(None)

    def _problem_with(self, content: dict[str, Any]) -> str | None:
        """Say what is wrong with a configuration before it is deployed."""
        try:
            config_of_nucleus(content, self._thing)
        except InputError as error:
            return str(error)
        return None

    # The state, likewise.

    def _tell(self, state: _State) -> None:
        if state != self._told:
            self._told = state
            self._states.put(state)

    def _tell_states(self) -> None:
        """Tell each state, but ERRORED only where that does not end us for good."""
        while not self._stopping:
            state = self._states.get()
            while state == "ERRORED" and (wait := self._complaint.wait):
                with suppress(Empty):
                    state = self._states.get(timeout=wait)
            self._errored_at = time.monotonic() if state == "ERRORED" else -math.inf
            self._link.update_state(state)
