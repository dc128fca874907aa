"""How an engine uses the device's cores."""

from __future__ import annotations

from dataclasses import dataclass

from edgetally.errors import InputError


@dataclass(frozen=True)
class EngineSettings:
    """Cores for one engine; None leaves the choice to it.

    threads: how many compute, in all. streams: how many pictures are computed at once, each by
    its share of the threads. InputError where one is below 1.

    MXNet heeds neither: it reads OMP_NUM_THREADS when it is loaded, and works on one at a time.
    """

    threads: int | None = None
    streams: int | None = None

    def __post_init__(self) -> None:
        for name, number in (("threads", self.threads), ("streams", self.streams)):
            if number is not None and number < 1:
                raise InputError(f"{name} of an engine must be at least 1, not {number}")
