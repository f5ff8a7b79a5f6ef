"""The referee: gap, costate, Hamiltonian and cost against exact references, and their independence of the grid."""

import casadi as ca
import numpy as np
import pytest
from families import name_of, order, rich, scalar, schemes, selection
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

import ocdl
from ocdl.referee.certify import certify
from ocdl.referee.judgement import judged

few_schemes = pytest.mark.parametrize("scheme", schemes(layers=4, degrees=(1, 2, 3)), ids=name_of)
NONE = np.zeros(0)


def constant(problem, scheme, a, b):
    M = problem.n
    return np.tile(np.concatenate([np.full(M, a), np.full(M * M, b)]), (scheme.count, 1))


@few_schemes
@settings(max_examples=8)
@given(seed=st.integers(0, 99))
def test_an_exact_gap_is_never_negative(scheme, seed):
    problem = selection().discretise(ocdl.Midpoint(2))
    g = np.random.default_rng(seed)
    verdict = certify(problem, scheme, g.uniform(-1, 1, (4, problem.m)), NONE)
    assert verdict.gap_is_exact and verdict.gap >= 0.0 and verdict.feasibility == 0.0
    assert np.all(verdict.excess >= -1e-13)


FASTEST = selection(initial=lambda y: 0.3 + 0.2 * np.sin(2 * np.pi * y), target=lambda y: 5.0 + y)
# all costates are negative and f > 0: a = a⁺, b = b⁻ throughout is the extremal, for any M (design, section 4)


@pytest.fixture(scope="module")
def problem():
    return FASTEST.discretise(ocdl.Midpoint(5))


@pytest.fixture(scope="module")
def reference(problem):
    """Cost and costates from scipy at 1e-12: state forward, costate backward."""
    w, x0, target = problem.state_metric, problem.x0[0], np.asarray(problem.data)[0]
    options = {"rtol": 1e-13, "atol": 1e-13, "method": "DOP853"}
    forward = solve_ivp(lambda t, f: np.tanh(1 + w @ f) * np.ones(5), (0, 1), x0, dense_output=True, **options)

    def backward(t, p):  # p the costate function: ṗ(y) = −∫ σ' p dy
        return -np.full(5, (1 - np.tanh(1 + w @ forward.sol(t)) ** 2) * (w @ p))

    end = forward.y[:, -1]
    costate = solve_ivp(backward, (1, 0), end - target, dense_output=True, **options)
    return 0.5 * w @ (end - target) ** 2, costate.sol


@few_schemes
def test_its_gap_is_zero(problem, scheme):
    verdict = certify(problem, scheme.with_layers(6), constant(problem, scheme.with_layers(6), 1.0, -1.0), NONE)
    assert np.all(verdict.adjoint.costate < 0) and np.all(verdict.trajectory.x > 0)
    assert abs(verdict.gap) < 1e-14


@few_schemes
def test_cost_and_costate_converge_to_the_reference(problem, reference, scheme):
    J, costate = reference
    p, costs, errors = scheme.tableau.order, [], []
    meshes = (20, 40) if p < 4 else (5, 10)
    for N in meshes:
        refined = scheme.with_layers(N)
        verdict = certify(problem, refined, constant(problem, refined, 1.0, -1.0), NONE)
        costs.append(abs(verdict.cost - J))
        found = verdict.adjoint.costate[:, 0] / problem.state_metric
        errors.append(float(np.max(np.abs(found - costate(verdict.trajectory.t).T))))
    for error in (costs, errors):
        assert order(error) > p - 0.4 or error[-1] < 1e-12, error


@few_schemes
def test_the_hamiltonian_is_constant_up_to_the_mesh(problem, scheme):
    spreads = []
    for N in (10, 20):
        refined = scheme.with_layers(N)
        verdict = certify(problem, refined, constant(problem, refined, 1.0, -1.0), NONE)
        spreads.append(float(np.ptp(verdict.hamiltonian @ scheme.tableau.b)))
    assert spreads[1] < 1e-12 or order(spreads) > min(scheme.tableau.order, 2) - 0.3, spreads


def test_slower_controls_have_a_gap_equal_to_what_they_waste(problem):
    """H(u) − min H integrated by hand from the verdict's own stages."""
    scheme = ocdl.Gauss(6, degree=2)
    verdict = certify(problem, scheme, constant(problem, scheme, 0.5, -0.5), NONE)
    f, p = verdict.trajectory.stages[:, :, 0], verdict.adjoint.stages[:, :, 0]
    mean = f @ problem.state_metric
    waste = p.sum(axis=-1) * (np.tanh(0.5 + 0.5 * mean) - np.tanh(1 + mean))
    h, b = verdict.trajectory.h, scheme.tableau.b
    assert verdict.gap == pytest.approx(h @ waste @ b, rel=1e-13) and verdict.gap > 0.1


def test_nothing_changes_scale_when_the_width_is_refined():
    """Midpoint cells in thirds share their nodes: gap, costate and gradients converge at the rule's order 2."""
    statement = selection()
    scheme = ocdl.Kutta4(6)
    found = []
    for M in (9, 27, 81):
        problem = statement.discretise(ocdl.Midpoint(M))
        y = problem.layout.coords["y"][1]
        k = np.arange(6)[:, None]
        a = 0.5 * np.cos(y + k)
        b = 0.5 * np.sin(3 * y[None, :, None] - y[None, None, :] + k[:, :, None])
        solution = fixed(problem, scheme, np.concatenate([a, b.reshape(6, -1)], axis=1))
        near = np.searchsorted(y, np.array([1, 5, 9, 13, 17]) / 18 - 1e-9)
        gradient = solution.gradient
        found.append(
            (
                solution.cost,
                solution.gap,
                solution.costate.values[:, 0, near],
                gradient["a"].values[:, near],
                gradient["b"].values[:, near][:, :, near],
                solution.hamiltonian.values,
            )
        )
    for coarse, middle, fine in zip(*found, strict=True):
        first, second = np.max(np.abs(middle - coarse)), np.max(np.abs(fine - middle))
        assert second < first / 7 and second < 0.02 * np.max(np.abs(fine))


def fixed(problem, scheme, u, p=NONE, **changes):
    outcome = ocdl.Outcome(u=u, p=p, status=ocdl.Status.CONVERGED, **changes)
    return judged(problem, scheme, outcome, method="Fixed", seconds=0.5)


def test_a_pointwise_minimum_of_one_control_is_seen_in_the_gap():
    """ẋ = u, J = ∫ u² + x(T): u = −1/2 is optimal, H = p u + u² with p = 1."""
    problem = ocdl.ControlProblem(
        dynamics=lambda u: u, effort=lambda u: u[0] ** 2, terminal=lambda x: x, initial=[0.0], horizon=2.0
    )
    for scheme in schemes(layers=3, degrees=(2,)):
        best = certify(problem, scheme, np.full((3, 1), -0.5), NONE)
        assert best.gap == pytest.approx(0.0, abs=1e-12) and best.cost == pytest.approx(-0.5, rel=1e-13)
        worse = certify(problem, scheme, np.zeros((3, 1)), NONE)
        assert worse.gap == pytest.approx(2.0 * 0.25, rel=1e-9) and worse.gap_is_exact


def test_gradients_are_divided_by_the_metric_of_depth_and_width():
    """By definition: dJ/da_ki = h_k w_i g_a(y_i), dJ/db_kij = h_k w_i w_j g_b, dJ/dW_j = w_j g_W, dJ/dμ = g_μ."""
    problem = selection(readout=ocdl.Readout(), target=0.9).discretise(ocdl.GaussLegendre(3))
    scheme = ocdl.Kutta4([0.1, 0.6, 0.3])
    g = np.random.default_rng(2)
    u, p = g.uniform(-1, 1, (3, problem.m)), g.uniform(-1, 1, problem.P)
    raw, found = certify(problem, scheme, u, p).adjoint, fixed(problem, scheme, u, p).gradient
    h, w = np.array([0.1, 0.6, 0.3])[:, None], problem.state_metric
    np.testing.assert_allclose(h * w * found["a"].values, raw.gradient_u[:, :3], rtol=1e-12)
    in_b = h[:, :, None] * np.outer(w, w) * found["b"].values
    np.testing.assert_allclose(in_b.reshape(3, -1), raw.gradient_u[:, 3:], rtol=1e-12)
    np.testing.assert_allclose(w * found["W"].values[0], raw.gradient_p[:3], rtol=1e-12)
    np.testing.assert_allclose(found["mu"].values, raw.gradient_p[3:], rtol=1e-12)


def test_nothing_changes_scale_when_the_depth_is_refined():
    problem, found = selection().discretise(ocdl.Midpoint(3)), []
    u = np.random.default_rng(3).uniform(-1, 1, (4, problem.m))
    for cut in (4, 8, 16):
        solution = fixed(problem, ocdl.ImprovedEuler(4 * cut), np.repeat(u, cut, axis=0))
        first = solution.gradient["b"].values[::cut]  # the layers that begin where the coarse ones do
        found.append((solution.gap, solution.cost, solution.costate.values[::cut], first))
    for coarse, middle, fine in zip(*found, strict=True):
        assert np.max(np.abs(fine - middle)) < 0.7 * np.max(np.abs(middle - coarse)) < 0.05 * np.max(np.abs(fine))


def test_feasibility_is_the_largest_violation():
    problem = rich(1)
    scheme = ocdl.ExplicitEuler(2)
    verdict = certify(problem, scheme, np.array([[3.5, 0.0], [0.0, -3.1]]), np.array([0.0, 3.2]))
    assert verdict.feasibility == pytest.approx(0.5)


def test_labels_and_signs_of_a_solution():
    problem = selection().discretise(ocdl.Midpoint(3))
    scheme = ocdl.Radau([0.4, 0.6], degree=2)
    solution = fixed(problem, scheme, constant(problem, scheme, 0.2, 0.1))
    assert solution.state.dims == solution.costate.dims == ("t", "sample", "y")
    assert solution.a.dims == ("t", "y") and solution.b.dims == ("t", "y", "z")
    np.testing.assert_allclose(solution.state["t"], [0.0, 0.4, 1.0])
    np.testing.assert_allclose(solution.a["t"], [0.0, 0.4])
    np.testing.assert_allclose(solution.b["z"], [1 / 6, 1 / 2, 5 / 6])
    np.testing.assert_array_equal(solution.r, -solution.costate)
    # at t = T the costate function is f − target
    np.testing.assert_allclose(solution.costate[-1, 0], solution.state[-1, 0] - problem.data[0], rtol=1e-14)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: certify(rich(1), ocdl.Kutta4(2), np.zeros((3, 2)), np.zeros(2)), ["u=...", "(2, 2)", "(3, 2)"]),
        (lambda: certify(rich(1), ocdl.Kutta4(2), np.zeros((2, 2)).T[:1], np.zeros(2)), ["u=...", "(1, 2)"]),
        (lambda: certify(rich(1), ocdl.Kutta4(2), [["a", "b"]] * 2, np.zeros(2)), ["u=...", "text"]),
        (lambda: certify(rich(1), ocdl.Kutta4(2), np.zeros((2, 2)), None), ["p=...", "NoneType"]),
        (lambda: certify(rich(1), ocdl.Kutta4(2), np.zeros((2, 2)), 1.0), ["p=...", "(2,)", "()"]),
        (lambda: certify(selection(), ocdl.Kutta4(2), 0, 0), ["SelectionProblem", "ControlProblem", "discretise"]),
        (lambda: certify(rich(1), 50, 0, 0), ["int", "depth scheme"]),
    ],
)
def test_wrong_controls_are_named(make, said):
    with pytest.raises(ocdl.InvalidInput) as caught:
        make()
    assert all(part in str(caught.value) for part in said), str(caught.value)


def test_lists_of_numbers_are_controls():
    listed = certify(rich(1), ocdl.Kutta4(2), [[0, 1], [1, 0]], [0, 1])
    assert listed.cost == certify(rich(1), ocdl.Kutta4(2), np.array([[0.0, 1], [1, 0]]), np.array([0.0, 1])).cost


def test_a_node_that_no_stage_sees_has_no_gradient():
    """Euler never reads the last node of piecewise linear controls: the cost does not depend on it."""
    depth = ocdl.ExplicitEuler(4, controls=ocdl.PiecewiseLinear())
    solution = ocdl.solve(scalar(), depth, ocdl.Ipopt())
    gradient = solution.gradient["u"].values
    assert np.all(np.isfinite(gradient)) and gradient[-1] == 0.0


def test_few_controls_are_searched_globally():
    """v̇ = u³ from u = 0: p_v = s², s = 8 − t, and min s² u³ + u² over |u| ≤ 2 is 4 − 8 s² where that is negative."""
    problem = ocdl.ControlProblem(
        dynamics=lambda x, u: [x[1], u[0] ** 3],
        running=lambda x, u: ca.sumsqr(x) + u[0] ** 2,
        initial=[1.0, 0.0],
        horizon=8.0,
        bounds=ocdl.Box(u=(-2, 2)),
    )
    verdict = certify(problem, ocdl.Radau(50, 3), np.zeros((50, 1)), NONE)
    exact = 8 * 8**3 / 3 - 32 + 4 * np.sqrt(0.5) - 8 * 0.5**1.5 / 3
    assert verdict.cost == pytest.approx(8.0) and verdict.gap == pytest.approx(exact, rel=1e-4)
    assert not verdict.gap_is_exact
    better = certify(problem, ocdl.Radau(50, 3), np.where(np.arange(50) < 20, -0.6, 0.5)[:, None], NONE)
    slope, u = better.adjoint.stages[:, :, 0, 1], np.linspace(-2, 2, 4001)
    least = np.min(slope[..., None] * u**3 + u**2, axis=-1)
    own = np.where(np.arange(50) < 20, -0.6, 0.5)[:, None]
    h = better.trajectory.h[:, None] * ocdl.Radau(50, 3).tableau.b
    assert better.gap == pytest.approx(np.sum(h * (slope * own**3 + own**2 - least)), rel=1e-6)


def falling(**changes):
    """ẋ = −u, J = x(1), −1 ≤ u ≤ 1 − t: J* = −1/2."""
    return ocdl.ControlProblem(
        **{
            "dynamics": lambda u: -u,
            "terminal": lambda x: x,
            "initial": [0.0],
            "horizon": 1.0,
            "bounds": ocdl.Box(u=(-1, lambda t: 1 - t)),
        }
        | changes
    )


@pytest.mark.parametrize("layers", [2, 4])
def test_bounds_that_depend_on_depth_hold_in_the_whole_layer(layers):
    constant = ocdl.solve(falling(), ocdl.Radau(layers, 2), ocdl.Ipopt())
    assert constant.cost == pytest.approx(-0.5 + 0.5 / layers, abs=1e-8) and constant.feasibility < 1e-12
    assert constant.cost - constant.gap == pytest.approx(-0.5, abs=1e-8) and constant.gap_is_exact
    for shape in (ocdl.PiecewiseLinear(), ocdl.PerStage()):
        finer = ocdl.solve(falling(), ocdl.Radau(layers, 2, controls=shape), ocdl.Ipopt())
        assert finer.cost == pytest.approx(-0.5, abs=1e-8) and finer.feasibility < 1e-12 and 0.0 <= finer.gap < 1e-8


def test_controls_that_leave_such_bounds_are_seen():
    over = certify(falling(), ocdl.Radau(2, 2), np.array([[1.0], [0.5]]), NONE)
    assert over.feasibility == pytest.approx(0.5) and over.gap >= 0.0
    convex = falling(bounds=ocdl.Box(u=(-1, lambda t: (t - 0.5) ** 2)))
    linear = ocdl.Gauss(1, 1, controls=ocdl.PiecewiseLinear())  # a stage at ½, where u = ¼ and its bound is 0
    assert certify(convex, linear, np.full((2, 1), 0.25), NONE).violations["controls"] == pytest.approx(0.25)


def test_bounds_that_leave_no_constant_in_a_layer_are_named():
    narrow = falling(bounds=ocdl.Box(u=(lambda t: 0.9 - t, lambda t: 1 - t)))
    with pytest.raises(ocdl.InvalidInput, match=r"control 0 .*layer 0, from t = 0 to 0.5: .*0.9.*0.5.*PiecewiseLinear"):
        ocdl.solve(narrow, ocdl.Radau(2, 2), ocdl.Ipopt())
    assert ocdl.solve(narrow, ocdl.Radau(20, 2), ocdl.Ipopt()).cost == pytest.approx(-0.475, abs=1e-8)


@pytest.mark.parametrize("above", [None, 1.0])
def test_a_path_constraint_bounds_what_the_gap_compares(above):
    """u ≥ 0 with u₁ + u₂ ≤ 1: the bound u ≤ 1 adds nothing."""
    problem = ocdl.ControlProblem(
        dynamics=lambda x, u: u[0] + 2 * u[1] - x,
        controls=2,
        path=lambda u: u[0] + u[1] - 1,
        running=lambda x, u: x**2 + 0.1 * ca.sumsqr(u) + 0.1 * u[0] - u[1],
        initial=[0.5],
        horizon=1.0,
        bounds=ocdl.Box(u=(0, above)),
    )
    depth = ocdl.Radau(10, 2)
    solution = ocdl.solve(problem, depth, ocdl.Ipopt())
    u = solution.u.values
    first, second = (axis.ravel() for axis in np.meshgrid(np.linspace(0, 1, 301), np.linspace(0, 1, 301)))
    first, second = first[first + second <= 1], second[first + second <= 1]

    def hamiltonian(slope, u1, u2):
        return slope * (u1 + 2 * u2) + 0.1 * (u1**2 + u2**2) + 0.1 * u1 - u2

    slope = solution.tree["stages"]["stage_costate"].values[:, :, 0, 0]
    least = np.array([[hamiltonian(s, first, second).min() for s in row] for row in slope])
    wasted = 0.1 * depth.tableau.b * (hamiltonian(slope, u[:, :1], u[:, 1:]) - least)  # by constants in a layer
    assert solution.gap == pytest.approx(np.sum(wasted), rel=0.02) and 1e-4 < solution.gap < 1e-3
