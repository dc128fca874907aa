"""Optimal assignment of rows to columns, exact, without scipy.

Shortest augmenting paths with dual prices, O(rows² · columns): Jonker & Volgenant 1987
(doi:10.1007/BF02278710), in the rectangular form of Crouse 2016 (doi:10.1109/TAES.2016.140952),
for those rows alone that compete for columns.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def assign(costs: NDArray[np.float64], limit: float) -> list[tuple[int, int]]:
    """Pair rows with columns, each at most once, at the least total cost.

    costs: [R, C], finite or inf. A pair that is not made costs `limit`, so no pair that costs
    `limit` or more is ever made. Returns (row, column) pairs, by row.
    """
    # Counted from the limit, a pair that is made adds cost - limit < 0 and all else adds 0. So:
    # - If the rows' cheapest columns differ, they are the optimum: no row can add less.
    # - A row and a column that may pair with each other alone are a pair in every optimum:
    #   making it stops no other pair and lowers the total.
    # - Groups of rows that have no column in common add up independently.
    if not costs.size:
        return []
    possible = costs < limit
    cheapest = np.where(possible, costs, np.inf).argmin(axis=1).tolist()
    rows = np.flatnonzero(possible.any(axis=1)).tolist()
    if len({cheapest[row] for row in rows}) == len(rows):
        return [(row, cheapest[row]) for row in rows]
    capped = np.minimum(costs, limit)
    pairs = []
    for group, columns in _groups(possible, rows):
        if len({cheapest[row] for row in group}) == len(group):
            pairs += [(row, cheapest[row]) for row in group]
        else:
            solved = _optimal(capped[np.ix_(group, columns)])
            pairs += [(group[row], columns[column]) for row, column in solved]
    return sorted(pair for pair in pairs if possible[pair])


def _groups(possible: NDArray[np.bool_], rows: list[int]) -> list[tuple[list[int], list[int]]]:
    """Split `rows` and their possible columns into groups with no possible pair between them."""
    columns_of: dict[int, set[int]] = {row: set() for row in rows}
    for row, column in np.argwhere(possible).tolist():
        columns_of[row].add(column)
    groups: list[tuple[list[int], set[int]]] = []
    for row in rows:
        members, columns = [row], columns_of[row]
        apart = []
        for group in groups:
            if columns.isdisjoint(group[1]):
                apart.append(group)
            else:
                members, columns = group[0] + members, columns | group[1]
        groups = [*apart, (members, columns)]
    return [(sorted(members), sorted(columns)) for members, columns in groups]


def _optimal(costs: NDArray[np.float64]) -> list[tuple[int, int]]:
    if costs.shape[0] > costs.shape[1]:
        return [(row, column) for column, row in enumerate(_columns_of_rows(costs.T.tolist()))]
    return list(enumerate(_columns_of_rows(costs.tolist())))


def _columns_of_rows(costs: list[list[float]]) -> list[int]:
    """Give every row its own column; costs [R, C], R <= C.

    In lists, because groups are small: an array's call costs more than a dozen columns.
    """
    rows, columns = len(costs), len(costs[0])
    row_price = [0.0] * rows
    column_price = [0.0] * columns
    column_of = [-1] * rows
    row_of = [-1] * columns
    for start in range(rows):
        distance = [math.inf] * columns
        previous = [-1] * columns
        is_open = dict.fromkeys(range(columns))  # in order, so that of equals the first is taken
        done = []
        tree_rows = [start]
        row, shortest = start, 0.0
        while True:  # grow the tree of shortest paths until it reaches a free column
            prices = costs[row]
            base = shortest - row_price[row]
            for column in is_open:
                through = base + prices[column] - column_price[column]
                if through < distance[column]:
                    distance[column] = through
                    previous[column] = row
            column = min(is_open, key=distance.__getitem__)
            shortest = distance[column]
            del is_open[column]
            done.append(column)
            if row_of[column] < 0:
                break
            row = row_of[column]
            tree_rows.append(row)
        row_price[start] += shortest
        for tree_row in tree_rows[1:]:
            row_price[tree_row] += shortest - distance[column_of[tree_row]]
        for reached in done:
            column_price[reached] -= shortest - distance[reached]
        while True:  # turn the path around: each of its rows moves to the next column
            row = previous[column]
            row_of[column] = row
            column, column_of[row] = column_of[row], column
            if row == start:
                break
    return column_of
