"""Reachable sets of one sample: no control leaves the outer bounds, every yes is simulated, verdicts are HJB's."""

import numpy as np
import pytest
from families import activations, name_of
from scipy.integrate import solve_ivp

import ocdl
from ocdl.analysis import Verdict, componentwise, reachable, reachable_set
from ocdl.analysis.reachability.corridor import Corridor
from ocdl.analysis.reachability.curves import Curve, slack
from ocdl.analysis.reachability.stated import one_sample
from ocdl.sweeps.sweeper import Sweeper

INCREASING = [activation for activation in activations() if activation.increasing]
QUICK = {"layers": 4, "steps": 64, "searches": 6}


def stated(initial, *, activation=None, a=(-1, 1), b=(-1, 1), horizon=1.0, target=0.0):
    return ocdl.SelectionProblem(
        activation=ocdl.Tanh() if activation is None else activation,
        horizon=horizon,
        initial=np.asarray(initial, dtype=float),
        target=target,
        bounds=ocdl.Box(a=a, b=b),
    )


def random_case(seed, neurons=None):
    rng = np.random.default_rng(seed)
    M = 1 + seed % 3 if neurons is None else neurons
    low = rng.uniform(-1.5, 0.5), rng.uniform(-2, 1)
    a, b = ((end, end + rng.uniform(0.3, 2)) for end in low)
    return stated(rng.uniform(-1, 1, M), activation=INCREASING[seed % len(INCREASING)], a=a, b=b), ocdl.Midpoint(M)


def ends_of_controls(problem, width, seed, count=60):
    """x(T) (count, M) of controls anywhere in their box, many of them extreme, by the referee's sweeps."""
    core, rng = problem.discretise(width), np.random.default_rng(seed)
    sweeper, (lower, upper) = Sweeper(core, ocdl.Kutta4(20)), core.control_box
    found = []
    for k in range(count):
        share = rng.random((20, core.m))
        share = np.round(share) if k % 2 else share
        share[1:] = share[0] if k % 3 else share[1:]
        share[10:] = 1.0 - share[0] if k % 5 == 0 else share[10:]
        trajectory = sweeper.state(lower + share * (upper - lower), np.zeros(0))
        found.append(trajectory.x[-1, 0])
    return np.array(found)


def interval(problem):
    """The two scalar equations of one neuron."""
    core = problem.discretise(ocdl.Midpoint(1))
    box = core.velocity_box

    def end(which):
        flow = solve_ivp(
            lambda _, f: box.velocities(f)[which], (0, core.span), core.x0[0], method="DOP853", rtol=1e-12, atol=1e-13
        )
        return float(flow.y[0, -1])

    return end(0), end(1)


# -- one neuron, where all is known ----------------------------------------------------------------------


@pytest.mark.parametrize("activation", INCREASING, ids=name_of)
def test_one_neuron_reaches_an_interval(activation):
    problem = stated([0.4], activation=activation, a=(-0.5, 1.2), b=(-0.6, 0.8))
    low, high = interval(problem)
    box = componentwise(problem, ocdl.Midpoint(1))
    assert np.all(box.exact)
    assert low - 1e-6 <= box.low[0] <= low and high <= box.high[0] <= high + 1e-6
    assert box.attained.ravel() == pytest.approx([low, high], abs=1e-8)


@pytest.mark.parametrize("side", [0, 1])
def test_verdicts_of_one_neuron_turn_at_the_ends_of_its_interval(side):
    problem = stated([0.4], a=(-0.5, 1.2), b=(-0.6, 0.8))
    ends = interval(problem)
    within = 2e-3 * (ends[1] - ends[0]) * (1 - 2 * side)
    beyond = -0.1 * (1 - 2 * side)
    inner, outer = (reachable(problem, ocdl.Midpoint(1), ends[side] + by, **QUICK) for by in (within, beyond))
    assert inner.verdict is Verdict.YES and inner.distance < 1e-5
    assert outer.verdict is Verdict.NO
    value = 0.5 * outer.margin**2  # V = ½ dist²
    assert 0.5 * (0.1 - 1e-6) ** 2 <= value <= 0.5 * 0.1**2


# -- no control leaves what is proven --------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(8))
def test_no_control_leaves_the_outer_bounds(seed):
    problem, width = random_case(seed)
    ends = ends_of_controls(problem, width, seed)
    found = reachable_set(problem, width, cells={1: 40, 2: 12, 3: 5}[width.size])
    assert np.all(found.holds(ends))
    assert np.all(found.inner <= found.met) and np.all(found.met <= found.outer)
    sample = one_sample("test", problem, width)
    every = Corridor.from_start(sample.extremes, sample.x0, sample.horizon, 16)
    assert not np.any(every.to(ends, ends).empty)
    assert not any(every.excludes(end, end, halvings=2) for end in ends[:3])


@pytest.mark.parametrize("neurons", [1, 2])
def test_of_too_small_a_box_controls_leave_the_bounds(neurons):
    problem = stated(np.linspace(0.3, 0.6, neurons))
    ends = ends_of_controls(problem, ocdl.Midpoint(neurons), 0)
    small = problem.replace(bounds=ocdl.Box(a=(-0.5, 0.5), b=(-0.5, 0.5)))
    sample = one_sample("test", small, ocdl.Midpoint(neurons))
    every = Corridor.from_start(sample.extremes, sample.x0, sample.horizon, 64)
    assert np.any(every.to(ends, ends).empty)
    assert not np.all(reachable_set(small, ocdl.Midpoint(neurons), cells=10).holds(ends))


def test_a_corridor_in_parts_holds_what_it_held():
    problem, width = random_case(1)
    sample = one_sample("test", problem, width)
    end = ends_of_controls(problem, width, 3, count=1)[0]
    whole = Corridor.from_start(sample.extremes, sample.x0, sample.horizon, 16).to(end[None] - 0.1, end[None] + 0.1)
    parts = whole.halved()
    assert np.array_equal(parts.low.min(axis=1), whole.low[:, 0])
    assert np.array_equal(parts.high.max(axis=1), whole.high[:, 0])


# -- verdicts --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(6))
def test_every_verdict_is_kept_by_simulations(seed):
    problem, width = random_case(seed + 100)
    ends = ends_of_controls(problem, width, seed)
    rng = np.random.default_rng(seed)
    target = ends[0] + rng.uniform(-0.4, 0.4, width.size)
    found = reachable(problem, width, target, **QUICK)
    flown = ocdl.simulate(problem, found.controls, grid=width, tolerance=1e-10)
    assert flown.violations["controls"] <= 1e-12
    assert np.linalg.norm(flown.state.values[-1].ravel() - target) == pytest.approx(found.distance, abs=1e-7)
    if found.verdict is Verdict.YES:
        assert found.finding.applies and found.distance < 1e-5
        assert np.array_equal(found.curve.y[-1], target)
    if found.verdict is Verdict.NO:
        assert found.finding.applies and found.distance > found.margin
        assert not np.any(np.all(np.abs(ends - target) < found.margin, axis=1))


def test_controls_along_the_curve_arrive_exactly():
    problem, width = stated([0.3, -0.2]), ocdl.Midpoint(2)
    found = reachable(problem, width, [0.5, 0.3], **QUICK)
    assert found.verdict is Verdict.YES
    straight = Curve.through(
        found.curve.extremes, np.array([0.0, 1.0]), np.array([[0.3, -0.2], [0.5, 0.3]]), found.target
    )
    assert straight.slack > 0.1
    controls = {"a": lambda t: straight.controls(t)[0], "b": lambda t: straight.controls(t)[1]}
    flown = ocdl.simulate(problem, controls, grid=width)
    assert flown.violations["controls"] <= 1e-12
    assert np.abs(flown.state.values[-1] - found.target).max() < 1e-8


def test_every_target_within_the_margin_has_the_verdict():
    problem, width = stated([0.3, -0.2]), ocdl.Midpoint(2)
    yes, no = (reachable(problem, width, c, **QUICK) for c in ([0.5, 0.3], [1.3, 0.7]))
    assert (yes.verdict, no.verdict) == (Verdict.YES, Verdict.NO)
    for corner in np.array([[1, 1], [-1, 1]]):
        assert reachable(problem, width, yes.target + 0.99 * yes.margin * corner, **QUICK).verdict is Verdict.YES
        assert reachable(problem, width, no.target + 0.99 * no.margin * corner, **QUICK).verdict is Verdict.NO


def test_a_curve_too_fast_is_no_proof():
    sample = one_sample("test", stated([0.3, -0.2]), ocdl.Midpoint(2))
    t, y = np.linspace(0, 1, 5), np.array([0.3, -0.2]) + np.linspace(0, 1, 5)[:, None] * np.array([0.5, 0.5])
    assert slack(sample.extremes, t, y) > 0.0
    assert slack(sample.extremes, 0.4 * t, y) < 0.0
    middle = slack(sample.extremes, t, y, 0.05)
    assert slack(sample.extremes, t, y, 1.0) < 0.0 < middle < slack(sample.extremes, t, y)


def hourglass(reach=1.0):
    """The second neuron is free, and its size speeds the first up."""
    couple = np.array([[0.0, 8.0], [0.0, 0.0]])
    return stated([0.0, 0.0], a=([-0.2, -reach], [0.2, reach]), b=(-couple, couple))


def test_excursions_are_found_and_are_needed():
    free, held = (reachable(hourglass(reach), ocdl.Midpoint(2), [0.5, 0.0], **QUICK) for reach in (1.0, 0.05))
    assert free.verdict is Verdict.YES and held.verdict is Verdict.NO
    assert np.abs(free.curve.y[:, 1]).max() > 0.1
    beyond = reachable(hourglass(), ocdl.Midpoint(2), [0.75, 0.0], **QUICK)
    assert beyond.verdict is Verdict.NO and beyond.margin > 0.0
    assert beyond.target[0] < componentwise(hourglass(), ocdl.Midpoint(2)).high[0]  # within the box, and missed


def test_what_was_not_decided_says_how_near_it_was():
    problem, width = stated([0.3, -0.2]), ocdl.Midpoint(2)
    edge = reachable(problem, width, [1.3, 0.7], **QUICK)
    low, high = np.array([0.5, 0.3]), edge.target  # the edge of the set lies between them
    for _ in range(12):
        middle = 0.5 * (low + high)
        found = reachable(problem, width, middle, layers=2, steps=4, searches=1, halvings=0)
        if found.verdict is Verdict.UNKNOWN:
            break
        low, high = (middle, high) if found.verdict is Verdict.YES else (low, middle)
    assert found.verdict is Verdict.UNKNOWN and found.margin == 0.0 and not found.finding.applies
    assert found.finding.hypotheses[0].measured == -found.distance and found.finding.hypotheses[1].measured < 1e-9


@pytest.mark.parametrize("neurons", [1, 2])
def test_verdicts_are_those_of_value_iteration(neurons):
    rng, width = np.random.default_rng(neurons), ocdl.Midpoint(neurons)
    start = np.linspace(0.3, -0.2, neurons)
    seen = set()
    for _ in range(6):
        problem = stated(start, target=start + rng.uniform(-1.1, 1.1, neurons))
        found = reachable(problem, width, **QUICK)
        V = ocdl.ValueIteration(nodes=161 if neurons == 1 else 61).value_function(problem.discretise(width))
        value = float(V(start, 0.0))
        seen.add(found.verdict)
        if found.verdict is Verdict.YES:
            assert value < 5e-4
        if found.verdict is Verdict.NO:
            assert value > 0.5 * found.margin**2 / neurons - 5e-4
    assert {Verdict.YES, Verdict.NO} <= seen


# -- the box ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_bounds_are_attained_where_it_is_said(seed):
    problem, width = random_case(seed + 30)
    box = componentwise(problem, width)
    ends = ends_of_controls(problem, width, seed)
    assert np.all(box.low <= ends.min(axis=0)) and np.all(ends.max(axis=0) <= box.high)
    assert np.all(box.low <= box.attained[0]) and np.all(box.attained[1] <= box.high)
    assert np.all(box.gap[box.exact] < 1e-4)
    if width.size == 1:
        assert np.all(box.exact)


def test_where_wishes_clash_a_bound_is_outer_only():
    box = componentwise(stated([0.3, -0.2]), ocdl.Midpoint(2))
    assert np.array_equal(box.exact, [[False, True], [True, False]])
    assert box.gap[0, 0] > 1e-3 > box.gap[1, 0]
    assert "wanted" in box.findings[0][0].says


# -- sets ------------------------------------------------------------------------------------------------


def test_inner_and_outer_cells_bracket_the_set():
    low, high = interval(stated([0.3]))
    inner, outer = reachable_set(stated([0.3]), ocdl.Midpoint(1), cells=200).volumes
    assert 0.97 * (high - low) < inner <= high - low <= outer < 1.001 * (high - low)


def test_the_set_need_not_be_convex():
    found = reachable_set(hourglass(), ocdl.Midpoint(2), cells=21)
    assert found.met[20, 1] and found.met[20, 19] and not found.outer[20, 10]  # their midpoint
    assert np.abs(found.trajectories[0] - found.start).max() == 0.0


@pytest.mark.parametrize(
    ("wrong", "error", "said"),
    [
        (lambda: reachable(stated([0.3]), None), ocdl.InvalidInput, "width"),
        (lambda: reachable(stated([0.3]), ocdl.Midpoint(1), layers=0), ocdl.InvalidInput, "layers=0"),
        (lambda: reachable(stated([0.3, 0.1]), ocdl.Midpoint(2), [1, 2, 3]), ocdl.InvalidInput, r"\(2,\)"),
        (lambda: reachable(stated([[0.3], [0.1]]), ocdl.Midpoint(1)), ocdl.NotSupported, "2"),
        (lambda: reachable(stated([0.3], b=(None, 1)), ocdl.Midpoint(1)), ocdl.NotSupported, "finite"),
        (lambda: reachable_set(stated([0.3]), ocdl.Midpoint(1), cells=0), ocdl.InvalidInput, "cells=0"),
        (lambda: reachable_set(stated([0.3, 0.1]), ocdl.Midpoint(2), cells=300), ocdl.InvalidInput, "20000"),
        (
            lambda: reachable(
                stated([0.3]).replace(bounds=ocdl.Box(a=(-1, 1), b=(-1, 1), f=(-1, 1))), ocdl.Midpoint(1)
            ),
            ocdl.NotSupported,
            "state",
        ),
    ],
)
def test_what_cannot_be_asked_is_told(wrong, error, said):
    with pytest.raises(error, match=said):
        wrong()
