"""Local and global gap apart, and steps along the global one."""

import numpy as np
import pytest
from pmp_problems import eight_neurons, linear_quadratic

import ocdl
from ocdl.errors import InvalidInput


def many(seed):
    initial, target = np.random.default_rng(seed).normal(size=(2, 5, 3))
    return ocdl.SelectionProblem(
        activation=ocdl.Tanh(),
        horizon=1.0,
        initial=initial,
        target=target,
        bounds=ocdl.Box(a=(-3, 3), b=(-3, 3)),
    )


GRID = ocdl.Grid(width=ocdl.Midpoint(3), depth=ocdl.ExplicitEuler(6))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_needles_improve_a_converged_direct_solution(seed):
    direct = ocdl.solve(many(seed), GRID, ocdl.Ipopt(), seed=seed)
    gaps = ocdl.principle_gaps(many(seed), GRID, direct, starts=6)
    assert float(gaps["local"].sum()) < 1e-8
    assert np.all(gaps["global"] >= gaps["local"])
    onward = ocdl.solve(many(seed), GRID, ocdl.NeedleSteps(starts=6), start=direct, on_failure="return")
    assert onward.cost <= direct.cost
    if float(gaps["global"].sum()) > 1e-3:
        assert onward.cost < direct.cost - 1e-5


def test_the_global_minimum_is_that_of_a_fine_search():
    """No random control of a neuron has a smaller Hamiltonian than the one found."""
    solution = ocdl.solve(many(1), GRID, ocdl.ProjectedGradient(max_iterations=3), on_failure="return")
    gaps = ocdl.principle_gaps(many(1), GRID, solution, starts=8)
    problem = many(1).discretise(GRID.width)
    generator, w = np.random.default_rng(0), np.full(3, 1 / 3)
    a, b = solution.a.values, solution.b.values
    f, p = solution.state.values, solution.costate.values
    for k in range(6):
        for i in range(3):
            pull = p[k + 1, :, i] * w[i]

            def hamiltonian(a, b, pull=pull, k=k):
                return np.tanh(a[..., None] - b @ (w[:, None] * f[k].T)) @ pull

            own = hamiltonian(a[k, i], b[k, i])
            others = generator.uniform(-3, 3, (20000, 4))
            found = own - float(gaps["global"][k, i]) * 6
            assert hamiltonian(others[:, 0], others[:, 1:]).min() >= found - 1e-12
    assert problem.samples == 5


def test_one_sample_is_in_closed_form():
    grid = ocdl.Grid(width=ocdl.Midpoint(4), depth=ocdl.ExplicitEuler(20))
    solution = ocdl.solve(eight_neurons(), grid, ocdl.ProjectedGradient(max_iterations=2), on_failure="return")
    gaps = ocdl.principle_gaps(eight_neurons(), grid, solution)
    assert gaps["global"].shape == (20, 4)
    assert float(gaps["global"].sum()) == pytest.approx(solution.gap, rel=1e-12)


def test_a_general_problem_is_one_group():
    depth = ocdl.ExplicitEuler(8)
    solution = ocdl.solve(linear_quadratic(), depth, ocdl.NeedleSteps())
    gaps = ocdl.principle_gaps(linear_quadratic(), depth, solution)
    assert gaps["local"].shape == (8, 1)
    assert float(gaps["global"].sum()) < 1e-8


def test_what_it_needs_is_said():
    solution = ocdl.solve(
        eight_neurons(), ocdl.Grid(width=ocdl.Midpoint(3), depth=ocdl.ExplicitEuler(6)), ocdl.LBFGSB()
    )
    with pytest.raises(InvalidInput, match="grid"):
        ocdl.principle_gaps(eight_neurons(), ocdl.ExplicitEuler(6), solution)
    with pytest.raises(InvalidInput, match="starts=-1"):
        ocdl.principle_gaps(eight_neurons(), GRID, solution, starts=-1)
