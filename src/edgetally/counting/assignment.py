"""Optimal assignment of rows to columns, of which few pairs are possible."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import linear_sum_assignment  # type: ignore[import-untyped]

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Costs = NDArray[np.float64]
    Rows = NDArray[np.intp]


def assign(rows: Rows, columns: Rows, costs: Costs) -> tuple[Rows, Rows]:
    """Choose among the pairs (rows, columns) [P] at the least total cost.

    Each row and each column is chosen at most once. A pair that is not chosen costs nothing, so
    none is that costs 0 or more. Returns the rows and the columns of the chosen.
    """
    is_gain = costs < 0
    rows, columns, costs = rows[is_gain], columns[is_gain], costs[is_gain]
    if not len(rows):
        return rows, columns
    # Without a pair, its row and its column have a pair each at best, and both together cost at
    # least what is second to it in each. If the pair costs less than that, every optimum has it.
    first_of_row, second_of_row = _least_two(rows, costs)
    first_of_column, second_of_column = _least_two(columns, costs)
    is_sure = costs < second_of_row + second_of_column
    is_sure &= (costs == first_of_row) & (costs == first_of_column)
    sure_rows, sure_columns = rows[is_sure], columns[is_sure]
    is_open = _is_free(rows, sure_rows) & _is_free(columns, sure_columns)
    if not is_open.any():
        return sure_rows, sure_columns
    some_rows, row_of = _numbered(rows[is_open])
    some_columns, column_of = _numbered(columns[is_open])
    matrix = np.zeros((len(some_rows), len(some_columns)))
    matrix[row_of, column_of] = costs[is_open]
    chosen_rows, chosen_columns = linear_sum_assignment(matrix)
    is_made = matrix[chosen_rows, chosen_columns] < 0
    return (
        np.concatenate([sure_rows, some_rows[chosen_rows[is_made]]]),
        np.concatenate([sure_columns, some_columns[chosen_columns[is_made]]]),
    )


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


def _numbered(values: Rows) -> tuple[Rows, Rows]:
    """The different values in order, and the place of each value among them."""
    is_there = np.bincount(values) > 0
    places: Rows = is_there.cumsum() - 1
    return is_there.nonzero()[0], places[values]
