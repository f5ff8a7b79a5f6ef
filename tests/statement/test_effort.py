"""The effort of very many controls in vectors: the same figures as with a symbol for each control."""

import casadi as ca
import numpy as np
import pytest

import ocdl
from ocdl.statement import effort
from ocdl.sweeps.sweeper import Sweeper

IN_VECTORS = {
    "quadratic": lambda u: 0.3 * ca.sumsqr(u),
    "varying": lambda t, u, p: (1 + t) * ca.sumsqr(u) + p[0] * ca.sum1(u),
    "smooth": lambda u: ca.sum1(ca.sqrt(1 + u**2)),
    "kinked": lambda u: 0.1 * ca.norm_1(u),
    "largest": lambda u: 0.2 * ca.mmax(u),
    "joined": lambda u: 0.1 * ca.sumsqr(u[:3] + u[3:6]),
}
ONE_BY_ONE = {
    "by elements": lambda u: sum(ca.fabs(v) for v in ca.vertsplit(u)) + 0.1 * sum(v**2 for v in u.elements()),
    "many": lambda u: sum(u[i % 6] ** 2 for i in range(600)),
}


def problem(cost):
    generator = np.random.default_rng(0)
    return ocdl.ControlProblem(
        lift=lambda x, u: ca.reshape(u[:4], 2, 2) @ x + u[4:],
        dynamics=lambda z: np.tanh(z),
        terminal=lambda x, d: ca.sumsqr(x - d),
        effort=cost,
        initial=generator.normal(size=(3, 2)),
        data=generator.normal(size=(3, 2)),
        controls=6,
        parameters=1,
        horizon=1.0,
        columnwise=True,
        bounds=ocdl.Box(u=(-2, 2)),
    )


def judged(cost):
    stated, depth, generator = problem(cost), ocdl.ExplicitEuler(4), np.random.default_rng(1)
    u, p = generator.normal(size=(4, 6)), np.array([0.3])
    sweeper = Sweeper(stated, depth)
    gradient = sweeper.costate(sweeper.state(u, p), u, p)
    verdict = ocdl.certify(stated, depth, u, p)
    figures = (
        verdict.cost,
        verdict.gap,
        *gradient.gradient_u.ravel(),
        *gradient.gradient_p,
        *verdict.hamiltonian.ravel(),
    )
    return np.array(figures), (verdict.search, verdict.gap_is_exact)


@pytest.mark.parametrize("cost", (IN_VECTORS | ONE_BY_ONE).values(), ids=[*IN_VECTORS, *ONE_BY_ONE])
def test_both_forms_give_the_same_verdict(cost, monkeypatch):
    figures, search = judged(cost)
    monkeypatch.setattr(effort, "WIDE", 6)
    vectors, as_before = judged(cost)
    np.testing.assert_allclose(vectors, figures, rtol=1e-10, atol=1e-12)
    assert as_before == search


def test_formulas_that_take_vectors_are_written_in_them(monkeypatch):
    monkeypatch.setattr(effort, "WIDE", 6)
    for cost in IN_VECTORS.values():
        assert isinstance(effort.effort_formula(problem(cost))[1], ca.MX)
    for cost in ONE_BY_ONE.values():
        assert isinstance(effort.effort_formula(problem(cost))[1], ca.SX)
