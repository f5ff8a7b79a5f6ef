"""The rank-one reduction: the same velocities, the same optimum, and a way back."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import ocdl
from ocdl.nlp.rank_one import RankOne, applies
from ocdl.solving.method import Start
from ocdl.sweeps.sweeper import Sweeper

TANH = ocdl.Tanh()


def far(M, *, activation=TANH, a=(-1, 1), b=(-1, 1)):
    return ocdl.SelectionProblem(
        activation=activation,
        horizon=1.0,
        initial=lambda y: 0.3 + 0.5 * np.sin(2 * np.pi * y),
        target=lambda y: 3 * np.cos(2 * np.pi * y),
        bounds=ocdl.Box(a=a, b=b),
    )


@given(st.integers(0, 10_000), st.integers(1, 5))
def test_lifted_controls_lie_in_the_box_and_drive_the_same_state(seed, M):
    generator = np.random.default_rng(seed)
    low, high = np.sort(generator.normal(size=(2, 2)), axis=1)
    statement = far(M, activation=ocdl.Arctan(), a=tuple(low), b=tuple(high))
    problem, depth = statement.discretise(ocdl.GaussLegendre(M)), ocdl.Radau(4, 2)
    pair = RankOne.of(problem)
    u, none = generator.uniform(-1, 1, (4, 2 * M)), np.zeros(0)
    lifted = pair.lift(u)
    assert np.all(lifted >= problem.control_box[0]) and np.all(lifted <= problem.control_box[1])
    reduced_state = Sweeper(pair.problem, depth).state(u, none).x
    assert np.max(np.abs(Sweeper(problem, depth).state(lifted, none).x - reduced_state)) < 1e-13


def test_the_start_recovers_controls_of_rank_one():
    problem = far(4).discretise(ocdl.Midpoint(4))
    pair = RankOne.of(problem)
    u = np.random.default_rng(0).uniform(-0.8, 0.8, (3, 8))
    assert np.max(np.abs(pair.start(Start(pair.lift(u), np.zeros(0))).u - u)) < 1e-13


@pytest.mark.parametrize("activation", [ocdl.Tanh(), ocdl.Arctan(), ocdl.Sigmoid()], ids=repr)
@pytest.mark.parametrize("box", [{}, {"a": (-0.3, 0.7), "b": (-0.5, 0.2)}], ids=["unit box", "skew box"])
def test_both_forms_have_the_same_optimum_with_one_stage_a_layer(activation, box):
    grid = ocdl.Grid(ocdl.Midpoint(4), ocdl.ExplicitEuler(20))
    costs = [
        ocdl.solve(far(4, activation=activation, **box), grid, ocdl.Ipopt(reduction=form)).cost
        for form in ("none", "rank-one")
    ]
    assert costs[0] == pytest.approx(costs[1], abs=1e-8)


def test_it_is_chosen_for_wide_problems_and_judged_by_the_referee():
    solution = ocdl.solve(far(16), ocdl.Grid(ocdl.Midpoint(16), ocdl.Radau(50, 3)), ocdl.Ipopt())
    assert "rank-one" in solution.detail
    assert solution.claim["cost"] == pytest.approx(solution.cost, abs=1e-9)
    assert float(abs(solution.claim["costate"] - solution.costate).max()) < 1e-7
    whole = ocdl.solve(far(16), ocdl.Grid(ocdl.Midpoint(16), ocdl.Radau(50, 3)), ocdl.Ipopt(reduction="none"))
    assert solution.cost == pytest.approx(whole.cost, abs=2e-6)


def test_it_is_refused_where_it_would_change_the_problem():
    grid = ocdl.Grid(ocdl.Midpoint(2), ocdl.ExplicitEuler(3))
    forced = ocdl.Ipopt(reduction="rank-one")
    for changes in (
        {"initial": np.array([[0.1, 0.2], [0.3, 0.4]])},
        {"regulariser": ocdl.Tikhonov(1e-3)},
        {"bounds": ocdl.Box(a=(-1, 1))},
        {"bounds": ocdl.Box(a=(-1, 1), b=(-np.ones((2, 2)), np.array([[1.0, 2.0], [3.0, 4.0]])))},
    ):
        with pytest.raises(ocdl.NotSupported, match="rank-one"):
            ocdl.solve(far(2).replace(**changes), grid, forced)
        assert not applies(far(2).replace(**changes).discretise(ocdl.Midpoint(2)), grid.depth)
    linear = ocdl.Radau(3, 2, controls=ocdl.PiecewiseLinear())
    assert not applies(far(2).discretise(ocdl.Midpoint(2)), linear)
    with pytest.raises(ocdl.InvalidInput, match="reduction='halves'"):
        ocdl.Ipopt(reduction="halves")
