"""Optimal assignment of rows to columns, of which few pairs are possible."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import linear_sum_assignment  # type: ignore[import-untyped]

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Rows = NDArray[np.intp]


def assign(rows: Rows, columns: Rows, costs: NDArray[np.float64]) -> tuple[Rows, Rows]:
    """Choose among the pairs (rows, columns) [P] at the least total cost.

    Each row and each column is chosen at most once. A pair that is not chosen costs nothing, so
    none is that costs 0 or more. Returns the rows and the columns of the chosen.
    """
    is_gain = costs < 0
    rows, columns, costs = rows[is_gain], columns[is_gain], costs[is_gain]
    if not len(rows):
        return rows, columns
    # A row and a column that may pair with each other alone are a pair in every optimum: making
    # it stops no other. They are most, and what is left is small.
    competes = (np.bincount(rows)[rows] > 1) | (np.bincount(columns)[columns] > 1)
    alone = ~competes
    if alone.all():
        return rows, columns
    some_rows, row_of = _numbered(rows[competes])
    some_columns, column_of = _numbered(columns[competes])
    matrix = np.zeros((len(some_rows), len(some_columns)))
    matrix[row_of, column_of] = costs[competes]
    chosen_rows, chosen_columns = linear_sum_assignment(matrix)
    is_made = matrix[chosen_rows, chosen_columns] < 0
    return (
        np.concatenate([rows[alone], some_rows[chosen_rows[is_made]]]),
        np.concatenate([columns[alone], some_columns[chosen_columns[is_made]]]),
    )


def _numbered(values: Rows) -> tuple[Rows, Rows]:
    """The different values in order, and the place of each value among them."""
    is_there = np.bincount(values) > 0
    places: Rows = is_there.cumsum() - 1
    return np.flatnonzero(is_there), places[values]
