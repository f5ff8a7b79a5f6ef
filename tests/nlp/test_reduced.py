"""The reduced space is the same problem as the full space: cost, controls and costates agree for every scheme found."""

import numpy as np
import pytest
from families import name_of, rich, schemes, selection
from nlp_problems import convex, learning

import ocdl
from ocdl.nlp.oracle import Oracle
from ocdl.nlp.reduced import Reduced
from ocdl.solving.method import Start

every_scheme = pytest.mark.parametrize("scheme", schemes(layers=3, degrees=(1, 3)), ids=name_of)


@every_scheme
def test_both_spaces_find_the_same_optimum(scheme):
    full, reduced = (
        ocdl.solve(convex(), scheme, ocdl.Ipopt(space=space, tolerance=1e-11)) for space in ("full", "reduced")
    )
    assert abs(reduced.cost - full.cost) <= 1e-9
    for name in ("u", "p"):
        ours, theirs = (getattr(solution, name) for solution in (reduced, full))
        assert float(abs(ours - theirs).max()) <= 1e-6
    assert float(abs(reduced.claim["costate"] - reduced.costate).max()) <= 1e-14
    assert float(abs(reduced.claim["costate"] - full.claim["costate"]).max()) <= 1e-6 * float(abs(full.costate).max())
    assert reduced.claim["cost"] == pytest.approx(reduced.cost, abs=1e-14)


@every_scheme
def test_ipopt_is_given_the_oracles_derivatives(scheme):
    """What the NLP's functions return through CasADi, against the oracle in the variables v = D w."""
    problem = rich(2)
    reduced = Reduced(problem, scheme)
    v = np.random.default_rng(0).uniform(-1, 1, reduced.oracle.size)
    point = Oracle(problem, scheme).point(v / reduced.scale)
    program = reduced.program
    assert float(program.objective(v, [])[0]) == point.cost
    cost, gradient = program.grad_f(v, [])
    assert float(cost) == point.cost
    np.testing.assert_allclose(gradient.full().ravel(), point.gradient / reduced.scale, rtol=1e-13)
    hessian = program.hess_lag(v, [], 0.7, []).full()
    expected = np.triu(0.7 * point.hessian / np.outer(reduced.scale, reduced.scale))
    np.testing.assert_allclose(hessian, expected, rtol=1e-12, atol=1e-14)


def test_the_variables_are_those_of_function_space():
    """|v|² is the L² norm of controls and parameters, up to one factor."""
    problem = learning()
    reduced = Reduced(problem, ocdl.ExplicitEuler([0.2, 0.8]))
    u, p = np.random.default_rng(0).normal(size=(2, problem.m)), np.random.default_rng(1).normal(size=problem.P)
    norm = np.sum([0.2, 0.8] @ (u**2 * problem.control_metric)) + np.sum(problem.parameter_metric * p**2)
    v = reduced.guess(Start(u, p))
    assert np.sum(v**2) * 0.5 * np.mean(problem.state_metric) == pytest.approx(norm, rel=1e-13)
    back_u, back_p = reduced.controls(reduced.guess(Start(np.clip(u, -2, 2), np.clip(p, -2, 2))))
    np.testing.assert_allclose(back_u, np.clip(u, -2, 2), rtol=1e-14)
    np.testing.assert_allclose(back_p, np.clip(p, -2, 2), rtol=1e-14)


@pytest.mark.parametrize(("samples", "form"), [(12, True), (1, False)])
def test_auto_takes_the_reduced_space_for_many_samples_only(samples, form):
    solution = ocdl.solve(learning(samples), ocdl.ExplicitEuler(3), ocdl.Ipopt(tolerance=1e-6))
    assert ("reduced space" in solution.detail) is form


def test_a_large_reduced_space_has_a_limited_memory_hessian(monkeypatch):
    exact = ocdl.solve(convex(), ocdl.Kutta4(5), ocdl.Ipopt(space="reduced"))
    assert "6 unknowns, exact Hessian" in exact.detail
    monkeypatch.setattr("ocdl.nlp.ipopt.DENSE", 5)
    limited = ocdl.solve(convex(), ocdl.Kutta4(5), ocdl.Ipopt(space="reduced", tolerance=1e-7))
    assert "6 unknowns, limited-memory Hessian" in limited.detail
    assert limited.cost == pytest.approx(exact.cost, abs=1e-9)


def test_an_unknown_space_names_itself():
    with pytest.raises(ocdl.InvalidInput, match="space='half'"):
        ocdl.Ipopt(space="half")


def test_one_sample_in_both_spaces():
    """A far target: the bang-bang optimum of one selection problem, whose multipliers are large."""
    problem, depth = selection(), ocdl.Radau(4, 2)
    grid = ocdl.Grid(ocdl.Midpoint(2), depth)
    full, reduced = (ocdl.solve(problem, grid, ocdl.Ipopt(space=space)) for space in ("full", "reduced"))
    assert abs(full.cost - reduced.cost) <= 1e-8
