"""Value iteration says what is so: a global minimum of H, a domain that holds the flow, errors that cover the error."""

import casadi as ca
import numpy as np
import pytest
from hjb_exact import errors, selection
from scipy.integrate import solve_ivp

import ocdl
from ocdl.hjb import ValueIteration
from ocdl.hjb.bounds.least_cost import least_cost
from ocdl.hjb.grids.grid import StateGrid
from ocdl.hjb.schemes.control_structure import control_structure
from ocdl.hjb.schemes.lookahead import Lookahead
from ocdl.hjb.schemes.simulation import simulated
from ocdl.solving.method import Start

UNIT = ocdl.Box(u=(-1, 1))


def plant(dynamics, initial, horizon, **more):
    """A terminal loss and the box [−1, 1] unless others are given."""
    given = {"terminal": lambda x: 0.5 * ca.sumsqr(x), "bounds": UNIT}
    return ocdl.ControlProblem(dynamics=dynamics, initial=initial, horizon=horizon, **(given | more))


# -- the minimum of H --------------------------------------------------------------------------------

WELLS = {
    "step": (lambda u: 0.2 * ca.if_else(ca.fabs(u) > 1e-3, 1, 0), 0.5 * 0.099**2),
    "smooth": (lambda u: 0.2 * (1.0 - ca.exp(-((u / 0.1) ** 2))), 0.005 * 40 / 41),
    "root": (lambda u: 0.2 * ca.sqrt(ca.fabs(u)), 0.005),
    "cosine": (lambda u: 0.2 * (1.0 - ca.cos(20.0 * u)) + 0.2 * u**2, 0.005 * 80.4 / 81.4),
}


@pytest.mark.parametrize(("effort", "best"), WELLS.values(), ids=WELLS)
def test_a_well_of_the_effort_is_found_and_said_to_be_searched(effort, best):
    """ẋ = u from 0.1, ½ x(1)² + ∫E(u): near 0 E is flat, 0 or a parabola e u², where ½ x² costs ½ 0.1² e/(e + ½)."""
    problem = plant(lambda u: u, [0.1], 1.0, effort=effort, bounds=ocdl.Box(u=(-1, 0.7)))
    outcome = ocdl.solve(problem, ocdl.Kutta4(4), ValueIteration(nodes=41, steps=8))
    assert outcome.cost == pytest.approx(best, rel=3e-3)
    assert abs(outcome.claim["cost"] - best) < 1e-3
    assert "minimum of H by search, not proven" in outcome.detail


def test_two_controls_are_searched_where_the_corners_and_their_descents_miss():
    """ẋ = v − w and wells of both efforts away from centre and corners: H has 36 minima."""
    well = lambda u: 0.3 * (1.0 - ca.cos(16.0 * (u - 0.2))) + (u - 0.2) ** 2  # noqa: E731
    problem = plant(
        lambda u: u[0] - u[1], [0.0], 1.0, controls=2, effort=lambda u: well(u[0]) + well(u[1]), terminal=lambda x: x**2
    )
    solution = ocdl.solve(problem, ocdl.Kutta4(2), ValueIteration(nodes=21, steps=4))
    assert solution.cost < 1e-4 and abs(solution.claim["cost"]) < 1e-4


@pytest.mark.parametrize(
    ("value", "blocks", "affine", "convex"),
    [
        (lambda x, u: x * u[0] + u[1] - u[2] / x, [[0], [1], [2]], True, True),
        (lambda x, u: ca.if_else(x > 0, u[0], u[1]) + 0 * u[2], [[0], [1], [2]], True, True),
        (lambda x, u: x * ca.tanh(u[0] + x * u[1]) + ca.tanh(u[2]), [[0, 1], [2]], False, False),
        (lambda x, u: 0.5 * ca.sumsqr(u) + x * u[0], [[0], [1], [2]], False, True),
        (lambda x, u: (u[0] + u[1]) ** 2 + u[2], [[0, 1], [2]], False, True),
        (lambda x, u: u[1] - u[0] ** 2, [[0], [1], [2]], False, False),
        (lambda x, u: ca.fmax(u[0] + u[1], 0) + u[2], [[0, 1], [2]], False, False),
        (lambda x, u: ca.if_else(ca.fabs(u[0]) > 0.1, 1, 0), [[0], [1], [2]], False, False),
        (lambda x, u: x * u[0] ** 2, [[0], [1], [2]], False, False),
    ],
)
def test_the_structure_of_h_is_read_off_its_formula(value, blocks, affine, convex):
    x, u = ca.SX.sym("x"), ca.SX.sym("u", 3)
    found = control_structure(value(x, u), [x, u])
    assert (found.blocks, found.affine, found.convex) == (blocks, affine, convex)


def test_long_steps_do_not_overshoot():
    """ẋ = −50 x + u, x(T) + ½ ∫u²: u = −e^{−50 (T − t)} and V = x e^{−50 T} − (1 − e^{−100 T})/200."""
    problem = plant(lambda x, u: u - 50.0 * x, [0.05], 0.4, effort=lambda u: 0.5 * u**2, terminal=lambda x: x)
    solution = ocdl.solve(problem, ocdl.Radau(40, 2), ValueIteration(nodes=41, steps=16))
    assert solution.claim["cost"] == pytest.approx(-0.005, abs=1e-6)
    assert solution.cost == pytest.approx(-0.005, abs=3e-4)


# -- the domain --------------------------------------------------------------------------------------

OSCILLATOR = plant(lambda x, u: ca.vertcat(x[1], u - x[0]), [0.0, 0.0], 8 * np.pi)


@pytest.mark.parametrize(
    ("problem", "least", "most"),
    [
        (OSCILLATOR, [16.0, 16.0], [20.0, 20.0]),  # resonant: 2 a quarter period
        (plant(lambda x, u: u - 50.0 * x, [1.0], 2.0), [1.0], [1.2]),
        (
            plant(lambda x, u: ca.vertcat(x[1], (1.0 - x[0] ** 2) * x[1] - x[0] + u), [1.0, 0.0], 40.0),
            [2.0, 2.6],
            [4, 6],
        ),
        (plant(lambda x, u: ca.vertcat(x[1], u), [0.0, 0.0], 2.0), [2.0, 2.0], [2.5, 2.5]),
    ],
    ids=["oscillator", "stiff", "van der Pol", "double integrator"],
)
def test_the_automatic_domain_holds_what_the_controls_can_do_and_not_much_more(problem, least, most):
    _, high = simulated(Lookahead(problem))
    assert np.all(high >= least) and np.all(high <= most)


def test_states_that_escape_to_infinity_are_named():
    with pytest.raises(ocdl.InvalidInput, match=r"leave every bound at depth .*give domain="):
        ValueIteration().plan(plant(lambda x, u: x**2 + u, [1.0], 3.0))


def test_a_domain_that_cuts_the_flow_is_said_in_status_and_comparison():
    """ẋ = 1 + u: x(2) = 3.5 costs nothing; a domain that ends before has V = (3.5 − its end)²."""
    problem = plant(lambda u: 1.0 + u, [0.0], 2.0, terminal=lambda x: (x - 3.5) ** 2)
    cut = ValueIteration(nodes=41, steps=16, domain=(-1, 1.5))
    comparison = ocdl.compare(problem, ocdl.Kutta4(10), [cut, ocdl.Ipopt()])
    solution = comparison.solutions["ValueIteration"]
    assert solution.status is ocdl.Status.EDGE and "value_error" not in solution.claim
    said = " ".join(comparison.findings())
    assert "V is not valid at the start; give it a larger domain" in said and "more nodes" not in said
    wide = ocdl.solve(problem, ocdl.Kutta4(10), ValueIteration(nodes=41, steps=16, domain=(-1, 5)))
    assert wide.status is ocdl.Status.ROLLED_OUT and wide.claim["cost"] == pytest.approx(0.0, abs=1e-3)


def test_a_domain_inside_which_the_rollout_stays_but_v_does_not_settle():
    """ẋ = u from 0: the loss x² is −1 from 1.3 on, beyond the edge, and inside the best control is to stay."""
    problem = plant(
        lambda u: u, [0.0], 2.0, terminal=lambda x: ca.if_else(x < 1.3, x**2, -1.0), effort=lambda u: 0.01 * u**2
    )
    solution = ocdl.solve(problem, ocdl.Kutta4(10), ValueIteration(nodes=61, steps=16, domain=(-1.0, 1.2)))
    assert solution.status is ocdl.Status.EDGE and np.abs(solution.state).max() < 1.2


# -- error figures -----------------------------------------------------------------------------------


@pytest.mark.parametrize("nodes", [31])
@pytest.mark.parametrize(
    ("initial", "target", "optimum"),
    [([0.5, -0.3], [1.5, 0.4], 0.0), ([-0.4, 0.3], [2.0, -0.5], 0.8415810), ([0.2, 0.6], [-1.0, 3.0], 0.35999726)],
)
def test_two_samples_of_a_relu_neuron_are_covered_or_nothing_is_claimed(initial, target, optimum, nodes):
    """Optima by IPOPT, the last by its proven lower bound; V stays above the least loss there can be, 0."""
    problem = ocdl.SelectionProblem(
        activation=ocdl.ReLU(), horizon=2.0, initial=np.array(initial)[:, None], target=np.array(target)[:, None],
        bounds=ocdl.Box(a=(-1, 1), b=(-1, 1)),
    ).discretise(ocdl.Midpoint(1))  # fmt: skip
    solution = ocdl.solve(problem, ocdl.Kutta4(10), ValueIteration(nodes=nodes, steps=24))
    assert solution.extras["value"].values.min() >= 0.0
    assert abs(solution.claim["cost"] - optimum) <= solution.claim.get("value_error", np.inf)


def test_the_least_cost_is_a_bound_and_nothing_is_held_above_an_unknown_one():
    grid = StateGrid((np.linspace(-1.0, 2.0, 7),))
    problem = plant(lambda u: u, [0.0], 2.0, terminal=lambda x: (x - 3.0) ** 2, running=lambda x, u: 1.0 + u**2)
    bound = least_cost(problem, grid)
    assert bound(0.0) == pytest.approx(1.0 + 2.0) and bound(2.0) == pytest.approx(1.0) and bound(2.0) <= 1.0
    unknown = plant(lambda u: u, [0.0], 2.0, running=lambda x, u: ca.atan2(u, x))
    assert least_cost(unknown, grid)(np.array([0.0, 2.0])).tolist() == [-np.inf, -np.inf]


def test_a_plateau_is_not_claimed_to_the_last_digit():
    value = ValueIteration(nodes=81).value_function(selection(0.5, 0.4))
    assert value([0.5]) == 0.0 and 1e-9 < value.error([0.5]) < 1e-4


# -- steps and layers --------------------------------------------------------------------------------


def test_the_steps_of_the_general_scheme_follow_from_their_error():
    """Double integrator, ½ |x(2)|² + ½ ∫|x|² + u²: 16 steps are 1e-3 off on a grid that could be much better."""
    problem = plant(
        lambda x, u: ca.vertcat(x[1], u), [1.0, 0.0], 2.0, bounds=ocdl.Box(), controls=1,
        running=lambda x, u: 0.5 * (ca.sumsqr(x) + u**2),
    )  # fmt: skip
    A, b = np.array([[0.0, 1.0], [0.0, 0.0]]), np.array([0.0, 1.0])

    def riccati(_, P):
        P = P.reshape(2, 2)
        return (A.T @ P + P @ A + np.eye(2) - np.outer(P @ b, P @ b)).ravel()

    exact = 0.5 * solve_ivp(riccati, (0.0, 2.0), np.eye(2).ravel(), rtol=1e-10, atol=1e-12).y[0, -1]
    method = ValueIteration(nodes=31, domain=(-2, 2))
    assert abs(ValueIteration(nodes=31, domain=(-2, 2), steps=16).value_function(problem)([1.0, 0.0]) - exact) > 5e-4
    value = method.value_function(problem)
    assert abs(value([1.0, 0.0]) - exact) < 1e-4
    assert abs(value([1.0, 0.0]) - exact) < value.error([1.0, 0.0])


@pytest.mark.parametrize("start", [-0.3, -0.5, -0.7])
def test_a_layer_in_which_the_state_changes_its_sign_gets_the_best_constant_control(start):
    problem, depth = selection(start, 2.0), ocdl.Radau(50, 3)
    feedback = ocdl.solve(problem, depth, ValueIteration())
    direct = ocdl.solve(problem, depth, ocdl.Ipopt(), start=feedback)
    assert abs(feedback.cost - direct.cost) < 1e-7


def test_the_rollout_hands_in_its_own_states():
    problem, depth = plant(lambda x, u: 3.0 * x + u, [0.1], 2.0, bounds=ocdl.Box(u=(-2, 2))), ocdl.Radau(8, 2)
    method = ValueIteration(nodes=41, steps=16)
    start = Start(np.zeros((8, 1)), np.zeros(0))
    outcome = method.solve(problem, depth, start)
    assert outcome.x.shape == (9, 1, 1) and outcome.stages.shape == (8, 2, 1, 1)
    assert ocdl.solve(problem, depth, method).feasibility < 1e-9
    assert errors(outcome.stages[:, -1], outcome.x[1:])[0] < 1e-12
