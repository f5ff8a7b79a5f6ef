"""Discrete control sets: only allowed values, descent, and no single exchange left that helps."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pmp_problems import linear_quadratic, network, selection, start

import ocdl
from ocdl.errors import InvalidInput, NotSupported
from ocdl.pmp import DiscreteNeedleSteps, ProjectedGradient
from ocdl.pmp.iterate import Ground
from ocdl.pmp.methods.discrete import discrete_needles
from ocdl.referee.outcome import Status


def tiny(seed, samples=1, width=2):
    initial, target = np.random.default_rng(seed).normal(size=(2, samples, width))
    return selection(initial, 1.5 * target).discretise(ocdl.Midpoint(width))


@given(seed=st.integers(0, 999), samples=st.sampled_from([1, 3]), values=st.sampled_from([(-1, 1), (-1, 0, 0.5)]))
@settings(max_examples=10)
def test_it_ends_where_no_single_exchange_lowers_the_cost(seed, samples, values):
    problem, depth = tiny(seed, samples), ocdl.ExplicitEuler(3)
    outcome = DiscreteNeedleSteps(values=values, seed=seed).solve(problem, depth, start(problem, depth), progress=False)
    assert set(np.unique(outcome.u)) <= set(values)
    cost = np.array(outcome.history["cost"])
    assert np.all(np.diff(cost[np.array(outcome.history["accepted"]) == 1.0]) < 0.0)
    assert outcome.status in (Status.STALLED, Status.CONVERGED, Status.ACCEPTABLE)
    ground = Ground(problem, depth)
    if outcome.status is Status.STALLED:
        for k in range(3):
            for j in range(problem.m):
                for value in values:
                    u = outcome.u.copy()
                    u[k, j] = value
                    assert ground.at(u, outcome.p).cost >= outcome.claim["cost"] - 1e-15


def test_its_needles_are_the_least_hamiltonian_of_all_combinations():
    """Two neurons with one sample: all 2³ controls of each neuron tried by hand."""
    problem, depth = tiny(3), ocdl.ExplicitEuler(4)
    begin = start(problem, depth, 1)
    iterate = Ground(problem, depth).at(np.sign(begin.u), begin.p)
    proposal = discrete_needles([np.array([-1.0, 1.0])] * problem.m)(iterate)
    corners = np.array(np.meshgrid(*[[-1.0, 1.0]] * 3)).reshape(3, -1).T
    weights = np.array([0.5, 0.5])
    for k in range(4):
        f, costate = iterate.trajectory.stages[k, 0, 0], iterate.stage_costates[k, 0, 0]
        for i in range(2):
            mine = np.flatnonzero(proposal.group == i)
            values = costate[i] * np.tanh(corners[:, 0] - corners[:, 1:] @ (weights * f))
            in_force = iterate.u[k, mine]
            now = costate[i] * np.tanh(in_force[0] - in_force[1:] @ (weights * f))
            assert proposal.decrease[k, i] == pytest.approx(now - values.min(), abs=1e-14)


def test_binary_weights_reach_a_far_target_exactly():
    """Where the box's optimum is bang-bang with constant signs, the binary network is the optimum of the box."""
    far = selection(lambda y: 0.2 + 0.1 * y, lambda y: 3.0 + y)
    grid = ocdl.Grid(width=ocdl.Midpoint(3), depth=ocdl.ExplicitEuler(10))
    binary = ocdl.solve(far, grid, DiscreteNeedleSteps())
    assert binary.gap <= 1e-12
    assert binary.cost == pytest.approx(ocdl.solve(far, grid, ocdl.NeedleSteps()).cost, rel=1e-13)


def test_a_trained_readout_stays_continuous():
    problem = network().replace(regulariser=None, readout=ocdl.Readout(outputs=1, weight=(-9, 9), bias=(-9, 9)))
    grid = ocdl.Grid(width=ocdl.Midpoint(4), depth=ocdl.ExplicitEuler(4))
    solution = ocdl.solve(problem, grid, DiscreteNeedleSteps(values={"a": (-1, 0, 1), "b": (-2, 2)}))
    assert set(np.unique(solution.b)) <= {-2.0, 2.0}
    assert set(np.unique(solution.a)) <= {-1.0, 0.0, 1.0}
    untrained = ocdl.solve(problem, grid, ProjectedGradient(max_iterations=1), on_failure="return")
    assert solution.cost < 0.5 * untrained.cost


def test_what_it_cannot_do_is_said():
    depth = ocdl.ExplicitEuler(3)
    with pytest.raises(NotSupported, match="running costs"):
        DiscreteNeedleSteps().solve(linear_quadratic(), depth, start(linear_quadratic(), depth))
    with pytest.raises(InvalidInput, match=r"outside the box \[-1, 1\]"):
        DiscreteNeedleSteps(values=(-2, 2)).solve(tiny(0), depth, start(tiny(0), depth))
    with pytest.raises(InvalidInput, match="sets for"):
        DiscreteNeedleSteps(values={"a": (-1, 1)}).solve(tiny(0), depth, start(tiny(0), depth))
    for options in ({"values": (1.0,)}, {"values": (0.0, float("nan"))}, {"exchanges": 0}, {"seed": 0.5}):
        with pytest.raises(InvalidInput, match="DiscreteNeedleSteps"):
            DiscreteNeedleSteps(**options)


def test_the_referee_judges_over_the_values_hull():
    """In a box five times as wide the gap of a binary network is still that of the values."""
    far = selection(lambda y: 0.2 + 0.1 * y, lambda y: 3.0 + y).replace(bounds=ocdl.Box(a=(-5, 5), b=(-5, 5)))
    grid = ocdl.Grid(width=ocdl.Midpoint(3), depth=ocdl.ExplicitEuler(10))
    binary = ocdl.solve(far, grid, DiscreteNeedleSteps())
    assert binary.gap <= 1e-12
    problem = far.discretise(grid.width)
    u = problem.pack(a=binary.a.values, b=binary.b.values)
    assert ocdl.certify(problem, grid.depth, u, np.zeros(0)).gap > 0.1
