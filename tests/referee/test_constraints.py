"""Ordinary optimal control: what is free, constrained, or varies in a layer, on every route that takes it."""

from __future__ import annotations

from dataclasses import replace

import casadi as ca
import numpy as np
import pytest
from families import name_of, rich, schemes, selection

import ocdl
from ocdl.depth.control_shapes import ControlShape
from ocdl.nlp.transcription import Transcription
from ocdl.referee.certify import certify
from ocdl.referee.labels import coefficients
from ocdl.referee.outcome import Multipliers
from ocdl.solving.start import make_start
from ocdl.sweeps.sweeper import Sweeper

SHAPES = [ocdl.PiecewiseConstant(), ocdl.PiecewiseLinear(), ocdl.PerStage()]
SHAPED = [
    replace(scheme, controls=shape)
    for scheme in schemes(layers=(0.3, 0.6, 0.4), degrees=(1, 2, 3))
    for shape in SHAPES
    if shape.suits(scheme.tableau.c)
]


def shaped_name(scheme: ocdl.DepthScheme) -> str:
    return name_of(scheme) + type(scheme.controls).__name__


def bryson_denham(limit: float = 1 / 9, **changes) -> ocdl.ControlProblem:
    """Bryson and Denham: x'' = u, x(0) = x(1) = 0, v(0) = −v(1) = 1, x ≤ limit; J = ½ ∫ u² = 4/(9 limit)."""
    return ocdl.ControlProblem(
        **{
            "states": ["x", "v"],
            "dynamics": lambda x, u: [x[1], u],
            "initial": [0, 1],
            "final": [0, -1],
            "horizon": 1.0,
            "running": lambda u: u**2 / 2,
            "bounds": ocdl.Box(x=(-np.inf, [limit, np.inf])),
        }
        | changes
    )


def everything(**changes) -> ocdl.ControlProblem:
    """Free initial state and horizon, path, boundary, state bounds, lift, parameters, two samples."""
    return ocdl.ControlProblem(
        **{
            "lift": lambda t, x, u: [u[0] * x[0] + ca.sin(t)],
            "dynamics": lambda t, x, p, z: [np.tanh(z[0]) + p[0] * x[1], np.cos(z[0]) - x[1]],
            "running": lambda t, x, u, z: x[0] ** 2 + 0.1 * t * z[0],
            "effort": lambda t, u: 0.1 * (1 + t) * ca.sumsqr(u),
            "terminal": lambda t, x: t**2 + x[1],
            "path": lambda t, x, u, p: [x[0] * u[0] + t - p[0], x[1]],
            "boundary": lambda x0, xT, t, p: [x0[0] * xT[1] + p[0] * t],
            "initial": [[0.3, ocdl.Free(-1, 1, guess=0.2)], [ocdl.Free(-1, 1), 0.5]],
            "horizon": ocdl.Free(0.5, 2.0, guess=1.1),
            "controls": 2,
            "parameters": 1,
            "bounds": ocdl.Box(u=(-1, 1), p=(-1, 1), x=(-2, 2), path=(-3, 4), boundary=(-5, 5)),
        }
        | changes
    )


def differences(function, at: np.ndarray, step: float = 1e-6) -> np.ndarray:
    """Central differences of a scalar function in every entry of ``at``."""
    flat = np.zeros(at.size)
    for i in range(at.size):
        shift = np.zeros(at.size)
        shift[i] = step
        ahead, behind = at + shift.reshape(at.shape), at - shift.reshape(at.shape)
        flat[i] = (function(ahead) - function(behind)) / (2 * step)
    return flat.reshape(at.shape)


@pytest.mark.parametrize("scheme", SHAPED, ids=shaped_name)
def test_the_gradient_of_every_shape_is_that_of_the_discrete_cost(scheme):
    problem = rich(2)
    generator = np.random.default_rng(0)
    u, p = generator.uniform(-1, 1, (scheme.control_rows, problem.m)), generator.uniform(-1, 1, problem.P)
    sweeper = Sweeper(problem, scheme)
    adjoint = sweeper.costate(sweeper.state(u, p), u, p)
    expected = differences(lambda v: sweeper.cost(sweeper.state(v, p), v, p), u)
    np.testing.assert_allclose(adjoint.gradient_u, expected, atol=2e-8 * (1 + np.abs(expected).max()))


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: type(shape).__name__)
def test_the_lagrangian_of_every_constraint_has_the_gradient_of_the_sweep(shape):
    problem, scheme = everything(), ocdl.Radau(3, 2, controls=shape)
    generator = np.random.default_rng(1)
    start = make_start(problem, scheme, None, 3)
    multipliers = Multipliers.zeros(problem, scheme)
    for array in vars(multipliers).values():
        array[:] = generator.standard_normal(array.shape)

    def lagrangian(u, p):
        sweeper = Sweeper(problem, scheme)
        from ocdl.referee.constraints import Constraints

        trajectory = sweeper.state(u, p)
        families = Constraints(problem, scheme, sweeper).families(trajectory, u, p, multipliers)
        forced = sum(float(np.sum(f.values * f.multipliers)) for f in families)
        # the initial state carries no multiplier of its own
        forced -= float(np.sum(multipliers.nodes[0] * trajectory.x[0]))
        return sweeper.cost(trajectory, u, p) + forced

    adjoint = certify(problem, scheme, start.u, start.p, multipliers).adjoint
    in_u = differences(lambda u: lagrangian(u, start.p), start.u)
    in_p = differences(lambda p: lagrangian(start.u, p), start.p)
    np.testing.assert_allclose(adjoint.gradient_u, in_u, atol=1e-7 * (1 + np.abs(in_u).max()))
    np.testing.assert_allclose(adjoint.gradient_p, in_p, atol=1e-7 * (1 + np.abs(in_p).max()))


@pytest.mark.parametrize("scheme", [*SHAPED, ocdl.MultipleShooting(3)], ids=shaped_name)
def test_every_assembled_derivative_of_a_constrained_problem_is_casadis(scheme):
    scheme = scheme.with_layers(3)
    transcription = Transcription(everything(), scheme)
    program, values = transcription.program, transcription.parameters
    w = ca.MX.sym("w", program.variables)
    f, g = program.objective(w, values)
    lam = ca.MX.sym("lam", program.constraints)
    hessian, gradient = ca.hessian(2.0 * f + ca.dot(lam, g), w)
    reference = ca.Function("reference", [w, lam], [gradient, ca.jacobian(g, w), ca.triu(hessian)])
    generator = np.random.default_rng(2)
    at, multipliers = generator.uniform(0.2, 1.0, program.variables), generator.standard_normal(program.constraints)
    grad, jac, hess = (np.array(part) for part in reference(at, multipliers))
    ours_jac = np.array(program.jac_g(at, values)[1])
    ours_grad = 2.0 * np.array(program.grad_f(at, values)[1]).ravel() + ours_jac.T @ multipliers
    scale = 1 + np.abs(hess).max()
    np.testing.assert_allclose(ours_jac, jac, atol=1e-13 * scale)
    np.testing.assert_allclose(ours_grad, grad.ravel(), atol=1e-12 * scale)
    np.testing.assert_allclose(np.array(program.hess_lag(at, values, 2.0, multipliers)), hess, atol=1e-12 * scale)


@pytest.mark.parametrize("scheme", [ocdl.Radau(20, 3), ocdl.Gauss(20, 2), ocdl.MultipleShooting(20)], ids=name_of)
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: type(shape).__name__)
def test_costates_and_gap_of_a_state_bound_are_the_multipliers(scheme, shape: ControlShape):
    if not shape.suits(scheme.tableau.c):
        pytest.skip("stages at equal depths")
    solution = ocdl.solve(bryson_denham(), replace(scheme, controls=shape), ocdl.Ipopt())
    assert float(abs(solution.claim["costate"] - solution.costate).max()) < 1e-8
    assert solution.feasibility < 1e-9
    if shape == ocdl.PerStage():
        assert solution.gap < 1e-8
    of_x = solution.costate.sel(state="x").squeeze().values
    assert of_x[[0, -1]] == pytest.approx([18, -18], rel=2e-2)  # ±2/(9 limit²), between them the bound presses
    assert solution.cost == pytest.approx(4.0, rel=6e-3)


def test_a_bound_written_as_a_path_constraint_is_the_same_bound():
    scheme = ocdl.Radau(20, 3, controls=ocdl.PerStage())
    bound = ocdl.solve(bryson_denham(), scheme, ocdl.Ipopt())
    path = ocdl.solve(bryson_denham(path=lambda x: x[0] - 1 / 9, bounds=ocdl.Box()), scheme, ocdl.Ipopt())
    assert path.cost == pytest.approx(bound.cost, abs=1e-8)
    assert path.gap < 1e-8


def test_prescribed_ends_written_as_a_boundary_are_the_same():
    ends = bryson_denham(final=None, boundary=lambda xT: [xT[0], xT[1] + 1])
    scheme = ocdl.Radau(20, 3)
    first, second = (ocdl.solve(p, scheme, ocdl.Ipopt()) for p in (bryson_denham(), ends))
    assert first.cost == pytest.approx(second.cost, abs=1e-8)
    np.testing.assert_allclose(first.costate.values[-1], second.costate.values[-1], atol=1e-6)


def minimum_time(**changes) -> ocdl.ControlProblem:
    """x'' = u, |u| ≤ 1, from rest to rest over 1: T = 2, switch at 1."""
    return ocdl.ControlProblem(
        **{
            "dynamics": lambda x, u: [x[1], u],
            "initial": [0, 0],
            "final": [1, 0],
            "horizon": ocdl.Free(0.1, 10, guess=1.0),
            "terminal": lambda t: t,
            "bounds": ocdl.Box(u=(-1, 1)),
        }
        | changes
    )


def test_a_free_horizon_is_found_and_everything_is_labelled_with_true_depths():
    solution = ocdl.solve(minimum_time(), ocdl.Radau(10, 2), ocdl.Ipopt())
    assert solution.horizon == pytest.approx(2.0, abs=1e-8)
    assert solution.state["t"].values[-1] == solution.horizon
    assert float(solution.parameters["horizon"]) == solution.horizon
    np.testing.assert_allclose(solution.hamiltonian, -1.0, atol=1e-6)  # H = −∂J/∂T of the terminal cost T
    assert solution.gap < 1e-8
    np.testing.assert_allclose(solution.u.squeeze(), [1] * 5 + [-1] * 5, atol=1e-6)


def test_a_free_initial_state_gives_its_costate_up():
    problem = ocdl.ControlProblem(
        dynamics=lambda x, u: u - x,
        initial=[ocdl.Free(-3, 3)],
        horizon=1.0,
        running=lambda x, u: (x[0] - 1) ** 2 + u**2,
    )
    direct = ocdl.solve(problem, ocdl.Radau(20, 3), ocdl.Ipopt())
    indirect = ocdl.solve(problem, ocdl.Radau(20, 3), ocdl.LBFGSB())
    assert abs(float(direct.costate[0].squeeze())) < 1e-7
    assert direct.cost == pytest.approx(indirect.cost, abs=1e-8)
    np.testing.assert_allclose(direct.parameters["x0"], indirect.parameters["x0"], atol=1e-4)


def test_bounds_that_depend_on_depth_hold_at_every_coefficient():
    problem = minimum_time(horizon=3.0, terminal=None, running=lambda u: u**2, final=[0.2, None])
    problem = replace(problem, bounds=ocdl.Box(u=(lambda t: -t, lambda t: 0.1 * t), x=(lambda t: [-1, -t - 1], 5)))
    for shape in SHAPES:
        solution = ocdl.solve(problem, ocdl.Radau(10, 3, controls=shape), ocdl.Ipopt())
        t = solution.u["depth"] if "depth" in solution.u.coords else solution.u["t"]
        assert bool((solution.u.squeeze("control") <= 0.1 * t + 1e-9).all())
        assert float((solution.u.squeeze("control") - 0.1 * t).max()) > -1e-6  # and it is reached
    selected = selection(bounds=ocdl.Box(a=(lambda t: -t, 1), b=(-1, 1), f=(-0.2, 0.85)))
    bounded = ocdl.solve(selected, ocdl.Grid(ocdl.Midpoint(3), ocdl.Radau(10, 2)), ocdl.Ipopt())
    assert float(bounded.state.max()) == pytest.approx(0.85, abs=1e-6)
    assert bool((bounded.a >= -bounded.a["t"] - 1e-12).all())
    with pytest.raises(ocdl.NotSupported, match=r"NeedleSteps.*Box\(x=...\)"):
        ocdl.solve(selected, ocdl.Grid(ocdl.Midpoint(3), ocdl.Radau(10, 2)), ocdl.NeedleSteps())


@pytest.mark.parametrize("target", SHAPES, ids=lambda shape: type(shape).__name__)
@pytest.mark.parametrize("source", SHAPES, ids=lambda shape: type(shape).__name__)
def test_a_start_is_carried_between_shapes(source, target):
    problem = bryson_denham(limit=1.0)  # u = −2: every shape holds it
    old = ocdl.solve(problem, ocdl.Radau(6, 3, controls=source), ocdl.Ipopt())
    start = make_start(problem, ocdl.Gauss(9, 2, controls=target), old, None)
    np.testing.assert_allclose(start.u, -2.0, atol=1e-6)
    np.testing.assert_allclose(start.x[-1, 0], [0, -1], atol=1e-9)


def test_units_change_the_numbers_inside_only():
    problem = bryson_denham()
    own = ocdl.solve(problem, ocdl.Radau(10, 3), ocdl.Ipopt())
    scaled = ocdl.solve(problem, ocdl.Radau(10, 3), ocdl.Ipopt(scales={"x": [0.1, 5.0], "u": 7.0}))
    assert scaled.cost == pytest.approx(own.cost, abs=1e-7)
    np.testing.assert_allclose(scaled.claim["costate"], own.claim["costate"], atol=1e-4)
    np.testing.assert_array_equal(scaled.extras["scale_x"], [0.1, 5.0])
    far = minimum_time(final=[1e6, 0], horizon=ocdl.Free(1, 1e4, guess=1e3))
    found = ocdl.solve(far, ocdl.Radau(10, 2), ocdl.Ipopt())
    assert found.horizon == pytest.approx(2e3, rel=1e-7)
    assert found.extras["scale_x"][0] == 1e6


def test_a_hamiltonian_affine_or_convex_quadratic_in_the_controls_is_minimised_exactly():
    assert ocdl.solve(minimum_time(), ocdl.Radau(4, 2), ocdl.Ipopt()).gap_is_exact
    quadratic = minimum_time(horizon=3.0, terminal=None, running=lambda u: u**2)
    assert ocdl.solve(quadratic, ocdl.Radau(4, 2), ocdl.Ipopt()).gap_is_exact
    quartic = minimum_time(horizon=3.0, terminal=None, running=lambda u: u**4)
    assert not ocdl.solve(quartic, ocdl.Radau(4, 2), ocdl.Ipopt()).gap_is_exact
    unbounded = minimum_time(horizon=3.0, terminal=lambda x: x[0] ** 2, final=None, bounds=ocdl.Box())
    assert certify(unbounded, ocdl.Radau(4, 2), np.ones((4, 1)), np.zeros(0)).gap == np.inf


def test_the_gap_of_a_path_constraint_closes_as_the_mesh_is_refined():
    def gap(layers: int) -> float:
        depth = ocdl.Radau(layers, 3)
        path = bryson_denham(path=lambda x, u: [x[0] - 1 / 9, u - 5], bounds=ocdl.Box(), final=[0, -1])
        return ocdl.solve(path, depth, ocdl.Ipopt()).gap

    coarse, fine = gap(10), gap(40)
    assert fine < coarse / 8  # second order, as of every control held constant in a layer


def test_starts_are_functions_of_depth_or_say_what_they_should_be():
    problem, depth = minimum_time(controls=["push"]), ocdl.Radau(4, 2)
    start = make_start(problem, depth, {"u": lambda t: t - 0.5, "x": lambda t: [t, 0.0], "horizon": 2.0}, None)
    np.testing.assert_allclose(start.u.ravel(), [-0.5, 0.0, 0.5, 1.0])  # on depths of the horizon given
    assert start.p == pytest.approx([2.0])
    with pytest.raises(ocdl.InvalidInput, match=r"unknown \['pull'\].*'u', 'x', 'push'"):
        make_start(problem, depth, {"pull": 1.0}, None)


WRONG = [
    ({"horizon": ocdl.Free(-1, 2)}, ["Free(lower=-1", "positive lower bound"]),
    ({"final": [1, 2, 3]}, ["final", "2 value(s)", "(3,)"]),
    ({"final": ["a", 0]}, ["final", "text"]),
    ({"final": [3, 0], "bounds": ocdl.Box(x=(0, 1))}, ["final", "x0 of sample 0 is 3", "[0, 1]", "contradict"]),
    ({"bounds": ocdl.Box(path=(0, 1))}, ["it bounds path, but the problem has no path"]),
    ({"boundary": lambda x: x}, ["boundary", "x0, xT, t, p, d", "got x"]),
    ({"bounds": ocdl.Box(u=(lambda t: 1, 0))}, ["Box(u=(1, 0)) at t = 0", "1 > 0"]),
]


@pytest.mark.parametrize(("changes", "said"), WRONG)
def test_what_contradicts_itself_is_named(changes, said):
    with pytest.raises(ocdl.InvalidInput) as caught:
        minimum_time(**({"horizon": 1.0} | changes))
    assert all(part in str(caught.value) for part in said), str(caught.value)


def test_per_stage_controls_need_stages_apart():
    with pytest.raises(ocdl.InvalidInput, match=r"Kutta4.*PerStage.*different depths"):
        ocdl.solve(minimum_time(), ocdl.Kutta4(5, controls=ocdl.PerStage()), ocdl.Ipopt())


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: type(shape).__name__)
def test_controls_of_every_shape_come_back_from_their_labels_and_predict(shape):
    problem, depth = selection(), ocdl.Radau(5, 2, controls=shape)
    grid = ocdl.Grid(ocdl.Midpoint(3), depth)
    solution = ocdl.solve(problem, grid, ocdl.Ipopt())
    statement = problem.discretise(grid.width)
    u, p = coefficients(statement, depth, solution)
    assert certify(statement, depth, u, p).cost == pytest.approx(solution.cost, rel=1e-9)
    np.testing.assert_allclose(ocdl.predict(problem, grid, solution), solution.state[-1], atol=1e-12)
