"""Sweeps: the costate sweep is the gradient of the discrete cost, whatever the scheme.

The discrete cost is written here a second time, independently: unrolled for explicit schemes, with one
CasADi rootfinder a layer for implicit ones, and differentiated by CasADi's reverse mode.
"""

import casadi as ca
import numpy as np
import pytest
from families import activations, name_of, order, rich, scalar, schemes, selection
from test_depth import LAYERS, exact, timed_problem

import ocdl
from ocdl.depth.schemes import DepthScheme, explicit_tableau
from ocdl.sweeps import sweeper as sweeps
from ocdl.sweeps.sweeper import Sweeper, SweepFailed

WIDTHS = [0.5, 0.2, 0.6]


class Ralston3(DepthScheme):
    """A user's scheme with unlike weights and a zero below the diagonal (Ralston 1962)."""

    tableau = explicit_tableau([[1 / 2], [0.0, 3 / 4]], [2 / 9, 1 / 3, 4 / 9], 3)


class ExplicitMidpoint(DepthScheme):
    """A user's scheme with a stage of weight 0: its stage costate is not defined, its gradient is."""

    tableau = explicit_tableau([[1 / 2]], [0.0, 1.0], 2)


OWN = [Ralston3(WIDTHS), ExplicitMidpoint(WIDTHS)]
every_scheme = pytest.mark.parametrize("scheme", schemes(layers=WIDTHS, degrees=(1, 2, 3, 4)) + OWN, ids=name_of)
every_small_scheme = pytest.mark.parametrize("scheme", schemes(layers=WIDTHS, degrees=(1, 3)), ids=name_of)
both_sizes = pytest.mark.parametrize("samples", [1, 3])


class Plain:
    """The formulas of ``families.rich`` once more, the lift eliminated by hand."""

    @staticmethod
    def rate(t, x, u, p, d):
        z0, z1 = Plain.lifted(t, x, u, d)
        return ca.vertcat(ca.tanh(z0) + p[0] * x[1], ca.sin(z1) - 0.3 * x[1] + p[1] * t)

    @staticmethod
    def lifted(t, x, u, d):
        return u[0] * x[0] + 0.5 * x[1] + d[0], u[1] - x[0] * ca.cos(t)

    @staticmethod
    def running(t, x, u, p, d):
        z0, _ = Plain.lifted(t, x, u, d)
        return 0.3 * x[0] ** 2 + u[0] * x[1] + 0.1 * p[1] * z0 * d[1] + 0.2 * t * x[1]

    @staticmethod
    def effort(t, u, p):
        return (1 + t) * (u[0] ** 2 + u[1] ** 2) + p[0] * u[1]

    @staticmethod
    def terminal(x, p, d):
        return ca.exp(0.3 * x[0]) * d[1] + (x[1] - p[0]) ** 2


def stages_of(rate, tableau, x, t, h, u, p, d):
    """The stages of one layer as MX, and the end of the layer."""
    n, s = x.numel(), tableau.stages
    if tableau.explicit:
        slopes = []
        stages = []
        for i in range(s):
            stages.append(x + h * sum((tableau.A[i, j] * slopes[j] for j in range(i)), ca.MX.zeros(n)))
            slopes.append(rate(t + tableau.c[i] * h, stages[i], u, p, d))
    else:
        unknown, X0, U, P, D = (ca.SX.sym(*a) for a in (("X", n * s), ("x", n), ("u", 2), ("p", 2), ("d", 2)))
        parts = ca.vertsplit(unknown, n)
        rates = [rate(t + tableau.c[i] * h, parts[i], U, P, D) for i in range(s)]
        residual = [parts[i] - X0 - h * sum(tableau.A[i, j] * rates[j] for j in range(s)) for i in range(s)]
        equations = {"x": unknown, "p": ca.vertcat(X0, U, P, D), "g": ca.vertcat(*residual)}
        finder = ca.rootfinder("finder", "newton", equations, {"abstol": 1e-14})
        solved = finder(ca.repmat(x, s, 1), ca.vertcat(x, u, p, d))
        stages = ca.vertsplit(solved, n)
        slopes = [rate(t + tableau.c[i] * h, stages[i], u, p, d) for i in range(s)]
    return stages, x + h * sum(b * k for b, k in zip(tableau.b, slopes, strict=True))


def written_again(problem, scheme):
    """J(U, p, x0) of the discrete problem as a CasADi function with its reverse-mode gradients."""
    tableau, t = scheme.tableau, scheme.mesh(problem.horizon)
    U, p = ca.MX.sym("U", scheme.count, 2), ca.MX.sym("p", 2)
    x0 = ca.MX.sym("x0", problem.samples, 2)
    J = 0.7 * ca.sumsqr(p)
    for k, h in enumerate(np.diff(t)):
        J += h * sum(b * Plain.effort(t[k] + c * h, U[k, :].T, p) for b, c in zip(tableau.b, tableau.c, strict=True))
    for sample, weight in enumerate(problem.weights):
        x, d = x0[sample, :].T, ca.DM(problem.data[sample])
        for k, h in enumerate(np.diff(t)):
            u = U[k, :].T
            stages, x = stages_of(Plain.rate, tableau, x, t[k], h, u, p, d)
            for b, c, X in zip(tableau.b, tableau.c, stages, strict=True):
                J += weight * h * b * Plain.running(t[k] + c * h, X, u, p, d)
        J += weight * Plain.terminal(x, p, d)
    return ca.Function("J", [U, p, x0], [J, ca.gradient(J, U), ca.gradient(J, p), ca.gradient(J, x0)])


def controls(problem, scheme, seed=0):
    generator = np.random.default_rng(seed)
    return generator.uniform(-1, 1, (scheme.count, problem.m)), generator.uniform(-1, 1, problem.P)


@every_scheme
@both_sizes
def test_the_costate_sweep_is_casadis_reverse_mode(scheme, samples):
    problem = rich(samples)
    u, p = controls(problem, scheme)
    sweeper = Sweeper(problem, scheme)
    trajectory = sweeper.state(u, p)
    adjoint = sweeper.costate(trajectory, u, p)
    J, in_u, in_p, in_x0 = (v.full() for v in written_again(problem, scheme)(u, p, problem.x0))
    assert sweeper.cost(trajectory, u, p) == pytest.approx(float(J[0, 0]), rel=1e-13)
    np.testing.assert_allclose(adjoint.gradient_u, in_u, rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(adjoint.gradient_p, in_p[:, 0], rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(adjoint.costate[0], in_x0, rtol=1e-11, atol=1e-13)


@every_small_scheme
@both_sizes
def test_the_gradient_is_a_finite_difference(scheme, samples):
    problem = rich(samples)
    u, p = controls(problem, scheme)
    sweeper = Sweeper(problem, scheme)

    def cost(u, p):
        return sweeper.cost(sweeper.state(u, p), u, p)

    adjoint = sweeper.costate(sweeper.state(u, p), u, p)
    step = 1e-5
    for index in np.ndindex(u.shape):
        e = np.zeros_like(u)
        e[index] = step
        assert (cost(u + e, p) - cost(u - e, p)) / (2 * step) == pytest.approx(adjoint.gradient_u[index], abs=1e-8)
    for i, e in enumerate(step * np.eye(problem.P)):
        assert (cost(u, p + e) - cost(u, p - e)) / (2 * step) == pytest.approx(adjoint.gradient_p[i], abs=1e-8)


@pytest.mark.parametrize("sigma", [s for s in activations() if s.smooth], ids=repr)
def test_the_gradient_of_a_network_is_a_finite_difference(sigma):
    """The whole road of a SelectionProblem: lift, readout, Tikhonov, two samples, uneven sample weights."""
    problem = selection(
        activation=sigma,
        initial=lambda y: np.stack([y, np.cos(3 * y)]),
        readout=ocdl.Readout(outputs=2),
        target=[[0.0, 1.0], [1.0, 0.3]],
        loss=ocdl.CrossEntropy(),
        regulariser=ocdl.Tikhonov(0.2),
        weights=[1.0, 3.0],
    ).discretise(ocdl.GaussLegendre(2))
    scheme = ocdl.Kutta4(2)
    u, p = controls(problem, scheme)
    sweeper = Sweeper(problem, scheme)
    adjoint = sweeper.costate(sweeper.state(u, p), u, p)
    found = np.concatenate([adjoint.gradient_u.ravel(), adjoint.gradient_p])
    flat = np.concatenate([u.ravel(), p])

    def cost(v):
        u, p = v[: -problem.P].reshape(scheme.count, -1), v[-problem.P :]
        return sweeper.cost(sweeper.state(u, p), u, p)

    step = 1e-5
    slopes = [(cost(flat + e) - cost(flat - e)) / (2 * step) for e in step * np.eye(flat.size)]
    np.testing.assert_allclose(found, slopes, atol=2e-9)


@every_small_scheme
def test_the_costate_at_every_node_is_a_derivative_in_function_space(scheme):
    """p(y_i, t_k) = ∂J/∂f(y_i, t_k) / w_i, from problems that start at t_k."""
    statement, rule = selection(initial=lambda y: np.stack([y, np.sin(5 * y)])), ocdl.Trapezoid(3)
    problem = statement.replace(horizon=1.3).discretise(rule)
    u, p = controls(problem, scheme)
    solution = ocdl.certify(problem, scheme, u, p)
    costate = solution.adjoint.costate / problem.state_metric
    step = 1e-5
    for k in range(scheme.count):
        rest = statement.replace(horizon=sum(WIDTHS[k:])).discretise(rule)
        sweeper = Sweeper(rest, scheme.with_layers(WIDTHS[k:]))
        x = solution.trajectory.x[k]
        for sample, i in np.ndindex(x.shape):
            e = np.zeros_like(x)
            e[sample, i] = step
            rise = [sweeper.cost(sweeper.state(u[k:], p, x + s * e), u[k:], p) for s in (1, -1)]
            slope = (rise[0] - rise[1]) / (2 * step) / problem.state_metric[i]
            assert slope == pytest.approx(costate[k, sample, i], abs=1e-8)


@every_scheme
def test_costate_and_linearised_state_keep_their_product(scheme):
    """⟨λ_k, δx_k⟩ is the same at every node (no running cost): the pair is symplectic."""
    problem = selection(activation=ocdl.Arctan(), horizon=1.3).discretise(ocdl.GaussLegendre(2))
    u, p = controls(problem, scheme)
    verdict = ocdl.certify(problem, scheme, u, p)
    x, trajectory = verdict.trajectory.x, verdict.trajectory
    variation = np.empty_like(x)
    variation[0] = [0.7, -1.1]
    symbol = ca.MX.sym("x", 2)
    for k, h in enumerate(trajectory.h):
        a, b = u[k, :2], u[k, 2:].reshape(2, 2)

        def rate(t, x, u, p, d, a=a, b=b):
            return ca.atan(a - b @ (problem.state_metric * x))

        zero = ca.MX.zeros(2)
        _, end = stages_of(rate, scheme.tableau, symbol, 0.0, h, zero, zero, zero)
        variation[k + 1] = ca.Function("flow", [symbol], [ca.jacobian(end, symbol)])(x[k, 0]).full() @ variation[k, 0]
    products = np.einsum("ksn,ksn->k", verdict.adjoint.costate, variation)
    np.testing.assert_allclose(products, products[0], rtol=1e-12)
    assert abs(products[0]) > 1e-2


@pytest.mark.parametrize("scheme", schemes(), ids=name_of)
def test_the_costate_shows_the_order_of_the_scheme(scheme):
    """p = ∂x(T)/∂x(t): (x₀(T)/x₀(t))² and x₁(T)/x₁(t) for the timed problem."""
    problem = ocdl.ControlProblem(
        dynamics=timed_problem().dynamics,
        terminal=lambda x: x[0] + x[1],
        initial=[1.0, 1.0],
        horizon=1.6,
        controls=0,
    )
    p, errors = scheme.tableau.order, []
    meshes = LAYERS.get(p, (10, 15))
    for N in meshes:
        sweeper = Sweeper(problem, scheme.with_layers(N))
        u = np.zeros((N, 0))
        found = sweeper.costate(sweeper.state(u, np.zeros(0)), u, np.zeros(0)).costate[:, 0]
        ratio = (exact(1.6)[:, None] / exact(sweeper.t)).T
        errors.append(float(np.max(np.abs(found - ratio ** [2, 1]))))
    assert order(errors, meshes[1] / meshes[0]) > p - 0.4, errors


@every_small_scheme
def test_stage_costates_converge_to_the_costate(scheme):
    problem = ocdl.ControlProblem(
        dynamics=lambda x: -(x[0] ** 2), terminal=lambda x: x, initial=[1.0], horizon=1.0, controls=0
    )
    errors = []
    for N in (20, 40):
        sweeper = Sweeper(problem, scheme.with_layers(N))
        u = np.zeros((N, 0))
        found = sweeper.costate(sweeper.state(u, np.zeros(0)), u, np.zeros(0)).stages[:, :, 0, 0]
        errors.append(float(np.max(np.abs(found - ((1 + sweeper.stage_t) / 2) ** 2))))
    assert order(errors) > 0.9


def test_layers_in_blocks_give_the_same_costates(monkeypatch):
    problem, scheme = rich(3), ocdl.Radau(5, degree=2)
    u, p = controls(problem, scheme)
    sweeper = Sweeper(problem, scheme)
    trajectory = sweeper.state(u, p)
    whole = sweeper.costate(trajectory, u, p)
    for block in (1, 100):
        monkeypatch.setattr(sweeps, "BLOCK", block)
        parts = sweeper.costate(trajectory, u, p)
        np.testing.assert_allclose(parts.costate, whole.costate, rtol=1e-14)
        np.testing.assert_allclose(parts.gradient_u, whole.gradient_u, rtol=1e-13)


def test_a_sweeper_runs_from_other_states_with_its_own_data():
    """One sample's data go with every state it is started from."""
    problem = scalar(dynamics=lambda x, d: d[0] * x[0], data=[[2.0]])
    sweeper = Sweeper(problem, ocdl.Kutta4(40))
    ends = sweeper.state(np.zeros((40, 1)), np.zeros(0), np.array([[0.5], [1.0], [-1.0]])).x[-1, :, 0]
    np.testing.assert_allclose(ends, np.exp(2.0) * np.array([0.5, 1.0, -1.0]), rtol=1e-6)


def test_a_sweeper_keeps_no_trajectory():
    problem, scheme = rich(1), ocdl.Gauss(2, degree=2)
    sweeper = Sweeper(problem, scheme)
    u, p = controls(problem, scheme)
    first = sweeper.state(u, p)
    kept = first.x.copy()
    sweeper.state(u + 1, p)
    np.testing.assert_array_equal(first.x, kept)
    np.testing.assert_array_equal(sweeper.state(u, p).x, kept)


def test_a_blow_up_says_where():
    problem = scalar(dynamics=lambda x: x[0] ** 3, initial=[2.0], horizon=8.0, states=["load"])
    with pytest.raises(SweepFailed, match=r"layer \d+ \(t = .*state load, sample 0; .*Shorten the layers"):
        Sweeper(problem, ocdl.ExplicitEuler(20)).state(np.zeros((20, 1)), np.zeros(0))


def test_stage_equations_without_a_solution_say_where():
    """X = x + h(1 + X²) has no real solution for large h."""
    problem = scalar(dynamics=lambda x: 1 + x[0] ** 2, horizon=4.0)
    with pytest.raises(SweepFailed, match=r"stage equations of layer 0 .* Use more layers"):
        Sweeper(problem, ocdl.Radau(2, degree=1)).state(np.zeros((2, 1)), np.zeros(0))


def test_a_stage_of_weight_zero_does_not_spoil_the_verdict():
    problem, scheme = selection().discretise(ocdl.Midpoint(2)), ExplicitMidpoint(4)
    verdict = ocdl.certify(problem, scheme, np.full((4, problem.m), 0.3), np.zeros(0))
    assert np.all(np.isnan(verdict.adjoint.stages[:, 0])) and np.all(np.isfinite(verdict.adjoint.stages[:, 1]))
    assert np.isfinite(verdict.gap) and verdict.gap > 0
