"""The polish of ordinary problems: arcs named, their ends and the cost exact, from answers on uniform coarse meshes."""

import numpy as np
import pytest
from families import module
from test_extremals import bounded, energy, least_time

import ocdl
from ocdl.pmp.extremals.arcs import Structure

goddard, jackson, oscillator, turnpike = map(module, ("goddard", "jackson", "oscillator", "turnpike"))


def polished(problem, layers=25):
    grid = ocdl.Radau(layers=layers, degree=3)
    return ocdl.polish(problem, grid, ocdl.solve(problem, grid, ocdl.Ipopt()))


CASES = {
    "least time": (least_time(), 2.0, [1.0], ["lower", "upper"]),
    "oscillator": (oscillator.problem(), oscillator.REFERENCE, [oscillator.SWITCH], ["lower", "upper"]),
    "turnpike": (turnpike.problem(), turnpike.REFERENCE, turnpike.SWITCHES, ["lower", "singular", "upper"]),
    "jackson": (
        jackson.problem(),
        jackson.REFERENCE,
        [jackson.FIRST_SWITCH, 1.0 - jackson.COAST],
        ["upper", "singular", "lower"],
    ),
    "goddard": (
        goddard.problem(),
        goddard.REFERENCE,
        [goddard.FIRST_SWITCH, goddard.SECOND_SWITCH],
        ["upper", "singular", "lower"],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_from_a_uniform_mesh_to_the_exact_arcs(case):
    problem, least, switches, kinds = CASES[case]
    exact = polished(problem)
    assert exact.status is ocdl.Status.CONVERGED
    assert [arc.kind for arc in exact.arcs] == kinds
    assert exact.switches == pytest.approx(np.array(switches), abs=1e-9)
    assert abs(exact.cost - least) <= 1e-12 and exact.error <= 1e-12
    assert abs(exact.gap) <= 1e-9 and exact.solution().feasibility <= 1e-10
    assert exact.arcs[0].begin == 0.0 and exact.arcs[-1].end == pytest.approx(exact.solution().horizon)


def test_the_polished_answer_on_another_mesh_is_an_ordinary_solution():
    grid = ocdl.Radau(layers=10, degree=2)
    coarse = polished(turnpike.problem()).solution(grid)
    assert coarse.state.sizes["t"] == 11 and coarse.cost == pytest.approx(turnpike.REFERENCE, abs=0.02)


def test_several_controls_switch_at_their_own_depths():
    """The force brings one mass to rest in the least time; the push moves another far and slow at the end."""
    problem = ocdl.ControlProblem(
        states=["x", "v", "y", "w"],
        controls=["force", "push"],
        dynamics=lambda x, u: [x[1], u[0], x[3], 2 * u[1]],
        initial=[1.0, 0.0, 0.0, 1.0],
        final=[0.0, 0.0, None, None],
        horizon=ocdl.Free(0.1, 10, guess=3),
        terminal=lambda t, x: t + x[2] * 1e-2 - x[3] * 5e-3,
        bounds=ocdl.Box(u=(-1, 1)),
    )
    exact = polished(problem)
    by_control = {name: [arc for arc in exact.arcs if arc.control == name] for name in ("force", "push")}
    assert [arc.kind for arc in by_control["force"]] == ["lower", "upper"]
    # p_y = 0.01, p_w = −0.005 + 0.01 (T − t), which changes sign half a unit before the end
    assert [arc.kind for arc in by_control["push"]] == ["lower", "upper"]
    T = exact.solution().horizon
    assert by_control["push"][0].end == pytest.approx(T - 0.5, abs=1e-9)
    assert exact.status is ocdl.Status.CONVERGED and abs(exact.gap) <= 1e-9


def test_an_interior_control_meets_its_bound():
    """x' = u, x(0) = 1, J = ½∫x² + u², u ≥ −½: u = −½ at first, then the feedback of the free problem."""
    problem = ocdl.ControlProblem(
        dynamics=lambda u: u,
        initial=[1.0],
        horizon=3.0,
        running=lambda x, u: (x[0] ** 2 + u**2) / 2,
        bounds=ocdl.Box(u=(-0.5, 1)),
    )
    exact = polished(problem)
    assert [arc.kind for arc in exact.arcs] == ["lower", "interior"]
    # behind the junction s the feedback is u = −tanh(T − t) x, and there u = −½ with x = 1 − s/2
    s = exact.switches[0]
    assert np.tanh(3.0 - s) * (1.0 - s / 2) == pytest.approx(0.5, abs=1e-12)
    assert exact.status is ocdl.Status.CONVERGED and abs(exact.gap) <= 1e-12


def test_an_arc_that_vanishes_is_left_out():
    shorter = Structure((("lower",), ("upper",), ("lower",), ("singular",)), np.array([1.0, 0.0, 1.0, 2.0])).without(1)
    assert shorter.kinds == (("lower",), ("singular",))
    assert shorter.widths == pytest.approx([2.0, 2.0])


def singular_of_order_two():
    """x'' = u, |u| ≤ 1, J = ½∫x²: Fuller's problem."""
    return ocdl.ControlProblem(
        states=["x", "v"],
        dynamics=lambda x, u: [x[1], u],
        initial=[1.0, 0.0],
        horizon=8.0,
        running=lambda x: x[0] ** 2 / 2,
        bounds=ocdl.Box(u=(-1, 1)),
    )


@pytest.mark.parametrize(
    ("problem", "said"),
    [
        (bounded(bounds=ocdl.Box(x=(-np.inf, [1 / 9, np.inf]))), "state x lies on its bound at t ="),
        (singular_of_order_two(), "of a higher order than one"),
        (bounded(path=lambda x: x[0] - 1), "not path="),
        (energy(initial=[[0.0], [1.0]], final=[[2.0], [3.0]]), "one sample, and this problem has 2"),
    ],
)
def test_what_it_cannot_take_is_said(problem, said):
    with pytest.raises(ocdl.NotSupported, match=f"polish: .*{said}"):
        polished(problem)


def test_a_solution_of_another_problem_is_refused():
    grid = ocdl.Radau(layers=5, degree=2)
    other = ocdl.solve(energy(initial=[0.0], final=[2.0]), grid, ocdl.Ipopt())
    with pytest.raises(ocdl.InvalidInput, match="an answer to this problem is needed"):
        ocdl.polish(least_time(), grid, other)
