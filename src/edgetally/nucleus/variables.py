"""Recipe variables, such as `{iot:thingName}`, and what they stand for on a device."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgetally.errors import InputError
from edgetally.nucleus.configuration import Missing, path_of

if TYPE_CHECKING:
    from pathlib import Path

    from edgetally.nucleus.configuration import Configuration

_VARIABLE = re.compile(r"(?<!\$)\{([\w.-]+:[^{}\n]*)\}")
_BRACE = re.compile(r"\{([^}]*)(\}?)")
_SPECIAL = re.compile(r'["\\$`]')  # to a shell between double quotes


@dataclass(frozen=True)
class Folders:
    """Where a nucleus under `root` keeps what belongs to a component of a version."""

    root: Path
    component: str
    version: str

    @property
    def work(self) -> Path:
        """Where it runs, and keeps what is its own."""
        return self.root / "work" / self.component

    @property
    def artifacts(self) -> Path:
        """What a deployment brought."""
        return self.root / "packages" / "artifacts" / self.component / self.version

    @property
    def decompressed(self) -> Path:
        """What was in the archives among them, a folder each."""
        return self.root / "packages" / "artifacts-unarchived" / self.component / self.version


@dataclass(frozen=True)
class Variables:
    """What a component's recipe may name."""

    folders: Folders
    thing: str
    configuration: Configuration

    def fill_known(self, text: str) -> str:
        """Put values in place of those variables that are known, and leave the rest."""

        def fill(found: re.Match[str]) -> str:
            try:
                return self._value(found[1])
            except InputError:
                return found[0]

        return _VARIABLE.sub(fill, text)

    def fill_script(self, text: str) -> str:
        """Put values in place of variables as lite does in a script, quoted for the shell.

        InputError where there is another `{`: lite takes each for a variable's, even a shell's,
        and runs the script up to it.
        """

        def fill(found: re.Match[str]) -> str:
            if not found[2]:
                raise InputError(f"{self.folders.component}: a {{ in a script without its }}")
            return _SPECIAL.sub(r"\\\g<0>", self._value(found[1]))

        return _BRACE.sub(fill, text)

    def _value(self, name: str) -> str:
        space, _, key = name.partition(":")
        known = {
            "kernel:rootPath": str(self.folders.root),
            "iot:thingName": self.thing,
            "work:path": f"{self.folders.work}/",
            "artifacts:path": f"{self.folders.artifacts}/",
            "artifacts:decompressedPath": f"{self.folders.decompressed}/",
        }
        if name in known:
            return known[name]
        if space == "configuration":
            return self._setting(key)
        raise InputError(
            f"{self.folders.component}: no variable {{{name}}} in a recipe; "
            f"there are {', '.join(known)} and configuration:/KEY"
        )

    def _setting(self, pointer: str) -> str:
        try:
            value = self.configuration.get(path_of(pointer))
        except Missing:
            raise InputError(
                f"{self.folders.component}: nothing at {pointer} in its configuration"
            ) from None
        return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
