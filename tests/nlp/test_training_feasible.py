"""Projections on boxes and weighted sums: against brute force and a quadratic program."""

import numpy as np
import pytest
import scipy.optimize
from hypothesis import given
from hypothesis import strategies as st
from training_costs import Analytic

import ocdl
from ocdl.nlp.training.feasible import Feasible, WeightedSum
from ocdl.nlp.training.model import minimiser
from ocdl.statement.budget import Budget
from ocdl.sweeps.reduced import ReducedCost

seeds = st.integers(0, 10_000)


def polytope(seed, size, open_sides=False):
    """A point y and a feasible set with one sum over a part of the entries, where the box may lack sides."""
    generator = np.random.default_rng(seed)
    low = generator.normal(size=size) - 1.0
    high = low + generator.choice([0.0, 0.5, 2.0], size=size)
    at = np.flatnonzero(generator.random(size) < 0.8)
    weights = generator.uniform(0.1, 2.0, at.size)
    total = float(weights @ (low + generator.random() * (high - low))[at])
    if open_sides:
        low, high = (
            np.where(generator.random(size) < 0.5, end, open_) for end, open_ in ((low, -np.inf), (high, np.inf))
        )
    return 3.0 * generator.normal(size=size), Feasible(low, high, [WeightedSum(at, weights, total)] if at.size else [])


@given(seed=seeds, size=st.integers(1, 12), open_sides=st.booleans())
def test_a_projection_is_feasible_and_meets_the_optimality_conditions(seed, size, open_sides):
    """y − x = λ a + multipliers of the bounds, of the right signs."""
    y, feasible = polytope(seed, size, open_sides)
    x = feasible.project(y)
    assert np.all((feasible.low <= x) & (x <= feasible.high))
    for one in feasible.sums:
        assert one.weights @ x[one.at] == pytest.approx(one.total, abs=1e-12)
        low, high = feasible.low[one.at], feasible.high[one.at]
        ratio, x_at = (y - x)[one.at] / one.weights, x[one.at]
        inside = (low < x_at) & (x_at < high)
        shift = np.mean(ratio[inside]) if inside.any() else 0.0
        if inside.any():
            np.testing.assert_allclose(ratio[inside], shift, atol=1e-11)
            assert np.all(ratio[(x_at == low) & (low < high)] <= shift + 1e-11)
            assert np.all(ratio[(x_at == high) & (low < high)] >= shift - 1e-11)
    np.testing.assert_allclose(feasible.project(x), x, atol=1e-13)


@pytest.mark.parametrize("seed", range(5))
def test_a_projection_is_the_nearest_point(seed):
    y, feasible = polytope(seed, 6)
    one = feasible.sums[0]
    found = scipy.optimize.minimize(
        lambda x: (0.5 * np.sum((x - y) ** 2), x - y),
        feasible.project(np.zeros(6)),
        jac=True,
        method="SLSQP",
        bounds=np.stack([feasible.low, feasible.high], 1),
        constraints={"type": "eq", "fun": lambda x: one.weights @ x[one.at] - one.total},
        options={"ftol": 1e-14},
    )
    np.testing.assert_allclose(feasible.project(y), found.x, atol=1e-6)


def test_the_simplex_is_that_of_duchi_and_others():
    """Their figure 1: sort, and shift by the mean excess of the largest ρ entries."""
    y = np.random.default_rng(0).normal(size=30)
    ordered = np.sort(y)[::-1]
    shifts = (np.cumsum(ordered) - 1.0) / np.arange(1, 31)
    expected = np.maximum(y - shifts[ordered > shifts][-1], 0.0)
    simplex = Feasible(np.zeros(30), np.full(30, np.inf), [WeightedSum(np.arange(30), np.ones(30), 1.0)])
    np.testing.assert_allclose(simplex.project(y), expected, atol=1e-15)


class Dense:
    """A model with a matrix."""

    def __init__(self, B):
        self.B = B

    def product(self, d):
        return self.B @ d

    def solve(self, held, right):
        free = np.delete(np.arange(len(right)), held)
        solved = np.zeros_like(right)
        solved[free] = np.linalg.solve(self.B[np.ix_(free, free)], right[free])
        return solved, self.B @ solved


@given(seed=seeds, size=st.integers(1, 8))
def test_the_minimiser_of_a_model_meets_the_optimality_conditions(seed, size):
    """x = Π(x − ∇model(x)), which is so at the minimiser of a convex model and nowhere else."""
    y, feasible = polytope(seed, size)
    generator = np.random.default_rng(seed)
    root = generator.normal(size=(size, size))
    B, g, v = root @ root.T + 0.5 * np.eye(size), 3.0 * generator.normal(size=size), feasible.project(y)
    step = minimiser(Dense(B), feasible, v, g)
    np.testing.assert_allclose(feasible.project(v + step - g - B @ step), v + step, atol=1e-9)


def test_budgets_are_read_from_the_statement():
    """∫ u dt = 1 on [0, 1] with four layers: the mean of u; √h on both sides of the scale."""
    cost = Analytic(None, 4, low=0.0, high=3.0, metric=0.25, budgets=(Budget("u", 1.0),))
    feasible = Feasible.of(cost, np.sqrt(cost.metric))
    u = feasible.project(np.array([5.0, 0.1, 0.0, -1.0])) / 0.5
    assert np.mean(u) == pytest.approx(1.0, abs=1e-15)
    assert u[0] == 3.0


def test_a_budget_that_cannot_hold_says_so():
    cost = Analytic(None, 4, low=0.0, high=3.0, metric=0.25, budgets=(Budget("u", 4.0),))
    with pytest.raises(ocdl.InvalidInput, match="total=4"):
        Feasible.of(cost, np.sqrt(cost.metric))


def test_learnt_time_steps_stay_on_their_simplex():
    """ẋ = α tanh(k − x) with α ≥ 0, ∫ α dt = 1: stationary along it."""
    problem = ocdl.ControlProblem(
        dynamics=lambda x, alpha, k: alpha * np.tanh(k - x),
        controls=["alpha", "k"],
        initial=[[0.5], [-0.2]],
        horizon=1.0,
        terminal=lambda x: (x[0] - 1.0) ** 2,
        effort=lambda alpha, k: 0.01 * (alpha - 0.4) ** 2 + 0.1 * k**2,
        bounds=ocdl.Box(alpha=(0, 3)),
        budgets=(Budget("alpha", 1.0),),
    )
    reduced = ReducedCost(problem, ocdl.ExplicitEuler(5))
    outcome = ocdl.LBFGS(tolerance=1e-10).minimise(reduced, np.ones(10))
    alpha, slope = outcome.u[:, 0], reduced.split(reduced.value_and_gradient(outcome.u.ravel())[1])[0][:, 0]
    assert outcome.status is ocdl.Status.CONVERGED
    assert np.mean(alpha) == pytest.approx(1.0, abs=1e-14)
    assert np.ptp(alpha) > 0.1
    assert np.ptp(slope[(alpha > 0.0) & (alpha < 3.0)]) < 1e-9
