"""Lines in files and on streams that are real: a full disk and a closed pipe included."""

from __future__ import annotations

import io
import json
import os
import sys
from pathlib import Path

import pytest

from edgetally.config import parse_config
from edgetally.errors import EdgetallyError, InputError
from edgetally.messaging.transports import (
    ConsoleTransport,
    JsonlTransport,
    Transport,
    create_transports,
)

FULL_DISK = Path("/dev/full")
OPEN_FILES = Path("/proc/self/fd")


def create(console: io.StringIO | None = None, *configs: dict[str, str]) -> tuple[Transport, ...]:
    config = parse_config(
        {
            "model": {"path": "bundle"},
            "cameras": [{"name": "door", "source": "0"}],
            "publish": {"transports": list(configs)},
        },
        "test",
    )
    return create_transports(config.publish.transports, console=console)


def held_open() -> set[Path]:
    return {link.readlink() for link in OPEN_FILES.iterdir() if link.exists()}


def lines_of(path: Path) -> list[object]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n")[:-1]]


def test_jsonl_writes_each_message_as_it_is_beside_its_topic(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "messages.jsonl"
    (transport,) = create(None, {"type": "jsonl", "path": str(path)})
    sent = transport.send("edgetally/a/door", '{"class":"Körper","score":1.0}')
    assert sent.done()
    assert path.read_text(encoding="utf-8") == (  # on disk before the file is closed
        '{"topic":"edgetally/a/door","message":{"class":"Körper","score":1.0}}\n'
    )
    transport.close()
    transport.close()


def test_jsonl_appends_to_what_is_there(tmp_path: Path) -> None:
    path = tmp_path / "messages.jsonl"
    for number in range(3):
        transport = JsonlTransport(path)
        transport.send("t", f'{{"n":{number}}}')
        transport.close()
    assert lines_of(path) == [{"topic": "t", "message": {"n": n}} for n in range(3)]


def test_jsonl_ends_a_line_that_a_crash_cut_short(tmp_path: Path) -> None:
    path = tmp_path / "messages.jsonl"
    path.write_text('{"topic":"t","message":{}}\n{"topic":"t","mess')
    transport = JsonlTransport(path)
    for number in (1, 2):
        transport.send("t", f'{{"n":{number}}}')
    transport.close()
    whole, torn, *rest = path.read_text().splitlines()
    assert json.loads(whole) == {"topic": "t", "message": {}}
    assert torn == '{"topic":"t","mess'
    assert [json.loads(line)["message"] for line in rest] == [{"n": 1}, {"n": 2}]


@pytest.mark.parametrize("is_moved", [True, False])
def test_jsonl_begins_a_new_file_where_the_old_one_was_moved_or_deleted(
    is_moved: bool, tmp_path: Path
) -> None:
    path = tmp_path / "folder" / "messages.jsonl"
    transport = JsonlTransport(path)
    transport.send("t", '{"n":1}')
    if is_moved:
        path.rename(tmp_path / "messages.jsonl.1")
        path.write_text('{"topic":"t","mess')  # someone else's, cut short
    else:
        path.unlink()
        path.parent.rmdir()
    transport.send("t", '{"n":2}')
    transport.close()
    assert json.loads(path.read_text().splitlines()[-1]) == {"topic": "t", "message": {"n": 2}}
    if is_moved:
        assert lines_of(tmp_path / "messages.jsonl.1") == [{"topic": "t", "message": {"n": 1}}]


def test_a_file_that_cannot_be_opened_is_one_line_for_the_user(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path, tmp_path / "file" / "messages.jsonl"):
        with pytest.raises(InputError, match="give a file that can be written") as caught:
            create(None, {"type": "jsonl", "path": str(path)})
        assert str(path) in str(caught.value)
    with pytest.raises(InputError, match="null byte; give a file that can be written"):
        JsonlTransport(tmp_path / "a\0b")


@pytest.mark.skipif(not FULL_DISK.exists(), reason="needs Linux's /dev/full")
def test_a_full_disk_fails_the_message_and_not_the_user(tmp_path: Path) -> None:
    transport = JsonlTransport(FULL_DISK)
    with pytest.raises(EdgetallyError, match="No space left") as caught:
        transport.send("t", "{}")
    assert caught.value.exit_code == 1
    transport.close()


def test_a_closed_file_fails_the_message(tmp_path: Path) -> None:
    transport = JsonlTransport(tmp_path / "messages.jsonl")
    transport.close()
    with pytest.raises(EdgetallyError, match="closed"):
        transport.send("t", "{}")


def test_the_console_shows_each_message_as_a_line() -> None:
    stream = io.StringIO()
    (transport,) = create(stream, {"type": "console"})
    transport.send("a/b", '{"n":1}')
    transport.send("a/b", '{"n":2}')
    transport.close()
    assert stream.getvalue() == (
        '{"topic":"a/b","message":{"n":1}}\n{"topic":"a/b","message":{"n":2}}\n'
    )


def test_the_console_goes_to_stdout_by_default(capsys: pytest.CaptureFixture[str]) -> None:
    (transport,) = create(None, {"type": "console"})
    transport.send("t", "{}")
    assert capsys.readouterr().out == '{"topic":"t","message":{}}\n'


def test_a_console_without_a_stdout_is_one_line_for_the_user(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "stdout", None)  # as Python does where it starts with it closed
    with pytest.raises(InputError, match="console transport: there is no standard output"):
        create(None, {"type": "console"})


def test_a_reader_that_leaves_does_not_disturb_the_service() -> None:
    reader, writer = os.pipe()
    with os.fdopen(writer, "w") as stream:
        transport = ConsoleTransport(stream)
        transport.send("t", "{}")
        assert os.read(reader, 100) == b'{"topic":"t","message":{}}\n'
        os.close(reader)
        for _ in range(3):
            transport.send("t", "{}")


@pytest.mark.skipif(not FULL_DISK.exists(), reason="needs Linux's /dev/full")
def test_a_console_that_takes_nothing_fails_the_message() -> None:
    stream = FULL_DISK.open("w")
    with pytest.raises(EdgetallyError, match="console: "):
        ConsoleTransport(stream).send("t", "{}")
    with pytest.raises(OSError, match="No space left"):
        stream.close()


@pytest.mark.skipif(not OPEN_FILES.exists(), reason="needs Linux's /proc")
def test_when_one_transport_cannot_be_made_none_is_left_open(tmp_path: Path) -> None:
    good = tmp_path / "good.jsonl"
    (transport,) = create(None, {"type": "jsonl", "path": str(good)})
    assert good in held_open()
    transport.close()
    with pytest.raises(InputError) as caught:
        create(None, {"type": "jsonl", "path": str(good)}, {"type": "jsonl", "path": "/"})
    assert good not in held_open(), caught  # whose frames keep what was made


def test_a_transport_that_is_there_twice_is_refused() -> None:
    with pytest.raises(InputError, match=r"publish\.transports: console is there twice; keep one"):
        create(io.StringIO(), {"type": "console"}, {"type": "console"})


def test_each_transport_has_a_name_that_stays_the_same(tmp_path: Path) -> None:
    paths = [str(tmp_path / name) for name in ("a.jsonl", "b.jsonl")]
    configs = [{"type": "jsonl", "path": path} for path in paths]
    names = [
        [transport.name for transport in create(io.StringIO(), {"type": "console"}, *configs)]
        for _ in range(2)
    ]
    assert names[0] == names[1] == ["console", *(f"jsonl {path}" for path in paths)]
