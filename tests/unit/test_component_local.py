"""Built components deployed on a core device itself, by what the nucleus there has for it."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from greengrass_cloud import COUNTER, DEFAULTS, MODEL, run, write_build

from edgetally.component.names import NUCLEUS


@pytest.fixture
def build(tmp_path: Path) -> Path:
    return write_build(tmp_path / "build")


def install(folder: Path, name: str, script: str) -> None:
    folder.mkdir(exist_ok=True)
    program = folder / name
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)


def test_the_nucleus_of_this_machine_is_asked_in_its_own_words(
    build: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    config = tmp_path / "dock.yaml"
    config.write_text("cameras: [{name: dock, source: 'test:'}]\n")
    programs = tmp_path / "bin"
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    # Lite takes no configuration beside a local deployment: it lies in the recipe.
    install(programs, "journalctl", "exit 1")
    install(programs, "systemctl", "exit 1")
    install(programs, "ggl-cli", f'echo "$@"; cat "$3"/{COUNTER}-0.1.0.json; ls -R "$5"')
    assert run("local", "--config", config, "--build", build) == 0
    printed = capsys.readouterr().out
    assert f"--add-component {COUNTER}=0.1.0 --add-component {MODEL}=2.0.0" in printed
    assert '"cameras":[{"name":"dock"' in printed
    assert "artifact.zip" in printed
    assert 'grep "reporting job"\' tells how it ends' in printed
    install(programs, "greengrass-cli", 'echo "$@"')
    assert run("local", "--config", config, "--build", build) == 0
    printed = capsys.readouterr().out
    assert f"--merge {COUNTER}=0.1.0 --merge {MODEL}=2.0.0 --merge {NUCLEUS}=^2.0.0 " in printed
    update = json.loads(printed.partition("--update-config ")[2])
    assert update[COUNTER]["MERGE"]["cameras"] == [{"name": "dock", "source": "test:"}]
    # It takes a configuration of what it deploys alone.
    assert update[NUCLEUS] == {"MERGE": {"interpolateComponentConfiguration": True}}
    assert run("local", "--build", build) == 0
    assert '{"aws.greengrass.Nucleus": {"MERGE"' in capsys.readouterr().out
    install(programs, "greengrass-cli", "echo not so >&2; exit 3")
    assert run("local", "--build", build) == 1
    assert "refuses the deployment: not so" in capsys.readouterr().err


def on_lite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *log: str) -> Path:
    """Make this machine one of nucleus lite's; log: what it says of a deployment, once asked."""
    programs = tmp_path / "bin"
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    asked, written = tmp_path / "asked", tmp_path / "log"
    written.write_text("\n".join(log))
    install(programs, "ggl-cli", f"touch {asked}; cp $3/*.json {tmp_path}")
    install(
        programs,
        "journalctl",
        f"""echo '-- cursor: s=1'
case "$*" in *--after-cursor\\ s=1*) if [ -e {asked} ]; then cat {written}; fi ;; esac""",
    )
    install(programs, "systemctl", f"[ -e {tmp_path}/{COUNTER}-0.1.0.json ]")
    return tmp_path / f"{COUNTER}-0.1.0.json"


END = (
    "I[ggdeploymentd] deployment_handler.c:2833: Completed deployment processing and reporting job"
)
BEGIN = "I[ggdeploymentd] deployment_handler.c:4255: Processing incoming deployment."


def test_a_deployment_on_lite_is_followed_to_its_end(
    build: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = f"{END} as FAILED."  # of the deployment that was under way
    cleaning = "I[ggdeploymentd] deployment_handler.c:4070: Performing cleanup of stale components"
    on_lite(tmp_path, monkeypatch, before, BEGIN, cleaning, f"{END} as SUCCEEDED.")
    assert run("local", "--build", build) == 0
    told = capsys.readouterr().out.splitlines()
    assert [line.partition(";")[0] for line in told] == [
        "lite has taken it up",
        "all runs",
        "succeeded",
    ]
    on_lite(tmp_path, monkeypatch, BEGIN)
    assert run("local", "--build", build, "--timeout", "0") == 1
    assert "has not ended after 0 s" in capsys.readouterr().err
    assert run("local", "--build", build, "--no-wait") == 0
    assert capsys.readouterr().out.startswith("queued; 'journalctl -f ")


@pytest.mark.parametrize(
    ("line", "remedy"),
    [
        (
            "E[ggconfigd] db_corebus.c:199: Json encode failed for key services/a/configuration/x.",
            "removed: 'ggl-cli deploy --remove-component NAME'",
        ),
        (
            "E[ggdeploymentd] handler.c:2386: Failed to write configuration arn list.",
            f"--remove-component {COUNTER} --remove-component {MODEL}', with all others",
        ),
        (
            "W[ggconfigd] db_interface.c:553: value already present for key (a). Failing request.",
            "lite refuses every deployment until",
        ),
    ],
)
def test_what_lite_refuses_is_told_in_its_words_with_the_way_out(
    build: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    line: str,
    remedy: str,
) -> None:
    usual = "E[ggdeploymentd] iot_jobs_listener.c:332: Failed to publish on describe job topic"
    on_lite(tmp_path, monkeypatch, BEGIN, usual, line, f"{END} as FAILED.")
    assert run("local", "--build", build) == 1
    told = capsys.readouterr().err
    assert f"the deployment failed: {line.partition(': ')[2].rstrip('.')}; " in told
    assert remedy in told


def test_on_lite_a_configuration_is_given_whole_and_without_one_the_devices_own_stays(
    build: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recipe = on_lite(tmp_path, monkeypatch, BEGIN, f"{END} as SUCCEEDED.")
    config = tmp_path / "dock.yaml"
    config.write_text("cameras: [{name: dock, source: 'test:'}]\npublish: {thing: dock-9}\n")

    def configured() -> Any:
        return json.loads(recipe.read_text()).get("ComponentConfiguration")

    assert run("local", "--build", build) == 0
    assert configured() == {"DefaultConfiguration": DEFAULTS}
    assert run("local", "--build", build, "--config", config) == 0
    first = configured()["DefaultConfiguration"]
    assert first["publish"] == {"thing": "dock-9"}
    assert first["model"] == {"path": "current", "tuning": None}
    assert run("local", "--build", build) == 0
    assert configured() is None
    config.write_text("cameras: [{name: dock, source: 'test:'}]\npublish:\n")
    assert run("local", "--build", build, "--config", config) == 0
    assert configured()["DefaultConfiguration"]["publish"] == {"thing": None}


def test_without_a_nucleus_a_dry_run_shows_the_commands_of_both(
    build: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    assert run("local", "--build", build) == 2
    before = os.umask(0o077)
    try:
        assert run("local", "--build", build, "--dry-run") == 0
    finally:
        os.umask(before)
    about, java, lite = capsys.readouterr().out.splitlines()
    assert about.startswith("# neither greengrass-cli nor ggl-cli is here")
    assert java.startswith("greengrass-cli deployment create --recipeDir ")
    assert lite.startswith("ggl-cli deploy --recipe-dir ")
    for folder in (java.split()[4], lite.split()[3]):  # a nucleus is another user
        assert stat.S_IMODE(Path(folder).stat().st_mode) == 0o755
        assert {stat.S_IMODE(path.stat().st_mode) for path in Path(folder).iterdir()} == {0o644}
