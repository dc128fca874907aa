"""Where a tracked centre is believed to be between uneven sightings.

A Kalman filter in continuous time whose velocity is an Ornstein-Uhlenbeck process (the Singer
model of target tracking, 1970, doi:10.1109/TAES.1970.310128, one order lower): for a short
while it goes on at constant velocity, in a longer silence it slows down and stops.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

_SLOWING = 1.0  # seconds in which an unseen centre loses 63 % of its velocity
_SIGMAS = 3.0


@dataclass(frozen=True)
class Motion:
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
        return replace(
            self,
            position=(
                self.position[0] + self.velocity[0] * travel,
                self.position[1] + self.velocity[1] * travel,
            ),
            velocity=(self.velocity[0] * kept, self.velocity[1] * kept),
            spread=self.spread
            + 2 * travel * self.drift
            + travel**2 * self.haste
            + noise * _SLOWING**2 * wander,
            drift=kept * (self.drift + travel * self.haste) + noise * _SLOWING * (1 - kept) ** 2,
            haste=kept**2 * self.haste + noise * (1 - kept**2),
        )

    def seen_at(self, centre: tuple[float, float], noise: float) -> Motion:
        """Correct the belief by a sighting with that standard deviation."""
        total = self.spread + noise**2
        gain, push = self.spread / total, self.drift / total
        off = (centre[0] - self.position[0], centre[1] - self.position[1])
        return replace(
            self,
            position=(self.position[0] + gain * off[0], self.position[1] + gain * off[1]),
            velocity=(self.velocity[0] + push * off[0], self.velocity[1] + push * off[1]),
            spread=(1 - gain) * self.spread,
            drift=(1 - gain) * self.drift,
            haste=self.haste - push * self.drift,
        )
