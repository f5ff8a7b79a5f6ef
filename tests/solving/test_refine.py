"""Meshes: estimates that are true, tolerances that are met, transfer, continuation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from families import selection

import ocdl
from ocdl.referee.labels import coefficients
from ocdl.solving.compile import discretised
from ocdl.solving.mesh import layer_errors
from ocdl.solving.start import make_start

EIGHT = 0.968069497335  # of the eight-neuron problem in continuous depth, by shooting


def relaxation(**changes) -> ocdl.ControlProblem:
    """min ∫ x² + u² dt, ẋ = u − x, x(0) = 1: J = P(0), −P' = 2·(−P) − P² + 1, P(1) = 0."""
    return ocdl.ControlProblem(
        **{
            "dynamics": lambda x, u: u - x,
            "initial": [1.0],
            "horizon": 1.0,
            "running": lambda x, u: x[0] ** 2 + u**2,
        }
        | changes
    )


def riccati() -> float:
    """P(0) in closed form: P = 1 / (1 + √2 coth √2 t) at t = 1."""
    root = np.sqrt(2.0)
    return 1.0 / (1.0 + root / np.tanh(root))


SHAPES = [ocdl.PiecewiseConstant(), ocdl.PiecewiseLinear(), ocdl.PerStage()]


@pytest.mark.parametrize("layers", [4, 8])
def test_the_integration_error_is_what_the_cost_misses(layers):
    """Against the same controls integrated far more finely."""
    depth = ocdl.ImprovedEuler(layers)
    solution = ocdl.solve(relaxation(), depth, ocdl.Ipopt())
    u, p = coefficients(relaxation(), depth, solution)
    fine = ocdl.certify(relaxation(), ocdl.Radau(40 * layers, 3), np.repeat(u, 40, axis=0), p).cost
    errors = layer_errors(relaxation(), depth, solution)
    assert abs(fine - solution.cost) > 1e-5
    assert errors.missing == pytest.approx(fine - solution.cost, rel=0.1)
    assert errors.integration.sum() >= abs(errors.missing)


def test_the_control_error_falls_with_the_square_of_the_layers_and_bounds_what_is_lost():
    found = []
    for layers in (10, 20, 40):
        depth = ocdl.Radau(layers, 3)
        solution = ocdl.solve(relaxation(), depth, ocdl.Ipopt())
        errors = layer_errors(relaxation(), depth, solution)
        assert 0.3 * errors.control.sum() < solution.cost - riccati() < 1.5 * errors.control.sum()
        found.append(errors.control.sum())
    assert np.log2(found[1] / found[2]) == pytest.approx(2.0, abs=0.1)


@pytest.mark.parametrize("shape", [ocdl.PiecewiseLinear(), ocdl.PerStage()], ids=lambda shape: type(shape).__name__)
def test_a_smooth_problem_is_refined_to_its_tolerance(shape):
    refinement = ocdl.refine(
        relaxation(), ocdl.Radau(3, 2, controls=shape), ocdl.Ipopt(), tolerance=1e-8, state_tolerance=1e-8
    )
    assert refinement.reached
    assert abs(refinement.solution.cost - riccati()) < 1e-8 * 2
    assert "Reached" in str(refinement) and len(refinement.rounds) > 1


def test_switches_are_cut_out_of_their_layers():
    grid = ocdl.Grid(ocdl.Midpoint(8), ocdl.Radau(20, 3))
    refinement = ocdl.refine(selection(), grid, ocdl.Ipopt(), tolerance=1e-7)
    assert refinement.reached
    assert abs(refinement.solution.cost - EIGHT) < 2e-7
    assert refinement.rounds[-1].layers < 60  # uniform layers would need about 300
    assert refinement.grid.depth.count == refinement.rounds[-1].layers


def test_a_state_bound_is_met_between_the_nodes():
    bounded = ocdl.ControlProblem(
        states=["x", "v"],
        dynamics=lambda x, u: [x[1], u],
        initial=[0, 1],
        final=[0, -1],
        horizon=1.0,
        running=lambda u: u**2 / 2,
        bounds=ocdl.Box(x=(-np.inf, [1 / 9, np.inf])),
    )
    depth = ocdl.Radau(8, 3, controls=ocdl.PiecewiseLinear())
    refinement = ocdl.refine(bounded, depth, ocdl.Ipopt(), tolerance=1e-6)
    assert refinement.reached and "Halving" in refinement.message
    assert abs(refinement.solution.cost - 4.0) < 5e-6
    assert refinement.errors.state.max() < 1e-4


def test_the_degree_is_raised_where_everything_is_smooth_and_coarse():
    stiff = relaxation(dynamics=lambda t, x, u: u - 8 * (x[0] - np.sin(6 * t)), controls=1)
    depth = ocdl.Radau(4, 1, controls=ocdl.PerStage())
    refinement = ocdl.refine(stiff, depth, ocdl.Ipopt(), tolerance=1e-6)
    degrees = [row.degree for row in refinement.rounds]
    assert refinement.reached and degrees[0] == 1 and degrees[-1] > 1


def test_the_width_is_doubled_until_the_cost_stands():
    grid = ocdl.Grid(ocdl.GaussLegendre(2), ocdl.Radau(10, 2))
    smooth = selection(target=lambda y: 0.5 + 0.2 * y, initial=lambda y: 0.1 * y, regulariser=ocdl.Tikhonov(0.1))
    refinement = ocdl.refine(smooth, grid, ocdl.Ipopt(), tolerance=1e-3, width=True)
    assert refinement.reached and "width" in refinement.message
    assert [row.nodes for row in refinement.rounds][-1] >= 4
    with pytest.raises(ocdl.InvalidInput, match="functions of y"):
        ocdl.refine(relaxation(), ocdl.Radau(8, 3, controls=ocdl.PiecewiseLinear()), ocdl.Ipopt(), width=True)


def test_what_cannot_be_reached_is_said():
    with pytest.warns(UserWarning, match=r"most_layers=20\..*PiecewiseLinear"):
        refinement = ocdl.refine(relaxation(), ocdl.Radau(10, 3), ocdl.Ipopt(), tolerance=1e-9, most_layers=20)
    assert not refinement.reached
    with pytest.warns(UserWarning, match="most_rounds=1"):
        assert not ocdl.refine(relaxation(), ocdl.Radau(3, 3), ocdl.Ipopt(), tolerance=1e-9, most_rounds=1).reached
    for wrong in ({"tolerance": -1.0}, {"most_rounds": 0}, {"state_tolerance": "a"}, {"most_layers": 1.5}):
        with pytest.raises(ocdl.InvalidInput, match=next(iter(wrong))):
            ocdl.refine(relaxation(), ocdl.Radau(3), ocdl.Ipopt(), **wrong)


def test_a_failure_keeps_the_mesh_before():
    with pytest.raises(ocdl.SolveFailed) as caught:
        ocdl.refine(relaxation(), ocdl.Radau(3, 3), ocdl.Ipopt(max_iterations=0))
    assert caught.value.solution is not None


def test_continuation_follows_a_weight_to_zero():
    weights = [1e-1, 1e-2, 1e-3]
    grid = ocdl.Grid(ocdl.Midpoint(3), ocdl.Radau(8, 2))
    solutions = ocdl.continuation(
        lambda weight: selection(regulariser=ocdl.Tikhonov(weight)), weights, grid, ocdl.Ipopt()
    )
    costs = [solution.cost for solution in solutions]
    assert costs == sorted(costs, reverse=True)
    assert costs[-1] == pytest.approx(
        ocdl.solve(selection(regulariser=ocdl.Tikhonov(1e-3)), grid, ocdl.Ipopt()).cost, rel=1e-6
    )
    with pytest.raises(ocdl.SolveFailed, match=r"continuation at 0\.1") as caught:
        ocdl.continuation(
            lambda weight: selection(regulariser=ocdl.Tikhonov(weight)), [0.1], grid, ocdl.Ipopt(max_iterations=1)
        )
    assert caught.value.solution is not None
    with pytest.raises(ocdl.InvalidInput, match="at least one value"):
        ocdl.continuation(lambda weight: selection(), [], grid, ocdl.Ipopt())


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: type(shape).__name__)
def test_a_transferred_start_takes_no_more_iterations_than_a_cold_one(shape):
    depth = ocdl.Radau(30, 3, controls=shape)
    coarse = ocdl.solve(relaxation(bounds=ocdl.Box(u=(-0.2, 1))), replace(depth, layers=10), ocdl.Ipopt())
    problem = relaxation(bounds=ocdl.Box(u=(-0.2, 1)))
    cold, warm = (ocdl.solve(problem, depth, ocdl.Ipopt(), start=start) for start in (None, coarse))
    assert warm.cost == pytest.approx(cold.cost, abs=1e-8)
    assert warm.history["cost"].size <= cold.history["cost"].size


def test_start_carries_states_and_costates_in_function_space():
    coarse = ocdl.solve(selection(), ocdl.Grid(ocdl.Midpoint(4), ocdl.Radau(10, 3)), ocdl.Ipopt())
    statement, depth = discretised(selection(), ocdl.Grid(ocdl.Midpoint(8), ocdl.Radau(20, 3)))
    start = make_start(statement, depth, coarse, None)
    assert start.x.shape == start.costate.shape == (21, 1, 8)
    np.testing.assert_allclose(start.costate[0, 0].sum(), float(coarse.costate[0].mean()), rtol=0.2)


def test_the_table_gives_widths_in_units_of_depth():
    longer = relaxation(horizon=4.0)
    depth = ocdl.Radau(8, 3, controls=ocdl.PiecewiseLinear())
    first = ocdl.refine(longer, depth, ocdl.Ipopt(), tolerance=1e-4).rounds[0]
    assert (first.layers, first.degree) == (8, 3)
    assert first.narrowest == pytest.approx(0.5)


def test_every_round_is_shown_as_it_ends(capsys):
    depth = ocdl.Radau(3, 2, controls=ocdl.PiecewiseLinear())
    refinement = ocdl.refine(relaxation(), depth, ocdl.Ipopt(), tolerance=1e-6, progress=True)
    shown = [line for line in capsys.readouterr().err.splitlines() if "round " in line]
    assert len(shown) == len(refinement.rounds) > 1
    assert f"J = {refinement.rounds[0].cost:.10g}" in shown[0]


def test_no_round_begins_that_ends_after_the_time_given():
    with pytest.warns(UserWarning, match=r"seconds=1e-06: 1 rounds"):
        refinement = ocdl.refine(relaxation(), ocdl.Radau(3, 3), ocdl.Ipopt(), tolerance=1e-9, seconds=1e-6)
    assert not refinement.reached and len(refinement.rounds) == 1


@dataclass(frozen=True)
class Then(ocdl.Method):
    """Ipopt, and from the call number ``at`` on what ``happens``."""

    at: int = 2
    happens: Callable = None
    calls: list = field(default_factory=list)

    def solve(self, problem, depth, start, *, progress=None):
        self.calls.append(depth)
        outcome = ocdl.Ipopt().solve(problem, depth, start, progress=progress)
        return outcome if len(self.calls) < self.at else self.happens(outcome)


def stop(outcome):
    raise KeyboardInterrupt


def fail(outcome):
    return replace(outcome, status=ocdl.Status.FAILED)


def interrupted(outcome):
    return replace(outcome, u=outcome.u + 0.1, status=ocdl.Status.INTERRUPTED)


def spoiled(outcome):
    return replace(outcome, u=outcome.u + 0.3)


@pytest.mark.filterwarnings("ignore:refine")
@pytest.mark.parametrize("happens", [stop, fail, interrupted, spoiled], ids=lambda f: f.__name__)
def test_whatever_happens_later_the_best_round_is_returned(happens):
    refinement = ocdl.refine(relaxation(), ocdl.Radau(3, 3), Then(at=3, happens=happens), tolerance=1e-9, most_rounds=4)
    assert not refinement.reached
    errors = [row.control + row.integration for row in refinement.rounds[:2]]
    assert refinement.errors.cost == min(errors) and refinement.solution.cost == refinement.rounds[1].cost
    assert refinement.grid.count == refinement.rounds[1].layers
    assert "Round 2 is the best" in refinement.message


def inflated(factor):
    """The estimates of a round, the control error at ``factor`` of the cost whatever the mesh."""

    def errors(problem, depth, solution):
        found = layer_errors(problem, depth, solution)
        return replace(found, control=np.full(found.control.size, factor / found.control.size))

    return errors


def test_a_gap_that_stays_while_the_cost_stands_ends_with_halved_layers(monkeypatch):
    """A pessimistic gap of thirty times the tolerance."""
    monkeypatch.setitem(ocdl.refine.__globals__, "layer_errors", inflated(3e-4))
    depth = ocdl.Radau(4, 3, controls=ocdl.PiecewiseLinear())
    refinement = ocdl.refine(relaxation(), depth, ocdl.Ipopt(), tolerance=1e-5)
    assert refinement.reached and "Halving" in refinement.message and "pessimistic" in refinement.message
    assert len(refinement.rounds) <= 6
    assert abs(refinement.solution.cost - riccati()) < 2e-5


def test_a_gap_of_another_order_is_never_called_reached(monkeypatch):
    monkeypatch.setitem(ocdl.refine.__globals__, "layer_errors", inflated(1e2))
    depth = ocdl.Radau(4, 3, controls=ocdl.PiecewiseLinear())
    with pytest.warns(UserWarning, match="gap contradicts"):
        refinement = ocdl.refine(relaxation(), depth, ocdl.Ipopt(), tolerance=1e-5)
    assert not refinement.reached and "Reached" not in refinement.message


def test_a_refinement_is_one_short_line():
    refined = ocdl.refine(relaxation(), ocdl.Radau(4, 3), ocdl.Ipopt(), tolerance=1e-3)
    assert refined.message in repr(refined) and f"{refined.solution.cost:.10g}" in repr(refined)
    assert len(repr(refined)) < 400 and "\n" not in repr(refined)
