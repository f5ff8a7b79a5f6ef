"""Textbook problems with dynamics of their own: published optima, closed forms, switches and singular arcs."""

import numpy as np
import pytest
from families import module

import ocdl


def solved(stated, grid=None, **parameters):
    start = stated.start() if hasattr(stated, "start") else None
    return ocdl.solve(
        stated.problem(**parameters), stated.grid() if grid is None else grid, stated.methods()[0], start=start
    )


def assert_certified(solution, gap=1e-7):
    """An extremal of its grid, feasible, whose multipliers are the referee's costates."""
    assert solution.status is ocdl.Status.CONVERGED
    assert solution.feasibility <= 1e-7
    assert abs(solution.gap) <= gap
    difference = float(abs(solution.claim["costate"] - solution.costate).max())
    assert difference <= 1e-9 * float(abs(solution.costate).max())


def state(solution, name):
    return solution.state.sel(state=name).isel(sample=0).to_numpy()


def test_goddard_climbs_along_the_singular_surface():
    stated = module("goddard")
    solution = solved(stated)
    assert_certified(solution)
    assert abs(solution.cost - stated.REFERENCE) <= stated.DIGITS
    assert solution.horizon == pytest.approx(stated.HORIZON, abs=1e-5)
    h, v, m = (state(solution, name) for name in "hvm")
    layers = solution.u.sizes["t"] // 3
    full, singular, coast = np.split(solution.u.to_numpy().ravel(), 3)
    assert full == pytest.approx(stated.FULL, abs=1e-4) and coast == pytest.approx(0.0, abs=1e-4)
    surface = abs(stated.off_surface(h, v, m))
    on_arc = slice(layers, 2 * layers + 1)
    assert surface[on_arc].max() < 1e-3 < surface[layers - 1]
    middle = layers + layers // 2
    between = stated.singular_thrust(h[middle], v[middle], m[middle])
    assert singular[layers // 2 - 1 : layers // 2 + 1].mean() == pytest.approx(between, rel=1e-2)
    assert v[-1] == pytest.approx(0.0, abs=1e-5)  # T is free
    assert abs(solution.hamiltonian).max() < 1e-5


def test_goddard_converges_on_meshes_that_know_no_switches():
    stated = module("goddard")
    coarse, fine = (solved(stated, ocdl.Radau(layers=N, degree=3)).cost for N in (100, 200))
    assert abs(fine - stated.REFERENCE) <= abs(coarse - fine) < 1e-6


def test_the_hanging_chain_is_a_catenary():
    stated = module("hanging_chain")
    solution = solved(stated)
    assert_certified(solution)
    assert abs(solution.cost - stated.REFERENCE) <= stated.DIGITS
    t = solution.state["t"].to_numpy()
    catenary = stated.LEVEL + stated.SHAPE * np.cosh((t - stated.LOWEST) / stated.SHAPE)
    assert state(solution, "x") == pytest.approx(catenary, abs=1e-8)
    assert solution.costate.sel(state="length").to_numpy() == pytest.approx(-stated.LEVEL, abs=1e-8)
    assert solution.hamiltonian.to_numpy() == pytest.approx(stated.SHAPE, abs=1e-7)
    continuous = solved(stated, ocdl.Radau(layers=100, degree=3, controls=ocdl.PiecewiseLinear()))
    assert_certified(continuous)
    assert continuous.cost == pytest.approx(stated.REFERENCE, abs=1e-8)


def test_jackson_blends_on_a_singular_arc():
    stated = module("jackson")
    solution = solved(stated)
    assert_certified(solution)
    assert abs(solution.cost - stated.REFERENCE) <= stated.DIGITS
    first, singular, last = np.split(solution.u.to_numpy().ravel(), 3)
    assert first == pytest.approx(1.0, abs=1e-5) and last == pytest.approx(0.0, abs=1e-5)
    assert singular == pytest.approx(stated.SINGULAR_BLEND, abs=1e-5)
    layers = singular.size
    on_arc = slice(layers, 2 * layers + 1)
    assert (state(solution, "b") / state(solution, "a"))[on_arc] == pytest.approx(stated.RATIO, abs=1e-7)
    leaves = solution.costate.isel(t=2 * layers, sample=0).to_numpy()
    assert leaves == pytest.approx([1.0, 10 * stated.RATIO], abs=1e-6)


@pytest.mark.parametrize(("horizon", "published", "digits"), [(4.0, None, None), (12.0, 0.477712, 5e-7)])
def test_jackson_of_other_lengths(horizon, published, digits):
    stated = module("jackson")
    solution = solved(stated, stated.grid(horizon=horizon), horizon=horizon)
    assert_certified(solution)
    assert abs(solution.cost + stated.product(horizon)) <= stated.DIGITS
    assert published is None or abs(solution.cost + published) <= digits


def test_jackson_by_the_indirect_route_and_on_meshes_that_know_no_switches():
    stated = module("jackson")
    indirect = ocdl.solve(stated.problem(), stated.grid(), stated.methods()[1])
    assert abs(indirect.cost - stated.REFERENCE) <= indirect.gap < 1e-6
    coarse, fine = (solved(stated, ocdl.Radau(layers=N, degree=3)).cost for N in (50, 200))
    assert abs(fine - stated.REFERENCE) <= abs(coarse - fine) < 1e-6


def test_particle_steering_follows_the_linear_tangent_law():
    stated = module("particle_steering")
    solution = solved(stated)
    assert_certified(solution)
    assert abs(solution.cost - stated.REFERENCE) <= stated.DIGITS
    assert solution.horizon == solution.cost
    angle = solution.u.sel(control="angle")
    law = stated.TANGENT * (1 - 2 * angle["depth"] / solution.horizon)
    assert float(abs(np.tan(angle) - law).max()) < 1e-8
    assert solution.hamiltonian.to_numpy() == pytest.approx(-1.0, abs=1e-9)
    continuous = solved(stated, ocdl.Radau(layers=100, degree=3, controls=ocdl.PiecewiseLinear()))
    assert_certified(continuous)
    assert abs(continuous.cost - stated.REFERENCE) <= stated.DIGITS


def test_the_robot_arm_is_bang_bang_and_faster_than_published():
    stated = module("robot_arm")
    solution = solved(stated)
    assert_certified(solution)
    assert abs(solution.cost - stated.REFERENCE) <= stated.DIGITS
    assert solution.cost < stated.PUBLISHED - 1e-5
    u = solution.u.to_numpy()
    t = solution.state["t"].to_numpy()
    middle = 0.5 * (t[:-1] + t[1:])
    away = np.diff(t) > 1e-3  # from the slivers that hold a switch
    assert solution.hamiltonian.to_numpy()[away] == pytest.approx(-1.0, abs=1e-6)
    T, s = stated.REFERENCE, stated.SWITCH
    expected = [abs(middle - T / 2) < T / 4, middle < T / 2, abs(middle - T / 2) < T / 2 - s]
    assert u[away] == pytest.approx(np.where(np.array(expected).T, 1.0, -1.0)[away], abs=1e-6)
    assert state(solution, "rho") == pytest.approx(state(solution, "rho")[::-1], abs=1e-6)


def test_the_robot_arm_converges_on_meshes_that_know_no_switches():
    stated = module("robot_arm")
    coarse, fine = (solved(stated, ocdl.Radau(layers=N, degree=3)).cost for N in (100, 200))
    assert abs(fine - stated.REFERENCE) <= abs(coarse - fine) < 1e-3
