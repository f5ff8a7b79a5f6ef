"""Declarations: an activation that says what it is not is refused, and the place is named."""

import casadi as ca
import numpy as np
import pytest
from families import selection
from hypothesis import given, settings
from hypothesis import strategies as st

import ocdl
from ocdl import CustomActivation
from ocdl.statement import declared


def bend(formula):
    s = ca.SX.sym("s")
    return declared.bend(ca.Function("sigma", [s], [formula(s)]))


class Sine(ocdl.Activation):
    def formula(self, s):
        return np.sin(s)


class Bent(ocdl.Activation):
    def formula(self, s):
        return s + 0.9 * np.fabs(s)


class Narrow(ocdl.Activation):
    limits = (-0.5, 0.5)

    def formula(self, s):
        return np.tanh(s)


class Unhashable(Sine):
    __hash__ = None


@pytest.mark.parametrize(
    ("sigma", "said"),
    [
        (Sine(), ["Sine(increasing=True)", "σ decreases near s ="]),
        (Unhashable(), ["Unhashable(increasing=True)"]),
        (Bent(), ["Bent(smooth=True)", "σ' jumps at s = 0"]),
        (Narrow(), ["Narrow(limits=(-0.5, 0.5))", "σ leaves its stated limits near s =", "[-1, 1]"]),
    ],
)
def test_a_false_declaration_is_refused_by_the_problem(sigma, said):
    with pytest.raises(ocdl.InvalidInput) as caught:
        selection(activation=sigma)
    assert all(part in str(caught.value) for part in said), str(caught.value)


def test_limits_are_a_pair_of_numbers_and_formulas_take_symbols():
    class NoPair(ocdl.Tanh):
        limits = 1.0

    class OfNumbers(ocdl.Activation):
        def formula(self, s):
            return np.vectorize(float)(s)

    with pytest.raises(ocdl.InvalidInput, match=r"NoPair\(limits=1.0\)"):
        selection(activation=NoPair())
    with pytest.raises(ocdl.InvalidInput, match="OfNumbers: the function must"):
        selection(activation=OfNumbers())


@settings(max_examples=8)
@given(place=st.floats(-40, 40), height=st.floats(1e-2, 10), power=st.integers(1, 4))
def test_a_power_of_a_ramp_is_smooth_from_the_cube_on(place, height, power):
    """max(s − c, 0)^q has its first jump in derivative q: C² for q ≥ 3."""
    found = bend(lambda s: s + height * ca.fmax(s - place, 0.0) ** power)
    if power >= 3:
        assert found is None
    else:
        assert found is not None and found[0] == declared.NAMES[power] and found[1] == pytest.approx(place, abs=1e-6)


@settings(max_examples=5)
@given(steepness=st.floats(1e-2, 1e4))
def test_steep_is_not_bent(steepness):
    assert bend(lambda s: ca.tanh(steepness * s)) is None
    assert bend(lambda s: ca.sqrt(1.0 / steepness + s**2)) is None


@pytest.mark.parametrize(
    ("formula", "name"),
    [
        (np.sign, "σ"),
        (np.floor, "σ"),
        (lambda s: np.sqrt(s**2), "σ'"),
        (lambda s: np.sign(s) * np.fabs(s) ** (1 / 3), "σ''"),
        (lambda s: s / (1.0 + np.fabs(s)), "σ''"),
        (lambda s: s + 1e-3 * np.fabs(s - 1.23), "σ'"),
    ],
)
def test_jumps_of_many_kinds_are_found(formula, name):
    assert bend(formula)[0] == name


@pytest.mark.parametrize(
    "formula",
    [
        lambda s: np.fmax(s, 0.0) + np.log1p(np.exp(-np.fabs(s))),  # softplus: its bends cancel
        lambda s: 0.5 * s * (1.0 + np.tanh(0.8 * (s + 0.04 * s**3))),
        lambda s: np.sin(20.0 * s),
        lambda s: s**3,
        np.sinh,
    ],
    ids=["softplus", "gelu", "sine", "cube", "sinh"],
)
def test_what_is_smooth_stays_so(formula):
    assert CustomActivation(formula).smooth is True


def test_a_custom_activation_finds_out_whether_it_is_smooth():
    bent = CustomActivation(lambda s: s + 0.9 * np.fabs(s), increasing=True)
    assert bent.smooth is False and CustomActivation(np.tanh).smooth is True
    with pytest.raises(ocdl.InvalidInput, match=r"CustomActivation\(smooth=True\): σ' jumps at s = 0"):
        CustomActivation(lambda s: s + 0.9 * np.fabs(s), smooth=True)
    assert CustomActivation(np.tanh, smooth=False).smooth is False


def test_no_proof_rests_on_a_bend():
    """ẋ = σ(a), σ(s) = s + 0.9|s| from −1 with a in [−1, 1]: the least cost is attained, and bounds stay below it."""
    sigma = CustomActivation(lambda s: s + 0.9 * np.fabs(s), increasing=True)
    problem = selection(activation=sigma, initial=[0.5, -0.2], target=3.0).discretise(ocdl.Midpoint(2))
    solution = ocdl.solve(problem, ocdl.Radau(8, 2), ocdl.NeedleSteps())
    assert ocdl.lower_bound(problem).value <= solution.cost
