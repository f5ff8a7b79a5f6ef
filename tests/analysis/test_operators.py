"""Operators in function space: nothing changes with the grid, and the singular system is that of the operator."""

import numpy as np
import pytest
from families import rules

import ocdl
from ocdl.analysis import KernelOperator


def waves(y):
    return np.stack([np.ones_like(y), np.sqrt(2) * np.cos(np.pi * y), np.sqrt(2) * np.cos(2 * np.pi * y)])


MU = np.array([1.0, 0.5, 0.25])


def operator(width, scale=MU):
    return KernelOperator.finite_rank(scale, waves, waves, width)


@pytest.mark.parametrize("rule", rules())
def test_spectra_are_those_of_the_operator_on_every_grid(rule):
    errors = [np.abs(operator(rule(count)).singular_system().mu[:3] - MU).max() for count in (16, 32)]
    assert errors[1] < 1e-12 or errors[0] / errors[1] > 3.5


def test_singular_systems_are_orthonormal_and_give_the_operator_back():
    B = KernelOperator(np.random.default_rng(0).standard_normal((9, 9)), ocdl.GaussLegendre(9).on((0, 2)))
    system, f = B.singular_system(), np.linspace(-1, 2, 9)
    for functions in (system.phi, system.psi):
        gram = functions.T @ (B.weights[:, None] * functions)
        assert np.abs(gram - np.eye(9)).max() < 1e-13
    again = system.phi @ (system.mu * (system.psi.T @ (B.weights * f)))
    assert np.abs(again - B(f)).max() < 1e-13
    assert B.spectral_norm == pytest.approx(system.mu[0], rel=1e-14)


def test_the_rank_is_stated():
    system = operator(ocdl.GaussLegendre(24)).singular_system()
    assert system.rank == 3
    assert np.abs(operator(ocdl.GaussLegendre(24))(system.null_space.T)).max() < 1e-14
    assert operator(ocdl.GaussLegendre(24), [1.0, 0.5, 1e-9]).singular_system(tolerance=1e-6).rank == 2


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda: KernelOperator.of(lambda y, z: y, ocdl.Midpoint(3)), "shape"),
        (lambda: KernelOperator.of(np.nan, ocdl.Midpoint(3)), "finite"),
        (lambda: KernelOperator.of(1.0, 3), "quadrature"),
        (lambda: operator(ocdl.Midpoint(8), [1.0, 2.0]), "r, M"),
        (lambda: operator(ocdl.Midpoint(8)).singular_system(tolerance=-1), "tolerance=-1"),
    ],
)
def test_wrong_operators_are_told_off(wrong, said):
    with pytest.raises(ocdl.InvalidInput, match=said):
        wrong()
