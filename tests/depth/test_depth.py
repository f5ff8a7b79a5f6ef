"""Depth schemes: tableaux, observed orders, meshes."""

from math import factorial

import casadi as ca
import numpy as np
import pytest
import scipy
from families import DEGREES, name_of, order, schemes

import ocdl
from ocdl.depth.dormand_prince import dormand_prince
from ocdl.depth.schemes import collocation_tableau, explicit_tableau, lagrange
from ocdl.sweeps.sweeper import Sweeper

every_scheme = pytest.mark.parametrize("scheme", schemes(), ids=name_of)


@every_scheme
def test_rows_sum_to_the_stage_depths(scheme):
    tableau = scheme.tableau
    np.testing.assert_allclose(tableau.A.sum(axis=1), tableau.c, rtol=0, atol=1e-14)
    assert np.all((tableau.c >= 0.0) & (tableau.c <= 1.0))


@every_scheme
def test_quadrature_conditions_hold_up_to_the_order_and_no_further(scheme):
    """B(p): Σ b_i c_i^{k−1} = 1/k for k = 1..p."""
    b, c, p = scheme.tableau.b, scheme.tableau.c, scheme.tableau.order
    for k in range(1, p + 1):
        assert b @ c ** (k - 1) == pytest.approx(1 / k, abs=1e-14)
    if not scheme.tableau.explicit:
        assert abs(b @ c**p - 1 / (p + 1)) > 1e-9


@every_scheme
def test_tall_trees_hold_up_to_the_order_and_no_further(scheme):
    """bᵀ A^{k−1} 1 = 1/k!, the linear order conditions."""
    tableau = scheme.tableau
    power = np.ones(tableau.stages)
    for k in range(1, tableau.order + 1):
        assert tableau.b @ power == pytest.approx(1 / factorial(k), abs=1e-14)
        power = tableau.A @ power
    assert abs(tableau.b @ power - 1 / factorial(tableau.order + 1)) > 1e-11


def test_the_coefficients_of_dormand_and_prince_are_those_of_the_published_program():
    tableau, theirs = dormand_prince(), scipy.integrate.DOP853
    for typed, published in ((tableau.A, theirs.A), (tableau.b, theirs.B), (tableau.c, theirs.C)):
        np.testing.assert_array_equal(typed, published)


@pytest.mark.parametrize("scheme", [s for s in schemes() if not s.tableau.explicit], ids=name_of)
def test_stage_conditions_of_collocation(scheme):
    """C(s): Σ_j a_ij c_j^{k−1} = c_i^k / k for k = 1..s."""
    A, c = scheme.tableau.A, scheme.tableau.c
    for k in range(1, scheme.tableau.stages + 1):
        np.testing.assert_allclose(A @ c ** (k - 1), c**k / k, rtol=0, atol=1e-14)


@pytest.mark.parametrize("degree", DEGREES)
def test_radau_is_stiffly_accurate_and_gauss_is_symplectic(degree):
    radau, gauss = ocdl.Radau(1, degree=degree).tableau, ocdl.Gauss(1, degree=degree).tableau
    assert radau.stiffly_accurate and radau.c[-1] == 1.0 and np.array_equal(radau.A[-1], radau.b)
    assert radau.order == 2 * degree - 1 and gauss.order == 2 * degree
    A, b = gauss.A, gauss.b
    np.testing.assert_allclose(b[:, None] * A + b[None, :] * A.T, np.outer(b, b), rtol=0, atol=1e-14)
    assert not gauss.stiffly_accurate


def test_published_radau_nodes():
    """Hairer and Wanner, II, table IV.5.6."""
    root = np.sqrt(6.0)
    np.testing.assert_allclose(ocdl.Radau(1, degree=3).tableau.c, [(4 - root) / 10, (4 + root) / 10, 1.0], atol=1e-15)
    np.testing.assert_allclose(ocdl.Radau(1, degree=2).tableau.A, [[5 / 12, -1 / 12], [3 / 4, 1 / 4]], atol=1e-15)


def exact(t):
    return np.stack([1.0 / (1.0 + t + 0.5 * np.sin(2 * t)), np.exp(np.sin(t))])


def timed_problem(horizon=1.6):
    """ẋ₀ = −x₀²(1 + cos 2t), ẋ₁ = x₁ cos t: nonlinear, depends on t, solved in closed form."""
    return ocdl.ControlProblem(
        dynamics=lambda t, x: [-(x[0] ** 2) * (1 + ca.cos(2 * t)), x[1] * ca.cos(t)],
        initial=[1.0, 1.0],
        horizon=horizon,
        controls=0,
    )


def forward_error(problem, scheme):
    sweeper = Sweeper(problem, scheme)
    u = np.zeros((scheme.count, problem.m))
    x = sweeper.state(u, np.zeros(0)).x[:, 0]
    return float(np.max(np.abs(x[-1] - exact(problem.horizon))))


LAYERS = {1: (64, 128), 2: (32, 64), 3: (48, 96), 4: (32, 64), 5: (16, 32), 6: (12, 24), 7: (12, 24)}


@every_scheme
def test_the_forward_sweep_shows_the_stated_order(scheme):
    problem, p = timed_problem(), scheme.tableau.order
    meshes = LAYERS.get(p, (6, 9))  # the high orders reach rounding soon
    errors = [forward_error(problem, scheme.with_layers(N)) for N in meshes]
    assert p - 0.3 < order(errors, meshes[1] / meshes[0]) < p + 0.3, errors


@every_scheme
def test_the_order_holds_on_graded_meshes(scheme):
    problem, p = timed_problem(), scheme.tableau.order
    meshes, errors = LAYERS.get(p, (6, 9)), []
    for N in meshes:
        widths = 1.0 + (np.arange(N) + 0.5) / N
        errors.append(forward_error(problem, scheme.with_layers(widths * problem.horizon / widths.sum())))
    assert order(errors, meshes[1] / meshes[0]) > p - 0.3, errors


@every_scheme
def test_a_polynomial_of_the_order_is_integrated_exactly(scheme):
    """ẋ = p t^{p−1} needs only the quadrature of order p; the next power is not exact for the collocations."""
    p = scheme.tableau.order
    problem = ocdl.ControlProblem(dynamics=lambda t: p * t ** (p - 1), initial=[0.0], horizon=1.5, controls=0)
    sweeper = Sweeper(problem, scheme.with_layers([0.6, 0.9]))
    x = sweeper.state(np.zeros((2, 0)), np.zeros(0)).x[:, 0, 0]
    np.testing.assert_allclose(x, np.array([0.0, 0.6, 1.5]) ** p, rtol=1e-13)


@every_scheme
def test_the_mesh_of_given_widths(scheme):
    given = scheme.with_layers(np.array([0.5, 0.25, 0.75]))
    np.testing.assert_array_equal(given.mesh(1.5), [0.0, 0.5, 0.75, 1.5])
    assert given.count == 3 and given == scheme.with_layers((0.5, 0.25, 0.75))
    equal = scheme.with_layers(np.int64(3))
    np.testing.assert_allclose(equal.mesh(1.5), [0.0, 0.5, 1.0, 1.5], rtol=1e-15)
    assert equal.count == 3


def test_a_new_scheme_is_a_tableau():
    tableau = explicit_tableau([[0.25], [0.0, 0.5]], [0.0, 0.0, 1.0], 2)
    assert tableau.explicit and tableau.stages == 3 and not tableau.stiffly_accurate
    np.testing.assert_array_equal(tableau.c, [0.0, 0.25, 0.5])


@pytest.mark.parametrize("m", [0, 2])
@pytest.mark.parametrize("shape", [ocdl.PiecewiseConstant(), ocdl.PiecewiseLinear(), ocdl.PerStage()], ids=repr)
def test_the_basis_acts_as_its_matrix_and_gathers_by_the_transpose(shape, m):
    nodes, random = ocdl.Gauss(4, 3).tableau.c, np.random.default_rng(0)
    basis = shape.basis(4, nodes)
    matrix = basis.matrix().full()
    u, acting = random.normal(size=(shape.rows(4, 3), m)), random.normal(size=(12, m))
    assert matrix.shape == (12, shape.rows(4, 3)) and np.allclose(matrix.sum(axis=1), 1.0, rtol=0, atol=1e-14)
    np.testing.assert_allclose(basis @ u, matrix @ u, rtol=0, atol=1e-14)
    np.testing.assert_allclose(basis.gathered(acting), matrix.T @ acting, rtol=0, atol=1e-14)


def test_lagrange_polynomials_interpolate():
    nodes, at = np.array([0.1, 0.4, 1.0]), np.linspace(0, 1, 7)
    np.testing.assert_array_equal(lagrange(nodes, nodes), np.eye(3))
    np.testing.assert_allclose(lagrange(nodes, at) @ nodes**2, at**2, atol=1e-14)
    tableau = collocation_tableau(nodes, 3)
    np.testing.assert_allclose(tableau.A @ nodes**2, nodes**3 / 3, atol=1e-15)


@pytest.mark.parametrize(
    ("layers", "said"),
    [
        (0, ["layers=0", "at least one layer"]),
        (-3, ["layers=-3", "at least one layer"]),
        (True, ["layers=True", "positive whole number"]),
        ("3", ["layers='3'", "positive whole number"]),
        (2.5, ["layers=2.5", "positive whole number"]),
        (None, ["layers=None", "positive whole number"]),
        ([], ["layers=[]", "positive whole number"]),
        ([[1.0]], ["list of layer widths"]),
        ([0.5, -0.5], ["[0.5, -0.5]", "positive and finite"]),
        ([0.5, np.nan], ["positive and finite"]),
        ([0.5, 1j], ["positive whole number"]),
        (["a"], ["layers=['a']"]),
    ],
)
@pytest.mark.parametrize("scheme", schemes(degrees=(2,)), ids=name_of)
def test_wrong_layers_are_named(scheme, layers, said):
    with pytest.raises(ocdl.InvalidInput) as caught:
        scheme.with_layers(layers)
    assert all(part in str(caught.value) for part in [type(scheme).__name__, *said])


@pytest.mark.parametrize("degree", [0, -1, True, 2.0, "3", None])
@pytest.mark.parametrize("cls", [ocdl.Radau, ocdl.Gauss])
def test_wrong_degrees_are_named(cls, degree):
    with pytest.raises(ocdl.InvalidInput, match="degree") as caught:
        cls(layers=3, degree=degree)
    assert repr(degree) in str(caught.value) and cls.__name__ in str(caught.value)


def test_widths_that_miss_the_horizon_are_named():
    with pytest.raises(ocdl.InvalidInput, match=r"must sum to the horizon 1; they sum to 0\.9"):
        ocdl.Radau([0.5, 0.4]).mesh(1.0)


HEUN = {"A": [[0, 0], [1, 0]], "b": [0.5, 0.5], "c": [0, 1], "order": 2}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"b": [0.5, 0.6]}, ["order=2", "Σ b = 1", "got 1.1"]),
        ({"c": [0, 0.5]}, ["c=...", "row 1 sums to 1", "c[1] is 0.5"]),
        ({"order": 3}, ["order=3", "order 3 needs b·c^2 = 0.333333333333", "got 0.5"]),
        ({"b": [1, 0]}, ["order 2 needs b·c^1 = 0.5", "got 0"]),
        ({"A": [[0, 0]]}, ["(1, 2), (2,) and (2,)"]),
        ({"b": [0.5, 0.5, 0]}, ["(3,)"]),
        ({"b": [0.5, np.nan]}, ["Tableau(b=...)", "nan"]),
        ({"A": [["0", 0], [1, 0]]}, ["Tableau(A=...)", "text"]),
        ({"order": 0}, ["order=0"]),
        ({"order": 1.5}, ["order=1.5"]),
    ],
)
def test_a_tableau_that_does_not_fit_is_refused(changes, said):
    assert ocdl.Tableau(**HEUN).stages == 2
    with pytest.raises(ocdl.InvalidInput) as caught:
        ocdl.Tableau(**HEUN | changes)
    assert all(part in str(caught.value) for part in said), str(caught.value)


def test_the_conditions_for_order_four_are_all_there():
    """Kutta's method whose last stage takes the second slope still has the quadrature, not the order."""
    A = np.array(ocdl.Kutta4(1).tableau.A)
    A[3] = [0.0, 1.0, 0.0, 0.0]
    with pytest.raises(ocdl.InvalidInput, match=r"order 4 needs b·A\^3 1"):
        ocdl.Tableau(A, ocdl.Kutta4(1).tableau.b, ocdl.Kutta4(1).tableau.c, 4)


def test_a_scheme_without_a_tableau_or_too_large_is_named():
    class Bare(ocdl.DepthScheme):
        pass

    with pytest.raises(ocdl.InvalidInput, match="Bare has no tableau"):
        _ = Bare(3).tableau
    with pytest.raises(ocdl.InvalidInput, match=r"Five\.tableau = 5"):
        type("Five", (ocdl.DepthScheme,), {"tableau": 5})
    for make, said in (
        (lambda: ocdl.Radau(4, 300), r"degree=300.* about 32 s"),
        (lambda: ocdl.Gauss(4, 10**400), r"degree=about 10\*\*400"),
        (lambda: ocdl.Radau(10**12), r"layers=1000000000000.* GB"),
        (lambda: ocdl.MultipleShooting(4, steps=10**9), r"steps=1000000000.* GB"),
        (lambda: ocdl.Midpoint(10**13), r"Midpoint\(10000000000000\).* GB"),
    ):
        with pytest.raises(ocdl.InvalidInput, match=said):
            make()
