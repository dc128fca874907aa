"""The whole of it: both components, built and deployed to a stand-in nucleus, which runs them."""

from __future__ import annotations

import json
import platform
import sys
import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from component_checkout import ROOT, with_packages_of_here
from typer.testing import CliRunner

from edgetally.bundle import ModelBundle
from edgetally.cli import app
from edgetally.component.built import built_components
from edgetally.component.names import COUNTER, MODEL
from edgetally.conversion import convert
from edgetally.demo import CLASSES
from edgetally.nucleus import Nucleus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from edgetally.nucleus import CloudMessage, LocalMessage

BOXES = ROOT / "models" / "boxes"
CLIP = str(BOXES / "demo.mp4")
TRUTH = json.loads((BOXES / "demo.json").read_text(encoding="utf-8"))
THING = "dock-1"
DOOR = {"name": "door", "from": [0, 0.36], "to": [1, 0.36], "inDirection": [0, 1]}
WAIT = 180.0  # seconds; a machine may be busy with other tests
ENDED = {"FINISHED", "ERRORED", "BROKEN"}
STARTED = f"{COUNTER}: started, process "


def clip(name: str, seconds: float | None = None) -> dict[str, Any]:
    """Return a camera that shows the demo's clip, all or the first seconds."""
    camera = {"name": name, "source": CLIP, "lines": [DOOR]}
    return camera if seconds is None else camera | {"maxFrames": int(seconds * TRUTH["fps"])}


def truth(seconds: float | None = None) -> dict[str, dict[str, int]]:
    """Return what crossed the door in the clip, by class."""
    totals: dict[str, dict[str, int]] = {}
    for crossing in TRUTH["crossings"]:
        if seconds is None or crossing["time"] < seconds:
            of_class = totals.setdefault(crossing["class"], {"in": 0, "out": 0})
            of_class[crossing["direction"]] += 1
    return totals


def build(folder: Path) -> Path:
    """Build the counter and two versions of the demo's model; return the folder of the builds."""
    checkout = str(with_packages_of_here(folder / "checkout"))
    bundle = folder / "boxes"
    convert(BOXES / "model.tar.gz", bundle, classes=CLASSES, name="boxes", verify=False)
    machine = platform.machine()
    python = f"{sys.version_info[0]}.{sys.version_info[1]}"
    options = ["--wheelhouse", "--platform", machine, "--python", python]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PIP_NO_INDEX", "1")
        patch.setenv("PIP_FIND_LINKS", f"{checkout}/index")
        _build(checkout, folder / "first", *options)
    _build(checkout, folder / "first", "--model", str(bundle))
    ModelBundle.load(bundle).model_copy(update={"version": "1.1.0"}).write(bundle)
    _build(checkout, folder / "second", "--model", str(bundle))
    return folder


def _build(checkout: str, output: Path, *options: str) -> None:
    command = ["component", "build", "--source", checkout, "--output", str(output), *options]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output


class WholeDevice:
    """A nucleus with both components, and what they say.

    builds: as `build` left them. cameras: that it has, one of which goes on for ever. pictures:
    a folder that requests may look into.
    """

    def __init__(self, nucleus: Nucleus, builds: Path) -> None:
        self.nucleus = nucleus
        self.builds = builds
        self.cameras: list[dict[str, Any]] = [{"name": "yard", "source": "test:320x240", "fps": 5}]
        self.pictures = nucleus.folder / "pictures"

    @property
    def program(self) -> Path:
        """The installed edgetally."""
        return self.nucleus.folder / "work" / COUNTER / "venv" / "bin" / "edgetally"

    def recipe(self, component: str, build: str = "first") -> dict[str, Any]:
        """Return a built recipe; the Python that runs the tests is the device's."""
        recipe = dict(built_components(self.builds / build)[component].recipe)
        for manifest in recipe["Manifests"]:
            found = f"{sys.base_prefix}/bin:/usr/sbin:/usr/bin:/sbin:/bin"
            manifest["Lifecycle"]["Setenv"] = {"PATH": found, "OMP_NUM_THREADS": "1"}
        return recipe

    def deploy(self, *recipes: dict[str, Any], build: str = "first", **configuration: Any) -> None:
        """Deploy, with changes of the counter's configuration."""
        self.nucleus.deploy(
            recipes,
            artifacts=self.builds / build / "artifacts",
            merge={COUNTER: configuration} if configuration else None,
        )

    def configure(self, **changes: Any) -> None:
        """Deploy another configuration of the counter."""
        self.nucleus.configure(COUNTER, changes)

    @contextmanager
    def camera(self, camera: dict[str, Any]) -> Iterator[None]:
        """Have one camera more for a while."""
        self.cameras.append(camera)
        self.configure(cameras=self.cameras)
        try:
            yield
        finally:
            self.cameras.remove(camera)
            self.configure(cameras=self.cameras)

    def bodies(self, way: str, kind: str) -> list[dict[str, Any]]:
        """Return the counter's messages on a way, local or cloud, whose topic ends so."""
        return [
            json.loads(message.payload)
            for message in self.messages(way)
            if message.topic.endswith(f"/{kind}")
        ]

    def newest(self, kind: str, way: str = "local") -> dict[str, Any]:
        """Return the latest of them; {} where there is none."""
        bodies = self.bodies(way, kind)
        return bodies[-1] if bodies else {}

    def counted(self, camera: str, way: str = "local") -> Any:
        """Return what the newest inventory says of a camera's door."""
        of_camera = self.newest("inventory", way).get("cameras", {}).get(camera, {})
        return of_camera.get("lines", {}).get("door")

    def messages(self, way: str) -> list[LocalMessage | CloudMessage]:
        """Return all that the counter sent, but for what it says to itself."""
        sent = self.nucleus.published if way == "local" else self.nucleus.sent
        return [
            message
            for message in sent
            if message.sender == COUNTER and not message.topic.endswith("/loopback")
        ]

    def events(self, camera: str, way: str = "local") -> list[dict[str, Any]]:
        """Return a camera's count events."""
        return self.bodies(way, f"{camera}/events")

    def numbers(self, camera: str, way: str = "local") -> set[int]:
        """Return the sequence numbers of a camera's events; one that came twice counts once."""
        return {event["sequence"] for event in self.events(camera, way)}

    def wait(self, happened: Callable[[], Any], timeout: float = WAIT) -> None:
        """Wait until something has happened."""
        self.nucleus.wait(happened, timeout)

    def counts(self, camera: str, totals: dict[str, dict[str, int]], way: str) -> None:
        """Wait until these are told as a camera's totals, and so are all events behind them."""
        events = sum(sum(ways.values()) for ways in totals.values())
        self.wait(lambda: self.counted(camera, way) == totals)
        self.wait(lambda: len(self.numbers(camera, way)) == events)

    def tells(self, state: str, reason: str | None = None) -> None:
        """Wait for a health message that says so; reason: a part of it, None: there is none."""

        def is_told() -> bool:
            told = self.newest("health")
            why = told.get("stateReason")
            fits = why is None if reason is None else reason in (why or "")
            return told.get("state") == state and fits

        self.wait(is_told)

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """Ask for a look as another component would; return the answer."""
        named = {"requestId": str(uuid.uuid4()), **request}
        self.nucleus.publish_local(
            f"edgetally/{THING}/inference/request", json.dumps(named).encode()
        )
        kind = "inference/response"
        self.wait(lambda: self.newest(kind).get("requestId") == named["requestId"])
        answer = self.newest(kind)
        assert "error" not in answer
        return answer

    @property
    def starts(self) -> int:
        """How often the counter was started."""
        return len([line for line in self.nucleus.record.lines if line.startswith(STARTED)])

    @property
    def ends(self) -> list[str]:
        """How the counter's runs ended."""
        return [each for name, each in self.nucleus.states if name == COUNTER and each in ENDED]

    def printed(self, text: str) -> list[str]:
        """Return the lines that the counter printed with a text in them."""
        return [
            line
            for line in self.nucleus.record.lines
            if line.startswith(f"{COUNTER} | ") and text in line
        ]


@contextmanager
def deployed(folder: Path, builds: Path) -> Iterator[WholeDevice]:
    """Deploy both components, with a camera that goes on for ever."""
    with Nucleus(folder / "nucleus", thing=THING) as nucleus:
        device = WholeDevice(nucleus, builds)
        device.pictures.mkdir()
        device.deploy(
            device.recipe(MODEL),
            device.recipe(COUNTER),
            # A test's machine is busy with other tests: what is slower there is no worse a model.
            model={"tuning": "null", "canary": {"frames": 4, "wait": 0, "maxSlowdown": 1000}},
            cameras=device.cameras,
            publish={"health": {"heartbeat": 2}, "inventory": {"heartbeat": 2}},
            requests={"folders": [str(device.pictures)], "maxRate": 1000},
        )
        device.wait(lambda: (COUNTER, "RUNNING") in nucleus.states)
        yield device
