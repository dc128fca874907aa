"""The file of tuned choices: what it is keyed by, where it lies, and what broken ones do."""

from __future__ import annotations

import json
import os
import re
import threading
from pathlib import Path
from typing import Any

import pytest

from edgetally.engines.device import Device, this_device
from edgetally.engines.tuned import (
    TunedChoice,
    refuse_unwritable,
    tuned_choice,
    tuning_path,
    write_choice,
)
from edgetally.errors import EdgetallyError


def choice(bundle: str = "a", device: Device | None = None, **changes: Any) -> TunedChoice:
    known: dict[str, Any] = {
        "bundle": bundle,
        "device": device or this_device(),
        "engine": "openvino",
        "precision": "bf16",
        "threads": 1,
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


@pytest.mark.parametrize("name", ["threads", "streams"])
@pytest.mark.parametrize("number", [0, -1, 3, 10**9])
def test_no_choice_asks_for_threads_or_streams_that_its_device_has_not(
    name: str, number: int
) -> None:
    numbers: dict[str, Any] = {name: number}
    with pytest.raises(ValueError, match=name):
        choice(device=other(cores=2), **numbers)


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
        ({"processor": "x" * 100_000}, r"another processor \(x{1,200}… \(\d+ characters\);"),
        ({"instructions": "000000000000"}, "the same processor with other instructions"),
        ({"held_to": "AVX2"}, "ONEDNN_MAX_CPU_ISA AVX2, not DEFAULT"),
        ({"cores": 999}, "999 cores, not"),
        ({"runtimes": {"other": "0.1"}}, "absent, not|other 0.1, not absent"),
        ({"runtimes": this_device().runtimes | {"edgetally": "0.0"}}, "edgetally 0.0, not"),
    ],
    ids=["processor", "endless", "instructions", "held to", "cores", "version", "own version"],
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


def test_a_bundle_that_has_changed_is_told_in_one_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "tuning.json"
    write_choice(choice("a", name="boxes"), path)

    assert tuned_choice("b", path, name="boxes") is None
    assert tuned_choice("b", path, name="others") is None

    (message,) = caplog.messages
    assert message == (f"{path} was measured with another bundle boxes; run edgetally tune again")


def test_a_file_of_before_the_key_grew_is_told_and_not_used(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "tuning.json"
    write_choice(choice(), path)
    content = json.loads(path.read_text())
    (old,) = content["choices"]
    del old["name"], old["device"]["held_to"], old["device"]["runtimes"]["edgetally"]
    path.write_text(json.dumps(content))

    assert tuned_choice("a", path) is None

    assert "edgetally absent, not" in caplog.text


@pytest.mark.parametrize(
    "damage", [{"threads": 10**9}, {"threads": 1000}, {"streams": 1000}, {"engine": "x"}, {"a": 1}]
)
def test_a_damaged_choice_is_told_and_those_beside_it_stay(
    damage: dict[str, Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "tuning.json"
    write_choice(choice("a"), path)
    write_choice(choice("b"), path)
    content = json.loads(path.read_text())
    content["choices"][0] |= damage
    path.write_text(json.dumps(content))

    assert tuned_choice("a", path) is None
    assert tuned_choice("b", path) == choice("b")

    assert caplog.messages == [f"{path} holds a choice that is damaged; run edgetally tune again"]
    write_choice(choice("c"), path)
    assert tuned_choice("b", path) == choice("b")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b" \n",
        b'{"format": "edgetally.tuning/1"}',
        b'{"format": "edgetally.tuning/1", "choices": 5}',
        b'{"format": "edgetally.tuning/1", "choices": [5]}',
    ],
    ids=["empty", "blank", "no choices", "a number", "numbers"],
)
def test_what_holds_nothing_is_replaced_by_the_next_choice(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "tuning.json"
    path.write_bytes(content)

    assert tuned_choice("a", path) is None
    write_choice(choice(), path)
    assert tuned_choice("a", path) == choice()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"\xff\xfe", "is not a file of edgetally tune"),
        (b"[]", "is not a file of edgetally tune"),
        (b"{}", "is not a file of edgetally tune"),
        (b'{"format": 5}', "is not a file of edgetally tune"),
        (b"model:\n  path: boxes\n", "is not a file of edgetally tune"),
        (b"[" * 100_000, "is not a file of edgetally tune"),
        (b" " * (2 << 20) + b"{}", "can't be read"),
        (
            b'{"format": "edgetally.tuning/2", "choices": []}',
            r"is of another version of edgetally \(edgetally.tuning/2\)",
        ),
    ],
    ids=["no text", "list", "no format", "number", "yaml", "deep", "large", "newer"],
)
def test_a_file_that_is_not_ours_is_told_in_one_line_and_never_written_over(
    content: bytes, told: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "tuning;1.json"
    path.write_bytes(content)

    assert tuned_choice("a", path) is None

    (message,) = caplog.messages
    assert re.match(rf"{re.escape(str(path))} {told}.*; name another file", message)
    refusal = rf"^{re.escape(str(path))} {told}.*; it is left as it is"
    with pytest.raises(EdgetallyError, match=refusal):
        refuse_unwritable(path)
    with pytest.raises(EdgetallyError, match=refusal):
        write_choice(choice(), path)
    assert path.read_bytes() == content
    assert os.listdir(tmp_path) == [path.name]  # noqa: PTH208 - hidden ones, too


def test_of_two_that_tune_at_once_no_choice_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "tuning.json"
    writers = [
        threading.Thread(target=write_choice, args=(choice(str(number)), path))
        for number in range(30)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()

    assert {each["bundle"] for each in json.loads(path.read_text())["choices"]} == {
        str(number) for number in range(30)
    }


def test_a_pipe_is_not_waited_for(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    os.mkfifo(tmp_path / "tuning.json")

    assert tuned_choice("a", tmp_path / "tuning.json") is None

    assert "can't be read" in caplog.text


def test_a_place_is_tried_before_anything_is_measured(tmp_path: Path) -> None:
    assert refuse_unwritable(tmp_path / "new" / "t.json") == tmp_path / "new" / "t.json"
    assert os.listdir(tmp_path / "new") == []  # noqa: PTH208 - hidden ones, too
    with pytest.raises(EdgetallyError, match=r"/dev/null/t.json can't be written .*TUNING"):
        refuse_unwritable(Path("/dev/null/t.json"))


def test_a_file_that_was_named_and_is_missing_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert tuned_choice("a", tmp_path / "none.json") is None

    assert "does not exist" in caplog.text


def test_a_folder_that_can_not_be_written_is_told_and_nothing_is_left(tmp_path: Path) -> None:
    (tmp_path / "tuning.json").mkdir()

    with pytest.raises(EdgetallyError, match=r"\(it is a folder\).*EDGETALLY_TUNING"):
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
