"""How well a detection explains itself as a followed object, against being a new one.

Costs are negative log-likelihoods: a pair costs less than nothing where "the same object" explains
a detection better than "this object is not detected now, and that detection is another" does.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgetally.counting.motion import Motions
    from edgetally.detections import Detections

    Bools = NDArray[np.bool_]
    Floats = NDArray[np.float64]
    Rows = NDArray[np.intp]

_MISSED = 0.2  # share of frames in which a detector misses what is there
_NEWCOMERS = 0.4  # confident detections of what was not followed, a frame, over its whole area
_COMING = 2.0  # the same for its edge, where objects enter
_NOTHING = 1.5  # weak detections of nothing, a frame, over its whole area
_UNPROVEN = 0.5  # share of the objects seen once that are any
_LEAVING = 0.5  # seconds after which what was going out of the frame is gone
_SLIP = 0.05  # share of detections that name a class which the object never had before
_GROWTH = 0.15  # usual change of the logarithm of a detected size
_GROWTH_AT_EDGE = 0.6  # the edge cuts what comes and goes
_MAX_GROWTH = math.log(3.0)
_NOISE = 0.003  # of a centre: standard deviation in 0-1 of the frame
_NOISE_BY_SIZE = 0.05  # more by so much of the box's size
_NOISE_AT_EDGE = 0.1
_IN_PLACE = 0.3  # IoU
# Seconds between two frames in which a newcomer may go so far that its motion explains nothing:
# not even that it stands.
_LONG_GAP = 0.6
_EDGE = 0.01
_TINY = 1e-300
_FOUND = (1 - _MISSED) / _MISSED
# As likely a detection must be at least to be the object's; half, as what both beliefs say adds up.
_LEAST = 0.5 * min(_COMING, _NEWCOMERS, _NOTHING) / _FOUND
_STILL = 0.05  # frames a second that even what stands may seem to go


@dataclass(frozen=True, eq=False, slots=True)
class Boxes:
    """N boxes, and what follows from them.

    corners: [N, 4] as in `Detections`; centres: [N, 2]; sizes: [N], the sides of squares with the
    same area; is_cut: [N], at the frame's edge; noise: [N], the standard deviation of a detected
    centre. A larger box's trembles more, and a cut box's middle is not the object's.
    """

    corners: Floats
    centres: Floats
    sizes: Floats
    is_cut: Bools
    noise: Floats

    @classmethod
    def of(cls, corners: Floats) -> Boxes:
        """Derive all that from corners [N, 4]."""
        low, high = corners[:, :2], corners[:, 2:]
        sides = np.maximum(high - low, 1e-4)  # a box without area has a size, too
        sizes = np.sqrt(sides[:, 0] * sides[:, 1])
        is_cut = _at_edge(corners)
        noise = _NOISE + np.where(is_cut, _NOISE_AT_EDGE, _NOISE_BY_SIZE) * sizes
        return cls(corners, (low + high) / 2, sizes, is_cut, noise)


@dataclass(frozen=True, eq=False, slots=True)
class Expected:
    """Where N followed objects are expected, and as what.

    corners: [N, 4]; sizes: [N], as in `Boxes`; likeness: [N, K], the share of its detections that
    named each class; is_new: [N], seen once.
    """

    motions: Motions
    corners: Floats
    sizes: Floats
    likeness: Floats
    is_new: Bools


@dataclass(frozen=True, eq=False, slots=True)
class Pairs:
    """P followed objects (rows) with a detection each (columns), and what each pair costs.

    turned: [P], how likely the object did otherwise than expected if the detection is its own.
    """

    rows: Rows
    columns: Rows
    costs: Floats
    turned: Floats


def possible_pairs(
    expected: Expected,
    boxes: Boxes,
    found: Detections,
    is_confident: Bools,
    *,
    max_reach: float,
    gap: float,
    silence: float,
) -> Pairs:
    """Return which pairs are possible; each costs less than 0.

    boxes: those of `found`; is_confident: [M], whether it may begin a track, too.
    max_reach: furthest from where an object was expected; gap: seconds since the frame before;
    silence: seconds after which only what still lies in its place is known again.
    """
    motions = expected.motions
    is_late = motions.waited > silence
    may_lie = gap > _LONG_GAP or is_late.any()
    reach = motions.reach(_NOISE + _NOISE_AT_EDGE * expected.sizes, _LEAST)
    if may_lie:
        reach = np.maximum(reach, expected.sizes)
    reach = np.minimum(np.where(is_late, expected.sizes, reach), max_reach)
    rows, columns = _within(motions.position, reach, boxes.centres)
    (x, y), (found_x, found_y) = motions.position.T, boxes.centres.T
    across, down = x[rows] - found_x[columns], y[rows] - found_y[columns]
    squared = across * across + down * down
    likelihood, turned = motions.density(rows, squared, boxes.noise[columns])
    likeness = _SLIP + (1 - _SLIP) * expected.likeness[rows, found.class_ids[columns]]
    others = np.where(is_confident, np.where(boxes.is_cut, _COMING, _NEWCOMERS), _NOTHING)
    is_cut = _at_edge(expected.corners)
    remains = _remains(expected, is_cut)
    odds = remains[rows] / others[columns]
    growth = np.abs(np.log(boxes.sizes[columns] / expected.sizes[rows]))
    is_cut = is_cut[rows] | boxes.is_cut[columns]
    values = growth / np.where(is_cut, _GROWTH_AT_EDGE, _GROWTH)
    values -= np.log(likelihood * likeness * odds + _TINY)
    values[is_late[rows]] = np.inf
    if may_lie:
        values = np.minimum(values, _lying(expected, boxes, rows, columns, likeness))
    some = ((values < 0) & (growth <= _MAX_GROWTH)).nonzero()[0]
    return Pairs(rows[some], columns[some], values[some], turned[some])


def _lying(expected: Expected, boxes: Boxes, rows: Rows, columns: Rows, likeness: Floats) -> Floats:
    """What each pair costs if the object lies where it was expected, [P]; infinite if not there."""
    overlap = overlaps(expected.corners[rows], boxes.corners[columns])
    costs = overlap * math.log(_SLIP) - np.log(likeness)
    costs[overlap < _IN_PLACE] = np.inf
    return np.asarray(costs)


def _within(places: Floats, reach: Floats, centres: Floats) -> tuple[Rows, Rows]:
    """Which centres [M, 2] lie in squares of half side `reach` [N] around places [N, 2]."""
    (left, top), (right, bottom) = (places - reach[:, None]).T, (places + reach[:, None]).T
    order = centres[:, 0].argsort()
    across, down = centres[order].T
    rows, numbers = _ranges(across.searchsorted(left), across.searchsorted(right, "right"))
    y = down[numbers]
    near = ((top[rows] <= y) & (y <= bottom[rows])).nonzero()[0]
    return rows[near], order[numbers[near]]


def _ranges(first: Rows, end: Rows) -> tuple[Rows, Rows]:
    """Every number from first to end [N] of each row, as (rows, numbers)."""
    lengths = end - first
    rows = np.repeat(np.arange(len(first)), lengths)
    numbers = np.arange(len(rows)) + np.repeat(end - np.cumsum(lengths), lengths)
    return rows, numbers


def _remains(expected: Expected, is_cut: Bools) -> Floats:
    """How likely each object is in view and found, against not found, [N]."""
    motions = expected.motions
    remains = np.where(expected.is_new, _UNPROVEN * _FOUND, _FOUND)
    if is_cut.any():
        is_leaving = leaving(expected.corners, motions.velocity)
        remains[is_leaving] *= np.exp(-motions.waited[is_leaving] / _LEAVING)
    return remains


def leaving(corners: Floats, velocity: Floats) -> Bools:
    """Whether each box [N, 4] reaches an edge of the frame and moves [N, 2] over it, [N]."""
    is_out = (corners[:, :2] < _EDGE) & (velocity < -_STILL)
    is_out |= (corners[:, 2:] > 1 - _EDGE) & (velocity > _STILL)
    return np.asarray(is_out[:, 0] | is_out[:, 1])


def _at_edge(corners: Floats) -> Bools:
    """Whether each box [N, 4] reaches an edge of the frame, [N]."""
    is_out = (corners[:, :2] < _EDGE) | (corners[:, 2:] > 1 - _EDGE)
    return np.asarray(is_out[:, 0] | is_out[:, 1])


def overlapping(boxes: Floats) -> tuple[Rows, Rows, Floats]:
    """Return the pairs (rows, columns) of different boxes [N, 4] that overlap, and their IoU."""
    order = np.argsort(boxes[:, 0], kind="stable")
    xmin, ymin, xmax, ymax = boxes[order].T
    after = np.arange(1, len(boxes) + 1)
    rows, columns = _ranges(after, np.maximum(np.searchsorted(xmin, xmax), after))
    shared = ((ymin[rows] < ymax[columns]) & (ymin[columns] < ymax[rows])).nonzero()[0]
    if not len(shared):
        return shared, shared, np.zeros(0)
    rows, columns = order[rows[shared]], order[columns[shared]]
    shares = overlaps(boxes[rows], boxes[columns])
    return (
        np.concatenate([rows, columns]),
        np.concatenate([columns, rows]),
        np.concatenate([shares, shares]),
    )


def overlaps(boxes: Floats, others: Floats) -> Floats:
    """Intersection over union of [N, 4] with [N, 4], row for row."""
    low, high = np.maximum(boxes[:, :2], others[:, :2]), np.minimum(boxes[:, 2:], others[:, 2:])
    sides = np.maximum(high - low, 0)
    shared = sides[:, 0] * sides[:, 1]
    area = _area(boxes) + _area(others)
    return np.asarray(shared / np.maximum(area - shared, _TINY))


def _area(boxes: Floats) -> Floats:
    return np.asarray((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]), np.float64)
