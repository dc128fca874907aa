from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment  # type: ignore[import-untyped]

from edgetally.counting.assignment import assign

if TYPE_CHECKING:
    from numpy.typing import NDArray


def chosen(costs: NDArray[np.float64]) -> list[tuple[int, int]]:
    """Pairs of a matrix of costs [R, C], inf where none is possible."""
    rows, columns = np.nonzero(np.isfinite(costs))
    found = assign(rows, columns, costs[rows, columns])
    return sorted(zip(rows[found].tolist(), columns[found].tolist(), strict=True))


@st.composite
def _costs(draw: st.DrawFn) -> NDArray[np.float64]:
    """Costs of up to 14 x 14 of which few are possible: alone, in groups, and competing."""
    rows, columns = draw(st.integers(1, 14)), draw(st.integers(1, 14))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    costs = rng.uniform(-1, 0.3, (rows, columns))
    if draw(st.booleans()):
        costs = np.round(costs, 1)  # with equal costs among them
    return np.where(rng.random((rows, columns)) < draw(st.floats(0, 1)), costs, np.inf)


@settings(max_examples=300, deadline=None)
@given(_costs())
def test_the_total_cost_is_the_least(costs: NDArray[np.float64]) -> None:
    pairs = chosen(costs)
    assert len({row for row, _ in pairs}) == len({column for _, column in pairs}) == len(pairs)
    assert all(costs[pair] < 0 for pair in pairs)
    capped = np.minimum(costs, 0)
    least = capped[linear_sum_assignment(capped)].sum()
    assert sum(costs[pair] for pair in pairs) == pytest.approx(least, abs=1e-9)


def test_one_gives_way_where_both_can_be_paired_so() -> None:
    costs = np.full((6, 6), np.inf)
    costs[0, 4] = -0.7  # alone
    costs[1, 0], costs[1, 1], costs[2, 0] = -0.9, -0.6, -0.8  # 1 gives way to 2
    costs[3, 2], costs[5, 2] = -0.5, -0.4  # 5 goes without
    assert chosen(costs) == [(0, 4), (1, 1), (2, 0), (3, 2)]


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (3, 0), (2, 2)])
def test_where_nothing_is_possible_nothing_is_paired(shape: tuple[int, int]) -> None:
    assert chosen(np.full(shape, np.inf)) == []


def test_a_pair_that_gains_nothing_is_not_made() -> None:
    assert chosen(np.array([[0.0, 0.5], [-0.1, 0.0]])) == [(1, 0)]
