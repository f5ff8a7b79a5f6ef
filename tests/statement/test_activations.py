"""Activations: numpy and CasADi read the same formula, and what each claims of itself is true."""

import dataclasses

import casadi as ca
import numpy as np
import pytest
from families import activations, selection
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import ocdl
from ocdl import CustomActivation
from ocdl.statement.primitives import Panels

every_activation = pytest.mark.parametrize("sigma", activations(), ids=lambda s: f"{type(s).__name__}{s.limits}")
values = arrays(float, st.integers(1, 6), elements=st.floats(-30, 30))


def compiled(sigma):
    s = ca.SX.sym("s")
    return ca.Function("sigma", [s], [sigma(s), ca.jacobian(sigma(s), s)])


@every_activation
@given(s=values)
def test_numpy_and_casadi_agree(sigma, s):
    np.testing.assert_allclose(compiled(sigma)(s[None, :])[0].full()[0], sigma(s), rtol=1e-14, atol=1e-14)
    S = ca.MX.sym("S", s.size)
    np.testing.assert_allclose(ca.Function("f", [S], [sigma(S)])(s).full()[:, 0], sigma(s), rtol=1e-14, atol=1e-14)


@every_activation
@given(s=values, more=st.floats(1e-6, 10))
def test_increasing_where_it_says_so(sigma, s, more):
    if sigma.increasing:
        assert np.all(sigma(s + more) >= sigma(s))


@every_activation
def test_limits_are_the_infimum_and_the_supremum(sigma):
    wide = sigma(np.array([-1e6, -1e3, -50.0, 0.0, 50.0, 1e3, 1e6]))
    low, high = sigma.limits
    assert np.all((wide >= low) & (wide <= high))
    for limit, attained in ((low, wide.min()), (high, wide.max())):
        assert attained == pytest.approx(limit, abs=2e-6) if np.isfinite(limit) else abs(attained) >= 1e5 * 0.999


@every_activation
def test_derivative_by_casadi_is_the_slope(sigma):
    s = np.array([-3.1, -1.7, -0.6, -0.01, 0.02, 0.4, 1.3, 2.9])  # no kink nearer than 1e-2
    h = 1e-5
    slope = (sigma(s + h) - sigma(s - h)) / (2 * h)
    np.testing.assert_allclose(compiled(sigma)(s[None, :])[1].full()[0], slope, rtol=1e-8, atol=1e-9)


@every_activation
def test_its_derivatives_are_casadis(sigma):
    """Also at kinks, and far out; in any shape."""
    s = np.array([[-800.0, -40.0, -3.1, -1e-9, 0.0], [1e-9, 0.4, 2.9, 40.0, 800.0]])
    x = ca.SX.sym("x")
    slope = ca.jacobian(sigma(x), x)
    for ours, formula in ((sigma.derivative, slope), (sigma.curvature, ca.jacobian(slope, x))):
        exact = ca.Function("exact", [x], [ca.densify(formula)])(s.reshape(1, -1)).full().reshape(s.shape)
        np.testing.assert_allclose(ours(s, sigma(s)), exact, rtol=1e-14, atol=1e-15)


def test_a_formula_alone_has_its_derivatives():
    """Nothing but the formula is asked of an activation; fields that cannot be hashed are no hindrance."""

    @dataclasses.dataclass(frozen=True)
    class Cubic(ocdl.Activation):
        by: list

        def formula(self, s):
            return self.by[0] * s**3

    s, sigma = np.linspace(-2, 2, 5), Cubic([2.0])
    np.testing.assert_allclose(sigma.derivative(s, sigma(s)), 6.0 * s**2, rtol=1e-15)
    np.testing.assert_allclose(sigma.curvature(s, sigma(s)), 12.0 * s, rtol=1e-15)


@every_activation
def test_smooth_where_it_says_so(sigma):
    """A kink shows as a jump of the slope across 0 that does not shrink with the step."""

    def jump(h):
        return abs((sigma(np.array(h)) - sigma(np.array(0.0))) - (sigma(np.array(0.0)) - sigma(np.array(-h)))) / h

    bent = jump(1e-6) > 1e-3 or abs(jump(1e-4) / 1e-4 - jump(5e-5) / 5e-5) > 0.1
    curvature_jumps = abs(sigma_second(sigma, 1e-3) - sigma_second(sigma, -1e-3)) > 0.1
    assert sigma.smooth == (not bent and not curvature_jumps)


def sigma_second(sigma, s, h=2e-4):
    return float(sigma(np.array(s + h)) - 2 * sigma(np.array(s)) + sigma(np.array(s - h))) / h**2


@every_activation
@pytest.mark.parametrize("s", [-1e3, 1e3])
def test_no_overflow_far_out(sigma, s):
    with np.errstate(all="raise", under="ignore"):
        value = float(sigma(np.array(s)))
    there, slope = (float(v) for v in compiled(sigma)(s))
    assert np.isfinite([value, there, slope]).all() and there == pytest.approx(value, rel=1e-14)


KINKED = CustomActivation(lambda s: np.fmax(s - 0.3, 0.1 * s) + 0.03, increasing=True)  # at s = 1/3
with_a_kink_elsewhere = pytest.mark.parametrize(
    "sigma", [*activations(), KINKED], ids=lambda s: f"{type(s).__name__}{s.limits}"
)


@with_a_kink_elsewhere
def test_the_primitive_is_zero_at_zero_and_has_the_derivative_sigma(sigma):
    assert sigma.primitive(np.zeros((2, 1))).tolist() == [[0.0], [0.0]]
    s = np.array([-45.0, -3.1, -1.001, -0.999, -0.2, -1e-3, -1e-7, 1e-7, 1e-3, 0.3336, 0.4, 1.001, 2.9, 45.0])
    x, w = np.polynomial.legendre.leggauss(12)
    d = 1e-2 * np.abs(s)
    d[9] = 2e-4  # this side of the kink
    integral = d * (sigma(s[:, None] + d[:, None] * x) @ w)
    large = np.maximum(np.abs(sigma.primitive(s + d)), np.abs(sigma.primitive(s - d)))
    assert np.all(np.abs(sigma.primitive(s + d) - sigma.primitive(s - d) - integral) <= 2e-15 * large)


@with_a_kink_elsewhere
def test_primitives_do_not_overflow_far_out(sigma):
    s = np.array([-1e6, -800.0, 800.0, 1e6])
    with np.errstate(all="raise", under="ignore"):
        far = sigma.primitive(s)
    assert np.all(np.isfinite(far))
    np.testing.assert_allclose(far, Panels.of(sigma.formula, 2.0**20)(s), rtol=1e-12)


@with_a_kink_elsewhere
def test_its_lipschitz_constant_is_attained_and_not_exceeded(sigma):
    s = np.linspace(-30.0, 30.0, 20_002)
    slopes = np.abs(np.diff(sigma(s))) / np.diff(s)
    assert slopes.max() <= sigma.lipschitz * (1.0 + 1e-12)
    assert slopes.max() >= sigma.lipschitz * (1.0 - 2e-3)


def test_primitives_find_kinks_and_waves():
    s = np.array([-30.0, 0.2, 1.7])
    step = CustomActivation(lambda s: np.fmax(s - 0.3, 0.0)).primitive(s)
    assert np.abs(step - 0.5 * np.fmax(s - 0.3, 0.0) ** 2).max() < 1e-15
    assert np.abs(CustomActivation(lambda s: np.sin(20 * s)).primitive(s) - (1 - np.cos(20 * s)) / 20).max() < 1e-13


@with_a_kink_elsewhere
def test_kinks_are_where_it_is_not_smooth(sigma):
    there = [] if sigma.smooth else [1 / 3] if sigma is KINKED else [0.0]
    assert list(sigma.kinks) == pytest.approx(there, abs=1e-13)


def test_all_kinks_are_found():
    clipped = CustomActivation(lambda s: np.fmin(np.fmax(s, -1.25), 0.5) + 0.1 * np.fmax(s - 7.0, 0.0) ** 2)
    assert list(clipped.kinks) == pytest.approx([-1.25, 0.5, 7.0], abs=1e-13)


@pytest.mark.parametrize(
    ("formula", "steepest"),
    [
        (lambda s: np.sin(20 * s), 20.0),
        (lambda s: s**3, np.inf),
        (lambda s: s * np.log1p(s**2), np.inf),
        (lambda s: np.exp(0.5 * s), np.inf),
        (lambda s: np.log1p(np.exp(s)), 1.0),
        (np.sign, np.inf),
        (lambda s: -0.5 * s, 0.5),
    ],
)
def test_the_steepest_slope_is_measured(formula, steepest):
    with np.errstate(over="ignore"):
        assert CustomActivation(formula).lipschitz == pytest.approx(steepest, rel=1e-12)


def test_published_values():
    assert float(ocdl.Sigmoid()(0.0)) == 0.5
    assert float(ocdl.Sigmoid()(2.0)) == pytest.approx(1 / (1 + np.exp(-2)), rel=1e-15)
    np.testing.assert_allclose(ocdl.LeakyReLU(0.1)(np.array([-2.0, 3.0])), [-0.2, 3.0])
    np.testing.assert_allclose(ocdl.ELU(2.0)(np.array([-1.0, 3.0])), [2 * (np.exp(-1) - 1), 3.0])


def test_equal_options_make_equal_activations():
    assert ocdl.Tanh() == ocdl.Tanh() and ocdl.ELU(2.0) == ocdl.ELU(2.0)
    assert ocdl.ELU(2.0) != ocdl.ELU(1.0) and ocdl.Tanh() != ocdl.Arctan()


def test_a_users_own_activation_is_used():
    """The first argument is the function: it must be the one that runs."""
    own = CustomActivation(lambda s: s**3, increasing=True)
    assert float(own(2.0)) == 8.0 and own.increasing
    problem = selection(activation=own, initial=0.5, target=0.0).discretise(ocdl.Midpoint(1))
    assert float(problem.rate(0, [0.5], [2.0, 0.0], [], [0.0])) == 8.0


def test_a_new_activation_is_a_formula():
    class Cube(ocdl.Activation):
        def formula(self, s):
            return s**3

    assert Cube().increasing and Cube()(2.0) == 8.0
    with pytest.raises(NotImplementedError, match="Activation has no formula"):
        ocdl.Activation()(1.0)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: CustomActivation(np.sin, increasing=True), ["increasing=True", "decreases near s ="]),
        (lambda: CustomActivation(np.sin, bounds=(0, 1)), ["bounds=(0, 1)", "leaves its stated bounds"]),
        (lambda: CustomActivation(np.tanh, bounds=3), ["bounds=3", "pair of numbers"]),
        (lambda: CustomActivation(3), ["function=3"]),
        (lambda: CustomActivation(np.tanh, steepest=0.9), ["steepest=0.9", "reaches 1"]),
        (lambda: CustomActivation(np.tanh, steepest="a"), ["steepest='a'", "at least 0"]),
        (lambda: CustomActivation(lambda s: s[:3]), ["same shape", "(3,)"]),
        (lambda: CustomActivation(lambda s: 1.0), ["same shape", "()"]),
        (lambda: CustomActivation(lambda s: s * np.nan), ["4001 values not finite"]),
        (lambda: CustomActivation(lambda s: np.exp(20 * s)), ["not finite"]),
        (lambda: CustomActivation(lambda s: 1 / 0), ["ZeroDivisionError"]),
        (lambda: CustomActivation(lambda s: s.clip(0, 1)), ["CasADi expressions"]),
        (lambda: CustomActivation(lambda s: s - np.mean(s[:5])), ["each entry alone"]),
        (lambda: ocdl.LeakyReLU(slope=2), ["slope=2", "[0, 1)"]),
        (lambda: ocdl.LeakyReLU(slope=-0.1), ["slope=-0.1"]),
        (lambda: ocdl.LeakyReLU(slope="a"), ["slope='a'"]),
        (lambda: ocdl.ELU(alpha=0), ["alpha=0", "positive and finite"]),
        (lambda: ocdl.ELU(alpha=np.inf), ["alpha=inf"]),
        (lambda: ocdl.ELU(alpha=None), ["alpha=None"]),
    ],
)
def test_wrong_claims_are_named(make, said):
    with np.errstate(over="ignore"), pytest.raises(ocdl.InvalidInput) as caught:
        make()
    assert all(part in str(caught.value) for part in said), str(caught.value)


def test_activations_that_call_themselves_equal_have_their_own_derivatives():
    class Power(ocdl.Activation):
        def __init__(self, power):
            object.__setattr__(self, "power", power)

        def formula(self, s):
            return s**self.power

    s = np.linspace(1.0, 2.0, 5)
    for power in (2.0, 3.0):
        np.testing.assert_allclose(Power(power).derivative(s, s**power), power * s ** (power - 1.0), rtol=1e-14)


@every_activation
def test_the_lipschitz_constant_is_the_largest_slope(sigma):
    s = np.concatenate([-np.geomspace(1e-9, 50, 400)[::-1], np.geomspace(1e-9, 50, 400)])
    slope = np.abs(sigma.derivative(s, sigma(s))).max()
    assert sigma.lipschitz == np.inf or slope == pytest.approx(sigma.lipschitz, rel=1e-8)
    assert np.isfinite(sigma.lipschitz) or isinstance(sigma, CustomActivation)
