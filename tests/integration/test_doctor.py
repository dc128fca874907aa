"""`edgetally doctor`: what would fail is found, named and comes with its remedy."""

from __future__ import annotations

import base64
import json
import logging
import shutil
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from network_camera import network_camera
from nucleus_client import recipe

from edgetally.cli import main
from edgetally.component.names import COUNTER, MODEL_LINK
from edgetally.doctor import examine
from edgetally.doctor.clock import clock
from edgetally.nucleus import JAVA, Nucleus

if TYPE_CHECKING:
    from pathlib import Path

    from edgetally.bundle import ModelBundle

SOCKET = "AWS_GG_NUCLEUS_DOMAIN_SOCKET_FILEPATH_FOR_COMPONENT"
SECRET = "a-secret-of-mine"  # noqa: S105 - of no one
LOGIN = "Basic " + base64.b64encode(f"me:{SECRET}".encode()).decode()


@pytest.fixture(autouse=True)
def _logging_as_before(caplog: pytest.LogCaptureFixture) -> None:
    """The command turns the link's log off, in a process that ends with it."""
    caplog.set_level(logging.getLogger("edgetally.greengrass").level, "edgetally.greengrass")


def examined(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, list[str]]:
    with pytest.raises(SystemExit) as ended:
        main(["doctor", *map(str, arguments)])
    return int(ended.value.code or 0), capsys.readouterr().out.splitlines()


def folder_of(bundle: ModelBundle) -> Path:
    return bundle.file("onnx").parent


def write(folder: Path, bundle: ModelBundle, **sections: Any) -> Path:
    config: dict[str, Any] = {
        "model": {"path": str(folder_of(bundle)), "engine": "onnxruntime"},
        "cameras": [
            {
                "name": "dock",
                "source": "test:",
                "lines": [
                    {"name": "door", "from": [0, 0.5], "to": [1, 0.5], "inDirection": [0, 1]}
                ],
            }
        ],
        "storage": {"path": str(folder / "state")},
        **sections,
    }
    path = folder / "edgetally.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


def of(lines: list[str], subject: str) -> list[str]:
    return [line for line in lines if f" {subject}" in line.split(":")[0]]


def test_a_device_that_can_run_its_configuration_is_well(
    tmp_path: Path, bundle: ModelBundle, capsys: pytest.CaptureFixture[str]
) -> None:
    status, lines = examined(capsys, "--config", write(tmp_path, bundle))
    assert status == 0, lines
    assert of(lines, "camera dock") == ["ok     camera dock: gives pictures, 640 x 480"]
    (whole, speed) = of(lines, "model")
    assert "boxes 1.0.0, 300 x 300, blue box, yellow box" in whole
    assert "onnxruntime at fp32" in speed
    assert of(lines, "engine")
    assert of(lines, "Python")
    assert not (tmp_path / "state").exists()  # looking changes nothing


def camera_with(url: str, credentials: Path) -> dict[str, Any]:
    return {"name": "dock", "source": url, "openTimeout": 2, "credentialsFile": str(credentials)}


def test_a_camera_is_logged_in_as_the_service_does_it_and_a_file_that_others_read_is_named(
    tmp_path: Path, bundle: ModelBundle, capsys: pytest.CaptureFixture[str]
) -> None:
    credentials = tmp_path / "credentials"
    credentials.write_text(f"me:{SECRET}")
    credentials.chmod(0o600)
    with network_camera(login=LOGIN) as url:
        config = write(tmp_path, bundle, cameras=[camera_with(url, credentials)])
        _, well = examined(capsys, "--config", config)
        credentials.chmod(0o644)
        status, ill = examined(capsys, "--config", config)
    assert "ok     camera dock: gives pictures, 64 x 48" in well
    (line,) = of(ill, "camera dock")
    assert status == 1
    assert line.startswith("wrong")
    assert f"credentials file {credentials} may be read by others; chmod 600" in line


def test_a_secret_that_only_a_nucleus_has_is_not_taken_for_missing(
    tmp_path: Path, bundle: ModelBundle, capsys: pytest.CaptureFixture[str]
) -> None:
    camera = {"name": "dock", "source": "rtsp://127.0.0.1:9/x", "secretArn": "arn:aws:x"}
    status, lines = examined(capsys, "--config", write(tmp_path, bundle, cameras=[camera]))
    (line,) = of(lines, "camera dock")
    assert status == 0
    assert line.startswith("note   camera dock: is not tried: only a nucleus has its secret")


def test_a_nucleus_that_started_doctor_is_asked_for_the_cameras_secret(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    arn = "arn:aws:secretsmanager:eu-west-1:1:secret:edgetally/dock"
    with network_camera(login=LOGIN) as url:
        camera = {"name": "dock", "source": url, "secretArn": arn}
        own = recipe(COUNTER, defaults={"model": {"path": "nowhere"}, "cameras": [camera]})
        with Nucleus(tmp_path / "nucleus", [own], kind=JAVA) as nucleus:
            nucleus.give_secret(arn, f"me:{SECRET}")
            monkeypatch.setenv(SOCKET, str(nucleus.socket))
            monkeypatch.setenv("SVCUID", nucleus.token_for(COUNTER))
            _, lines = examined(capsys)
    assert "ok     camera dock: gives pictures, 64 x 48" in lines


def test_a_deployments_file_is_examined_in_the_work_folder_as_the_component_would_have_it(
    tmp_path: Path,
    bundle: ModelBundle,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    work = tmp_path / "work" / COUNTER
    work.mkdir(parents=True)
    monkeypatch.chdir(work)
    shutil.copytree(folder_of(bundle), work / MODEL_LINK)
    deployed = {
        "cameras": [{"name": "dock", "source": "test:"}],
        "model": {"engine": "onnxruntime"},
        "accessControl": {},
    }
    (tmp_path / "dock.yaml").write_text(yaml.safe_dump(deployed))
    _, lines = examined(capsys, "--greengrass", "--config", tmp_path / "dock.yaml")
    assert of(lines, "camera dock")[0] == "ok     camera dock: gives pictures, 640 x 480"
    assert [line[:5] for line in of(lines, "model")] == ["ok   ", "ok   "], lines
    assert of(lines, "storage")[0].startswith("ok     storage: state, ")
    (tmp_path / "dock.yaml").write_text("cameras: [{name: dock, source: 'test:', fsp: 1}]")
    status, lines = examined(capsys, "--greengrass", "--config", tmp_path / "dock.yaml")
    assert status == 1
    (mistake,) = of(lines, "configuration")
    assert "unknown key cameras[0].fsp" in mistake
    assert of(lines, "storage")[0].startswith("ok     storage: state, ")


def test_a_configuration_that_is_wrong_is_a_finding_beside_those_that_need_none(
    tmp_path: Path, bundle: ModelBundle, capsys: pytest.CaptureFixture[str]
) -> None:
    config = write(tmp_path, bundle, camras=[])
    status, lines = examined(capsys, "--config", config)
    assert status == 1
    (mistake,) = of(lines, "configuration")
    expected = f"wrong  configuration: {config}: unknown key camras; did you mean 'cameras'?"
    assert mistake == expected
    for subject in ("Python", "engine", "clock", f"storage: {tmp_path / 'state'}, "):
        assert any(line[7:].startswith(subject) for line in lines), lines
    assert not of(lines, "model")
    config.write_text("cameras: [")
    (mistake,) = of(examined(capsys, "--config", config)[1], "configuration")
    assert mistake.startswith(f"wrong  configuration: {config} line 1: ")
    (missing,) = of(examined(capsys, "--config", tmp_path / "none")[1], "configuration")
    assert "No such file or directory" in missing


def test_each_thing_that_would_fail_has_its_line_and_the_rest_is_still_looked_at(
    tmp_path: Path, bundle: ModelBundle, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(folder_of(bundle), broken)
    (broken / "model.onnx").write_bytes(b"damaged")
    config = write(
        tmp_path,
        bundle,
        model={"path": str(broken)},
        cameras=[
            {"name": "gate", "source": f"rtsp://me:{SECRET}@127.0.0.1:1/x", "openTimeout": 3},
            {"name": "dock", "source": "test:"},
        ],
        publish={"transports": [{"type": "jsonl", "path": str(tmp_path)}]},
        storage={"path": "/dev/shm/edgetally-doctor"},  # noqa: S108 - a tmpfs is meant
    )
    status, lines = examined(capsys, "--config", config)
    assert status == 1
    assert SECRET not in "".join(lines)
    assert all(line.startswith("wrong") for line in of(lines, "model")), lines
    (gate,) = of(lines, "camera gate")
    assert gate.startswith("wrong")
    dock, unused = of(lines, "camera dock")
    assert dock.startswith("ok")
    assert "neither lines nor zones" in unused
    assert any("lies in memory" in line for line in of(lines, "storage"))
    (file,) = of(lines, "transport")
    assert file.startswith("wrong")
    assert "Is a directory" in file


def test_a_damaged_ledger_is_found_and_left_as_it_is(
    tmp_path: Path, bundle: ModelBundle, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger = tmp_path / "state" / "ledger.sqlite"
    ledger.parent.mkdir()
    ledger.write_bytes(b"no database" * 1000)
    status, lines = examined(capsys, "--config", write(tmp_path, bundle))
    assert status == 1
    assert any(line.startswith("wrong  ledger") for line in lines), lines
    assert ledger.read_bytes() == b"no database" * 1000


def test_json_has_an_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    _, lines = examined(capsys, "--json")
    findings = [json.loads(line) for line in lines]
    assert {"subject", "state", "text", "remedy"} == set(findings[0])
    assert {finding["state"] for finding in findings} <= {"ok", "note", "wrong"}


def test_what_fails_unforeseen_is_a_finding_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise RuntimeError("boom")

    monkeypatch.setattr("edgetally.doctor.software.processor", fail)
    findings = {finding.subject: finding for finding in examine(None)}
    assert findings["processor"].state == "wrong"
    assert "boom" in findings["processor"].text
    assert "clock" in findings


def test_a_nucleus_that_is_asked_for_and_not_here_is_found(
    tmp_path: Path,
    bundle: ModelBundle,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(SOCKET, raising=False)
    config = write(tmp_path, bundle, publish={"transports": [{"type": "greengrass"}]})
    status, lines = examined(capsys, "--config", config)
    assert status == 1
    (line,) = of(lines, "nucleus")
    assert line.startswith(
        "wrong  nucleus: none is here (looked at /greengrass/v2/ipc.socket and "
        "/var/lib/greengrass/gg-ipc.socket), and the configuration publishes through it"
    )


def test_a_nucleus_that_does_not_know_the_token_is_told_with_how_doctor_is_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with Nucleus(tmp_path / "nucleus", [recipe(COUNTER)], kind=JAVA) as nucleus:
        monkeypatch.setenv(SOCKET, str(nucleus.socket))
        monkeypatch.setenv("SVCUID", "of-an-earlier-nucleus")
        status, lines = examined(capsys)
    assert status == 1
    (line,) = of(lines, "nucleus")
    known = f"what listens at {nucleus.socket} does not take us for its component"
    assert line.startswith(f"wrong  nucleus: {known}; SVCUID is of another component, or of an ")
    assert "let the nucleus run 'edgetally doctor' as our component's run step" in line


def test_a_nucleus_that_is_gone_is_told_with_its_socket(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SOCKET, str(tmp_path / "ipc.socket"))
    monkeypatch.setenv("SVCUID", "a-token")
    _, lines = examined(capsys)
    socket = tmp_path / "ipc.socket"
    expected = f"wrong  nucleus: greengrass: no nucleus listens at {socket}; is it running?"
    assert of(lines, "nucleus") == [expected]


@pytest.mark.parametrize(
    ("program", "remedy"),
    [("timedatectl", "timedatectl set-ntp true"), ("none", "install chrony or ntpd")],
)
def test_a_clock_that_nobody_keeps_is_told_with_what_is_there_to_keep_it(
    program: str, remedy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgetally.doctor.clock._SYNCHRONIZED", tmp_path / "synchronized")
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / program).write_text("#!/bin/sh\necho no\n")
    (tmp_path / program).chmod(0o755)
    (found,) = clock()
    assert (found.state, found.remedy) == ("note", f"enable NTP: {remedy}")
