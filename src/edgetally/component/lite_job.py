"""How a deployment on nucleus lite goes and ends, as the log of its `ggdeploymentd` tells."""

from __future__ import annotations

import subprocess
import time
from typing import TYPE_CHECKING

from edgetally.component.names import COUNTER, MODEL
from edgetally.errors import EdgetallyError
from edgetally.shortened import shortened

if TYPE_CHECKING:
    from collections.abc import Callable

HOW_TO_LOOK = (
    "queued; 'journalctl -f -u ggl.core.ggdeploymentd | grep \"reporting job\"' tells how it ends"
)

_UNITS = ("ggl.core.ggdeploymentd", "ggl.core.ggconfigd")
_CURSOR = "-- cursor: "
_PAUSE = 0.5  # seconds
_BEGUN = "Processing incoming deployment"
_ENDED = "reporting job as "
_PHASES = {
    _BEGUN: "lite has taken it up; it installs, and waits until all runs",
    "Performing cleanup of stale components": "all runs",
}
# What lite complains of all the time, whatever is deployed.
_USUAL = ("[aws-iot-call]", "iot_jobs_listener.c", "[core-bus]", "Failed to retrieve arn")
_REASONS = 4  # lines; lite tells the cause first and what came of it last
_FULL = "configuration arn"
_EMPTY_IT = (
    "lite notes every local deployment, and has no room for one more: 'ggl-cli deploy "
    f"--remove-component {COUNTER} --remove-component {MODEL}', with all others that were deployed "
    "locally, empties the list; then deploy again, with --config; counts and models stay"
)
_STUCK = (
    "lite refuses every deployment until the component that this is about is deployed such that "
    "lite takes it, or removed: 'ggl-cli deploy --remove-component NAME'"
)


class LiteJob:
    """The next deployment of this machine, followed from before it is asked for."""

    def __init__(self) -> None:
        self._cursor: str | None = None
        self._read("-n", "1")

    def follow(
        self,
        tell: Callable[[str], None],
        *,
        timeout: float,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        """Tell each phase to the end; where the log can't be read, how to look.

        Raises EdgetallyError where lite refuses it or it fails, with lite's own words, and where
        it has not ended after `timeout` seconds.
        """
        if self._cursor is None:
            tell(HOW_TO_LOOK)
            return
        ends, is_ours, wrong = clock() + timeout, False, list[str]()
        while True:
            lines = self._read()
            if lines is None:
                tell(HOW_TO_LOOK)
                return
            for line in lines:
                # What ends before ours has begun is the deployment before it.
                is_ours = is_ours or _BEGUN in line
                if not is_ours:
                    continue
                if _ENDED in line:
                    _end(line.rpartition(_ENDED)[2].strip(" ."), wrong, tell)
                    return
                for mark, phase in _PHASES.items():
                    if mark in line:
                        tell(phase)
                if _is_wrong(line):
                    wrong.append(line.partition(": ")[2] or line)
            if clock() >= ends:
                raise EdgetallyError(
                    f"the deployment has not ended after {timeout:.0f} s; it goes on"
                )
            pause(_PAUSE)

    def _read(self, *which: str) -> list[str] | None:
        """Return the lines since the last reading; None where the log can't be read."""
        units = [word for unit in _UNITS for word in ("--unit", unit)] if self._cursor else []
        since = ["--after-cursor", self._cursor] if self._cursor else []
        command = ["journalctl", "--no-pager", "--output", "cat", "--show-cursor"]
        try:
            read = subprocess.run(
                [*command, *units, *since, *which],
                capture_output=True,
                text=True,
                errors="replace",
                check=True,
            )
        except (OSError, subprocess.CalledProcessError):
            return None
        lines = read.stdout.splitlines()
        for line in lines:
            if line.startswith(_CURSOR):
                self._cursor = line.removeprefix(_CURSOR)
        return [line for line in lines if not line.startswith("-- ")]


def _is_wrong(line: str) -> bool:
    level = line.partition("[")[0].strip()[-1:]
    is_refused = level == "W" and "Failing request" in line
    return (level == "E" or is_refused) and not any(usual in line for usual in _USUAL)


def _end(state: str, wrong: list[str], tell: Callable[[str], None]) -> None:
    if state == "SUCCEEDED":
        tell("succeeded")
        return
    reasons = list(dict.fromkeys(wrong))[-_REASONS:]
    remedy = _EMPTY_IT if any(_FULL in reason for reason in reasons) else _STUCK
    told = "; ".join(shortened(reason.rstrip("."), 160) for reason in reasons) or state
    raise EdgetallyError(f"the deployment failed: {told}; {remedy}")
