"""Conditions of second order along answers of known structure: what holds, what fails, and where nothing speaks."""

import casadi as ca
import numpy as np
import pytest

import ocdl
from ocdl.analysis import second_order
from ocdl.referee.labels import labelled
from ocdl.referee.outcome import Outcome, Status
from ocdl.solving.compile import discretised

GRID = ocdl.Radau(layers=12, degree=3)
UNIT = ocdl.Box(u=(-1, 1))


def conditions(problem, grid=GRID, **more):
    return second_order(problem, grid, ocdl.solve(problem, grid, ocdl.Ipopt(), **more))


def at_rest(running, order=1, **more):
    """An integrator of this order that stays at 0: u = 0 is singular from beginning to end."""
    return conditions(
        ocdl.ControlProblem(
            dynamics=lambda x, u: ca.vertcat(*[x[i] for i in range(1, order)], u[0]),
            initial=[0.0] * order, horizon=1.0, running=running, bounds=UNIT, **more,
        ),
        start={"u": 0.0},
    )  # fmt: skip


@pytest.mark.parametrize("order", [1, 2, 3])
def test_an_integrator_of_order_k_has_singular_arcs_of_order_k(order):
    """L = ½ x₁²: d^{2k}/dt^{2k} H_u = (−1)^k u; of order 2 Fuller's problem."""
    (arc,) = at_rest(lambda x: 0.5 * x[0] ** 2, order).arcs
    assert (arc.kind, arc.order, arc.verdict) == ("singular", order, "strict")
    assert arc.least == pytest.approx(1.0)


@pytest.mark.parametrize("order", [1, 2, 3])
def test_a_planted_arc_that_maximises_is_refuted_by_kelley(order):
    found = at_rest(lambda x: -0.5 * x[0] ** 2, order)
    (arc,) = found.arcs
    assert (arc.order, arc.verdict) == (order, "violated") and arc.least == pytest.approx(-1.0)
    assert not found.necessary.applies and not found.strengthened.applies
    assert f"k = {order}, u0 from 0 to 1" in found.necessary.says


def test_a_control_that_appears_in_no_derivative_is_told_nothing_of():
    found = at_rest(lambda x: 0.0 * x[0])
    (arc,) = found.arcs
    assert (arc.order, arc.verdict) == (None, "silent") and np.isnan(arc.least)
    assert found.necessary.applies and "no condition speaks" in found.necessary.says
    assert not found.strengthened.applies


@pytest.mark.parametrize("seed", range(5))
def test_kelley_agrees_with_the_brackets_of_affine_problems(seed):
    """ẋ = A x + b u and L = ½ xᵀQx at rest: −∂/∂u d²/dt² H_u = bᵀQb, of either sign."""
    generator = np.random.default_rng(seed)
    A, Q, b = (generator.standard_normal(shape) for shape in ((3, 3), (3, 3), 3))
    problem = ocdl.ControlProblem(
        dynamics=lambda x, u: A @ x + b * u[0], initial=[0.0] * 3, horizon=1.0,
        running=lambda x: 0.25 * x.T @ (Q + Q.T) @ x, bounds=UNIT,
    )  # fmt: skip
    (arc,) = conditions(problem, start={"u": 0.0}).arcs
    assert arc.least == pytest.approx(b @ Q @ b) and arc.verdict == ("strict" if b @ Q @ b > 0 else "violated")


@pytest.mark.parametrize(("bracket", "holds"), [(0.0, True), (1.0, False)])
def test_two_controls_that_are_singular_together_must_commute(bracket, holds):
    """ẋ = (u, v, c x₁ v) with p₃ = 1 by J = x₃(T): ∂/∂v d/dt H_u = −c, Goh's condition; L = |x|²: both singular."""
    problem = ocdl.ControlProblem(
        dynamics=lambda x, u: ca.vertcat(u[0], u[1], bracket * x[0] * u[1]), initial=[0.0] * 3, horizon=1.0,
        running=lambda x: x[0] ** 2 + x[1] ** 2, terminal=lambda x: x[2], controls=2, bounds=UNIT,
    )  # fmt: skip
    found = conditions(problem, start={"u": np.zeros(2)})
    assert [arc.kind for arc in found.arcs] == ["singular", "singular"]
    assert len(found.goh) == 1 and found.goh[0].holds == holds == found.necessary.applies
    assert found.goh[0].measured == pytest.approx(-bracket, abs=1e-8)


@pytest.mark.parametrize("c", [0.5, -0.9])
def test_interior_arcs_are_of_legendre_and_clebsch_on_all_free_controls_together(c):
    """½ uᵀRu with R = ((1, c), (c, 1)): the least eigenvalue is 1 − |c|, the diagonal 1."""
    problem = ocdl.ControlProblem(
        dynamics=lambda u: u, initial=[1.0, 1.0], horizon=1.0, controls=2, terminal=lambda x: 0.5 * ca.sumsqr(x),
        effort=lambda u: 0.5 * (u[0] ** 2 + u[1] ** 2) + c * u[0] * u[1], bounds=ocdl.Box(u=(-9, 9)),
    )  # fmt: skip
    found = conditions(problem)
    assert found.curvature == pytest.approx(1 - abs(c)) and [arc.least for arc in found.arcs] == [1.0, 1.0]
    assert found.strengthened.applies and found.necessary.applies


def test_a_maximum_of_the_hamiltonian_violates_legendre():
    """E = −½ u² at u = 0, where H_u vanishes: stationary, and the worst of all controls."""
    problem = ocdl.ControlProblem(
        dynamics=lambda u: u, initial=[0.0], horizon=1.0, terminal=lambda x: 0.0 * x[0],
        effort=lambda u: -0.5 * u[0] ** 2, bounds=UNIT,
    )  # fmt: skip
    found = conditions(problem, start={"u": 0.0})
    assert [arc.verdict for arc in found.arcs] == ["violated"] and found.curvature == pytest.approx(-1.0)
    assert "H_uu ≥ 0" in found.necessary.says and not found.necessary.applies


def test_bang_bang_is_strict_by_the_first_order_and_a_start_on_the_wrong_bound_is_not():
    problem = ocdl.ControlProblem(
        dynamics=lambda u: u, initial=[2.0], horizon=1.0, terminal=lambda x: 0.5 * x[0] ** 2, bounds=UNIT
    )
    (arc,) = conditions(problem).arcs
    assert (arc.kind, arc.verdict) == ("lower", "strict") and arc.least == pytest.approx(1.0, rel=1e-6)
    core, depth = discretised(problem, GRID)
    worst = Outcome(np.ones((12, 1)), np.zeros(0), Status.CONVERGED, "planted")
    verdict = ocdl.certify(core, depth, worst.u, worst.p)
    (arc,) = second_order(problem, GRID, labelled(core, depth, worst, verdict, method="planted", seconds=0.0)).arcs
    assert (arc.kind, arc.verdict) == ("upper", "violated") and arc.least == pytest.approx(-3.0)


def neurons(target, b=(0, 0)):
    return ocdl.SelectionProblem(
        activation=ocdl.Tanh(), horizon=1.0, initial=[0.1, 0.1], target=target, bounds=ocdl.Box(a=(-1, 1), b=b)
    )


def test_where_the_costate_of_a_neuron_vanishes_nothing_is_said_and_else_it_is_bang_bang():
    """Neurons that do not meet: the first reaches its target, r = 0; the second cannot, r > 0."""
    grid = ocdl.Grid(width=ocdl.Midpoint(2), depth=GRID)
    found = conditions(neurons([0.3, 2.0]), grid)
    verdicts = {arc.control: (arc.kind, arc.verdict) for arc in found.arcs}
    assert verdicts["a(y = 0.25)"] == ("flat", "silent") and verdicts["a(y = 0.75)"] == ("upper", "strict")
    assert all(verdict == ("fixed", "held") for name, verdict in verdicts.items() if name.startswith("b"))
    assert "no condition speaks" in found.necessary.says and not found.strengthened.applies


def test_a_reachable_target_is_flat_throughout():
    grid = ocdl.Grid(width=ocdl.Midpoint(2), depth=GRID)
    found = conditions(neurons([0.3, 0.4], b=(-1, 1)), grid)
    assert {arc.kind for arc in found.arcs} == {"flat"} and not found.of("strict")


def test_conditions_of_functions_do_not_change_with_the_width():
    """a and b of Tikhonov's: H_uu of a constant target is λ in function space, however many the neurons."""
    for M in (2, 4):
        problem = ocdl.SelectionProblem(
            activation=ocdl.Identity(), horizon=1.0, initial=np.full(M, 0.1), target=np.full(M, 0.3),
            bounds=ocdl.Box(a=(-1, 1), b=(-1, 1)), regulariser=ocdl.Tikhonov(0.2),
        )  # fmt: skip
        found = conditions(problem, ocdl.Grid(width=ocdl.Midpoint(M), depth=ocdl.Radau(4, 2)))
        assert [arc.least for arc in found.arcs] == pytest.approx([0.2] * (M + M**2))


def test_true_times_are_those_of_a_free_horizon():
    """ẋ = u over a free horizon of 2 at rest: −∂/∂u d²/dt² H_u = 1 in true time."""
    problem = ocdl.ControlProblem(
        dynamics=lambda u: u, initial=[0.0], horizon=ocdl.Free(2.0, 3.0), bounds=UNIT,
        running=lambda x: 0.5 * x[0] ** 2 , terminal=lambda x, T: T,
    )  # fmt: skip
    (arc,) = conditions(problem, start={"u": 0.0}).arcs
    assert arc.end == pytest.approx(2.0, abs=1e-5) and arc.least == pytest.approx(1.0) and arc.verdict == "strict"


def test_discrete_layers_are_refused_and_a_table_is_printed():
    problem = ocdl.ControlProblem(
        dynamics=lambda u: u, initial=[2.0], horizon=3, terminal=lambda x: x[0] ** 2, bounds=UNIT, discrete=True
    )
    grid = ocdl.ExplicitEuler(3)
    with pytest.raises(ocdl.NotSupported, match="the layers are the statement"):
        second_order(problem, grid, ocdl.solve(problem, grid, ocdl.ProjectedGradient()))
    said = str(at_rest(lambda x: -(x[0] ** 2)))
    assert "singular" in said and "violated" in said and said.count("\n") > 4


def test_a_saved_solution_is_told_the_same(tmp_path):
    problem = ocdl.ControlProblem(
        dynamics=lambda u: u, initial=[0.0], horizon=1.0, running=lambda x: 0.5 * x[0] ** 2, bounds=UNIT
    )
    solution = ocdl.solve(problem, GRID, ocdl.Ipopt(), start={"u": 0.0})
    solution.save(tmp_path / "rest.nc")
    before, after = (second_order(problem, GRID, one) for one in (solution, ocdl.load(tmp_path / "rest.nc")))
    assert str(before) == str(after) and after.arcs[0].values == pytest.approx(before.arcs[0].values)
