"""Textbook problems on one or two states: closed forms, published optima, and extremals found by shooting."""

from dataclasses import replace

import numpy as np
import pytest
from families import module
from scipy.integrate import solve_ivp
from scipy.optimize import fsolve

import ocdl


def solved(stated, grid=None, **parameters):
    """An extremal of its grid, feasible, whose multipliers are the referee's costates."""
    solution = ocdl.solve(
        stated.problem(**parameters),
        stated.grid() if grid is None else grid,
        stated.methods()[0],
        start=stated.start() if hasattr(stated, "start") else None,
    )
    assert solution.status is ocdl.Status.CONVERGED
    assert solution.feasibility <= 1e-7
    difference = float(abs(solution.claim["costate"] - solution.costate).max())
    assert difference <= 1e-9 * float(abs(solution.costate).max())
    return solution


def state(solution, name):
    return solution.state.sel(state=name).isel(sample=0).to_numpy()


def costate(solution, name):
    return solution.costate.sel(state=name).isel(sample=0).to_numpy()


def middles(solution):
    t = solution.state["t"].to_numpy()
    return 0.5 * (t[1:] + t[:-1])


# -- closed forms --------------------------------------------------------------------------------------


@pytest.mark.parametrize("distance", [1.0, 0.01, 700.0])
def test_least_time_is_full_thrust_then_full_brake(distance):
    stated = module("double_integrator_time")
    least = stated.least_time(distance)
    solution = solved(stated, distance=distance)
    assert abs(solution.cost - least) <= stated.DIGITS * max(1.0, least)
    assert solution.horizon == solution.cost and abs(solution.gap) <= 1e-7
    thrust = np.where(middles(solution) < stated.SWITCH * least, 1.0, -1.0)
    assert solution.u.to_numpy().ravel() == pytest.approx(thrust, abs=1e-6)
    t = solution.state["t"].to_numpy()
    assert costate(solution, "x") == pytest.approx(-2 / least, rel=1e-6)
    assert costate(solution, "v") == pytest.approx(2 * t / least - 1, abs=1e-6)
    assert solution.hamiltonian.to_numpy() == pytest.approx(-1.0, abs=1e-6)


def test_least_time_of_the_unit_distance_is_the_reference_on_every_scheme():
    stated = module("double_integrator_time")
    assert stated.REFERENCE == 2.0
    for grid in (stated.grid(40), ocdl.MultipleShooting(layers=20, steps=2), ocdl.Gauss(layers=10, degree=2)):
        assert abs(solved(stated, grid).cost - stated.REFERENCE) <= stated.DIGITS


@pytest.mark.parametrize(("distance", "horizon"), [(1.0, 1.0), (3.0, 2.0)])
def test_least_energy_falls_linearly(distance, horizon):
    stated = module("double_integrator_energy")
    for grid in (stated.grid(), ocdl.Gauss(layers=4, degree=2, controls=ocdl.PerStage())):
        solution = solved(stated, grid, distance=distance, horizon=horizon)
        assert abs(solution.cost - stated.least_energy(distance, horizon)) <= stated.DIGITS
        assert abs(solution.gap) <= 1e-12
    solution = solved(stated, distance=distance, horizon=horizon)
    t = solution.u["t"].to_numpy()
    thrust = 6 * distance / horizon**2 * (1 - 2 * t / horizon)
    assert solution.u.to_numpy().ravel() == pytest.approx(thrust, abs=1e-10)
    assert costate(solution, "x") == pytest.approx(-12 * distance / horizon**3, abs=1e-10)


def test_constant_thrusts_cost_more_by_the_square_of_the_layers():
    stated = module("double_integrator_energy")
    excess = [solved(stated, ocdl.Radau(layers=N)).cost - stated.REFERENCE for N in (10, 20, 40)]
    assert np.log2(np.divide(excess[:-1], excess[1:])) == pytest.approx(2.0, abs=0.02)


@pytest.mark.parametrize("ceiling", [1 / 9, 1 / 10, 0.15, 0.2, 0.3])
def test_bryson_denham_rests_against_the_ceiling_touches_it_or_stays_below(ceiling):
    stated = module("bryson_denham")
    solution = solved(stated, stated.grid(ceiling=ceiling), ceiling=ceiling)
    assert abs(solution.cost - stated.least_bending(ceiling)) <= stated.DIGITS
    assert abs(solution.gap) <= 1e-8
    other = solved(stated, replace(stated.grid(4, ceiling=ceiling), controls=ocdl.PerStage()), ceiling=ceiling)
    assert abs(other.cost - stated.least_bending(ceiling)) <= stated.DIGITS
    t = solution.state["t"].to_numpy()
    begin, end = stated.junctions(ceiling)
    x, p_x, p_v = state(solution, "x"), costate(solution, "x"), costate(solution, "v")
    assert abs(p_v + solution.u.to_numpy().ravel()).max() < 1e-4
    if ceiling > 1 / 6:
        assert x.max() == pytest.approx(min(ceiling, 1 / 4), abs=1e-7)
        return
    assert x[(t > begin - 1e-9) & (t < end + 1e-9)] == pytest.approx(ceiling, abs=1e-7)
    slope = 2 / (9 * ceiling**2)
    assert p_x[t < begin - 1e-9] == pytest.approx(slope, rel=1e-6)
    assert p_x[(t > begin + 1e-9) & (t < end - 1e-9)] == pytest.approx(0.0, abs=1e-4 * slope)
    assert p_x[t > end + 1e-9] == pytest.approx(-slope, rel=1e-6)
    assert p_v[0] == pytest.approx(2 / (3 * ceiling), rel=1e-6)


def test_turnpike_is_bang_singular_bang():
    stated = module("turnpike")
    assert stated.REFERENCE == 3 / 8 and stated.SWITCHES == (1.0, 3 / 2)
    for grid in (stated.grid(), stated.grid(40), ocdl.MultipleShooting(layers=8, steps=1)):
        solution = solved(stated, grid)
        assert abs(solution.cost - stated.REFERENCE) <= stated.DIGITS
        assert abs(solution.gap) <= stated.DIGITS
        first, second = stated.SWITCHES
        at = middles(solution)
        speed = np.select([at < first, at < second], [-1.0, 0.0], 1.0)
        assert solution.u.to_numpy().ravel() == pytest.approx(speed, abs=1e-3)
        t = solution.state["t"].to_numpy()
        p = np.select([t < first, t < second], [(1 - t) ** 2, 0.0], -((t - second) ** 2))
        assert costate(solution, "x") == pytest.approx(p, abs=1e-4)


@pytest.mark.parametrize("displacement", [1.0, 0.1, 1.9])
def test_the_oscillator_rests_after_two_arcs(displacement):
    stated = module("oscillator")
    least, switch = stated.least_time(displacement), stated.switch(displacement)
    for layers in (10, 20):
        solution = solved(stated, stated.grid(layers, displacement=displacement), displacement=displacement)
        assert abs(solution.cost - least) <= stated.DIGITS
        width, slope = solution.tree["layers"]["width"].to_numpy().max(), 1 / np.sin(least - switch)
        assert abs(solution.gap) <= slope * width**2
        force = np.where(middles(solution) < switch, -1.0, 1.0)
        assert solution.u.to_numpy().ravel() == pytest.approx(force, abs=1e-6)
    t = solution.state["t"].to_numpy()  # one force a layer tells the layers, not where in between p_v changes sign
    assert costate(solution, "v") == pytest.approx(-slope * np.sin(t - switch), abs=slope * width)


# -- published optima, and the extremals behind them -----------------------------------------------------


def shot(rate, horizon, initial, costate, missed):
    """J of the extremal (x, p, J)' = rate(t, (x, p, J)) that misses nothing, from a guess of p(0)."""
    n = len(initial)

    def end(p):
        begin = [*initial, *p, 0.0]
        return solve_ivp(rate, (0.0, horizon), begin, method="DOP853", rtol=1e-10, atol=1e-11).y[:, -1]

    p = fsolve(lambda p: missed(end(p)[:n], end(p)[n:-1]), costate, xtol=1e-10)
    assert np.linalg.norm(missed(end(p)[:n], end(p)[n:-1])) < 1e-7
    return end(p)[-1]


def mesh_error(solution, coarser):
    """What a second mesh says of the first, and what IPOPT's tolerance leaves."""
    return max(abs(solution.cost - coarser.cost), 1e-8)


def rayleigh_rate(variant):
    def rate(_, z):
        x, y, p, q, _ = z
        u, mu = -2 * q, 0.0  # H = x² + u² + ⟨(p, q), f⟩ + mu (u + x/6), minimised over u
        if variant == "bounded":
            u = np.clip(u, -1, 1)
        if variant == "mixed" and u > -x / 6:
            u, mu = -x / 6, x / 3 - 4 * q
        in_y = 1.4 - 0.42 * y**2
        return [y, -x + y * (1.4 - 0.14 * y**2) + 4 * u, -2 * x + q - mu / 6, -p - q * in_y, x**2 + u**2]

    return rate


@pytest.mark.parametrize("variant", ["mixed", "bounded", "free"])
def test_rayleigh_is_what_shooting_finds(variant):
    stated = module("rayleigh")
    solution = solved(stated, variant=variant)
    coarse = solved(stated, ocdl.Gauss(layers=60, degree=3, controls=ocdl.PerStage()), variant=variant)
    assert abs(solution.gap) <= 1e-8
    at_rest = variant == "bounded"
    p = solution.costate.isel(t=0, sample=0).to_numpy()
    horizon = stated.problem(variant=variant).horizon
    J = shot(rayleigh_rate(variant), horizon, [-5.0, -5.0], p, lambda x, p: x if at_rest else p)
    assert abs(solution.cost - J) <= mesh_error(solution, coarse)
    said = {"mixed": 44.8044449084, "bounded": 44.7209390847, "free": 29.3760796559}[variant]
    assert abs(J - said) < 2e-9


def test_rayleigh_is_what_is_published():
    stated = module("rayleigh")
    assert abs(solved(stated).cost - stated.REFERENCE) <= stated.DIGITS
    assert abs(solved(stated, variant="free").cost - stated.FREE_REFERENCE) <= stated.FREE_DIGITS


def van_der_pol_rate(weakest):
    def rate(_, z):
        x, y, p, q, _ = z
        u = np.clip(-p / 2, weakest, 1)
        in_x, in_y = 1 - y**2, -2 * x * y - 1
        return [in_x * x - y + u, x, -2 * x - p * in_x - q, -2 * y - p * in_y, x**2 + y**2 + u**2]

    return rate


def test_van_der_pol_is_what_shooting_finds_and_what_is_published():
    stated = module("van_der_pol")
    grid = ocdl.Gauss(layers=100, degree=3, controls=ocdl.PerStage())
    solution = solved(stated, grid, **stated.SHORT)
    other = solved(stated, ocdl.Radau(layers=400, degree=3, controls=ocdl.PiecewiseLinear()), **stated.SHORT)
    assert abs(solution.cost - stated.SHORT_REFERENCE) <= stated.SHORT_DIGITS
    assert abs(other.cost - stated.SHORT_REFERENCE) <= stated.SHORT_DIGITS
    p = solution.costate.isel(t=0, sample=0).to_numpy()
    J = shot(van_der_pol_rate(-0.3), 5.0, [0.0, 1.0], p, lambda x, p: p)
    assert abs(J - 2.8672610452) < 2e-9
    assert abs(solution.cost - J) <= mesh_error(solution, other)


def test_one_polynomial_explains_the_published_van_der_pol():
    stated = module("van_der_pol")
    single = solved(stated, ocdl.Gauss(layers=1, degree=60, controls=ocdl.PerStage()), **stated.SHORT)
    assert single.cost == pytest.approx(stated.SHORT_REFERENCE, abs=2.1e-8)  # its constraints are left at 2.07e-8


def test_van_der_pol_with_a_bound_on_its_velocity_costs_more():
    stated = module("van_der_pol")
    shapes = ocdl.PerStage(), ocdl.PiecewiseLinear()
    bound, linear = (solved(stated, ocdl.Radau(layers=200, controls=shape), lowest=-0.25) for shape in shapes)
    assert bound.cost == pytest.approx(linear.cost, abs=1e-4)
    free = solved(stated, ocdl.Radau(layers=200, controls=shapes[0]))
    assert bound.cost > free.cost + 0.5
    assert state(bound, "x").min() == pytest.approx(-0.25, abs=1e-6)
    assert state(free, "x").min() < -0.3


def test_the_beam_is_what_is_published_and_what_shooting_finds():
    stated = module("beam")
    solution, fine = solved(stated), solved(stated, stated.grid(40))
    linear = solved(stated, replace(stated.grid(40), controls=ocdl.PiecewiseLinear()))
    for found in (solution, fine, linear):
        assert abs(found.cost - stated.REFERENCE) <= stated.DIGITS
    assert abs(solution.gap) <= 1e-8 and abs(fine.gap) <= 1e-8
    J, touch = antisymmetric_beam(stated, fine)
    assert abs(J - 344.8761334891) < 2e-9
    assert touch == pytest.approx(stated.TOUCH, abs=5e-6)
    assert abs(fine.cost - J) <= mesh_error(fine, solution)
    x = state(fine, "x")
    nodes = fine.state["t"].to_numpy()
    assert sorted(nodes[[x.argmax(), x.argmin()]]) == pytest.approx([touch, 1 - touch], abs=1e-3)


def antisymmetric_beam(stated, near):
    """J and the time of the touch: p_x is constant before and after it, and θ' = 0 at t = ½."""

    def rate(_, z, p_x):
        _, theta, p, _ = z
        u = -p / 2
        cost = u**2 + 350 * np.cos(theta)
        return [np.sin(theta), u, 350 * np.sin(theta) - p_x * np.cos(theta), cost]

    def arcs(unknown):
        p, before, after, touch = unknown
        given = {"method": "DOP853", "rtol": 1e-12, "atol": 1e-14}
        wall = solve_ivp(rate, (0.0, touch), [0.0, 0.0, p, 0.0], args=(before,), **given).y[:, -1]
        return wall, solve_ivp(rate, (touch, 0.5), wall, args=(after,), **given).y[:, -1]

    def missed(unknown):
        wall, middle = arcs(unknown)
        return [wall[0] - 0.05, wall[1], middle[0], middle[2]]

    p_x, p_theta = costate(near, "x"), costate(near, "theta")
    early, middle = p_x.size // 6, p_x.size // 2
    sign = np.sign(state(near, "x")[early])  # the double bow and its mirror image cost the same
    guess = [sign * p_theta[0], sign * p_x[early], sign * p_x[middle], stated.TOUCH]
    unknown = fsolve(missed, guess, xtol=1e-13)
    assert np.linalg.norm(missed(unknown)) < 1e-9
    return 2 * arcs(unknown)[1][3], unknown[3]


def test_the_straight_beam_is_an_extremal_from_which_no_descent_begins():
    stated = module("beam")
    straight = ocdl.solve(stated.problem(), stated.grid(), ocdl.Ipopt())
    assert straight.cost == pytest.approx(350.0, abs=1e-9)
    assert straight.status is ocdl.Status.CONVERGED
