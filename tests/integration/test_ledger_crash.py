"""A process that counts is killed a hundred times, at random instants, and nothing is wrong."""

from __future__ import annotations

import json
import random
import sqlite3
import subprocess
import sys
from collections import defaultdict
from contextlib import closing
from typing import TYPE_CHECKING, Any

import counting_process
import pytest

from edgetally.counting.ledger import FILE_NAME, Ledger

if TYPE_CHECKING:
    from pathlib import Path

KILLS = 100
FRAMES = 900  # of each of two cameras
LONGEST_LIFE = 0.06  # seconds
FOR_EVER = 600.0


class Counting:
    """The process in a folder."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._process = subprocess.Popen(
            [sys.executable, counting_process.__file__, str(folder), str(FRAMES)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._answer() == "ready"

    def live(self, seconds: float, since: str = "open") -> bool:
        """Let it count for so long; True if it got through everything before it was killed."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{since} {seconds}\n")
        self._process.stdin.flush()
        return self._answer() == "ended"

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()

    def _answer(self) -> str:
        assert self._process.stdout is not None
        answer = self._process.stdout.readline().strip()
        assert answer, "the counting process failed"
        return answer


class HandedOver:
    """The messages in the file, read on as it grows; what a kill cut short is none."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self.messages: dict[str, dict[int, Any]] = defaultdict(dict)

    def read(self) -> None:
        if not self._path.exists():
            return
        with self._path.open("rb") as stream:
            stream.seek(self._offset)
            for line in stream:
                if not line.endswith(b"\n"):
                    break
                self._offset += len(line)
                try:
                    entry = json.loads(line)
                except ValueError:
                    continue
                message = entry["message"]
                before = self.messages[entry["topic"]].setdefault(message["sequence"], message)
                assert before == message  # one that comes twice is the same


@pytest.fixture
def alone(tmp_path: Path) -> Path:
    """A folder in which everything was counted without a kill."""
    folder = tmp_path / "alone"
    counting = Counting(folder)
    assert counting.live(FOR_EVER)
    counting.close()
    return folder


def reading(folder: Path) -> closing[sqlite3.Connection]:
    # Not to be the one who brings the file in order after a kill.
    return closing(sqlite3.connect(f"{(folder / FILE_NAME).as_uri()}?mode=ro", uri=True))


def assert_right(folder: Path, handed_over: HandedOver) -> None:
    """Totals are the sum of the events, and each number was told or is about to be."""
    with reading(folder) as base:
        totals = base.execute("SELECT camera, class, direction, count FROM totals ORDER BY 1, 2, 3")
        events = base.execute(
            "SELECT camera, class, direction, COUNT(*) FROM events GROUP BY 1, 2, 3 "
            "ORDER BY 1, 2, 3"
        )
        assert totals.fetchall() == events.fetchall()
        stock = base.execute("SELECT site, class, moved_in, moved_out FROM stock ORDER BY 1, 2")
        moved = base.execute(
            "SELECT site, class, SUM(direction = 'in'), SUM(direction = 'out') FROM events "
            "GROUP BY 1, 2 ORDER BY 1, 2"
        )
        assert stock.fetchall() == moved.fetchall()
        waiting: dict[str, set[int]] = defaultdict(set)
        for topic, body in base.execute("SELECT topic, body FROM outbox"):
            waiting[topic].add(json.loads(body)["sequence"])
        sequences = dict(base.execute("SELECT stream, last FROM sequences").fetchall())
    for topic, last in sequences.items():
        told = handed_over.messages[topic].keys() | waiting[topic]
        assert told == set(range(1, last + 1)), topic


def everything(folder: Path) -> list[list[tuple[Any, ...]]]:
    with reading(folder) as base:
        return [
            base.execute(f"SELECT {columns} ORDER BY 1, 2, 3, 4").fetchall()
            for columns in (
                "camera, time, line, direction, class, track_id, site FROM events",
                "camera, time, zone, kind, class, track_id, site FROM zone_events",
                "* FROM totals",
                "site, class, moved_in, moved_out FROM stock",
                "stream, last, 0, 0 FROM sequences",
            )
        ]


def test_a_hundred_kills_cost_no_count_and_no_message(alone: Path, tmp_path: Path) -> None:
    folder = tmp_path / "killed"
    counting = Counting(folder)
    handed_over = HandedOver(folder / "messages.jsonl")
    chance = random.Random(5)
    for number in range(KILLS):
        since = "open" if number % 4 else "start"
        ended = counting.live(chance.uniform(0.0, LONGEST_LIFE), since)
        assert not ended, "it got through too quickly; give it more frames"
        if number:  # the first may not have got to begin a ledger
            handed_over.read()
            assert_right(folder, handed_over)
    assert counting_process.recorded(folder) > KILLS
    assert counting.live(FOR_EVER)
    counting.close()
    handed_over.read()
    assert_right(folder, handed_over)
    assert everything(folder) == everything(alone)
    ledger = Ledger(folder)
    assert ledger.waiting() == 0
    assert len(ledger.history(limit=100_000)) > 2 * 100
    undisturbed = HandedOver(alone / "messages.jsonl")
    undisturbed.read()
    for topic, messages in undisturbed.messages.items():
        assert messages.keys() == handed_over.messages[topic].keys()
        if topic.endswith("/events"):
            assert messages == handed_over.messages[topic]
