"""The file of tuned choices: what it is keyed by, where it lies, and what broken ones do."""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING, Any

import pytest

from edgetally.engines.device import Device, this_device
from edgetally.engines.tuned import TunedChoice, tuned_choice, tuning_path, write_choice
from edgetally.errors import EdgetallyError

if TYPE_CHECKING:
    from pathlib import Path


def choice(bundle: str = "a", device: Device | None = None, **changes: Any) -> TunedChoice:
    known: dict[str, Any] = {
        "bundle": bundle,
        "device": device or this_device(),
        "engine": "openvino",
        "precision": "bf16",
        "threads": 2,
        "streams": None,
        "frames_per_second": 30.5,
        "milliseconds": 33.0,
    }
    return TunedChoice(**(known | changes))


def other(**changes: Any) -> Device:
    return this_device().model_copy(update=changes)


def test_a_choice_is_found_again_for_its_bundle_alone(tmp_path: Path) -> None:
    path = tmp_path / "new" / "tuning.json"

    assert write_choice(choice("a"), path) == path
    write_choice(choice("b", engine="mxnet", precision="fp32"), path)

    assert tuned_choice("a", path) == choice("a")
    found = tuned_choice("b", path)
    assert found is not None
    assert found.engine == "mxnet"
    assert tuned_choice("c", path) is None


def test_a_later_choice_replaces_the_one_of_the_same_device(tmp_path: Path) -> None:
    path = tmp_path / "tuning.json"
    write_choice(choice(device=other(runtimes={"openvino": "0.1"})), path)
    write_choice(choice(precision="int8"), path)
    write_choice(choice(), path)

    assert tuned_choice("a", path) == choice()
    assert len(json.loads(path.read_text())["choices"]) == 1


def test_a_file_serves_several_kinds_of_device(tmp_path: Path) -> None:
    path = tmp_path / "tuning.json"
    write_choice(choice(), path)
    write_choice(choice(device=other(processor="another"), precision="fp32"), path)

    assert tuned_choice("a", path) == choice()


@pytest.mark.parametrize("number", [0, -1, 10**9])
def test_no_choice_asks_for_threads_that_no_device_has(number: int) -> None:
    with pytest.raises(ValueError, match="threads"):
        choice(threads=number)


def test_a_file_does_not_grow_for_ever(tmp_path: Path) -> None:
    path = tmp_path / "tuning.json"
    for number in range(103):
        write_choice(choice(str(number)), path)

    assert len(json.loads(path.read_text())["choices"]) == 100
    assert tuned_choice("2", path) is None
    assert tuned_choice("102", path) == choice("102")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"processor": "Old CPU"}, r"another processor \(Old CPU\)"),
        ({"instructions": "000000000000"}, "another processor"),
        ({"cores": 999}, "999 cores, not"),
        ({"runtimes": {"other": "0.1"}}, "absent, not|other 0.1, not absent"),
    ],
    ids=["processor", "instructions", "cores", "version"],
)
def test_a_choice_of_another_device_is_ignored_with_one_warning(
    changes: dict[str, Any], told: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "tuning.json"
    write_choice(choice(device=other(**changes)), path)

    assert tuned_choice("a", path) is None

    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert "run edgetally tune again" in record.getMessage()
    assert re.search(told, record.getMessage())


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b"{}{",
        b'{"format": "edgetally.tuning/2", "choices": []}',
        b'{"format": "edgetally.tuning/1", "choices": [{"bundle": "a"}]}',
        b'{"format": "edgetally.tuning/1", "choices": [{"threads": 1000000000}]}',
        b"[" * 100_000,
        b" " * (2 << 20) + b"{}",
    ],
    ids=["empty", "no text", "list", "rest", "format", "keys", "threads", "deep", "large"],
)
def test_a_broken_file_is_ignored_with_one_warning_and_replaced_by_the_next_choice(
    content: bytes, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "tuning.json"
    path.write_bytes(content)

    assert tuned_choice("a", path) is None

    (record,) = caplog.records
    assert str(path) in record.getMessage()
    assert "\n" not in record.getMessage()
    write_choice(choice(), path)
    assert tuned_choice("a", path) == choice()


def test_a_pipe_is_not_waited_for(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    os.mkfifo(tmp_path / "tuning.json")

    assert tuned_choice("a", tmp_path / "tuning.json") is None

    assert "can't be read" in caplog.text


def test_a_file_that_was_named_and_is_missing_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert tuned_choice("a", tmp_path / "none.json") is None

    assert "does not exist" in caplog.text


def test_a_folder_that_can_not_be_written_is_told_and_nothing_is_left(tmp_path: Path) -> None:
    (tmp_path / "tuning.json").mkdir()

    with pytest.raises(EdgetallyError, match=r"can't be written .*EDGETALLY_TUNING"):
        write_choice(choice(), tmp_path / "tuning.json")

    assert os.listdir(tmp_path) == ["tuning.json"]  # noqa: PTH208 - hidden ones, too


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"EDGETALLY_TUNING": "/x/t.json", "XDG_STATE_HOME": "/y", "HOME": "/z"}, "/x/t.json"),
        ({"XDG_STATE_HOME": "/y", "HOME": "/z"}, "/y/edgetally/tuning.json"),
        ({"XDG_STATE_HOME": "y", "HOME": "/z"}, "/z/.local/state/edgetally/tuning.json"),
        ({"HOME": "/z"}, "/z/.local/state/edgetally/tuning.json"),
    ],
    ids=["named", "state home", "relative state home", "home"],
)
def test_the_file_lies_where_the_environment_says(
    settings: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("EDGETALLY_TUNING", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in settings.items():
        monkeypatch.setenv(name, value)

    assert str(tuning_path()) == expected


def test_the_default_file_is_used_where_none_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("EDGETALLY_TUNING", str(tmp_path / "here.json"))

    assert tuned_choice("a") is None
    assert not caplog.records
    assert write_choice(choice()) == tmp_path / "here.json"
    assert tuned_choice("a") == choice()
