"""`Target`: the device that wheels are chosen for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, get_args

from edgetally.errors import InputError

Platform = Literal["x86_64", "aarch64"]
ARCHITECTURES: dict[Platform, str] = {"x86_64": "amd64", "aarch64": "aarch64"}
"""What recipes call each platform."""

SERVED_PYTHONS = ("3.10", "3.11", "3.12", "3.13")
GLIBC: dict[Platform, tuple[int, int]] = {"x86_64": (2, 28), "aarch64": (2, 35)}
"""Oldest C library that the locked wheels run with; OpenVINO's are what asks for it."""


@dataclass(frozen=True)
class Target:
    """A platform and the Python on it, such as "aarch64" and "3.11".

    >>> Target("aarch64", "3.11").environment["python_full_version"]
    '3.11.99'
    """

    platform: Platform
    python: str

    @classmethod
    def of(cls, platform: str, python: str) -> Target:
        """Check both. InputError where there are no wheels for one."""
        for known in get_args(Platform):
            if known == platform:
                break
        else:
            raise InputError(
                f"platform {platform!r} has no wheels; give {' or '.join(get_args(Platform))}"
            )
        if not re.fullmatch(r"3\.\d+", python) or python not in SERVED_PYTHONS:
            raise InputError(
                f"Python {python!r} is not served; give one of {', '.join(SERVED_PYTHONS)}"
            )
        return cls(known, python)

    @property
    def environment(self) -> dict[str, str]:
        """What markers of a requirement are read against: PEP 508."""
        return {
            "python_version": self.python,
            "python_full_version": f"{self.python}.99",
            "implementation_name": "cpython",
            "implementation_version": f"{self.python}.99",
            "platform_python_implementation": "CPython",
            "os_name": "posix",
            "sys_platform": "linux",
            "platform_system": "Linux",
            "platform_machine": self.platform,
            "platform_release": "",
            "platform_version": "",
        }

    @property
    def pip_options(self) -> list[str]:
        """Options that let pip download what this device would install: PEP 600."""
        major, newest = GLIBC[self.platform]
        tags = [f"manylinux_{major}_{minor}_{self.platform}" for minor in range(newest, 4, -1)]
        tags += [f"manylinux2014_{self.platform}", f"linux_{self.platform}"]
        abi = f"cp{self.python.replace('.', '')}"
        options = ["--python-version", self.python, "--implementation", "cp"]
        for name in (abi, "abi3", "none"):
            options += ["--abi", name]
        for tag in tags:
            options += ["--platform", tag]
        return options

    def __str__(self) -> str:
        return f"{self.platform} with Python {self.python}"
