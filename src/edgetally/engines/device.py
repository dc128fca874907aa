"""What a measurement of this device depends on: its processor, cores and runtimes."""

from __future__ import annotations

import hashlib
import os
import platform
from importlib import metadata
from pathlib import Path

from pydantic import BaseModel, ConfigDict

# Distributions that bring a runtime; those of ONNX Runtime differ in what it can compute on.
_DISTRIBUTIONS = ("openvino", "onnxruntime", "onnxruntime-gpu", "mxnet")
_CPU_INFO = Path("/proc/cpuinfo")
# What Linux calls the processor on x86-64, and on the ARM boards that name it at all.
_NAME_KEYS = ("model name", "Model", "Hardware")
_INSTRUCTION_KEYS = ("flags", "Features")  # x86-64, ARM


class Device(BaseModel):
    """A processor as the operating system shows it, and the runtimes that are installed.

    instructions is a short hash of the processor's instruction sets: virtual machines of several
    generations share one name. cores counts those that this process may use.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    processor: str
    instructions: str
    cores: int
    runtimes: dict[str, str]


def this_device() -> Device:
    """Describe the device that this process runs on."""
    try:
        lines = _CPU_INFO.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    facts: dict[str, str] = {}
    for line in lines:
        key, _, value = line.partition(":")
        facts.setdefault(key.strip(), value.strip())
    names = (*(facts.get(key) for key in _NAME_KEYS), platform.processor(), platform.machine())
    sets = " ".join(facts.get(key, "") for key in _INSTRUCTION_KEYS).split()
    return Device(
        processor=next(filter(None, names), "unknown"),
        instructions=hashlib.sha256(" ".join(sorted(sets)).encode()).hexdigest()[:12],
        cores=usable_cores(),
        runtimes={name: found for name in _DISTRIBUTIONS if (found := installed_version(name))},
    )


def usable_cores() -> int:
    """Count the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def installed_version(distribution: str) -> str | None:
    """Return a distribution's version; None where it is not installed."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None
