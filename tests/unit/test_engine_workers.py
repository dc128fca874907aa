"""The threads of an engine: in order, each failure its own, and none that keeps a program alive."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
import time

import pytest

from edgetally.engines.workers import Workers, some_left_behind

WAIT = 20.0


def test_calls_are_done_in_the_order_of_submission() -> None:
    workers = Workers(1, "test")
    done: list[int] = []

    for number in range(50):
        workers.submit(done.append, number)

    assert workers.close(WAIT)
    assert done == list(range(50))


def test_a_call_that_fails_fails_its_own_future_alone() -> None:
    workers = Workers(1, "test")

    failed, fine = workers.submit(int, "five"), workers.submit(int, "5")

    with pytest.raises(ValueError, match="five"):
        failed.result(WAIT)
    assert fine.result(WAIT) == 5
    assert workers.close(WAIT)


def test_nothing_is_taken_once_they_are_closed_and_closing_twice_is_harmless() -> None:
    workers = Workers(2, "test")

    assert workers.close(WAIT)
    assert workers.close(WAIT)
    with pytest.raises(RuntimeError, match="closed"):
        workers.submit(int, 1)


def test_what_hangs_is_left_behind_and_told() -> None:
    workers, forever = Workers(2, "test"), threading.Event()
    hanging = workers.submit(forever.wait)

    began = time.monotonic()
    assert not workers.close(0.05)
    assert time.monotonic() - began < WAIT
    assert some_left_behind()

    forever.set()
    assert hanging.result(WAIT)
    assert workers.close(WAIT)
    assert not some_left_behind()


def test_workers_that_nobody_closed_end_with_the_last_reference() -> None:
    workers = Workers(1, "forgotten")
    (thread,) = [each for each in threading.enumerate() if each.name == "forgotten 0"]

    del workers
    gc.collect()

    thread.join(WAIT)
    assert not thread.is_alive()


def test_a_program_ends_though_a_worker_hangs() -> None:
    program = """
import threading
from edgetally.engines.workers import Workers
workers = Workers(1, "test")
workers.submit(threading.Event().wait)
assert not workers.close(0.01)
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=WAIT)
