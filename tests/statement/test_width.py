"""Width quadratures: exactness, weights, domains."""

import numpy as np
import pytest
from families import rules, selection
from hypothesis import given
from hypothesis import strategies as st

import ocdl
from ocdl.statement.width import IntervalRule, Nodes, TensorProduct, intervals

COUNTS = (1, 2, 3, 4, 5, 8, 9)
members = [rule(count) for rule in rules() for count in COUNTS if count >= rule.least]
every_rule = pytest.mark.parametrize("rule", members, ids=repr)


@every_rule
def test_exact_up_to_the_stated_degree_and_no_further(rule):
    nodes = rule.on((0.0, 1.0))
    for degree in range(rule.exactness + 1):
        assert nodes.weights @ nodes.points**degree == pytest.approx(1 / (degree + 1), abs=2e-15)
    beyond = nodes.weights @ nodes.points ** (rule.exactness + 1) - 1 / (rule.exactness + 2)
    if rule.exactness < 14:  # later the error is below rounding
        assert abs(beyond) > 1e-11


@every_rule
@given(lower=st.floats(-5, 5), length=st.floats(0.1, 10))
def test_weights_are_positive_and_fill_any_interval(rule, lower, length):
    nodes = rule.on((lower, lower + length))
    assert nodes.points.shape == nodes.weights.shape == (rule.count,)
    assert np.all(nodes.weights > 0) and nodes.weights.sum() == pytest.approx(length, rel=1e-13)
    slack = 1e-13 * (1 + abs(lower) + length)
    assert np.all((nodes.points >= lower - slack) & (nodes.points <= lower + length + slack))
    assert np.all(np.diff(nodes.points) > 0)
    np.testing.assert_allclose(nodes.points + nodes.points[::-1], 2 * lower + length, atol=slack)


@every_rule
def test_exactness_on_another_interval(rule):
    nodes, degree = rule.on((-1.0, 3.0)), min(rule.exactness, 9)
    value = (3.0 ** (degree + 1) - (-1.0) ** (degree + 1)) / (degree + 1)
    assert nodes.weights @ nodes.points**degree == pytest.approx(value, rel=1e-13, abs=1e-13)


def test_published_weights():
    np.testing.assert_allclose(ocdl.ClenshawCurtis(3).on((0, 1)).weights, [1 / 6, 4 / 6, 1 / 6], rtol=1e-15)
    np.testing.assert_allclose(ocdl.GaussLegendre(2).on((-1, 1)).points, [-1 / np.sqrt(3), 1 / np.sqrt(3)], rtol=1e-15)
    np.testing.assert_allclose(ocdl.Trapezoid(3).on((0, 1)).weights, [0.25, 0.5, 0.25], rtol=1e-15)
    np.testing.assert_allclose(ocdl.Midpoint(2).on((0, 1)).points, [0.25, 0.75], rtol=1e-15)


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule.__name__)
def test_tensor_products_integrate_products(rule):
    product = TensorProduct(rule(3), rule(4))
    nodes = product.on(((0, 2), (-1, 1)))
    assert nodes.points.shape == (12, 2) and nodes.weights.sum() == pytest.approx(4.0, rel=1e-14)
    x, y = nodes.points.T
    d = product.exactness
    value = 2 ** (d + 1) / (d + 1) * (1 - (-1) ** (d + 1)) / (d + 1)
    assert nodes.weights @ (x**d * y**d) == pytest.approx(value, abs=1e-12)
    np.testing.assert_array_equal(nodes.points[:4, 0], nodes.points[0, 0])  # the last dimension varies fastest


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule.__name__)
def test_nodal_values_stand_for_functions(rule):
    """At the nodes the values themselves; polynomials up to the order of approximation, between the nodes too."""
    width, y = rule(5), np.linspace(-1.0, 3.0, 41)
    nodes = width.on((-1, 3)).points
    assert np.abs(width.interpolation((-1, 3), nodes) - np.eye(5)).max() < 1e-12
    for degree in range(int(min(width.approximation, 5))):
        assert np.abs(width.interpolation((-1, 3), y) @ nodes**degree - y**degree).max() < 1e-11
    product = ocdl.TensorProduct(rule(3), rule(4))
    places, box = np.stack([np.linspace(0, 1, 7), np.linspace(2, 3, 7)], axis=1), ((0, 1), (2, 3))
    apart = product.interpolation(box, places) - (
        rule(3).interpolation((0, 1), places[:, 0])[:, :, None] * rule(4).interpolation((2, 3), places[:, 1])[:, None]
    ).reshape(7, 12)
    assert np.abs(apart).max() < 1e-14 and product.approximation == width.approximation


def test_user_nodes_stand_for_what_is_nearest():
    found = ocdl.Nodes([0.1, 0.5, 0.8], [0.3, 0.4, 0.3]).interpolation((0, 1), np.array([0.0, 0.29, 0.31, 1.0]))
    assert np.array_equal(np.argmax(found, axis=1), [0, 0, 1, 2]) and np.all(found.sum(axis=1) == 1.0)


def test_data_functions_see_the_nodes_in_their_shape():
    seen = []

    def profile(y):
        seen.append(y.shape)
        return y if y.ndim == 1 else y @ np.arange(1.0, y.shape[1] + 1)

    selection(initial=profile, target=0.0).discretise(ocdl.Midpoint(3))
    square = selection(initial=profile, target=0.0, domain=((0, 1), (0, 1)))
    problem = square.discretise(TensorProduct(ocdl.Midpoint(2), ocdl.Midpoint(3)))
    cube = selection(initial=profile, target=0.0, domain=((0, 1),) * 3)
    cube.discretise(TensorProduct(ocdl.Midpoint(2), ocdl.Midpoint(1), ocdl.Trapezoid(2)))
    assert seen == [(3,), (6, 2), (4, 3)]
    np.testing.assert_allclose(problem.x0[0, :2], [0.25 + 2 / 6, 0.25 + 2 * 0.5])


def test_a_data_function_cannot_move_the_nodes():
    def careless(y):
        y *= 2
        return y

    problem = selection(initial=careless, target=0.0).discretise(ocdl.Midpoint(2))
    np.testing.assert_allclose(problem.x0, [[0.5, 1.5]])
    np.testing.assert_allclose(problem.layout.coords["y"][1], [0.25, 0.75])


def test_user_nodes_are_taken_as_they_stand():
    nodes = Nodes([0.1, 0.9], [2, 3])
    assert nodes.on((0, 1)) is nodes and nodes.points.dtype == float
    problem = selection(initial=lambda y: y, target=0.0).discretise(nodes)
    np.testing.assert_array_equal(problem.state_metric, [2.0, 3.0])
    np.testing.assert_array_equal(problem.x0, [[0.1, 0.9]])
    plane = Nodes([[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]], [1, 1, 1])
    assert plane.on(((0, 1), (0, 1))).points.shape == (3, 2)


def test_a_new_rule_is_its_reference():
    class Simpson(IntervalRule):
        def reference(self):
            return np.array([0.0, 0.5, 1.0]), np.array([1.0, 4.0, 1.0]) / 6

    problem = selection(domain=(0, 2)).discretise(Simpson(3))
    np.testing.assert_allclose(problem.state_metric, [1 / 3, 4 / 3, 1 / 3])


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: ocdl.Midpoint(0), ["Midpoint(0)", "at least 1"]),
        (lambda: ocdl.Midpoint(True), ["Midpoint(True)", "whole number"]),
        (lambda: ocdl.Midpoint(2.0), ["Midpoint(2.0)", "whole number"]),
        (lambda: ocdl.GaussLegendre("3"), ["GaussLegendre('3')", "whole number"]),
        (lambda: ocdl.Trapezoid(1), ["Trapezoid(1)", "at least 2"]),
        (lambda: ocdl.ClenshawCurtis(None), ["ClenshawCurtis(None)"]),
        (lambda: Nodes([1, 2], [1]), ["shapes (2,) and (1,)"]),
        (lambda: Nodes([], []), ["M ≥ 1"]),
        (lambda: Nodes([0.1, 0.2], [1, -1]), ["weights must be positive", "-1"]),
        (lambda: Nodes([np.nan], [1]), ["points must be finite"]),
        (lambda: Nodes("a", [1]), ["Nodes(points", "text"]),
        (lambda: Nodes([0.5], [1j]), ["Nodes(..., weights)", "complex"]),
        (lambda: Nodes([0.5, None], [1, 1]), ["Nodes(points", "NoneType"]),
        (lambda: Nodes([2.0], [1.0]).on((0, 1)), ["every point must lie in the domain (0, 1)"]),
        (lambda: Nodes([[0.2, 0.3]], [1.0]).on((0, 1)), ["(1, 2)", "1 dimension"]),
        (lambda: ocdl.Midpoint(3).on(((0, 1), (0, 1))), ["2-dimensional domain", "TensorProduct"]),
        (lambda: TensorProduct(), ["one rule on an interval per dimension"]),
        (lambda: TensorProduct(3), ["one rule on an interval per dimension"]),
        (lambda: TensorProduct(ocdl.Midpoint(2)).on(((0, 1), (0, 1))), ["1 rules", "2-dimensional"]),
    ],
)
def test_wrong_rules_are_named(make, said):
    with pytest.raises(ocdl.InvalidInput) as caught:
        make()
    assert all(part in str(caught.value) for part in said), str(caught.value)


@pytest.mark.parametrize("domain", [(1, 0), (0, 0), (0, np.inf), "x", 3, (0, 1, 2), ((0, 1), (1, 0)), None, (0, 1j)])
def test_wrong_domains_are_named(domain):
    with pytest.raises(ocdl.InvalidInput, match="lower < upper") as caught:
        intervals(domain)
    assert repr(domain) in str(caught.value)


@pytest.mark.parametrize("width", [ocdl.Midpoint(10**6), ocdl.TensorProduct(*[ocdl.Midpoint(1000)] * 2)], ids=repr)
def test_a_kernel_that_no_memory_holds_is_refused_before_it_is_made(width):
    assert width.size == 10**6
    with pytest.raises(ocdl.InvalidInput, match=r"a kernel b of 1000000² values.* GB, and this machine has"):
        domain = (0, 1) if isinstance(width, ocdl.Midpoint) else ((0, 1), (0, 1))
        ocdl.SelectionProblem(activation=ocdl.Tanh(), horizon=1.0, initial=0.1, target=0.2, domain=domain).discretise(
            width
        )


def test_weights_that_lose_their_digits_are_refused():
    with pytest.raises(ocdl.InvalidInput, match=r"at least 2.2e-308"):
        ocdl.Nodes([0.5], [5e-324])
