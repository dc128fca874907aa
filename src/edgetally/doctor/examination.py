"""`examine`: look at everything that a configuration needs, one thing after the other."""

from __future__ import annotations

from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING

from edgetally.doctor import brokers, cameras, clock, inference, software, storage
from edgetally.doctor.finding import wrong
from edgetally.doctor.nucleus import Nucleus
from edgetally.errors import EdgetallyError
from edgetally.shortened import shortened

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from edgetally.doctor.configuration import Reading
    from edgetally.doctor.finding import Finding


def examine(given: Reading | None) -> Iterator[Finding]:
    """Yield what is found, as it is found; without a configuration, of the device alone.

    A process that a nucleus started has its component's configuration. Of one that is wrong, what
    says where to store is looked at all the same.
    What fails while it is looked at is itself a finding.
    """
    yield from _guarded("Python", software.python)
    yield from _guarded("engine", software.engines)
    yield from _guarded("processor", software.processor)
    yield from _guarded("clock", clock.clock)
    with closing(Nucleus(given)) as nucleus:
        yield from _guarded("nucleus", nucleus.look)
        if nucleus.reading is not None:
            yield from _of(nucleus.reading, nucleus.secret)


def _of(reading: Reading, secret: Callable[[str], str] | None) -> Iterator[Finding]:
    config = reading.config
    if reading.mistake:
        yield wrong("configuration", reading.mistake)
    if config is None:
        return
    yield from _guarded("storage", partial(storage.storage, config))
    if reading.mistake:
        return
    yield from _guarded("model", partial(inference.model, config.model))
    for camera in config.cameras:
        subject = f"camera {camera.name}"
        yield from _guarded(subject, partial(cameras.camera, camera, secret))
    for transport in config.publish.transports:
        subject = f"transport {transport.type}"
        yield from _guarded(subject, partial(brokers.transport, transport))


def _guarded(subject: str, look: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    try:
        yield from look()
    except EdgetallyError as error:
        yield wrong(subject, shortened(" ".join(str(error).split()), 1000))
    except Exception as error:  # noqa: BLE001 - the other checks must go on
        reason = " ".join(str(error).split()) or type(error).__name__
        yield wrong(
            subject,
            f"can't be examined: {shortened(reason)}",
            "run 'edgetally --debug doctor' and report it",
        )
