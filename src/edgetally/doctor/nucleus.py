"""The Greengrass nucleus: does it answer, does it let us publish."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from edgetally.config import GreengrassTransport
from edgetally.doctor.finding import note, ok, wrong
from edgetally.errors import EdgetallyError
from edgetally.messaging.topics import Topics

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgetally.config import Config
    from edgetally.doctor.finding import Finding
    from edgetally.greengrass.link import NucleusLink

_SUBJECT = "nucleus"
_VARIABLE = "AWS_GG_NUCLEUS_DOMAIN_SOCKET_FILEPATH_FOR_COMPONENT"
_THING = "AWS_IOT_THING_NAME"
# Where the nuclei listen by default: Java's, lite's.
_SOCKETS = (Path("/greengrass/v2/ipc.socket"), Path("/var/lib/greengrass/gg-ipc.socket"))
_SECONDS = 5.0


def nucleus(config: Config | None) -> Iterator[Finding]:
    """Look for a nucleus; speak to it where it started this process."""
    if os.environ.get(_VARIABLE):
        yield from _spoken_to(config)
        return
    found = [path for path in _SOCKETS if path.exists()]
    if found:
        yield note(
            _SUBJECT,
            f"listens at {found[0]}, and speaks only to its components",
            "policies are tried when doctor runs as a component's run step",
        )
    elif config is not None and _is_asked_for(config):
        yield wrong(
            _SUBJECT,
            "none is here, and the configuration publishes through it",
            "install Greengrass, or try 'edgetally nucleus'",
        )
    else:
        yield ok(_SUBJECT, "none is here; only Greengrass needs one")


def _spoken_to(config: Config | None) -> Iterator[Finding]:
    from edgetally.greengrass import link as greengrass  # noqa: PLC0415 - heavy

    link = greengrass.NucleusLink.from_environment()
    try:
        link.open(_SECONDS)
        yield ok(_SUBJECT, "takes us for its component")
        settings = link.configuration()
        yield ok(_SUBJECT, f"has a configuration for us ({', '.join(settings) or 'empty'})")
        yield from _policies(link, config)
    finally:
        link.close()


def _policies(link: NucleusLink, config: Config | None) -> Iterator[Finding]:
    """Publish on the topic that we hear ourselves on."""
    thing = os.environ.get(_THING) or (config.publish.thing if config else "local")
    prefix = config.publish.topic_prefix if config else "edgetally"
    topic = Topics(prefix, thing).loopback
    for name, publish in (("local", link.publish_local), ("AWS IoT Core", link.publish_cloud)):
        subject = f"policy {name}"
        try:
            publish(topic, b"{}").result(_SECONDS)
        except (EdgetallyError, TimeoutError) as error:
            yield wrong(
                subject,
                " ".join(str(error).split()) or f"no answer in {_SECONDS:g} s",
                "see accessControl in the recipe, and the nucleus's log",
            )
        else:
            yield ok(subject, f"may publish to {topic}")


def _is_asked_for(config: Config) -> bool:
    return any(isinstance(each, GreengrassTransport) for each in config.publish.transports)
