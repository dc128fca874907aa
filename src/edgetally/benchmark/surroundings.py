"""The machine that was measured on, as far as it tells."""

from __future__ import annotations

import os
import platform
from pathlib import Path

from edgetally.benchmark.measurement import Value
from edgetally.conversion.proof.timing import machine as runtimes_and_processor

# What decides how fast the engines are; the names are Linux's, x86-64's and then arm64's.
_FEATURES = (
    *("avx2", "avx512f", "avx_vnni", "avx512_vnni", "avx512_bf16"),
    *("amx_tile", "amx_int8", "amx_bf16", "asimddp", "i8mm", "bf16", "sve"),
)


class Machine(Value):
    """cores: that this process may use. memory: bytes; 0 where the system does not tell."""

    processor: str
    cores: int
    memory: int
    features: tuple[str, ...]
    system: str
    python: str
    packages: dict[str, str]


def describe_machine() -> Machine:
    """Describe this machine and what is installed."""
    known = runtimes_and_processor()
    return Machine(
        processor=known.processor,
        cores=known.cores,
        memory=_memory(),
        features=_features(),
        system=platform.platform(),
        python=known.python,
        packages=known.packages,
    )


def load() -> float:
    """Processes that ran or wanted to, on average over the last minute; 0 where untold."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else 0.0


def _memory() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 0


def _features() -> tuple[str, ...]:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ()
    found = {
        word
        for line in text.splitlines()
        if line.lower().startswith(("flags", "features"))
        for word in line.partition(":")[2].split()
    }
    return tuple(name for name in _FEATURES if name in found)
