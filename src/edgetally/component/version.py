"""What AWS IoT Greengrass takes as a component's name and version."""

from __future__ import annotations

import re

from edgetally.errors import InputError
from edgetally.shortened import shortened

_NAME = re.compile(r"[A-Za-z0-9._-]{1,128}")
_LONGEST = 64
_LARGEST = 999_999  # of a part: AWS's component recipe reference, "ComponentVersion"
# Semantic Versioning 2.0.0, "Backus-Naur Form Grammar for Valid SemVer Versions"
_NUMBER = "(0|[1-9][0-9]*)"
_BUILD = "[0-9A-Za-z-]+"
_PRE = rf"({_NUMBER}|[0-9]*[A-Za-z-][0-9A-Za-z-]*)"
_SEMANTIC = re.compile(
    rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}(-{_PRE}(\.{_PRE})*)?(\+{_BUILD}(\.{_BUILD})*)?"
)


def checked_version(version: str, option: str = "--version") -> str:
    """Return the version of a component; InputError where it is none. option: what gave it."""
    found = _SEMANTIC.fullmatch(version) if len(version) <= _LONGEST else None
    if found is None:
        raise InputError(
            f"{shortened(repr(version))} is no component version; give {option} three numbers "
            "such as 1.2.0"
        )
    if any(int(found[part]) > _LARGEST for part in (1, 2, 3)):
        raise InputError(
            f"component version {version}: AWS takes numbers up to {_LARGEST}; give {option} a "
            "smaller one"
        )
    return version


def checked_name(name: str, option: str = "--component") -> str:
    """Return the name of a component; InputError where it can be none."""
    if not _NAME.fullmatch(name):
        raise InputError(
            f"{shortened(repr(name))} is no component's name; give {option} one such as "
            "io.edgetally.Counter"
        )
    return name
