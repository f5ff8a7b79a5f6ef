"""The worst changes of initial states: by eigenvalues where costs are quadratic, by ascent elsewhere."""

import numpy as np
import pytest

import ocdl
from ocdl.solving.adversary import Perturbed, _in_ball
from ocdl.sweeps.sweeper import Sweeper

A = np.array([[0.2, 1.0], [-1.0, -0.3]])
DEPTH = ocdl.Kutta4(layers=5)


def quadratic(curvature=1.0, samples=3):
    """ẋ = Ax + (0, u), J = ½ x(1)ᵀ diag(1, curvature) x(1) + ∫ ½ x₁² dt."""
    return ocdl.ControlProblem(
        dynamics=lambda x, u: [A[0, 0] * x[0] + A[0, 1] * x[1], A[1, 0] * x[0] + A[1, 1] * x[1] + u[0]],
        initial=np.random.default_rng(0).standard_normal((samples, 2)),
        horizon=1.0,
        terminal=lambda x: 0.5 * (x[0] ** 2 + curvature * x[1] ** 2),
        running=lambda x: 0.5 * x[0] ** 2,
        effort=lambda u: 0.5 * u[0] ** 2,
    )


def perturbed(problem, ball, depth=DEPTH, value=0.3):
    u = np.full((depth.control_rows, problem.m), value)
    return Perturbed(Sweeper(problem, depth), u, np.zeros(0), ball)


def circle(target, count=2000):
    """The largest J of each sample on the boundary and in the middle, by looking."""
    angle = np.linspace(0.0, 2.0 * np.pi, count, endpoint=False)
    ring = target.ball.radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    S = target.problem.samples
    rows = np.repeat(np.arange(S), count)
    return target.costs(rows, np.tile(ring, (S, 1))).reshape(S, count).max(axis=1)


@pytest.mark.parametrize("curvature", [1.0, -3.0])
def test_the_quadratic_maximum_is_exact_and_bounded(curvature):
    target = perturbed(quadratic(curvature), ocdl.Ball(0.5))
    found = ocdl.TrustRegion().worst(target)
    np.testing.assert_allclose(found.costs, found.bounds, rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(found.costs, circle(target), rtol=1e-5)
    assert np.all(found.costs >= circle(target) - 1e-12)
    np.testing.assert_allclose(ocdl.Ascent().worst(target).costs, found.costs, rtol=1e-6)


def test_costs_and_slopes_are_those_of_single_samples():
    problem, rows = quadratic(), np.array([2, 0])
    target = perturbed(problem, ocdl.Ball(0.5))
    change = np.array([[0.1, -0.2], [0.3, 0.1]])
    costs, slopes = target.slopes(rows, change)
    for k, row in enumerate(rows):
        alone = ocdl.ControlProblem(
            **{name: getattr(problem, name) for name in ("dynamics", "horizon", "terminal", "running")},
            initial=problem.x0[row] + change[k],
        )
        assert Sweeper(alone, DEPTH).integral(target.u, target.p)[1] == pytest.approx(costs[k], rel=1e-13)
    step = 1e-5 * np.eye(2)
    for i in range(2):
        difference = (target.costs(rows, change + step[i]) - target.costs(rows, change - step[i])) / 2e-5
        np.testing.assert_allclose(slopes[:, i], difference, rtol=1e-7)


def test_the_hard_case_goes_to_the_boundary():
    H = np.diag([1.0, 2.0])
    delta, gain = _in_ball(np.array([0.5, 0.0]), H, 1.0)  # g is normal to the top eigenvector: ν = 2, δ = (½, ±√¾)
    assert np.abs(delta) == pytest.approx([0.5, np.sqrt(0.75)], abs=1e-12)
    assert gain == pytest.approx(0.25 + 0.5 * 0.25 + 0.75, abs=1e-12)
    delta, gain = _in_ball(np.array([0.1, 0.0]), -H, 1.0)  # the maximum is inside
    assert delta == pytest.approx([0.1, 0.0]) and gain == pytest.approx(0.005)
    delta, gain = _in_ball(np.zeros(2), np.zeros((2, 2)), 1.0)
    assert gain == 0.0 and np.linalg.norm(delta) <= 1.0


@pytest.mark.parametrize("norm", [2, np.inf])
def test_ascent_is_exact_where_the_cost_is_affine(norm):
    problem = ocdl.ControlProblem(
        dynamics=lambda x, u: [x[1], u[0]], initial=[[0.0, 0.0], [1.0, 2.0]], horizon=1.0, terminal=lambda x: x[0]
    )
    target = perturbed(problem, ocdl.Ball(0.5, norm), ocdl.ExplicitEuler(4))
    found = ocdl.Ascent(iterations=3).worst(target)
    gain = 0.5 * (np.sqrt(2.0) if norm == 2 else 2.0)  # J = x₁ + x₂ + …: Δ times the dual norm of (1, 1)
    np.testing.assert_allclose(found.costs - target.costs(target.samples, np.zeros((2, 2))), gain, rtol=1e-12)


def test_what_is_not_quadratic_is_refused():
    problem = ocdl.ControlProblem(dynamics=lambda x, u: u[0] * x**3, initial=[0.5], horizon=1.0, terminal=lambda x: x)
    with pytest.raises(ocdl.NotSupported, match="not quadratic"):
        ocdl.TrustRegion().worst(perturbed(problem, ocdl.Ball(0.5)))
    with pytest.raises(ocdl.NotSupported, match="another norm"):
        ocdl.TrustRegion().worst(perturbed(quadratic(), ocdl.Ball(0.5, np.inf)))


@pytest.mark.parametrize("given", [{"iterations": -1}, {"starts": 0}, {"seed": 0.5}])
def test_bad_ascents_are_named(given):
    (name,) = given
    with pytest.raises(ocdl.InvalidInput, match=rf"Ascent\({name}="):
        ocdl.Ascent(**given)
