"""Bounds on states in value iteration: arcs on a bound, states from which no control keeps it, and the contract."""

import re

import numpy as np
import pytest
import xarray as xr
from hjb_exact import one_neuron_value

import ocdl
from ocdl.hjb import ValueFunction, ValueIteration
from ocdl.hjb.grids.sweeps import numba_available
from ocdl.hjb.schemes.state_bounds import farthest

pytestmark = pytest.mark.filterwarnings("error::RuntimeWarning")

DEPTH = ocdl.Radau(layers=20, degree=3)


def capped(**changes):
    """ẋ = u, |u| ≤ 1, x ≤ 1, ∫ (x − 2)² over T = 2: to the cap at full speed, and along it."""
    given = {
        "dynamics": lambda u: u,
        "running": lambda x: (x - 2) ** 2,
        "initial": [0.0],
        "horizon": 2.0,
        "bounds": ocdl.Box(u=(-1, 1), x=(-np.inf, 1)),
    }
    return ocdl.ControlProblem(**(given | changes))


def capped_value(x, t=0.0):
    """∫ (2 − x − s)² ds over the min(1 − x, 2 − t) that the way takes, and 1 for every unit of depth on the cap."""
    rest = 2.0 - t
    way = np.minimum(1.0 - x, rest)
    return ((2.0 - x) ** 3 - (2.0 - x - way) ** 3) / 3.0 + rest - way


def drifting(**changes):
    """ẋ = 1 + u/5 ≥ 0.8: with x ≤ 1 at depth 1 only x ≤ 1 − 0.8 (1 − t) can keep the bound."""
    given = {
        "dynamics": lambda u: 1 + 0.2 * u,
        "running": lambda x: (x - 2) ** 2,
        "initial": [-0.1],
        "horizon": 1.0,
        "bounds": ocdl.Box(u=(-1, 1), x=(-1, 1)),
    }
    return ocdl.ControlProblem(**(given | changes))


def drifting_value(x):
    """At 1.2 as long as 0.8 leads to 1 in the end: V(x, 0)."""
    fast = np.clip((0.2 - x) / 0.4, 0.0, 1.0)
    turn = x + 1.2 * fast
    end = turn + 0.8 * (1.0 - fast)
    return ((2 - x) ** 3 - (2 - turn) ** 3) / 3.6 + ((2 - turn) ** 3 - (2 - end) ** 3) / 2.4


def braking(**changes):
    """ẍ = u, |u| ≤ 1, x ≤ 0, ∫ (x − 1)² over T = 4: the bound is kept from v ≤ √(−2x), and only there."""
    given = {
        "dynamics": lambda x, u: [x[1], u],
        "running": lambda x: (x[0] - 1) ** 2,
        "initial": [-1.0, 0.0],
        "horizon": 4.0,
        "bounds": ocdl.Box(u=(-1, 1), x=([-3, -2], [0, 2])),
    }
    return ocdl.ControlProblem(**(given | changes))


BRAKING = 3.0 + 23 / 60 + 1.0 + 23 / 60 + 2.0  # from rest at −1: at +1 for one unit, at −1 for one, at rest for two


def speed_limit():
    """ẍ = u, |u| ≤ 2, v ≤ ½, ½ ((x(2) − 1)² + v(2)²) + ∫ u²/20."""
    return ocdl.ControlProblem(
        dynamics=lambda x, u: [x[1], u],
        terminal=lambda x: 0.5 * ((x[0] - 1) ** 2 + x[1] ** 2),
        running=lambda u: 0.05 * u**2,
        initial=[0.0, 0.0],
        horizon=2.0,
        bounds=ocdl.Box(u=(-2, 2), x=(-np.inf, [np.inf, 0.5])),
    )


def neurons(initial, target, cap, **more):
    return ocdl.SelectionProblem(
        activation=ocdl.Tanh(),
        horizon=1.0,
        initial=initial,
        target=target,
        bounds=ocdl.Box(a=(-1, 1), b=(-1, 1), f=(-np.inf, cap)),
        **more,
    )


@pytest.fixture(scope="module")
def value():
    return ValueIteration(nodes=101).value_function(capped())


# -- arcs on a bound -------------------------------------------------------------------------------


def test_an_arc_on_the_bound_is_exact_and_refinement_second_order(value):
    x, sup = np.linspace(-0.9, 1.0, 77), []
    coarse, fine = (ValueIteration(nodes=nodes).value_function(capped()) for nodes in (51, 201))
    for each in (coarse, value, fine):
        assert each.grid.upper == 1.0
        sup.append(max(np.abs(each(x[:, None], t) - capped_value(x, t)).max() for t in (0.0, 1.0)))
    assert sup[-1] < 5e-5 and np.log2(sup[0] / sup[-1]) / 2 > 1.7


def test_the_feedback_slides(value):
    u = value.controls([[1.0], [0.999], [0.5]], 0.3)[0][:, 0]
    assert abs(u[0]) < 1e-8 and 0.0 < u[1] < 0.2 and u[2] == pytest.approx(1.0)
    assert value.gradient([1.0], 0.3) == pytest.approx(0.0, abs=5e-3)  # (2 − 1)² of cost saved as long as it takes
    rollout = value.rollout([[0.0], [1.0], [-0.7]], steps=50)
    assert rollout.x.max() < 1.0 + 1e-6 * value.grid.spacing[0]
    assert rollout.cost == pytest.approx(capped_value(np.array([0.0, 1.0, -0.7])), abs=1e-3)


def test_a_lower_bound_is_the_mirror_image():
    mirrored = capped(running=lambda x: (x + 2) ** 2, bounds=ocdl.Box(u=(-1, 1), x=(-1, None)))
    value, x = ValueIteration(nodes=51, domain=(-3, 3)).value_function(mirrored), np.linspace(-0.8, 1.0, 19)
    assert value.grid.lower == -1.0
    assert np.abs(value(-x[:, None]) - capped_value(x)).max() < 5e-4


@pytest.mark.parametrize(
    ("options", "tolerance"),
    [
        ({"controls": [-1.0, 0.0, 1.0]}, 1e-3),
        ({"minimiser": lambda t, x, p: -np.sign(p[:, 0])}, 1e-3),
        ({"scheme": "linear"}, 1e-2),
        ({"scheme": "general"}, 1e-3),
    ],
    ids=["finite set", "closed form", "linear", "general"],
)
def test_every_choice_of_controls_and_scheme_keeps_the_bound(options, tolerance):
    solution = ocdl.solve(capped(), DEPTH, ValueIteration(nodes=101, **options))
    assert solution.claim["cost"] == pytest.approx(10 / 3, abs=tolerance)
    assert solution.feasibility < 1e-8 and solution.cost == pytest.approx(10 / 3, abs=1e-2)


def test_unbounded_controls_keep_the_bound():
    problem = capped(running=lambda x, u: (x - 2) ** 2 + 0.5 * u**2, bounds=ocdl.Box(x=(-1, 1)))
    direct = ocdl.solve(problem, DEPTH, ocdl.Ipopt())
    feedback = ocdl.solve(problem, DEPTH, ValueIteration(nodes=41))
    assert feedback.feasibility < 1e-8
    assert abs(feedback.claim["cost"] - direct.cost) < 1e-2 and -1e-7 < feedback.cost - direct.cost < 3e-2


def test_a_speed_limit_agrees_with_ipopt_and_converges_to_it():
    depth = ocdl.Radau(layers=10, degree=3)
    direct = ocdl.solve(speed_limit(), depth, ocdl.Ipopt())
    found = [ocdl.solve(speed_limit(), depth, ValueIteration(nodes=nodes)) for nodes in (21, 41)]
    errors = [abs(s.claim["cost"] - direct.cost) for s in found]
    assert errors[1] < 8e-3 and errors[0] / errors[1] > 2.0
    assert all(s.feasibility < 1e-8 and -1e-7 < s.cost - direct.cost < 1e-3 for s in found)
    assert float(direct.state.values[..., 1].max()) == pytest.approx(0.5, abs=1e-6)  # the bound is active


# -- networks ------------------------------------------------------------------------------------------


def test_a_neuron_ends_at_its_cap():
    problem = neurons(0.2, 2.0, 0.6).discretise(ocdl.Midpoint(1))
    plan = ValueIteration(nodes=21, steps=16).plan(problem)
    assert plan.scheme == "general" and plan.grid.upper == 0.6
    solution = ocdl.solve(problem, DEPTH, ValueIteration(nodes=101))
    assert solution.cost == pytest.approx(0.5 * 1.4**2, abs=1e-8) and solution.feasibility < 1e-8
    assert solution.claim["cost"] == pytest.approx(0.5 * 1.4**2, abs=2e-3)


def test_a_cap_out_of_reach_changes_nothing():
    value = ValueIteration(nodes=101).value_function(neurons(0.2, 2.0, 5.0).discretise(ocdl.Midpoint(1)))
    f = np.linspace(0.0, 0.4, 9)
    assert np.abs(value(f[:, None]) - one_neuron_value(f, 2.0, np.tanh, (-1, 1), (-1, 1))).max() < 1e-3
    assert np.all(value.violation < 0.0)


def test_two_neurons_meet_both_caps():
    """Each bound has a multiplier of its own in the corner of K; the controls found end within 1e-2 cells of it."""
    problem = neurons(np.array([0.3, 0.2]), np.array([2.0, 1.5]), 0.5).discretise(ocdl.Midpoint(2))
    value = ValueIteration(nodes=15, steps=6).value_function(problem)
    end = value.rollout([0.47, 0.465], 0.95, steps=1).x[-1]
    assert np.all(end < 0.5 + 1e-9) and np.all(0.5 - end < 1e-2 * value.grid.spacing)


def test_two_samples_obey_the_bounds_each():
    problem = neurons(np.array([[0.5], [-0.3]]), np.array([[1.5], [0.4]]), 0.8).discretise(ocdl.Midpoint(1))
    depth = ocdl.Radau(layers=10, degree=3)
    direct = ocdl.solve(problem, depth, ocdl.Ipopt())
    feedback = ocdl.solve(problem, depth, ValueIteration(nodes=21))
    assert feedback.extras["value"].indexes["f0"][-1] == 0.8
    assert feedback.feasibility < 1e-8 and -1e-7 < feedback.cost - direct.cost < 2e-3
    assert abs(feedback.claim["cost"] - direct.cost) < 5e-3


@pytest.mark.parametrize(
    ("cap", "end", "claim", "sag"),  # sag: h² cap″ / 8, of the cap below the chord of a layer
    [(lambda t: 0.9 - 0.4 * t, 0.5, 4e-3, 0.0), (lambda t: 0.3 + 0.4 * t**2, 0.7, 2e-2, 0.05**2 * 0.8 / 8)],
    ids=["closing", "opening"],
)
def test_bounds_that_depend_on_depth(cap, end, claim, sag):
    """The cap at T is reached but for a margin of at most twice the sag, without which the stages would leave it."""
    solution = ocdl.solve(neurons(0.2, 2.0, cap), ocdl.Grid(ocdl.Midpoint(1), DEPTH), ValueIteration(nodes=51))
    assert solution.feasibility < 1e-8
    assert -1e-8 < solution.cost - 0.5 * (2.0 - end) ** 2 < (2.0 - end) * 2.0 * sag + 1e-8
    assert solution.claim["cost"] == pytest.approx(0.5 * (2.0 - end) ** 2, abs=claim)


# -- states from which no control keeps the bounds ---------------------------------------------------------


@pytest.mark.parametrize("nodes", [41, 101])
def test_the_edge_of_viability_is_known_to_a_fraction_of_a_cell(nodes):
    value = ValueIteration(nodes=nodes, domain=(-1, 1)).value_function(drifting())
    x = np.linspace(-1.0, 1.0, 20001)
    for t in (0.0, 0.3, 0.55, 0.9):
        edge = x[np.isfinite(value(x[:, None], t))].max()
        assert abs(edge - (1.0 - 0.8 * (1.0 - t))) < 0.1 * value.grid.spacing[0]


def test_along_the_edge_of_viability_errors_add_up_but_fall():
    """Trajectories that end on the edge: order ½ was measured. Where they do not, V is exact up to the scheme."""
    x, sup = np.linspace(-0.9, 0.19, 50), []
    for nodes in (41, 161):
        value = ValueIteration(nodes=nodes, domain=(-1, 1)).value_function(drifting())
        error = np.abs(value(x[:, None]) - drifting_value(x))
        sup.append(error.max())
    assert sup[1] < 0.05 and sup[0] > 1.7 * sup[1]
    assert error[x < -0.4].max() < 1e-6


def test_braking_in_time():
    value = ValueIteration(nodes=21, domain=(-3, 2)).value_function(braking())
    v = np.linspace(0.0, 2.0, 2001)
    for x in (-0.1, -0.5, -1.0, -1.7):
        edge = v[np.isfinite(value(np.stack([np.full_like(v, x), v], axis=-1)))].max()
        assert abs(edge - np.sqrt(-2.0 * x)) < 0.15 * value.grid.spacing[1]
    assert value([-1.0, 0.0]) == pytest.approx(BRAKING, abs=0.1)
    rollout = value.rollout([-1.0, 0.0], steps=40)
    assert rollout.x[..., 0].max() < 1e-6 * value.grid.spacing[0]
    assert BRAKING - 1e-6 < rollout.cost < BRAKING + 0.05


def test_beyond_it_v_is_infinite_and_says_so(tmp_path):
    value = ValueIteration(nodes=41).value_function(drifting(initial=[0.1]))
    assert value([0.9]) == np.inf and value([1.3]) == np.inf and np.isnan(value.gradient([0.9])).all()
    assert np.isfinite(value([0.1])) and value.error([0.9]) == 0.0 and 0.0 < value.error([0.0]) < 0.1
    with pytest.raises(ocdl.InvalidInput, match=r"rollout.*no control keeps .*Box"):
        value.rollout([0.9])
    array = value.to_array()
    assert np.isinf(array.values).any() and not np.isnan(array.values).any()
    array.to_netcdf(tmp_path / "value.nc")
    again = ValueFunction.from_array(xr.load_dataarray(tmp_path / "value.nc"), drifting())
    x = np.linspace(-0.1, 1.0, 40)[:, None]
    assert np.array_equal(again(x, 0.4), value(x, 0.4))


def test_a_start_that_is_lost(tmp_path):
    problem, depth = drifting(initial=[0.7]), ocdl.Radau(layers=10, degree=3)
    comparison = ocdl.compare(problem, depth, [ocdl.Ipopt(), ValueIteration(nodes=21)])
    solution = comparison.solutions["ValueIteration"]
    assert re.search(r"V\(x0, 0\) = inf .*no control found keeps the states in Box", solution.detail)
    assert solution.status.failed and solution.status.name == "INFEASIBLE" and solution.claim.get("cost") is None
    assert solution.feasibility == pytest.approx(0.7 + 0.8 - 1.0, abs=1e-6)  # the least that controls can do
    assert "violates its bounds by 0.5" in str(comparison) and "global optimum" not in str(comparison)
    figure = ocdl.plot_comparison(comparison)
    figure.savefig(tmp_path / "lost.png", dpi=40)


# -- contract ------------------------------------------------------------------------------------------------


def test_compare_agrees_with_ipopt_in_sentences():
    comparison = ocdl.compare(capped(), DEPTH, [ocdl.Ipopt(), ValueIteration(nodes=101)])
    text = str(comparison)
    assert all(
        s.feasibility < 1e-8 and s.cost == pytest.approx(10 / 3, abs=1e-6) for s in comparison.solutions.values()
    )
    assert "agrees with it" in text and "violates" not in text and "nan" not in text and "inf " not in text
    feedback = comparison.solutions["ValueIteration"]
    assert feedback.gap < 0.2  # with the multipliers of ∇V; 1 without
    inner = feedback.costate.values[:-1, 0, 0] - comparison.solutions["Ipopt"].costate.values[:-1, 0, 0]
    assert np.abs(inner).max() < 0.1


def test_an_interrupted_run_resumes_bit_identically(tmp_path, monkeypatch):
    import ocdl.hjb.value_iteration as module

    method = {"domain": (-1, 1), "nodes": 41, "steps": 12}
    whole = ValueIteration(**method).value_function(drifting())
    advance, calls = module.General.advance, []

    def stopping(self, value, done):
        calls.append(done)
        if len(calls) == 7:
            raise KeyboardInterrupt
        return advance(self, value, done)

    resumable = ValueIteration(**method, checkpoint=tmp_path / "run.npz")
    with monkeypatch.context() as patch:
        patch.setattr(module.General, "advance", stopping)
        with pytest.raises(KeyboardInterrupt):
            resumable.value_function(drifting())
    resumed = resumable.value_function(drifting())
    assert np.array_equal(resumed.values, whole.values) and np.array_equal(resumed.violation, whole.violation)
    other = drifting(bounds=ocdl.Box(u=(-1, 1), x=(-1, lambda t: 1 + 0.1 * t * (1 - t))))  # the same at T
    with pytest.raises(ocdl.InvalidInput, match="another problem"):
        ValueIteration(**method, checkpoint=tmp_path / "run.npz").value_function(other)


def test_the_plan_counts_what_bounds_need():
    method = ValueIteration(nodes=41, domain=(-1, 1), steps=16, scheme="general")
    free, bound = (method.plan(problem) for problem in (capped(bounds=ocdl.Box(u=(-1, 1))), capped()))
    assert free.memory == 8 * 41 * (2 + 1 + 17) and bound.memory == 8 * 41 * (4 + 1 + 3 * 17)


@pytest.mark.parametrize(
    ("changes", "options", "error", "words"),
    [
        ({}, {"feedback": "sign"}, ocdl.NotSupported, "lookahead"),
        ({"path": lambda x, u: x[0] + u - 3}, {}, ocdl.NotSupported, r"constrained by path=\.\.\.\. Use Ipopt"),
        ({"final": [0.5]}, {}, ocdl.NotSupported, "constrained by final=..."),
        ({"initial": [1.2]}, {}, ocdl.InvalidInput, r"x0 of sample 0 is 1.2, .* by \[-inf, 1\]"),
        ({}, {"domain": (2, 3)}, ocdl.InvalidInput, "outside the bounds"),
        ({"bounds": ocdl.Box(u=(-1, 1), x=(0, 0))}, {}, ocdl.NotSupported, "one value"),
        ({"bounds": ocdl.Box(x=(-np.inf, 1))}, {}, ocdl.InvalidInput, "give domain"),
        ({}, {"kernels": "numba"}, ocdl.NotSupported, "general scheme" if numba_available() else "not installed"),
    ],
)
def test_what_it_does_not_take_is_named(changes, options, error, words):
    with pytest.raises(error, match=words):
        ValueIteration(**options).plan(capped(**changes))


def test_the_upwind_schemes_and_other_routes_refuse():
    problem = neurons(0.2, 2.0, 0.6).discretise(ocdl.Midpoint(1))
    with pytest.raises(ocdl.NotSupported, match=r"scheme='upwind'\): it takes no bounds on states; scheme='weno'"):
        ValueIteration(scheme="upwind").plan(problem)
    with pytest.raises(ocdl.NotSupported, match=r"NeedleSteps: .*constrained by Box\(x=...\)"):
        ocdl.solve(problem, DEPTH, ocdl.NeedleSteps())


def test_the_sign_of_the_gradient_is_refused(value):
    with pytest.raises(ocdl.NotSupported, match="lookahead"):
        value.controls([0.5], feedback="sign")


def test_the_farthest_admissible_point_of_a_segment():
    wanted = np.random.default_rng(0).uniform(0.01, 1.5, 200)

    def excess(u, rows):
        return np.maximum((u[:, 0] - wanted[rows]) * (1.0 + u[:, 0] ** 2), -0.1)

    found = farthest(excess, np.zeros((200, 1)), np.ones((200, 1)))[:, 0]
    assert np.all(found <= np.minimum(wanted, 1.0)) and np.abs(found - np.minimum(wanted, 1.0)).max() < 1e-6
