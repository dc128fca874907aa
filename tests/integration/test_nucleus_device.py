"""Components that the stand-in nucleus installs, runs, starts again and gives up."""

from __future__ import annotations

import os
import sys
import threading
import zipfile
from typing import TYPE_CHECKING, Any

import pytest
from mosquitto_broker import wait_until
from nucleus_client import ONE, client_of, recipe

from edgetally.errors import EdgetallyError, InputError
from edgetally.nucleus import JAVA, Nucleus, Patience

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Start = Callable[..., Nucleus]

pytest_plugins = ("nucleus_fixtures",)

QUICK = Patience(restart=0.01, stop=0.5)
STAY = "trap 'echo asked to stop; exit 0' TERM; echo here $$; while :; do sleep 0.05; done"
ZIP = [{"Uri": "s3://bucket/one.zip", "Unarchive": "ZIP"}]
CLIENT = """
import sys
import threading
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from awsiot.greengrasscoreipc.clientv2 import GreengrassCoreIPCClientV2
from nucleus_client import client_by_name
import os
GreengrassCoreIPCClientV2().update_state(state="RUNNING")
socket = Path(os.environ["AWS_GG_NUCLEUS_DOMAIN_SOCKET_FILEPATH_FOR_COMPONENT"])
print("ready", flush=True)
while not (Path.cwd() / "go").exists():
    pass
client_by_name(socket, "com.example.One").update_state(state="ERRORED")
print("by name", flush=True)
"""


def _said(nucleus: Nucleus, text: str, component: str = ONE) -> list[str]:
    return [line for line in nucleus.record.lines if line.startswith(f"{component} | {text}")]


def _archive(folder: Path, version: str = "1.0.0", **files: str) -> Path:
    place = folder / ONE / version
    place.mkdir(parents=True)
    with zipfile.ZipFile(place / "one.zip", "w") as archive:
        for name, text in (files or {"word.txt": "hello"}).items():
            archive.writestr(name, text)
    return folder


def test_a_component_is_installed_from_its_artifacts_and_run(start: Start, tmp_path: Path) -> None:
    script = "echo $(cat {artifacts:decompressedPath}/one/word.txt) {iot:thingName}; pwd"
    nucleus = start(recipe(install=script, run=STAY, artifacts=ZIP), patience=QUICK)
    nucleus.deploy(artifacts=_archive(tmp_path / "artifacts"))
    assert _said(nucleus, "hello dock-1")
    assert _said(nucleus, str(nucleus.folder / "work" / ONE))
    nucleus.wait(lambda: _said(nucleus, f"here {nucleus.pid_of(ONE)}"))


def test_a_component_finds_what_a_nucleus_gives_it_and_nothing_of_ours(start: Start) -> None:
    os.environ["OF_OURS"] = "seen"
    nucleus = start(recipe(install="env | sort"))
    nucleus.deploy()
    found = dict(line.partition(" | ")[2].split("=", 1) for line in _said(nucleus, ""))
    assert found.keys() - {"PWD", "SHLVL", "_", "OLDPWD"} == {
        *("HOME", "LANG", "LOGNAME", "PATH", "SHELL", "USER"),
        *("SVCUID", "AWS_CONTAINER_AUTHORIZATION_TOKEN"),
        *("AWS_GG_NUCLEUS_DOMAIN_SOCKET_FILEPATH_FOR_COMPONENT", "AWS_IOT_THING_NAME"),
        *("AWS_REGION", "AWS_DEFAULT_REGION", "GGC_VERSION", "GG_ROOT_CA_PATH"),
    }
    assert found["AWS_IOT_THING_NAME"] == "dock-1"
    assert found["SVCUID"] == nucleus.token_for(ONE)


@pytest.fixture
def closed_files() -> Iterator[None]:
    before = os.umask(0o077)
    yield
    os.umask(before)


@pytest.mark.skipif(os.getuid() != 0, reason="only root becomes someone else")
@pytest.mark.usefixtures("closed_files")
def test_a_component_runs_as_the_user_that_it_is_given(tmp_path: Path) -> None:
    folder = tmp_path / "nucleus"
    folder.mkdir()
    for path in (folder, *folder.parents):
        if not path.stat().st_mode & 0o001:
            path.chmod(path.stat().st_mode | 0o011)
    script = "id -un; touch own && cat {artifacts:decompressedPath}/one/a/word.txt"
    privileged = {"Script": "id -un", "RequiresPrivilege": True}
    artifacts = _archive(tmp_path / "artifacts", **{"a/word.txt": "wrote"})
    with Nucleus(folder, [recipe(install=script, artifacts=ZIP)], user="nobody") as nucleus:
        nucleus.deploy(artifacts=artifacts)
        assert _said(nucleus, "nobody")
        assert _said(nucleus, "wrote")
        nucleus.deploy([recipe(version="2.0.0", install=privileged)])
        assert _said(nucleus, "root")


def test_a_user_who_can_not_reach_the_folder_is_refused(start: Start, tmp_path: Path) -> None:
    if os.getuid() != 0:
        pytest.skip("only root becomes someone else")
    tmp_path.chmod(0o700)
    with pytest.raises(InputError, match="nobody can't reach"):
        start(recipe(), user="nobody").deploy()


SAYING_ERRORED = """
import os, time
from awsiot.greengrasscoreipc.clientv2 import GreengrassCoreIPCClientV2
GreengrassCoreIPCClientV2().update_state(state="ERRORED")
while True:
    time.sleep(1)
"""


def test_the_java_nucleus_starts_who_is_errored_again_and_gives_it_up(
    start: Start, tmp_path: Path
) -> None:
    (tmp_path / "errored.py").write_text(SAYING_ERRORED)
    run = f"exec {sys.executable} {tmp_path / 'errored.py'}"
    nucleus = start(recipe(run=run), patience=QUICK, kind=JAVA)
    nucleus.deploy()
    nucleus.wait(lambda: (ONE, "BROKEN") in nucleus.states)
    assert [state for _, state in nucleus.states] == [*["ERRORED"] * 3, "BROKEN"]
    assert nucleus.pid_of(ONE) is None


def test_a_component_that_fails_three_times_is_broken(start: Start) -> None:
    nucleus = start(recipe(run="echo token $SVCUID; exit 3"), patience=QUICK)
    nucleus.deploy()
    nucleus.wait(lambda: (ONE, "BROKEN") in nucleus.states)
    assert nucleus.states == [*[(ONE, "ERRORED")] * 3, (ONE, "BROKEN")]
    assert len(set(_said(nucleus, "token"))) == 3


def test_a_component_that_ends_well_is_not_started_again_before_a_deployment(start: Start) -> None:
    nucleus = start(recipe(run="echo once"), patience=QUICK)
    nucleus.deploy()
    nucleus.wait(lambda: (ONE, "FINISHED") in nucleus.states)
    assert len(_said(nucleus, "once")) == 1
    nucleus.deploy(merge={ONE: {"a": 1}})
    nucleus.wait(lambda: nucleus.states.count((ONE, "FINISHED")) == 2)


def test_a_component_that_dies_is_started_again(start: Start) -> None:
    nucleus = start(recipe(run=STAY), patience=QUICK)
    nucleus.deploy()
    nucleus.wait(lambda: _said(nucleus, "here"))
    nucleus.kill_component(ONE)
    nucleus.wait(lambda: len(_said(nucleus, "here")) == 2)


def test_a_component_is_asked_to_stop_and_killed_where_it_does_not(start: Start) -> None:
    deaf = "trap '' TERM; echo here; while :; do sleep 0.05; done"
    nucleus = start(recipe(run=STAY), recipe("com.example.Deaf", run=deaf), patience=QUICK)
    nucleus.deploy()
    nucleus.wait(lambda: _said(nucleus, "here") and _said(nucleus, "here", "com.example.Deaf"))
    pids = [nucleus.pid_of(name) for name in (ONE, "com.example.Deaf")]
    for name in (ONE, "com.example.Deaf"):
        nucleus.stop_component(name)
    assert _said(nucleus, "asked to stop")
    for pid in pids:
        assert pid is not None
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_what_a_component_left_behind_ends_with_it(start: Start) -> None:
    nucleus = start(recipe(run="sleep 1000 & echo left $!; exit 0"), patience=QUICK)
    nucleus.deploy()
    nucleus.wait(lambda: (ONE, "FINISHED") in nucleus.states)
    left = int(_said(nucleus, "left")[0].split()[-1])
    wait_until(lambda: not _is_alive(left), "it is still there")


def _is_alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as status:  # noqa: PTH123
            return status.read().split()[2] != "Z"
    except OSError:
        return False


def test_an_install_step_that_fails_fails_the_deployment(start: Start) -> None:
    nucleus = start(recipe(install="echo no python3-venv; exit 1", run="echo never"))
    with pytest.raises(EdgetallyError, match="status 1: no python3-venv"):
        nucleus.deploy()
    assert not _said(nucleus, "never")


def test_a_nucleus_that_stops_while_a_component_is_installed_leaves_nothing(
    tmp_path: Path,
) -> None:
    nucleus = Nucleus(tmp_path, [recipe(install="echo $$; sleep 1000")], patience=QUICK)
    nucleus.start()

    def deploy() -> None:
        with pytest.raises(EdgetallyError):
            nucleus.deploy()

    deploying = threading.Thread(target=deploy)
    deploying.start()
    pid = int(nucleus.wait(lambda: _said(nucleus, ""))[0].split()[-1])
    nucleus.stop()
    deploying.join()
    assert not _is_alive(pid)


def test_an_install_step_that_takes_too_long_fails_the_deployment(start: Start) -> None:
    step = {"Script": "echo begun; sleep 1000", "Timeout": 0.2}
    nucleus = start(recipe(install=step), patience=QUICK)
    with pytest.raises(EdgetallyError, match=r"longer than 0\.2 s: begun"):
        nucleus.deploy()


def test_a_component_comes_after_those_that_it_needs(start: Start) -> None:
    two = recipe("com.example.Two", install="echo second", needs={ONE: {}})
    nucleus = start(two, recipe(install="echo first"))
    nucleus.deploy()
    said = [line.partition(" | ")[2] for line in nucleus.record.lines if " | " in line]
    assert said == ["first", "second"]
    with pytest.raises(InputError, match=f"com.example.Two needs {ONE}"):
        start(two).deploy()


@pytest.mark.parametrize(("how", "again"), [("HARD", True), ("SOFT", False)])
def test_a_new_version_restarts_what_needs_it_hard(start: Start, how: str, again: bool) -> None:
    two = recipe("com.example.Two", run=STAY, needs={ONE: {"DependencyType": how}})
    nucleus = start(recipe(install="echo version 1"), two, patience=QUICK)
    nucleus.deploy()
    nucleus.wait(lambda: _said(nucleus, "here", "com.example.Two"))
    nucleus.deploy([recipe(version="2.0.0", install="echo version 2")])
    assert _said(nucleus, "version 2")
    if again:
        nucleus.wait(lambda: len(_said(nucleus, "here", "com.example.Two")) == 2)
    else:
        assert not _said(nucleus, "asked to stop", "com.example.Two")


def test_a_deployment_configures_a_component_that_runs_without_a_restart(start: Start) -> None:
    nucleus = start(recipe(run=STAY, defaults={"a": 1}), patience=QUICK)
    nucleus.deploy()
    pid = nucleus.wait(lambda: nucleus.pid_of(ONE))
    nucleus.deploy(merge={ONE: {"a": 2}})
    assert nucleus.configuration(ONE)["a"] == 2
    nucleus.deploy(reset={ONE: ["/a"]})
    assert nucleus.configuration(ONE)["a"] == 1
    assert nucleus.pid_of(ONE) == pid
    with pytest.raises(InputError, match=r"no component com\.example\.Nobody"):
        nucleus.deploy(merge={"com.example.Nobody": {}})


def test_a_new_version_keeps_its_configuration_and_its_work(start: Start) -> None:
    nucleus = start(recipe(install="echo kept > kept", defaults={"a": 1}))
    nucleus.deploy(merge={ONE: {"a": 2}})
    nucleus.deploy([recipe(version="2.0.0", install="cat kept", defaults={"a": 3, "b": 4})])
    assert _said(nucleus, "kept")
    configuration = nucleus.configuration(ONE)
    assert (configuration["a"], configuration["b"]) == (2, 4)


def test_an_artifact_that_is_missing_is_named(start: Start, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"needs the artifact one\.zip"):
        start(recipe(artifacts=ZIP)).deploy()
    with pytest.raises(InputError, match=f"no artifact {ONE}/1.0.0/one.zip"):
        start(recipe(artifacts=ZIP)).deploy(artifacts=tmp_path)


def test_files_beside_those_that_a_recipe_names_come_along(start: Start, tmp_path: Path) -> None:
    artifacts = _archive(tmp_path / "artifacts")
    (artifacts / ONE / "1.0.0" / "beside.txt").write_text("beside")
    nucleus = start(recipe(install="cat {artifacts:path}/beside.txt", artifacts=ZIP))
    nucleus.deploy(artifacts=artifacts)
    assert _said(nucleus, "beside")


def test_an_archive_that_reaches_out_of_its_folder_is_refused(start: Start, tmp_path: Path) -> None:
    artifacts = _archive(tmp_path / "artifacts", **{"../../out": "x"})
    with pytest.raises(InputError, match="outside of its folder"):
        start(recipe(artifacts=ZIP)).deploy(artifacts=artifacts)


@pytest.mark.parametrize(
    ("name", "version"), [("../../../victim", "1.0.0"), (ONE, "../../../../victim")]
)
def test_no_recipe_reaches_out_of_the_folder_of_the_nucleus(
    start: Start, tmp_path: Path, name: str, version: str
) -> None:
    kept = tmp_path / "victim" / "kept"
    kept.parent.mkdir()
    kept.touch()
    with pytest.raises(InputError, match="is no component"):
        start(recipe()).deploy([recipe(name, version, install="echo never")])
    assert kept.exists()


def test_what_this_nucleus_does_not_run_is_told_once_it_is_deployed(start: Start) -> None:
    given = recipe()
    given["Manifests"][0]["Lifecycle"] = {"startup": "echo never"}
    nucleus = start(given)
    assert not nucleus.record.lines
    for _ in range(2):
        nucleus.deploy()
    assert nucleus.record.lines == [
        f"{ONE}: startup is not run by this stand-in",
        f"{ONE}: nothing to run: it has neither install nor run",
    ]


@pytest.mark.parametrize(
    ("condition", "is_skipped"),
    [
        ("onpath sh", True),
        ("!onpath sh", False),
        ("onpath nothing-of-this-name", False),
        ("exists {work:path}", True),
        ("exists /nothing of this name", False),
        ("! exists /nothing of this name", True),
    ],
)
def test_the_java_nucleus_skips_a_step_where_what_it_names_is_there(
    start: Start, condition: str, is_skipped: bool
) -> None:
    steps: dict[str, Any] = {
        step: {"Script": f"echo {step}", "Skipif": condition} for step in ("install", "run")
    }
    nucleus = start(recipe(**steps), kind=JAVA)
    nucleus.deploy()
    nucleus.wait(lambda: (ONE, "FINISHED") in nucleus.states)
    assert nucleus.states == [(ONE, "INSTALLED"), (ONE, "FINISHED")]
    said = [line.partition(" | ")[2] for line in _said(nucleus, "")]
    assert said == ([] if is_skipped else ["install", "run"])


def test_a_configuration_that_no_process_can_be_given_ends_a_step_and_is_told(
    start: Start,
) -> None:
    script = "echo {configuration:/word}"
    nucleus = start(recipe(run=script, defaults={"word": "\0"}), patience=QUICK)
    nucleus.deploy()
    nucleus.wait(lambda: (ONE, "BROKEN") in nucleus.states)
    assert any("embedded null byte" in line for line in nucleus.record.lines)


def test_the_root_ca_is_where_a_component_looks_for_it(start: Start, tmp_path: Path) -> None:
    root_ca = tmp_path / "root.pem"
    root_ca.write_text("an authority")
    root_ca.chmod(0o600)
    shown = 'echo "at $GG_ROOT_CA_PATH"; cat "$GG_ROOT_CA_PATH"'
    nucleus = start(recipe(install=shown), root_ca=root_ca)
    nucleus.deploy()
    place = nucleus.folder / "credentials" / "ca.pem"
    assert _said(nucleus, f"at {place}")
    assert _said(nucleus, "an authority")
    assert place.stat().st_mode & 0o777 == 0o444
    without = start(recipe(install='echo "at $GG_ROOT_CA_PATH."'))
    without.deploy()
    assert _said(without, "at .")


def test_a_script_that_lite_would_cut_short_does_not_run(start: Start) -> None:
    script = "echo ${HOME}"
    with pytest.raises(InputError, match=r"no variable \{HOME\}"):
        start(recipe(install=script)).deploy()
    start(recipe(install=script), kind=JAVA).deploy()


def test_a_component_connects_by_its_token_and_after_a_restart_by_its_name(
    start: Start, tmp_path: Path
) -> None:
    program = tmp_path / "client.py"
    program.write_text(CLIENT)
    run = f"exec {sys.executable} {program} {os.path.dirname(__file__)}"  # noqa: PTH120
    nucleus = start(recipe(run=run), patience=QUICK)
    nucleus.deploy()
    nucleus.wait(lambda: _said(nucleus, "ready"), 30)
    nucleus.restart()
    (nucleus.folder / "work" / ONE / "go").touch()
    nucleus.wait(lambda: _said(nucleus, "by name"), 30)
    assert nucleus.states[:2] == [(ONE, "RUNNING"), (ONE, "ERRORED")]
    client_of(nucleus).get_configuration()


def test_who_waits_in_vain_is_told_what_happened_last(start: Start) -> None:
    nucleus = start(recipe(install="echo the last thing"))
    nucleus.deploy()
    with pytest.raises(TimeoutError, match="the last thing"):
        nucleus.wait(lambda: False, 0.01)


def test_a_path_too_long_for_a_socket_is_no_trouble(tmp_path: Path) -> None:
    with Nucleus(tmp_path / ("long" * 40), [recipe()]) as nucleus:
        client_of(nucleus).get_configuration()
