"""Adversarial training against games solved by hand, and the certificate of its answers."""

import numpy as np
import pytest

import ocdl
from ocdl.analysis import AdversarialCertificate

ONE = ocdl.ExplicitEuler(1)
OUTERS = ("cutting sets", "Danskin", "first order")


def scalar(*initial, r=0.5, **more):
    """x(1) = x0 + u, J = mean ½ x(1)² + ½ r u²."""
    return ocdl.ControlProblem(
        dynamics=lambda x, u: u,
        initial=np.array(initial)[:, None],
        horizon=1.0,
        terminal=lambda x: 0.5 * x[0] ** 2,
        effort=lambda u: 0.5 * r * u[0] ** 2,
        **more,
    )


def answer(problem, depth=ONE, **options):
    return ocdl.solve(problem, depth, ocdl.AdversarialTraining(**options), progress=False)


@pytest.mark.parametrize("outer", OUTERS)
def test_one_sample_far_from_its_target(outer):
    """min_u ½ (1 + Δ + u)² + ½ r u², the worst change is always +Δ: u = −(1 + Δ)/(1 + r)."""
    solution = answer(scalar(1.0), ball=ocdl.Ball(0.3), outer=outer, tolerance=1e-6)
    assert float(solution["u"].values.squeeze()) == pytest.approx(-1.3 / 1.5, abs=1e-4)
    assert solution.cost == pytest.approx(0.5 * 1.3**2 * 0.5 / 1.5, abs=1e-6)
    answered = solution.state.values[0, :, 0]  # what the referee has judged
    shares = np.zeros(2)
    np.add.at(shares, (answered > 1.15).astype(int), solution.extras["weight"].values)
    assert answered.max() == pytest.approx(1.3) and shares[1] == pytest.approx(1.0, abs=1e-4)
    assert solution.gap <= 1e-12


def test_an_answer_is_saved_with_its_scenarios(tmp_path):
    problem, ball = scalar(1.0, 0.5), ocdl.Ball(0.3)
    solution = answer(problem, ball=ball)
    solution.save(tmp_path / "game.nc")
    loaded = ocdl.load(tmp_path / "game.nc")
    before, after = (AdversarialCertificate.of(problem, ONE, one, ball) for one in (solution, loaded))
    assert (after.lower, after.attacked) == pytest.approx((before.lower, before.attacked), rel=1e-13)


def test_a_saddle_in_mixed_changes():
    """x0 = 0: u = 0 answers ±Δ with equal shares, which no single change does; the value is ½ Δ²."""
    solution = answer(scalar(0.0), ball=ocdl.Ball(0.3), tolerance=1e-6)
    assert float(solution["u"].values.squeeze()) == pytest.approx(0.0, abs=1e-5)
    assert solution.cost == pytest.approx(0.045, abs=1e-6)
    assert np.sort(solution.extras["change"].values.ravel()) == pytest.approx([-0.3, 0.3])
    assert solution.extras["weight"].values == pytest.approx([0.5, 0.5], abs=1e-4)


@pytest.mark.parametrize(("near", "u", "value"), [(0.5, -0.5, 0.245), (-1.0, 0.0, 0.845)])
def test_two_samples_one_of_which_balances(near, u, value):
    """mean of max_± ½ (x0 ± Δ + u)² + ½ r u² for x0 = 1, near: convex in u, with kinks where x0 + u = 0."""
    solution = answer(scalar(1.0, near), ball=ocdl.Ball(0.3), tolerance=1e-6)
    controls = np.linspace(-2, 1, 30001)[:, None]
    worst = 0.5 * (np.abs(np.array([1.0, near]) + controls) + 0.3) ** 2
    least = np.min(worst.mean(axis=1) + 0.25 * controls[:, 0] ** 2)
    assert least == pytest.approx(value, abs=1e-8)
    assert solution.cost == pytest.approx(least, abs=2e-6) and solution.cost <= least + 1e-9
    assert float(solution["u"].values.squeeze()) == pytest.approx(u, abs=1e-3)


def test_the_certificate_encloses_the_value_of_a_linear_quadratic_game():
    problem = ocdl.ControlProblem(
        dynamics=lambda x, u: [x[1], -x[0] + u[0]],
        initial=[[1.0, 0.0], [0.2, -0.5], [0.0, 0.1]],
        horizon=1.0,
        terminal=lambda x: 0.5 * (x[0] ** 2 + 2.0 * x[1] ** 2),
        effort=lambda u: 0.05 * u[0] ** 2,
    )
    depth, ball = ocdl.Kutta4(4), ocdl.Ball(0.4)
    solution = answer(problem, depth, ball=ball, adversary=ocdl.TrustRegion(), tolerance=1e-5)
    found = AdversarialCertificate.of(problem, depth, solution, ball, adversary=ocdl.TrustRegion())
    assert found.lower <= found.attacked <= found.certified * (1 + 1e-12)
    assert found.gap <= 1e-4 and all(one.applies for one in found.findings)
    assert found.lower == pytest.approx(solution.cost, rel=1e-12)
    plain = ocdl.solve(problem, depth, ocdl.LBFGS())
    other = AdversarialCertificate.of(problem, depth, plain, ball, adversary=ocdl.TrustRegion())
    assert other.nominal <= found.nominal and other.certified > found.certified + 1e-3
    assert other.certified >= found.lower


def test_the_mixture_goes_from_the_worst_to_the_plain_problem():
    """α of (57): the answer to (1 − α) max + α J is −(1 + (1 − α) Δ)/(1 + r)."""
    for alpha in (0.0, 0.5, 0.9):
        solution = answer(scalar(1.0), ball=ocdl.Ball(0.3), outer="Danskin", mixture=alpha)
        expected = -(1.0 + (1.0 - alpha) * 0.3) / 1.5
        assert float(solution["u"].values.squeeze()) == pytest.approx(expected, abs=1e-6)
    cut = answer(scalar(1.0), ball=ocdl.Ball(0.3), mixture=0.5, tolerance=1e-7)
    found = AdversarialCertificate.of(scalar(1.0), ONE, cut, ocdl.Ball(0.3), mixture=0.5)
    assert found.lower == pytest.approx(cut.cost, rel=1e-12) and 0.0 <= found.attacked - found.lower <= 2e-7
    assert float(cut["u"].values.squeeze()) == pytest.approx(-1.15 / 1.5, abs=1e-4)


def test_first_order_is_exact_for_affine_costs():
    """J = x₁(1) + ½ ∫ u²: whatever the change, ‖p(0)‖ Δ is added, and u = −(1 − t) stays best."""
    problem = ocdl.ControlProblem(
        dynamics=lambda x, u: [x[1], u[0]],
        initial=[0.0, 0.0],
        horizon=1.0,
        terminal=lambda x: x[0],
        effort=lambda u: 0.5 * u[0] ** 2,
    )
    depth = ocdl.Kutta4(8)
    plain = ocdl.solve(problem, depth, ocdl.LBFGS())
    for norm, dual in ((2, np.sqrt(2.0)), (np.inf, 2.0)):
        solution = answer(problem, depth, ball=ocdl.Ball(0.3, norm), outer="first order")
        assert solution.cost == pytest.approx(plain.cost + 0.3 * dual, abs=1e-9)
        np.testing.assert_allclose(solution["u"].values, plain["u"].values, atol=1e-6)


def test_no_radius_is_plain_training():
    solution = answer(scalar(1.0, 0.5), ball=ocdl.Ball(0.0))
    assert float(solution["u"].values.squeeze()) == pytest.approx(-0.5, abs=1e-3)


def test_rounds_that_are_over_are_said():
    with pytest.raises(ocdl.SolveFailed, match="round"):
        answer(scalar(1.0, 0.5), ball=ocdl.Ball(0.3), rounds=1, tolerance=1e-9)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"ball": 0.1}, r"AdversarialTraining\(ball=0.1\): give an instance such as ocdl.Ball"),
        ({"outer": "both"}, r"outer='both'"),
        ({"mixture": 1.0}, r"mixture=1.0"),
        ({"rounds": 0}, r"rounds=0"),
        ({"tolerance": 0.0}, r"tolerance=0.0"),
        ({"method": ocdl.Ipopt()}, r"method=Ipopt"),
        ({"adversary": "pgd"}, r"adversary='pgd'"),
    ],
)
def test_bad_options_are_named(options, said):
    with pytest.raises(ocdl.InvalidInput, match=said):
        ocdl.AdversarialTraining(**{"ball": ocdl.Ball(0.1)} | options)


@pytest.mark.parametrize(
    ("problem", "ball", "error", "said"),
    [
        (scalar(1.0), ocdl.Ball(0.1, inputs=2), ocdl.InvalidInput, r"Ball\(inputs=2\): this problem has 1 state"),
        (scalar(1.0, bounds=ocdl.Box(x=(-9, 9))), ocdl.Ball(0.1), ocdl.NotSupported, r"Box\(x=...\)"),
        (
            ocdl.ControlProblem(dynamics=lambda x, u: u, initial=[0.0], horizon=1.0, effort=lambda u: u[0] ** 2),
            ocdl.Ball(0.1),
            ocdl.InvalidInput,
            "neither terminal nor running",
        ),
        (
            ocdl.ControlProblem(
                dynamics=lambda x, u: u, initial=[ocdl.Free(-1, 1)], horizon=1.0, terminal=lambda x: x[0] ** 2
            ),
            ocdl.Ball(0.1),
            ocdl.NotSupported,
            "free",
        ),
    ],
)
def test_problems_without_an_adversary_are_named(problem, ball, error, said):
    with pytest.raises(error, match=said):
        answer(problem, ball=ball)
