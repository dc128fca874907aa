"""Optimal assignment of rows to columns, of which few pairs are possible."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import linear_sum_assignment  # type: ignore[import-untyped]

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Costs = NDArray[np.float64]
    Rows = NDArray[np.intp]


def assign(rows: Rows, columns: Rows, costs: Costs) -> Rows:
    """Choose among the pairs (rows, columns) [P], each there once, at the least total cost.

    Each row and each column is chosen at most once. A pair that is not chosen costs nothing, so
    none is that costs 0 or more. Returns the numbers of the chosen pairs.
    """
    pairs = (costs < 0).nonzero()[0]
    if not len(pairs):
        return pairs
    is_alone = _is_alone(rows[pairs]) & _is_alone(columns[pairs])
    if is_alone.all():
        return pairs
    alone, rivals = pairs[is_alone], pairs[~is_alone]
    chosen = rivals[_among_rivals(rows[rivals], columns[rivals], costs[rivals])]
    return np.concatenate([alone, chosen])


def _is_alone(places: Rows) -> NDArray[np.bool_]:
    """For each pair, whether no other has its place."""
    return np.asarray((np.bincount(places) == 1)[places])


def _among_rivals(rows: Rows, columns: Rows, costs: Costs) -> Rows:
    """Choose as `assign` does, of pairs that all cost less than 0."""
    # Without a pair, its row and its column have a pair each at best, and both together cost at
    # least what is second to it in each. If the pair costs less than that, every optimum has it.
    first_of_row, second_of_row = _least_two(rows, costs)
    first_of_column, second_of_column = _least_two(columns, costs)
    is_sure = costs < second_of_row + second_of_column
    is_sure &= (costs == first_of_row) & (costs == first_of_column)
    sure = is_sure.nonzero()[0]
    is_open = _is_free(rows, rows[sure]) & _is_free(columns, columns[sure])
    unsure = is_open.nonzero()[0]
    if not len(unsure):
        return sure
    row_of, column_of = _numbered(rows[unsure]), _numbered(columns[unsure])
    shape = row_of.max() + 1, column_of.max() + 1
    matrix, pairs = np.zeros(shape), np.full(shape, -1)
    matrix[row_of, column_of] = costs[unsure]
    pairs[row_of, column_of] = unsure
    chosen = pairs[linear_sum_assignment(matrix)]
    return np.concatenate([sure, chosen[chosen >= 0]])


def _least_two(places: Rows, costs: Costs) -> tuple[Costs, Costs]:
    """For each pair, the least cost at its place and the second to it; 0 where there is none."""
    first = np.zeros(places.max() + 1)
    np.minimum.at(first, places, costs)
    is_first = costs == first[places]
    second = np.zeros(len(first))
    np.minimum.at(second, places[~is_first], costs[~is_first])
    is_shared = np.bincount(places[is_first], minlength=len(first)) > 1
    second[is_shared] = first[is_shared]
    return first[places], second[places]


def _is_free(places: Rows, taken: Rows) -> NDArray[np.bool_]:
    is_free = np.ones(places.max() + 1, np.bool_)
    is_free[taken] = False
    return is_free[places]


def _numbered(values: Rows) -> Rows:
    """The place of each value among the different ones in order."""
    places: Rows = (np.bincount(values) > 0).cumsum() - 1
    return places[values]
