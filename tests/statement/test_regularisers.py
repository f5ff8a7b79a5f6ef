"""Regularisers: values in function space, whatever the grid."""

import casadi as ca
import numpy as np
import pytest
from families import concrete, rules, schemes, selection

import ocdl
from ocdl import L1, Readout, Tikhonov
from ocdl.statement.regularisers import PenalisedControls, PenalisedParameters, Regulariser, thresholds
from ocdl.sweeps.sweeper import Sweeper


def regularised(rule, scheme, weight=0.7, **changes):
    """(R(a,b,W,μ), gradients) for a = 1 + y, b = y z, W = z, μ = 2 on a grid, with a state that stays 0."""
    problem = selection(
        activation=ocdl.Identity(), initial=0.0, horizon=1.5, bounds=ocdl.Box(), regulariser=Tikhonov(weight), **changes
    ).discretise(rule)
    y = problem.layout.coords["y"][1]
    u = np.concatenate([1 + y, np.outer(y, y).ravel()])
    p = np.concatenate([y, [2.0]]) if problem.P else np.zeros(0)
    sweeper = Sweeper(problem, scheme)
    effort = float(np.sum(sweeper.h[:, None] * sweeper.tableau.b * sweeper.effort(np.tile(u, (scheme.count, 1)), p)))
    return effort, float(sweeper._penalty(p)[0])


@pytest.mark.parametrize("scheme", schemes(layers=[0.7, 0.8], degrees=(2,)), ids=repr)
def test_tikhonov_is_an_integral_over_width_and_depth(scheme):
    """(λ/2) T (∫(1+y)² dy + ∫∫ (yz)² dz dy) = (λ/2) T (7/3 + 1/9) on every grid that integrates y² exactly."""
    effort, penalty = regularised(ocdl.GaussLegendre(3), scheme, target=0.0)
    assert effort == pytest.approx(0.35 * 1.5 * (7 / 3 + 1 / 9), rel=1e-13) and penalty == 0.0


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule.__name__)
def test_tikhonov_does_not_depend_on_the_width_grid(rule):
    exact = 0.35 * 1.5 * (7 / 3 + 1 / 9), 0.35 * (1 / 3 + 4)
    found = [regularised(rule(M), ocdl.Kutta4(2), readout=Readout(), target=0.5) for M in (9, 17)]
    errors = [max(abs(np.subtract(values, exact))) for values in found]
    assert errors[1] < 5e-3 and (errors[1] < 0.3 * errors[0] or errors[1] < 1e-13)


@pytest.mark.parametrize("cls", concrete(Regulariser, "density"))
def test_regularisers_are_convex_and_not_negative(cls):
    density, u, v = cls(0.3).density, np.linspace(-3, 3, 31), np.linspace(2, -1, 31)
    assert np.all(density(u) >= 0)
    assert np.all(density((u + v) / 2) <= (density(u) + density(v)) / 2 + 1e-15)


@pytest.mark.parametrize("cls", concrete(Regulariser, "density"))
@pytest.mark.parametrize("weight", [0, -1, np.nan, np.inf, "a", None, True])
def test_wrong_weights_are_named(cls, weight):
    with pytest.raises(ocdl.InvalidInput, match="positive and finite") as caught:
        cls(weight)
    assert f"{cls.__name__}(weight={weight!r})" in str(caught.value)


class Steeper(L1):
    def density(self, control):
        return 2.0 * super().density(control)


class OtherControls(PenalisedControls):
    def __call__(self, u):
        return 2.0 * super().__call__(u)


def test_thresholds_are_those_of_absolute_values_alone():
    """Readout parameters come first, and what is free behind them has none."""
    metric = np.array([0.5, 0.25])
    np.testing.assert_array_equal(thresholds(PenalisedControls(L1(0.3), metric), metric), [0.3, 0.3])
    np.testing.assert_array_equal(thresholds(PenalisedControls(L1(0.3), metric), np.ones(2)), [0.15, 0.075])
    np.testing.assert_array_equal(thresholds(PenalisedParameters(L1(0.3), metric), np.append(metric, 1)), [0.3, 0.3, 0])
    others = PenalisedControls(Tikhonov(0.3), metric), PenalisedControls(Steeper(0.3), metric)
    for other in (*others, OtherControls(L1(0.3), metric), lambda u: abs(u[0]), None):
        assert not np.any(thresholds(other, metric))


def test_the_absolute_value_is_an_integral_over_width():
    """λ (∫ |y − ½| dy + ∫∫ |y − z| dz dy) = λ (1/4 + 1/3) in the limit."""
    problem = selection(regulariser=L1(0.7)).discretise(ocdl.Midpoint(60))
    y = problem.layout.coords["y"][1]
    u = np.concatenate([y - 0.5, np.subtract.outer(y, y).ravel()])
    assert float(problem.evaluate("effort", ca.DM, t=0.0, u=ca.DM(u))) == pytest.approx(0.7 * (1 / 4 + 1 / 3), rel=1e-3)
