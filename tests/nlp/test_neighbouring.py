"""Neighbouring extremals: gains and Riccati matrices against the continuous equation, derivatives against re-solves,
the second-order verdict against problems whose conjugate points are known.
"""

import numpy as np
import pytest
from nlp_problems import convex

import ocdl
from ocdl.referee.judgement import judged

TIGHT = ocdl.Ipopt(tolerance=1e-12)
SHAPES = {"layers": ocdl.PiecewiseConstant(), "nodes": ocdl.PiecewiseLinear(), "stages": ocdl.PerStage()}


def regulator(a, **changes):
    """min ∫ x² + u² dt, ẋ = a x + u: V = s x², s = 1 / (w coth w(T − t) − a), w² = a² + 1, and K = s."""
    return ocdl.ControlProblem(
        **{
            "states": ["x"],
            "controls": ["u"],
            "dynamics": lambda x, u: [a * x[0] + u],
            "initial": [1.0],
            "horizon": 10.0,
            "running": lambda x, u: x[0] ** 2 + u**2,
        }
        | changes
    )


def riccati(a, left):
    w = np.hypot(a, 1.0)
    return 1.0 / (w / np.tanh(w * left) - a)


def van_der_pol(**changes):
    return ocdl.ControlProblem(
        **{
            "states": ["x", "y"],
            "controls": ["u"],
            "dynamics": lambda x, u, p, d: [(p[0] - x[1] ** 2) * x[0] - x[1] + d[0] * u, x[0]],
            "running": lambda x, u: x[0] ** 2 + x[1] ** 2 + u**2,
            "initial": [0.0, 1.0],
            "horizon": 5.0,
            "parameters": ["damping"],
            "data": [[1.0]],
            "bounds": ocdl.Box(u=(-0.3, 1), p=(1, 1)),
        }
        | changes
    )


def ends(**changes):
    """Prescribed and bounded ends, a free horizon, a free initial state and a parameter of its own."""
    return ocdl.ControlProblem(
        **{
            "dynamics": lambda x, u, p: [x[1], u - 0.2 * np.sin(x[0]) + p[0]],
            "running": lambda x, u: 1.0 + 0.5 * u**2 + 0.1 * x[1] ** 2,
            "penalty": lambda p: 5.0 * p[0] ** 2,
            "initial": [0.0, ocdl.Free(-1, 1)],
            "terminal": lambda x: 0.5 * x[1] ** 2,
            "final": [1.0, None],
            "horizon": ocdl.Free(0.5, 5),
            "parameters": 1,
            "bounds": ocdl.Box(p=(-1, 1), u=(-4, 4)),
        }
        | changes
    )


def corridor(**changes):
    """A bound on a state that is active on an arc (Bryson and Denham), and a coupled end."""
    return ocdl.ControlProblem(
        **{
            "dynamics": lambda x, u: [x[1], u],
            "running": lambda u: 0.5 * u**2,
            "initial": [0.0, 1.0],
            "final": [0.0, -1.0],
            "horizon": 1.0,
            "bounds": ocdl.Box(x=(-np.inf, [0.2, np.inf])),
        }
        | changes
    )


def pair(problem, depth):
    solution = ocdl.solve(problem, depth, TIGHT, progress=False)
    return solution, ocdl.neighbouring(problem, depth, solution)


# -- the regulator ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("a", [1.0, 5.0])
@pytest.mark.parametrize(("shape", "order"), [("layers", 2), ("nodes", 2), ("stages", 3)])
def test_gain_and_riccati_matrix_of_a_regulator_converge_to_the_continuous_ones(a, shape, order):
    gains, curvatures = [], []
    for layers in (100, 200):
        depth = ocdl.Radau(layers=layers, degree=3, controls=SHAPES[shape])
        _, near = pair(regulator(a), depth)
        half = near.gain.t.values < 5.0
        error = near.gain.values.ravel()[half] - riccati(a, 10.0 - near.gain.t.values[half])
        gains.append(np.max(np.abs(error)))
        curvatures.append(abs(float(near.riccati[0].squeeze()) / 2.0 - riccati(a, 10.0)))
        assert near.minimum.strict
    assert np.log2(gains[0] / gains[1]) > order - 0.2
    assert np.log2(curvatures[0] / curvatures[1]) > 1.9
    assert gains[1] < 0.006 * riccati(a, 10.0)


@pytest.mark.parametrize("method", [ocdl.NeedleSteps(), ocdl.InteriorPoint()], ids=repr)
def test_answers_of_other_routes_and_from_files_have_the_same_neighbourhood(method, tmp_path):
    free = {"parameters": 0, "bounds": ocdl.Box(u=(-0.3, 1)), "data": None}
    problem = van_der_pol(dynamics=lambda x, u: [(1 - x[1] ** 2) * x[0] - x[1] + u, x[0]], **free)
    depth = ocdl.Radau(layers=20, degree=3)
    _, direct = pair(problem, depth)
    solution = ocdl.solve(problem, depth, method, progress=False)
    solution.save(tmp_path / "answer.nc")
    for one in (solution, ocdl.load(tmp_path / "answer.nc")):
        near = ocdl.neighbouring(problem, depth, one)
        assert near.gain.values == pytest.approx(direct.gain.values, abs=1e-5)
        assert near.minimum.strict


def test_what_is_said_of_x0_by_the_costate_the_sweep_and_the_linearised_conditions_is_the_same():
    solution, near = pair(van_der_pol(), ocdl.Radau(layers=30, degree=3))
    moved = near.sensitivity()
    assert moved["cost"].values == pytest.approx(solution.costate.values[0, 0], abs=1e-8)
    assert moved["cost_curvature"].values == pytest.approx(near.riccati.values[0, 0, :, 0, :], rel=1e-8)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_gain_is_the_ratio_of_the_derivatives_of_controls_and_states(shape):
    """Along the family of solutions from all x(0), δu = −K δx wherever no bound holds."""
    depth = ocdl.Radau(layers=20, degree=3, controls=SHAPES[shape])
    _, near = pair(van_der_pol(bounds=ocdl.Box(p=(1, 1))), depth)
    moved = near.sensitivity()
    x, u, K = moved["states"].values[:, 0], moved["controls"].values, near.gain.values[:, :, 0]
    if shape == "layers":
        x = 0.5 * (x[:-1] + x[1:])
    if shape == "stages":
        x, u, K = x[1:], u[2::3], K[2::3]
    assert -K[0] @ x[0] == pytest.approx(u[0], rel=1e-7)
    shared = shape == "nodes"  # the layer before has a share in later controls, too
    for k in range(1, len(x) - shared):
        assert -K[k] @ x[k] == pytest.approx(u[k], rel=1e-7, abs=1e-2 if shared else 1e-9)


def test_where_a_bound_holds_the_control_its_gain_is_zero_and_the_feedback_keeps_the_box():
    solution, near = pair(van_der_pol(), ocdl.Radau(layers=40, degree=3))
    u = solution.controls["u"].values[:, 0]
    held = u > 1.0 - 1e-9
    assert np.sum(held) == 3
    assert np.all(near.gain.values[held] == 0.0) and np.all(near.gain.values[~held] != 0.0)
    assert near.feedback(2.0, [30.0, 0.0])[0] == -0.3
    free = int(np.flatnonzero(~held)[0])
    t, x = solution.state["t"].values[free], solution.state.values[free, 0]
    assert near.feedback(t, x)[0] == pytest.approx(u[free], abs=1e-9)


# -- derivatives --------------------------------------------------------------------------------------------

MOVES = {
    "initial": lambda problem, e: {"initial": np.asarray(problem.initial)[0] + [e, 0.0]},
    "parameters": lambda problem, e: {"parameters": [1.0 + e]},
    "data": lambda problem, e: {"data": [[1.0 + e]]},
}


@pytest.mark.parametrize("quantity", MOVES)
@pytest.mark.parametrize("depth", [ocdl.Radau(layers=20, degree=3), ocdl.Kutta4(40)], ids=repr)
def test_derivatives_agree_with_differences_of_new_solves(quantity, depth):
    problem, e = van_der_pol(), 1e-4
    plan = ocdl.compile(problem, depth, TIGHT)
    solution = plan.solve(progress=False)
    moved = ocdl.neighbouring(problem, depth, solution).sensitivity(quantity)
    above, below = (plan.solve(**MOVES[quantity](problem, step), start=solution, progress=False) for step in (e, -e))
    for name, of in {
        "cost": lambda s: s.cost,
        "states": lambda s: s.state.values,
        "controls": lambda s: s.controls["u"].values,
    }.items():
        found = np.take(moved[name].values, 0, axis=-1)
        assert found == pytest.approx((of(above) - of(below)) / (2 * e), abs=1e-6), name
    second = (above.cost - 2 * solution.cost + below.cost) / e**2
    assert moved["cost_curvature"].values[0, 0] == pytest.approx(second, rel=1e-4)


def test_with_a_free_horizon_free_and_prescribed_ends_too():
    problem, depth, e = ends(), ocdl.Radau(layers=15, degree=3), 1e-4
    _, near = pair(problem, depth)
    moved = near.sensitivity("final")
    assert moved["theta"].size == 1
    above, below = (ocdl.solve(ends(final=[1.0 + s, None]), depth, TIGHT, progress=False) for s in (e, -e))
    assert moved["cost"].values[0] == pytest.approx((above.cost - below.cost) / (2 * e), abs=1e-6)
    difference = (above.horizon - below.horizon) / (2 * e)
    assert moved["parameters"].values[-1, 0] == pytest.approx(difference, abs=1e-6)
    assert near.minimum.strict


@pytest.mark.parametrize("shape", SHAPES)
def test_the_error_of_a_prediction_is_of_second_order_and_of_its_cost_of_third(shape):
    problem, depth = van_der_pol(), ocdl.Radau(layers=20, degree=3, controls=SHAPES[shape])
    plan = ocdl.compile(problem, depth, TIGHT)
    solution = plan.solve(progress=False)
    near, errors = ocdl.neighbouring(problem, depth, solution), []
    for e in (4e-3, 2e-3):
        numbers = {"initial": [e, 1.0 - e], "data": [[1.0 + e]], "parameters": [1.0 - e]}
        told, found = near.predicted(**numbers), plan.solve(**numbers, start=solution, progress=False)
        assert told.crossed == 0
        u = found.controls["u"].values.reshape(told.u.shape)
        errors.append(
            [abs(told.cost - found.cost), np.abs(told.u - u).max(), np.abs(told.x - found.state.values).max()]
        )
    cost, controls, states = np.log2(np.array(errors[0]) / errors[1])
    assert cost > 2.8 and controls > 1.8 and states > 1.8
    again = plan.solve(**numbers, start=told.start, progress=False)
    assert again.cost == pytest.approx(found.cost, abs=1e-10)


# -- second order -------------------------------------------------------------------------------------------


def oscillator(T, **changes):
    """∫ (u² − x²)/2 dt, ẋ = u: conjugate to T are T − π/2 with a free end, T − π with a prescribed one."""
    return ocdl.ControlProblem(
        **{
            "dynamics": lambda u: [u],
            "initial": [0.0],
            "horizon": T,
            "running": lambda x, u: (u**2 - x[0] ** 2) / 2,
            "controls": 1,
        }
        | changes
    )


def at_rest(problem, depth):
    """The extremal x = u = 0, whatever a solver would make of it."""
    u, p = np.zeros((depth.control_rows, 1)), np.clip(np.zeros(problem.P), *problem.parameter_box)
    outcome = ocdl.Outcome(u, p, ocdl.Status.CONVERGED)
    return judged(problem, depth, outcome, method="rest", seconds=0.0)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("final", "reach"), [(None, np.pi / 2), ([0.0], np.pi)])
def test_conjugate_points_of_the_oscillator(final, reach, shape):
    for T, strict in ((0.95 * reach, True), (1.3 * reach, False)):
        problem, depth = oscillator(T, final=final), ocdl.Radau(layers=60, degree=3, controls=SHAPES[shape])
        verdict = ocdl.neighbouring(problem, depth, at_rest(problem, depth)).minimum
        assert verdict.strict is strict
        if not strict:
            assert verdict.conjugate == pytest.approx(T - reach, abs=T / 60)


@pytest.mark.parametrize(("lowest", "strict"), [(1.0, True), (-1.0, False)])
def test_a_maximum_is_told_from_a_minimum(lowest, strict):
    """∫ ±u² + x²/10: against Legendre and Clebsch; a saddle only in a parameter is one, too."""
    depth = ocdl.Radau(layers=20, degree=3)
    problem = oscillator(1.0, running=lambda x, u: lowest * u**2 + 0.1 * x[0] ** 2)
    assert ocdl.neighbouring(problem, depth, at_rest(problem, depth)).minimum.strict is strict
    problem = oscillator(1.0, running=lambda u: u**2, penalty=lambda p: lowest * p[0] ** 2, parameters=1)
    assert ocdl.neighbouring(problem, depth, at_rest(problem, depth)).minimum.strict is strict


def test_bang_bang_and_singular_answers_are_explained_not_judged():
    depth = ocdl.Radau(layers=21, degree=3)  # the switch is in the middle of a layer
    bang = ocdl.ControlProblem(
        dynamics=lambda x, u: [x[1], u],
        initial=[0.0, 0.0],
        final=[1.0, 0.0],
        horizon=ocdl.Free(0.5, 5),
        terminal=lambda t: t,
        bounds=ocdl.Box(u=(-1, 1)),
    )
    solution, near = pair(bang, depth)
    assert near.minimum.strict is None
    assert near.sensitivity("initial")["cost"].values == pytest.approx(solution.costate.values[0, 0], abs=1e-7)
    singular = oscillator(1.0, running=lambda x: x[0] ** 2, bounds=ocdl.Box(u=(-1, 1)))
    near = ocdl.neighbouring(singular, depth, at_rest(singular, depth))
    assert near.minimum.strict is None and "singular arc" in near.minimum.why
    with pytest.raises(ocdl.NotSupported, match="bang-bang"):
        near.feedback(0.5, [0.1])


# -- what it is refused for -----------------------------------------------------------------------------------


def test_refusals_name_what_was_written():
    problem, depth = van_der_pol(), ocdl.Radau(layers=20, degree=3)
    solution, near = pair(problem, depth)
    with pytest.raises(ocdl.InvalidInput, match="a Solution is needed"):
        ocdl.neighbouring(problem, depth, 3)
    with pytest.raises(ocdl.InvalidInput, match="no extremal"):
        ocdl.neighbouring(problem, depth, at_rest(problem, depth))
    for other in (ocdl.Radau(layers=21, degree=3), ocdl.Radau(layers=20, degree=2)):
        with pytest.raises(ocdl.InvalidInput, match="it was found on Radau"):
            ocdl.neighbouring(problem, other, solution)
    with pytest.raises(ocdl.InvalidInput, match="misses equations or bounds of this problem by 5"):
        ocdl.neighbouring(van_der_pol(initial=[0.5, 1.0]), depth, solution)
    with pytest.raises(ocdl.InvalidInput, match="t=nan"):
        near.feedback(float("nan"), [0.0, 0.0])
    with pytest.raises(ocdl.InvalidInput, match="'initial', 'parameters'"):
        near.sensitivity("mass")
    with pytest.raises(ocdl.InvalidInput, match="no numbers for x"):
        near.sensitivity("final")
    with pytest.raises(ocdl.InvalidInput, match="2 state"):
        near.feedback(0.0, [1.0])


@pytest.mark.parametrize("depth", [ocdl.Radau(layers=20, degree=2), ocdl.Gauss(layers=10, degree=2)], ids=repr)
def test_with_bounds_on_states_the_gain_keeps_them(depth):
    """On the boundary arc the layers' ends stay where they are, whatever moves them there."""
    solution, near = pair(corridor(), depth)
    assert near.minimum.strict
    assert np.all(np.isfinite(near.gain.values))
    assert near.sensitivity()["cost"].values == pytest.approx(solution.costate.values[0, 0], abs=1e-6)


def test_many_samples_parameters_and_efforts():
    problem, depth = convex(bounds=ocdl.Box(u=(-0.2, 0.5), p=(-1, 1))), ocdl.Radau(layers=10, degree=2)
    solution, near = pair(problem, depth)
    assert near.minimum.strict
    moved = near.sensitivity("initial")
    assert moved["cost"].values == pytest.approx(solution.costate.values[0].ravel(), abs=1e-8)
    assert near.gain.shape == (10, 1, 4, 2)


def test_a_solver_that_stops_at_a_saddle_is_told_so():
    """The straight beam is stationary for any load; from the middle of the box IPOPT stays there, but it buckles."""
    beam = ocdl.ControlProblem(
        dynamics=lambda x, u: [np.sin(x[1]), u],
        running=lambda x, u: 0.5 * u**2 + 350.0 * np.cos(x[1]),
        initial=[0.0, ocdl.Free(-1, 1)],
        final=[0.0, None],
        horizon=1.0,
        bounds=ocdl.Box(x=([-0.05, -1], [0.05, 1])),
    )
    depth = ocdl.Radau(layers=20, degree=3)
    _, straight = pair(beam, depth)
    assert straight.minimum.strict is False and "conjugate" in straight.minimum.why
    bent = {"u": lambda t: -8 * np.sin(4 * np.pi * t), "x": lambda t: [0.0, 0.6 * np.cos(4 * np.pi * t)]}
    solution = ocdl.solve(beam, depth, TIGHT, start=bent, progress=False)
    assert solution.cost < straight.cost - 1.0
    assert ocdl.neighbouring(beam, depth, solution).minimum.strict


def test_without_controls_the_parameters_alone_are_judged():
    problem = ocdl.ControlProblem(
        dynamics=lambda x, p: [-p[0] * x[0]],
        terminal=lambda x: (x[0] - 0.5) ** 2,
        initial=[1.0],
        horizon=1.0,
        controls=0,
        parameters=["rate"],
        bounds=ocdl.Box(p=(0, 2)),
    )
    _, near = pair(problem, ocdl.Kutta4(20))
    assert near.minimum.strict and near.gain.size == 0
    assert near.sensitivity()["parameters"].values[0, 0] == pytest.approx(1.0, abs=1e-6)  # log 2 x(0)


def test_constraints_that_repeat_each_other_share_a_multiplier_or_are_refused():
    problem = corridor(bounds=ocdl.Box(x=(-np.inf, [1 / 9, np.inf])))
    depth = ocdl.Radau(layers=30, degree=3, controls=ocdl.PiecewiseLinear())
    solution, near = pair(problem, depth)
    assert near.sensitivity()["cost"].values == pytest.approx(solution.costate.values[0, 0], abs=1e-6)
    fastest = ocdl.ControlProblem(
        dynamics=lambda x, u: [x[1], u],
        initial=[0.0, 0.0],
        final=[1.0, 0.0],
        horizon=ocdl.Free(0.5, 5),
        terminal=lambda t: t,
        bounds=ocdl.Box(u=(-1, 1)),
    )
    _, near = pair(fastest, ocdl.Radau(layers=20, degree=3))  # the switch is at a node: nothing is free
    assert near.minimum.strict is None and "No control is free" in near.minimum.why
    with pytest.raises(ocdl.NotSupported, match="singular"):
        near.sensitivity()


def test_of_a_network():
    problem = ocdl.SelectionProblem(
        activation=ocdl.Tanh(),
        horizon=1.0,
        initial=lambda y: 0.3 + 0.5 * np.sin(2 * np.pi * y),
        target=lambda y: np.cos(2 * np.pi * y),
        regulariser=ocdl.Tikhonov(1.0),
        bounds=ocdl.Box(a=(-2, 2), b=(-2, 2)),
    )
    grid = ocdl.Grid(width=ocdl.Midpoint(3), depth=ocdl.Radau(layers=6, degree=2))
    solution, near = pair(problem, grid)
    found = near.sensitivity()["cost"].values * 3.0  # in function space
    assert found == pytest.approx(solution.costate.values[0, 0], abs=1e-7)
    assert near.minimum.strict and near.gain.shape == (6, 12, 1, 3)


def periodic(**changes):
    """A cycle: x(0) = x(T), both free, with a mixed path constraint that is active on a part."""
    return ocdl.ControlProblem(
        **{
            "dynamics": lambda x, u: [x[1], u[0] - x[0]],
            "running": lambda t, x, u: (x[0] - np.cos(t)) ** 2 + 0.2 * u[0] ** 2 + 0.05 * u[0] * x[0],
            "path": lambda x, u: [u[0] + 0.3 * x[1] - 0.4],
            "boundary": lambda x0, xT: [x0[0] - xT[0], x0[1] - xT[1]],
            "initial": [ocdl.Free(-3, 3), ocdl.Free(-3, 3)],
            "horizon": 4.0,
        }
        | changes
    )


FAMILY = {"ends": ends, "corridor": corridor, "periodic": periodic, "samples": convex, "van der Pol": van_der_pol}


@pytest.mark.parametrize("name", FAMILY)
@pytest.mark.parametrize("shape", SHAPES)
def test_the_inertia_told_layer_by_layer_is_that_of_the_whole_matrix(name, shape):
    depth = ocdl.Radau(layers=8, degree=2, controls=SHAPES[shape])
    _, near = pair(FAMILY[name](), depth)
    swept, lin = near._swept, near._linearised
    free, rows = ~lin.active.held, lin.active.rows
    G = lin.jacobian.toarray()[np.ix_(rows, free)]
    _, sizes, right = np.linalg.svd(G)
    Z = right[np.sum(sizes > 1e-10 * sizes[0]) :].T
    values = np.linalg.eigvalsh(Z.T @ lin.hessian.toarray()[np.ix_(free, free)] @ Z)
    assert values.size > 0
    assert (swept.missing, swept.excess) == (np.sum(values < 1e-12), np.sum(values < -1e-12))
    assert near.minimum.strict is bool(values.min() > 1e-12)
