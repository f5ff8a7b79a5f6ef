"""Budgets: which controls they name, what bounds allow, and the controls next to given ones that keep them."""

import numpy as np
import pytest
from families import name_of, scalar, schemes

import ocdl
from ocdl.statement.layout import Layout, Part
from ocdl.statement.sharing import sharing
from ocdl.statement.spending import measure, shift, spent, within


def stated(*budgets, **changes):
    """ẏ = α tanh(Ky) with named controls."""
    given = {"dynamics": lambda u: [u[0]], "controls": ["K", "alpha"], "budgets": budgets}
    return scalar(**given | {"bounds": ocdl.Box(K=(-2, 3), alpha=(0, 4))} | changes)


def test_a_control_is_named_or_numbered():
    assert stated(ocdl.Budget("alpha", 1.0)).budgeted == stated(ocdl.Budget(1, 1.0)).budgeted == (1,)
    parts = Part("K", ("y", "z"), (2, 2)), Part("alpha", (), ())
    layout = Layout(Part("x", ("y",), (2,)), parts, (), {})
    net = scalar(
        dynamics=lambda u: u[:2], initial=[0.0, 0.0], controls=5, layout=layout, budgets=[ocdl.Budget("alpha", 0.5)]
    )
    assert net.budgeted == (4,)
    with pytest.raises(ocdl.InvalidInput, match="K has 4 entries"):
        scalar(dynamics=lambda u: u[:2], initial=[0, 0], controls=5, layout=layout, budgets=[ocdl.Budget("K", 0.5)])


@pytest.mark.parametrize(
    "changes, said",
    [
        ({"budgets": [ocdl.Budget("beta", 1.0)]}, "no such control.*K, alpha"),
        ({"budgets": [ocdl.Budget(2, 1.0)]}, "no such control"),
        ({"budgets": [ocdl.Budget(1, 1.0), ocdl.Budget("alpha", 2.0)]}, "two budgets"),
        ({"budgets": [ocdl.Budget("alpha", 4.1)]}, r"lies in \[0, 4\]"),
        ({"budgets": [ocdl.Budget("alpha", 8.1)], "horizon": 2.0}, r"over 2 lies in \[0, 8\]"),
        ({"budgets": ocdl.Budget("K", 0.1)}, "give a list"),
        ({"budgets": [("K", 0.1)]}, "give a list"),
    ],
)
def test_what_no_controls_could_keep_is_refused(changes, said):
    with pytest.raises(ocdl.InvalidInput, match=said):
        stated(**changes)


def test_bounds_that_depend_on_depth_are_held_against_it_on_the_layers():
    problem = stated(ocdl.Budget("alpha", 1.7), bounds=ocdl.Box(alpha=(0, lambda t: 4 * t)))
    assert ocdl.compile(problem, ocdl.ExplicitEuler(10), ocdl.Ipopt()).core is problem
    with pytest.raises(ocdl.InvalidInput, match=r"on these layers lies in \[0, 1\]"):
        ocdl.compile(problem, ocdl.ExplicitEuler(2), ocdl.Ipopt())


def test_new_bounds_are_held_against_the_budget():
    problem = stated(ocdl.Budget("alpha", 3.0))
    with pytest.raises(ocdl.InvalidInput, match=r"lies in \[0, 2\]"):
        problem.with_numbers(bounds=ocdl.Box(alpha=(0, 2)))


def test_free_times_and_bounded_rates_are_refused_in_words():
    with pytest.raises(ocdl.NotSupported, match=r"leaves horizon free.*integral="):
        stated(ocdl.Budget("alpha", 1.0), horizon=ocdl.Free(0.5, 2.0))
    with pytest.raises(ocdl.InvalidInput, match="bounded rate is a state"):
        stated(ocdl.Budget(1, 1.0), bounds=ocdl.Box(alpha=(0, 4), rate=([-np.inf, -1], [np.inf, 1])))


@pytest.mark.parametrize("seed", range(6))
def test_the_shift_solves_the_sum_in_any_box(seed):
    generator = np.random.default_rng(seed)
    n = 7
    u, weights = generator.normal(size=n), generator.uniform(0.1, 1.0, n)
    low, high = -generator.uniform(0.0, 2.0, n), generator.uniform(0.0, 2.0, n)
    if seed % 2:
        low[:3], high[2:] = -np.inf, np.inf
    least, most = (np.clip(weights @ end, -5.0, 5.0) for end in (low, high))
    for share in (0.0, 0.2, 0.7, 1.0):
        total = (1.0 - share) * least + share * most
        at = np.clip(u - shift(u, weights, low, high, total), low, high)
        assert weights @ at == pytest.approx(total, abs=1e-13)


def test_nothing_else_that_keeps_the_budget_is_nearer():
    problem, depth = stated(ocdl.Budget("alpha", 1.5)), ocdl.ExplicitEuler((0.1, 0.3, 0.2, 0.4))
    generator, w = np.random.default_rng(0), measure(problem, depth)
    u = generator.normal(scale=3.0, size=(4, 2))
    near, _ = within(problem, depth, u)
    assert spent(problem, depth, near)[0] == pytest.approx(1.5, abs=1e-14)
    np.testing.assert_array_equal(near[:, 0], np.clip(u[:, 0], -2, 3))
    for _ in range(20):
        other, _ = within(problem, depth, generator.uniform(-1, 5, (4, 2)))
        assert w @ ((near - u)[:, 1] * (other - near)[:, 1]) >= -1e-13  # the obtuse angle of a projection


@pytest.mark.parametrize("scheme", schemes(degrees=(1, 2, 3)), ids=name_of)
def test_the_measure_integrates_the_controls(scheme):
    for shape in (ocdl.PiecewiseConstant(), ocdl.PiecewiseLinear(), ocdl.PerStage()):
        depth = type(scheme)(**vars(scheme) | {"layers": (0.2, 0.5, 0.3), "controls": shape})
        if not shape.suits(depth.tableau.c):
            continue
        problem = stated(ocdl.Budget("alpha", 1.0))
        assert measure(problem, depth).sum() == pytest.approx(1.0)
        u = np.random.default_rng(1).normal(size=(depth.control_rows, 2))
        basis = shape.basis(3, depth.tableau.c)
        direct = (np.array([0.2, 0.5, 0.3])[:, None] * depth.tableau.b).ravel() @ (basis @ u)[:, 1]
        assert spent(problem, depth, u)[0] == pytest.approx(direct)


def test_other_totals_share_nothing_compiled():
    one = stated(ocdl.Budget("alpha", 1.0))
    same, other = stated(ocdl.Budget("alpha", 1.0)), stated(ocdl.Budget("alpha", 2.0))
    assert sharing(same, one).built is one.built and sharing(other, one).built is not one.built
