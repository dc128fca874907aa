"""Python, the runtimes and the processor."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING

from edgetally import __version__
from edgetally.doctor.finding import note, ok, wrong
from edgetally.engines import available_engines
from edgetally.engines.device import computes_bf16, installed_version, this_device

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgetally.doctor.finding import Finding

_OLDEST, _NEWEST = (3, 10), (3, 13)
_GL = "libGL"


def python() -> Iterator[Finding]:
    """Look at the interpreter, and at the packages that everything needs."""
    version = sys.version.split()[0]
    if _OLDEST <= sys.version_info[:2] <= _NEWEST:
        yield ok("Python", f"{version}, edgetally {__version__}, {sys.prefix}")
    else:
        yield wrong("Python", f"{version} is not supported", "use Python 3.10 to 3.13")
    try:
        cv2 = importlib.import_module("cv2")
        yield ok("OpenCV", str(cv2.__version__))
    except ImportError as error:
        remedy = "pip install opencv-python-headless"
        if _GL in str(error):
            remedy = "install libGL (Debian: libgl1), or opencv-python-headless in its place"
        yield wrong("OpenCV", f"can't be imported ({error})", remedy)


def engines() -> Iterator[Finding]:
    """Look at the runtimes that are installed."""
    found = available_engines()
    if not found:
        yield wrong("engine", "no runtime is installed", "pip install 'edgetally[openvino]'")
    for name in found:
        version = (
            installed_version(name) or installed_version(f"{name}-gpu") or "of unknown version"
        )
        yield ok("engine", f"{name} {version}")


def processor() -> Iterator[Finding]:
    """Look at what the processor can do for the runtimes."""
    device = this_device()
    text = f"{device.processor}, {device.cores} cores"
    if computes_bf16():
        yield ok("processor", f"{text}, multiplies bf16")
    else:
        yield note(
            "processor",
            f"{text}, has no bf16 arithmetic",
            "fp32 is used; a bundle converted with --calibration has int8, faster on most",
        )
