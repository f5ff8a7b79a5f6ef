"""solve: the one verb, with methods written here, so that only the verb is tested."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from families import scalar, selection

import ocdl
from ocdl import Grid, Method, Midpoint, Outcome, Status
from ocdl.solving.compile import discretised

GRID = Grid(width=Midpoint(2), depth=ocdl.Kutta4(3))


@dataclass(frozen=True)
class Echo(Method):
    """Hands its start back, and a false claim with it."""

    status: Status = Status.CONVERGED
    seen: Any = None

    def solve(self, problem, depth, start, *, progress=None):
        if self.seen is not None:
            self.seen.append((problem, depth, start, progress))
        return Outcome(u=start.u, p=start.p, status=self.status, detail="Echoed.", claim={"cost": -99.0})


def test_the_referee_judges_not_the_method():
    solution = ocdl.solve(selection(), GRID, Echo(), start={"a": np.full((3, 2), 0.5)})
    assert solution.claim["cost"] == -99.0 and solution.cost > 0
    assert solution.method == "Echo" and solution.detail == "Echoed." and solution.seconds >= 0.0
    np.testing.assert_array_equal(solution.a, np.full((3, 2), 0.5))
    np.testing.assert_array_equal(solution.b, np.zeros((3, 2, 2)))


def test_a_method_gets_the_finite_problem_and_a_start_inside():
    seen: list[Any] = []
    ocdl.solve(selection(), GRID, Echo(seen=seen), seed=4, progress=False)
    ((problem, depth, start, progress),) = seen
    assert isinstance(problem, ocdl.ControlProblem) and depth is GRID.depth and progress is False
    assert start.u.shape == (3, 2 + 4) and np.all(np.abs(start.u) <= 1)


def test_a_solution_is_a_start():
    first = ocdl.solve(scalar(), ocdl.ExplicitEuler(2), Echo(), seed=1)
    second = ocdl.solve(scalar(), ocdl.Gauss(4, degree=2), Echo(), start=first)
    np.testing.assert_allclose(second.u, np.repeat(first.u, 2, axis=0))


@pytest.mark.parametrize("status", list(Status))
def test_failures_raise_warn_or_return(status):
    extremal = {"u": np.full((2, 1), -0.1)}  # of a state that stays above its target

    def run(**options):
        problem = scalar(bounds=ocdl.Box(u=(-0.1, 1)))
        return ocdl.solve(problem, ocdl.ExplicitEuler(2), Echo(status), start=extremal, **options)

    assert run(on_failure="return").status is status
    if not status.failed:
        assert run().status is status
        return
    with pytest.raises(ocdl.SolveFailed) as caught:
        run()
    assert str(caught.value) == f"Echo: {status.value} Echoed."
    assert caught.value.solution.status is status
    with pytest.warns(UserWarning, match="Echo: "):
        assert run(on_failure="warn").status is status


@pytest.mark.parametrize("status", list(Status))
def test_every_status_is_a_sentence(status):
    assert status.value[0].isupper() and status.value.endswith(".")
    if status.failed or status in (Status.INTERRUPTED, Status.CYCLE, Status.STALLED, Status.ACCEPTABLE):
        remedies = {"use", "try", "raise", "pass", "loosen", "bound", "refine"}
        assert remedies & set(status.value.lower().split())


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: ocdl.solve(selection(), GRID, "ipopt"), ["method='ipopt'", "ocdl.Ipopt()"]),
        (lambda: ocdl.solve(selection(), GRID, Echo), ["method=<class", "ocdl.Ipopt()"]),
        (lambda: ocdl.solve(selection(), GRID, None), ["method=None"]),
        (lambda: ocdl.solve(selection(), GRID, Echo(), on_failure="explode"), ["on_failure='explode'", "'warn'"]),
        (lambda: ocdl.solve(selection(), ocdl.Kutta4(3), Echo()), ["SelectionProblem", "Grid(width="]),
        (lambda: ocdl.solve(selection(), 50, Echo()), ["grid=50", "Grid(width="]),
        (lambda: ocdl.solve(scalar(), GRID, Echo()), ["ControlProblem", "depth scheme", "Radau(layers=50, degree=3)"]),
        (lambda: ocdl.solve(scalar(), None, Echo()), ["grid=None", "depth scheme"]),
        (lambda: ocdl.solve("problem", GRID, Echo()), ["problem='problem'", "SelectionProblem or a ControlProblem"]),
        (lambda: ocdl.solve(selection, GRID, Echo()), ["problem=", "SelectionProblem or a ControlProblem"]),
        (lambda: ocdl.solve(scalar(), ocdl.Kutta4(2), Echo(), seed=1, start={}), ["not both"]),
        (lambda: ocdl.solve(scalar(), ocdl.Kutta4([0.5, 0.4]), Echo()), ["must sum to the horizon 1", "0.9"]),
    ],
)
def test_wrong_calls_are_named(make, said):
    with pytest.raises(ocdl.InvalidInput) as caught:
        make()
    assert all(part in str(caught.value) for part in said), str(caught.value)
    assert len(str(caught.value)) < 400


def test_discretised_is_what_solve_hands_over():
    problem, depth = discretised(selection(), GRID)
    assert problem.n == 2 and depth is GRID.depth
    plain = scalar()
    assert discretised(plain, GRID.depth) == (plain, GRID.depth)


def test_a_method_without_solve_says_so():
    with pytest.raises(NotImplementedError):
        ocdl.solve(scalar(), ocdl.Kutta4(2), Method())


def test_controls_without_a_state_are_a_failed_solve():
    explosive = scalar(dynamics=lambda x: x[0] ** 3, initial=[2.0], horizon=8.0)
    for on_failure in ("raise", "return"):
        with pytest.raises(ocdl.SolveFailed, match=r"Echo: the state became .* layer \d+ .*Shorten the layers"):
            ocdl.solve(explosive, ocdl.ExplicitEuler(20), Echo(), on_failure=on_failure)


@dataclass(frozen=True)
class Returns(Method):
    """Hands back what the test says."""

    outcome: Any = None

    def solve(self, problem, depth, start, *, progress=None):
        return self.outcome(start) if callable(self.outcome) else self.outcome


@pytest.mark.parametrize(
    ("outcome", "said"),
    [
        (None, ["Returns.solve must return an ocdl.Outcome", "NoneType"]),
        (np.zeros((2, 1)), ["Returns.solve must return", "ndarray"]),
        (lambda s: Outcome(s.u, s.p, "converged"), ["the status 'converged'"]),
        (lambda s: Outcome(np.zeros((3, 1)), s.p, Status.CONVERGED), ["Outcome(u=...)", "(2, 1)", "got (3, 1)"]),
        (lambda s: Outcome(s.u, np.zeros(2), Status.CONVERGED), ["Outcome(p=...)", "(0,)", "got (2,)"]),
        (lambda s: Outcome(None, s.p, Status.CONVERGED), ["Outcome(u=...)", "NoneType"]),
    ],
)
def test_what_a_method_hands_back_is_checked(outcome, said):
    with pytest.raises(ocdl.InvalidInput) as caught:
        ocdl.solve(scalar(), ocdl.ExplicitEuler(2), Returns(outcome))
    assert all(part in str(caught.value) for part in said), str(caught.value)


def test_lists_are_arrays_and_controls_that_are_no_numbers_fail():
    lists = Returns(lambda s: Outcome(s.u.tolist(), s.p.tolist(), Status.CONVERGED))
    assert ocdl.solve(scalar(), ocdl.ExplicitEuler(2), lists).cost > 0
    with pytest.raises(ocdl.SolveFailed, match="u0 = nan"):
        ocdl.solve(scalar(), ocdl.ExplicitEuler(2), Returns(lambda s: Outcome(s.u * np.nan, s.p, Status.CONVERGED)))


def test_what_no_memory_holds_is_refused_before_it_is_made():
    problem = scalar(dynamics=lambda x, u: u - x, initial=np.zeros((10**5, 1)))
    with pytest.raises(ocdl.InvalidInput, match="states, costates, controls and gradients need about"):
        discretised(problem, ocdl.ExplicitEuler(10**6))


def test_callables_of_continuation_and_value_iteration_that_raise_are_named():
    with pytest.raises(ocdl.InvalidInput, match=r"continuation\(statement=...\): called with 1 it raised ZeroDiv"):
        ocdl.continuation(lambda value: 1 / 0, [1, 2], ocdl.ExplicitEuler(2), Echo())
    with pytest.raises(ocdl.InvalidInput, match=r"ValueIteration\(minimiser=...\): called with t, x and p of shapes"):
        ocdl.solve(scalar(), ocdl.ExplicitEuler(2), ocdl.ValueIteration(minimiser=lambda t, x, p: 1 / 0))
