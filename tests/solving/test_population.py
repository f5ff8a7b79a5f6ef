"""Error bars of answers on samples, against closed forms of a quadratic problem, and what they cover."""

import numpy as np
import pytest

import ocdl
from ocdl.solving.population import PopulationProblem, population_certificate

RHO, SPREAD = 0.5, 2.0
GRID = ocdl.ExplicitEuler(layers=1)


def statement(points, weights):
    """J_s = ½ (x_s + u)² + ½ ρ u², so that û = −mean x / (1 + ρ)."""
    return ocdl.ControlProblem(
        dynamics=lambda u: u,
        initial=points,
        weights=weights,
        horizon=1.0,
        terminal=lambda x: 0.5 * x[0] ** 2,
        effort=lambda u: 0.5 * RHO * u[0] ** 2,
        bounds=ocdl.Box(u=(-10, 10)),
    )


PROBLEM = PopulationProblem(ocdl.Normal(1.0, SPREAD**2), statement)
OPTIMUM = 0.5 * (1 + SPREAD**2) - 0.5 / (1 + RHO)  # J(u*) with u* = −1/(1 + ρ)


def judged(count, seed, **options):
    sampled = PROBLEM.sampled(count, seed=seed)
    answer = ocdl.solve(sampled, GRID, ocdl.LBFGSB(), certificate="first order")
    given = {"fresh": 2, "resamples": 0, "seed": seed} | options
    return sampled, answer, population_certificate(PROBLEM, sampled, GRID, answer, **given)


def test_errors_are_those_of_the_closed_form():
    sampled, answer, found = judged(200, 3)
    variance = np.var(sampled.x0, ddof=1)
    assert float(answer.controls["u"][0, 0]) == pytest.approx(-sampled.x0.mean() / (1 + RHO), abs=1e-9)
    assert found.standard_errors[0, 0] == pytest.approx(np.sqrt(variance / 200) / (1 + RHO), rel=1e-6)
    assert found.excess == pytest.approx(variance / (1 + RHO) / 400, rel=1e-6)
    assert found.optimum.value == pytest.approx(found.sampled_cost + found.excess, rel=1e-12)


def test_intervals_cover_the_population_as_often_as_they_say():
    found = [judged(40, seed) for seed in range(30)]
    in_u = [abs(float(a.controls["u"][0, 0]) + 1 / (1 + RHO)) <= 1.96 * j.standard_errors[0, 0] for _, a, j in found]
    in_J = [j.optimum.covers(OPTIMUM) for *_, j in found]
    assert np.mean(in_u) >= 0.8 and np.mean(in_J) >= 0.8  # of 30 draws, 3.8 deviations below 95 %
    assert any(not covered for covered in in_u + in_J)
    bias = np.mean([j.sampled_cost - OPTIMUM for *_, j in found])
    assert abs(bias) < 4 * np.std([j.sampled_cost for *_, j in found]) / np.sqrt(30)


def test_the_gap_of_fresh_samples_is_that_of_their_hamiltonian():
    """û is off by δ, so that E H(û) − min E H = ½ (1 + ρ) δ², with resampled bounds around it."""
    _, answer, found = judged(30, 5, fresh=2000, resamples=60)
    u = float(answer.controls["u"][0, 0])
    exact = 0.5 * (1 + u + RHO * u) ** 2 / RHO  # H = p u + ½ρu², E p = 1 + u
    assert found.gap.low <= exact <= found.gap.high
    assert found.gap.low < found.gap.high


def test_bounds_that_press_have_no_error():
    def pressed(points, weights):
        return statement(points, weights).with_numbers(bounds=ocdl.Box(u=(-0.1, 0.1)))

    problem = PopulationProblem(ocdl.Normal(1.0, 0.01), pressed)
    sampled = problem.sampled(20, seed=0)
    answer = ocdl.solve(sampled, GRID, ocdl.LBFGSB())
    found = population_certificate(problem, sampled, GRID, answer, fresh=20, resamples=2)
    assert found.standard_errors[0, 0] == 0.0 and found.excess == 0.0


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda: PopulationProblem("normal", statement), "ocdl.Normal"),
        (lambda: PopulationProblem(ocdl.Normal(), 3), "statement=3"),
        (lambda: PopulationProblem(ocdl.Normal(), lambda points, weights: 3).sampled(2, seed=0), "no problem"),
        (lambda: judged(5, 0, fresh=1), "fresh=1"),
        (lambda: judged(5, 0, level=1.0), "level=1.0"),
        (
            lambda: population_certificate(
                PROBLEM, quadrature := PROBLEM.quadrature(4), GRID, ocdl.solve(quadrature, GRID, ocdl.LBFGSB())
            ),
            "independent draws",
        ),
    ],
)
def test_wrong_questions_are_told_off(wrong, said):
    with pytest.raises(ocdl.InvalidInput, match=said):
        wrong()
