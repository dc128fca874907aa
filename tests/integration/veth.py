"""A network of its own, behind a cable that can be cut without either end noticing."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from types import TracebackType

_IP = shutil.which("ip") or "/usr/sbin/ip"  # not in every user's PATH
_NAME = "edgetally-test"
_HERE, _CABLE, _FAR = "10.213.77.1", "tally-here", "tally-there"


class Veth:
    """A network namespace: `inside` runs a command in it, `there` is its address.

    Skips the test where it can't be made: that takes root and Debian's iproute2.
    """

    there = "10.213.77.2"
    inside = (_IP, "netns", "exec", _NAME)

    def __enter__(self) -> Veth:
        if os.getuid() != 0 or not Path(_IP).exists():
            pytest.skip("a network of its own needs root and Debian's iproute2")
        self._remove()  # what a killed test left
        try:
            _ip("netns", "add", _NAME)
            _ip("link", "add", _CABLE, "type", "veth", "peer", "name", _FAR, "netns", _NAME)
            _ip("address", "add", f"{_HERE}/30", "dev", _CABLE)
            _ip("link", "set", _CABLE, "up")
            _ip("-n", _NAME, "address", "add", f"{self.there}/30", "dev", _FAR)
            _ip("-n", _NAME, "link", "set", _FAR, "up")
            _ip("-n", _NAME, "link", "set", "lo", "up")
            _ip("netns", "exec", _NAME, "true")
        except subprocess.CalledProcessError as error:
            self._remove()
            pytest.skip(f"no network of its own: {error.stderr.decode().strip()}")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._remove()

    def drop(self) -> None:
        """Lose every packet from there; sockets on both sides stay open and hear nothing."""
        _ip("-n", _NAME, "route", "add", "blackhole", f"{_HERE}/32")

    def mend(self) -> None:
        """Let packets pass again."""
        _ip("-n", _NAME, "route", "del", "blackhole", f"{_HERE}/32")

    def _remove(self) -> None:
        # With the namespace go its end of the cable and, with that, ours.
        _ip("netns", "delete", _NAME, check=False)
        _ip("link", "delete", _CABLE, check=False)


def _ip(*arguments: str, check: bool = True) -> None:
    subprocess.run([_IP, *arguments], capture_output=True, check=check)
