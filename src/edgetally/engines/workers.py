"""`Workers`: threads that compute, and that can be left behind where a runtime hangs."""

from __future__ import annotations

import atexit
import threading
import time
import weakref
from concurrent.futures import Future
from dataclasses import dataclass
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

_LAST_SECONDS = 10.0
_Result = TypeVar("_Result")


@dataclass(frozen=True, eq=False)
class _Task:
    call: Callable[..., Any]
    arguments: tuple[Any, ...]
    future: Future[Any]

    def run(self) -> None:
        try:
            result = self.call(*self.arguments)
        except BaseException as error:  # noqa: BLE001 - it belongs to whoever waits
            self.future.set_exception(error)
        else:
            self.future.set_result(result)


class _Worker(threading.Thread):
    is_left_behind = False

    def __init__(self, tasks: SimpleQueue[_Task | None], name: str) -> None:
        super().__init__(name=name, daemon=True)
        self._tasks = tasks

    def run(self) -> None:
        while (task := self._tasks.get()) is not None:
            task.run()
            del task  # a picture is not kept until the next one comes


class Workers:
    """Some threads that do, in the order of submission, what is submitted.

    Unlike those of `concurrent.futures`, they are daemons: Python ends without waiting for one.
    """

    def __init__(self, count: int, name: str) -> None:
        self._tasks: SimpleQueue[_Task | None] = SimpleQueue()
        self._threads = [_Worker(self._tasks, f"{name} {number}") for number in range(count)]
        self._lock = threading.Lock()
        # Workers that nobody closed end with the last reference to them.
        self._dismiss = weakref.finalize(self, _dismiss, self._tasks, count)
        for thread in self._threads:
            thread.start()

    def submit(self, call: Callable[..., _Result], *arguments: Any) -> Future[_Result]:
        """Queue a call. RuntimeError once `close` was called."""
        future: Future[_Result] = Future()
        future.set_running_or_notify_cancel()  # what is queued can't be called back
        with self._lock:
            if not self._dismiss.alive:
                raise RuntimeError("the engine is closed")
            self._tasks.put(_Task(call, arguments, future))
        return future

    def close(self, patience: float) -> bool:
        """Wait up to `patience` seconds until all is done; False where a thread still works."""
        with self._lock:
            self._dismiss()
        until = time.monotonic() + patience
        for thread in self._threads:
            if thread is not threading.current_thread():  # whose last task closes the engine
                thread.join(max(0.0, until - time.monotonic()))
        for thread in self._threads:
            thread.is_left_behind = thread.is_alive()
        return not any(thread.is_left_behind for thread in self._threads)


def _await_all() -> None:
    """Let workers finish before Python ends: a thread that it stops in a runtime aborts it."""
    threads = [thread for thread in threading.enumerate() if isinstance(thread, _Worker)]
    until = time.monotonic() + _LAST_SECONDS
    for thread in threads:
        if not thread.is_left_behind and thread is not threading.current_thread():
            thread.join(max(0.0, until - time.monotonic()))


atexit.register(_await_all)


def some_left_behind() -> bool:
    """Tell whether a worker still computes that was given up.

    The runtime's own threads may then keep the process from ending.
    """
    return any(
        thread.is_left_behind for thread in threading.enumerate() if isinstance(thread, _Worker)
    )


def _dismiss(tasks: SimpleQueue[_Task | None], count: int) -> None:
    for _ in range(count):
        tasks.put(None)
