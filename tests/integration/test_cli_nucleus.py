"""`edgetally nucleus` as a developer uses it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import pytest
from awsiot.greengrasscoreipc import connect  # type: ignore[import-untyped]
from awsiot.greengrasscoreipc.clientv2 import (  # type: ignore[import-untyped]
    GreengrassCoreIPCClientV2,
)
from awsiot.greengrasscoreipc.model import UnauthorizedError  # type: ignore[import-untyped]
from nucleus_client import ONE, WAIT, binary, recipe

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

STAY = "trap 'echo asked to stop; exit 0' TERM; echo here; while :; do sleep 0.05; done"

COMMAND = [sys.executable, "-c", "from edgetally.cli import main; main()", "nucleus"]


class Running:
    """The command, and what it printed."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.lines: list[str] = []
        self._printed = threading.Condition()
        self._process = subprocess.Popen(
            [*COMMAND, *arguments],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reading = threading.Thread(target=self._read)
        self._reading.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with self._printed:
                self.lines.append(line.rstrip("\n"))
                self._printed.notify_all()

    def wait(self, text: str) -> str:
        """Return the first line with a text in it."""
        with self._printed:
            assert self._printed.wait_for(
                lambda: any(text in line for line in self.lines), 3 * WAIT
            ), self.lines
            return next(line for line in self.lines if text in line)

    def say(self, line: str) -> None:
        """Give it a line."""
        self.say_bytes(f"{line}\n".encode())

    def say_bytes(self, data: bytes) -> None:
        """Give it something."""
        assert self._process.stdin is not None
        self._process.stdin.buffer.write(data)  # type: ignore[attr-defined]
        self._process.stdin.flush()

    def end(self) -> int:
        """Send SIGTERM; return the exit status."""
        self._process.send_signal(signal.SIGTERM)
        return self.ended()

    def ended(self) -> int:
        """Wait for its end; return the exit status."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        status = self._process.wait(3 * WAIT)
        self._reading.join(WAIT)
        self._process.stdin.close()
        self._process.stdout.close()
        return status

    def kill(self) -> None:
        """End it in any case."""
        if self._process.poll() is None:
            self._process.kill()
            self.ended()


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Any]:
    started: list[Running] = []

    def run(*arguments: str, **parts: Any) -> Running:
        (tmp_path / "recipe.json").write_text(json.dumps(recipe(**parts)))
        started.append(Running(tmp_path, "--recipe", "recipe.json", *arguments))
        return started[-1]

    yield run
    for one in started:
        one.kill()


def test_a_component_runs_until_sigterm_and_is_stopped_then(run: Any) -> None:
    nucleus = run(run=STAY)
    nucleus.wait(f"{ONE} | here")
    assert nucleus.end() == 0
    assert nucleus.lines[-2:] == [f"{ONE} | asked to stop", f"{ONE}: stopped"]


def test_lines_on_standard_input_tell_it_what_to_do(run: Any) -> None:
    nucleus = run(run=STAY, defaults={"a": 1})
    nucleus.wait(f"{ONE} | here")
    nucleus.say("nonsense")
    assert nucleus.wait("nonsense") == "not done: no command nonsense; help tells which there are"
    nucleus.say("freeze soon")
    nucleus.wait("not done: soon are no seconds between 0 and 86400")
    nucleus.say("restart 1 2")
    nucleus.wait("not done: it is: restart [SECONDS]")
    nucleus.say(f"configure {ONE} '{{\"a\": 2}}'")
    nucleus.wait("done: configure")
    nucleus.say(f"configuration {ONE}")
    nucleus.wait('"a": 2')
    nucleus.say("publish some/topic 'a text'")
    nucleus.wait("you: local: some/topic: a text")
    nucleus.say(f"crash {ONE}")
    nucleus.wait(f"{ONE}: its run step ended by signal 9")
    nucleus.say(f"stop {ONE}")
    nucleus.wait(f"{ONE}: stopped")
    assert nucleus.end() == 0


def test_a_command_that_fails_is_told_and_the_next_is_obeyed(
    run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "utf-8:strict")
    nucleus = run("--serve-only", "--do", "publish t \udcff")
    nucleus.wait("not done: UnicodeEncodeError")
    bad = json.dumps(recipe(version="1.0.1", install={"Script": "make", "Timeout": "abc"}))
    (tmp_path / "bad.json").write_text(bad)
    nucleus.say("deploy bad.json")
    key = "Manifests/0/Lifecycle/install/Timeout"
    assert nucleus.wait("not done: bad.json") == (
        f"not done: bad.json: {key}: 'abc' is no number of seconds above 0"
    )
    nucleus.say_bytes(b"\xff\n")
    nucleus.wait("not done: no command")
    nucleus.say("help")
    nucleus.wait("print its configuration")
    assert nucleus.end() == 0
    assert not any("Traceback" in line for line in nucleus.lines)


@pytest.mark.parametrize("line", ["stop nosuch", "crash nosuch", "configuration nosuch"])
def test_a_component_that_is_not_known_is_told(run: Any, line: str) -> None:
    nucleus = run("--serve-only", "--do", line)
    assert nucleus.wait("nosuch") == "not done: no component nosuch; give its recipe"


@pytest.mark.parametrize(
    "line",
    [
        *("kill", "restart", "restart 0.01", "expire", "names all", "deafen", "freeze 0.01"),
        *("freeze", "thaw", "deny", "deny PublishToTopic a/*", "allow", "cloud-away"),
        *("cloud-frozen", "cloud-loses 3", "cloud-back", "from-cloud a text"),
    ],
)
def test_each_trouble_is_a_command(tmp_path: Path, line: str) -> None:
    from edgetally.nucleus import Nucleus
    from edgetally.nucleus.control import obey

    with Nucleus(tmp_path, [recipe()]) as nucleus:
        assert obey(nucleus, line) == f"done: {line}"


def test_a_secret_is_given_by_a_line_that_does_not_tell_it(run: Any) -> None:
    nucleus = run("--serve-only", "--as", "java")
    token = nucleus.wait("export SVCUID=").partition("=")[2]
    socket = nucleus.wait("export AWS_GG").partition("=")[2]
    arn = "arn:one"
    nucleus.say("secret arn:one 'me:a \"password\"'")
    assert nucleus.wait("done: ") == "done: secret arn:one"
    client = GreengrassCoreIPCClientV2(
        client=connect(ipc_socket=socket, authtoken=token, timeout=WAIT)
    )
    found = client.get_secret_value(secret_id=arn).secret_value.secret_string
    assert found == 'me:a "password"'
    assert nucleus.end() == 0
    assert not any("password" in line for line in nucleus.lines)


def test_lite_is_given_no_secret(run: Any) -> None:
    nucleus = run("--serve-only", "--do", "secret arn:one me:password")
    nucleus.wait("not done: lite has no secrets; start it with --as java")


def test_a_client_of_ones_own_connects_with_what_it_prints(run: Any) -> None:
    nucleus = run("--serve-only", "--as", "java", run="echo never")
    token = nucleus.wait("export SVCUID=").partition("=")[2]
    socket = nucleus.wait("export AWS_GG").partition("=")[2]
    connect(ipc_socket=socket, authtoken=token, timeout=WAIT)
    assert nucleus.end() == 0
    assert not any("never" in line for line in nucleus.lines)


@pytest.mark.parametrize("options", [[], ["--interpolate"]])
def test_a_java_nucleus_interpolates_policies_where_it_is_told_to(
    run: Any, options: list[str]
) -> None:
    policy = {"operations": ["*"], "resources": ["edgetally/{iot:thingName}/*"]}
    access = {"aws.greengrass.ipc.pubsub": {"one": policy}}
    nucleus = run("--serve-only", "--as", "java", *options, defaults={"accessControl": access})
    token = nucleus.wait("export SVCUID=").partition("=")[2]
    socket = nucleus.wait("export AWS_GG").partition("=")[2]
    connected = connect(ipc_socket=socket, authtoken=token, timeout=WAIT)
    client = GreengrassCoreIPCClientV2(client=connected)
    with nullcontext() if options else pytest.raises(UnauthorizedError):
        client.publish_to_topic(topic="edgetally/stand-in/a", publish_message=binary(b""))
    assert nucleus.end() == 0


def test_updates_are_merged_before_a_component_starts(run: Any, tmp_path: Path) -> None:
    (tmp_path / "merge.yaml").write_text(f"{ONE}: {{a: 7}}\n")
    nucleus = run("--merge", "merge.yaml", "--do", f"configuration {ONE}", defaults={"a": 1})
    nucleus.wait('"a": 7')


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--broker", "host:port"], "--broker host:port: give HOST or HOST:PORT"),
        (["--broker", "h", "--certificate", "c"], "--certificate and --private-key go together"),
        (["--broker", "h", "--root-ca", "missing.pem"], "missing.pem: no such file"),
        (["--root-ca", "ca.pem"], "--root-ca, --certificate and --private-key go with --broker"),
        (
            ["--merge", "missing.yaml"],
            "missing.yaml: can't be read: No such file or directory",
        ),
        (
            ["--recipe", "missing.json"],
            "missing.json: can't be read: No such file or directory",
        ),
        (["--user", "nobody-here"], "no user nobody-here on this machine"),
    ],
)
def test_what_is_wrong_on_the_command_line_is_one_line(
    run: Any, arguments: list[str], said: str
) -> None:
    nucleus = run(*arguments, run=STAY)
    assert nucleus.ended() == 2
    assert len(nucleus.lines) == 1
    assert said in nucleus.lines[0]


def test_an_install_step_that_fails_ends_it_with_a_line_and_status_1(run: Any) -> None:
    nucleus = run(install="echo broken; exit 1")
    assert nucleus.ended() == 1
    assert nucleus.lines[-1] == (f"edgetally: {ONE}: its install step ended with status 1: broken")


def test_it_goes_on_where_nobody_reads_what_it_prints(tmp_path: Path) -> None:
    (tmp_path / "recipe.json").write_text(json.dumps(recipe(run=STAY)))
    reading, writing = os.pipe()
    os.close(reading)
    process = subprocess.Popen(
        [*COMMAND, "--recipe", "recipe.json"],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        stdout=writing,
        stderr=subprocess.PIPE,
    )
    os.close(writing)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(2)
    process.terminate()
    process.communicate(timeout=3 * WAIT)
