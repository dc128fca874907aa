"""What a measurement of this device depends on: its processor, cores, and what computes on them."""

from __future__ import annotations

import hashlib
import os
import platform
import re
from importlib import metadata
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from edgetally import __version__

# Distributions that bring a runtime; those of ONNX Runtime differ in what it can compute on.
_DISTRIBUTIONS = ("openvino", "onnxruntime", "onnxruntime-gpu", "mxnet")
_CPU_INFO = Path("/proc/cpuinfo")
# What Linux calls the processor on x86-64, and on the ARM boards that name it at all.
_NAME_KEYS = ("model name", "Model", "Hardware")
_INSTRUCTION_KEYS = ("flags", "Features")  # x86-64, ARM
_BF16_INSTRUCTIONS = {"amx_bf16", "avx512_bf16"}
# Names of instruction sets, as ONEDNN_MAX_CPU_ISA takes them, that hold bf16's.
_ANY = "DEFAULT"
_BF16_ISA = re.compile("ALL|DEFAULT|.*(BF16|FP16|AMX|AVX10).*")


class Device(BaseModel):
    """A processor as the operating system shows it, and the software that computes on it.

    instructions is a short hash of the processor's instruction sets: virtual machines of several
    generations share one name. held_to is what the environment's ONEDNN_MAX_CPU_ISA holds oneDNN,
    which computes for OpenVINO, to. cores counts those that this process may use. runtimes are
    the versions of those that are installed, and of edgetally.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    processor: str
    instructions: str
    held_to: str = _ANY
    cores: int
    runtimes: dict[str, str]


def this_device() -> Device:
    """Describe the device that this process runs on."""
    facts = _cpu_facts()
    names = (*(facts.get(key) for key in _NAME_KEYS), platform.processor(), platform.machine())
    sets = " ".join(sorted(_instructions(facts)))
    versions = {name: found for name in _DISTRIBUTIONS if (found := installed_version(name))}
    return Device(
        processor=next(filter(None, names), "unknown"),
        instructions=hashlib.sha256(sets.encode()).hexdigest()[:12],
        held_to=_held_to(),
        cores=usable_cores(),
        runtimes={"edgetally": __version__, **versions},
    )


def computes_bf16() -> bool:
    """Tell whether the processor multiplies bf16 itself; one that imitates it is slower by far.

    False, too, where the environment holds oneDNN to older instructions, and on ARM, where it was
    never measured.
    """
    return bool(
        _BF16_ISA.fullmatch(_held_to()) and _BF16_INSTRUCTIONS & _instructions(_cpu_facts())
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


def _held_to() -> str:
    return (os.environ.get("ONEDNN_MAX_CPU_ISA") or _ANY).upper()


def _cpu_facts() -> dict[str, str]:
    """What Linux tells of the first processor; nothing elsewhere."""
    try:
        lines = _CPU_INFO.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return {}
    facts: dict[str, str] = {}
    for line in lines:
        key, _, value = line.partition(":")
        facts.setdefault(key.strip(), value.strip())
    return facts


def _instructions(facts: dict[str, str]) -> set[str]:
    return set(" ".join(facts.get(key, "") for key in _INSTRUCTION_KEYS).split())
