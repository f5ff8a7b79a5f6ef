"""Budgets judged: an optimal answer has no gap at the referee's own price, a wrong one has; spending is checked."""

import casadi as ca
import numpy as np
import pytest

import ocdl
from ocdl.referee.judgement import judged
from ocdl.statement.spending import spent, within

DEPTH = ocdl.ExplicitEuler((0.1, 0.2, 0.3, 0.4))


def steps(total=1.0, metric=1.0, **changes):
    """J = ∫ ½ q α² − c α: α = max(0, (c − ν)/q), as x' = c(t) α with the terminal cost −x(T)."""
    return ocdl.ControlProblem(
        **{
            "dynamics": lambda u, t: [(1.0 + t) * u[0]],
            "initial": [0.0],
            "horizon": 1.0,
            "terminal": lambda x: -x[0],
            "effort": lambda t, u: 0.5 * (1.0 + 5.0 * t) * u[0] ** 2,
            "controls": ["alpha"],
            "bounds": ocdl.Box(alpha=(0, None)),
            "control_metric": [metric],
            "budgets": [ocdl.Budget("alpha", total)],
        }
        | changes
    )


def optimum(total):
    """α (4, 1) and ν by bisection."""
    t, h = np.array([0.0, 0.1, 0.3, 0.6]), np.array([0.1, 0.2, 0.3, 0.4])
    low, high = -50.0, 50.0
    for _ in range(200):
        nu = 0.5 * (low + high)
        alpha = np.maximum(0.0, (1.0 + t - nu) / (1.0 + 5.0 * t))
        low, high = (nu, high) if h @ alpha > total else (low, nu)
    return alpha[:, None], nu


@pytest.mark.parametrize("metric", [1.0, 7.0])
@pytest.mark.parametrize("total", [0.05, 0.3, 2.0])
def test_the_optimum_has_no_gap_at_the_price_of_its_budget(total, metric):
    alpha, nu = optimum(total)
    found = ocdl.certify(steps(total, metric), DEPTH, alpha, np.zeros(0))
    assert found.gap == pytest.approx(0.0, abs=1e-12) and found.gap_is_exact and found.feasibility < 1e-12
    assert found.stationarity.norm < 1e-12
    assert found.stationarity.multipliers[0] == pytest.approx(nu, abs=1e-10)
    assert np.max(alpha) > 0.0 and (total > 0.1 or np.min(alpha) == 0.0)


def test_another_split_of_the_budget_has_a_gap_that_bounds_what_it_loses():
    problem, (best, _) = steps(0.3), optimum(0.3)
    least = ocdl.certify(problem, DEPTH, best, np.zeros(0)).cost
    for seed in range(5):
        u, _ = within(problem, DEPTH, np.random.default_rng(seed).normal(0.5, 1.0, (4, 1)))
        found = ocdl.certify(problem, DEPTH, u, np.zeros(0))
        assert found.feasibility < 1e-12 and found.stationarity.norm > 1e-2
        assert found.gap >= found.cost - least - 1e-12 and found.cost > least + 1e-4


def test_a_violation_of_a_thousandth_is_infeasible():
    alpha, _ = optimum(0.3)
    outcome = ocdl.Outcome(alpha + 1e-3, np.zeros(0), ocdl.Status.CONVERGED)
    for certificate in ("maximum principle", "first order"):
        told = judged(steps(0.3), DEPTH, outcome, method="Told", seconds=0.1, certificate=certificate)
        assert told.status is ocdl.Status.REFUTED and "budget" in told.detail
        assert told.feasibility == pytest.approx(1e-3) == told.attrs["violation of budget"]


def test_a_bang_bang_budget():
    """H affine: the dearest layers get all they may."""
    problem = steps(0.5, effort=None, bounds=ocdl.Box(alpha=(0, 1)))
    best = np.array([[0.0], [0.0], [1.0 / 3.0], [1.0]])
    found = ocdl.certify(problem, DEPTH, best, np.zeros(0))
    assert found.gap == pytest.approx(0.0, abs=1e-13) and found.gap_is_exact
    assert found.stationarity.multipliers[0] == pytest.approx(1.3)  # the price of the layer between its bounds
    other = ocdl.certify(problem, DEPTH, best[::-1] * [[0.4], [0.3], [0.2], [0.1]] + 0.4, np.zeros(0))
    assert other.gap > 0.01


def test_without_an_upper_bound_the_budget_is_one():
    """H falls for ever in α, but no layer can get more than all."""
    problem = steps(1.0, effort=None)
    found = ocdl.certify(problem, DEPTH, np.array([[0.0], [0.0], [0.0], [2.5]]), np.zeros(0))
    assert found.gap == pytest.approx(0.0, abs=1e-13)
    even = ocdl.certify(problem, DEPTH, np.ones((4, 1)), np.zeros(0))
    assert 0.1 < even.gap < np.inf


def test_the_priced_hamiltonian_is_the_constant_one():
    problem = steps(0.3, dynamics=lambda x, u: [u[0] * (1.0 - x[0])], effort=lambda u: 0.5 * u[0] ** 2)
    found = ocdl.solve(problem, ocdl.Radau(20, 3), ocdl.Ipopt())
    assert found.certificate.hamiltonian_spread < 1e-6 and found.certificate.agreement == 1.0


def test_summary_and_file_name_the_price(tmp_path):
    alpha, nu = optimum(0.3)
    outcome = ocdl.Outcome(alpha, np.zeros(0), ocdl.Status.CONVERGED)
    solution = judged(steps(0.3), DEPTH, outcome, method="Told", seconds=0.1)
    solution.save(tmp_path / "budget.nc")
    for one in (solution, ocdl.load(tmp_path / "budget.nc")):
        (spending,) = one.summary().budgets
        assert (spending.control, spending.total) == ("alpha", 0.3) and spending.multiplier == pytest.approx(nu)
        assert f"∫ alpha dt = 0.3, multiplier {nu:.6g}" in str(one.summary())


def test_a_file_whose_budget_is_no_number_is_damaged(tmp_path):
    alpha, _ = optimum(0.3)
    outcome = ocdl.Outcome(alpha, np.zeros(0), ocdl.Status.CONVERGED)
    solution = judged(steps(0.3), DEPTH, outcome, method="Told", seconds=0.1)
    solution.attrs["budget of alpha"] = "much"
    solution.save(tmp_path / "budget.nc")
    with pytest.raises(ocdl.InvalidInput, match="its budget of alpha must be a number"):
        ocdl.load(tmp_path / "budget.nc")


def test_budgets_of_two_controls_beside_a_network_of_many_samples():
    generator = np.random.default_rng(0)
    x = generator.normal(size=(6, 2))
    problem = ocdl.ControlProblem(
        lift=lambda x, u: ca.reshape(u[:4], 2, 2) @ x + u[4:6],
        dynamics=lambda z, u: u[6] * np.tanh(z) + u[7] * z,
        terminal=lambda x, d: (x[0] - d[0]) ** 2,
        effort=lambda u: 0.1 * ca.sumsqr(u),
        initial=x,
        data=x[:, :1] * x[:, 1:],
        controls=8,
        horizon=1.0,
        bounds=ocdl.Box(u=([-3.0] * 6 + [0.0, -1.0], 3.0)),
        budgets=[ocdl.Budget(6, 1.0), ocdl.Budget(7, 0.2)],
    )
    u, _ = within(problem, DEPTH, generator.normal(size=(4, 8)))
    np.testing.assert_allclose(spent(problem, DEPTH, u), [1.0, 0.2], atol=1e-14)
    found = ocdl.solve(problem, DEPTH, ocdl.Ipopt(), start={"u": u})
    assert found.stationarity < 1e-6 and found.feasibility < 1e-8
    for budget in found.summary().budgets:
        assert found.claim[f"multiplier of {budget.control}"] == pytest.approx(budget.multiplier, abs=1e-6)
