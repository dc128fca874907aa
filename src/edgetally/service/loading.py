"""`load_unless`: loading a model beside, so that whoever is asked to stop need not wait for it."""

from __future__ import annotations

import threading
from concurrent.futures import Future, wait
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

_Loaded = TypeVar("_Loaded")
_LOOK = 0.1  # seconds between looks at whether to stop


def load_unless(is_stopping: Callable[[], bool], load: Callable[[], _Loaded]) -> _Loaded | None:
    """Return what `load` returns, or raise what it raises; None once `is_stopping` says so.

    Runtimes take many seconds to compile a model, in which Python can't interrupt them; what is
    still loading then is left to a daemon thread.
    """
    loaded: Future[_Loaded] = Future()

    def work() -> None:
        try:
            loaded.set_result(load())
        except BaseException as error:  # noqa: BLE001 - it belongs to whoever waits
            loaded.set_exception(error)

    threading.Thread(target=work, name="load", daemon=True).start()
    while not is_stopping():
        if wait([loaded], _LOOK).done:
            return loaded.result()
    return None
