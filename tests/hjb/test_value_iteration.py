"""Value iteration against the exact cases: one neuron, b ≡ 0, the diagonal, the scalar flow; and its contract."""

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hjb_exact import TWO_NEURON_STARTS, errors, one_neuron_value, reachable_interval, selection

import ocdl.hjb.schemes.split as split
from ocdl.comparison.compare import compare
from ocdl.depth.schemes import ExplicitEuler, Kutta4, Radau
from ocdl.errors import InvalidInput, NotSupported
from ocdl.hjb import ValueFunction, ValueIteration
from ocdl.hjb.grids.sweeps import numba_available
from ocdl.referee.outcome import Status
from ocdl.solving.method import Start
from ocdl.statement.activations import Arctan, CustomActivation, LeakyReLU, ReLU, Sigmoid, Tanh
from ocdl.statement.bounds import Box
from ocdl.statement.losses import Readout
from ocdl.statement.problem import ControlProblem
from ocdl.statement.regularisers import Tikhonov
from ocdl.statement.selection import Grid, SelectionProblem
from ocdl.statement.width import Midpoint
from ocdl.sweeps.sweeper import Sweeper

SYMMETRIC, SKEW = ((-1, 1), (-1, 1)), ((-0.5, 1.5), (-0.3, 0.8))
ONE_NEURON = [
    (Tanh(), *SYMMETRIC), (Arctan(), *SYMMETRIC), (Sigmoid(), *SYMMETRIC), (ReLU(), *SYMMETRIC),
    (LeakyReLU(0.1), *SYMMETRIC), (Tanh(), *SKEW), (Arctan(), *SKEW), (ReLU(), *SKEW),
]  # fmt: skip


def solved(problem, depth, **options):
    start = Start(np.zeros((depth.count, problem.m)), np.zeros(0))
    return ValueIteration(**options).solve(problem, depth, start)


def judged(problem, depth, outcome):
    sweeper = Sweeper(problem, depth)
    trajectory = sweeper.state(outcome.u, outcome.p)
    return sweeper.cost(trajectory, outcome.u, outcome.p), sweeper.costate(trajectory, outcome.u, outcome.p).costate


# -- one neuron --------------------------------------------------------------------------------------


def test_the_exact_reference_is_the_published_interval():
    low, high = reachable_interval(np.array([0.5]), np.tanh, (-1, 1), (-1, 1))
    assert low[0] == pytest.approx(-0.3323975739639906, abs=1e-11)
    assert high[0] == pytest.approx(1.4563111674757971, abs=1e-11)


@pytest.mark.parametrize("target", [0.4, 2.0, -1.0])
@pytest.mark.parametrize(("activation", "a", "b"), ONE_NEURON, ids=str)
def test_one_neuron_is_half_the_squared_distance(activation, a, b, target):
    f = np.linspace(-1.2, 1.2, 81)
    low, high = reachable_interval(f, activation, a, b)
    domain = (min(f[0], low.min()) - 0.2, max(f[-1], high.max()) + 0.2)
    value = ValueIteration(domain=domain).value_function(selection(0.5, target, activation=activation, a=a, b=b))
    sup, mean = errors(value(f[:, None]), one_neuron_value(f, target, activation, a, b))
    assert sup < 2e-4
    assert mean < 1e-5


@pytest.mark.parametrize("target", [0.4, 2.0, -1.0])
def test_one_neuron_from_its_initial_state_on_the_automatic_domain(target):
    value = ValueIteration().value_function(selection(0.5, target))
    exact = one_neuron_value(np.array([0.5]), target, np.tanh, (-1, 1), (-1, 1))
    assert value([0.5]) == pytest.approx(exact[0], abs=1e-6)


# -- several neurons ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("neurons", "nodes", "tolerance"), [(2, 161, 5e-4), (3, 61, 1.2e-3), (4, 21, 6e-3)])
def test_the_diagonal_is_the_one_neuron_value(neurons, nodes, tolerance):
    problem = selection(np.zeros(neurons), 3.0)
    value = ValueIteration(nodes=nodes, domain=(-2.5, 2.5), depths=[0.0]).value_function(problem)
    f = value.grid.axes[0][np.abs(value.grid.axes[0]) <= 1.2]
    on_diagonal = value(np.repeat(f[:, None], neurons, axis=1))
    assert errors(on_diagonal, one_neuron_value(f, 3.0, np.tanh, (-1, 1), (-1, 1)))[0] < tolerance


def test_without_interaction_the_axes_separate():
    a, target = (-0.6, 1.1), np.array([0.4, -0.3])
    value = ValueIteration(domain=(-2.5, 2.5)).value_function(selection((0.1, 0.2), target, a=a, b=(0, 0)))
    f = np.linspace(-1.25, 1.25, 81)  # nodes
    alone = [0.5 * one_neuron_value(f, c, np.tanh, a, (0, 0)) for c in target]
    states = np.stack(np.meshgrid(f, f, indexing="ij"), axis=-1)
    assert errors(value(states), alone[0][:, None] + alone[1])[0] < 2.5e-4


@pytest.mark.parametrize(
    ("neurons", "nodes", "tolerance"), [(1, 641, 1e-7), (2, 81, 1e-5), (3, 31, 1e-3), (4, 21, 1e-3)]
)
def test_a_cost_of_the_mean_modulus_has_one_scalar_flow(neurons, nodes, tolerance):
    """Box ±1, J = ½ (mean|f| − s)²: mean|f| grows at most at the rate tanh(1 + mean|f|); V has kinks at f_i = 0."""
    base = selection(np.full(neurons, 0.3), 0.0)
    goal = 2.5
    problem = ControlProblem(
        dynamics=base.dynamics, lift=base.lift, initial=base.initial, horizon=1.0, controls=base.m, bounds=base.bounds,
        terminal=lambda x: 0.5 * (sum(np.fabs(x[i]) for i in range(neurons)) / neurons - goal) ** 2,
        state_metric=base.state_metric, layout=base.layout, velocity_box=base.velocity_box,
    )  # fmt: skip
    value = ValueIteration(nodes=nodes, domain=(-2.5, 2.5), depths=[0.0]).value_function(problem)
    inner = np.all(np.abs(value.grid.states()) <= 1.2, axis=-1)
    modulus = np.abs(value.grid.states()[inner]).mean(axis=-1)
    exact = one_neuron_value(modulus, goal, np.tanh, (-1, 1), (-1, 1))
    assert errors(value.values[0][inner], exact)[0] < tolerance


# -- orders ------------------------------------------------------------------------------------------


def observed_orders(measured):
    return np.log2(np.array(measured[:-1]) / np.array(measured[1:]))


def one_neuron_errors(nodes, **options):
    value = ValueIteration(nodes=nodes, domain=(-2.5, 2.5), **options).value_function(selection(0.5, 0.4))
    f = value.grid.axes[0][np.abs(value.grid.axes[0]) <= 1.5]
    return errors(value(f[:, None]), one_neuron_value(f, 0.4, np.tanh, (-1, 1), (-1, 1)))


def test_observed_orders_across_the_plateau():
    sup, mean = zip(*(one_neuron_errors(n) for n in (81, 161, 321, 641)), strict=True)
    assert np.log2(sup[0] / sup[-1]) / 3 >= 1.5  # mean over three halvings
    assert np.log2(mean[0] / mean[-1]) / 3 >= 1.8


def test_the_linear_scheme_is_first_order_and_above_the_value():
    sup = [one_neuron_errors(n, scheme="linear")[0] for n in (161, 321, 641)]
    assert np.all(observed_orders(sup) > 0.9)


def test_smooth_data_shows_second_order_of_the_splitting():
    """M = 2, targets above reach, positive states: V is smooth; the diagonal is exact."""

    def error(nodes):
        problem = selection((0.5, 0.5), 4.0)
        value = ValueIteration(nodes=nodes, domain=(0.0, 2.5), depths=[0.0]).value_function(problem)
        f = np.linspace(0.2, 0.6, 9)
        exact = one_neuron_value(f, 4.0, np.tanh, (-1, 1), (-1, 1))
        return errors(value(np.stack([f, f], axis=1)), exact)[0]

    assert np.all(observed_orders([error(n) for n in (41, 81, 161)]) > 1.8)


# -- the second scheme ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scheme", "sup_order", "mean_order"),
    [("upwind", 0.7, 0.8), ("upwind-weno3", 1.0, 1.5), ("upwind-weno5", 1.2, 1.8)],
)
def test_upwind_schemes_converge_to_the_exact_value(scheme, sup_order, mean_order):
    sup, mean = zip(*(one_neuron_errors(n, scheme=scheme) for n in (81, 161, 321)), strict=True)
    assert np.log2(sup[0] / sup[-1]) / 2 >= sup_order
    assert np.log2(mean[0] / mean[-1]) / 2 >= mean_order


def test_the_two_schemes_agree_on_two_neurons():
    problem = selection((0.05, 0.2), (0.0, 1.2))
    tables = [
        ValueIteration(nodes=81, scheme=s, depths=[0.0]).value_function(problem) for s in ("weno", "upwind-weno5")
    ]
    states = np.random.default_rng(3).uniform(-0.2, 0.3, (50, 2))
    assert np.abs(tables[0](states) - tables[1](states)).max() < 1e-3


# -- gradient, feedback, rollouts -----------------------------------------------------------------------


def test_gradient_has_the_sign_and_size_of_the_derivative():
    target, step = 2.5, 1e-4
    value = ValueIteration(domain=(-3, 3)).value_function(selection(0.5, target))
    f = np.linspace(-1.0, 1.0, 41) + 0.013
    up, down = (one_neuron_value(f + s, target, np.tanh, (-1, 1), (-1, 1)) for s in (step, -step))
    exact = (up - down) / (2 * step)
    gradient = value.gradient(f[:, None])[:, 0]
    assert np.all(gradient[f > 0] < 0.0)
    assert errors(gradient, exact)[0] < 2e-3


def test_costate_is_the_gradient_divided_by_the_width_weights():
    value = ValueIteration(nodes=41).value_function(selection((0.1, 0.4), (1.0, 1.2)))
    assert np.allclose(value.costate([0.1, 0.4]), 2.0 * value.gradient([0.1, 0.4]), rtol=1e-14)


@pytest.mark.parametrize("start", TWO_NEURON_STARTS)
def test_two_neurons_value_rollout_and_claim_agree(start):
    problem, depth = selection(start, (0.0, 1.2)), Radau(layers=50, degree=3)
    outcome = solved(problem, depth)
    cost, costate = judged(problem, depth, outcome)
    assert outcome.status is Status.ROLLED_OUT
    assert abs(outcome.claim["cost"] - cost) < 5e-5
    assert outcome.claim["costate"].shape == costate.shape == (51, 1, 2)
    assert np.abs(outcome.claim["costate"] - costate).max() < 1e-2


@pytest.mark.parametrize("depth", [ExplicitEuler(20), Kutta4(20), Radau([0.3, 0.1, 0.2, 0.4], degree=2)], ids=str)
def test_the_rollout_on_any_depth_scheme_respects_the_box(depth):
    problem = selection((0.05, 0.2), (0.0, 1.2))
    outcome = solved(problem, depth, nodes=61)
    low, high = problem.control_box
    assert outcome.u.shape == (depth.count, problem.m)
    assert np.all((outcome.u >= low - 1e-15) & (outcome.u <= high + 1e-15))
    assert judged(problem, depth, outcome)[0] < 0.02 < problem.terminal_loss(np.array([0.05, 0.2]))


def test_a_reachable_target_is_reached_by_lookahead():
    problem, depth = selection((0.3, -0.2), (0.1, 0.2)), Kutta4(40)
    assert judged(problem, depth, solved(problem, depth))[0] < 1e-7


@pytest.mark.parametrize("feedback", ["lookahead", "sign"])
def test_closed_loop_rollouts_of_many_states_cost_what_the_value_says(feedback):
    value = ValueIteration(domain=(-2.5, 2.5)).value_function(selection((0.1, 0.2), (0.4, -0.3)))
    states = np.random.default_rng(1).uniform(-1.2, 1.2, (4, 12, 2))
    rollout = value.rollout(states, steps=50, feedback=feedback)
    assert (
        rollout.x.shape == (51, 4, 12, 2) and rollout.a.shape == (50, 4, 12, 2) and rollout.b.shape == (50, 4, 12, 2, 2)
    )
    excess = rollout.cost - value(states)
    assert excess.min() > -2.5e-4
    assert excess.mean() < {"lookahead": 4e-5, "sign": 2e-4}[feedback]


def test_queries_broadcast_over_states_and_depths():
    value = ValueIteration(nodes=41).value_function(selection((0.1, 0.4), (1.0, 1.2)))
    a, b = value.controls(np.full((3, 1, 2), 0.2), np.array([0.0, 0.5]))
    assert a.shape == (3, 2, 2) and b.shape == (3, 2, 2, 2)
    assert np.all(a == 1.0) and np.all(b == -1.0)
    assert value(np.full((3, 1, 2), 0.2), np.array([0.0, 0.5])).shape == (3, 2)
    assert value([0.2, 0.3], 1.0) == pytest.approx(value.problem.terminal_loss(np.array([0.2, 0.3])), abs=1e-5)


def test_the_table_rebuilds_the_value_function():
    problem = selection((0.05, 0.2), (0.0, 1.2))
    outcome = solved(problem, Kutta4(10), nodes=41)
    array = outcome.extras["value"]
    assert array.dims == ("t", "f0", "f1") and float(array.t[0]) == 0.0 and float(array.t[-1]) == 1.0
    assert {"scheme", "nodes", "kernels", "memory"} <= set(array.attrs)
    again = ValueFunction.from_array(array, problem)
    fresh = ValueIteration(nodes=41).value_function(problem)
    assert np.array_equal(again([0.1, 0.1], 0.3), fresh([0.1, 0.1], 0.3))
    with pytest.raises(InvalidInput, match="dimensions"):
        ValueFunction.from_array(xr.DataArray(np.zeros((3, 3)), dims=("t", "f0")), problem)


def test_reprs_are_short():
    method, problem = ValueIteration(nodes=21), selection((0.05, 0.2), (0.0, 1.2))
    value = method.value_function(problem)
    for shown in (value, value.grid, method.plan(problem), value.rollout([0.0, 0.1], steps=4)):
        assert len(repr(shown)) < 160
    assert "21 × 21 nodes" in repr(value) and "21 × 21 nodes" in repr(method.plan(problem))


@pytest.mark.parametrize(("neurons", "nodes"), [(1, 161), (2, 41), (3, 21)])
def test_the_error_estimate_bounds_the_error_on_the_diagonal(neurons, nodes):
    problem = selection(np.zeros(neurons), 3.0)
    value = ValueIteration(nodes=nodes, domain=(-2.5, 2.5)).value_function(problem)
    f = np.linspace(-1.2, 1.2, 25)
    diagonal = np.repeat(f[:, None], neurons, axis=1)
    exact = one_neuron_value(f, 3.0, np.tanh, (-1, 1), (-1, 1))
    assert np.abs(value(diagonal) - exact).max() < value.error(diagonal).max()
    assert value.coarse.grid.nodes <= (nodes // 2 + 2) ** neurons


@pytest.mark.parametrize("start", TWO_NEURON_STARTS[:1])
def test_the_claim_holds_error_and_lower_bound(start):
    outcome = solved(selection(start, (0.0, 1.2)), Kutta4(10), nodes=61)
    value = ValueIteration(nodes=161).value_function(selection(start, (0.0, 1.2)))
    assert abs(outcome.claim["cost"] - value(start)) < outcome.claim["value_error"] < 2e-2
    assert 0.0 <= outcome.claim["lower_bound"] <= value(start)
    assert {"cost", "value_error", "lower_bound"} <= set(outcome.extras["value"].attrs)


def test_a_comparison_prints_the_optimality_gap():
    base = {"activation": Tanh(), "horizon": 1.0, "bounds": Box(a=(-1, 1), b=(-1, 1))}
    problem = SelectionProblem(initial=[0.1, -0.2], target=[0.0, 1.2], **base)
    comparison = compare(problem, Grid(width=Midpoint(2), depth=Kutta4(10)), [ValueIteration(nodes=41)])
    bound = comparison.best.claim["lower_bound"]
    assert 0.0 < bound < comparison.best.cost
    assert f"bounds every cost from below by {bound:.8g}" in " ".join(comparison.findings())
    assert f"optimality gap of ValueIteration's cost: at most {comparison.best.cost - bound:.2g}" in str(
        " ".join(comparison.findings())
    )


NODES = (41, 81, 161, 321)
KINKED = np.stack(np.meshgrid(*[np.linspace(-1.25, 1.25, 41)] * 2, indexing="ij"), axis=-1)


def kinked_values(problem, nodes):
    return ValueIteration(nodes=nodes, domain=(-2.5, 2.5), depths=[0.0]).value_function(problem)(KINKED)


def mean_orders(problem, reference, nodes=NODES):
    """Observed orders of the sup and the mean error over the halvings."""
    sup, mean = zip(*(errors(kinked_values(problem, n), reference) for n in nodes), strict=True)
    return np.log2(sup[0] / sup[-1]) / (len(nodes) - 1), np.log2(mean[0] / mean[-1]) / (len(nodes) - 1)


@pytest.mark.parametrize("target", [(0.4, -0.3), (0.37, -0.27), (0.81, 0.57)], ids=str)
def test_without_interaction_two_neurons_converge_across_their_kinks(target):
    a = (-0.6, 1.1)
    alone = [0.5 * one_neuron_value(KINKED[:, 0, 0], c, np.tanh, a, (0, 0)) for c in target]
    sup, mean = mean_orders(selection((0.1, 0.2), target, a=a, b=(0, 0)), alone[0][:, None] + alone[1])
    assert sup >= 1.5
    assert mean >= 1.8


@pytest.mark.skipif(not numba_available(), reason="26 million nodes and steps")
def test_two_neurons_converge_across_their_kinks():
    problem = selection((0.1, 0.2), (0.8, 0.6))
    sup, mean = mean_orders(problem, kinked_values(problem, 641), NODES[:3])  # four times as fine as the finest
    assert sup >= 1.5
    assert mean >= 1.8


def test_no_undershoot_spreads_over_a_plateau():
    """V = 0 where the target is reachable: an interpolant below zero at the edge would be found by the minimum."""
    problem = selection((0.1, 0.2), (0.4, -0.3))
    value = ValueIteration(nodes=81, domain=(-2.5, 2.5), depths=[0.0]).value_function(problem)
    assert value.values[0].min() > -1e-6
    assert value([0.4, -0.3]) < 1e-5


def test_only_the_depths_asked_for_are_kept():
    problem = selection((0.05, 0.2), (0.0, 1.2))
    sparse = ValueIteration(nodes=41, depths=[0.5]).value_function(problem)
    full = ValueIteration(nodes=41).value_function(problem)
    assert len(sparse.t) == 3 and sparse.t[1] == pytest.approx(0.5, abs=0.06)
    assert np.array_equal(sparse.values[0], full.values[0])


# -- kernels, memory, checkpoints -------------------------------------------------------------------------


@pytest.mark.skipif(not numba_available(), reason="numba is not installed")
@pytest.mark.parametrize("scheme", ["weno", "linear"])
@pytest.mark.parametrize("neurons", [1, 2, 3])
def test_both_kernels_give_the_same_answer(neurons, scheme):
    problem = selection(np.linspace(-0.3, 0.5, neurons), 0.8)
    tables = [
        ValueIteration(nodes=25, kernels=kernels, scheme=scheme).value_function(problem).values
        for kernels in ("numpy", "numba")
    ]
    assert np.abs(tables[0] - tables[1]).max() < 1e-13


def test_the_plan_states_the_memory_and_refuses_what_does_not_fit():
    problem = selection(np.zeros(3), 1.0)
    plan = ValueIteration(nodes=21).plan(problem)
    assert plan.memory == 8 * 21**3 * (2 + 2 * 3 + len(plan.stored))
    bounded = ValueIteration(nodes=21, memory_limit=8 * 21**3 * 11).plan(problem)
    assert bounded.memory <= 8 * 21**3 * 11 and bounded.stored[0] == 0 and bounded.stored[-1] == bounded.steps
    with pytest.raises(NotSupported, match=r"1001 nodes.*80\.2 GB.*nodes per axis fit"):
        ValueIteration(nodes=1001).plan(problem)
    with pytest.raises(NotSupported, match=r"10 axes.*NLP or PMP"):
        ValueIteration().plan(selection(np.zeros(10), 1.0))


class Stop:
    """A sweep that is interrupted after a number of calls."""

    def __init__(self, calls):
        self.calls, self.sweep = calls, split.sweep

    def __call__(self, *args, **options):
        if self.calls == 0:
            raise KeyboardInterrupt
        self.calls -= 1
        self.sweep(*args, **options)


@pytest.mark.parametrize("calls", [0, 1, 7])
def test_an_interrupted_run_resumes_bit_identically(tmp_path, monkeypatch, calls):
    problem, depth = selection((0.05, 0.2), (0.0, 1.2)), Kutta4(3)
    path = tmp_path / "run.npz"
    whole = solved(problem, depth, nodes=41)
    with monkeypatch.context() as patch:
        patch.setattr(split, "sweep", Stop(calls))
        stopped = solved(problem, depth, nodes=41, checkpoint=path)
    assert stopped.status is Status.INTERRUPTED
    assert np.array_equal(stopped.extras["value"], whole.extras["value"][-stopped.extras["value"].sizes["t"] :])
    resumed = solved(problem, depth, nodes=41, checkpoint=path)
    assert np.array_equal(resumed.extras["value"], whole.extras["value"])
    assert np.array_equal(resumed.u, whole.u)
    monkeypatch.setattr(split, "sweep", Stop(0))
    again = solved(problem, depth, nodes=41, checkpoint=path)  # stopped where its error is estimated
    assert again.status is Status.INTERRUPTED and np.array_equal(again.u, whole.u)
    assert again.claim["cost"] == whole.claim["cost"] and "value_error" not in again.claim


KILLED = """
import os, signal, sys
sys.path.insert(0, {folder!r})
from hjb_exact import selection
from ocdl.hjb import ValueIteration
from ocdl.hjb.schemes.{module} import {scheme}

advance = {scheme}.advance
def deadly(self, value, done):
    if done == {steps}:
        os.kill(os.getpid(), signal.SIGKILL)
    return advance(self, value, done)
{scheme}.advance = deadly
method = ValueIteration(**{options}, checkpoint={path!r}, checkpoint_seconds=1e-9)
method.value_function(selection((0.05, 0.2), (0.0, 1.2)))
"""


@pytest.mark.parametrize(
    ("options", "module", "scheme", "steps"),
    [
        ({"nodes": 41}, "split", "SplitFlow", 3),
        ({"nodes": 11, "steps": 8, "scheme": "general"}, "general", "General", 5),
    ],
    ids=["split", "general"],
)
def test_a_killed_process_loses_nothing(tmp_path, options, module, scheme, steps):
    """SIGKILL in the middle of a step; a half-written file beside the checkpoint does no harm."""
    path = tmp_path / "run.npz"
    script = KILLED.format(
        folder=str(Path(__file__).parent), path=str(path), options=options, module=module, scheme=scheme, steps=steps
    )
    child = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert child.returncode == -signal.SIGKILL, child.stderr
    with np.load(path) as saved:
        assert int(saved["done"]) == steps
    path.with_name("run.npz.part").write_bytes(b"half a file")
    problem = selection((0.05, 0.2), (0.0, 1.2))
    resumed = ValueIteration(**options, checkpoint=path).value_function(problem)
    assert np.array_equal(resumed.values, ValueIteration(**options).value_function(problem).values)


def test_a_checkpoint_of_another_run_is_refused(tmp_path):
    path = tmp_path / "run.npz"
    ValueIteration(nodes=21, checkpoint=path).value_function(selection((0.05, 0.2), (0.0, 1.2)))
    with pytest.raises(InvalidInput, match="another problem"):
        ValueIteration(nodes=21, checkpoint=path).value_function(selection((0.05, 0.2), (0.0, 1.3)))
    path.write_bytes(b"not ours")
    with pytest.raises(InvalidInput, match="no checkpoint"):
        ValueIteration(nodes=21, checkpoint=path).value_function(selection((0.05, 0.2), (0.0, 1.2)))


# -- bad input --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {"scheme": "eno"}, {"kernels": "jax"}, {"feedback": "pd"}, {"steps": 0}, {"courant": -1.0},
        {"courant": float("nan")}, {"nodes": 3}, {"nodes": (21, 21, 21)}, {"nodes": 21.5}, {"domain": (1, -1)},
        {"domain": (0.5, 1.0)}, {"domain": "wide"}, {"depths": [2.0]}, {"memory_limit": 0},
    ],
    ids=str,
)  # fmt: skip
def test_bad_options_are_named(options):
    with pytest.raises(InvalidInput, match=next(iter(options))):
        ValueIteration(**options).plan(selection((0.05, 0.2), (0.0, 1.2)))


def test_problems_out_of_reach_are_named():
    readout = SelectionProblem(
        activation=Tanh(), horizon=1.0, initial=[0.1, 0.2], target=1.0, bounds=Box(a=(-1, 1), b=(-1, 1)),
        readout=Readout(),
    ).discretise(Midpoint(2))  # fmt: skip
    cases = [
        (readout, {}, NotSupported, "parameters"),
        (selection((0.0, 0.1), 1.0, regulariser=Tikhonov(0.1)), {"scheme": "upwind"}, NotSupported, "running cost"),
        (selection((0.0, 0.1), 1.0, activation=CustomActivation(np.sin)), {"kernels": "numba"}, NotSupported, "numba"),
        (selection((0.0, 0.1), 1.0, b=(None, None)), {}, InvalidInput, "unbounded controls"),
    ]
    for problem, options, error, word in cases:
        with pytest.raises(error, match=word):
            ValueIteration(**options).plan(problem)


def test_bad_queries_are_named():
    value = ValueIteration(nodes=21).value_function(selection((0.05, 0.2), (0.0, 1.2)))
    for arguments, word in [
        (([9.0, 0.0],), "tabulated"), (([0.1],), "shape"), (([np.nan, 0.0],), "finite"), (([0.1, 0.1], 1.5), "depths"),
        (("x",), "numbers"),
    ]:  # fmt: skip
        with pytest.raises(InvalidInput, match=word):
            value(*arguments)
    with pytest.raises(InvalidInput, match="horizon"):
        value.controls([0.1, 0.1], 1.0)
    with pytest.raises(InvalidInput, match="steps"):
        value.rollout([0.1, 0.1], steps=0)
    with pytest.raises(InvalidInput, match="feedback"):
        value.rollout([0.1, 0.1], feedback="best")
