"""Constraints of stability: their rows hold, for some controls that they lend, exactly where the operator is stable."""

import casadi as ca
import numpy as np
import pytest
from families import concrete, name_of, selection

import ocdl
from ocdl.analysis import Flow

MEMBERS = [cls() for cls in concrete(ocdl.Stability, "rows")] + [
    ocdl.Dissipative(0.3),
    ocdl.Nonexpansive(0.3),
    ocdl.Nonexpansive(step=0.1),
]
every = pytest.mark.parametrize("member", MEMBERS, ids=repr)
GRID = ocdl.Grid(ocdl.Midpoint(3), ocdl.ExplicitEuler(4))


def excess(member, M, budget=1.5):
    """By how much M is less stable than it has to be, by its definition; of an amplification where s = ``budget``."""
    if isinstance(member, ocdl.Dissipative):
        return member.margin + np.linalg.eigvalsh(0.5 * (M + M.T))[-1]
    if isinstance(member, ocdl.Nonexpansive):
        others = np.sum(np.abs(M), axis=1) - np.abs(np.diag(M))
        steep = (others - np.diag(M)).max() - 2.0 / member.step if member.step else -np.inf
        return max(member.margin + (np.diag(M) + others).max(), steep)
    return np.linalg.norm(M) - budget


def best_lent(member, M, budget=1.5):
    """The controls that serve M best."""
    n = len(M)
    if isinstance(member, ocdl.Dissipative):
        values, vectors = np.linalg.eigh(-0.5 * (M + M.T) - member.margin * np.eye(n))
        root = np.linalg.qr((vectors * np.sqrt(np.maximum(values, 0.0))).T)[1].T
        return (root * np.sign(np.diag(root)))[np.tril_indices(n)]
    return np.abs(M)[~np.eye(n, dtype=bool)] if isinstance(member, ocdl.Nonexpansive) else np.array([budget])


def violation(member, M):
    """Of the rows, by the best controls, which are in their bounds."""
    lent, (low, high) = best_lent(member, M), member.ends(len(M))
    assert lent.shape == low.shape == (sum(part.size for part in member.parts(len(M))),)
    assert np.all((low <= lent) & (lent <= high))
    rows = ca.DM(member.rows(ca.DM(M), ca.DM(lent))).full().ravel()
    return max(np.max(member.interval[0] - rows), np.max(rows - member.interval[1]))


def test_the_family_is_found():
    assert len({type(member) for member in MEMBERS}) >= 3


@every
@pytest.mark.parametrize("n", [1, 2, 4])
def test_rows_hold_exactly_where_the_operator_is_stable(member, n):
    rng, met = np.random.default_rng(n), set()
    for _ in range(60):
        M = 10.0 ** rng.uniform(-2, 1) * (rng.standard_normal((n, n)) - rng.uniform(-1.0, 7.0) * np.eye(n))
        stable = bool(excess(member, M) <= 0.0)
        assert (violation(member, M) <= 1e-12) == stable
        met.add(stable)
    assert met == {True, False}


@every
def test_the_boundary_is_inside(member):
    """At the brink the rows hold to rounding, and a little beyond they don't."""
    M = np.random.default_rng(0).standard_normal((3, 3))
    brink = M * 1.5 / np.linalg.norm(M) if isinstance(member, ocdl.Amplification) else M - excess(member, M) * np.eye(3)
    assert violation(member, brink) <= 1e-13
    assert violation(member, brink + 1e-6 * (brink if isinstance(member, ocdl.Amplification) else np.eye(3))) > 1e-7


@pytest.mark.parametrize("sigma", [ocdl.Tanh(), ocdl.Sigmoid(), ocdl.ELU(alpha=3.0)], ids=name_of)
def test_the_budget_is_that_of_the_amplification(sigma):
    (budget,) = ocdl.Amplification(5.0).budgets(sigma)
    assert np.exp(sigma.lipschitz * budget.total) == pytest.approx(5.0, rel=1e-14)


def trained(stability):
    problem = selection(
        bounds=ocdl.Box(a=(-2, 2), b=(-3, 3)),
        target=lambda y: np.cos(2 * np.pi * y),
        regulariser=ocdl.Tikhonov(1e-4),
        stability=stability,
    )
    solution = ocdl.solve(problem, GRID, ocdl.Ipopt(), certificate="first order")
    return problem, solution, Flow.of(problem, GRID, solution)


@pytest.mark.parametrize("margin", [0.0, 0.2])
def test_kernels_are_dissipative_in_function_space(margin):
    _, solution, flow = trained(ocdl.Dissipative(margin))
    assert solution.feasibility < 1e-8
    assert min(flow.kernel_operator(k).least_symmetric for k in range(flow.count)) >= margin - 1e-8


def test_amplification_is_bounded_in_function_space():
    _, solution, flow = trained(ocdl.Amplification(1.2))
    spent = sum(h * flow.kernel_operator(k).hilbert_schmidt_norm for k, h in enumerate(np.diff(flow.times)))
    assert solution.feasibility < 1e-8 and np.exp(spent) == pytest.approx(1.2, rel=1e-6)


def test_a_kernel_that_is_not_dissipative_is_reported_as_path():
    """The answer without the constraint, judged with it."""
    free, solution, flow = trained(None)
    least = min(flow.kernel_operator(k).least_symmetric for k in range(flow.count))
    assert least < -0.1
    core = free.replace(stability=ocdl.Dissipative()).discretise(GRID.width)
    u = np.concatenate([solution["a"].values, solution["b"].values.reshape(4, 9), np.zeros((4, 6))], axis=1)
    verdict = ocdl.certify(core, GRID.depth, u, np.zeros(0), first_order=True)
    assert verdict.violations["path"] >= -least / 3 and verdict.feasibility >= -least / 3


def test_answers_begin_others_of_other_widths_with_and_without_constraints():
    """What is lent is no function of y, and of no interest to a problem that lends nothing."""
    free, solution, _ = trained(None)
    held = free.replace(stability=ocdl.Dissipative())
    fine = ocdl.Grid(ocdl.Midpoint(4), GRID.depth)
    stages = [(held, GRID), (held, fine), (free, fine), (free.replace(stability=ocdl.Amplification(1.2)), fine)]
    for problem, grid in stages:
        solution = ocdl.solve(problem, grid, ocdl.Ipopt(), start=solution, certificate="first order")
        assert solution.feasibility < 1e-8


def test_what_is_lent_costs_nothing():
    core = selection(regulariser=ocdl.Tikhonov(1.0), stability=ocdl.Dissipative()).discretise(GRID.width)
    u = np.zeros(core.m)
    u[-6:] = 7.0
    assert float(ca.DM(core.evaluate("effort", kind=ca.DM, u=ca.DM(u)))) == 0.0


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda: ocdl.Dissipative(-1.0), "Dissipative.margin=-1.0"),
        (lambda: ocdl.Nonexpansive(np.nan), "Nonexpansive.margin=nan"),
        (lambda: ocdl.Nonexpansive(step=-1), "Nonexpansive.step=-1"),
        (lambda: ocdl.Amplification(1.0), "Amplification.most=1.0"),
        (lambda: selection(stability="dissipative"), "ocdl.Dissipative"),
        (lambda: selection(stability=ocdl.Nonexpansive()), "kernel"),
        (lambda: selection(stability=ocdl.Dissipative(), bounds=ocdl.Disc(radius=1.0)), "needs a Box"),
        (
            lambda: selection(
                activation=ocdl.CustomActivation(lambda s: s**3), stability=ocdl.Amplification(2.0)
            ).discretise(GRID.width),
            "finite sup",
        ),
        (
            lambda: ocdl.solve(selection(stability=ocdl.Dissipative()), GRID, ocdl.InteriorPoint()),
            "stability=Dissipative",
        ),
    ],
)
def test_what_cannot_be_is_told(wrong, said):
    with pytest.raises((ocdl.InvalidInput, ocdl.NotSupported), match=said):
        wrong()
