"""Loading a model beside, while somebody may ask to stop."""

from __future__ import annotations

import threading

import pytest

from edgetally.errors import EdgetallyError
from edgetally.service.loading import load_unless


def test_what_was_loaded_is_returned() -> None:
    assert load_unless(lambda: False, lambda: 7) == 7


def test_what_loading_raises_is_raised() -> None:
    def fail() -> None:
        raise EdgetallyError("no such model")

    with pytest.raises(EdgetallyError, match="no such model"):
        load_unless(lambda: False, fail)


def test_who_is_asked_to_stop_does_not_wait() -> None:
    begun, go_on = threading.Event(), threading.Event()

    def load() -> int:
        begun.set()
        go_on.wait(20)
        return 7

    try:
        assert load_unless(begun.is_set, load) is None
    finally:
        go_on.set()
