"""When the nucleus may be told that we are ERRORED: not thrice within hours."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgetally.service.complaint import Complaint

if TYPE_CHECKING:
    from pathlib import Path

HOUR = 3600.0


def test_it_is_told_at_once_and_after_it_ended_us_not_within_an_hour(tmp_path: Path) -> None:
    now = 1_700_000_000.0
    first = Complaint(tmp_path / "state", lambda: now)
    assert first.wait == 0
    first.note()
    following = Complaint(tmp_path / "state", lambda: now)
    assert HOUR < following.wait < 1.2 * HOUR
    now += 1.2 * HOUR
    assert following.wait == 0


def test_a_clock_that_was_set_back_and_a_damaged_note_keep_nobody_waiting(tmp_path: Path) -> None:
    Complaint(tmp_path, lambda: 2e9).note()
    assert Complaint(tmp_path, lambda: 1e9).wait == 0
    (tmp_path / "errored").write_text("nan")
    assert Complaint(tmp_path).wait == 0
    (tmp_path / "errored").write_text("soon")
    assert Complaint(tmp_path).wait == 0
