"""A plan solved for new numbers gives, to the last digit, what a new statement solved at once gives."""

import os
import pickle
import signal
from dataclasses import replace

import casadi as ca
import numpy as np
import pytest
import xarray as xr

import ocdl
from ocdl.solving.start import make_start

DEPTH = ocdl.Radau(5, 3)
IPOPT = ocdl.Ipopt()


def pendulum(**changes):
    given = dict(
        dynamics=lambda x, u, p, d: [x[1], ca.sin(x[0]) + p[0] * u[0] + d[0]],
        running=lambda x, u: 0.5 * (x[0] ** 2 + 0.1 * u[0] ** 2),
        terminal=lambda x, d: 5 * x[0] ** 2 + d[0] * x[1],
        penalty=lambda p: (p[0] - 1.0) ** 2,
        initial=[1.0, 0.0],
        horizon=1.0,
        bounds=ocdl.Box(u=(-5, 5), p=(0.5, 2.0)),
        parameters=("gain",),
        data=[[0.1]],
        states=("angle", "rate"),
    )
    return ocdl.ControlProblem(**{**given, **changes})


def constrained(**changes):
    rows = dict(path=lambda x, u: u[0] * x[1] - 3.0, boundary=lambda xT, d: xT[1] - d[0])
    return pendulum(bounds=ocdl.Box(u=(-5, 5), p=(0.5, 2.0), x=(-3, 3)), **rows, **changes)


def selection(**changes):
    bounds = ocdl.Box(a=(-1, 1), b=(-1, 1))
    return ocdl.SelectionProblem(
        **{**dict(activation=ocdl.Tanh(), horizon=1.0, initial=0.5, target=0.2, bounds=bounds), **changes}
    )


def same(one, other):
    """Every figure and array but the seconds."""
    left, right = (dict(s.attrs) for s in (one, other))
    for attrs in (left, right):
        del attrs["seconds"], attrs["referee_seconds"]
    np.testing.assert_equal(left, right)
    xr.testing.assert_identical(xr.DataTree.from_dict(groups(one)), xr.DataTree.from_dict(groups(other)))


def groups(solution):
    clocks = ["seconds", "cpu_seconds"]
    found = {name: node.to_dataset(inherit=False) for name, node in solution.tree.children.items()}
    return {name: group.drop_vars(clocks, errors="ignore") for name, group in found.items()}


NUMBERS = {
    "initial": dict(initial=[0.5, 0.3]),
    "data": dict(data=[[-0.2]]),
    "bounds": dict(bounds=ocdl.Box(u=(-1, 2), p=(0.7, 1.1))),
    "large": dict(initial=[30.0, 0.3], bounds=ocdl.Box(u=(-400, 400))),  # in other units inside IPOPT
}


@pytest.mark.parametrize("given", NUMBERS.values(), ids=NUMBERS)
@pytest.mark.parametrize("method", [IPOPT, ocdl.ProjectedGradient(max_iterations=5)], ids=lambda m: m.name)
def test_new_numbers_give_what_a_new_problem_gives(given, method):
    plan = ocdl.compile(pendulum(), DEPTH, method)
    first = plan.solve(on_failure="return")
    same(first, ocdl.solve(pendulum(), DEPTH, method, on_failure="return"))
    again = plan.solve(**given, start=first, on_failure="return")
    same(again, ocdl.solve(pendulum(**given), DEPTH, method, start=first, on_failure="return"))
    same(plan.solve(on_failure="return"), first)  # the numbers of one solve are none of the next


@pytest.mark.parametrize("depth", [ocdl.Radau(4, 2, controls=ocdl.PerStage()), ocdl.MultipleShooting(3)], ids=repr)
def test_constraints_and_their_multipliers_follow_the_numbers(depth):
    plan = ocdl.compile(constrained(), depth, IPOPT)
    plan.solve()
    for given in (dict(initial=[0.4, 0.3], seed=3), dict(data=[[-0.2]], start={"u": 0.5})):
        numbers = {name: value for name, value in given.items() if name in ("initial", "data")}
        beginning = {name: value for name, value in given.items() if name not in numbers}
        same(plan.solve(**given), ocdl.solve(constrained(**numbers), depth, IPOPT, **beginning))


def test_parameters_are_held_at_their_values():
    found = ocdl.compile(pendulum(), DEPTH, IPOPT).solve(parameters=[1.5])
    assert found.parameters["p"].item() == 1.5
    same(found, ocdl.solve(pendulum(bounds=ocdl.Box(u=(-5, 5), p=(1.5, 1.5))), DEPTH, IPOPT))


def test_a_selection_problem_takes_another_start_target_and_box():
    grid = ocdl.Grid(width=ocdl.Midpoint(2), depth=ocdl.Radau(4, 3))
    plan = ocdl.compile(selection(), grid, IPOPT)
    box = ocdl.Box(a=(-1, 0.5), b=(-0.5, 1))
    for given, stated in (
        (dict(initial=0.7), dict(initial=0.7)),
        (dict(data=-0.4), dict(target=-0.4)),
        (dict(bounds=box, initial=lambda y: y), dict(bounds=box, initial=lambda y: y)),
    ):
        same(plan.solve(**given), ocdl.solve(selection(**stated), grid, IPOPT))


def test_the_formulas_are_read_and_compiled_once():
    read = []

    def dynamics(x, u):
        read.append(x)
        return [x[1], u[0] - ca.sin(x[0])]

    problem = ocdl.ControlProblem(
        dynamics=dynamics, terminal=lambda x: ca.sumsqr(x), initial=[1.0, 0.0], horizon=1.0, bounds=ocdl.Box(u=(-1, 1))
    )
    plan = ocdl.compile(problem, DEPTH, IPOPT)
    found = plan.solve()
    before = len(read)
    for angle in (0.9, 0.8):
        found = plan.solve(initial=[angle, 0.0], start=found)
    assert len(read) == before


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (dict(initial=[1.0]), "initial"),
        (dict(initial=[[1.0, 0.0], [1.0, 0.0]]), "initial"),
        (dict(initial=[np.nan, 0.0]), "initial"),
        (dict(initial=[ocdl.Free(0, 1), 0.0]), "initial"),
        (dict(data=[[1.0, 2.0]]), "data"),
        (dict(data=[[np.inf]]), "data"),
        (dict(parameters=[1.0, 2.0]), "parameters"),
        (dict(bounds=(-1, 1)), "bounds"),
        (dict(bounds=ocdl.Box(v=(-1, 1))), "v"),
        (dict(bounds=ocdl.Box(u=([0, 0], [1, 1]))), "u"),
        (dict(on_failure="ignore"), "on_failure"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(given, said):
    plan = ocdl.compile(pendulum(), DEPTH, IPOPT)
    with pytest.raises(ocdl.InvalidInput, match=said):
        plan.solve(**given)


def test_a_method_refuses_bounds_that_it_cannot_take():
    plan = ocdl.compile(pendulum(), DEPTH, ocdl.ProjectedGradient(max_iterations=2))
    with pytest.raises(ocdl.NotSupported, match="x="):
        plan.solve(bounds=ocdl.Box(u=(-5, 5), x=(-2, 2)))


def test_a_plan_keeps_its_kind_of_control_set():
    grid = ocdl.Grid(width=ocdl.Midpoint(2), depth=ocdl.Radau(4, 3))
    with pytest.raises(ocdl.InvalidInput, match="control set"):
        ocdl.compile(selection(), grid, IPOPT).solve(bounds=ocdl.Disc(radius=1.0))
    with pytest.raises(ocdl.InvalidInput, match="SelectionProblem"):
        ocdl.compile(selection().discretise(grid.width), grid.depth, IPOPT).solve(bounds=ocdl.Box(u=(-1, 1)))


def test_an_interrupted_solve_says_so_and_the_next_one_is_whole():
    pressed = []

    class Pressed(ocdl.Ipopt):
        def solve(self, problem, depth, start, *, progress=None):
            if not pressed:
                pressed.append(True)
                os.kill(os.getpid(), signal.SIGINT)
            return super().solve(problem, depth, start, progress=progress)

    plan = ocdl.compile(pendulum(), DEPTH, Pressed())
    assert plan.solve().status is ocdl.Status.INTERRUPTED
    assert plan.solve().status is ocdl.Status.CONVERGED


def test_a_start_on_the_same_grid_is_what_its_labels_say(tmp_path):
    problem = pendulum()
    found = ocdl.solve(problem, DEPTH, IPOPT)
    found.save(tmp_path / "found.nc")
    kept, read = (make_start(problem, DEPTH, s, None) for s in (found, ocdl.load(tmp_path / "found.nc")))
    for name in ("u", "p", "x", "costate"):
        np.testing.assert_allclose(getattr(kept, name), getattr(read, name), rtol=1e-15)


def test_labels_are_made_when_asked_for_and_pickled_whole():
    found = ocdl.solve(pendulum(), DEPTH, IPOPT)
    assert found._tree is None and found.state.shape == (6, 1, 2)
    copy = pickle.loads(pickle.dumps(found))
    same(copy, found)
    np.testing.assert_array_equal(copy.u, found.u)


def test_a_problem_with_other_numbers_is_checked_like_a_new_one():
    problem = constrained()
    with pytest.raises(ocdl.InvalidInput, match="contradict"):
        problem.with_numbers(initial=[4.0, 0.0])
    other = problem.with_numbers(initial=[2.0, 0.0], data=[[0.3]])
    assert problem.x0.tolist() == [[1.0, 0.0]] and other.x0.tolist() == [[2.0, 0.0]]
    assert replace(problem, initial=[2.0, 0.0]).built is not problem.built is other.built


def test_units_that_change_from_solve_to_solve_need_no_other_program(solvers):
    plan = ocdl.compile(pendulum(bounds=ocdl.Box(u=(-9, 9))), DEPTH, COLD)
    found = [plan.solve(initial=[size, 0.0]) for size in (1.0, 30.0, 400.0, 0.02, 1.0)]
    assert len(solvers) == 2  # in the problem's own units, and in others
    units = [solution.extras["scale_x"].values[0] for solution in found[1:4]]
    assert units == [10.0, 1000.0, 0.01]
    same(found[0], found[-1])


# -- formulas that are stated anew --------------------------------------------------------------------


@pytest.fixture
def solvers(monkeypatch):
    """The IPOPT objects that are built."""
    made, nlpsol = [], ca.nlpsol

    def counted(*arguments):
        made.append(arguments)
        return nlpsol(*arguments)

    monkeypatch.setattr(ca, "nlpsol", counted)
    return made


GRID = ocdl.Grid(width=ocdl.Midpoint(2), depth=ocdl.Radau(4, 3))
COLD = ocdl.Ipopt(options={"mu_init": 0.1, "bound_push": 1e-2, "bound_frac": 1e-2})  # the same, however it begins


@pytest.mark.parametrize("method", [COLD, ocdl.Ipopt(options=COLD.options, reduction="rank-one")], ids=["full", "rank"])
def test_a_continuation_in_numbers_compiles_once(solvers, method):
    found = ocdl.continuation(lambda end: selection(target=end), [0.2, 0.1, 0.0], GRID, method)
    assert len(solvers) == 1
    for solution, end in zip(found, [0.2, 0.1, 0.0], strict=True):
        assert solution.cost == pytest.approx(ocdl.solve(selection(target=end), GRID, method).cost, abs=1e-9)


def test_a_continuation_in_a_formula_compiles_anew(solvers):
    def weighed(weight):
        return selection(regulariser=ocdl.Tikhonov(weight))

    found = ocdl.continuation(weighed, [1e-1, 1e-2], GRID, COLD)
    assert len(solvers) == 2
    assert found[1].cost == pytest.approx(ocdl.solve(weighed(1e-2), GRID, COLD).cost, rel=1e-9)


def test_rounds_on_one_mesh_and_comparisons_compile_once(solvers):
    ocdl.sequence(selection(), [GRID, GRID], COLD)
    assert len(solvers) == 1
    ocdl.compare(pendulum(), DEPTH, [COLD, ocdl.ProjectedGradient(max_iterations=2), COLD])
    assert len(solvers) == 2


def test_tasks_of_one_process_compile_once(solvers, tmp_path):
    from ocdl.campaign.worker import Work, perform

    tasks = ocdl.multi_start(selection, GRID, COLD, seeds=range(3))
    for task in tasks:
        perform(Work.of(task, str(tmp_path), retry_failed=False))
    assert len(solvers) == 1


@pytest.mark.parametrize(
    "other",
    [
        dict(dynamics=lambda x, u, p, d: [x[1], ca.sin(x[0]) + p[0] * u[0] - d[0]]),
        dict(running=None),
        dict(horizon=2.0),
        dict(states=("angle", "speed")),
        dict(data=[[0.1, 0.2]]),
        dict(initial=[[1.0, 0.0], [0.0, 1.0]], data=[[0.1], [0.2]]),
        dict(initial=[ocdl.Free(0.0, 2.0), 0.0]),
    ],
    ids=lambda other: next(iter(other)),
)
def test_other_formulas_share_nothing(other):
    first = ocdl.compile(pendulum(), DEPTH, IPOPT)
    assert ocdl.compile(pendulum(initial=[0.3, 0.1]), DEPTH, IPOPT, like=first).core.built is first.core.built
    assert ocdl.compile(pendulum(**other), DEPTH, IPOPT, like=first).core.built is not first.core.built


def test_another_control_set_shares_nothing():
    def within(radius):
        return selection(bounds=ocdl.Disc((0.0, 0.0), radius))

    first = ocdl.compile(within(1.0), GRID, IPOPT)
    assert ocdl.compile(within(0.5), GRID, IPOPT, like=first).core.built is not first.core.built
