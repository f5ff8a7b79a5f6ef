"""The enclosure holds every state and solution; the lower bound is below every cost, exact where it can be, and tends
to the optimum under refinement.
"""

import tracemalloc

import casadi as ca
import numpy as np
import pytest
from hjb_exact import TWO_NEURON_STARTS, one_neuron_value, reachable_interval, selection
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from ocdl.analysis.reachability.comparison import Comparison
from ocdl.analysis.reachability.ranges import derivative_range, ranges
from ocdl.depth.schemes import Kutta4, Radau
from ocdl.errors import InvalidInput, NotSupported
from ocdl.hjb import LowerBound, ValueIteration, lower_bound, reachable_box
from ocdl.hjb.bounds import subsolution
from ocdl.hjb.bounds.subsolution import Budget, Quadratic, TubeGrid, displacements, march, smoothness, value_bound
from ocdl.nlp import Ipopt
from ocdl.pmp import LBFGSB
from ocdl.referee.outcome import Status
from ocdl.solving.method import Start
from ocdl.solving.solve import solve
from ocdl.statement.activations import ELU, Arctan, CustomActivation, Identity, LeakyReLU, ReLU, Sigmoid, Tanh
from ocdl.statement.bounds import Box
from ocdl.statement.problem import ControlProblem
from ocdl.statement.regularisers import Tikhonov
from ocdl.statement.selection import Grid, SelectionProblem
from ocdl.statement.width import Midpoint
from ocdl.sweeps.sweeper import Sweeper

SMOOTH = [Tanh(), Arctan(), Sigmoid(), CustomActivation(lambda s: s / np.sqrt(1 + s**2), increasing=True)]
KINKED = [ReLU(), LeakyReLU(), ELU()]
BEST_OF_TWO_NEURONS = 0.18427037  # from (0.02, −0.5): IPOPT on 200 layers, the best of seven starts


def boxes(largest=2.0):
    """An interval (lower, upper) around, above or below zero."""
    ends = st.tuples(st.floats(-largest, largest), st.floats(-largest, largest))
    return ends.map(lambda pair: (min(pair), max(pair) + 0.05))


@st.composite
def problems(draw, activations, neurons=3):
    M = draw(st.integers(1, neurons))
    values = st.lists(st.floats(-1.0, 1.0), min_size=M, max_size=M)
    return selection(
        draw(values), draw(values), activation=draw(st.sampled_from(activations)), a=draw(boxes()), b=draw(boxes()),
        horizon=draw(st.sampled_from([0.5, 1.0])),
    )  # fmt: skip


def random_costs(problem, rng, count=40):
    """Costs of random controls, extreme ones and switching ones among them, by the referee's sweeps."""
    sweeper, (lower, upper) = Sweeper(problem, Kutta4(20)), problem.control_box
    for _ in range(count):
        u = rng.uniform(lower, upper, (20, problem.m))
        extreme = rng.random(problem.m) < 0.5
        u = np.where(rng.random() < 0.7, np.where(extreme, lower, upper), u) * np.ones((20, 1))
        k = rng.integers(20)
        u[k:] = np.where(rng.random(problem.m) < 0.5, lower, upper)
        yield sweeper.cost(sweeper.state(u, np.zeros(0)), u, np.zeros(0))


# -- the enclosure -------------------------------------------------------------------------------------


@pytest.mark.parametrize("activation", [*SMOOTH, *KINKED], ids=lambda a: type(a).__name__)
def test_one_neuron_enclosure_is_the_reachable_interval(activation):
    problem = selection(0.5, 1.0, activation=activation, a=(-0.5, 1.5), b=(-0.3, 0.8))
    low, high = reachable_box(problem.velocity_box, problem.x0[0], 1.0)
    exact_low, exact_high = reachable_interval(np.array([0.5]), activation, (-0.5, 1.5), (-0.3, 0.8))
    assert exact_low[0] - 1e-6 < low[0] < exact_low[0] + 1e-10
    assert exact_high[0] - 1e-10 < high[0] < exact_high[0] + 1e-6


def muller(box, x0, horizon):
    """The comparison system, the extreme of every pre-activation sought over corners, by solve_ivp at 1e-12."""
    M = x0.size
    corners = np.array(np.meshgrid(*[[0, 1]] * M, indexing="ij")).reshape(M, -1).T

    def rate(_, y):
        ends, found = y.reshape(2, M), np.empty((2, M))
        least, largest = box.velocities(np.take_along_axis(ends, corners, axis=0))
        for i in range(M):  # over the corners with state i at its own end
            found[0, i] = least[corners[:, i] == 0, i].min()
            found[1, i] = largest[corners[:, i] == 1, i].max()
        return found.ravel()

    solved = solve_ivp(rate, (0.0, horizon), np.tile(x0, 2), method="DOP853", rtol=1e-12, atol=1e-13, max_step=0.02)
    return solved.y[:, -1].reshape(2, M)


@settings(max_examples=25, deadline=None)
@given(problems([*SMOOTH, *KINKED, Identity()]), st.sampled_from([8, 32, 128]))
def test_the_enclosure_holds_the_comparison_system(problem, steps):
    box, x0, T = problem.velocity_box, problem.x0[0], problem.span
    exact = muller(box, x0, T)
    coarse, fine = (Comparison(box).tube(x0, x0, T, n).nodes[:, :, -1] for n in (steps, 4 * steps))
    for low, high in (coarse, fine):
        assert np.all(low <= exact[0] + 1e-11) and np.all(high >= exact[1] - 1e-11)
    excess = [np.max(np.abs(ends - exact)) for ends in (coarse, fine)]
    assert excess[1] < 0.5 * excess[0] + 1e-9


@pytest.mark.parametrize("activation", [Tanh(), Sigmoid(), LeakyReLU()], ids=str)
@pytest.mark.parametrize("start", [(0.5, 0.3), (-0.5, 0.1)])
def test_the_enclosure_is_of_second_order(activation, start):
    problem = selection(start, 1.0, activation=activation, a=(-1, 1.2), b=(-2, 1))
    exact = muller(problem.velocity_box, problem.x0[0], 1.0)
    excess = [
        np.max(np.abs(reachable_box(problem.velocity_box, problem.x0[0], 1.0, n) - exact)) for n in (64, 256, 1024)
    ]
    assert np.all(np.log(np.divide(excess[:-1], excess[1:])) / np.log(4.0) > 1.7)


def test_the_enclosure_holds_at_every_depth():
    problem = selection((0.3, -0.4), 1.0, a=(-0.5, 1.5), b=(-2, 1))
    tube = Comparison(problem.velocity_box).tube(problem.x0[0], problem.x0[0], 1.0, 8)
    for k, depth in enumerate(np.linspace(0.0, 1.0, 33)[1:]):
        low, high = muller(problem.velocity_box, problem.x0[0], depth)
        assert np.all(tube.between[0, :, k // 4] <= low) and np.all(tube.between[1, :, k // 4] >= high)


def test_a_system_that_explodes_is_enclosed_piece_by_piece():
    problem = selection(0.5, 1.0, activation=ReLU(), b=(-1, 1), horizon=10.0)
    low, high = reachable_box(problem.velocity_box, problem.x0[0], 10.0)
    exact = 1.5 * np.exp(10.0) - 1.0
    assert low[0] <= 0.5 and exact <= high[0] < 1.01 * exact


@pytest.mark.parametrize("neurons", [2, 5])
def test_no_control_leaves_the_enclosure(neurons):
    rng = np.random.default_rng(neurons)
    depth = Kutta4(40)
    problem = selection(rng.uniform(-1, 1, neurons), 1.0, a=(-0.5, 1.5), b=(-2, 1))
    low, high = reachable_box(problem.velocity_box, problem.x0[0], 1.0)
    sweeper, (lower, upper) = Sweeper(problem, depth), problem.control_box
    reached = []
    for _ in range(200):
        corner = np.where(rng.random(problem.m) < 0.5, lower, upper)
        u = np.tile(corner, (40, 1))
        u[rng.integers(40) :] = rng.uniform(lower, upper)
        reached.append(sweeper.state(u, np.zeros(0)).x[-1, 0])
    assert np.all(reached >= low - 1e-9) and np.all(reached <= high + 1e-9)


# -- ranges --------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from([*SMOOTH, *KINKED]),
    st.sampled_from([1, 2]),
    st.floats(-4, 4),
    st.floats(1e-6, 3),
    st.floats(0.0, 1.0),
)
def test_a_range_holds_every_value(activation, order, low, size, share):
    x, s = ca.SX.sym("x"), low + share * size
    value = activation(x)
    for _ in range(order):
        value = ca.gradient(value, x)
    least, largest = derivative_range(activation, order)(np.array([low]), np.array([low + size]))
    assert least[0] - 1e-12 <= float(ca.Function("f", [x], [value])(s)) <= largest[0] + 1e-12


def test_ranges_are_sharp_where_every_variable_occurs_once_and_open_where_unknown():
    x, y = ca.SX.sym("x"), ca.SX.sym("y")
    f = ca.Function(
        "f", [x, y], [ca.vertcat(x**2 - y / 2, ca.fabs(x) * y, ca.exp(-x), 1 / y, ca.fmax(x, y), ca.tan(x))]
    )
    found = [
        (float(low), float(high))
        for low, high in ranges(f, (np.array(-1.0), np.array(2.0)), (np.array(1.0), np.array(3.0)))
    ]
    exact = [(-1.5, 3.5), (0.0, 6.0), (np.exp(-2.0), np.e), (1 / 3, 1.0), (1.0, 3.0), (-np.inf, np.inf)]
    np.testing.assert_allclose(found, exact)
    straddling = ranges(ca.Function("g", [x], [1 / x]), (np.array(-1.0), np.array(1.0)))
    assert straddling[0] == (-np.inf, np.inf)


# -- the semiconcave scheme -------------------------------------------------------------------------------


def quadratic(problem, target):
    return Quadratic(
        0.0, np.asarray(problem.state_metric), np.broadcast_to(np.asarray(target, dtype=float), (problem.n,))
    )


@pytest.mark.parametrize("activation", SMOOTH, ids=lambda a: type(a).__name__)
@pytest.mark.parametrize("box", [{}, {"a": (-0.5, 1.5), "b": (-0.3, 0.8)}, {"a": (0.2, 0.6), "b": (-2, -1)}])
@pytest.mark.parametrize("target", [0.4, 2.0, -1.0])
def test_the_scheme_is_below_one_neurons_value_and_converges(activation, box, target):
    problem = selection(0.5, target, activation=activation, **box)
    exact = one_neuron_value(np.array([0.5]), target, activation, *({"a": (-1, 1), "b": (-1, 1)} | box).values())[0]
    args = problem.velocity_box, quadratic(problem, target), problem.x0[0], 1.0
    coarse, fine = (value_bound(*args, nodes)[0] for nodes in (41, 321))
    assert coarse <= exact + 1e-12 and fine <= exact + 1e-12
    assert exact - fine <= 0.35 * (exact - coarse) + 1e-5


def test_the_scheme_is_below_the_separable_value_and_converges():
    a, targets = (-0.6, 1.1), (0.4, 1.9)
    start = np.array([-0.3, 0.2])
    alone = [0.5 * one_neuron_value(start[[i]], targets[i], np.tanh, a, (0, 0))[0] for i in range(2)]
    problem = selection(start, targets, a=a, b=(0, 0))
    bounds = np.array(
        [value_bound(problem.velocity_box, quadratic(problem, targets), start, 1.0, n)[0] for n in (41, 161)]
    )
    assert np.all(bounds <= sum(alone) + 1e-12)
    assert sum(alone) - bounds[1] < 0.4 * (sum(alone) - bounds[0])


def test_two_neurons_converge_to_the_best_known_cost_at_first_order():
    problem = selection((0.02, -0.5), (0.0, 1.2))
    by_box = lower_bound(problem, nodes=9)
    assert by_box.argument == "comparison equations" and by_box.value == pytest.approx(0.171895, abs=1e-6)
    bounds = [lower_bound(problem, nodes=n) for n in (41, 81, 161)]
    excess = [BEST_OF_TWO_NEURONS - float(bound) for bound in bounds]
    assert bounds[-1].argument == "semiconcavity of V, 161 nodes"
    assert 0.0 < excess[2] < 0.65 * excess[1] < 0.65 * 0.65 * excess[0]
    assert excess[0] < 0.5 * (BEST_OF_TWO_NEURONS - by_box.value) and excess[2] < 1e-3
    assert lower_bound(problem) == bounds[1]


def test_three_neurons_beat_the_box():
    problem = selection((0.02, -0.5, 0.3), (0.0, 1.2, 0.5))
    box = lower_bound(problem, nodes=9).value
    value = ValueIteration(nodes=41, depths=[0.0]).value_function(problem)((0.02, -0.5, 0.3))
    assert box + 1e-3 < lower_bound(problem).value < value


def test_lower_values_at_depth_lower_the_bound_and_nothing_else():
    class Noisy(Quadratic):
        def __call__(self, x):
            loss = super().__call__(x)
            return loss + 0.01 * np.random.default_rng(0).random(loss.shape)

    problem = selection((0.02, -0.5), (0.0, 1.2))
    loss = quadratic(problem, (0.0, 1.2))
    noisy = Noisy(loss.lowest - 0.01, loss.curvature, loss.centre)
    exact, less = (march(Comparison(problem.velocity_box), q, problem.x0[0], 1.0, 41, 2) for q in (loss, noisy))
    assert exact - 0.01 - 1e-9 < less < exact - 1e-3


@pytest.mark.parametrize("neurons", [1, 2, 3])
def test_no_control_leaves_the_box_of_a_step(neurons):
    rng = np.random.default_rng(neurons)
    problem = selection(rng.uniform(-0.5, 0.5, neurons), 1.0, a=(-0.7, 1.3), b=(-1.5, 1.0))
    grid = TubeGrid.of(Comparison(problem.velocity_box), problem.x0[0], 1.0, 13, 1)
    moves = displacements(Comparison(problem.velocity_box), grid)
    index = rng.integers([axis.size for axis in grid.axes], size=(100, neurons)).T
    begin = np.stack([axis[i] for axis, i in zip(grid.axes, index, strict=True)], axis=-1)
    inside = np.all((begin >= grid.tube.nodes[0, :, -2]) & (begin <= grid.tube.nodes[1, :, -2]), axis=1)
    index, begin = index[:, inside], begin[inside]
    short = many(begin, np.ones(begin.shape), bounds=Box(a=(-0.7, 1.3), b=(-1.5, 1.0)), horizon=grid.step)
    sweeper, (low, high) = Sweeper(short, Kutta4(4)), short.control_box
    for _ in range(100):
        u = np.where(rng.random((4, short.m)) < 0.5, low, high)
        moved = (sweeper.state(u, np.zeros(0)).x[-1] - begin) / grid.spacing
        assert np.all(moved >= moves[(0, slice(None), *index)]) and np.all(moved <= moves[(1, slice(None), *index)])


@pytest.mark.parametrize("activation", SMOOTH, ids=lambda a: type(a).__name__)
@pytest.mark.parametrize("target", [0.4, 2.0, -1.5])
def test_one_neurons_value_is_as_smooth_as_claimed(activation, target):
    a, b = (-0.5, 1.0), (-1.0, 2.0)
    problem = selection(0.1, target, activation=activation, a=a, b=b)
    grid = TubeGrid.of(Comparison(problem.velocity_box), problem.x0[0], 1.0, 21, 2)
    C, L = (bound[:, 0] for bound in smoothness(Comparison(problem.velocity_box), quadratic(problem, target), grid))
    for k in range(0, grid.steps, 2):
        low, high = grid.tube.nodes[:, 0, k]
        x = np.linspace(low, high, 40)
        x = x[(x > low + grid.spacing[0]) & (x < high - grid.spacing[0])]
        remaining = (grid.steps - k) * grid.step
        V = [one_neuron_value(x + o, target, activation, a, b, remaining) for o in grid.spacing[0] * np.arange(-1, 2)]
        assert np.max(V[0] - 2.0 * V[1] + V[2]) <= C[k] * grid.spacing[0] ** 2 + 1e-9
        assert np.max(np.abs(V[2] - V[1])) <= L[k] * grid.spacing[0] + 1e-9


@pytest.mark.parametrize("neurons", [2, 3])
def test_with_extreme_controls_held_second_differences_are_as_claimed(neurons):
    rng = np.random.default_rng(neurons)
    targets = rng.uniform(-1.0, 2.0, neurons)
    problem = selection(rng.uniform(-0.5, 0.5, neurons), targets, a=(-1.0, 0.9), b=(-0.8, 1.0))
    box, layers = problem.velocity_box, 200
    grid = TubeGrid.of(Comparison(box), problem.x0[0], 1.0, 21, 2)
    C = smoothness(Comparison(box), quadratic(problem, targets), grid)[0][0]
    largest = np.zeros(neurons)
    for _ in range(40):
        f, u = problem.x0[0].copy(), []
        theta = np.sign(rng.standard_normal(neurons))
        for _ in range(layers):
            theta = np.sign(rng.standard_normal(neurons)) if rng.random() < 0.01 else theta
            s = box.preactivations(f)
            a = np.where(theta > 0.0, box.a_upper, box.a_lower)
            b = np.where((f > 0.0) == (theta[:, None] < 0.0), box.b_upper, box.b_lower)
            np.testing.assert_allclose(a - b @ (box.weights * f), np.where(theta > 0.0, s[1], s[0]))
            u.append(np.concatenate([a, b.ravel()]))
            f = f + np.tanh(a - b @ (box.weights * f)) / layers
        f = problem.x0[0] + np.array([-1.0, 0.0, 1.0])[:, None, None] * np.diag(grid.spacing)
        for row in u:
            f = f + np.tanh(row[:neurons] - (box.weights * f) @ row[neurons:].reshape(neurons, -1).T) / layers
        ends = 0.5 * np.sum(box.weights * (f - targets) ** 2, axis=-1)
        largest = np.maximum(largest, (ends[0] - 2.0 * ends[1] + ends[2]) / grid.spacing**2)
    assert np.all(largest <= C) and np.all(largest > 0.1 * C)


# -- the bound ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("activation", [*SMOOTH, *KINKED], ids=lambda a: type(a).__name__)
@pytest.mark.parametrize("target", [0.4, 2.0, -1.0])
def test_the_bound_is_exact_for_one_neuron(activation, target):
    exact = one_neuron_value(np.array([0.5]), target, activation, (-1, 1), (-1, 1))[0]
    bound = lower_bound(selection(0.5, target, activation=activation)).value
    assert bound <= exact + 1e-12
    assert bound == pytest.approx(exact, abs=4e-6 if activation in KINKED else 1e-6)


def test_the_bound_is_exact_when_one_control_is_best_for_all():
    """Positive states, targets above reach: a = a⁺, b = b⁻ throughout is optimal, and both neurons move alike."""
    exact = one_neuron_value(np.array([0.5]), 3.0, np.tanh, (-1, 1), (-1, 1))[0]
    assert lower_bound(selection((0.5, 0.5), 3.0)).value == pytest.approx(exact, abs=1e-6)


@pytest.mark.parametrize("start", TWO_NEURON_STARTS)
def test_the_bound_is_below_the_value(start):
    problem = selection(start, (0.0, 1.2))
    value = ValueIteration(nodes=161, depths=[0.0]).value_function(problem)(start)
    assert 0.5 * value < lower_bound(problem).value < value


@settings(max_examples=20, deadline=None)
@given(problems([*SMOOTH, *KINKED]), st.integers(0, 2**32 - 1))
def test_no_control_costs_less_than_the_bound(problem, seed):
    bound = lower_bound(problem, nodes=None if problem.n < 3 else 11).value
    assert bound <= min(random_costs(problem, np.random.default_rng(seed))) + 1e-7


def many(starts, targets, **more):
    base = {"activation": Tanh(), "horizon": 1.0, "bounds": Box(a=(-1, 1), b=(-1, 1))} | more
    starts = np.atleast_2d(starts)
    return SelectionProblem(initial=starts, target=np.atleast_2d(targets), **base).discretise(Midpoint(starts.shape[1]))


def test_samples_that_do_not_conflict_have_an_exact_bound():
    exact = one_neuron_value(np.array([0.5, 0.8]), 3.0, np.tanh, (-1, 1), (-1, 1))
    bound = lower_bound(many([[0.5], [0.8]], [[3.0], [3.0]], weights=[1.0, 3.0]))
    assert bound.value == pytest.approx(exact @ [0.25, 0.75], abs=1e-6)
    assert bound.argument == "comparison equations; every sample alone"


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_no_control_costs_several_samples_less(seed):
    rng = np.random.default_rng(seed)
    problem = many(rng.uniform(-1, 1, (3, 2)), rng.uniform(-1, 1, (3, 2)), weights=rng.uniform(0.5, 2.0, 3))
    assert lower_bound(problem, nodes=21).value <= min(random_costs(problem, rng)) + 1e-9


def test_the_best_of_several_local_optima_of_conflicting_samples_is_above_the_bound():
    """One neuron is to rise from 0.5 and to fall from 0.3, both out of reach: no control serves both."""
    problem = SelectionProblem(
        activation=Tanh(), horizon=1.0, initial=[[0.5], [0.3]], target=[[2.0], [-2.0]], bounds=Box(a=(-1, 1), b=(-1, 1))
    )
    grid = Grid(width=Midpoint(1), depth=Radau(layers=20, degree=2))
    best = min(solve(problem, grid, Ipopt(), seed=seed, on_failure="return").cost for seed in range(3))
    assert 0.1 < lower_bound(problem.discretise(Midpoint(1))).value < best


def test_a_regulariser_and_bounds_on_states_on_the_way_are_left_out():
    plain = lower_bound(selection((0.1, 0.2), 1.5), nodes=21)
    assert plain.value > 0.09
    assert lower_bound(selection((0.1, 0.2), 1.5, regulariser=Tikhonov(0.1)), nodes=21) == plain
    box = Box(a=(-1, 1), b=(-1, 1), f=(-2, lambda t: 0.3 if t < 1.0 else 3.0))
    assert lower_bound(many([[0.1, 0.2]], [[1.5, 1.5]], bounds=box), nodes=21) == plain


def changed(problem, **more):
    kept = ("dynamics", "lift", "initial", "horizon", "bounds", "terminal", "data", "velocity_box", "weights")
    return ControlProblem(**{name: getattr(problem, name) for name in kept} | {"controls": problem.m} | more)


def test_running_costs_enter_by_their_least_value():
    base = selection((0.1, 0.2), 1.5, horizon=0.5)
    plain = lower_bound(base, nodes=21).value
    effort = lower_bound(changed(base, effort=lambda u: 2.0 * u[0] + u[1] ** 2), nodes=21).value
    assert effort == pytest.approx(plain - 0.5 * 2.0)
    running = changed(base, running=lambda x, u: ca.fabs(x[0]) - 3.0 * u[3], effort=lambda t: t)
    assert lower_bound(running, nodes=21).value == pytest.approx(plain - 0.5 * 3.0)
    far = changed(base, running=lambda x: -x[0])
    assert (
        plain - 0.5 * reachable_box(base.velocity_box, base.x0[0], 0.5)[1][0] >= lower_bound(far, nodes=21).value - 1e-9
    )
    with pytest.raises(NotSupported, match="running cost"):
        lower_bound(changed(base, running=lambda x: ca.tan(x[0])))


def test_what_has_no_proven_bound_is_named():
    base = selection((0.1, 0.2), 1.0)
    with pytest.raises(NotSupported, match="separable"):
        lower_bound(changed(base, terminal=lambda x: x[0] * x[1]))
    with pytest.raises(NotSupported, match="selection problem"):
        lower_bound(ControlProblem(dynamics=lambda u: u, initial=[0.0], horizon=1.0))
    with pytest.raises(InvalidInput, match="at least 9"):
        lower_bound(base, nodes=3)
    for nodes in (41, 10**400):
        with pytest.raises(InvalidInput, match="fewer nodes"):
            lower_bound(selection(np.zeros(5), 1.0), nodes=nodes)


def test_bounds_on_states_at_the_end_count():
    """The first neuron is capped at 0.8 on its way to 1.5, the second reaches its target: ½ · ½ · 0.7²."""
    statement = SelectionProblem(
        activation=Tanh(), horizon=1.0, initial=[0.2, -0.3], target=[1.5, 0.4],
        bounds=Box(a=(-1, 1), b=(-1, 1), f=(-0.5, 0.8)),
    )  # fmt: skip
    free = statement.replace(bounds=Box(a=(-1, 1), b=(-1, 1)))
    bounds = [lower_bound(each.discretise(Midpoint(2))).value for each in (statement, free)]
    assert bounds[0] == pytest.approx(0.1225, abs=1e-9)
    assert bounds[1] < 0.1


# -- what it may cost, and what it is worth ----------------------------------------------------------------


def rolled_out(problem, **options):
    start = Start(np.zeros((8, problem.m)), np.zeros(0))
    return ValueIteration(**{"nodes": 9} | options).solve(problem, Kutta4(8), start)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("neurons", "horizon"), [(2, 4.0), (3, 4.0), (2, 20.0), (3, 20.0), (1, 200.0)])
def test_states_that_spread_beyond_any_grid_leave_the_comparison_equations(neurons, horizon):
    """Identity, M = 3, T = 4 would take a grid of 1e9 nodes; V and its rollout must survive the bound."""
    problem = selection(np.linspace(-0.3, 0.5, neurons), 2.0, activation=Identity(), horizon=horizon)
    bound = lower_bound(problem, nodes=None if (neurons, horizon) != (2, 4.0) else 21, memory_limit=1e8)
    assert bound == LowerBound(0.0, "comparison equations", 0.0) and not bound.says_more


def test_a_finished_solve_survives_a_bound_beyond_any_grid():
    outcome = rolled_out(selection((-0.3, 0.1, 0.5), 2.0, activation=Identity(), horizon=4.0), steps=4)
    assert outcome.status is Status.ROLLED_OUT
    assert "lower_bound" not in outcome.claim and "at least" not in outcome.detail


@pytest.mark.parametrize(
    ("stop", "status", "said"),
    [
        (KeyboardInterrupt, Status.INTERRUPTED, "Interrupted before a lower bound"),
        (MemoryError, Status.ROLLED_OUT, "half the resolution"),
    ],
)
def test_a_finished_solve_survives_an_interrupted_bound(monkeypatch, stop, status, said):
    calls = []

    def stopped(*given):
        calls.append(given)
        raise stop

    monkeypatch.setattr(subsolution, "displacements", stopped)
    problem = selection((0.05, 0.2), (0.0, 1.2))
    outcome = rolled_out(problem)
    assert calls and outcome.status is status and said in outcome.detail
    assert {"cost", "value_error", "costate"} == set(outcome.claim)
    assert "value" in outcome.extras and outcome.u.shape == (8, problem.m)


def test_the_memory_is_known_before_it_is_taken(monkeypatch):
    asked, check = [], Budget.check

    def recorded(self, arrays, entries, visits=0.0):
        asked.append(8.0 * arrays * entries)
        return check(self, arrays, entries, visits)

    monkeypatch.setattr(Budget, "check", recorded)
    for neurons, activation, nodes, cells in ((2, Tanh(), 81, 1), (2, Identity(), 41, 4), (3, Tanh(), 15, 2)):
        problem = selection(np.linspace(-0.3, 0.5, neurons), 1.0, activation=activation)
        given = Comparison(problem.velocity_box), quadratic(problem, 1.0), problem.x0[0], 1.0, nodes, cells
        march(*given)
        tracemalloc.start()
        march(*given)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert 0.4 * asked[-1] < peak < 1.1 * asked[-1]
        with pytest.raises(NotSupported, match="more than"):
            march(*given, Budget(memory=0.5 * peak))
        with pytest.raises(NotSupported, match="operations"):
            march(*given, Budget(work=1e4))


def test_where_the_full_grid_is_too_much_half_of_it_serves():
    problem = selection((0.02, -0.5), (0.0, 1.2))
    args = problem.velocity_box, quadratic(problem, (0.0, 1.2)), problem.x0[0], 1.0
    half = value_bound(*args, 81, Budget(memory=1.5e6))
    assert half == (max(march(Comparison(args[0]), *args[1:], 40, cells) for cells in (1, 2, 4)), 40)
    assert half[0] < value_bound(*args, 81)[0] and value_bound(*args, 81)[1] == 81
    assert value_bound(*args, 81, Budget(memory=1e4))[0] == -np.inf


def test_a_bound_that_the_loss_alone_says_is_no_proof():
    """J ≥ 0 needs none, with a regulariser or a reachable target; one that is out of reach is worth printing."""
    near, far = (rolled_out(selection((0.1, 0.2), c, regulariser=Tikhonov(0.1)), steps=4) for c in (0.3, 2.5))
    assert "lower_bound" not in near.claim and "at least" not in near.detail
    assert far.claim["lower_bound"] > 0.1 and "Every cost is at least" in far.detail
    offset = changed(selection((0.1, 0.2), 0.3), effort=lambda u: 2.0 + u[0])
    assert lower_bound(offset, nodes=9).trivial == pytest.approx(1.0) and not lower_bound(offset, nodes=9).says_more


@pytest.mark.parametrize("seed", range(12))
def test_no_cost_that_a_local_method_attains_is_below_the_bound(seed):
    """Random problems of one and two neurons and one to three samples, with and without a regulariser."""
    rng = np.random.default_rng(seed)
    neurons, samples = 1 + seed % 2, 1 + seed % 3
    ends = np.sort(rng.uniform(-1.5, 1.5, (2, 2)), axis=1)
    problem = many(
        rng.uniform(-1, 1, (samples, neurons)),
        rng.uniform(-2, 2, (samples, neurons)),
        activation=[*SMOOTH, *KINKED, Identity()][seed % 8],
        bounds=Box(a=tuple(ends[0]), b=tuple(ends[1])),
        weights=rng.uniform(0.5, 2.0, samples),
        regulariser=Tikhonov(0.05) if seed % 4 == 3 else None,
    )
    depth = Kutta4(8)
    outcome = LBFGSB(max_iterations=40).solve(
        problem, depth, Start(np.full((8, problem.m), 0.1).clip(*problem.control_box), np.zeros(0))
    )
    sweeper = Sweeper(problem, depth)
    cost = sweeper.cost(sweeper.state(outcome.u, outcome.p), outcome.u, outcome.p)
    bound = lower_bound(problem, nodes=21)
    assert bound.trivial <= bound.value <= cost + 1e-6 * abs(cost)
