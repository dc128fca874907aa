"""The Greengrass nucleus: does it answer, what does it configure."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from edgetally.config import GreengrassTransport
from edgetally.config.from_nucleus import KEYS
from edgetally.doctor.configuration import of_nucleus
from edgetally.doctor.finding import note, ok, wrong
from edgetally.messaging.topics import Topics

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from edgetally.doctor.configuration import Reading
    from edgetally.doctor.finding import Finding
    from edgetally.greengrass import NucleusLink

_SUBJECT = "nucleus"
_VARIABLE = "AWS_GG_NUCLEUS_DOMAIN_SOCKET_FILEPATH_FOR_COMPONENT"
_THING = "AWS_IOT_THING_NAME"
# Where the nuclei listen by default: Java's, lite's.
_SOCKETS = (Path("/greengrass/v2/ipc.socket"), Path("/var/lib/greengrass/gg-ipc.socket"))
_LOOKED = f"looked at {' and '.join(map(str, _SOCKETS))}"
_SECONDS = 5.0
_START = (
    "SVCUID is of another component, or of an earlier start of the nucleus: let the nucleus run "
    "'edgetally doctor' as our component's run step, in the place of 'edgetally run --greengrass', "
    f"or unset {_VARIABLE} and give --config"
)


class Nucleus:
    """The nucleus of this device, spoken to where it started this process; to be closed.

    reading: what is to be looked at: what was given, else the component's once it has been read.
    secret: gives a secret's text, where the nucleus answers.
    """

    def __init__(self, given: Reading | None) -> None:
        self.reading = given
        self.secret: Callable[[str], str] | None = None
        self._link: NucleusLink | None = None

    def look(self) -> Iterator[Finding]:
        """Look for it, and try what it allows."""
        if os.environ.get(_VARIABLE):
            yield from self._speak()
            return
        found = [path for path in _SOCKETS if path.exists()]
        if found:
            yield note(
                _SUBJECT,
                f"listens at {found[0]}, and speaks only to its components",
                "policies are tried when doctor runs as a component's run step",
            )
        elif self.reading is not None and _is_asked_for(self.reading):
            yield wrong(
                _SUBJECT,
                f"none is here ({_LOOKED}), and the configuration publishes through it",
                "install Greengrass, or try 'edgetally nucleus'; one with another root folder is "
                "found where it runs doctor as the component's run step",
            )
        else:
            yield ok(_SUBJECT, f"none is here ({_LOOKED}); only Greengrass needs one")

    def close(self) -> None:
        """Leave it; harmless when repeated."""
        if self._link is not None:
            self._link.close()

    def _speak(self) -> Iterator[Finding]:
        from edgetally.doctor.policies import policies  # noqa: PLC0415 - loads the IPC client
        from edgetally.greengrass import NucleusLink, UnknownHereError  # noqa: PLC0415

        thing = os.environ.get(_THING, "")
        link = self._link = NucleusLink.from_environment(keys=KEYS)
        try:
            link.open(_SECONDS)
        except UnknownHereError:
            text = f"what listens at {os.environ[_VARIABLE]} does not take us for its component"
            yield wrong(_SUBJECT, text, _START)
            return
        self.secret = link.secret
        yield ok(_SUBJECT, "takes us for its component")
        settings = link.configuration()
        yield ok(_SUBJECT, f"has a configuration for us ({', '.join(settings) or 'empty'})")
        if self.reading is None:
            self.reading = of_nucleus(settings, thing)
        config = self.reading.config
        if config is None:
            return
        topics = Topics(config.publish.topic_prefix, config.publish.thing)
        for transport in config.publish.transports:
            if isinstance(transport, GreengrassTransport):
                yield from policies(link, topics, transport)


def _is_asked_for(reading: Reading) -> bool:
    if reading.config is None or reading.mistake:
        return False
    return any(isinstance(each, GreengrassTransport) for each in reading.config.publish.transports)
