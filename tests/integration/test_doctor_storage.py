"""`edgetally doctor` and disks: what can't be written there, and what helps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from disk_trouble import fill, remount, small_disk
from edgetally.config import Config, JsonlTransport, parse_config
from edgetally.doctor.brokers import transport
from edgetally.doctor.storage import storage
from edgetally.errors import InputError
from edgetally.messaging.transports.jsonl import JsonlTransport as Appending
from locked_folder import locked_folder

if TYPE_CHECKING:
    from pathlib import Path

    from edgetally.doctor.finding import Finding


def config(path: Path) -> Config:
    return parse_config(
        {
            "model": {"path": "models/mine"},
            "cameras": [{"name": "dock", "source": "test:"}],
            "storage": {"path": str(path)},
        },
        "test",
    )


def lines(path: Path) -> Finding:
    """Look at a file that messages are appended to."""
    (found,) = transport(JsonlTransport(type="jsonl", path=path))
    return found


def test_a_storage_folder_that_cannot_be_written_is_found() -> None:
    with locked_folder() as locked:
        (found,) = storage(config(locked / "state"))
    assert found.state == "wrong"
    assert f"let this user write to {locked}" in found.remedy


def test_a_storage_folder_that_is_a_file_is_told_with_what_helps(tmp_path: Path) -> None:
    file = tmp_path / "state"
    file.touch()
    for path in (file, file / "below"):
        (found,) = storage(config(path))
        assert found.state == "wrong"
        assert found.text == f"{path} can't be written to (Not a directory)"
        assert found.remedy == f"{file} is no folder; give another path"


def test_a_full_disk_wants_room_and_a_read_only_one_is_to_be_mounted_otherwise() -> None:
    with small_disk() as disk:
        fill(disk)
        (full,) = storage(config(disk / "state"))
        full_too = lines(disk / "no" / "messages.jsonl")
        remount(disk, "ro")
        (read_only,) = storage(config(disk / "state"))
    for found in (full, full_too):
        assert found.state == "wrong"
        assert "No space left on device" in found.text
        assert found.remedy == f"make room on the disk of {disk}"
    assert read_only.state == "wrong"
    assert read_only.remedy.startswith(f"mount the disk of {disk} to be written")


@pytest.mark.parametrize(("megabytes", "state"), [(20, "wrong"), (70, "note"), (200, "ok")])
def test_less_room_than_counting_needs_is_wrong_and_less_than_messages_may_take_a_note(
    megabytes: int, state: str
) -> None:
    with small_disk(megabytes) as disk:
        room, in_memory = storage(config(disk / "state"))
    assert room.state == state
    assert ("make room" in room.remedy) == (state != "ok")
    assert "lies in memory" in in_memory.text


def test_a_messages_file_is_well_where_a_run_would_make_it(tmp_path: Path) -> None:
    path = tmp_path / "not" / "yet" / "messages.jsonl"
    assert lines(path).state == "ok"
    assert list(tmp_path.iterdir()) == []  # looking changes nothing
    appending = Appending(path)
    appending.send("t", "{}").result()
    appending.close()
    before = path.stat()
    assert lines(path).state == "ok"
    assert path.stat().st_mtime_ns == before.st_mtime_ns


def test_a_messages_file_that_a_run_could_not_open_is_wrong(tmp_path: Path) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.touch()
    remedies = {
        tmp_path: "give the path of a file",
        in_the_way / "messages.jsonl": f"{in_the_way} is no folder; give another path",
    }
    for path, remedy in remedies.items():
        see_that_it_fails(path, remedy)
    with locked_folder() as locked:
        see_that_it_fails(
            locked / "messages.jsonl", f"let this user write to {locked}, or give another path"
        )


def see_that_it_fails(path: Path, remedy: str) -> None:
    found = lines(path)
    assert (found.state, found.remedy) == ("wrong", remedy)
    with pytest.raises(InputError):
        Appending(path)
