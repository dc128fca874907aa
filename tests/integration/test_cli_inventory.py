"""The stock by command: shown, corrected and explained, beside a service and without one."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from disk_trouble import damage, fill, remount, small_disk
from edgetally.counting.events import CountEvent
from edgetally.counting.ledger import Storage

if TYPE_CHECKING:
    from pathlib import Path

    from edgetally.bundle import ModelBundle

COMMAND = [sys.executable, "-c", "from edgetally.cli import main; main()", "inventory"]
BLUE = ("--class", "blue box", "--author", "mia")


@pytest.fixture
def config(bundle: ModelBundle, tmp_path: Path) -> Path:
    path = tmp_path / "edgetally.yaml"
    content = {
        "model": {"path": str(bundle.file("onnx").parent)},
        "cameras": [{"name": "dock", "source": "0", "site": "hall"}],
        "publish": {"transports": [{"type": "jsonl", "path": str(tmp_path / "messages.jsonl")}]},
        "storage": {"path": str(tmp_path / "state")},
    }
    path.write_text(yaml.safe_dump(content))
    return path


def inventory(what: str, config: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [*COMMAND, what, "--config", str(config), *options]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def printed(what: str, config: Path, *options: str) -> Any:
    done = inventory(what, config, *options, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def count(storage: Storage, direction: Any) -> None:
    event = CountEvent("dock", "door", direction, "blue box", 7, 1_700_000_000.0, 0.9, (0.5, 0.5))
    storage.write(lambda entry: entry.add(event))


def test_the_stock_can_be_set_before_the_service_ever_ran(config: Path, tmp_path: Path) -> None:
    done = inventory("set", config, *BLUE, "--count", "40", "--note", "at the start")
    assert (done.returncode, done.stdout) == (0, "hall, blue box: 40, was 0\n")
    with closing(Storage(tmp_path / "state", sites={"dock": "hall"})) as storage:
        count(storage, "out")
    level = printed("show", config)["sites"]["hall"]["blue box"]
    assert level == {
        "baseline": 40,
        "in": 0,
        "out": 1,
        "stock": 39,
        "seen": None,
        "drift": None,
    }


def test_the_stock_is_corrected_while_a_service_has_the_ledger(
    config: Path, tmp_path: Path
) -> None:
    """Its publisher finds the message in the outbox, its next crossing moves the new stock."""
    with closing(Storage(tmp_path / "state", sites={"dock": "hall"})) as storage:
        storage.register(["jsonl"])
        count(storage, "in")
        done = inventory("set", config, *BLUE, "--count", "12")
        assert (done.returncode, done.stdout) == (0, "hall, blue box: 12, was 1\n")
        count(storage, "in")
        assert storage.stock()["hall"]["blue box"].count == 13
        (told,) = storage.pending("jsonl", 10)
        body = json.loads(told.body)
        assert told.topic == "edgetally/local/inventory/events"
        assert (body["sequence"], body["count"], body["before"]) == (1, 12, 1)
        storage.write(lambda entry: entry.see({"hall": {"blue box": 15}}, 1_700_000_100.0))
        shown = inventory("show", config).stdout.splitlines()
    assert shown == [
        "Stock; seen at 2023-11-14T22:15:00.000Z",
        "  site  class     baseline  in  out  stock  seen  drift",
        "  hall  blue box        11   2    0     13    15      2",
    ]


def test_the_history_tells_who_corrected_what(config: Path, tmp_path: Path) -> None:
    with closing(Storage(tmp_path / "state", sites={"dock": "hall"})) as storage:
        count(storage, "in")
    inventory("set", config, *BLUE, "--count", "40", "--note", "monthly")
    (line,) = inventory("history", config).stdout.splitlines()
    assert line.endswith("Z  hall, blue box: 40, was 1, by mia: monthly")
    (correction,) = printed("history", config)
    assert (correction["author"], correction["count"], correction["before"]) == ("mia", 40, 1)
    crossing, _ = printed("history", config, "--all")
    assert (crossing["kind"], crossing["line"], crossing["time"]) == (
        "in",
        "door",
        "2023-11-14T22:13:20.000Z",
    )
    assert printed("history", config, "--class", "yellow box") == []
    assert inventory("history", config, "--class", "yellow box").stdout == "nothing yet\n"
    unknown = {
        ("--site", "yard"): "there is no site 'yard'; there are hall",
        ("--class", "green box"): "there is no class 'green box'; there are blue box, yellow box",
        ("--class", "\udcff"): "there is no class '\\udcff'; there are blue box, yellow box",
    }
    for options, said in unknown.items():
        done = inventory("history", config, *options)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr == f"edgetally: {said}\n"


def is_in_memory(storage: Storage) -> bool:
    return storage.state.state == "memory"


@pytest.mark.parametrize(
    ("what", "options", "said"),
    [
        ("show", (), "there is no ledger; start the service once"),
        ("history", (), "there is no ledger; start the service once"),
        ("set", ("--class", "green box", "--count", "4"), "no class 'green box'; it has blue box"),
        ("set", ("--class", "blue box", "--count", "-4"), "count -4 is no stock"),
        ("set", ("--class", "blue box", "--count", "4.5"), "--count"),
        ("set", (*BLUE, "--count", "4", "--site", "yard"), "no site 'yard'; there are hall"),
        ("set", (*BLUE, "--count", "4", "--author", ""), "the author is missing; say who counted"),
        ("set", ("--count", "4"), "Missing option '--class'"),
        ("history", ("--limit", "9" * 30), "--limit"),
    ],
)
def test_what_cannot_be_is_told_in_one_line(
    config: Path, tmp_path: Path, what: str, options: tuple[str, ...], said: str
) -> None:
    done = inventory(what, config, *options)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1, done.stderr
    assert said in done.stderr
    assert not (tmp_path / "state").exists()


def test_a_disk_without_room_is_told_with_what_else_can_be_done(
    config: Path, bundle: ModelBundle, tmp_path: Path
) -> None:
    """While a service counts in memory, and the disk takes nothing."""
    with small_disk() as disk:
        content = yaml.safe_load(config.read_text()) | {"storage": {"path": str(disk / "state")}}
        config.write_text(yaml.safe_dump(content))
        (disk / "state").mkdir()
        (disk / "state" / "ledger.lock").touch()
        ballast = fill(disk)
        storage = Storage(disk / "state", sites={"dock": "hall"}, retry=0)
        with closing(storage):  # it begins without a file
            told = [inventory("set", config, *BLUE, "--count", "40")]
            ballast.unlink()
            storage.tend()
            ballast = fill(disk)
            for _ in range(200):
                count(storage, "in")
            assert storage.state.state == "memory"
            told.append(inventory("set", config, *BLUE, "--count", "40"))
            ballast.unlink()
            assert inventory("set", config, *BLUE, "--count", "40").returncode == 0
    for done in told:
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
        assert done.stderr.startswith("edgetally: nothing was corrected: ")
        assert "by message, on edgetally/local/inventory/set" in done.stderr


def test_a_damaged_ledger_is_told_with_what_to_do(config: Path, tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "ledger.sqlite").write_text("no database")
    for what, *options in (("show",), ("set", *BLUE, "--count", "4")):
        done = inventory(what, config, *options)
        assert (done.returncode, done.stderr.count("\n")) == (1, 1)
        assert "it is damaged; start the service, it sets it aside" in done.stderr


def test_pages_that_are_damaged_are_told_as_such(config: Path, tmp_path: Path) -> None:
    with closing(Storage(tmp_path / "state", sites={"dock": "hall"})) as storage:
        for _ in range(200):
            count(storage, "in")
    damage(tmp_path / "state" / "ledger.sqlite")
    for what, *options in (("show",), ("history",), ("set", *BLUE, "--count", "4")):
        done = inventory(what, config, *options)
        assert (done.returncode, done.stderr.count("\n")) == (1, 1)
        assert "it is damaged; start the service, it sets it aside" in done.stderr


def test_what_a_service_counts_in_memory_is_said_to_be_missing(
    config: Path, tmp_path: Path
) -> None:
    with small_disk() as disk:
        content = yaml.safe_load(config.read_text()) | {"storage": {"path": str(disk / "state")}}
        config.write_text(yaml.safe_dump(content))
        storage = Storage(disk / "state", sites={"dock": "hall"}, retry=0)
        count(storage, "in")
        assert printed("show", config)["note"] is None
        ballast = fill(disk)
        while not is_in_memory(storage):
            count(storage, "in")
        shown, told = inventory("show", config, "--json"), inventory("history", config)
        assert "counts in memory alone" in json.loads(shown.stdout)["note"]
        for done in (shown, told):
            assert done.returncode == 0
            assert done.stderr.startswith("note: the service that runs counts in memory alone")
        (disk / "state" / "ledger.sqlite").unlink()
        none = inventory("show", config)
        assert none.returncode == 2
        assert "no ledger yet; the service that runs counts in memory alone" in none.stderr
        ballast.unlink()
        storage.tend()
        assert not is_in_memory(storage)
        assert inventory("show", config).stderr == ""
        storage.close()


def test_a_ledger_on_a_disk_that_is_read_only_can_be_read(config: Path) -> None:
    with small_disk() as disk:
        content = yaml.safe_load(config.read_text()) | {"storage": {"path": str(disk / "state")}}
        config.write_text(yaml.safe_dump(content))
        inventory("set", config, *BLUE, "--count", "40")
        remount(disk, "ro")
        assert printed("show", config)["sites"]["hall"]["blue box"]["stock"] == 40
        assert [record["count"] for record in printed("history", config)] == [40]
        done = inventory("set", config, *BLUE, "--count", "41")
        assert done.returncode == 1
        assert "is on a disk that is read-only; make it writable" in done.stderr


def test_a_site_that_is_not_there_is_told_beside_those_that_are(
    config: Path, tmp_path: Path
) -> None:
    Storage(tmp_path / "state").close()
    done = inventory("show", config, "--site", "yard")
    assert done.returncode == 2
    assert "there is no site 'yard'; there are hall" in done.stderr
    assert inventory("show", config).stdout == "nothing was counted yet\n"
