"""How long a camera that was lost is left alone before the next attempt."""

from __future__ import annotations

import random

_SHORTEST, _LONGEST = 1.0, 60.0
_chance = random.Random()  # noqa: S311 - no secret


def reconnect_delay(failures: int) -> float:
    """Return seconds to wait after so many failures in a row, from 0.

    Doubles from one second to a minute; a random share of up to a half is taken off, so that
    the cameras of a switch that was restarted do not come back in step.
    """
    whole = min(_SHORTEST * 2.0 ** min(failures, 30), _LONGEST)
    return whole * _chance.uniform(0.5, 1)
