"""Picard's iteration finds the solution, and its error is never above the bound that it states."""

from math import factorial

import numpy as np
import pytest
from families import activations, name_of
from test_growth import NODES, flow, random

import ocdl
from ocdl.analysis import Flow, KernelOperator, picard, picard_factor


@pytest.mark.parametrize("tolerance", [1e-4, 1e-9])
@pytest.mark.parametrize("activation", activations(), ids=name_of)
def test_the_error_is_below_its_bound(activation, tolerance):
    rng = np.random.default_rng(2)
    equation, x0 = flow(activation, *random(rng, 2, 0.7), width=0.5), rng.standard_normal((2, 5))
    found = picard(equation, x0, tolerance=tolerance, degree=6)
    exact = picard(equation, x0, tolerance=1e-13, degree=10, times=found.evolution.t)
    error = equation.norm(found.evolution.x - exact.evolution.x)
    assert np.all(error <= found.bound + exact.bound)
    assert exact.bound.max() < 1e-11 and found.bound.max() < tolerance * np.exp(found.factor)
    assert found.finding.applies


@pytest.mark.parametrize("activation", activations(), ids=name_of)
def test_it_agrees_with_the_integrator(activation):
    rng = np.random.default_rng(7)
    equation, x0 = flow(activation, *random(rng, 2, 0.7)), rng.standard_normal((2, 5))
    found = picard(equation, x0, tolerance=1e-12)
    integrated = equation.evolve(x0, tolerance=1e-13, times=found.evolution.t)
    assert np.array_equal(found.evolution.layer, integrated.layer)
    assert equation.norm(found.evolution.x - integrated.x).max() < 1e-10


KINKS = [0.5, 0.9, 0.99, 0.998, 0.9999, 0.001, 0.0002, *np.random.default_rng(0).uniform(size=9)]


@pytest.mark.parametrize("degree", [2, 5])
@pytest.mark.parametrize("kink", KINKS)
def test_kinks_between_the_points_are_in_the_quadratures_error(kink, degree):
    """ReLU with u = κ − t, wherever κ lies in the window; two sweeps are exact, and only the quadrature errs."""
    B = KernelOperator(np.array([[0.0, 1.0], [0.0, 0.0]]) / 0.5, ocdl.Midpoint(2).on((0, 1)))
    equation = Flow.selection(ocdl.ReLU(), np.array([kink, 1.0]), B, 1.0)
    found = picard(equation, 0.0, tolerance=0.9, factor=1.8, degree=degree, times=[1.0])
    (window,) = found.windows
    error = equation.norm(found.evolution.x[-1, 0] - [0.5 * kink**2, 1.0])
    assert error <= window.quadrature[0] + window.rounding[0]


@pytest.mark.parametrize("factor", [0.4, 5.0])
def test_sweeps_step_as_volterra_has_it(factor):
    unit = Flow.selection(ocdl.Tanh(), 0.4, KernelOperator(random(np.random.default_rng(2), 1)[0][0], NODES), 1.0)
    equation = unit.with_horizon(factor / picard_factor(unit)[0])
    found = picard(equation, [1.0, 0.0, -1.0, 0.5, 2.0], factor=factor, degree=40, tolerance=1e-12)
    (window,) = found.windows
    allowed = np.array([factor**m / factorial(m) for m in range(window.sweeps)]) * window.steps[0]
    assert found.factor == pytest.approx(factor, rel=1e-13)
    assert np.all(window.steps[:, 0] <= allowed + 1e-13) and window.steps[-1, 0] < 1e-10
    assert window.volterra(3)[0] == pytest.approx(
        window.steps[0, 0] * (np.exp(factor) - 1 - factor - factor**2 / 2), rel=1e-9
    )
    if factor < 1.0:
        assert window.contraction(3)[0] == pytest.approx(window.steps[0, 0] * factor**3 / (1 - factor), rel=1e-13)
        assert window.volterra(3)[0] < window.contraction(3)[0]
    else:
        assert np.isinf(window.contraction(3)[0])


def test_the_factor_is_the_integral_of_the_norms():
    kernels, biases = random(np.random.default_rng(4), 3)
    equation = flow(ocdl.Sigmoid(), kernels, biases, width=0.5)
    w = NODES.weights
    norms = [np.sqrt(np.sum(w[:, None] * k**2 * w)) for k in kernels]
    assert picard_factor(equation) == pytest.approx(0.25 * np.array(norms), rel=1e-13)
    assert picard(equation, 0.0).factor == pytest.approx(0.125 * sum(norms), rel=1e-12)


def test_exponentials_to_rounding():
    equation = Flow.selection(ocdl.ReLU(), 0.0, KernelOperator.of(-1.0, ocdl.GaussLegendre(6)), 3.0)
    found = picard(equation, 1.0, tolerance=1e-13)
    assert np.abs(found.evolution.x[:, 0] / np.exp(found.evolution.t)[:, None] - 1.0).max() < 1e-13


def test_a_kernel_of_zero_takes_one_window():
    found = picard(Flow.selection(ocdl.Tanh(), 0.5, KernelOperator.of(0.0, ocdl.Midpoint(2)), 9.0), 1.0)
    assert len(found.windows) == 1 and found.factor == 0.0
    assert np.abs(found.evolution.x[-1] - (1.0 + 9.0 * np.tanh(0.5))).max() < 1e-14


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"tolerance": 0.0}, "tolerance=0.0"),
        ({"factor": -1.0}, "factor=-1.0"),
        ({"degree": 2.5}, "degree=2.5"),
        ({"initial": [1.0, 2.0]}, "shape"),
        ({"times": [0.0, 7.0]}, "from 0 to 1"),
    ],
)
def test_wrong_options_are_told_off(changes, said):
    equation = Flow.selection(ocdl.Tanh(), 0.5, KernelOperator.of(1.0, ocdl.Midpoint(3)), 1.0)
    with pytest.raises(ocdl.InvalidInput, match=said):
        picard(equation, **{"initial": 0.0} | changes)


def test_an_activation_without_lipschitz_constant_is_not_taken():
    cube = ocdl.CustomActivation(lambda s: s**3, increasing=True)
    with pytest.raises(ocdl.NotSupported, match="not Lipschitz"):
        picard(Flow.selection(cube, 0.0, KernelOperator.of(1.0, ocdl.Midpoint(2)), 1.0), 1.0)
