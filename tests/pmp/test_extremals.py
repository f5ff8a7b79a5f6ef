"""Indirect shooting of ordinary problems: end conditions, free horizon and parameters, against exact answers."""

import numpy as np
import pytest
from families import module

import ocdl
from ocdl.pmp.extremals.layered import LayeredExtremal
from ocdl.solving.start import make_start

cart_pole, jackson, oscillator, van_der_pol = map(module, ("cart_pole", "jackson", "oscillator", "van_der_pol"))

RADAU = ocdl.Radau(layers=20, degree=3)


def least_time():
    """x'' = u, |u| ≤ 1, from (1, 0) to (0, 0): T = 2, u = −1 until t = 1, p_x = 1, p_v = t − 1."""
    return ocdl.ControlProblem(
        states=["x", "v"],
        dynamics=lambda x, u: [x[1], u],
        initial=[1.0, 0.0],
        final=[0.0, 0.0],
        horizon=ocdl.Free(0.1, 10, guess=3),
        terminal=lambda t: t,
        bounds=ocdl.Box(u=(-1, 1)),
    )


def energy(**ends):
    return ocdl.ControlProblem(dynamics=lambda u: u, horizon=1.0, running=lambda u: u**2 / 2, **ends)


@pytest.mark.parametrize("warm", [False, True])
def test_least_time_has_its_switch_and_costates(warm):
    begin = ocdl.solve(least_time(), RADAU, ocdl.Ipopt()) if warm else None
    solution = ocdl.solve(least_time(), RADAU, ocdl.IndirectShooting(), start=begin)
    assert solution.status is ocdl.Status.CONVERGED
    assert abs(solution.cost - 2.0) <= 1e-12 and solution.feasibility <= 1e-12
    t = solution.u["t"].to_numpy()
    assert solution.u.to_numpy().ravel() == pytest.approx(np.where(t < 1.0 - 1e-9, -1.0, 1.0), abs=1e-12)
    assert float(abs(solution.costate_defect).max()) <= 1e-12


def test_from_nothing_the_costates_are_the_analytic_ones():
    solution = ocdl.solve(least_time(), RADAU, ocdl.IndirectShooting())
    costate, t = solution.costate.to_numpy()[:, 0], solution.state["t"].to_numpy()
    assert costate[:, 0] == pytest.approx(1.0, abs=1e-6)
    assert costate[:, 1] == pytest.approx(1.0 - t, abs=1e-6)
    assert solution.gap <= 1e-12


CASES = {  # ends, least cost and costate of x' = u, J = ½∫u² + ...: u = −p constant
    "prescribed": (energy(initial=[0.0], final=[2.0]), 2.0, -2.0),
    "in an interval, which binds": (energy(initial=[0.0], final=[ocdl.Free(2, 3)]), 2.0, -2.0),
    "in an interval, which does not": (energy(initial=[0.0], final=[ocdl.Free(-1, 3)]), 0.0, 0.0),
    "boundary row": (energy(initial=[0.0], boundary=lambda xT: xT - 2), 2.0, -2.0),
    "boundary interval": (
        energy(initial=[0.0], boundary=lambda xT: xT, bounds=ocdl.Box(boundary=(-4, -3))),
        4.5,
        3.0,
    ),
    "free start": (energy(initial=[ocdl.Free(-5, 5)], final=[2.0]), 0.0, 0.0),
}


@pytest.mark.parametrize("case", CASES)
def test_every_kind_of_end(case):
    problem, least, costate = CASES[case]
    solution = ocdl.solve(problem, ocdl.Gauss(layers=4, degree=2), ocdl.IndirectShooting())
    assert solution.status is ocdl.Status.CONVERGED
    assert solution.cost == pytest.approx(least, abs=1e-10)
    assert solution.costate.to_numpy() == pytest.approx(costate, abs=1e-9)
    assert abs(solution.gap) <= 1e-9


def test_parameters_and_a_free_start_are_stationary():
    """x' = u + p, x(0) = a, x(1) = 3, J = ½∫u² + ½p² + ½a², a a second state: a = u = p = 1."""
    problem = ocdl.ControlProblem(
        states=["x", "start"],
        dynamics=lambda x, u, p: [u + p, 0],
        initial=[ocdl.Free(-9, 9), ocdl.Free(-9, 9)],
        final=[3.0, None],
        boundary=lambda x0: x0[0] - x0[1],
        terminal=lambda x: x[1] ** 2 / 2,
        running=lambda u: u**2 / 2,
        penalty=lambda p: p**2 / 2,
        parameters=1,
        bounds=ocdl.Box(p=(-9, 9)),
        horizon=1.0,
    )
    solution = ocdl.solve(problem, ocdl.Gauss(layers=3, degree=2), ocdl.IndirectShooting())
    assert solution.status is ocdl.Status.CONVERGED
    assert solution.cost == pytest.approx(1.5, abs=1e-10)
    assert solution.p.item() == pytest.approx(1.0, abs=1e-9)
    assert solution.x0.to_numpy() == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize("controls", [ocdl.PiecewiseConstant(), ocdl.PiecewiseLinear(), ocdl.PerStage()])
def test_it_finds_the_direct_answer_for_every_shape_of_controls(controls):
    problem = ocdl.ControlProblem(
        dynamics=lambda t, x, u: [x[1], u - np.sin(x[0]) + t / 5],
        initial=[1.0, 0.0],
        final=[0.0, None],
        horizon=2.0,
        running=lambda x, u: x[0] ** 2 + u**2 / 2,
        bounds=ocdl.Box(u=(-0.3, 0.2)),
    )
    grid = ocdl.Radau(layers=8, degree=2, controls=controls)
    direct = ocdl.solve(problem, grid, ocdl.Ipopt(tolerance=1e-11))
    shot = ocdl.solve(problem, grid, ocdl.IndirectShooting())
    assert shot.status is ocdl.Status.CONVERGED
    assert shot.cost == pytest.approx(direct.cost, abs=1e-8)
    assert float(abs(shot.costate - direct.costate).max()) <= 1e-6
    u = shot.u.to_numpy()
    assert np.any(u == -0.3) and np.any(u == 0.2) and np.any((u > -0.29) & (u < 0.19))


@pytest.mark.parametrize("stated", [cart_pole, jackson, oscillator, van_der_pol], ids=lambda m: m.__name__)
def test_from_no_guess_it_finds_the_extremal_of_the_direct_route(stated):
    problem, grid = stated.problem(), stated.grid()
    direct = ocdl.solve(problem, grid, ocdl.Ipopt())
    shot = ocdl.solve(problem, grid, ocdl.IndirectShooting())
    assert shot.status is ocdl.Status.CONVERGED and shot.feasibility <= 1e-10
    assert shot.cost == pytest.approx(direct.cost, abs=1e-8 * (1 + abs(direct.cost)))


def test_a_solution_of_the_equations_is_what_the_sweeps_give():
    problem = least_time()
    solution = ocdl.solve(problem, RADAU, ocdl.IndirectShooting())
    extremal = LayeredExtremal(problem, RADAU)
    w = extremal.guess(make_start(problem, RADAU, solution, None))
    numbers, u = extremal.answer(w)
    assert pytest.approx(solution.state.to_numpy()[:, 0]) == numbers.x.T
    assert u == pytest.approx(solution.u.to_numpy())


def bounded(**more):
    return ocdl.ControlProblem(
        states=["x", "v"],
        dynamics=lambda x, u: [x[1], u],
        initial=[0, 1],
        final=[0, -1],
        horizon=1.0,
        running=lambda u: u**2 / 2,
        **more,
    )


def test_a_bound_on_a_state_that_binds_is_a_failure_in_words():
    slack = ocdl.solve(bounded(bounds=ocdl.Box(x=(-np.inf, 1))), RADAU, ocdl.IndirectShooting())
    assert slack.status is ocdl.Status.CONVERGED
    with pytest.raises(ocdl.SolveFailed, match="bounds on states as slack between the ends, and x leaves its own by"):
        ocdl.solve(bounded(bounds=ocdl.Box(x=(-np.inf, [1 / 9, np.inf]))), RADAU, ocdl.IndirectShooting())


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_controls_that_maximise_the_hamiltonian_are_no_success(sign):
    """J = ±∫(cosh u − 1): u = 0 is stationary, the minimiser for + and the maximiser for −."""
    problem = ocdl.ControlProblem(
        dynamics=lambda u: u,
        initial=[0.0],
        horizon=1.0,
        running=lambda u: sign * (np.cosh(u) - 1),
        bounds=ocdl.Box(u=(-1, 1)),
    )
    solution = ocdl.solve(problem, ocdl.Gauss(layers=3, degree=2), ocdl.IndirectShooting(), start={"u": 0.0})
    assert solution.status is (ocdl.Status.CONVERGED if sign > 0 else ocdl.Status.NO_EXTREMAL)
    assert solution.gap == pytest.approx(0.0 if sign > 0 else np.cosh(1) - 1, abs=1e-9)


@pytest.mark.parametrize(
    ("problem", "grid", "said"),
    [
        (bounded(path=lambda x: x[0] - 1), RADAU, "not path="),
        (bounded(conditions={0.5: [0.1, None]}), RADAU, "not conditions="),
        (energy(initial=[[0.0], [1.0]], final=[[2.0], [3.0]]), RADAU, "one sample, and this problem has 2"),
        (bounded(bounds=ocdl.Box(u=(lambda t: -t - 9, 9))), RADAU, "bounds of the controls that depend on depth"),
    ],
)
def test_what_it_cannot_take_is_said(problem, grid, said):
    with pytest.raises(ocdl.NotSupported, match=f"IndirectShooting: .*{said}"):
        ocdl.solve(problem, grid, ocdl.IndirectShooting())


def test_a_comparison_of_least_time_has_a_row_a_method():
    methods = [ocdl.Ipopt(), ocdl.IndirectShooting(), ocdl.ProjectedGradient()]
    comparison = ocdl.compare(least_time(), RADAU, methods)
    rows = {row.method: row for row in comparison.table()}
    assert abs(rows["Ipopt"].cost - 2.0) <= 1e-8 and abs(rows["IndirectShooting"].cost - 2.0) <= 1e-12
    assert rows["ProjectedGradient"].status == "not supported" and "final=" in rows["ProjectedGradient"].message
