"""The linear-quadratic game: its Riccati equation by hand, against best responses, and below the critical γ."""

import numpy as np
import pytest

import ocdl
from ocdl.analysis import LinearQuadraticGame

PLANT = {"A": [[0.0, 1.0], [-1.0, -0.5]], "B": [[0.0], [1.0]], "D": [[0.3], [0.6]], "Q": np.diag([1.0, 0.0])}
PLANT |= {"R": 0.5, "F": np.diag([2.0, 1.0]), "horizon": 1.5}
X0 = np.array([1.0, -0.4])


def scalar(gamma, r=1.0, f=1.0, horizon=1.0):
    return LinearQuadraticGame(A=0.0, B=1.0, D=1.0, Q=0.0, R=r, F=f, horizon=horizon, gamma=gamma)


def stated(gamma):
    """The same game as a problem of two controls."""
    A, B, D, Q, F = (np.atleast_2d(PLANT[name]) for name in "ABDQF")
    return ocdl.ControlProblem(
        dynamics=lambda x, u: A @ x + B @ u[0] + D @ u[1],
        initial=X0,
        horizon=PLANT["horizon"],
        running=lambda x: 0.5 * x.T @ Q @ x,
        effort=lambda u: 0.5 * (PLANT["R"] * u[0] ** 2 - gamma**2 * u[1] ** 2),
        terminal=lambda x: 0.5 * x.T @ F @ x,
        controls=["u", "w"],
    )


@pytest.mark.parametrize(("gamma", "r", "f", "horizon"), [(2.0, 1.0, 1.0, 1.0), (1.0, 0.5, 3.0, 0.7)])
def test_the_scalar_game_by_hand(gamma, r, f, horizon):
    """P(t) = f/(1 + f (1/r − 1/γ²)(T − t)), and γ* = (1/r + 1/(fT))^{−½}."""
    game = scalar(gamma, r, f, horizon)
    t, P = game.riccati()
    np.testing.assert_allclose(P[:, 0, 0], f / (1.0 + f * (1.0 / r - gamma**-2) * (horizon - t)), rtol=1e-12)
    assert game.critical() == pytest.approx((1.0 / r + 1.0 / (f * horizon)) ** -0.5, rel=2e-6)
    assert game.value([2.0]) == pytest.approx(2.0 * P[0, 0, 0])


def test_a_double_pole_is_seen():
    one, nothing = np.eye(2), np.zeros((2, 2))
    twice = LinearQuadraticGame(A=nothing, B=one, D=one, Q=nothing, R=one, F=one, horizon=1.0, gamma=2.0)
    assert twice.critical() == pytest.approx(0.5**0.5, rel=2e-6)


def test_no_saddle_below_the_critical_price():
    with pytest.raises(ocdl.NotSupported, match=r"gamma=0.6\): there is no saddle.*gamma above 0.707107 is needed"):
        scalar(0.6).value([1.0])
    with pytest.raises(ocdl.SolveFailed, match="no best response of the maximisers"):
        ocdl.saddle(stated(0.1), ocdl.Kutta4(8), ["w"])


@pytest.mark.parametrize("gamma", [2.0, 4.0])
def test_best_responses_meet_at_the_value_of_riccati(gamma):
    """By Kutta's method with constant controls in a layer the value of the game is met to second order."""
    value, errors = LinearQuadraticGame(**PLANT, gamma=gamma).value(X0), []
    for layers in (8, 16):
        found = ocdl.saddle(stated(gamma), ocdl.Kutta4(layers), ["w"], tolerance=1e-8)
        assert -1e-12 <= found.gap <= 2e-8 and found.lower - 1e-12 <= found.value <= found.upper + 1e-12
        assert np.all(found.history[:, 1] >= found.history[:, 0])
        errors.append(abs(found.value - value))
    assert np.log2(errors[0] / errors[1]) == pytest.approx(2.0, abs=0.1) and errors[1] < 2e-3


def test_the_saddle_is_that_of_the_feedbacks():
    gamma, layers = 2.0, 40
    found = ocdl.saddle(stated(gamma), ocdl.Kutta4(layers), ["w"], tolerance=1e-9)
    game = LinearQuadraticGame(**PLANT, gamma=gamma)
    t, P = game.riccati()
    x, h, gains = X0, t[1], []
    for k in range(t.size - 1):
        K = np.concatenate([-np.linalg.solve(game.R, game.B.T @ P[k]), game.D.T @ P[k] / gamma**2])
        gains.append(K @ x)
        x = x + h * (game.A @ x + np.hstack([game.B, game.D]) @ gains[-1])
    middle = np.mean(np.reshape(gains, (layers, -1, 2)), axis=1)
    np.testing.assert_allclose(found.u, middle, atol=0.02)


@pytest.mark.parametrize("maximisers", [["v"], [], ["u", "w"], "w"])
def test_bad_sides_are_named(maximisers):
    with pytest.raises(ocdl.InvalidInput, match=r"some, not all, of the controls 'u', 'w' is needed"):
        ocdl.saddle(stated(2.0), ocdl.Kutta4(4), maximisers)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"R": -1.0}, "positive definite"),
        ({"gamma": 0.0}, "gamma=0.0"),
        ({"horizon": np.inf}, "horizon=inf"),
        ({"D": [[1.0]]}, r"D=...\): \(2, 1\) is needed"),
        ({"Q": [[0.0, 1.0], [0.0, 0.0]]}, "symmetric"),
    ],
)
def test_bad_games_are_named(change, said):
    with pytest.raises(ocdl.InvalidInput, match=said):
        LinearQuadraticGame(**PLANT | {"gamma": 2.0} | change)
