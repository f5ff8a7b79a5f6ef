"""Indirect shooting: the smoothed boundary value problem leads to the extremal, alone and in all cases tried."""

import numpy as np
import pytest
from pmp_problems import family, network, selection, start

import ocdl
from ocdl.errors import NotSupported
from ocdl.pmp import IndirectShooting, NeedleSteps
from ocdl.pmp.iterate import Ground
from ocdl.pmp.methods.shooting import BoundaryValueProblem
from ocdl.referee.outcome import Status


@pytest.mark.parametrize("case", range(12))
def test_twelve_of_twelve_without_a_polish(case):
    M, generator = (4, 8)[case % 2], np.random.default_rng(case)
    problem = selection(generator.normal(size=M), 2 * generator.normal(size=M))
    grid = ocdl.Grid(width=ocdl.Midpoint(M), depth=ocdl.ExplicitEuler(20))
    solution = ocdl.solve(problem, grid, IndirectShooting(smallest=1e-8, polish=False), seed=case)
    assert solution.status in (Status.CONVERGED, Status.REACHABLE)
    assert solution.gap <= 1e-9
    assert solution.cost <= ocdl.solve(problem, grid, NeedleSteps(), seed=case).cost + 1e-8


@pytest.mark.parametrize("depth", [ocdl.ExplicitEuler(12), ocdl.Kutta4(6), ocdl.ImplicitMidpoint(12), ocdl.Gauss(5, 2)])
def test_a_solution_has_the_state_and_costate_of_its_controls(depth):
    """The sweeps of the solution's own controls give its unknowns back, whatever the scheme and ε."""
    problem = family("mixed").discretise(ocdl.Midpoint(3))
    begin = start(problem, depth)
    ground = Ground(problem, depth)
    equations = BoundaryValueProblem(ground)
    solved = equations.newton(equations.guess(ground.at(begin.u, begin.p)), 0.5, 30)
    assert solved is not None
    iterate = ground.at(equations.controls(solved, 0.5), np.zeros(0))
    rows = solved[:-3].reshape(depth.count, -1)
    np.testing.assert_allclose(rows[:, -3:], iterate.trajectory.x[1:, 0], atol=1e-9)
    np.testing.assert_allclose(np.vstack([rows[:, :3], solved[-3:]]), iterate.adjoint.costate[:, 0], atol=1e-9)
    q = np.einsum("i,kin->kn", depth.tableau.b, iterate.adjoint.stages[:, :, 0]) * 3
    np.testing.assert_allclose(rows[:, 3:6], -q / np.sqrt(q**2 + 0.25), atol=1e-8)


def test_the_gap_falls_with_the_smoothing():
    grid = ocdl.Grid(width=ocdl.Midpoint(4), depth=ocdl.ExplicitEuler(20))
    gaps = [ocdl.solve(family("far"), grid, IndirectShooting(smallest=e, polish=False)).gap for e in (1e-1, 1e-2, 1e-3)]
    assert gaps[1] < gaps[0] / 20 and gaps[2] < gaps[1] / 20


def test_the_polish_ends_what_is_left():
    grid = ocdl.Grid(width=ocdl.Midpoint(4), depth=ocdl.ExplicitEuler(20))
    solution = ocdl.solve(family("mixed"), grid, IndirectShooting(smallest=1e-2))
    assert solution.status is Status.CONVERGED
    assert solution.gap <= 1e-9


def test_what_it_cannot_solve_is_said():
    problem, depth = network().discretise(ocdl.Midpoint(4)), ocdl.ExplicitEuler(3)
    with pytest.raises(NotSupported, match="IndirectShooting"):
        IndirectShooting().solve(problem, depth, start(problem, depth))
