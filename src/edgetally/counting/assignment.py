"""Optimal assignment of rows to columns, exact, without scipy.

Shortest augmenting paths with dual prices, O(rows² · columns): Jonker & Volgenant 1987
(doi:10.1007/BF02278710), in the rectangular form of Crouse 2016 (doi:10.1109/TAES.2016.140952).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def assign(costs: NDArray[np.float64], limit: float) -> list[tuple[int, int]]:
    """Pair rows with columns, each at most once, at the least total cost.

    costs: [R, C], finite or inf. A pair that is not made costs `limit`, so no pair that costs
    `limit` or more is ever made. Returns (row, column) pairs, by row.
    """
    capped = np.minimum(costs, limit)
    if capped.shape[0] > capped.shape[1]:
        pairs = sorted((row, column) for column, row in enumerate(_columns_of_rows(capped.T)))
    else:
        pairs = list(enumerate(_columns_of_rows(capped)))
    return [(row, column) for row, column in pairs if costs[row, column] < limit]


def _columns_of_rows(costs: NDArray[np.float64]) -> list[int]:
    """Give every row its own column; costs [R, C], R <= C."""
    rows, columns = costs.shape
    row_price = np.zeros(rows)
    column_price = np.zeros(columns)
    column_of = np.full(rows, -1)
    row_of = np.full(columns, -1)
    for start in range(rows):
        distance = np.full(columns, np.inf)
        previous = np.full(columns, -1)
        is_done = np.zeros(columns, bool)
        tree_rows = [start]
        row, shortest = start, 0.0
        while True:  # grow the tree of shortest paths until it reaches a free column
            through = shortest + costs[row] - row_price[row] - column_price
            is_shorter = ~is_done & (through < distance)
            distance[is_shorter] = through[is_shorter]
            previous[is_shorter] = row
            column = int(np.argmin(np.where(is_done, np.inf, distance)))
            shortest = float(distance[column])
            is_done[column] = True
            if row_of[column] < 0:
                break
            row = int(row_of[column])
            tree_rows.append(row)
        row_price[start] += shortest
        for tree_row in tree_rows[1:]:
            row_price[tree_row] += shortest - distance[column_of[tree_row]]
        column_price[is_done] -= shortest - distance[is_done]
        while True:  # turn the path around: each of its rows moves to the next column
            row = int(previous[column])
            row_of[column] = row
            column, column_of[row] = int(column_of[row]), column
            if row == start:
                break
    return [int(column) for column in column_of]
