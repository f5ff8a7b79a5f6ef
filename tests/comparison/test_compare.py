"""compare: the table, the sentences, and what survives a failure or Ctrl-C."""

import dataclasses
import json
from dataclasses import dataclass

import numpy as np
import pytest
import xarray as xr

import ocdl
from ocdl.comparison.compare import Comparison, compare, finite_only, unique_names
from ocdl.referee.outcome import Outcome, Status
from ocdl.solving.method import Method


@dataclass(frozen=True)
class Constant(Method):
    """The same control in every layer, with a claim and a status of the test's choosing."""

    u: float = 0.0
    label: str = "Constant"
    status: Status = Status.CONVERGED
    claimed: float | None = None
    value: bool = False
    error: BaseException | None = None

    @property
    def name(self):
        return self.label

    def solve(self, problem, depth, start, *, progress=None):
        if self.error is not None:
            raise self.error
        u = np.full((depth.count, problem.m), self.u)
        claim = {} if self.claimed is None else {"cost": self.claimed}
        table = xr.DataArray(np.zeros((2, 3)), dims=("t", "f0"), coords={"t": [0.0, 1.0], "f0": [-1.0, 0.0, 1.0]})
        return Outcome(u, start.p, self.status, claim=claim, extras={"value": table} if self.value else {})


GRID = ocdl.ExplicitEuler(layers=4)


def two_extremals():
    """x' = u, |u| ≤ 1, J = −x(1)² − x(1)/10: u = 1 gives −1.1, u = −1 another extremal with −0.9."""
    return ocdl.ControlProblem(
        dynamics=lambda u: [u[0]],
        initial=[0.0],
        horizon=1.0,
        terminal=lambda x: -(x[0] ** 2) - 0.1 * x[0],
        bounds=ocdl.Box(u=(-1, 1)),
    )


def reachable():
    return ocdl.ControlProblem(
        dynamics=lambda u: [u[0]], initial=[0.0], horizon=1.0, terminal=lambda x: x[0] ** 2, bounds=ocdl.Box(u=(-1, 1))
    )


def said(comparison: Comparison) -> str:
    return " ".join(comparison.findings())


def test_the_table_holds_the_referees_figures_and_the_excess_over_the_best():
    comparison = compare(two_extremals(), GRID, [Constant(-1.0, "Down"), Constant(1.0, "Up", claimed=-7.0)])
    down, up = comparison.table()
    assert (down.method, up.method) == ("Down", "Up")
    assert up.cost == pytest.approx(-1.1) and down.cost == pytest.approx(-0.9)
    assert up.excess == 0.0 and down.excess == pytest.approx(0.2) and down.relative == pytest.approx(0.2 / 1.1)
    assert down.gap == pytest.approx(0.0, abs=1e-9) and down.gap_is_exact is True
    assert up.claimed == -7.0 and down.claimed is None
    assert comparison.best is comparison.solutions["Up"] and comparison.best_name == "Up"
    text = str(comparison)
    assert "best" in text and "18 %" in text and "at least" not in text
    assert "\x1b" not in text and max(map(len, text.splitlines())) <= 120


def test_a_gap_that_is_not_proven_is_marked_as_one_that_may_be_larger():
    cubic = dataclasses.replace(two_extremals(), dynamics=lambda u: [u[0] ** 3])
    text = str(compare(cubic, GRID, [Constant(1.0, "Up")]))
    assert "0.0e+00 *" in text and "* at least: H may have lower minima" in text


def test_a_worse_extremal_is_named_with_its_excess_and_the_value_function_as_witness():
    routes = [Constant(-1.0, "Down"), Constant(-1.0, "Also"), Constant(1.0, "Feedback", value=True, claimed=-1.12)]
    sentences = said(compare(two_extremals(), GRID, routes))
    assert "Down and Also stop in a worse extremal: their cost -0.9 is 18 % above what Feedback's feedback attains" in (
        sentences
    )
    assert "value at the start, V = -1.12 (V − J = -0.02), says so" in sentences


def test_a_coarse_value_function_is_no_witness():
    routes = [Constant(-1.0, "Down"), Constant(1.0, "Feedback", value=True, claimed=-0.8)]
    sentences = said(compare(two_extremals(), GRID, routes))
    assert "V = -0.8 (V − J = +0.3), is too coarse to tell" in sentences and "says so" not in sentences


def test_routes_within_their_gaps_agree_and_are_not_called_worse():
    sentences = said(compare(two_extremals(), GRID, [Constant(1.0, "Up"), Constant(1.0 - 1e-5, "Near")]))
    assert "Near agrees with it: its cost is within 2.1e-05" in sentences and "worse" not in sentences


def test_a_route_that_is_at_no_extremal_is_told_so():
    sentences = said(compare(two_extremals(), GRID, [Constant(1.0, "Up"), Constant(0.6, "Half")]))
    assert "Half's cost -0.42 is 62 % above the best" in sentences and "not at an extremal yet" in sentences
    assert "worse extremal" not in sentences


def test_a_route_that_did_not_finish_is_not_blamed_for_its_extremal():
    early = Constant(-1.0, "Early", status=Status.ITERATION_LIMIT)
    comparison = compare(two_extremals(), GRID, [Constant(1.0, "Up"), early])
    assert "Early did not finish (iteration limit)" in said(comparison) and "worse extremal" not in said(comparison)
    assert Status.ITERATION_LIMIT.value.split(";")[0] in str(comparison)


def test_a_cost_out_of_bounds_does_not_count():
    comparison = compare(two_extremals(), GRID, [Constant(2.0, "Outside"), Constant(1.0, "Up")])
    assert comparison.best_name == "Up"
    assert "Outside violates its bounds by 1: its cost -4.2 does not count" in said(comparison)


def test_a_reached_target_silences_the_maximum_principle():
    sentences = said(compare(reachable(), GRID, [Constant(0.0, "Still"), Constant(1e-9, "Almost")]))
    assert (
        "maximum principle says nothing here about the controls of Still and Almost: the target is reached" in sentences
    )


def test_an_unreached_target_does_not():
    assert "says nothing" not in said(compare(reachable(), GRID, [Constant(0.1)]))


def test_a_false_claim_is_exposed():
    sentences = said(compare(two_extremals(), GRID, [Constant(1.0, "Up", claimed=-7.0)]))
    assert "Up reports the cost -7; re-integrated, its controls cost -1.1" in sentences
    assert "reports the cost" not in said(compare(two_extremals(), GRID, [Constant(1.0, claimed=-1.1)]))


def test_differences_are_maxima_over_depth_and_width():
    comparison = compare(two_extremals(), GRID, [Constant(1.0, "Up"), Constant(-1.0, "Down")])
    (pair,) = comparison.differences()
    assert (pair.first, pair.second) == ("Up", "Down")
    assert pair.controls == 2.0 and pair.controls_mean == 2.0
    assert pair.state == pytest.approx(2.0)  # x(1) = ±1
    assert pair.costate == pytest.approx(2.1 + 1.9)  # p = −2x(1) − 0.1


def test_depth_error_is_what_halved_layers_change():
    decay = ocdl.ControlProblem(
        dynamics=lambda x, u: [-x[0] + u[0]], initial=[1.0], horizon=1.0, terminal=lambda x: x[0],
        bounds=ocdl.Box(u=(-1, 1)),
    )  # fmt: skip
    comparison = compare(decay, GRID, [Constant(0.0)])
    assert comparison.depth_error == pytest.approx(abs(0.875**8 - 0.75**4))
    assert compare(two_extremals(), GRID, [Constant(1.0)]).depth_error == pytest.approx(0.0, abs=1e-14)


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (ocdl.NotSupported("Broken: one sample only; this problem has 3."), "not supported", "one sample only"),
        (ocdl.InvalidInput("Broken(nodes=1): at least 5."), "refused", "at least 5"),
        (ocdl.SolveFailed("Broken: diverged."), "failed", "diverged"),
        (ZeroDivisionError("division by zero"), "failed", "ZeroDivisionError: division by zero"),
    ],
)
def test_a_method_that_raises_becomes_a_row_and_the_others_go_on(error, status, words):
    comparison = compare(two_extremals(), GRID, [Constant(label="Broken", error=error), Constant(1.0, "Up")])
    broken, up = comparison.table()
    assert broken.status == status and words in broken.message and broken.cost is None
    assert up.cost == pytest.approx(-1.1) and not comparison.interrupted
    assert words in " ".join(str(comparison).split()) and comparison.failures["Broken"].error is error


def test_ctrl_c_keeps_what_is_finished_and_runs_no_more():
    methods = [Constant(1.0, "Up"), Constant(label="Hung", error=KeyboardInterrupt()), Constant(-1.0, "Down")]
    comparison = compare(two_extremals(), GRID, methods)
    assert list(comparison.solutions) == ["Up", "Hung"] and comparison.interrupted
    assert np.array_equal(comparison.solutions["Hung"].u, np.zeros((4, 1)))  # the start
    assert [row.status for row in comparison.table()] == ["converged", "interrupted", "not run"]


def test_an_interrupted_best_iterate_is_kept_and_ends_the_comparison():
    methods = [Constant(1.0, "Stopped", status=Status.INTERRUPTED), Constant(-1.0, "Down")]
    comparison = compare(two_extremals(), GRID, methods)
    assert comparison.interrupted and comparison.best_name == "Stopped"
    assert comparison.failures["Down"].status == "not run"


def test_no_solution_at_all_is_said_and_best_refuses():
    comparison = compare(two_extremals(), GRID, [Constant(error=ocdl.NotSupported("no"))])
    assert "No method returned a solution." in str(comparison) and comparison.best_name is None
    with pytest.raises(ocdl.InvalidInput, match="none of the methods"):
        _ = comparison.best


def test_names_are_unique():
    assert list(unique_names([Constant(), Constant(1.0), Constant(label="Other"), Constant()])) == [
        "Constant", "Constant #2", "Other", "Constant #3",
    ]  # fmt: skip


@pytest.mark.parametrize("methods", [[], Constant(), [Constant], ["Ipopt"], None])
def test_a_bad_list_of_methods_is_refused(methods):
    with pytest.raises(ocdl.InvalidInput, match="method"):
        compare(two_extremals(), GRID, methods)


def test_a_bad_grid_or_start_is_refused_once_not_made_a_row():
    with pytest.raises(ocdl.InvalidInput, match="depth scheme"):
        compare(two_extremals(), 5, [Constant()])
    with pytest.raises(ocdl.InvalidInput, match="not both"):
        compare(two_extremals(), GRID, [Constant()], start={"u": np.zeros((4, 1))}, seed=1)


def test_the_summary_is_strict_json():
    broken = Constant(label="Broken", error=ocdl.NotSupported("no"))
    comparison = compare(two_extremals(), GRID, [Constant(1.0, "Up"), Constant(-1.0, "Down"), broken])
    data = json.loads(json.dumps(comparison.summary(), allow_nan=False))
    assert data["best"] == "Up" and data["rows"][1]["excess"] == pytest.approx(0.2)
    assert data["rows"][2]["message"] == "no" and data["differences"][0]["controls"] == 2.0
    assert finite_only({"a": [float("nan"), (float("inf"), 1.0)]}) == {"a": [None, [None, 1.0]]}


def test_a_refusal_names_the_method_once_and_the_constraint_as_written():
    ended = dataclasses.replace(two_extremals(), final=[0.5])
    comparison = compare(ended, GRID, [ocdl.NeedleSteps()])
    line = next(line for line in str(comparison).splitlines() if line.startswith("NeedleSteps: "))
    assert line.count("NeedleSteps") == 1
    assert "constrained by final=..." in comparison.failures["NeedleSteps"].message


@dataclass(frozen=True)
class Proves(Constant):
    """Claims a lower bound of every cost."""

    bound: float = 0.0

    def solve(self, problem, depth, start, *, progress=None):
        return dataclasses.replace(super().solve(problem, depth, start), claim={"lower_bound": self.bound})


@pytest.mark.parametrize(("bound", "rings"), [(-1.0, True), (-1.1 + 1e-4, True), (-1.1, False), (-2.0, False)])
def test_a_proven_bound_above_an_attained_cost_raises_the_alarm(bound, rings):
    comparison = compare(two_extremals(), GRID, [Constant(1.0, "Up"), Proves(-1.0, "Prover", bound=bound)])
    alarms = comparison.summary()["alarms"]
    assert len(alarms) == rings and ("ALARM: Prover's proof" in said(comparison)) == rings
    assert ("optimality gap of Up's cost" in said(comparison)) != rings
    if rings:
        assert alarms[0] in comparison.findings() and "yet Up attains -1.1" in alarms[0]
