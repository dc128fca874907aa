"""Choosing a setting where command line, symbol and hyperparameters may each name it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from edgetally.bundle import Setting, Source
from edgetally.conversion.artifact.symbol import Node
from edgetally.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
LEAST = 1e-6
"""The least threshold above 0: what is smaller, MXNet's reader of float32 may refuse."""
MOST = 2**31 - 1
"""The largest topk: MXNet reads 32 bits."""


@dataclass(frozen=True)
class NmsOverrides:
    """What the command line says of NMS; None leaves a setting to the artifact."""

    threshold: float | None = None
    topk: int | None = None
    force_suppress: bool | None = None
    score_floor: float | None = None

    def __post_init__(self) -> None:
        if self.threshold is not None and not LEAST <= self.threshold <= 1:
            raise InputError(f"--nms-threshold {self.threshold:g} must be above 0 and at most 1")
        if self.topk is not None and self.topk != -1 and not 1 <= self.topk <= MOST:
            raise InputError(f"--nms-topk {self.topk} must be 1 to {MOST}, or -1 for all")
        if self.score_floor is not None and not (
            self.score_floor == 0 or LEAST <= self.score_floor <= 1 - LEAST
        ):
            raise InputError(f"--score-floor {self.score_floor:g} must be 0 or more and below 1")


@dataclass(frozen=True)
class Chooser:
    """Takes the command line's value, else the symbol's, else the hyperparameters', else MXNet's.

    symbol is the node that suppresses, hyperparameters the job's own, as a node; warn hears of
    each contradiction.
    """

    symbol: Node | None
    hyperparameters: Node | None
    warn: Callable[[str], None]

    def __call__(
        self, key: str, read: Callable[[Node], T], override: T | None = None
    ) -> Setting[T]:
        """Choose the setting that the symbol calls `key`; `read` gives the default, too."""
        found: list[tuple[T, Source]] = []
        if override is not None:
            found.append((override, "command line"))
        for node, source in self._places():
            if key in node.attrs:
                found.append((read(node), source))
        if not found:
            return Setting(value=read(Node("", "", {})), source="default")
        (value, chosen), *others = found
        for other, elsewhere in others:
            if not _same(value, other):
                self.warn(
                    f"{key} is {value} on the command line but {other} in the {elsewhere}; "
                    "the command line wins"
                    if chosen == "command line"
                    else f"{key} is {value} in the {chosen} but {other} in the {elsewhere}; "
                    f"the {chosen} wins"
                )
        return Setting(value=value, source=chosen)

    def _places(self) -> list[tuple[Node, Source]]:
        places: list[tuple[Node, Source]] = []
        if self.symbol:
            places.append((self.symbol, "symbol"))
        if self.hyperparameters:
            places.append((self.hyperparameters, "hyperparameters"))
        return places


def _same(value: object, other: object) -> bool:
    if isinstance(value, float) and isinstance(other, float):
        # MXNet writes some of its attributes with the rounding of a 32-bit number.
        return math.isclose(value, other, rel_tol=1e-6)
    return value == other
