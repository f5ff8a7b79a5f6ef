"""Control sets as part of the problem: one set for every route, and a refusal by name where a route cannot."""

import casadi as ca
import numpy as np
import pytest
from families import selection
from scipy.integrate import solve_ivp

import ocdl
from ocdl.referee.outcome import Status
from ocdl.statement.control_set import path_rows

TRIANGLE = ocdl.Polygon(((-0.9, -0.2), (0.8, -0.7), (0.1, 0.9)))
SETS = [ocdl.Disc(), ocdl.Disc((0.2, -0.1), 0.6), TRIANGLE]
GRID = ocdl.Grid(ocdl.Midpoint(2), ocdl.ExplicitEuler(8))


def far(**changes):
    return selection(**{"initial": lambda y: 0.2 + 0.1 * y, "target": lambda y: 3.0 + y} | changes)


@pytest.mark.parametrize("set_", SETS, ids=["unit disc", "disc", "triangle"])
def test_ipopt_and_needles_agree_over_the_problems_own_set(set_):
    problem = far(bounds=set_)
    comparison = ocdl.compare(problem, GRID, [ocdl.ControlSetNeedleSteps(), ocdl.Ipopt()])
    needles, direct = comparison.solutions.values()
    assert direct.cost == pytest.approx(needles.cost, abs=1e-6)
    assert max(needles.gap, direct.gap) < 1e-5 and needles.gap_is_exact
    assert max(needles.feasibility, direct.feasibility) < 1e-6
    assert needles.control_set == direct.control_set == ""
    assert any("agree" in sentence for sentence in comparison.findings())


def test_one_neuron_in_a_disc_by_ipopt():
    """Above its reach f' = tanh √(1 + f²)."""
    end = solve_ivp(lambda t, f: np.tanh(np.sqrt(1 + f**2)), (0, 1), [0.5], rtol=1e-12, atol=1e-13).y[0, -1]
    grid = ocdl.Grid(ocdl.Midpoint(1), ocdl.Radau(20, 2))
    solution = ocdl.solve(selection(initial=0.5, target=3.0, bounds=ocdl.Disc()), grid, ocdl.Ipopt())
    assert solution.cost == pytest.approx(0.5 * (3.0 - end) ** 2, rel=1e-4)
    assert solution.feasibility < 1e-6


def test_several_samples_in_a_disc_keep_to_it():
    """No closed form there: the set is a path constraint of the problem itself."""
    problem = far(initial=np.array([[0.1, 0.4], [0.3, -0.2]]), target=np.full((2, 2), 3.0), bounds=ocdl.Disc())
    discrete = problem.discretise(GRID.width)
    assert discrete.path is not None and discrete.control_set == ocdl.Disc()
    solution = ocdl.solve(problem, GRID, ocdl.Ipopt())
    assert solution.status is Status.CONVERGED
    assert np.max(solution.a.values[..., None] ** 2 + solution.b.values**2) <= 1.0 + 1e-6
    box = ocdl.solve(problem.replace(bounds=ocdl.Box(a=(-1, 1), b=(-1, 1))), GRID, ocdl.Ipopt())
    assert solution.cost > box.cost + 1e-3


def test_finite_values_belong_to_the_problem_too():
    values = ocdl.Finite(a=(-1, 0, 1), b=(-1, 1))
    solution = ocdl.solve(far(bounds=values), GRID, ocdl.DiscreteNeedleSteps())
    assert set(np.unique(solution.b)) <= {-1.0, 1.0} and solution.gap < 1e-9
    assert solution.control_set == "" and solution.feasibility == 0.0
    with pytest.raises(ocdl.InvalidInput, match=r"not all of b are in Finite\(a=\(-1, 0, 1\), b=\(-1, 1\)\)"):
        ocdl.solve(far(bounds=values), GRID, ocdl.DiscreteNeedleSteps(values=(-1, 0, 1)))


@pytest.mark.parametrize("set_", [ocdl.Disc(), TRIANGLE, ocdl.Finite(a=(-1, 1), b=(-1, 1))], ids=repr)
@pytest.mark.parametrize(
    "method", [ocdl.NeedleSteps(), ocdl.LBFGSB(), ocdl.InteriorPoint(), ocdl.ValueIteration()], ids=lambda m: m.name
)
def test_other_routes_refuse_it_by_name(method, set_):
    with pytest.raises(ocdl.NotSupported, match=rf"{method.name}: .*{type(set_).__name__}\("):
        ocdl.solve(far(bounds=set_), GRID, method)


def test_a_finite_set_is_refused_by_ipopt():
    with pytest.raises(ocdl.NotSupported, match=r"Ipopt: .*Finite\(a="):
        ocdl.solve(far(bounds=ocdl.Finite(a=(-1, 1), b=(-1, 1))), GRID, ocdl.Ipopt())


def test_the_referee_finds_controls_outside_the_set():
    discrete = far(bounds=ocdl.Disc()).discretise(GRID.width)
    u = discrete.pack(a=np.full((8, 2), 1.0), b=np.full((8, 2, 2), 1.0))
    verdict = ocdl.certify(discrete, GRID.depth, u, np.zeros(0))
    assert verdict.feasibility == pytest.approx(0.5)  # (1 + 1 − 1) / 2


def test_methods_over_a_set_of_their_own_are_not_compared_as_over_one():
    """Over the box the cost is lower for that alone."""
    methods = [ocdl.NeedleSteps(), ocdl.ControlSetNeedleSteps(controls=ocdl.Disc())]
    comparison = ocdl.compare(far(), GRID, methods)
    said = " ".join(comparison.findings())
    assert "solves over Disc(middle=(0.0, 0.0), radius=1.0)" in said and "is not compared" in said
    assert "worse extremal" not in said
    binary = ocdl.compare(far(), GRID, [ocdl.NeedleSteps(), ocdl.DiscreteNeedleSteps(values=(-0.5, 0.5))])
    assert "solves over Finite(a=(-0.5, 0.5), b=(-0.5, 0.5))" in " ".join(binary.findings())


def test_an_option_beyond_the_problems_set_is_refused():
    with pytest.raises(ocdl.InvalidInput, match="leaves the problem's own, Disc"):
        ocdl.solve(far(bounds=ocdl.Disc()), GRID, ocdl.ControlSetNeedleSteps(controls=ocdl.Polygon()))
    smaller = ocdl.solve(far(bounds=ocdl.Disc()), GRID, ocdl.ControlSetNeedleSteps(controls=ocdl.Disc(radius=0.5)))
    assert smaller.control_set == repr(ocdl.Disc(radius=0.5))


def test_by_default_the_box_is_the_set():
    square = ocdl.solve(far(), GRID, ocdl.ControlSetNeedleSteps())
    assert square.cost == pytest.approx(ocdl.solve(far(), GRID, ocdl.NeedleSteps()).cost, rel=1e-12)
    assert square.control_set == ""


@pytest.mark.parametrize("set_", [*SETS, ocdl.Polygon()], ids=["unit disc", "disc", "triangle", "square"])
def test_rows_slices_and_box_mean_the_same_set(set_):
    pairs = np.random.default_rng(0).uniform(-1.3, 1.3, (500, 2))
    a, b = pairs.T
    low, high = set_.slice(a)
    inside = (b >= low) & (b <= high) & np.isfinite(low)
    rows = np.array([np.asarray(row) for row in set_.rows(a, b)])
    np.testing.assert_array_equal(
        np.all(rows <= 0.0, axis=0), inside if not isinstance(set_, ocdl.Disc) else rows[0] <= 0
    )
    u = ca.SX.sym("u", 2)
    function = ca.Function("rows", [u], [path_rows(set_, u, 1)])
    np.testing.assert_allclose(np.asarray(function(pairs.T)).T[:, : len(rows)], rows.T, atol=1e-12)
    for name, values in zip(("a", "b"), set_.outline.T, strict=True):
        assert set_.box.interval(name, ()) == (pytest.approx(values.min()), pytest.approx(values.max()))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda: ocdl.Finite(), "give the values"),
        (lambda: ocdl.Finite(a=(1, 1)), "two different numbers"),
        (lambda: ocdl.Disc(radius="wide"), "must be positive"),
        (lambda: far(bounds=(-1, 1)), "ocdl.Disc"),
        (lambda: far(bounds=ocdl.Finite(u=(1, 2))), "intervals for a, b and f"),
    ],
)
def test_wrong_sets_are_refused(wrong, said):
    with pytest.raises(ocdl.InvalidInput, match=said):
        wrong()
