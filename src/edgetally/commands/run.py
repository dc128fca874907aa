"""`edgetally run`: count, as a file or a Greengrass nucleus configures it."""

from __future__ import annotations

import logging
import os
import signal
import threading
from pathlib import Path  # noqa: TC003 - typer reads it at run time
from queue import SimpleQueue
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from edgetally.config import load_config
from edgetally.config.from_nucleus import KEYS
from edgetally.config.model import StorageConfig
from edgetally.errors import EdgetallyError, InputError

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from edgetally.service import Service

_ENDING = (signal.SIGTERM, signal.SIGINT)


def run(
    config: Annotated[
        Optional[Path],  # noqa: UP045 - typer reads it at run time on Python 3.10
        typer.Option("--config", "-c", help="The configuration, in YAML; SIGHUP reads it anew."),
    ] = None,
    greengrass: Annotated[
        bool,
        typer.Option(
            "--greengrass", help="Be the component of a nucleus, which has the configuration."
        ),
    ] = False,
) -> None:
    """Watch the configured cameras, count, and publish, until they end or SIGTERM comes.

    Example: edgetally run --config models/boxes/demo.yaml
    """
    if (config is not None) == greengrass:
        raise InputError("give either --config FILE or --greengrass, and not both")
    for number in _ENDING:
        signal.signal(number, _end)  # until there is something to stop
    reload: SimpleQueue[None] = SimpleQueue()
    signal.signal(signal.SIGHUP, lambda _number, _frame: reload.put(None))
    logging.getLogger("edgetally").setLevel(min(logging.INFO, logging.getLogger().level))
    if config is None:
        _run_under_nucleus()
    else:
        _run_file(config, reload)


def _run_file(path: Path, reload: SimpleQueue[None]) -> None:
    from edgetally.service import Service  # noqa: PLC0415 - loads OpenCV

    service = Service(load_config(path))
    reading = threading.Thread(target=_read_anew, args=(path, service, reload), daemon=True)
    reading.start()
    _stop_with(service.stop)
    service.run()


def _run_under_nucleus() -> None:
    from edgetally.greengrass import NucleusLink  # noqa: PLC0415 - loads the IPC client

    link = NucleusLink.from_environment(keys=KEYS)
    from edgetally.service.under_nucleus import UnderNucleus  # noqa: PLC0415 - loads OpenCV

    # Where the ledger is, if nothing else is configured: a wrong configuration does not tell.
    folder = StorageConfig().path
    thing = os.environ.get("AWS_IOT_THING_NAME", "")
    component = UnderNucleus(link, thing=thing, folder=folder)
    _stop_with(component.stop)
    component.run()


def _read_anew(path: Path, service: Service, asked: SimpleQueue[None]) -> None:
    while True:
        asked.get()
        try:
            config = load_config(path)
        except EdgetallyError as error:
            service.refuse(str(error))
        else:
            service.reconfigure(config)


def _stop_with(stop: Callable[[], None]) -> None:
    for number in _ENDING:
        signal.signal(number, lambda _number, _frame: stop())


def _end(_number: int, _frame: FrameType | None) -> None:
    raise SystemExit(0)
