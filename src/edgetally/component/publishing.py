"""Publish built components: artifacts into S3, recipes into AWS IoT Greengrass."""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING, Any

from edgetally.errors import EdgetallyError, InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from edgetally.component.built import BuiltComponent
    from edgetally.component.calls import Calls

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")  # S3 User Guide, "Bucket naming rules"
_PAUSE = 2.0  # seconds
_TRIES = 60


def publish(
    components: Iterable[BuiltComponent],
    bucket: str,
    calls: Calls,
    tell: Callable[[str], None],
    *,
    pause: Callable[[float], None] = time.sleep,
) -> None:
    """Upload the artifacts, create the components' versions, wait until they can be deployed.

    A version is published once: InputError names those that were there already, after the others
    were published.
    """
    if not _BUCKET.fullmatch(bucket):
        raise InputError(
            f"{bucket!r} is no name of a bucket; give --bucket the name alone, without s3://"
        )
    present = []
    for component in components:
        about = f"component {component.name} {component.version}"
        for file in component.files:
            calls.upload(file, bucket, component.key(file))
        recipe = json.dumps(component.with_artifacts_at(bucket), indent=2)
        try:
            created = calls.make(
                "greengrassv2", "create_component_version", about, inlineRecipe=recipe.encode()
            )
        except InputError as error:
            if "ConflictException" not in str(error):
                raise
            present.append(f"{component.name} {component.version}")
            continue
        _wait(created, about, calls, pause)
        if created:
            tell(f"{component.name} {component.version}: published")
    if present:
        raise InputError(
            f"{', '.join(present)} is published already, and a version never changes; where it "
            "shall, build it with a higher --version, else publish the others with --component"
        )


def _wait(
    created: dict[str, Any], about: str, calls: Calls, pause: Callable[[float], None]
) -> None:
    """Wait until AWS has read the artifacts."""
    status = created.get("status", {})
    for _ in range(_TRIES):
        state = status.get("componentState", "DEPLOYABLE")
        if state == "DEPLOYABLE":
            return
        if state == "FAILED":
            reasons = [status.get("message", ""), *status.get("errors", {}).values()]
            raise EdgetallyError(f"{about} was refused: {'; '.join(filter(None, reasons))}")
        pause(_PAUSE)
        status = calls.make("greengrassv2", "describe_component", about, arn=created["arn"]).get(
            "status", {}
        )
    raise EdgetallyError(f"{about} is not ready after {_PAUSE * _TRIES:.0f} s; look again later")
