"""The referee judges an answer's own trajectory: right answers on unstable plants are kept, lies are found."""

import warnings
from dataclasses import replace

import casadi as ca
import numpy as np
import pytest
from families import rich, schemes, selection
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import solve_continuous_are

import ocdl
from ocdl.nlp.transcription import Transcription
from ocdl.referee.labels import coefficients
from ocdl.referee.outcome import Multipliers, Outcome, Status
from ocdl.solving.compile import discretised
from ocdl.solving.start import make_start
from ocdl.sweeps.sweeper import Sweeper

PER_STAGE = ocdl.PerStage()
LINEAR = ocdl.PiecewiseLinear()


def unstable(rate, horizon, final=None):
    """ẋ = a x + u, x(0) = 1, ∫ x² + u²: P = a + √(a² + 1) solves Riccati's equation 2aP + 1 = P²."""
    return ocdl.ControlProblem(
        dynamics=lambda x, u: rate * x + u,
        initial=[1.0],
        final=final,
        horizon=float(horizon),
        running=lambda x, u: x**2 + u**2,
    )


RICCATI = {a: a + np.sqrt(a * a + 1) for a in (1, 3, 5, 8)}


@pytest.mark.parametrize("horizon", [10, 20])
@pytest.mark.parametrize("rate", RICCATI)
def test_unstable_plants_reach_riccati(rate, horizon):
    """Graded layers resolve the boundary layer e^{−√(a²+1) t}; cost, feedback and costate to 1e-6."""
    decay = np.sqrt(rate**2 + 1)
    nodes = np.concatenate([np.linspace(0, 14 / decay, 41), np.linspace(14 / decay, horizon, 11)[1:]])
    depth = ocdl.Radau(np.diff(nodes), 4, controls=PER_STAGE)
    solution = ocdl.solve(unstable(rate, horizon, [0.0]), depth, ocdl.Ipopt())
    exact = RICCATI[rate]
    assert solution.status is Status.CONVERGED and abs(solution.cost - exact) < 1e-6 * exact
    x, p = solution.state.values[:40, 0, 0], solution.costate.values[:40, 0, 0]
    np.testing.assert_allclose(p[:20], 2 * exact * x[:20], atol=1e-6 * p.max())  # ∇V = 2 P x
    stages = solution.tree["stages"].dataset
    u, inside = solution.u.values[:20, :, 0], stages["stage_state"].values[:20, :, 0, 0]
    np.testing.assert_allclose(u, -exact * inside, rtol=1e-4)
    assert abs(solution.gap) < 1e-8 and solution.feasibility < 1e-12
    c = solution.certificate
    assert abs(c.cost - exact) <= max(c.error, 1e-6 * exact)
    if rate * horizon > 25:
        assert c.restarted and c.growth > 1e8 and "use feedback" in c.open_loop


@pytest.mark.parametrize(("rate", "shape"), [(3, PER_STAGE), (8, LINEAR)])
def test_refine_reaches_its_tolerance_on_unstable_plants(rate, shape):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        refinement = ocdl.refine(unstable(rate, 10, [0.0]), ocdl.Radau(10, 3, controls=shape), ocdl.Ipopt())
    assert refinement.reached
    assert abs(refinement.solution.cost - RICCATI[rate]) < 1e-6 * (1 + RICCATI[rate])


def test_the_issue_of_a_coarse_mesh_is_plain_collocations_cost():
    """Radau(40, 3) with free stages: a dense least-squares solution of the same discrete problem, in NumPy."""
    N, a, T = 40, 5.0, 10.0
    depth = ocdl.Radau(N, 3, controls=PER_STAGE)
    solution = ocdl.solve(unstable(5, 10, [0.0]), depth, ocdl.Ipopt())
    A, b, h, s = depth.tableau.A, depth.tableau.b, T / N, 3
    weight = np.sqrt(np.tile(h * b, N))
    # unknowns X (N s) and u (N s); x_k is the last stage of the layer before
    size = N * s
    E = np.zeros((size + 1, 2 * size))
    right = np.zeros(size + 1)
    for k in range(N):
        for i in range(s):
            row = k * s + i
            E[row, row] += 1.0
            if k:
                E[row, k * s - 1] -= 1.0
            else:
                right[row] = 1.0
            E[row, k * s : (k + 1) * s] -= h * a * A[i]
            E[row, size + k * s : size + (k + 1) * s] -= h * A[i]
    E[size, size - 1] = 1.0  # x(T) = 0
    scaled = E / np.tile(weight, 2)
    least = np.linalg.lstsq(scaled, right, rcond=None)[0]
    assert solution.cost == pytest.approx(float(least @ least), rel=1e-8)


@pytest.mark.parametrize("shape", [ocdl.PiecewiseConstant(), PER_STAGE])
def test_a_dummy_bound_changes_nothing(shape):
    problem = unstable(3, 20)
    depth = ocdl.Radau(40, 3, controls=shape)
    plain = ocdl.solve(problem, depth, ocdl.Ipopt())
    dummy = ocdl.solve(replace(problem, bounds=ocdl.Box(x=(-100, 100))), depth, ocdl.Ipopt())
    assert dummy.cost == pytest.approx(plain.cost, rel=1e-7) and dummy.status is Status.CONVERGED
    assert dummy.feasibility < 1e-9 and abs(dummy.gap - plain.gap) < 1e-6


STRAYING = {  # plants whose forward sweep leaves the domain of a formula, or whose layers have no other solution
    "tank": {
        "dynamics": lambda x, u: [u - ca.sqrt(x[0])],
        "initial": [1.0],
        "final": [1e-3],
        "running": lambda u: u**2,
        "bounds": ocdl.Box(x=(1e-3, np.inf), u=(0, 2)),
        "horizon": 4.0,
    },
    "friction": {
        "dynamics": lambda x, u: [x[1], u - 0.5 * ca.sign(x[1])],
        "initial": [0, 0],
        "final": [1, 0],
        "running": lambda u: u**2,
        "horizon": 3.0,
    },
    "table": {
        "dynamics": lambda x, u: [u + 0.1 * ca.log(1.0001 - x[0])],  # a table that ends just behind the bound
        "initial": [0.5],
        "final": [1.0],
        "running": lambda u: u**2,
        "bounds": ocdl.Box(x=(0.0, 1.0), u=(-2, 2)),
        "horizon": 1.0,
    },
}


@pytest.mark.parametrize("name", STRAYING)
def test_answers_at_the_edge_of_a_formula_are_kept(name):
    problem = ocdl.ControlProblem(**STRAYING[name])
    solution = ocdl.solve(problem, ocdl.Radau(20, 3), ocdl.Ipopt())
    assert solution.status is Status.CONVERGED and np.isfinite(solution.cost) and solution.feasibility < 1e-8
    np.testing.assert_allclose(solution.state[-1, 0], problem.final[0].astype(float), atol=1e-9)


def test_the_brachistochrone_is_kept_and_reaches_its_time():
    """A cycloid from (0, 0) to (10, 5) under g = 9.81, but for the head start of 1e-4 that keeps √ smooth."""

    def speed(x):
        return ca.sqrt(2 * 9.81 * (x[1] + 1e-4))

    problem = ocdl.ControlProblem(
        dynamics=lambda x, u: [speed(x) * ca.cos(u[0]), speed(x) * ca.sin(u[0])],
        initial=[0, 0],
        final=[10, 5],
        horizon=ocdl.Free(0.1, 10, guess=2.0),
        terminal=lambda t: t,
        bounds=ocdl.Box(x=(0, 20), u=(-1.6, 1.6)),
    )
    solution = ocdl.solve(problem, ocdl.Radau(30, 3, controls=LINEAR), ocdl.Ipopt())
    lower, upper = 0.1, 6.0  # (θ − sin θ)/(1 − cos θ) = 2 by bisection
    for _ in range(60):
        theta = 0.5 * (lower + upper)
        lower, upper = (theta, upper) if (theta - np.sin(theta)) / (1 - np.cos(theta)) < 2.0 else (lower, theta)
    exact = theta * np.sqrt(5 / (1 - np.cos(theta)) / 9.81)
    assert solution.status is Status.CONVERGED and solution.cost == pytest.approx(exact, rel=5e-3)


def test_a_derivative_that_is_nan_is_no_success_and_is_named():
    """Drag −½‖v‖v at rest: the derivative of the norm is 0/0."""
    problem = ocdl.ControlProblem(
        states=["x", "v", "w"],
        dynamics=lambda x, u: [x[1], u[0] - 0.5 * ca.norm_2(x[1:]) * x[1], u[1] - 0.5 * ca.norm_2(x[1:]) * x[2]],
        controls=2,
        initial=[0, 0, 0],
        horizon=3.0,
        terminal=lambda x: (x[0] - 1) ** 2,
        bounds=ocdl.Box(u=(-1, 1)),
    )
    with pytest.raises(ocdl.SolveFailed) as caught:
        ocdl.solve(problem, ocdl.Kutta4(5), Told(lambda problem, depth, start: {}))
    solution = caught.value.solution
    assert solution.status is Status.NOT_A_NUMBER and np.isnan(solution.gap)
    assert "first derivatives of dynamics at t = 0" in str(caught.value) and "0 / 0 is NaN" in str(caught.value)
    comparison = ocdl.compare(problem, ocdl.Kutta4(5), [Told(lambda *_: {})])
    assert not any("converged" in row.status for row in comparison.table())


# -- lies --------------------------------------------------------------------------------------------------------------


class Told(ocdl.Method):
    """Reports whatever ``lie(problem, depth, start)`` says, as a success; the truth is the solution given."""

    constrained = True
    any_controls = True

    def __init__(self, lie, truth=None):
        object.__setattr__(self, "lie", lie)
        object.__setattr__(self, "truth", truth)

    def solve(self, problem, depth, start, *, progress=None):
        u, p = (start.u, start.p) if self.truth is None else coefficients(problem, depth, self.truth)
        given = {} if self.truth is None else trajectory(problem, self.truth)
        return replace(
            Outcome(u, p, Status.CONVERGED, **given),
            **self.lie(problem, depth, Outcome(u, p, Status.CONVERGED, **given)),
        )


def trajectory(problem, solution):
    metric = np.asarray(problem.state_metric)
    found = solution.multipliers
    given = {
        "x": solution.state.values,
        "stages": solution.tree["stages/stage_state"].values,
        "costate": solution.costate.values * metric,
    }
    if found:
        given["multipliers"] = Multipliers(
            found["multiplier"].values * metric,
            found["stage_multiplier"].values * metric,
            found["path_multiplier"].values,
            found["boundary_multiplier"].values,
        )
    return given


CONSTRAINED = ocdl.ControlProblem(
    dynamics=lambda x, u: [x[1], 0.7 * x[0] + u],
    initial=[1.0, -0.2],
    final=[0.0, None],
    horizon=2.0,
    running=lambda x, u: x[0] ** 2 + 0.1 * u**2,
    path=lambda x, u: u[0] + x[1] - 1.0,
    bounds=ocdl.Box(u=(-2, 2), x=(-1.2, 1.2)),
)
DEPTH = ocdl.Radau(12, 3, controls=PER_STAGE)


def shifted(name, amount, at=(5, 0, 0)):
    def lie(problem, depth, truth):
        values = np.array(getattr(truth, name))
        values[at] += amount
        return {name: values}

    return lie


def pressed(name, at, amount):
    def lie(problem, depth, truth):
        values = np.array(getattr(truth.multipliers, name))
        values[at] += amount
        return {"multipliers": replace(truth.multipliers, **{name: values})}

    return lie


STATE_LIES = {
    "a shifted state": shifted("x", 1e-3),
    "a shifted stage": shifted("stages", 1e-3, (5, 1, 0, 0)),
    "another initial state": shifted("x", -1e-3, (0, 0, 0)),
    "a final state that is not reached": lambda problem, depth, truth: {
        "x": truth.x + np.linspace(0, 1e-3, depth.count + 1)[:, None, None]
    },
    "the states of no plant": lambda problem, depth, truth: {"x": 0 * truth.x, "stages": 0 * truth.stages},
    "controls outside their box": shifted("u", 4.5, (3, 0)),
}
DUAL_LIES = {
    "a scaled costate": lambda problem, depth, truth: {"costate": 1.1 * truth.costate},
    "a shifted costate": shifted("costate", 0.1),
    "no costate at all": lambda problem, depth, truth: {"costate": 0 * truth.costate},
    "a path multiplier where nothing presses": pressed("path", (6, 1, 0, 0), 0.1),
    "a path multiplier of the wrong sign": pressed("path", (0, 1, 0, 0), -0.3),
    "a multiplier of the end": pressed("nodes", (-1, 0, 0), 0.5),
    "a multiplier of a state far from its bounds": pressed("nodes", (4, 0, 1), 0.2),
}


@pytest.fixture(scope="module")
def truth():
    return ocdl.solve(CONSTRAINED, DEPTH, ocdl.Ipopt(tolerance=1e-11))


def test_the_truth_is_confirmed(truth):
    again = ocdl.solve(CONSTRAINED, DEPTH, Told(lambda *_: {}, truth))
    assert again.status is Status.CONVERGED and again.feasibility < 1e-9 and abs(again.gap - truth.gap) < 1e-9
    assert abs(truth.gap) < 1e-6 and again.cost == pytest.approx(truth.cost, rel=1e-12)


@pytest.mark.parametrize("name", STATE_LIES)
def test_a_lie_about_the_states_is_refuted(name, truth):
    with pytest.raises(ocdl.SolveFailed, match="referee finds") as caught:
        ocdl.solve(CONSTRAINED, DEPTH, Told(STATE_LIES[name], truth))
    solution = caught.value.solution
    assert solution.status is Status.REFUTED and solution.feasibility > 1e-4
    assert ocdl.compare(CONSTRAINED, DEPTH, [Told(STATE_LIES[name], truth), ocdl.Ipopt()]).best_name == "Ipopt"


@pytest.mark.parametrize("name", DUAL_LIES)
def test_a_lie_about_the_multipliers_is_in_the_gap(name, truth):
    solution = ocdl.solve(CONSTRAINED, DEPTH, Told(DUAL_LIES[name], truth))
    assert solution.gap > 1e-3 + 10 * truth.gap


def test_a_cost_claimed_too_low_is_not_believed(truth):
    liar = Told(lambda *_: {"claim": {"cost": truth.cost - 1.0}}, truth)
    comparison = ocdl.compare(CONSTRAINED, DEPTH, [liar, ocdl.Ipopt()])
    assert comparison.solutions["Told"].cost == pytest.approx(truth.cost, rel=1e-12)
    assert any("Told reports the cost" in sentence for sentence in comparison.findings())


def test_states_that_are_not_finite_give_way_to_the_sweep(truth):
    lost = ocdl.solve(unstable(0.1, 1), DEPTH, Told(lambda p, d, t: {"x": np.full((13, 1, 1), np.nan)}))
    assert np.all(np.isfinite(lost.state)) and lost.feasibility == 0.0


@pytest.mark.parametrize("method", [ocdl.Ipopt(), ocdl.LBFGSB(), ocdl.NeedleSteps()], ids=repr)
def test_a_stationary_point_far_from_an_extremal_is_no_plain_success(method):
    """v̇ = u³ at u = 0: the gradient vanishes, and the gap is 1335 times a cost of 8."""
    problem = ocdl.ControlProblem(
        dynamics=lambda x, u: [x[1], u[0] ** 3],
        running=lambda x, u: ca.sumsqr(x) + u[0] ** 2,
        initial=[1.0, 0.0],
        horizon=8.0,
        bounds=ocdl.Box(u=(-2, 2)),
    )
    solution = ocdl.solve(problem, ocdl.Radau(50, 3), method)
    assert solution.status is Status.NO_EXTREMAL and solution.gap > 1300 and solution.cost == pytest.approx(8.0)


# -- first order -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", [s for s in schemes(layers=3, degrees=(1, 3)) if not s.condensed], ids=repr)
def test_the_worth_of_defects_is_what_they_change_to_first_order(scheme):
    """Forcing every node and stage equation by ε moves J by Σ⟨p, δ⟩ + O(ε²)."""
    problem = rich(2)
    g = np.random.default_rng(3)
    u, p = g.uniform(-1, 1, (scheme.control_rows, 2)), g.uniform(-1, 1, 2)
    sweeper = Sweeper(problem, scheme)
    exact = sweeper.state(u, p)
    dx, dX = g.standard_normal(exact.x.shape), g.standard_normal(exact.stages.shape)
    costate = sweeper.costate(exact, u, p).costate
    errors = []
    for size in (1e-3, 1e-4):
        verdict = ocdl.certify(
            problem, scheme, u, p, x=exact.x + size * dx, stages=exact.stages + size * dX, costate=costate
        )
        J = ocdl.certify(problem, scheme, u, p).cost
        errors.append(abs(verdict.cost - verdict.defect_worth - J))
        assert verdict.feasibility > size / 100
    assert errors[1] < errors[0] / 50


@pytest.mark.parametrize("scheme", schemes(layers=3, degrees=(1, 2)), ids=repr)
def test_sweeps_have_no_defects_and_given_costates_reproduce_theirs(scheme):
    problem = rich(2)
    g = np.random.default_rng(4)
    u, p = g.uniform(-1, 1, (scheme.control_rows, 2)), g.uniform(-1, 1, 2)
    swept = ocdl.certify(problem, scheme, u, p)
    x, stages = swept.trajectory.x, swept.trajectory.stages
    judged = ocdl.certify(problem, scheme, u, p, x=x, stages=stages, costate=swept.adjoint.costate)
    assert judged.feasibility < 1e-12 and np.max(np.abs(judged.costate_defect)) < 1e-12
    assert abs(judged.gap - swept.gap) < 1e-10 and judged.cost == pytest.approx(swept.cost, rel=1e-13)
    np.testing.assert_allclose(judged.adjoint.gradient_u, swept.adjoint.gradient_u, atol=1e-13)
    np.testing.assert_allclose(judged.adjoint.stages, swept.adjoint.stages, atol=1e-12)


# -- random problems against SciPy -------------------------------------------------------------------------------------


@settings(max_examples=6)
@given(seed=st.integers(0, 10**6))
def test_random_linear_quadratic_problems_agree_with_riccati(seed):
    """ẋ = Ax + Bu, A of any spectrum with real parts up to 3: cost xᵀPx, p = 2Px, u = −R⁻¹BᵀPx on a long horizon."""
    g = np.random.default_rng(seed)
    n, m = int(g.integers(1, 4)), int(g.integers(1, 3))
    A, B = g.uniform(-1, 1, (n, n)) + g.uniform(-2, 2) * np.eye(n), g.uniform(-1, 1, (n, m)) + np.eye(n, m)
    P = solve_continuous_are(A, B, np.eye(n), np.eye(m))
    speeds = np.abs(np.linalg.eigvals(A - B @ B.T @ P))
    closed = np.linalg.eigvals(A - B @ B.T @ P).real
    if closed.max() > -0.5 or speeds.max() > 8:
        return  # too slow for the horizon, or too fast for the mesh
    x0 = g.uniform(-1, 1, n)
    problem = ocdl.ControlProblem(
        dynamics=lambda x, u: ca.DM(A) @ x + ca.DM(B) @ u,
        controls=m,
        initial=x0,
        horizon=30.0,
        running=lambda x, u: ca.sumsqr(x) + ca.sumsqr(u),
    )
    widths = np.diff(30.0 * np.linspace(0, 1, 81) ** 2)
    solution = ocdl.solve(problem, ocdl.Radau(widths, 3, controls=PER_STAGE), ocdl.Ipopt())
    assert solution.status is Status.CONVERGED and solution.feasibility < 1e-9 and abs(solution.gap) < 1e-6
    assert solution.cost == pytest.approx(x0 @ P @ x0, rel=1e-4)
    x, p = solution.state.values[:40, 0], solution.costate.values[:40, 0]
    np.testing.assert_allclose(p, 2 * x @ P, atol=2e-3 * np.abs(p).max())
    independent = x[1:] - x[:-1]  # the state defect, by hand, from labels alone
    stages, u = solution.tree["stages/stage_state"].values[:, :, 0], solution.u.values
    rates = stages @ A.T + u @ B.T
    ends = np.einsum("k,i,kin->kn", widths, ocdl.Radau(1, 3).tableau.b, rates)[: len(independent)]
    np.testing.assert_allclose(independent, ends, atol=1e-9 * (1 + np.abs(x).max()))


@settings(max_examples=3)
@given(seed=st.integers(0, 10**6))
def test_random_nonlinear_problems_have_the_costates_of_differences(seed):
    """ẋ = Ax + sin x + u: p_0 is the derivative of the optimal cost in x_0 (the envelope theorem)."""
    g = np.random.default_rng(seed)
    A = g.uniform(-1, 1, (2, 2)) + g.uniform(0, 2) * np.eye(2)
    x0, step = g.uniform(-1, 1, 2), 1e-4
    depth = ocdl.Radau(20, 3, controls=LINEAR)

    def solved(x0):
        problem = ocdl.ControlProblem(
            dynamics=lambda x, u: ca.DM(A) @ x + ca.sin(x) + u,
            controls=2,
            initial=x0,
            horizon=4.0,
            running=lambda x, u: ca.sumsqr(x) + ca.sumsqr(u),
        )
        return ocdl.solve(problem, depth, ocdl.Ipopt())

    solution = solved(x0)
    for i in range(2):
        ends = [solved(x0 + side * step * np.eye(2)[i]).cost for side in (-1, 1)]
        slope = float(solution.costate[0, 0, i])
        assert slope == pytest.approx((ends[1] - ends[0]) / (2 * step), abs=1e-5 * (1 + abs(slope)))


# -- starts ------------------------------------------------------------------------------------------------------------


def test_states_given_reach_ipopt():
    """One iteration is not enough to forget the guess."""
    problem, depth = unstable(5, 2), ocdl.Radau(8, 2)
    guess = np.exp(-np.linspace(0, 2, 9))[:, None]
    transcription = Transcription(problem, depth)
    w = transcription.guess(make_start(problem, depth, {"x": guess}, None))
    np.testing.assert_array_equal(w[transcription.places.x[:, 0]], guess)


def test_a_start_that_explodes_is_held():
    for problem in (unstable(5, 10), unstable(1, 2)):
        transcription = Transcription(problem, ocdl.Radau(10, 3))
        w = transcription.guess(make_start(problem, transcription.depth, None, None))
        x = w[transcription.places.x][:, 0, 0]
        assert np.all(x == 1.0) if problem.horizon == 10 else x[-1] > 5.0


def test_networks_are_judged_as_before():
    """A swept answer has no defects, and the same figures whether its trajectory is handed in or not."""
    problem, depth = discretised(selection(), ocdl.Grid(ocdl.Midpoint(3), ocdl.Kutta4(5)))
    u = np.random.default_rng(0).uniform(-1, 1, (5, problem.m))
    plain = ocdl.certify(problem, depth, u, np.zeros(0))
    assert plain.defect_worth == 0.0 and not plain.state_defect.any() and not plain.costate_defect.any()
    handed = ocdl.certify(problem, depth, u, np.zeros(0), x=plain.trajectory.x)
    assert handed.gap == pytest.approx(plain.gap, abs=1e-14) and handed.cost == plain.cost
