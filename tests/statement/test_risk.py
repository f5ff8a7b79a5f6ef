"""Risk: every measure is reached by an ordinary problem, whose costates weigh the samples as the theory says."""

import numpy as np
import pytest
from families import concrete
from hypothesis import given, settings
from hypothesis import strategies as st

import ocdl
from ocdl.sweeps.reduced import ReducedCost

RISKS = [
    ocdl.Exponential(3.0),
    ocdl.Exponential(-3.0),
    ocdl.CVaR(0.6),
    ocdl.CVaR(0.0),
    ocdl.CVaR(0.6, smoothing=1e-3),
    ocdl.WorstCase(),
]
OMEGA = np.array([0.1, 0.2, 0.3, 0.25, 0.15])
GRID = ocdl.Radau(layers=8, degree=2)


def problem(**changes):
    generator = np.random.default_rng(0)
    return ocdl.ControlProblem(
        **{
            "dynamics": lambda x, u, d: u - d * x,
            "initial": generator.standard_normal((5, 1)),
            "data": generator.uniform(0.5, 2, (5, 1)),
            "weights": OMEGA,
            "horizon": 1.0,
            "terminal": lambda x: (x[0] - 1) ** 2,
            "running": lambda x: 0.2 * x[0] ** 2,
            "effort": lambda u: 0.05 * u[0] ** 2,
            "bounds": ocdl.Box(u=(-3, 3)),
        }
        | changes
    )


def costs(solution):
    """Of every sample by itself under the answer's controls, without the effort that all share."""
    u, found = solution.controls["u"].values, []
    for s in range(5):
        rows = {name: np.asarray(getattr(problem(), name))[[s]] for name in ("initial", "data")}
        cost = ReducedCost(problem(**rows, weights=None, effort=None), GRID)
        found.append(cost.value(cost.join(u.reshape(-1, 1), np.zeros(0))))
    return np.array(found)


def effort(solution):
    return float(0.05 * np.mean(solution.controls["u"].values ** 2))


def smoothed(risk):
    """By how much a smooth (·)₊ may overrate."""
    return 0.5 * getattr(risk, "smoothing", 0.0) / (1.0 - getattr(risk, "level", 0.0))


def solved(risk, **changes):
    return ocdl.solve(problem(risk=risk, **changes), GRID, ipopt(risk))


def ipopt(risk):
    """A smooth (·)₊ is for methods on controls alone."""
    return ocdl.Ipopt(space="reduced" if smoothed(risk) else "auto")


def test_every_risk_is_tried():
    assert {type(risk) for risk in RISKS} == set(concrete(ocdl.Risk, "_value"))


@pytest.mark.parametrize("risk", RISKS, ids=repr)
def test_the_cost_is_the_risk_of_the_costs(risk):
    solution = solved(risk)
    slack = 2e-8 + smoothed(risk)
    assert -2e-8 <= solution.cost - effort(solution) - risk.value(costs(solution), OMEGA) <= slack
    others = [solved(other) for other in (None, ocdl.Exponential(3.0), ocdl.WorstCase())]
    assert all(solution.cost <= risk.value(costs(other), OMEGA) + effort(other) + slack for other in others)


@pytest.mark.parametrize("risk", [risk for risk in RISKS if not risk.constrains], ids=repr)
def test_routes_agree(risk):
    found = [ocdl.solve(problem(risk=risk), GRID, method) for method in (ipopt(risk), ocdl.LBFGSB())]
    assert found[0].cost == pytest.approx(found[1].cost, abs=1e-9)
    assert all(solution.gap < 1e-3 for solution in found)


@pytest.mark.parametrize("k", [3.0, -3.0])
def test_costates_weigh_the_samples_by_their_costs(k):
    """∂R/∂x_s(T) = ω_s e^{kJ_s} / Σ ω e^{kJ} · ℓ'(x_s), and solution.costate is it over ω_s' own measure."""
    solution = solved(ocdl.Exponential(k))
    J = costs(solution)
    tilt = np.exp(k * J) / (OMEGA @ np.exp(k * J))
    end, costate = solution.state.values[-1], solution.costate.values[-1]
    assert costate[:, 0] == pytest.approx(OMEGA * tilt * 2 * (end[:, 0] - 1), abs=1e-6)


def test_small_k_is_mean_and_variance():
    """(49) of Liu and Theodorou (2019): R = E J + (k/2) Var J + O(k²)."""
    J = np.array([0.3, 1.0, -0.5, 2.0, 0.1])
    mean = OMEGA @ J
    errors = [ocdl.Exponential(k).value(J, OMEGA) - mean - 0.5 * k * (OMEGA @ (J - mean) ** 2) for k in (0.1, 0.05)]
    assert np.log2(errors[0] / errors[1]) == pytest.approx(2.0, abs=0.1)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(-50, 50), min_size=2, max_size=9), st.floats(0.0, 0.95), st.floats(0.01, 20))
def test_measures_are_ordered_and_certain_costs_are_themselves(J, level, k):
    J = np.array(J)
    seeking, averse = (ocdl.Exponential(sign * k).value(J) for sign in (-1, 1))
    slack = 1e-9 * (1 + np.abs(J).max())
    assert J.min() - slack <= seeking <= J.mean() + slack
    assert J.mean() - slack <= averse <= J.max() + slack
    assert J.mean() - slack <= ocdl.CVaR(level).value(J) <= ocdl.WorstCase().value(J) + slack
    for risk in RISKS:
        assert risk.value(np.full(4, 7.0)) == pytest.approx(7.0, abs=1e-9)


def test_cvar_is_the_mean_of_the_worst():
    assert ocdl.CVaR(0.5).value([1.0, 2.0, 3.0, 4.0]) == pytest.approx(3.5)
    assert ocdl.CVaR(0.7).value([1.0, 2.0, 3.0, 4.0]) == pytest.approx((4.0 + 0.2 * 3.0) / 1.2)


@pytest.mark.parametrize(
    "risk", [ocdl.Exponential(5.0), ocdl.Exponential(-5.0), ocdl.CVaR(0.8, smoothing=1e-2)], ids=repr
)
def test_networks_are_trained_under_risk_and_predict(risk):
    data, _ = ocdl.donut1d(count=24, seed=0)
    stated = ocdl.network(
        ocdl.Residual(ocdl.Tanh()), data.inputs, data.labels, regulariser=ocdl.Tikhonov(1e-2), risk=risk
    )
    grid = ocdl.ExplicitEuler(5)
    solution = ocdl.solve(stated, grid, ocdl.LBFGS(), certificate="first order")
    assert solution.status.name == "CONVERGED"
    prediction = np.asarray(ocdl.predict(stated, grid, solution, data.inputs)).ravel()
    losses = 0.5 * (prediction - data.labels) ** 2
    controls = sum(
        float(np.mean(np.sum(c.values**2, axis=tuple(range(1, c.ndim))))) for c in solution.controls.values()
    )
    head = float(sum(np.sum(solution[name].values ** 2) for name in ("W", "mu")))
    assert -1e-9 <= solution.cost - risk.value(losses) - 0.5e-2 * (controls + head) <= 1e-9 + smoothed(risk)


def test_large_costs_do_not_overflow():
    solution = ocdl.solve(problem(risk=ocdl.Exponential(50.0), initial=np.full((5, 1), 30.0)), GRID, ocdl.LBFGSB())
    assert np.isfinite(solution.cost) and solution.status.name in ("CONVERGED", "REACHABLE")


def test_own_parameters_and_formulas_with_them_stay_what_they_are():
    changes = {"parameters": ["rate"], "dynamics": lambda x, u, d, p: u - d * p[-1] * x, "penalty": lambda p: p[0] ** 2}
    tied = ocdl.Box(u=(-3, 3), p=(0.5, 2.0))
    plain = ocdl.solve(problem(**changes, bounds=tied), GRID, ocdl.Ipopt())
    small = ocdl.solve(problem(**changes, bounds=tied, risk=ocdl.Exponential(1e-6)), GRID, ocdl.Ipopt())
    assert small.cost == pytest.approx(plain.cost, abs=1e-6)
    assert float(small["rate"]) == pytest.approx(float(plain["rate"]), abs=1e-4)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda: problem(risk="cvar"), "risk='cvar'"),
        (lambda: ocdl.Exponential(0.0), "0 is the mean"),
        (lambda: ocdl.CVaR(1.0), "level=1.0"),
        (lambda: ocdl.CVaR(0.5, smoothing=-1.0), "smoothing=-1.0"),
        (lambda: problem(risk=ocdl.WorstCase(), terminal=None, running=None), "cost the same"),
        (
            lambda: ocdl.ControlProblem(
                dynamics=lambda u: u, initial=[0.0], horizon=1, terminal=lambda x: x[0], risk=ocdl.WorstCase()
            ),
            "one sample has one cost",
        ),
    ],
)
def test_wrong_risks_are_told_off(wrong, said):
    with pytest.raises(ocdl.InvalidInput, match=said):
        wrong()


def test_methods_without_constraints_say_so():
    with pytest.raises(ocdl.NotSupported, match=r"risk=WorstCase\(\)"):
        ocdl.solve(problem(risk=ocdl.WorstCase()), GRID, ocdl.LBFGSB())
