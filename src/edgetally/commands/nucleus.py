"""`edgetally nucleus`: a Greengrass nucleus on the developer's table."""

from __future__ import annotations

import signal
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Optional

import typer
import yaml

from edgetally.errors import EdgetallyError, InputError
from edgetally.ordinary_file import read_ordinary

if TYPE_CHECKING:
    from types import FrameType

    from edgetally.nucleus import Cloud, Nucleus

_LARGEST = 1 << 20  # bytes of a file of configuration updates


def nucleus(
    recipe: Annotated[
        list[Path],
        typer.Option(
            "--recipe", "-r", help="A component's recipe, JSON or YAML; several times for several."
        ),
    ],
    artifacts: Annotated[
        Optional[Path],  # noqa: UP045 - typer reads it at run time on Python 3.10
        typer.Option(help="Folder of the artifacts: NAME/VERSION/FILE.", metavar="FOLDER"),
    ] = None,
    root: Annotated[
        Path, typer.Option(help="The nucleus's folder; components work, and stay, in it.")
    ] = Path("nucleus"),
    kind: Annotated[
        Literal["lite", "java"], typer.Option("--as", help="Which nucleus to be like.")
    ] = "lite",
    interpolate: Annotated[
        bool,
        typer.Option(
            "--interpolate",
            help="With --as java: set interpolateComponentConfiguration, as lite always does.",
        ),
    ] = False,
    thing: Annotated[str, typer.Option(help="The device's name in AWS IoT.")] = "stand-in",
    user: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="Run components as this user; root alone can. Default: as you."),
    ] = None,
    merge: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(
            help="Configuration updates, YAML or JSON: for each component a map to merge.",
            metavar="FILE",
        ),
    ] = None,
    broker: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            help="MQTT broker that is AWS IoT Core; without one it is kept in memory.",
            metavar="HOST[:PORT]",
        ),
    ] = None,
    root_ca: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="Authority that signed the broker's certificate; TLS is spoken then."),
    ] = None,
    certificate: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="The device's certificate, for mutual TLS."),
    ] = None,
    private_key: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="Its private key."),
    ] = None,
    do: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(
            help="What to do once all runs, such as 'freeze 5'; several times for several.",
            metavar="COMMAND",
        ),
    ] = None,
    serve_only: Annotated[
        bool,
        typer.Option(
            "--serve-only", help="Run no component; print what a client's environment needs."
        ),
    ] = False,
) -> None:
    """Run components as a Greengrass nucleus does, and print what happens, until SIGTERM comes.

    While it runs, lines on standard input tell it what to do: help prints which there are.

    Example: edgetally nucleus --recipe recipe.json --artifacts artifacts --as lite
    """
    from edgetally.nucleus import KINDS, Nucleus  # noqa: PLC0415 - asyncio, awscrt

    def end(_number: int, _frame: FrameType | None) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)  # components are being stopped
        raise SystemExit(0)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    updates = _read_updates(merge) if merge is not None else {}
    cloud = _cloud(broker, root_ca, certificate, private_key, thing)
    like = replace(KINDS[kind], interpolates=interpolate or KINDS[kind].interpolates)
    with Nucleus(
        root,
        recipe,
        kind=like,
        thing=thing,
        cloud=cloud,
        user=user,
        root_ca=root_ca,
        show=_show,
    ) as running:
        if serve_only:
            for path in recipe:
                _show_environment(running, path)
        else:
            running.deploy(artifacts=artifacts, merge=updates)
        for line in do or ():
            _obey(running, line)
        threading.Thread(target=_listen, args=(running,), daemon=True).start()
        threading.Event().wait()  # for a signal


def _show(text: str) -> None:
    for line in text.splitlines():
        shown = "".join(char if char.isprintable() else " " for char in line)
        try:
            print(shown, flush=True)  # noqa: T201 - from many threads, a line at once
        except (OSError, ValueError):  # nobody reads it any more
            return


def _listen(running: Nucleus) -> None:
    for line in sys.stdin.buffer:
        _obey(running, line.decode(errors="replace"))


def _obey(running: Nucleus, line: str) -> None:
    from edgetally.nucleus.control import obey  # noqa: PLC0415

    try:
        _show(obey(running, line))
    except EdgetallyError as error:
        _show(f"not done: {error}")
    except Exception as error:  # noqa: BLE001 - what comes next is obeyed in any case
        _show(f"not done: {type(error).__name__}: {error}")


def _show_environment(running: Nucleus, recipe: Path) -> None:
    from edgetally.nucleus.recipe import read_recipe  # noqa: PLC0415

    name = read_recipe(recipe, running.kind).name
    _show(f"# {name}")
    _show(f"export SVCUID={running.token_for(name)}")
    _show(f"export AWS_GG_NUCLEUS_DOMAIN_SOCKET_FILEPATH_FOR_COMPONENT={running.socket}")


def _read_updates(path: Path) -> dict[str, dict[str, Any]]:
    try:
        updates = yaml.safe_load(read_ordinary(path, _LARGEST))
    except OSError as error:
        raise InputError(f"{path}: can't be read: {error.strerror}; give a YAML file") from None
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        raise InputError(f"{path}: no YAML: {' '.join(str(error).split())}") from None
    if not isinstance(updates, dict) or not all(isinstance(m, dict) for m in updates.values()):
        raise InputError(f"{path}: give a map to merge for each component, by its name")
    return updates


def _cloud(
    broker: str | None,
    root_ca: Path | None,
    certificate: Path | None,
    private_key: Path | None,
    thing: str,
) -> Cloud | None:
    from edgetally.nucleus.broker import BrokerAddress, BrokerCloud  # noqa: PLC0415

    files = (root_ca, certificate, private_key)
    if broker is None:
        if any(files):
            raise InputError("--root-ca, --certificate and --private-key go with --broker")
        return None
    if (certificate is None) != (private_key is None):
        raise InputError("--certificate and --private-key go together; give both")
    for path in files:
        if path is not None and not path.is_file():
            raise InputError(f"{path}: no such file")
    host, colon, port = broker.rpartition(":")
    if not colon:
        host, port = broker, "8883" if any(files) else "1883"
    if not host or not port.isdecimal() or not 0 < int(port) <= 65535:
        raise InputError(f"--broker {broker}: give HOST or HOST:PORT")
    return BrokerCloud(
        BrokerAddress(host, int(port), root_ca, certificate, private_key), thing, _show
    )
