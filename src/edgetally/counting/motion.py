"""Where a tracked centre is believed to be between uneven sightings.

A Kalman filter in continuous time whose velocity is an Ornstein-Uhlenbeck process (the Singer
model of target tracking, 1970, doi:10.1109/TAES.1970.310128, one order lower): for a short
while it goes on at constant velocity, in a longer silence it slows down and stops.
"""

from __future__ import annotations

import math
from typing import NamedTuple

_SLOWING = 1.0  # seconds in which an unseen centre loses 63 % of its velocity
_SIGMAS = 3.0


class Motion(NamedTuple):  # as cheap to make as an immutable value can be: two a track a frame
    """A belief about a centre: position in 0-1 of the frame, velocity in frames a second.

    Both axes share one covariance: `spread` of the position, `drift` between position and
    velocity, `haste` of the velocity.
    """

    position: tuple[float, float]
    velocity: tuple[float, float]
    spread: float
    drift: float
    haste: float
    usual_haste: float

    @classmethod
    def start(cls, centre: tuple[float, float], noise: float, max_speed: float) -> Motion:
        """Begin at a first sighting: standing, but up to `max_speed` within reach.

        noise: standard deviation of a sighting, in 0-1 of the frame.
        """
        haste = (max_speed / _SIGMAS) ** 2
        return cls(centre, (0.0, 0.0), noise**2, 0.0, haste, haste)

    @property
    def reach(self) -> float:
        """How far from `position` the centre may plausibly be (three standard deviations)."""
        return _SIGMAS * math.sqrt(self.spread)

    def after(self, gap: float) -> Motion:
        """Predict `gap` seconds ahead."""
        elapsed = gap / _SLOWING
        kept = math.exp(-elapsed)
        travel = _SLOWING * (1 - kept)
        noise = self.usual_haste
        wander = max(0.0, 2 * elapsed - 3 + 4 * kept - kept**2)  # not below 0 by rounding
        (x, y), (x_speed, y_speed), spread, drift, haste, _ = self
        return Motion(
            (x + x_speed * travel, y + y_speed * travel),
            (x_speed * kept, y_speed * kept),
            spread + 2 * travel * drift + travel**2 * haste + noise * _SLOWING**2 * wander,
            kept * (drift + travel * haste) + noise * _SLOWING * (1 - kept) ** 2,
            kept**2 * haste + noise * (1 - kept**2),
            noise,
        )

    def seen_at(self, centre: tuple[float, float], noise: float) -> Motion:
        """Correct the belief by a sighting with that standard deviation."""
        (x, y), (x_speed, y_speed), spread, drift, haste, usual_haste = self
        total = spread + noise**2
        gain, push = spread / total, drift / total
        x_off, y_off = centre[0] - x, centre[1] - y
        return Motion(
            (x + gain * x_off, y + gain * y_off),
            (x_speed + push * x_off, y_speed + push * y_off),
            (1 - gain) * spread,
            (1 - gain) * drift,
            haste - push * drift,
            usual_haste,
        )
