"""The polish: bang-bang answers in continuous depth, against independent references."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pmp_problems import ZERO_CROSSING, eight_neurons, family, network, selection
from scipy.integrate import solve_ivp
from shooting import extremal

import ocdl
from ocdl.errors import InvalidInput, NotSupported
from ocdl.pmp.switching.arcs import Field, Schedule
from ocdl.referee.outcome import Status

SKEW = ocdl.Box(a=(-0.3, 0.7), b=(-0.5, 0.2))


def on(width, depth):
    return ocdl.Grid(width=ocdl.Midpoint(width), depth=depth)


def needle_start(problem, grid, seed=None):
    return ocdl.solve(problem, grid, ocdl.NeedleSteps(), seed=seed)


@pytest.mark.parametrize("depth", [ocdl.Radau(layers=50, degree=3), ocdl.ExplicitEuler(50)])
def test_eight_neurons_to_rounding_from_fifty_layers(depth):
    grid = on(8, depth)
    polished = ocdl.polish(eight_neurons(), grid, needle_start(eight_neurons(), grid))
    assert polished.status is Status.CONVERGED
    assert abs(polished.cost - 0.968069497335) <= 1e-12
    assert polished.gap <= 1e-14
    assert polished.switches["function"].values.tolist() == ["f", "f", "f", "r", "f"]
    assert polished.switches["neuron"].values.tolist() == [4, 6, 3, 1, 2]


def test_the_answer_of_ipopt_polishes_to_the_same_network():
    grid = on(8, ocdl.Radau(layers=20, degree=2))
    polished = ocdl.polish(eight_neurons(), grid, ocdl.solve(eight_neurons(), grid, ocdl.Ipopt()))
    assert abs(polished.cost - 0.968069497335) <= 1e-12


@pytest.mark.parametrize("activation", [ocdl.Tanh(), ocdl.Arctan(), ocdl.Sigmoid()], ids=lambda s: type(s).__name__)
@pytest.mark.parametrize("box", [None, SKEW], ids=["unit", "skew"])
@pytest.mark.parametrize("width", [2, 4])
def test_it_agrees_with_shooting(width, box, activation):
    y = (np.arange(width) + 0.5) / width
    initial, target = (
        0.3 + 0.5 * np.sin(2 * np.pi * y),
        0.8 * np.cos(2 * np.pi * y) + np.array([2.5, -0.4, -0.9, 0.8])[:width],
    )
    problem, grid = selection(initial, target, box=box, activation=activation), on(width, ocdl.ExplicitEuler(50))
    start = needle_start(problem, grid)
    polished = ocdl.polish(problem, grid, start)
    a, b = ((-1, 1), (-1, 1)) if box is None else ((-0.3, 0.7), (-0.5, 0.2))
    weights = np.full(width, 1 / width)
    guess = weights * polished.trajectory(0.0)["costate"].values[0] * (1 + 1e-3)
    cost, end, residual = extremal(activation, a, b, weights, initial, target, 1.0, guess)
    assert residual <= 1e-11
    assert polished.status is Status.CONVERGED
    assert polished.cost == pytest.approx(cost, abs=1e-11)
    np.testing.assert_allclose(polished.trajectory(1.0)["state"].values[0], end, atol=1e-9)


def test_one_neuron_exactly():
    """f' = ∓tanh(1 + |f|) has sinh(1 + |f|) e^±t constant; falling, b switches where f = 0."""
    lowest, highest = 1.0 - np.arcsinh(np.e * np.sinh(1.0) ** 2 / np.sinh(1.5)), np.arcsinh(np.e * np.sinh(1.5)) - 1.0
    grid = on(1, ocdl.ExplicitEuler(17))
    polished = ocdl.polish(selection(0.5, -1.0), grid, needle_start(selection(0.5, -1.0), grid))
    assert polished.cost == pytest.approx(0.5 * (1.0 + lowest) ** 2, abs=1e-14)
    np.testing.assert_allclose(polished.switches["depth"], [ZERO_CROSSING], atol=1e-14)
    above = ocdl.polish(selection(0.5, 3.0), grid, needle_start(selection(0.5, 3.0), grid))
    assert above.cost == pytest.approx(0.5 * (3.0 - highest) ** 2, abs=1e-14)
    assert above.switches.sizes["switch"] == 0


def test_the_published_switch_of_one_neuron():
    grid = on(1, ocdl.Radau(layers=50, degree=3))
    polished = ocdl.polish(selection(-0.5, 3.0), grid, needle_start(selection(-0.5, 3.0), grid))
    assert polished.cost == pytest.approx(3.5580513517, abs=1e-10)
    np.testing.assert_allclose(polished.switches["depth"], [0.5943442778], atol=1e-10)


def test_a_separable_network_has_a_singular_neuron():
    """b = 0: neuron 0 reaches its own target, so that r_0 ≡ 0; neuron 1 runs at tanh 1."""
    problem = selection(np.array([0.5, 0.0]), np.array([0.9, 2.0]), box=ocdl.Box(a=(-1, 1), b=(0, 0)))
    grid = on(2, ocdl.ExplicitEuler(10))
    start = needle_start(problem, grid)
    polished = ocdl.polish(problem, grid, start)
    assert polished.status is Status.CONVERGED
    assert polished.cost == pytest.approx(0.25 * (2.0 - np.tanh(1.0)) ** 2, abs=1e-15)
    np.testing.assert_allclose(ocdl.switching_structure(start)["singular_r"], [1.0, 0.0], atol=1e-12)
    np.testing.assert_allclose(polished.switches["singular_r"], [1.0, 0.0], atol=1e-12)
    assert polished.trajectory(1.0)["state"].values[0, 0] == pytest.approx(0.9, abs=1e-14)


def test_a_reachable_target_is_reached_bang_bang_and_named():
    grid = on(8, ocdl.ExplicitEuler(30))
    start = needle_start(family("reachable"), grid)
    polished = ocdl.polish(family("reachable"), grid, start)
    assert polished.status is Status.REACHABLE
    assert polished.cost <= 1e-25
    np.testing.assert_allclose(polished.switches["singular_r"], 0.0)
    np.testing.assert_allclose(ocdl.switching_structure(start, negligible=0.999)["singular_r"] > 0.9, True)


@given(width=st.integers(1, 5), seed=st.integers(0, 9999), scale=st.floats(0.5, 2.0))
@settings(max_examples=12)
def test_any_solution_polishes_to_an_extremal_on_its_own_mesh(width, seed, scale):
    generator = np.random.default_rng(seed)
    initial, target = generator.normal(size=(2, width))
    low = generator.uniform(-1.5, -0.1, 2)
    box = ocdl.Box(a=(low[0], low[0] + 1.5), b=(low[1], low[1] + 1.5))
    problem, grid = selection(initial, scale * target, box=box), on(width, ocdl.ExplicitEuler(25))
    polished = ocdl.polish(problem, grid, needle_start(problem, grid))
    assert polished.status in (Status.CONVERGED, Status.REACHABLE)
    judged = polished.solution()
    assert judged.cost == pytest.approx(polished.cost, abs=1e-13)
    assert judged.gap <= 1e-12
    assert judged.feasibility == 0.0
    np.testing.assert_allclose(judged.costate.values, judged.claim["costate"].values, atol=1e-12)


def test_a_start_that_is_no_extremal_is_repaired():
    """From the centre of the box, whose order of switches is wrong, to an extremal that is no worse."""
    problem, grid = family("mixed"), on(8, ocdl.ExplicitEuler(20))
    start = ocdl.solve(problem, grid, ocdl.ProjectedGradient(max_iterations=1), on_failure="return")
    polished = ocdl.polish(problem, grid, start)
    assert polished.status is Status.CONVERGED
    assert polished.gap <= 1e-12


def test_trajectory_solves_the_state_equation_between_the_nodes():
    problem, grid = eight_neurons(), on(8, ocdl.ExplicitEuler(50))
    polished = ocdl.polish(problem, grid, needle_start(problem, grid))
    own = polished.solution()
    begins = own.a["t"].values
    statement = problem.discretise(grid.width)

    def rate(t, f):
        k = np.searchsorted(begins, t, side="right") - 1
        return np.tanh(own.a.values[k] - own.b.values[k] @ (f / 8))

    t = np.linspace(0.0, 1.0, 7)
    f, at = statement.x0[0], 0.0
    trajectory = polished.trajectory(t)
    stops = np.unique(np.concatenate([begins, t]))
    states = {0.0: f}
    for stop in stops[1:]:
        middle = 0.5 * (at + stop)
        f = solve_ivp(lambda _, f, m=middle: rate(m, f), (at, stop), f, method="DOP853", rtol=1e-13, atol=1e-14).y[
            :, -1
        ]
        at, states[stop] = stop, f
    np.testing.assert_allclose(trajectory["state"], [states[s] for s in t], atol=1e-12)
    np.testing.assert_allclose(trajectory["costate"].values[-1], f - np.asarray(statement.data)[0], atol=1e-12)


def test_averaged_over_layers_it_costs_more_and_less_on_finer_layers():
    problem, grid = eight_neurons(), on(8, ocdl.Kutta4(25))
    polished = ocdl.polish(problem, grid, needle_start(problem, grid))
    excess = [polished.solution(on(8, ocdl.Kutta4(n))).cost - polished.cost for n in (10, 40, 160)]
    assert excess[0] > excess[1] > excess[2] > 0.0


def test_the_gradient_is_the_jump_of_the_hamiltonian():
    field = Field(eight_neurons().discretise(ocdl.Midpoint(8)))
    schedule = Schedule(np.ones(8), np.array([0.2, 0.35, 0.61, 0.8]), np.array([1, 4, 1, 7]))
    gradient = field.run(schedule).gradient
    for k in range(4):
        shift = 1e-4 * np.eye(4)[k]
        ahead, behind = (field.run(schedule.at(schedule.depths + sign * shift)).cost for sign in (1, -1))
        assert gradient[k] == pytest.approx((ahead - behind) / 2e-4, abs=1e-7)


def test_the_structure_of_a_solution_lies_within_a_layer_of_the_polished_one():
    grid = on(8, ocdl.Radau(layers=50, degree=3))
    solution = needle_start(eight_neurons(), grid)
    found, exact = ocdl.switching_structure(solution), ocdl.polish(eight_neurons(), grid, solution).switches
    for name in ("function", "neuron", "direction"):
        np.testing.assert_array_equal(found[name], exact[name])
    np.testing.assert_allclose(found["depth"], exact["depth"], atol=0.02)


def test_what_it_cannot_polish_is_said():
    grid = on(4, ocdl.ExplicitEuler(4))
    many = ocdl.solve(network(), grid, ocdl.ProjectedGradient(max_iterations=1), on_failure="return")
    with pytest.raises(NotSupported, match="one sample"):
        ocdl.polish(network(), grid, many)
    problem = family("far")
    start = needle_start(problem, grid)
    with pytest.raises(NotSupported, match="regulariser"):
        ocdl.polish(problem.replace(regulariser=ocdl.Tikhonov(1e-3)), grid, start)
    with pytest.raises(InvalidInput, match="8 neurons"):
        ocdl.polish(problem, on(8, ocdl.ExplicitEuler(4)), start)
    with pytest.raises(InvalidInput, match="grid"):
        ocdl.polish(problem, ocdl.ExplicitEuler(4), start)
    with pytest.raises(InvalidInput, match=r"\[0, 1\]"):
        ocdl.polish(problem, grid, start).trajectory([0.5, 1.5])
    with pytest.raises(InvalidInput, match="negligible"):
        ocdl.switching_structure(start, negligible=-1.0)
