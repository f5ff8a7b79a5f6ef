"""Effort and penalty in numbers: CasADi's own, and quadratics only where the graph shows them."""

import casadi as ca
import numpy as np
import pytest
from families import rich, selection

import ocdl
from ocdl.sweeps.fused.efforts import (
    AnyEffort,
    AnyPenalty,
    QuadraticEffort,
    QuadraticPenalty,
    effort_form,
    penalty_form,
)
from ocdl.sweeps.sweeper import Sweeper

m, P, Q = 4, 3, 6
draw = np.random.default_rng(0)
t, w, dp, p = np.linspace(0, 1, Q), draw.uniform(0.1, 1.0, Q), draw.standard_normal(P), draw.standard_normal(P)
u, du = draw.standard_normal((2, Q, m))
QUADRATICS = {
    "none": None,
    "Tikhonov": lambda u: 0.3 * ca.dot(np.arange(1.0, m + 1.0), u**2),
    "shifted": lambda u: ca.sumsqr(u[:2] - 0.7) + 2 * u[3],
    "coupled": lambda u: (u[0] - u[1]) ** 2 + u[2] * u[3] + 5.0,
}
OTHERS = {
    "depth": lambda t, u: (1 + t) * ca.sumsqr(u),
    "parameters": lambda u, p: p[0] * ca.sumsqr(u) + p[1] ** 2,
    "smooth": lambda u: ca.sum1(ca.cosh(u)),
    "kinked": lambda u: ca.sum1(ca.fabs(u)),
}


def stated(**changes):
    return ocdl.ControlProblem(
        dynamics=lambda x, u: u[0] - x, initial=[1.0], horizon=1.0, controls=m, parameters=P, **changes
    )


def same(found, oracle):
    for one, other in zip(found, oracle, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize(("name", "effort"), (QUADRATICS | OTHERS).items(), ids=[*QUADRATICS, *OTHERS])
def test_efforts_have_the_derivatives_of_their_formulas(name, effort):
    problem = stated(effort=effort)
    form, oracle = effort_form(problem), AnyEffort(problem)
    assert type(form) is (QuadraticEffort if name in QUADRATICS else AnyEffort)
    at = t, u, p, w
    assert form.value(*at) == pytest.approx(oracle.value(*at), rel=1e-14, abs=1e-15)
    same(form.slopes(*at), oracle.slopes(*at))
    same(form.products(*at, du, dp), oracle.products(*at, du, dp))


@pytest.mark.parametrize("effort", [*QUADRATICS.values(), *list(OTHERS.values())[:3]], ids=[*QUADRATICS, *OTHERS][:-1])
def test_products_are_differences_of_slopes(effort):
    form, step = effort_form(stated(effort=effort)), 1e-6
    ahead, behind = (form.slopes(t, u + e * du, p + e * dp, w)[1:] for e in (step, -step))
    for part, a, b in zip(form.products(t, u, p, w, du, dp), ahead, behind, strict=True):
        np.testing.assert_allclose(part, (a - b) / (2 * step), rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize(
    ("penalty", "kind"),
    [
        (None, QuadraticPenalty),
        (lambda p: 0.7 * ca.sumsqr(p) - p[1] + 2.0, QuadraticPenalty),
        (lambda p: (p[0] - 2 * p[2]) ** 2, QuadraticPenalty),
        (lambda p: ca.exp(p[0]) * p[1] ** 2, AnyPenalty),
        (lambda p: ca.fabs(p[0]), AnyPenalty),
    ],
)
def test_penalties_have_the_derivatives_of_their_formulas(penalty, kind):
    problem = stated(penalty=penalty)
    form, oracle = penalty_form(problem), AnyPenalty(problem)
    assert type(form) is kind
    assert form.value(p) == pytest.approx(oracle.value(p), rel=1e-14, abs=1e-15)
    same(form.slopes(p), oracle.slopes(p))
    same([form.products(p, dp)], [oracle.products(p, dp)])


@pytest.mark.parametrize("problem", [rich(2), selection(regulariser=ocdl.Tikhonov(0.3)).discretise(ocdl.Midpoint(3))])
def test_they_are_what_the_sweeps_add_up(problem):
    sweeper, generator = Sweeper(problem, ocdl.Kutta4(3)), np.random.default_rng(4)
    controls, parameters = generator.standard_normal((3, problem.m)), generator.standard_normal(problem.P)
    weights = (sweeper.h[:, None] * sweeper.tableau.b).ravel()
    value = effort_form(problem).value(sweeper.stage_t.ravel(), sweeper.stage_controls(controls), parameters, weights)
    assert value == pytest.approx(weights @ sweeper.effort(controls, parameters).ravel(), rel=1e-13)
    same(penalty_form(problem).slopes(parameters), sweeper._penalty(parameters))


def test_a_selection_problem_is_quadratic():
    problem = selection(regulariser=ocdl.Tikhonov(0.3), readout=ocdl.Readout(), target=1.0).discretise(ocdl.Midpoint(3))
    assert type(effort_form(problem)) is QuadraticEffort and type(penalty_form(problem)) is QuadraticPenalty
