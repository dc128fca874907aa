"""The environment in which a nucleus runs a component: its own, nothing inherited."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from edgetally.nucleus.device.owner import Owner

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def environment(
    *, socket: Path, token: str, thing: str, region: str, version: str, authority: str, owner: Owner
) -> dict[str, str]:
    """Return what a component finds.

    version: of the nucleus. authority: file of the root CA, or nothing.
    """
    return {
        "PATH": PATH,
        "LANG": "C.UTF-8",
        "HOME": owner.home,
        "USER": owner.name,
        "LOGNAME": owner.name,
        "SHELL": "/bin/sh",
        "SVCUID": token,
        "AWS_GG_NUCLEUS_DOMAIN_SOCKET_FILEPATH_FOR_COMPONENT": str(socket),
        "AWS_IOT_THING_NAME": thing,
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "GGC_VERSION": version,
        "GG_ROOT_CA_PATH": authority,
        "AWS_CONTAINER_AUTHORIZATION_TOKEN": token,
    }
