"""A table of V is asked what it proves: residual, kinks and their side, bounds on both sides, optimal feedback."""

from itertools import pairwise

import casadi as ca
import numpy as np
import pytest
from hjb_exact import one_neuron_value, selection

import ocdl
from ocdl.hjb import ValueFunction, ValueIteration
from ocdl.hjb.grids.grid import StateGrid
from ocdl.hjb.grids.interpolation import interpolate
from ocdl.hjb.verification import kinks, residual, two_sided, verified
from ocdl.hjb.verification.mollified import refined, slopes, smoothed, spline_weights


def plant(terminal, dynamics=lambda u: u, initial=(0.3,), box=1.0, **more):
    return ocdl.ControlProblem(
        dynamics=dynamics, initial=list(initial), horizon=0.5, terminal=terminal, bounds=ocdl.Box(u=(-box, box)), **more
    )


def table(problem, exact, nodes, reach=1.5):
    """V(x, τ) on a grid of [−reach, reach]^D, with steps of a cell at speed 2."""
    axes = (np.linspace(-reach, reach, nodes),) * problem.n
    t = np.linspace(0.0, problem.span, nodes // 4 + 1)
    x = np.meshgrid(*axes, indexing="ij")
    return ValueFunction(problem, StateGrid(axes), t, np.array([exact(*x, problem.span - now) for now in t]))


def two_wells(x):
    return (x[0] ** 2 - 1) ** 2 / 4


def by_wells(x, tau):
    """ẋ = u: each side goes to its own well, V = ℓ(|x| ± τ), with the kink 2 τ (τ² − 1) < 0 on x = 0."""
    far = np.abs(x)
    return (np.where(far < 1, np.minimum(far + tau, 1), np.maximum(far - tau, 1)) ** 2 - 1) ** 2 / 4


WELLS = plant(two_wells)
MODULUS = plant(lambda x: ca.fabs(x[0]))
QUADRATIC = plant(lambda x: 0.5 * x[0] ** 2, running=lambda u: 0.5 * u[0] ** 2, box=5.0)


def riccati(x, tau):
    """½ x²/(1 + τ)."""
    return 0.5 * x**2 / (1.0 + tau)


# -- the residual ------------------------------------------------------------------------------------


def test_the_residual_of_a_smooth_v_is_of_second_order():
    found = [residual(table(QUADRATIC, riccati, nodes)) for nodes in (41, 81, 161)]
    assert all(field.proven and bool(field.regular.all()) for field in found)
    assert np.all(np.log2([a.largest / b.largest for a, b in pairwise(found)]) > 1.8)


def test_across_kinks_the_residual_is_of_second_order_in_the_mean_and_of_first_beside_them():
    found = [residual(table(WELLS, by_wells, nodes)) for nodes in (81, 161, 321)]
    pairs = list(pairwise(found))
    assert all(
        a.mean / b.mean > 3.5 and 1.8 < a.largest / b.largest < 2.5 for a, b in pairs
    )  # V'' jumps at |x| ± τ = 1
    assert all(not field.regular.sel(f0=0.0, t=0.0) and field.regular.sel(f0=0.75, t=0.0) for field in found)


def test_at_points_it_is_that_of_the_interpolated_v():
    value = table(QUADRATIC, riccati, 81)
    x, t = np.array([[-0.7], [0.11], [1.2]]), np.array([0.11, 0.21, 0.43])
    found = residual(value, x, t)
    ends = [np.array([now - 1e-5, now + 1e-5]) for now in t]
    rates = [np.diff(value.at(np.repeat(at[None], 2, axis=0), end))[0] / 2e-5 for at, end in zip(x, ends, strict=True)]
    assert found.field.values == pytest.approx(rates - 0.5 * value.slope(x, t)[:, 0] ** 2, abs=1e-8)
    assert found.largest < 1e-4 and found.field["f0"].values.tolist() == x[:, 0].tolist()


def test_a_wrong_v_has_the_residual_that_it_should():
    """V + x² t instead: ∂_t gives x², and −½ |∇V|² the rest."""
    value = table(QUADRATIC, lambda x, tau: riccati(x, tau) + x**2 * (0.5 - tau), 81)
    x, t = value.grid.axes[0], value.t[:, None]
    exact = 0.5 * (x / (1.5 - t)) ** 2 + x**2 - 0.5 * (x / (1.5 - t) + 2 * x * t) ** 2
    assert residual(value).field.values == pytest.approx(exact, abs=2e-3)


def test_too_few_depths_are_refused():
    value = table(QUADRATIC, riccati, 41)
    short = ValueFunction(QUADRATIC, value.grid, value.t[[0, -1]], value.values[[0, -1]])
    with pytest.raises(ocdl.InvalidInput, match="at least 3 depths; got 2"):
        residual(short)


# -- kinks -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("drift", [0.0, 0.5])
def test_a_concave_kink_is_found_where_it_is_with_the_jump_it_has(drift):
    problem = plant(two_wells, lambda u: drift + u)
    value = table(problem, lambda x, tau: by_wells(x + drift * tau, tau), 161, reach=1.6)
    found, tau = kinks(value), 0.5 - kinks(value).places[0]
    assert len(set(tau)) > 30 and np.all(found.concave) and not np.any(found.violated)
    assert np.all(np.abs(found.places[1][:, 0] + drift * tau) <= 0.5 * value.grid.spacing + 1e-12)
    assert found.jump == pytest.approx(2 * tau * (tau**2 - 1), abs=35 * value.grid.spacing[0] ** 2)
    assert found.finding.applies and "0 convex" in found.finding.says


def test_in_the_plane_too_where_the_kink_moves_aslant():
    """ẍ = u, |u| ≤ 4: V = by_wells of x₁ + τ x₂ with 2 τ² for τ, and its kink lies on x₁ + τ x₂ = 0."""
    problem = plant(two_wells, lambda x, u: ca.vertcat(x[1], u[0]), (0.2, 0.1), 4.0)
    value = table(problem, lambda x, y, tau: by_wells(x + tau * y, 2 * tau**2), 121, reach=2.0)
    found, (t, x) = kinks(value), kinks(value).places
    assert found.count > 100 and np.all(found.concave) and found.finding.applies
    assert np.all(np.abs(x[:, 0] + (0.5 - t) * x[:, 1]) <= 0.5 * value.grid.spacing[0] + 1e-12)


def test_a_neuron_at_rest_at_the_kink_of_its_law():
    """ReLU, a = 0, |b| ≤ 1: f e^τ or f e^{−τ} is the farthest, and V = ½ (2 − it)² bends by −4 sinh τ at f = 0."""
    value = ValueIteration(nodes=161, domain=(-1, 2)).value_function(
        selection([0.3], 2.0, activation=ocdl.ReLU(), a=(0, 0))
    )
    found, (t, x) = kinks(value), kinks(value).places
    assert found.count == 16 and np.all(x == 0.0) and found.jump == pytest.approx(-4 * np.sinh(1 - t), abs=1e-7)
    assert found.finding.applies


def test_jumps_of_the_second_derivative_are_no_kinks():
    """One neuron of tanh: V = ½ dist² of a reachable interval, once differentiable."""
    value = ValueIteration(nodes=161, domain=(-3, 3)).value_function(selection([0.3], 1.2))
    assert kinks(value).count == 0 and kinks(value).finding.applies
    assert bool(residual(value).regular.all())


def test_two_branches_meet_in_a_concave_kink():
    """The first neuron makes its excursion upwards or downwards: V bends on f₁ = 0."""
    problem = selection([0.02, -0.5], [0.0, 1.2])
    found = kinks(ValueIteration(nodes=61, domain=(-2.4, 2.4)).value_function(problem))
    assert found.count > 50 and np.all(found.concave) and not np.any(found.violated)
    assert np.all(found.axis == 0) and np.all(found.places[1][:, 0] == 0.0)


def test_a_planted_convex_kink_is_no_viscosity_solution():
    """|x| − τ solves ∂_tV = |∇V| almost everywhere, with |x| at T; between the slopes ∓1 it is 1 too large at 0."""
    value = table(MODULUS, lambda x, tau: np.abs(x) - tau, 81)
    found = kinks(value)
    assert found.count == np.sum(0.5 - value.t >= 4 * value.grid.spacing[0] - 1e-6) > 10
    assert np.all(~found.concave) and np.all(found.violated)
    assert found.margin == pytest.approx(-1.0) and not found.finding.applies
    assert "convex kinks" in found.finding.says
    assert float(np.abs(residual(found.value).field).where(residual(found.value).regular).max()) < 1e-12


def test_a_convex_kink_of_the_loss_may_be_carried_along():
    """max(|x| − τ, 0) is V: H is affine between its slopes."""
    found = kinks(table(MODULUS, lambda x, tau: np.maximum(np.abs(x) - tau, 0.0), 161))
    assert found.count > 40 and np.all(~found.concave) and not np.any(found.violated) and found.finding.applies
    assert set(found.dataset.data_vars) >= {"t", "f0", "axis", "jump", "concave", "margin", "open", "violated"}


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("side", "sign"), [(np.minimum, 1.0), (np.maximum, -1.0)])
def test_of_two_solutions_the_minimum_is_one_and_the_maximum_is_none(side, sign, seed):
    """½ (x − c)²/(1 + τ) + k solve ∂_tV = ½ |∇V|². Between slopes Δ apart q_t + H is Δ²/8 at the most: ≥ 0 as it must
    be for a minimum, not ≤ 0 as it must for a maximum.
    """
    generator = np.random.default_rng(seed)
    c, k = np.array([-1.0, 1.0]) * generator.uniform(0.5, 1.0, 2), generator.uniform(-0.2, 0.2, 2)
    value = table(QUADRATIC, lambda x, tau: side(*(riccati(x - c[i], tau) + k[i] for i in (0, 1))), 161)
    found = kinks(value)
    steep = (c[1] - c[0]) / (1.5 - found.places[0])
    assert found.count > 30 and np.all(found.concave == (sign > 0)) and np.all(found.violated == (sign < 0))
    assert found.jump == pytest.approx(-sign * steep, rel=0.02)
    apart = found.after[:, 1] - found.before[:, 1]
    assert found.test[:, found.test.shape[1] // 2] == pytest.approx(apart**2 / 8, abs=0.01 * steep.max() ** 2)
    assert found.finding.applies == (sign > 0)


# -- bounds on both sides ----------------------------------------------------------------------------


def test_quadratic_splines_keep_lines_and_agree_with_their_formulas():
    nodes, generator = np.linspace(-1.0, 2.0, 13), np.random.default_rng(4)
    values, at = generator.standard_normal(13), refined(nodes)
    weights = [spline_weights(nodes, at)]
    assert interpolate(values, weights) == pytest.approx(smoothed(values, 0), abs=1e-13)
    assert interpolate(values, weights, 0) == pytest.approx(slopes(values, nodes[1] - nodes[0], 0), abs=1e-12)
    between = np.linspace(-1.0, 2.0, 57)
    assert interpolate(3.0 - 2.0 * nodes, [spline_weights(nodes, between)]) == pytest.approx(3.0 - 2.0 * between)


PLACES = np.linspace(-0.8, 0.8, 9)[:, None]


@pytest.mark.parametrize("seed", range(6))
def test_v_lies_between_the_bounds_whatever_is_wrong_with_the_table(seed):
    generator = np.random.default_rng(seed)
    size, wave, phase = generator.uniform(0.1, 0.3), generator.uniform(1, 6), generator.uniform(0, 6, 2)
    value = table(WELLS, lambda x, tau: by_wells(x, tau) + size * np.sin(wave * x + phase[0]) * np.cos(3 * tau), 61)
    found, exact = two_sided(value, PLACES, region=(-1.3, 1.3), steps=8), by_wells(PLACES[:, 0], 0.5)
    assert np.all(found["lower"] <= exact) and np.all(exact <= found["upper"] + 1e-9) and found.attrs["proven"]
    assert np.any(np.abs(found["value"] - exact) > 5e-3)


def test_kinks_do_the_bounds_no_harm():
    gaps = []
    for nodes in (41, 81, 161):
        found = two_sided(table(WELLS, by_wells, nodes), PLACES, region=(-1.3, 1.3), steps=8)
        assert np.all(found["lower"] <= by_wells(PLACES[:, 0], 0.5)) and np.all(
            found["upper"] >= by_wells(PLACES[:, 0], 0.5) - 1e-9
        )
        gaps.append(float((found["upper"] - found["lower"]).max()))
    assert gaps[0] / gaps[1] > 1.9 and gaps[1] / gaps[2] > 1.9


def test_one_neuron_between_its_bounds():
    value = ValueIteration(nodes=161, domain=(-3, 3)).value_function(selection([0.3], 1.2))
    at = np.array([-0.5, 0.0, 0.3, 0.9])
    found, exact = two_sided(value, at[:, None], steps=16), one_neuron_value(at, 1.2, ocdl.Tanh(), (-1, 1), (-1, 1))
    assert np.all(found["lower"] <= exact) and np.all(exact <= found["upper"] + 1e-9)
    assert float((found["upper"] - found["lower"]).max()) < 0.03


def test_a_running_cost_too_and_from_any_depth():
    found = two_sided(table(QUADRATIC, riccati, 81, reach=4.0), PLACES, 0.25, steps=16)
    exact = riccati(PLACES[:, 0], 0.25)
    assert np.all(found["lower"] <= exact) and np.all(exact <= found["upper"])
    assert float((found["upper"] - found["lower"]).max()) < 0.02


def test_a_table_that_does_not_hold_the_flow_bounds_nothing():
    with pytest.raises(ocdl.InvalidInput, match=r"two_sided: states between .* ask ValueIteration for a larger domain"):
        two_sided(table(WELLS, by_wells, 81), [[1.4]])
    with pytest.raises(ocdl.InvalidInput, match=r"region=.*got shape \(3,\)"):
        two_sided(table(WELLS, by_wells, 81), [[0.0]], region=[0, 1, 2])
    assert two_sided(table(WELLS, by_wells, 81), [[1.4]], region=(0.9, 1.5))["lower"] <= by_wells(1.4, 0.5)


def test_bounded_states_are_refused():
    problem = ocdl.ControlProblem(
        dynamics=lambda u: u, initial=[0.3], horizon=0.5, terminal=two_wells, bounds=ocdl.Box(u=(-1, 1), x=(-0.6, 0.6))
    )
    value = ValueIteration(nodes=41, steps=16).value_function(problem)
    with pytest.raises(ocdl.NotSupported, match="the states are bounded"):
        two_sided(value, [[0.0]])
    assert residual(value).mean < 0.05


# -- the theorem -------------------------------------------------------------------------------------


def test_beside_the_kink_the_feedback_is_optimal_and_on_it_the_theorem_says_nothing():
    value = table(WELLS, by_wells, 161)
    beside, on = (verified(value, x, region=(-0.8, 0.8), steps=16) for x in ([0.3], [0.0]))
    assert beside.finding.applies and "optimal" in beside.finding.says
    assert beside.cost - by_wells(0.3, 0.5) <= beside.suboptimality < 4e-3
    assert on.finding.failing[0].statement.startswith("V is differentiable")
    assert on.cost == pytest.approx(by_wells(0.0, 0.5), abs=1e-4)  # and still it is: both sides are


def test_a_wrong_table_is_not_verified_but_its_feedback_is_bounded():
    """|x| − τ from 0: nothing costs less than 0, and to stay there costs 0."""
    found = verified(table(MODULUS, lambda x, tau: np.abs(x) - tau, 81), [0.0], region=(-0.5, 0.5), steps=8)
    assert not found.finding.applies and found.value == pytest.approx(-0.5)
    assert found.cost - found.value == pytest.approx(0.5) and found.suboptimality >= found.cost
    wrong = table(WELLS, lambda x, tau: by_wells(x, tau) + 0.3 * tau, 161)
    found = verified(wrong, region=(-0.2, 0.8), steps=32)
    assert [one.statement for one in found.finding.failing] == ["∂_tV + H = 0 on the way: −∫ |∂_tV + H| dt"]
    assert found.along == pytest.approx(0.15, abs=5e-3) and "says nothing" not in repr(found)
    assert found.defect == pytest.approx(-0.15, abs=2e-3)


def test_two_neurons_are_bounded_by_the_better_of_two_arguments():
    value = ValueIteration(nodes=61, domain=(-2.4, 2.4)).value_function(selection([0.02, -0.5], [0.0, 1.2]))
    found = verified(value, steps=32)
    assert float(two_sided(value, [[0.02, -0.5]])["lower"][0]) < found.lower <= 0.18427 <= found.cost
    assert found.suboptimality < 0.003
