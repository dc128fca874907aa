"""The steps of a recipe's lifecycle: which are run, and which are not."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgetally.nucleus.kind import Kind, KindName
    from edgetally.nucleus.recipe_value import Value

_SKIPPING = re.compile(r"(!?)\s*(onpath|exists) +(.+)")
# The Java nucleus takes keys in capitals, too.
_KEYS = ("install", "run", "Setenv", "Script", "RequiresPrivilege", "Timeout", "Skipif")
_USUAL = {key.lower(): key for key in _KEYS}
# Of variables; lite writes them into a shell script.
_NAMES: dict[KindName, re.Pattern[str]] = {
    "lite": re.compile("[A-Za-z_][A-Za-z0-9_]*"),
    "java": re.compile("[^=\0]+"),
}


@dataclass(frozen=True)
class Skipping:
    """When a step is not run: something is on the PATH, or a file exists; or not, if negated."""

    what: str
    is_file: bool
    is_negated: bool = False


@dataclass(frozen=True)
class Step:
    """One step of a lifecycle. timeout: in seconds, of install alone."""

    script: str
    needs_root: bool = False
    timeout: float = 120.0
    environment: dict[str, str] = field(default_factory=dict)
    skipping: Skipping | None = None


@dataclass(frozen=True)
class Lifecycle:
    """What is run. left_out: a line for each thing that a nucleus may do, and this one does not."""

    install: Step | None = None
    run: Step | None = None
    environment: dict[str, str] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()


def read_lifecycle(given: Value, kind: Kind) -> Lifecycle:
    """Read a manifest's lifecycle. InputError where a step is none."""
    steps = _keys(given, kind)
    install, run = (_step(steps.get(name), kind) for name in ("install", "run"))
    left_out = [
        f"{name} is not run by this stand-in"
        for name in steps
        if name not in ("install", "run", "Setenv")
    ]
    if install is None and run is None:
        left_out.append("nothing to run: it has neither install nor run")
    if kind.name == "lite":
        left_out += [
            f"{step.key}: Skipif is ignored, as lite ignores it"
            for step in steps.values()
            if isinstance(step.given, dict) and "Skipif" in step.given
        ]
    return Lifecycle(install, run, _environment(steps.get("Setenv"), kind), tuple(left_out))


def _keys(given: Value, kind: Kind) -> dict[str, Value]:
    if kind.name == "lite":
        return given.map()
    return {_USUAL.get(name.lower(), name): below for name, below in given.map().items()}


def _step(given: Value | None, kind: Kind) -> Step | None:
    if given is None or given.given is None:
        return None
    if not isinstance(given.given, dict):
        return Step(given.text())
    step = _keys(given, kind)
    timeout, skipping = step.get("Timeout"), step.get("Skipif")
    return Step(
        step.get("Script", given.at("Script", None)).text(),
        needs_root=str(step.get("RequiresPrivilege", given).given).lower() == "true",
        timeout=Step.timeout if timeout is None else timeout.seconds(),
        environment=_environment(step.get("Setenv"), kind),
        skipping=None if skipping is None or kind.name == "lite" else _skipping(skipping),
    )


def _skipping(given: Value) -> Skipping:
    found = _SKIPPING.fullmatch(given.text().strip())
    if found is None:
        raise given.wrong(f"{given} is neither 'onpath PROGRAM' nor 'exists FILE'")
    return Skipping(found[3], is_file=found[2] == "exists", is_negated=bool(found[1]))


def _environment(given: Value | None, kind: Kind) -> dict[str, str]:
    variables = {} if given is None else given.map()
    for name, value in variables.items():
        if not _NAMES[kind.name].fullmatch(name):
            raise value.wrong("no name of an environment variable")
    return {name: value.word() for name, value in variables.items()}
