from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy.optimize import linear_sum_assignment  # type: ignore[import-untyped]

from edgetally.counting.assignment import assign

if TYPE_CHECKING:
    from numpy.typing import NDArray

_COSTS = arrays(
    np.float64,
    array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=7),
    elements=st.one_of(st.floats(-5, 5), st.sampled_from([0.0, 1.0, 2.0])),
)


@settings(max_examples=150, deadline=None)
@given(_COSTS)
def test_the_total_cost_is_the_one_scipy_finds(costs: NDArray[np.float64]) -> None:
    pairs = assign(costs, limit=100)
    best = costs[linear_sum_assignment(costs)].sum()
    assert sum(costs[pair] for pair in pairs) == pytest.approx(best, abs=1e-9)
    assert len(pairs) == min(costs.shape)
    rows, columns = zip(*pairs, strict=True)
    assert len(set(rows)) == len(set(columns)) == len(pairs)
    assert list(rows) == sorted(rows)


@settings(max_examples=100, deadline=None)
@given(_COSTS, st.floats(-1, 4))
def test_no_pair_is_made_at_the_limit_and_leaving_one_out_costs_the_limit(
    costs: NDArray[np.float64], limit: float
) -> None:
    capped = np.minimum(costs, limit)
    best = capped[linear_sum_assignment(capped)].sum()
    pairs = assign(costs, limit)
    assert all(costs[pair] < limit for pair in pairs)
    left_out = min(costs.shape) - len(pairs)
    total = sum(costs[pair] for pair in pairs) + limit * left_out
    assert total == pytest.approx(best, abs=1e-9)


@st.composite
def _sparse_costs(draw: st.DrawFn) -> NDArray[np.float64]:
    """Costs of up to 14 x 14 of which few are possible: alone, in groups, and competing."""
    rows, columns = draw(st.integers(1, 14)), draw(st.integers(1, 14))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    costs = rng.random((rows, columns))
    if draw(st.booleans()):
        costs = np.round(costs, 1)  # with equal costs among them
    return np.where(rng.random((rows, columns)) < draw(st.floats(0, 0.6)), costs, np.inf)


@settings(max_examples=300, deadline=None)
@given(_sparse_costs())
def test_sparse_costs_are_paired_as_cheaply_as_scipy_pairs_them(
    costs: NDArray[np.float64],
) -> None:
    limit = 0.9
    capped = np.minimum(costs, limit)
    pairs = assign(costs, limit)
    assert len({row for row, _ in pairs}) == len({column for _, column in pairs}) == len(pairs)
    assert [row for row, _ in pairs] == sorted(row for row, _ in pairs)
    assert all(costs[pair] < limit for pair in pairs)
    total = sum(costs[pair] for pair in pairs) + limit * (min(costs.shape) - len(pairs))
    assert total == pytest.approx(capped[linear_sum_assignment(capped)].sum(), abs=1e-9)


def test_groups_that_compete_apart_from_each_other_are_each_solved_at_the_least_cost() -> None:
    costs = np.full((6, 6), np.inf)
    costs[0, 4] = 0.3  # alone
    costs[1, 0], costs[1, 1], costs[2, 0] = 0.1, 0.4, 0.2  # 1 gives way to 2
    costs[3, 2], costs[5, 2] = 0.5, 0.6  # 5 goes without
    assert assign(costs, limit=1) == [(0, 4), (1, 1), (2, 0), (3, 2)]


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (3, 0)])
def test_nothing_is_paired_with_nothing(shape: tuple[int, int]) -> None:
    assert assign(np.zeros(shape), limit=1) == []


def test_forbidden_pairs_are_never_made() -> None:
    costs = np.array([[np.inf, 0.5], [np.inf, 0.1]])
    assert assign(costs, limit=1) == [(1, 1)]


def test_a_hundred_rows_agree_with_scipy() -> None:
    costs = np.random.default_rng(3).random((100, 120))
    best = costs[linear_sum_assignment(costs)].sum()
    assert sum(costs[pair] for pair in assign(costs, limit=9)) == pytest.approx(best)
