"""Densities of stochastic equations against closed forms: Ornstein and Uhlenbeck, Gibbs, Kramers, a rotation."""

import numpy as np
import pytest

import ocdl
from ocdl.analysis import Cells, FokkerPlanck

BETA = 2.0


def gauss(x, mean, variance):
    return np.exp(-((x - mean) ** 2) / (2 * variance)) / np.sqrt(2 * np.pi * variance)


def double_well(x):
    return 0.25 * (x[:, 0] ** 2 - 1) ** 2


def linear(count):
    return FokkerPlanck.langevin(lambda x: 0.5 * x[:, 0] ** 2, BETA, Cells(-5, 5, count))


def ornstein_uhlenbeck_error(count, steps):
    """Largest at all times in [½, 1], from the exact density at ½, of mean 2e^{−t}, variance (1 − e^{−2t})/β."""
    equation = linear(count)
    x, exact = equation.cells.centres[:, 0], lambda t: (2 * np.exp(-t), (1 - np.exp(-2 * t)) / BETA)
    found = equation.evolve(gauss(x, *exact(0.5)), 0.5, steps)
    return max(np.abs(rho - gauss(x, *exact(0.5 + t))).max() for t, rho in zip(found.t, found.density, strict=True))


def test_ornstein_uhlenbeck_at_all_times_to_order_two_in_space_and_one_in_time():
    coarse, fine = ornstein_uhlenbeck_error(50, 25), ornstein_uhlenbeck_error(100, 100)
    assert np.log2(coarse / fine) == pytest.approx(2.0, abs=0.15)
    long, short = ornstein_uhlenbeck_error(800, 10), ornstein_uhlenbeck_error(800, 20)
    assert np.log2(long / short) == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize("step", [1e-3, 1.0, 1e3])
def test_mass_and_sign_stay_and_the_free_energy_falls_whatever_the_step(step):
    equation = FokkerPlanck.langevin(double_well, 8.0, Cells(-2, 2, 60))
    initial = np.zeros(60)
    initial[7] = 1.0
    found = equation.evolve(initial, 20 * step, 20)
    assert np.abs(found.mass - 1).max() < 1e-11
    assert np.abs(equation.generator.sum(axis=0)).max() < 1e-11
    assert found.density.min() >= 0.0
    assert found.free_energy_falls().applies and found.approaches_at_gap().applies


def test_findings_can_fail():
    found = linear(50).evolve(lambda x: gauss(x[:, 0], 1.0, 0.1), 1.0, 10)
    backwards = type(found)(found.equation, found.t, found.density[::-1])
    assert found.free_energy_falls().applies
    assert [h.statement for h in backwards.free_energy_falls().failing] == ["F falls from step to step"]
    assert not backwards.approaches_at_gap().applies


def test_gibbs_density_is_stationary_to_rounding_in_one_and_two_dimensions():
    for equation in (
        FokkerPlanck.langevin(double_well, 6.0, Cells(-2, 2, 64)),
        FokkerPlanck.langevin(
            lambda x: double_well(x) + x[:, 0] * x[:, 1] + x[:, 1] ** 2, 3.0, Cells([-3, -3], [3, 3], [24, 30])
        ),
    ):
        assert equation.stationary == pytest.approx(equation.gibbs, rel=1e-8, abs=1e-12)
        assert max(np.abs(J).max() for J in equation.current(equation.gibbs)) < 1e-13 / equation.cells.widths.min()
        late = equation.evolve(np.ones(equation.cells.count), 1e6, 3)
        assert late.density[-1] == pytest.approx(equation.gibbs, abs=1e-9)
        assert equation.free_energy(equation.gibbs) == pytest.approx(
            -np.log(np.exp(-equation.energy).sum() * equation.cells.volume) / equation.beta, abs=1e-12
        )


def test_the_gap_of_a_quadratic_potential_is_its_curvature():
    errors = [abs(linear(n).gap - 1.0) for n in (40, 80, 160)]
    assert np.log2(np.divide(errors[:-1], errors[1:])) == pytest.approx(2.0, abs=0.1)


def test_late_densities_approach_at_the_gap():
    equation = FokkerPlanck.langevin(double_well, 6.0, Cells(-2.5, 2.5, 200))
    found = equation.evolve(lambda x: gauss(x[:, 0], -1.0, 0.05), 60.0, 120)
    h, (before, after) = 0.5, found.distance[-2:]
    assert (before / after - 1) / h == pytest.approx(equation.gap, rel=1e-6)


def test_kramers_rate_out_of_a_well():
    """λ₁ → √(Φ''(±1) |Φ''(0)|)/π e^{−βΔ} with Φ'' = 2 and −1, Δ = ¼: relative error of order 1/β."""
    errors = []
    for beta in (20.0, 40.0):
        equation = FokkerPlanck.langevin(double_well, beta, Cells(-2, 2, 400))
        errors.append(equation.gap / (np.sqrt(2.0) / np.pi * np.exp(-beta / 4)) - 1)
    assert max(map(abs, errors)) < 0.3
    assert errors[0] / errors[1] == pytest.approx(2.0, abs=0.5)


def rotation(count, omega=1.5):
    return FokkerPlanck.of(
        lambda x: np.stack([-x[:, 0] - omega * x[:, 1], -x[:, 1] + omega * x[:, 0]], 1),
        1.0 / BETA,
        Cells([-4, -4], [4, 4], [count, count]),
    )


def test_a_rotating_drift_keeps_gauss_density_with_the_current_of_the_rotation():
    errors = []
    for count in (32, 64):
        equation = rotation(count)
        J, faces = equation.current(equation.stationary)[0], equation.cells.faces(0)
        exact = -1.5 * faces[..., 1] * gauss(faces[..., 0], 0, 1 / BETA) * gauss(faces[..., 1], 0, 1 / BETA)
        errors.append(np.abs(J - exact).max())
    assert np.abs(exact).max() > 0.2
    assert np.log2(errors[0] / errors[1]) == pytest.approx(2.0, abs=0.25)


def test_diffusion_that_depends_on_the_state_is_itos():
    """dX = −X dt + √(2(1 + X²)) dW: D ρ ∝ exp ∫ b/D = (1 + x²)^{−½}, so that ρ ∝ (1 + x²)^{−3/2}."""
    errors = []
    for count in (100, 200):
        equation = FokkerPlanck.of(lambda x: -x, lambda x: 1 + x**2, Cells(-10, 10, count))
        exact = (1 + equation.cells.centres[:, 0] ** 2) ** -1.5
        errors.append(np.abs(equation.stationary - exact / (exact.sum() * equation.cells.volume)).max())
    assert np.log2(errors[0] / errors[1]) == pytest.approx(2.0, abs=0.2)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda: Cells(1, 0, 10), "below the upper"),
        (lambda: Cells([0, 0, 0], [1, 1, 1], [5, 5, 5]), "one or two axes"),
        (lambda: Cells(0, 1, 2), "count=2"),
        (lambda: FokkerPlanck.langevin(double_well, 0.0, Cells(0, 1, 5)), "beta"),
        (lambda: FokkerPlanck.langevin(lambda x: x, 1.0, Cells(0, 1, 5)), "must return"),
        (lambda: FokkerPlanck.of(0.0, lambda x: -x, Cells(0, 1, 5)), "positive values"),
        (lambda: linear(20).evolve(-np.ones(20), 1.0, 5), "nowhere negative"),
        (lambda: linear(20).evolve(np.ones(20), 1.0, 0), "steps=0"),
    ],
)
def test_wrong_equations_are_told_off(wrong, said):
    with pytest.raises(ocdl.InvalidInput, match=said):
        wrong()


def test_what_has_no_potential_has_no_gibbs_density():
    with pytest.raises(ocdl.NotSupported, match="stationary"):
        _ = rotation(8).gibbs
