"""The Greengrass nucleus: does it answer, what does it configure."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from edgetally.config import GreengrassTransport
from edgetally.config.from_nucleus import config_of_nucleus, how_to_tell
from edgetally.doctor.finding import note, ok, wrong
from edgetally.doctor.policies import policies
from edgetally.errors import InputError
from edgetally.messaging.topics import Topics

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from edgetally.config import Config
    from edgetally.doctor.finding import Finding
    from edgetally.greengrass import NucleusLink

_SUBJECT = "nucleus"
_VARIABLE = "AWS_GG_NUCLEUS_DOMAIN_SOCKET_FILEPATH_FOR_COMPONENT"
_THING = "AWS_IOT_THING_NAME"
# Where the nuclei listen by default: Java's, lite's.
_SOCKETS = (Path("/greengrass/v2/ipc.socket"), Path("/var/lib/greengrass/gg-ipc.socket"))
_SECONDS = 5.0


class Nucleus:
    """The nucleus of this device, spoken to where it started this process; to be closed.

    config: what is to be looked at: what was given, else the component's once it has been read
    and is right. secret: gives a secret's text, where the nucleus answers.
    """

    def __init__(self, config: Config | None) -> None:
        self.config = config
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
        elif self.config is not None and _is_asked_for(self.config):
            yield wrong(
                _SUBJECT,
                "none is here, and the configuration publishes through it",
                "install Greengrass, or try 'edgetally nucleus'",
            )
        else:
            yield ok(_SUBJECT, "none is here; only Greengrass needs one")

    def close(self) -> None:
        """Leave it; harmless when repeated."""
        if self._link is not None:
            self._link.close()

    def _speak(self) -> Iterator[Finding]:
        from edgetally.greengrass import NucleusLink  # noqa: PLC0415 - heavy

        thing = os.environ.get(_THING, "")
        link = self._link = NucleusLink.from_environment()
        link.open(_SECONDS)
        self.secret = link.secret
        yield ok(_SUBJECT, "takes us for its component")
        settings = link.configuration()
        yield ok(_SUBJECT, f"has a configuration for us ({', '.join(settings) or 'empty'})")
        config = self.config
        if config is None:
            try:
                config = self.config = config_of_nucleus(settings, thing)
            except InputError as error:
                yield wrong("configuration", " ".join(str(error).split()))
                config = how_to_tell(settings, thing)
        topics = Topics(config.publish.topic_prefix, config.publish.thing)
        for transport in config.publish.transports:
            if isinstance(transport, GreengrassTransport):
                yield from policies(link, topics, transport)


def _is_asked_for(config: Config) -> bool:
    return any(isinstance(each, GreengrassTransport) for each in config.publish.transports)
