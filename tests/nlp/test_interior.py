"""The interior-point method of the reduced space: IPOPT's optimum, and its Newton step against dense algebra."""

import casadi as ca
import numpy as np
import pytest
from families import name_of, rich, schemes, selection
from interrupts import PressesCtrlC
from nlp_problems import convex, learning

import ocdl
from ocdl.nlp import factor
from ocdl.nlp.factor import DenseFactor, NotPositive, RiccatiFactor
from ocdl.nlp.oracle import Oracle

every_scheme = pytest.mark.parametrize("scheme", schemes(layers=3, degrees=(1, 3)), ids=name_of)


@pytest.fixture(params=[True, False], ids=["dense", "riccati"])
def algebra(request, monkeypatch):
    """Every Newton step by one of the two ways."""
    monkeypatch.setattr(factor, "dense_is_cheaper", lambda blocks: request.param)


@every_scheme
@pytest.mark.parametrize("problem", [rich(1), rich(3), learning()], ids=["rich1", "rich3", "learning"])
def test_both_factors_solve_newtons_equations(scheme, problem):
    """And either finds the matrix positive definite exactly where its smallest eigenvalue is positive."""
    oracle = Oracle(problem, scheme)
    generator = np.random.default_rng(0)
    point = oracle.point(generator.uniform(-1, 1, oracle.size))
    weights = generator.uniform(0.5, 2.0, oracle.size)
    scaled = point.hessian / np.sqrt(np.outer(weights, weights))
    least = np.linalg.eigvalsh(scaled)[0]
    margin = 1e-6 * np.max(np.abs(scaled))
    positive, indefinite = (margin - least) * weights, (-margin - least) * weights
    right = generator.normal(size=oracle.size)
    expected = np.linalg.solve(point.hessian + np.diag(positive), right)
    for make, given in ((DenseFactor, point.hessian), (RiccatiFactor, point.blocks)):
        np.testing.assert_allclose(make(given, positive).solve(right), expected, atol=1e-6 * np.max(np.abs(expected)))
        with pytest.raises(NotPositive):
            make(given, indefinite)


@every_scheme
def test_the_optimum_is_ipopts(scheme, algebra):
    ipopt = ocdl.solve(convex(), scheme, ocdl.Ipopt(space="full", tolerance=1e-11))
    ours = ocdl.solve(convex(), scheme, ocdl.InteriorPoint(tolerance=1e-11))
    assert ours.status is ocdl.Status.CONVERGED
    assert abs(ours.cost - ipopt.cost) <= 1e-9
    for name in ("u", "p"):
        assert float(abs(getattr(ours, name) - getattr(ipopt, name)).max()) <= 1e-6
    assert float(abs(ours.claim["costate"] - ipopt.claim["costate"]).max()) <= 1e-6 * float(abs(ipopt.costate).max())


def test_a_far_target_is_met_as_well_as_by_ipopt(algebra):
    grid = ocdl.Grid(ocdl.Midpoint(2), ocdl.Radau(4, 2))
    full, ours = (ocdl.solve(selection(), grid, method) for method in (ocdl.Ipopt(space="full"), ocdl.InteriorPoint()))
    assert abs(full.cost - ours.cost) <= 1e-8
    assert ours.gap <= 1e-6


def test_a_quadratic_problem_without_bounds_takes_one_step(algebra):
    problem = convex(
        dynamics=lambda x, u, p, d: [x[1], u[0] - x[0] + p[0] * d[0]],
        running=lambda x, u: 0.5 * x[0] ** 2,
        terminal=lambda x, p: (x[0] - 1.0) ** 2 + 0.1 * p[0] * x[1],
        bounds=ocdl.Box(),
    )
    solution = ocdl.solve(problem, ocdl.Gauss(5, 2), ocdl.InteriorPoint())
    assert len(solution.history["cost"]) == 2
    assert max(float(abs(g).max()) for g in solution.gradient.values()) < 1e-10


def test_equal_bounds_fix_a_variable(algebra):
    problem = learning(readout=ocdl.Readout(weight=(0.7, 0.7), bias=(-2, 2)))
    solution = ocdl.solve(problem, ocdl.Kutta3(3), ocdl.InteriorPoint())
    assert np.all(solution.W == 0.7)
    assert float(abs(solution.gradient["mu"]).max()) < 1e-7
    full = ocdl.solve(problem, ocdl.Kutta3(3), ocdl.Ipopt(space="full"))
    assert solution.cost == pytest.approx(full.cost, abs=1e-8)


def domain(terminal):
    """x must stay above 0.3, where √ ends."""
    return ocdl.ControlProblem(
        dynamics=lambda x, u: u + 1e-9 * ca.sqrt(x - 0.3),
        initial=[1.0],
        horizon=1.0,
        terminal=terminal,
        bounds=ocdl.Box(u=(-9, 9)),
    )


@pytest.mark.parametrize("method", [ocdl.InteriorPoint(), ocdl.Ipopt(space="reduced")], ids=["own", "ipopt"])
def test_a_step_into_nan_is_shortened(method, monkeypatch):
    """The minimum of 4 x − log(x − 0.3) is at x(T) = 0.55; the Newton step from x(T) = 1 leaves the domain."""
    met = []

    def watched(self, w):
        point = known(self, w)
        met.append(point.cost)
        return point

    known = Oracle.point
    monkeypatch.setattr(Oracle, "point", watched)
    problem = domain(lambda x: 4 * x[0] - ca.log(x[0] - 0.3))
    solution = ocdl.solve(problem, ocdl.ExplicitEuler(4), method)
    assert float(solution.state[-1, 0, 0]) == pytest.approx(0.55, abs=1e-5)
    assert np.any(np.isnan(met))


def test_a_start_that_is_no_number_says_so():
    with pytest.raises(ocdl.SolveFailed, match="start elsewhere"):
        ocdl.solve(domain(lambda x: ca.sqrt(x[0] - 9.0)), ocdl.ExplicitEuler(4), ocdl.InteriorPoint())
    with pytest.raises(ocdl.SolveFailed, match="layer 1"):
        start = {"u": np.full((4, 1), -8.0)}
        ocdl.solve(domain(lambda x: x[0]), ocdl.ExplicitEuler(4), ocdl.InteriorPoint(), start=start)


def test_iteration_limit_keeps_the_last_iterate():
    with pytest.raises(ocdl.SolveFailed, match="Raise max_iterations") as caught:
        ocdl.solve(convex(), ocdl.Kutta4(3), ocdl.InteriorPoint(max_iterations=2))
    assert len(caught.value.solution.history["cost"]) == 3


@pytest.mark.parametrize(
    ("module", "method"),
    [("interior", ocdl.InteriorPoint()), ("ipopt", ocdl.Ipopt(space="reduced"))],
    ids=["own", "ipopt"],
)
def test_ctrl_c_returns_the_current_iterate(monkeypatch, module, method):
    monkeypatch.setattr(f"ocdl.nlp.{module}.progress_bar", PressesCtrlC)
    before = ocdl.certify(convex(), ocdl.Kutta4(20), np.zeros((20, 1)) + 0.15, np.full(1, -0.475)).cost
    solution = ocdl.solve(convex(), ocdl.Kutta4(20), method)
    assert solution.status is ocdl.Status.INTERRUPTED
    assert len(solution.history["cost"]) == 3
    assert solution.cost < before


def test_what_does_not_fit_into_memory_is_refused(monkeypatch):
    monkeypatch.setattr("ocdl.nlp.interior.MOST_MEMORY", 1000)
    with pytest.raises(ocdl.NotSupported, match="4 samples, 2 states"):
        ocdl.solve(convex(), ocdl.Kutta4(3), ocdl.InteriorPoint())


@pytest.mark.parametrize("arguments", [{"tolerance": 0.0}, {"max_iterations": -1}, {"max_iterations": 2.5}])
def test_bad_options_name_themselves(arguments):
    with pytest.raises(ocdl.InvalidInput, match=next(iter(arguments))):
        ocdl.InteriorPoint(**arguments)
