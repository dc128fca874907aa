"""Where tracked centres are believed to be between uneven sightings.

A Kalman filter in continuous time whose velocity is an Ornstein-Uhlenbeck process (the Singer
model of target tracking, 1970, doi:10.1109/TAES.1970.310128, one order lower): for a short
while it goes on at constant velocity, in a longer silence it slows down and stops.

Beside it stands a second belief: that the object has just started, or turned. How well a sighting
fits is the sum of both; how well it fits the second alone is how far the first is given up. And
how much a velocity may change is learnt for each track: what stands is expected to stand.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Rows = NDArray[np.intp]

_SLOWING = 1.0  # seconds in which an unseen centre loses 63 % of its velocity
_LEARNING = 0.5  # seconds of looking after which a track's own pace outweighs what any may have
_CALMEST = 0.05  # frames a second: a hand may take up at any time what stands
_RESTING = 0.1  # frames a second that jitter may feign
_TURNS = 0.05  # how often a second an object starts or turns
_TURN = 0.2  # by how much then, as a share of the fastest speed: the standard deviation
_RUNNERS = 0.5  # share of the newcomers that come at any speed
_RUN = 0.5  # how fast then, as a share of the fastest speed: the standard deviation
_WALK = 0.25  # the same of the others
_TINY = 1e-300


@dataclass(eq=False, slots=True)
class Motions:
    """A belief about each of N centres.

    position: [N, 2] in 0-1 of the frame; velocity: [N, 2] in frames a second. Both axes share one
    covariance: `spread` [N] of the position, `drift` [N] between position and velocity, `haste`
    [N] of the velocity; `pace` [N] is the variance that the velocity has in the long run.
    waited: [N], seconds since the latest sighting; chance: [N], that the object did otherwise
    since; swing: [N], the standard deviation of its velocity if so.
    """

    position: Floats
    velocity: Floats
    spread: Floats
    drift: Floats
    haste: Floats
    pace: Floats
    waited: Floats
    chance: Floats
    swing: Floats

    @classmethod
    def start(cls, centres: Floats, noise: Floats, fastest: float) -> Motions:
        """Begin at first sightings.

        centres: [N, 2]; noise: [N], the standard deviation of a sighting, in 0-1 of the frame;
        fastest: the fastest plausible speed.
        """
        rows = len(centres)
        haste = np.full(rows, (_WALK * fastest) ** 2)
        return cls(
            position=centres,
            velocity=np.zeros((rows, 2)),
            spread=noise**2,
            drift=np.zeros(rows),
            haste=haste,
            pace=haste.copy(),
            waited=np.zeros(rows),
            chance=np.full(rows, _RUNNERS),
            swing=np.full(rows, _RUN * fastest),
        )

    def __len__(self) -> int:
        return len(self.spread)

    def pass_time(self, gap: float) -> None:
        """Predict `gap` seconds ahead."""
        kept = math.exp(-gap / _SLOWING)
        travel = _SLOWING * (1 - kept)
        wander = max(0.0, 2 * gap / _SLOWING - 3 + 4 * kept - kept**2)  # not below 0 by rounding
        self.position = self.position + self.velocity * travel
        self.velocity = self.velocity * kept
        self.spread = (
            self.spread
            + 2 * travel * self.drift
            + travel**2 * self.haste
            + _SLOWING**2 * wander * self.pace
        )
        drift = self.drift + travel * self.haste
        self.drift = kept * drift + _SLOWING * (1 - kept) ** 2 * self.pace
        self.haste = kept**2 * self.haste + (1 - kept**2) * self.pace
        self.waited = self.waited + gap
        self.chance = 1 - (1 - self.chance) * math.exp(-_TURNS * gap)

    @property
    def rests(self) -> NDArray[np.bool_]:
        """Which of the centres stood when they were seen, [N]."""
        return np.asarray(self.pace < _RESTING**2)

    def reach(self, noise: Floats, least: float) -> Floats:
        """How far from its position a sighting is as likely as `least` by either belief, [N]."""
        variance = self.spread + noise * noise
        turned = variance + (_travel(self.waited) * self.swing) ** 2
        variances, shares = np.array([variance, turned]), np.array([1 - self.chance, self.chance])
        return np.asarray(_reach(variances, shares, least).max(axis=0))

    def density(self, rows: Rows, squared: Floats, noise: Floats) -> tuple[Floats, Floats]:
        """How likely sightings are at those squared distances [R] from `rows`, per frame area.

        noise: [R], their standard deviations. Returns with it how likely such a sighting tells
        that the object did otherwise, [R].
        """
        turn = (_travel(self.waited) * self.swing) ** 2
        variance = self.spread[rows] + noise * noise
        chance = self.chance[rows]
        turned = chance * _gauss(squared, variance + turn[rows])
        density = (1 - chance) * _gauss(squared, variance) + turned
        return density, turned / (density + _TINY)

    def see(
        self, rows: Rows, centres: Floats, noise: Floats, turned: Floats, fastest: float
    ) -> None:
        """Correct some rows by sightings [R, 2]; noise, turned: as with `density`."""
        off = centres - self.position[rows]
        roused = turned * self.swing[rows] ** 2
        waited = self.waited[rows]
        travel = _travel(waited)
        spread = self.spread[rows] + travel**2 * roused
        drift = self.drift[rows] + travel * roused
        total = spread + noise**2
        gain, push = spread / total, drift / total
        velocity = self.velocity[rows] + push[:, None] * off
        own = np.maximum((velocity * velocity).sum(axis=1), _CALMEST**2)
        pace = self.pace[rows]
        self.position[rows] += gain[:, None] * off
        self.velocity[rows] = velocity
        self.spread[rows] = (1 - gain) * spread
        self.drift[rows] = (1 - gain) * drift
        self.haste[rows] += roused - push * drift
        self.pace[rows] = pace + (1 - np.exp(-waited / _LEARNING)) * (own - pace)
        self.waited[rows] = 0.0
        self.chance[rows] = 0.0
        self.swing[rows] = _TURN * fastest

    def keep(self, rows: NDArray[np.bool_]) -> None:
        """Forget all others."""
        for part in fields(self):
            setattr(self, part.name, getattr(self, part.name)[rows])

    def join(self, others: Motions) -> None:
        """Put others behind these."""
        for part in fields(self):
            pair = getattr(self, part.name), getattr(others, part.name)
            setattr(self, part.name, np.concatenate(pair))


def _travel(seconds: Floats) -> Floats:
    """How far a velocity leads while it fades, as a share of it."""
    travel: Floats = _SLOWING - _SLOWING * np.exp(seconds / -_SLOWING)
    return travel


def _reach(variance: Floats, share: Floats, least: float) -> Floats:
    """Where the density of `share` of all falls below `least`; 0 where it never is above."""
    highest = (share + _TINY) / (2 * math.pi * least * variance)
    reach: Floats = np.sqrt(2 * variance * np.log(np.maximum(highest, 1.0)))
    return reach


def _gauss(squared: Floats, variance: Floats) -> Floats:
    density: Floats = np.exp(squared / (-2 * variance)) / (2 * math.pi * variance)
    return density
