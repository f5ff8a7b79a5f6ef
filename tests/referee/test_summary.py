"""Summaries: active constraints by name and place, arcs and switching times against closed forms, also loaded."""

from functools import cache

import numpy as np
import pytest
from families import module, selection

import ocdl
from ocdl import Outcome, Status
from ocdl.doors.report import solution_text
from ocdl.referee.judgement import judged


@cache
def solved(name, **parameters):
    stated = module(name)
    start = stated.start() if hasattr(stated, "start") else None
    return ocdl.solve(stated.problem(**parameters), stated.grid(), stated.methods()[0], start=start)


def judged_at(problem, depth, u, p=()):
    outcome = Outcome(np.asarray(u, float), np.asarray(p, float), Status.CYCLE)
    return judged(problem, depth, outcome, method="Made", seconds=0.0)


def integrator(**changes):
    """ẋ = u with u in [−1, 3]."""
    return ocdl.ControlProblem(
        **{
            "states": ["x"],
            "controls": ["thrust"],
            "dynamics": lambda u: u,
            "initial": [0.0],
            "horizon": 1.0,
            "terminal": lambda x: x,
            "bounds": ocdl.Box(u=(-1, 3)),
        }
        | changes
    )


# -- what presses on what --------------------------------------------------------------------------------


@pytest.mark.parametrize(("ceiling", "start", "end"), [(1 / 9, 1 / 3, 2 / 3), (0.2, 0.5, 0.5)])
def test_the_beam_lies_against_its_ceiling_or_touches_it(ceiling, start, end):
    (contact,) = solved("bryson_denham", ceiling=ceiling).summary().active
    assert (contact.name, contact.side, contact.bound) == ("x", "upper", ceiling)
    assert (contact.start, contact.end) == pytest.approx((start, end), abs=1e-9)
    assert contact.touch == (start == end)


def test_a_low_beam_touches_nothing():
    summary = solved("bryson_denham", ceiling=0.3).summary()
    assert summary.active == () and "active" not in str(summary)


def test_rows_of_path_and_boundary_and_ends_are_named():
    problem = integrator(
        initial=[[0.0], [0.5]],
        path=lambda x, u: [x - 2.0, u - 1.0],
        boundary=lambda xT: [xT[0] - 1.0, xT[0] - 7.0],
        final=[[ocdl.Free(upper=1.0)], [ocdl.Free(upper=9.0)]],
        bounds=ocdl.Box(u=(-1, 3), x=(-5, 5), boundary=((-np.inf, -6.0), 0.0)),
    )
    summary = judged_at(problem, ocdl.Radau(4, degree=2), np.ones((4, 1))).summary()
    found = {(contact.name, contact.side, contact.bound): (contact.start, contact.end) for contact in summary.active}
    assert found == {
        ("path row 1", "upper", 0.0): (1 / 12, 1.0),  # of the control alone, and thus of all samples
        ("boundary row 0 of sample 0", "upper", 0.0): (1.0, 1.0),
        ("boundary row 1 of sample 0", "lower", -6.0): (1.0, 1.0),
        ("x of sample 0", "upper", 1.0): (1.0, 1.0),
    }


def test_equalities_and_absent_bounds_are_not_active():
    problem = integrator(final=[1.0], path=lambda x, u: u - 1.0, bounds=ocdl.Box(u=(None, 3), path=(0.0, 0.0)))
    summary = judged_at(problem, ocdl.Radau(4, degree=2), np.ones((4, 1))).summary()
    assert summary.active == () and summary.feasibility <= 1e-12


def test_bounds_that_depend_on_depth_are_followed():
    problem = integrator(bounds=ocdl.Box(u=(-1, lambda t: 1.0 if t < 0.5 else 3.0), x=(lambda t: t, 9.0)))
    summary = judged_at(problem, ocdl.ExplicitEuler(8), np.r_[np.ones(4), 3 * np.ones(4)][:, None]).summary()
    (contact,) = summary.active
    assert (contact.name, contact.side, contact.start, contact.end) == ("x", "lower", 0.125, 0.5)
    assert [arc.kind for arc in summary.arcs["thrust"]] == ["upper"]


@pytest.mark.parametrize(
    ("p", "at"), [((-2.0, 0.4), ("lower", "")), ((1.0, 7.0), ("", "upper")), ((1.0, 1.0), ("", ""))]
)
def test_parameters_at_their_bounds(p, at):
    problem = integrator(parameters=["drag", "lift"], bounds=ocdl.Box(p=([-2, -np.inf], [np.inf, 7])))
    summary = judged_at(problem, ocdl.ExplicitEuler(2), np.zeros((2, 1)), p).summary()
    assert tuple((q.name, q.value, q.at) for q in summary.parameters) == tuple(
        zip(("drag", "lift"), p, at, strict=True)
    )
    assert ("drag = -2, at its lower bound" in str(summary)) == (at[0] == "lower")


def test_a_horizon_at_its_bound_is_said():
    summary = solved("double_integrator_time").summary()
    assert "bound" not in str(summary) and summary.parameters[0].name == "horizon"
    problem = integrator(horizon=ocdl.Free(0.5, 2.0))
    assert "horizon       2, at its upper bound" in str(
        judged_at(problem, ocdl.Kutta4(2), -np.ones((2, 1)), [2.0]).summary()
    )


# -- arcs ------------------------------------------------------------------------------------------------


def test_least_time_switches_once():
    summary = solved("double_integrator_time").summary()
    assert [arc.kind for arc in summary.arcs["u"]] == ["upper", "lower"]
    assert summary.switching_times["u"] == pytest.approx((1.0,), abs=1e-6)


def test_goddard_ends_its_singular_arc_when_the_fuel_is_spent():
    stated = module("goddard")
    summary = solved("goddard").summary()
    assert [arc.kind for arc in summary.arcs["thrust"]] == ["upper", "singular", "lower"]
    layer = float(np.max(np.diff(solved("goddard").state["t"])))
    exact = (stated.FIRST_SWITCH, stated.SECOND_SWITCH)
    assert summary.switching_times["thrust"] == pytest.approx(exact, abs=layer)


def test_an_arc_on_the_bound_of_a_state_is_constrained():
    """As fast as 0.8 allows over the unit distance: full thrust, the limit from 0.8 to 1.25, full brake."""
    problem = ocdl.ControlProblem(
        states=["x", "v"],
        dynamics=lambda x, u: [x[1], u],
        initial=[0, 0],
        final=[1, 0],
        horizon=ocdl.Free(0.1, 10),
        running=lambda: 1.0,
        bounds=ocdl.Box(u=(-1, 1), x=(-9, [9, 0.8])),
    )
    summary = ocdl.solve(problem, ocdl.Radau(20, degree=3), ocdl.Ipopt()).summary()
    assert [arc.kind for arc in summary.arcs["u0"]] == ["upper", "constrained", "lower"]
    assert summary.switching_times["u0"] == pytest.approx([0.8, 1.25], abs=2.06 / 20)
    (contact,) = summary.active
    assert (contact.name, contact.bound) == ("v", 0.8)
    assert (contact.start, contact.end) == pytest.approx((0.8, 1.25), abs=2.06 / 20)


def test_the_robot_arm_switches_four_times_in_all():
    summary = solved("robot_arm").summary()
    kinds = {name: [arc.kind for arc in arcs] for name, arcs in summary.arcs.items()}
    assert kinds == {"u1": ["lower", "upper", "lower"], "u2": ["upper", "lower"], "u3": ["lower", "upper", "lower"]}
    quarters = np.array(summary.switching_times["u1"]) / summary.horizon
    assert quarters == pytest.approx([0.25, 0.75], abs=1e-4)


@pytest.mark.parametrize("shape", [ocdl.PiecewiseConstant(), ocdl.PiecewiseLinear(), ocdl.PerStage()], ids=repr)
@pytest.mark.parametrize("sign", [1, -1])
def test_a_switch_inside_a_layer_keeps_the_integral(shape, sign):
    """From one bound to the other at t = 0.53, held by coefficients whose integral is that of the switch."""
    depth = ocdl.Radau(5, degree=2, controls=shape)
    t, switch = depth.mesh(1.0), 0.53
    before, after = (3.0, -1.0) if sign > 0 else (-1.0, 3.0)
    places = shape.depths(t, depth.tableau.c)
    u = np.where(places < switch, before, after)
    if shape.group == "layers":
        u[2] = (before * (switch - 0.4) + after * (0.6 - switch)) / 0.2
    if shape.group == "stages":
        u[4:6] = before, (before * (switch - 0.4) + after * (0.6 - switch) - 0.15 * before) / 0.05
        u[5] = np.clip(u[5], -1, 3)
    solution = judged_at(integrator(), depth, u[:, None])
    (first, last) = solution.summary().arcs["thrust"]
    kinds = ("upper", "lower") if sign > 0 else ("lower", "upper")
    assert (first.kind, last.kind) == kinds and (first.start, last.end) == (0.0, 1.0)
    end = before * first.end + after * (1.0 - first.end)
    assert end == pytest.approx(float(solution.state[-1, 0, 0]), abs=1e-12)


def test_between_its_bounds_a_control_is_singular_only_where_the_hamiltonian_is_affine_in_it():
    def kind(**changes):
        (arc,) = judged_at(integrator(**changes), ocdl.Kutta4(4), np.zeros((4, 1))).summary().arcs["thrust"]
        return arc.kind

    assert kind() == "singular" and kind(running=lambda x, u: x * u) == "singular"
    assert kind(running=lambda u: u**2) == "interior" and kind(dynamics=lambda u: np.abs(u)) == "interior"
    assert kind(bounds=ocdl.Box(u=(0, 0))) == "fixed"


def test_a_control_set_has_no_arcs_and_many_controls_are_counted():
    disc = selection(bounds=ocdl.Disc((0.0, 0.0), 1.0)).discretise(ocdl.Midpoint(2))
    assert judged_at(disc, ocdl.ExplicitEuler(2), np.zeros((2, disc.m))).summary().arcs == {}
    wide = selection().discretise(ocdl.Midpoint(6))
    text = str(judged_at(wide, ocdl.ExplicitEuler(2), np.ones((2, wide.m))).summary())
    assert "... and 30 more" in text and len(text.splitlines()) == 3 + 12 + 1


# -- there and back --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["bryson_denham", "double_integrator_time", "goddard"])
def test_a_loaded_solution_has_the_same_summary(name, tmp_path):
    solved(name).save(tmp_path / "run.nc")
    again = ocdl.load(tmp_path / "run.nc")
    assert again.summary() == solved(name).summary()
    assert again.tree.identical(solved(name).tree)
    for line in again.summary().structure_lines():
        assert line in solution_text(again)


def test_a_file_without_its_bounds_says_so():
    tree = solved("goddard").tree.copy()
    del tree["limits"]
    summary = ocdl.Solution(tree).summary()
    assert not summary.known and summary.active == () and summary.arcs == {}
    assert "not known" in str(summary) and summary.parameters[0].at == ""


@pytest.mark.parametrize(
    ("group", "name", "dim"),
    [("limits", "state_lower", "node"), ("limits", "stage_state_upper", "entry"), ("dense", "state_slope", "layer")],
)
def test_a_file_with_limits_of_another_shape_is_damaged(group, name, dim, tmp_path):
    problem = integrator(bounds=ocdl.Box(u=(-1, 3), x=(-5, 5)))
    tree = judged_at(problem, ocdl.Kutta4(4), np.zeros((4, 1))).tree.copy()
    whole = tree[group].to_dataset()
    tree[group] = whole.assign({name: whole[name].isel({dim: []}).rename({dim: "other"})})
    ocdl.Solution(tree).save(tmp_path / "run.nc")
    with pytest.raises(ocdl.InvalidInput, match=f"damaged: {group}/{name} has the dimensions"):
        ocdl.load(tmp_path / "run.nc")
