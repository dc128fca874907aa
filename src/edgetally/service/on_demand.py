"""`OnDemand`: a thread that answers requests, beside the cameras and never before them."""

from __future__ import annotations

import logging
import threading
import uuid
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, Queue
from typing import TYPE_CHECKING, Literal

from edgetally.errors import EdgetallyError, InputError
from edgetally.messaging.rate import Rate
from edgetally.requests import (
    LARGEST_BODY,
    RefusedRequestError,
    parse_inference,
    parse_model_wish,
    parse_recount,
)
from edgetally.stock import Recount, site_meant

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edgetally.requests import InferenceRequest
    from edgetally.service.answers import Answers
    from edgetally.service.looking import Seen
    from edgetally.service.recorder import Recorder

_log = logging.getLogger(__name__)
_WAITING = 16  # requests; of at most LARGEST_BODY bytes each
_REFUSALS = 5.0  # a second that are told, at most: each is written to the disk
_WORD_EACH = 60.0  # seconds between two warnings of requests that nobody answers

Kind = Literal["inference", "correction", "model"]


@dataclass(frozen=True)
class Heard:
    """A request that waits for its answer."""

    kind: Kind
    body: bytes
    is_too_frequent: bool


class _Admission:
    """Lets requests in, and as many refusals as a disk bears; the rest get no answer at all."""

    def __init__(self, max_rate: float, now: float) -> None:
        self._requests = Rate(max_rate, now, burst=max_rate)
        self._refusals = Rate(_REFUSALS, now, burst=_REFUSALS)

    def admit(self, now: float) -> bool | None:
        """Tell whether a request is answered (True), refused (False) or left out (None)."""
        for rate, answer in ((self._requests, True), (self._refusals, False)):
            if rate.allowed(now):
                rate.take()
                return answer
        return None


class OnDemand:
    """Hears requests, which returns at once, and answers them one after the other.

    look: takes a request for inference, gives what was seen. sites: of the cameras.
    ask_model: takes a model's name, and what to call once it is in use, or with why it is not.
    max_rate: requests of each kind a second. clock: seconds since the Unix epoch; steady: seconds
    that never go back. notify: called once an answer is in the outbox.
    """

    def __init__(
        self,
        look: Callable[[InferenceRequest], Seen],
        recorder: Recorder,
        answers: Answers,
        *,
        ask_model: Callable[[str, Callable[[str | None], None]], None],
        sites: Sequence[str],
        max_rate: float,
        notify: Callable[[], None],
        clock: Callable[[], float],
        steady: Callable[[], float],
    ) -> None:
        self._look, self._recorder, self._answers = look, recorder, answers
        self._ask_model = ask_model
        self._sites = tuple(dict.fromkeys(sites))
        self._max_rate = max_rate
        self._notify, self._clock, self._steady = notify, clock, steady
        self._lock = threading.Lock()
        now = steady()
        self._admissions: dict[Kind, _Admission] = {
            "inference": _Admission(max_rate, now),
            "correction": _Admission(max_rate, now),
            "model": _Admission(max_rate, now),
        }
        self._unanswered = 0
        self._next_word = now
        self._heard: Queue[Heard | None] = Queue(_WAITING + 1)
        self._left: deque[Heard] = deque()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="requests", daemon=True)

    def start(self, left: Sequence[Heard] = ()) -> None:
        """Begin to answer; first what another heard, and left when it was closed."""
        self._left.extend(left)
        self._thread.start()

    def hear(self, kind: Kind, body: bytes) -> bool:
        """Hear a request for inference, a correction or another model; False once it is closed."""
        with self._lock:
            if self._closed:
                return False
            now = self._steady()
            admitted = self._admissions[kind].admit(now)
            if admitted is None or self._heard.qsize() >= _WAITING:
                self._leave_out(now)
                return True
            # One byte too many is enough to see that it is too big.
            self._heard.put_nowait(Heard(kind, body[: LARGEST_BODY + 1], not admitted))
            return True

    def close(self, timeout: float) -> list[Heard]:
        """Answer no more; wait so many seconds for the one that is being answered.

        Returns what was heard, and is left to whoever answers next.
        """
        with self._lock:
            if self._closed:
                return []
            self._closed = True
            left = [*self._left]
            self._left.clear()
            with suppress(Empty):
                while (heard := self._heard.get_nowait()) is not None:
                    left.append(heard)
            self._heard.put_nowait(None)
        if self._thread.is_alive():
            self._thread.join(timeout)
        return left

    def _leave_out(self, now: float) -> None:
        self._unanswered += 1
        if now >= self._next_word:
            self._next_word = now + _WORD_EACH
            _log.warning(
                "%d requests got no answer: they come faster than they can be refused",
                self._unanswered,
            )
            self._unanswered = 0

    def _run(self) -> None:
        while (heard := self._next()) is not None:
            self._answer(heard)

    def _next(self) -> Heard | None:
        with self._lock:
            if self._left:
                return self._left.popleft()
        return self._heard.get()

    def _answer(self, heard: Heard) -> None:
        try:
            if heard.kind == "inference":
                self._answer_inference(heard)
            elif heard.kind == "model":
                self._answer_model(heard)
            else:
                self._answer_correction(heard)
            self._notify()
        except Exception as error:  # noqa: BLE001 - one request must not end the others
            known = self._closed or isinstance(error, EdgetallyError)
            _log.error("a request got no answer: %s", error, exc_info=not known)

    def _answer_inference(self, heard: Heard) -> None:
        request_id = ""
        try:
            request = parse_inference(heard.body, _new_id)
            request_id = request.request_id
            self._refuse_frequent(heard)
            seen = self._look(request)
        except RefusedRequestError as refusal:
            refusal.request_id = refusal.request_id or request_id
            self._answers.not_seen(refusal, self._clock())
        except Exception as error:  # noqa: BLE001 - whatever it is, who asked waits for a word
            _log.exception("a request failed")
            failure = RefusedRequestError("failed", f"{type(error).__name__}: {error}", request_id)
            self._answers.not_seen(failure, self._clock())
        else:
            self._answers.seen(request_id, *seen)

    def _answer_correction(self, heard: Heard) -> None:
        request_id, reason = "", None
        try:
            request = parse_recount(heard.body, _new_id)
            request_id = request.request_id
            self._refuse_frequent(heard)
            recount = Recount(
                site_meant(request.site, self._sites),
                request.class_name,
                request.count,
                request.author,
                request.note,
                request_id,
            )
            self._recorder.correct(recount)
        except InputError as error:
            reason = str(error)
            request_id = request_id or getattr(error, "request_id", "")
        self._answers.corrected(request_id, reason, self._clock())

    def _answer_model(self, heard: Heard) -> None:
        try:
            wish = parse_model_wish(heard.body, _new_id)
        except RefusedRequestError as refusal:
            self._answers.model_set(refusal.request_id, str(refusal), self._clock())
            return

        def answer(reason: str | None) -> None:
            self._answers.model_set(wish.request_id, reason, self._clock())
            self._notify()

        try:
            self._refuse_frequent(heard)
        except RefusedRequestError as refusal:
            answer(str(refusal))
        else:
            self._ask_model(wish.model, answer)  # loading takes long, and others wait here

    def _refuse_frequent(self, heard: Heard) -> None:
        if heard.is_too_frequent:
            raise RefusedRequestError(
                "tooFrequent",
                f"requests come too fast; {self._max_rate:g} a second are answered",
            )


def _new_id() -> str:
    return uuid.uuid4().hex
