"""Linked phases solved: closed forms, agreement with one phase, meshes of their own, and what is refused."""

import signal
from pathlib import Path

import numpy as np
import pytest
from interrupts import PressesCtrlC

import ocdl
from ocdl.campaign.problem_file import read_problem_file

PROBLEMS = Path(__file__).parents[2] / "problems"
FREE = ocdl.Free()
LINEAR = ocdl.Radau(layers=3, degree=3, controls=ocdl.PiecewiseLinear())
SQRT7 = np.sqrt(7.0)


def mover(**given):
    given = {"initial": [FREE, FREE]} | given
    return ocdl.ControlProblem(
        states=["x", "v"], controls=["u"], dynamics=lambda x, u: [x[1], u], running=lambda u: u**2 / 2, **given
    )


def hit(most=5.0):
    """From rest at 0 to rest at 1 in two units of time; once, at a time that is free, the speed is halved."""
    box = ocdl.Box(u=(-most, most))
    return ocdl.Phases(
        {
            "before": mover(initial=[0, 0], horizon=ocdl.Free(0.1, 3), bounds=box),
            "after": mover(final=[1, 0], horizon=ocdl.Free(0.1, 3), bounds=box),
        },
        jumps={"after": lambda x: [x[0], x[1] / 2]},
        links=lambda before, after: before.horizon + after.horizon - 2,
    )


def least_energy_of_the_hit():
    """The time of the hit and the cost.

    p_x = −k is constant and u' = −k; at the hit v is halved, so that p_v, and u = −p_v, doubles; as its time is free
    p_x v − u²/2 is continuous: k v = 3 u², v and u before the hit. With s = k a/u and q = k b/u, a and b the durations,
    v = u a + k a²/2 gives s + s²/2 = 3, and rest at the end 3/2 + 2q − q²/2 = 0. Of the solutions with s/q > 0
    s = −1 − √7, q = 2 − √7 costs less. All of x is proportional to k, which x(2) = 1 determines.
    """
    s, q = -1 - SQRT7, 2 - SQRT7
    a, b = 2 * s / (s + q), 2 * q / (s + q)

    def costs(k):
        u = k * a / s
        begin, end = u + k * a, 2 * u - k * b
        x = begin * a**2 / 2 - k * a**3 / 6
        x += (begin * a - k * a**2 / 2) / 2 * b + u * b**2 - k * b**3 / 6
        return x, (begin**3 - u**3 + (2 * u) ** 3 - end**3) / (6 * k)

    x, _ = costs(1.0)
    return a, costs(1 / x)[1]


@pytest.mark.parametrize(
    "grid",
    [
        [LINEAR, ocdl.Gauss(layers=5, degree=2, controls=ocdl.PerStage())],
        {"after": LINEAR, "before": ocdl.Radau(layers=7, degree=4, controls=ocdl.PerStage())},
    ],
)
def test_a_hit_that_halves_the_speed_comes_at_its_time(grid):
    a, least = least_energy_of_the_hit()
    solution = ocdl.solve(hit(), grid, ocdl.Ipopt())
    assert solution.status is ocdl.Status.CONVERGED
    assert abs(solution.cost - least) < 1e-8
    assert solution.times == pytest.approx([0.0, a, 2.0], abs=1e-8)
    assert solution.gap < 1e-8 and solution.feasibility < 1e-10
    end, begin = (solution[name].costate.values[at, 0] for name, at in (("before", -1), ("after", 0)))
    assert begin == pytest.approx([end[0], 2 * end[1]], abs=1e-8)
    assert solution["after"].state["t"][0] == pytest.approx(a)


def test_two_phases_without_a_jump_are_one():
    whole = ocdl.solve(mover(initial=[0, 0], final=[1, 0], horizon=1.0), LINEAR, ocdl.Ipopt())
    halves = ocdl.Phases([mover(initial=[0, 0], horizon=0.3), mover(final=[1, 0], horizon=0.7)])
    solution = ocdl.solve(halves, LINEAR, ocdl.Ipopt())
    assert solution.cost == pytest.approx(6.0, abs=1e-10) and whole.cost == pytest.approx(6.0, abs=1e-10)
    assert solution.links["multiplier"].values == pytest.approx(-solution["phase1"].costate.values[0, 0], abs=1e-9)
    t = solution["phase1"].state["t"].values
    assert solution["phase1"].state.values[:, 0, 0] == pytest.approx(3 * t**2 - 2 * t**3, abs=1e-9)


@pytest.mark.parametrize("free", [False, True])
def test_formulas_see_the_time_that_goes_on(free):
    """min ∫ (1 + t) u²/2 with x' = u from 0 to 1 is 1/(2 ln 2), in two phases that meet at 0.4."""

    def phase(horizon, **given):
        return ocdl.ControlProblem(
            dynamics=lambda u: u, running=lambda t, u: (1 + t) * u**2 / 2, horizon=horizon, **given
        )

    horizons = [ocdl.Free(0.1, 0.9) if free else T for T in (0.4, 0.6)]
    phases = ocdl.Phases(
        {"a": phase(horizons[0], initial=[0]), "b": phase(horizons[1], initial=[FREE], final=[1])},
        links=(lambda a, b: [a.T - 0.4, b.T - 1.0]) if free else None,
    )
    solution = ocdl.solve(phases, ocdl.Radau(layers=4, degree=4, controls=ocdl.PerStage()), ocdl.Ipopt())
    assert abs(solution.cost - 1 / (2 * np.log(2))) < 1e-9
    assert solution.times == pytest.approx([0.0, 0.4, 1.0])


def test_parameters_of_one_name_are_shared_where_asked():
    """x' = p + u over two units, min ∫ u²/2 + p²/2 with x from 0 to 1: u = 1/6, p = 1/3, J = 1/12."""

    def phase(**given):
        return ocdl.ControlProblem(
            dynamics=lambda u, p: u + p, running=lambda u: u**2 / 2, parameters=["p"], horizon=1.0, **given
        )

    one, other = phase(initial=[0]), phase(initial=[FREE], final=[1], penalty=lambda p: p**2 / 2)
    solution = ocdl.solve(ocdl.Phases([one, other], shared=["p"]), LINEAR, ocdl.Ipopt())
    assert abs(solution.cost - 1 / 12) < 1e-10
    for phase_solution in solution.values():
        assert float(phase_solution.parameters["p"][0]) == pytest.approx(1 / 3, abs=1e-8)
    assert solution.gap < 1e-8
    apart = ocdl.solve(ocdl.Phases([one, other]), LINEAR, ocdl.Ipopt(), on_failure="return")
    assert apart.cost < 1e-8  # the parameter of the first phase alone costs nothing


def test_a_linkage_may_be_an_interval():
    """Between the phases at least three quarters of the way: there x = 3/4 with a price, as 1/2 would be best."""
    half, end = mover(initial=[0, 0], horizon=0.5), mover(final=[1, 0], horizon=0.5)

    def solved(least):
        phases = ocdl.Phases({"a": half, "b": end}, links=lambda a: a.xT[0], linked=(least, np.inf))
        return ocdl.solve(phases, LINEAR, ocdl.Ipopt())

    held, idle = solved(0.75), solved(0.25)
    assert float(held["a"].state[-1, 0, 0]) == pytest.approx(0.75, abs=1e-9)
    assert held.links["multiplier"].values[-1] < -1.0 and held.gap < 1e-7
    assert idle.cost == pytest.approx(6.0, abs=1e-7) and abs(idle.links["multiplier"].values[-1]) < 1e-7
    assert held.cost > 6.5


def test_every_phase_is_refined_by_itself():
    _, least = least_energy_of_the_hit()
    coarse = [ocdl.Radau(layers=2, degree=3), LINEAR]
    refinement = ocdl.refine(hit(), coarse, ocdl.Ipopt(), tolerance=1e-3)
    assert refinement.reached
    assert abs(refinement.solution.cost - least) < 2e-3
    counts = [depth.count for depth in refinement.grid]
    assert counts[0] > 4 * counts[1] and counts[1] == LINEAR.count * (2 if "Halving" in refinement.message else 1)


def test_a_solution_begins_another_on_other_meshes():
    problem, other = hit(), [LINEAR.with_layers(5), LINEAR.with_layers(2)]
    first = ocdl.solve(problem, LINEAR, ocdl.Ipopt())
    again = ocdl.solve(problem, other, ocdl.Ipopt(), start=first)
    assert abs(again.cost - first.cost) < 1e-8
    drawn = ocdl.solve(problem, other, ocdl.Ipopt(), seed=0)
    assert drawn.gap < 1e-8 and drawn.cost > again.cost - 1e-8  # a worse optimum, where the first phase is shortest
    named = ocdl.solve(problem, LINEAR, ocdl.Ipopt(), start={"before": {"u": 0.5}, "after": first["after"]})
    assert abs(named.cost - first.cost) < 1e-8


def test_a_cost_of_all_ends_is_a_linked_parameter():
    """min ½ ∫ u² + (x(1) + x(2)) with x' = u from 0 over two units: u = −2, then −1, J = −5/2."""

    def phase(**given):
        return ocdl.ControlProblem(dynamics=lambda u: u, running=lambda u: u**2 / 2, horizon=1.0, **given)

    last = phase(initial=[FREE], parameters=["e"], penalty=lambda p: p)
    phases = ocdl.Phases({"a": phase(initial=[0]), "b": last}, links=lambda a, b: b.p - (a.xT + b.xT))
    solution = ocdl.solve(phases, LINEAR, ocdl.Ipopt())
    assert solution.cost == pytest.approx(-2.5, abs=1e-9) and solution.gap < 1e-8
    assert solution["a"].u.values == pytest.approx(-2.0) and solution["b"].u.values == pytest.approx(-1.0)


def test_ctrl_c_keeps_the_iterate(monkeypatch):
    monkeypatch.setattr("ocdl.nlp.ipopt.progress_bar", PressesCtrlC)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        solution = ocdl.solve(hit(), LINEAR, ocdl.Ipopt())
    finally:
        signal.signal(signal.SIGINT, before)
    assert solution.status is ocdl.Status.INTERRUPTED and np.isfinite(solution.cost)


def test_what_takes_one_problem_alone_says_so():
    with pytest.raises(ocdl.InvalidInput, match=r"Phases\(before, after\): .* taken by solve and refine alone"):
        ocdl.compile(hit(), LINEAR, ocdl.Ipopt())
    with pytest.raises(ocdl.NotSupported, match="which the command line does not take"):
        read_problem_file(PROBLEMS / "ascent_two_phase.py", {})


@pytest.mark.parametrize("method", [ocdl.NeedleSteps(), ocdl.InteriorPoint(), ocdl.ValueIteration()])
def test_methods_that_take_no_phases_say_so(method):
    with pytest.raises(ocdl.NotSupported, match="does not take linked phases; use Ipopt"):
        ocdl.solve(hit(), LINEAR, method)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"grid": [LINEAR]}, "one for each of the phases before, after"),
        ({"grid": {"before": LINEAR, "later": LINEAR}}, "one for each of the phases before, after"),
        ({"grid": 3}, "solved on a depth scheme"),
        ({"start": {"later": {}}}, "a mapping of the phases before, after"),
        ({"start": 3}, "a mapping of the phases before, after"),
        ({"on_failure": "ignore"}, "'raise', 'warn', 'return'"),
        ({"method": "Ipopt"}, "an instance of a method"),
    ],
)
def test_what_does_not_fit_is_refused_in_words(options, said):
    options = {"grid": LINEAR, "method": ocdl.Ipopt()} | options
    with pytest.raises(ocdl.InvalidInput, match=said):
        ocdl.solve(hit(), **options)


def test_reduced_space_is_refused():
    with pytest.raises(ocdl.NotSupported, match="phases are solved in full space"):
        ocdl.solve(hit(), LINEAR, ocdl.Ipopt(space="reduced"))


def test_a_solve_that_fails_says_where_and_keeps_its_last_iterate():
    with pytest.raises(ocdl.SolveFailed, match="Ipopt") as caught:
        ocdl.solve(hit(most=0.01), LINEAR, ocdl.Ipopt(max_iterations=3))
    assert caught.value.solution.status is ocdl.Status.ITERATION_LIMIT
    with pytest.raises(ocdl.SolveFailed, match=r"the linkage of \w at the begin of after: "):
        ocdl.solve(hit(most=0.01), LINEAR, ocdl.Ipopt())
    with pytest.warns(UserWarning, match="Ipopt"):
        solution = ocdl.solve(hit(), LINEAR, ocdl.Ipopt(max_iterations=1), on_failure="warn")
    assert list(solution) == ["before", "after"]
