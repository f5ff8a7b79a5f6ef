"""The second-order equation: a chain that is consistent and monotone, closed forms and orders, simulated costs."""

from dataclasses import replace

import casadi as ca
import numpy as np
import pytest
import scipy.integrate
from scipy.stats import norm

import ocdl
from ocdl.hjb.diffusion import chain as chains
from ocdl.hjb.diffusion.chain import Chain
from ocdl.hjb.diffusion.coefficients import Coefficients
from ocdl.hjb.diffusion.nodes import Nodes
from ocdl.hjb.diffusion.policy import improved
from ocdl.hjb.diffusion.selling import decomposed

STRETCHED = np.array([[1.0, 0.0], [0.9 * 3.0, np.sqrt(1.0 - 0.9**2) * 3.0]])  # σσᵀ has no dominant diagonal


def stated(**fields):
    """A scalar regulator, with whatever else is given."""
    usual = {
        "states": ["x"],
        "controls": ["u"],
        "dynamics": lambda u: u,
        "noise": 0.5,
        "running": lambda x, u: x**2 + u**2,
        "terminal": lambda x: x**2 / 2,
        "initial": [1.0],
        "horizon": 1.0,
        "bounds": ocdl.Box(u=(-6, 6)),
    }
    return ocdl.ControlProblem(**{**usual, **fields})


def value(problem, box, nodes, steps):
    return ocdl.StochasticValueIteration(box=box, nodes=nodes, steps=steps).value_function(problem)


def riccati(A, B, Q, R, F, D, k, T, C=None):
    """P(0) and r(0) of V = xᵀPx + r: −Ṗ = Q + AᵀP + PA − PBR⁻¹BᵀP + 2k PDP + CᵀPC, −ṙ = tr DP; noise √D and Cx."""
    n = len(A)
    C = np.zeros((n, n)) if C is None else C

    def rate(_, y):
        P = y[:-1].reshape(n, n)
        dP = Q + A.T @ P + P @ A - P @ B @ np.linalg.solve(R, B.T @ P) + 2.0 * k * P @ D @ P + C.T @ P @ C
        return np.append(dP, np.trace(D @ P))

    y = scipy.integrate.solve_ivp(rate, (0.0, T), np.append(F.ravel(), 0.0), rtol=1e-11, atol=1e-12).y[:, -1]
    return y[:-1].reshape(n, n), y[-1]


def scalar(*, noise=0.5, k=0.0, C=0.0, F=0.5, a=0.0):
    """V(x) at t = 0 of the scalar regulator, by its Riccati equation."""
    one = np.eye(1)
    P, r = riccati(a * one, one, one, one, F * one, noise**2 * one, k, 1.0, C * one)
    return lambda x: float(P[0, 0]) * x**2 + r


# -- the chain ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 2, 3])
def test_selling_writes_a_matrix_as_a_sum_of_squares_of_whole_vectors(n):
    root = np.random.default_rng(n).normal(size=(300, n, n))
    M = root @ root.transpose(0, 2, 1)
    w, offsets, far = decomposed(M, 12)
    assert w.shape == (300, n * (n + 1) // 2)
    assert w.min() >= 0.0 and far.mean() < 0.05
    found = np.einsum("qk,qki,qkj->qij", w, offsets, offsets)
    assert np.abs(found - M)[~far].max() < 1e-9 * np.abs(M).max()
    added = (found - M)[far]
    assert np.all(np.abs(added - np.einsum("qii,jk->qjk", M[far], np.eye(n)) / 12**2) < 1e-9)


def test_what_has_a_dominant_diagonal_moves_to_nearest_nodes_and_one_direction_reaches_along_it():
    _, offsets, _ = decomposed(np.array([[[2.0, -0.7], [-0.7, 1.0]]]), 4)
    assert np.abs(offsets).max() == 1
    w, offsets, far = decomposed(np.array([[[1.0, 2.0], [2.0, 4.0]]]), 4)  # along (1, 2)
    assert not far[0]
    assert [tuple(np.abs(xi)) for xi in offsets[w > 1e-12]] == [(1, 2)]


def chain_of(problem, low=-1.0, high=1.0, shape=(9, 9), k=0.0):
    n = len(shape)
    return Chain(Coefficients(problem), Nodes(np.full(n, low), np.full(n, high), shape), k)


def driven(sigma, drift):
    n = len(drift)
    return ocdl.ControlProblem(
        dynamics=lambda u: [speed + u[0] for speed in drift],
        noise=sigma,
        initial=np.zeros(n),
        horizon=1.0,
        bounds=ocdl.Box(u=(-1, 1)),
        terminal=lambda x: ca.sumsqr(x),
    )


CHAINS = {
    "1": driven([[0.7]], [0.4]),
    "1, drift wins": driven([[0.05]], [0.4]),
    "1, silent at 0": driven(lambda x: x, [0.4]),
    "2, stretched": driven(STRETCHED, [0.3, -0.8]),
    "2, one process": driven([[1.0], [1.0]], [0.3, 2.0]),
    "2, along √2": driven([[1.0], [np.sqrt(2.0)]], [0.3, 2.0]),
    "2, thin": driven([[1.0, 0.0], [0.99, 0.14]], [0.6, -0.9]),
    "2, in one state": driven([[0.0], [1.0]], [1.0, -0.2]),
    "3": driven(np.array([[1.0, 0.2, 0.0], [-0.6, 0.5, 0.1], [0.4, 0.4, 0.8]]), [0.2, -0.1, 0.4]),
}


@pytest.mark.parametrize("name", CHAINS)
def test_the_chain_moves_as_the_process_does_and_is_monotone(name):
    problem = CHAINS[name]
    n = problem.n
    chain = chain_of(problem, shape=(9,) * n)
    u = np.full((chain.nodes.size, 1), 0.25)
    moves = chain.moves(0.0, u, np.zeros(chain.nodes.size))
    middle = chain.nodes.size // 2
    leaps = chain.nodes.states[moves.targets[middle]] - chain.nodes.states[middle]
    phi, sigma, _ = (part[0] for part in chain.coefficients(0.0, np.zeros((1, n)), u[:1]))
    rates = moves.rates[middle]
    assert rates @ leaps == pytest.approx(phi)
    spread = np.einsum("j,ji,jk->ik", rates, leaps, leaps) - sigma @ sigma.T
    assert np.allclose(spread, np.diag(np.diag(spread)))  # upwind differences add to the variance of single states
    rounder = chain.rounder * n * np.trace(sigma @ sigma.T) / chain.reach**2
    assert np.trace(spread) <= np.abs(phi) @ chain.nodes.spacing + rounder + 1e-12
    assert moves.rates.min() >= -1e-12 * moves.rates.max()
    low = np.random.default_rng(3).normal(size=chain.nodes.size)
    high = low + np.random.default_rng(4).uniform(0.0, 1.0, low.size) ** 8
    assert np.all(moves.step(low, 0.3) <= moves.step(high, 0.3) + 1e-9)


def test_a_stencil_that_is_not_monotone_is_refused(monkeypatch):
    def nine_points(M, reach):
        cross = M[:, 0, 1]
        w = np.stack([M[:, 0, 0] - cross, M[:, 1, 1] - cross, cross], axis=1)
        offsets = np.tile(np.array([[1, 0], [0, 1], [1, 1]]), (len(M), 1, 1))
        assert np.allclose(np.einsum("qk,qki,qkj->qij", w, offsets, offsets), M)  # consistent, and yet
        return w, offsets, np.zeros(len(M), dtype=bool)

    monkeypatch.setattr(chains, "decomposed", nine_points)
    with pytest.raises(ocdl.SolveFailed, match="not monotone"):
        value(CHAINS["2, stretched"], (-1, 1), 9, 4)


def test_an_irrational_direction_is_within_the_error():
    """E |X_T|² = |x|² + tr(σσᵀ) T, where nodes err by what is made rounder alone."""
    sigma = [[0.4], [0.4 * np.sqrt(2.0)]]
    levels = [value(replace(driven(sigma, [0.0, 0.0]), bounds=ocdl.Box(u=(0, 0))), (-3, 3), n, 4) for n in (21, 41)]
    errors = [float(one([0.0, 0.0])) - 0.48 for one in levels]
    assert errors[0] / errors[1] == pytest.approx(2.0, abs=0.1)
    assert 0.0 < errors[1] <= levels[1].error([0.0, 0.0]) * (1.0 + 1e-6)


def test_an_irrational_direction_is_made_rounder_and_said():
    found = value(driven([[1.0], [np.sqrt(2.0)]], [0.0, 0.0]), (-2, 2), 11, 2)
    assert found.rounder == 1.0
    assert value(CHAINS["2, one process"], (-2, 2), 11, 2).rounder == 0.0


@pytest.mark.parametrize("curvature", [2.0, 0.0, -3.0])
def test_policies_are_exact_for_what_is_quadratic_in_single_controls(curvature):
    draw = np.random.default_rng(5)
    slope, low, high = draw.normal(size=(40, 2)), np.array([-1.0, -2.0]), np.array([1.0, 0.5])

    def H(u):
        return np.sum(0.5 * curvature * u**2 + slope * u, axis=1)

    ends = np.where(H_at(low, curvature, slope) < H_at(high, curvature, slope), low, high)
    exact = np.clip(-slope / curvature, low, high) if curvature > 0.0 else ends
    found, least = improved(H, np.zeros((40, 2)), low, high, True)
    assert np.allclose(found, exact, atol=2e-5) and np.array_equal(least, H(found))


def H_at(u, curvature, slope):
    return 0.5 * curvature * u**2 + slope * u


# -- closed forms and orders ----------------------------------------------------------------------------------


def test_a_linear_quadratic_problem_is_of_first_order_in_steps():
    exact = scalar()(1.0)
    errors = [abs(float(value(stated(), (-4, 4), 51, steps)([1.0])) - exact) for steps in (8, 16, 32)]
    assert np.log2(errors[0] / errors[1]) == pytest.approx(1.0, abs=0.05)
    assert np.log2(errors[1] / errors[2]) == pytest.approx(1.0, abs=0.05)
    found = value(stated(), (-4, 4), 81, 32)
    assert errors[2] <= found.error([1.0]) < 2.0 * errors[2]
    assert found.gradient([1.0])[0] == pytest.approx(2.0 * (exact - scalar()(0.0)), rel=0.01)
    assert found.controls([1.0])[0] == pytest.approx(-(exact - scalar()(0.0)), rel=0.01)


def test_waves_are_of_second_order_in_nodes():
    """E cos is e^{−σ²T/2} cos, that of N implicit steps (1 + hσ²/2)^{−N} cos; it meets the reflecting edges at ±π."""
    problem = stated(noise=1.0, dynamics=[0.0], running=0.0, terminal=lambda x: ca.cos(x), bounds=ocdl.Box(u=(0, 0)))
    exact = 1.05**-10 * np.cos(0.4)
    errors = [abs(float(value(problem, (-np.pi, np.pi), n, 10)([0.4])) - exact) for n in (21, 41, 81)]
    orders = np.log2(errors[:-1]) - np.log2(errors[1:])
    assert orders == pytest.approx([2.0, 2.0], abs=0.15)


def test_the_hopf_cole_solution():
    """−V_t = ½V'' − ½V'²: e^{−V} solves the heat equation, here 1 + ½ e^{−t/2} cos."""
    problem = stated(noise=1.0, running=lambda u: u**2 / 2, terminal=lambda x: -ca.log(1.0 + ca.cos(x) / 2))
    exact = -np.log(1.0 + 0.5 * np.exp(-0.5) * np.cos(1.0))
    levels = [value(problem, (-np.pi, np.pi), n, steps) for n, steps in ((21, 8), (41, 32))]
    errors = [abs(float(one([1.0])) - exact) for one in levels]
    assert np.log2(errors[0] / errors[1]) == pytest.approx(2.0, abs=0.3)
    assert errors[1] <= levels[1].error([1.0])
    averse = replace_risk(problem, 1.0)  # (k/2)|V'|² takes the control's away: V = E ℓ
    averse = value(averse, (-np.pi, np.pi), 41, 32)
    draw = norm.ppf((np.arange(20000) + 0.5) / 20000)
    assert float(averse([1.0])) == pytest.approx(np.mean(-np.log(1.0 + np.cos(1.0 + draw) / 2)), abs=2e-3)


def replace_risk(problem, k):
    return replace(problem, risk=ocdl.Exponential(k))


def test_a_bang_bang_problem_is_a_reflected_motion():
    """|u| ≤ 1, min E X_T²: u = −sign X (Beneš 1975), and |X| is a Brownian motion with drift −1 reflected at 0."""
    x, t = 0.5, 1.0

    def density(y):
        root = np.sqrt(t)
        stream = norm.pdf((y - x + t) / root) / root + np.exp(2 * x) * norm.pdf((y + x + t) / root) / root
        return stream + 2.0 * np.exp(-2.0 * y) * norm.sf((x + y - t) / root)

    assert scipy.integrate.quad(density, 0.0, 20.0)[0] == pytest.approx(1.0, abs=1e-8)
    exact = scipy.integrate.quad(lambda y: y * y * density(y), 0.0, 20.0)[0]
    problem = stated(noise=1.0, running=None, terminal=lambda x: x**2, initial=[x], bounds=ocdl.Box(u=(-1, 1)))
    found = value(problem, (-5, 5), 101, 25)
    assert abs(float(found([x])) - exact) <= found.error([x]) < 0.01
    assert np.array_equal(found.controls([[x], [-x]])[0], [[-1.0], [1.0]])
    assert found.rollout(1000, seed=2).agrees


def test_noise_that_grows_with_the_state():
    """dx = (ax + u) dt + s x dW: −P' = 1 + 2aP − P² + s²P, V = P x²."""
    problem = stated(
        dynamics=lambda x, u: 0.3 * x + u, noise=lambda x: 0.6 * x, terminal=lambda x: x**2, bounds=ocdl.Box(u=(-9, 9))
    )
    exact = scalar(noise=0.0, C=0.6, F=1.0, a=0.3)(1.0)
    found = value(problem, (-5, 5), 81, 24)
    assert abs(float(found([1.0])) - exact) <= found.error([1.0]) < 0.03 * exact


def test_noise_of_the_control_makes_it_cautious():
    """dx = u dt + s u dW: −P' = 1 − P²/(1 + s²P), and u = −P x/(1 + s²P)."""
    P = scipy.integrate.solve_ivp(lambda _, y: 1.0 - y**2 / (1.0 + 0.64 * y), (0.0, 1.0), [0.5], rtol=1e-10).y[0, -1]
    found = value(stated(noise=lambda u: 0.8 * u), (-5, 5), 81, 30)
    assert abs(float(found([1.0])) - P) <= found.error([1.0]) < 0.03
    assert found.controls([1.0])[0] == pytest.approx(-P / (1.0 + 0.64 * P), rel=0.02)


def plane(rho, k):
    """An oscillator under correlated noise, and its V."""
    S = np.linalg.cholesky(0.3 * np.array([[1.0, rho], [rho, 1.0]]))
    problem = ocdl.ControlProblem(
        dynamics=lambda x, u: [x[1], -x[0] - 0.2 * x[1] + u[0]],
        noise=S,
        running=lambda x, u: ca.sumsqr(x) / 2 + u[0] ** 2,
        terminal=lambda x: ca.sumsqr(x) / 2,
        initial=[1.0, 0.0],
        horizon=1.0,
        bounds=ocdl.Box(u=(-5, 5)),
        risk=ocdl.Exponential(k) if k else None,
    )
    A, B, half = np.array([[0.0, 1.0], [-1.0, -0.2]]), np.array([[0.0], [1.0]]), 0.5 * np.eye(2)
    P, r = riccati(A, B, half, np.eye(1), half, S @ S.T, k, 1.0)
    return problem, P[0, 0] + r


@pytest.mark.parametrize(("rho", "k"), [(0.5, 0.0), (-0.8, 0.0), (0.5, 0.5), (0.5, -0.5)])
def test_two_states_with_correlated_noise_and_exponential_costs(rho, k):
    problem, exact = plane(rho, k)
    coarse, fine = (value(problem, (-4, 4), n, 6) for n in (17, 33))
    x = [1.0, 0.0]
    errors = [abs(float(one(x)) - exact) for one in (coarse, fine)]
    assert errors[1] < 0.5 * errors[0]
    assert errors[1] <= fine.error(x) < 0.25 * exact


def test_risk_is_worth_more_the_more_averse():
    found = {k: float(value(stated(risk=ocdl.Exponential(k)), (-4, 4), 61, 16)([1.0])) for k in (-1.0, 0.5, 1.0)}
    mean = float(value(stated(), (-4, 4), 61, 16)([1.0]))
    assert found[-1.0] < mean < found[0.5] < found[1.0]
    for k, one in found.items():
        assert one == pytest.approx(scalar(k=k)(1.0), rel=0.02)


def test_three_states():
    problem = ocdl.ControlProblem(
        dynamics=lambda x, u: [x[1], u[0], -x[2]],
        noise=0.4 * np.array([[1.0, 0.2, 0.0], [0.0, 1.0, 0.3], [0.0, 0.0, 1.0]]),
        terminal=lambda x: ca.sumsqr(x),
        running=lambda u: u[0] ** 2,
        initial=[0.5, 0.0, 0.5],
        horizon=0.5,
        bounds=ocdl.Box(u=(-3, 3)),
    )
    S = problem.evaluate("noise", **problem.symbols())
    D = np.array(ca.DM(S)) @ np.array(ca.DM(S)).T
    A, B = np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, -1.0]]), np.array([[0.0], [1.0], [0.0]])
    P, r = riccati(A, B, np.zeros((3, 3)), np.eye(1), np.eye(3), D, 0.0, 0.5)
    x = np.array([0.5, 0.0, 0.5])
    found = value(problem, (-2, 2), 11, 6)
    assert abs(float(found(x)) - (x @ P @ x + r)) <= found.error(x) < 0.4


def test_bounds_of_controls_that_depend_on_depth():
    """Where they meet, V is that of a schedule: dx = u(t) dt + σ dW costs E X_T² = (∫u)² + σ²T from 0."""

    def schedule(t):
        return 2.0 * t

    problem = stated(
        running=0.0, terminal=lambda x: x**2, initial=[0.0], noise=0.5, bounds=ocdl.Box(u=(schedule, schedule))
    )
    found = value(problem, (-5, 5), 101, 60)
    assert abs(float(found([0.0])) - 1.25) <= found.error([0.0]) < 0.05
    assert found.rollout(500, seed=4).agrees


# -- simulated costs ------------------------------------------------------------------------------------------


def test_rollouts_agree_with_v_and_tell_a_wrong_one():
    found = value(stated(), (-4, 4), 41, 20)
    run = found.rollout(1000, seed=1)
    assert run.agrees and run.left == 0.0 and run.costs.shape == (1000,)
    assert run.mean == pytest.approx(run.costs.mean()) and "agree" in repr(run)
    assert 0.5 < run.standard_error * np.sqrt(1000) / run.costs.std() < 2.0
    assert np.array_equal(run.costs, found.rollout(1000, seed=1).costs)
    assert not np.array_equal(run.costs, found.rollout(1000, seed=2).costs)
    assert not raised(found, 0.3).rollout(1000, seed=1).agrees


def raised(found, by):
    """V and its coarser ones too high."""
    return replace(found, values=found.values + by, coarser=lambda which: raised(found.coarser(which), by))


def test_noise_that_is_left_out_would_be_seen():
    loud, quiet = (value(stated(noise=s), (-4, 4), 41, 20) for s in (0.8, 0.4))
    assert float(loud([1.0])) - float(quiet([1.0])) == pytest.approx(
        scalar(noise=0.8)(1) - scalar(noise=0.4)(1), rel=0.1
    )
    assert not replace(loud, values=quiet.values, policy=quiet.policy, coarser=quiet.coarser).rollout(1000).agrees


def test_a_box_that_cuts_the_paths_is_told_by_them():
    run = value(stated(noise=1.0), (-1.2, 1.2), 41, 20).rollout(1000, seed=1)
    assert run.left > 0.3 and not run.agrees


def test_simulated_exponential_costs():
    found = value(stated(risk=ocdl.Exponential(1.0)), (-4, 4), 61, 16)
    run = found.rollout(2000, seed=1)
    assert run.agrees and run.mean > run.costs.mean()


def test_labels():
    found = value(stated(), (-4, 4), 21, 8)
    assert found.dataset["V"].dims == ("t", "x") and found.dataset["u"].dims == ("t_control", "x")
    assert float(found.dataset["V"].sel(t=0.0, x=0.0, method="nearest")) == pytest.approx(float(found([0.0])))
    run = found.rollout(50)
    assert run.paths["states"].dims == ("t", "path", "state") and run.paths.sizes["t"] == 17


REFUSED = {
    "noise": {"noise": None},
    "final": {"final": [0.0]},
    "Box\\(x=": {"bounds": ocdl.Box(u=(-1, 1), x=(-2, 2))},
    "finite bounds": {"bounds": ocdl.Box()},
    "horizon free": {"horizon": ocdl.Free(1.0, 2.0)},
    "one sample": {"initial": [[1.0], [2.0]]},
    "CVaR": {"risk": ocdl.CVaR(0.9)},
    "control_set": {"control_set": ocdl.Finite(u=[-1.0, 1.0])},
    "lies outside": {"initial": [9.0]},
}


@pytest.mark.parametrize("named", REFUSED)
def test_what_has_no_place_is_refused_in_words(named):
    with pytest.raises((ocdl.NotSupported, ocdl.InvalidInput), match=named):
        value(stated(**REFUSED[named]), (-4, 4), 21, 8)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"box": (1.0,)}, "pair"),
        ({"box": (1.0, -1.0)}, "lower < upper"),
        ({"box": (-4, 4), "nodes": 3}, "at least 5"),
        ({"box": (-4, 4), "nodes": (9, 9)}, "whole number"),
        ({"box": (-4, 4), "steps": 0}, "at least 2"),
        ({"box": (-4, 4), "nodes": 10**9, "steps": 10**6}, "this machine has"),
    ],
)
def test_options_are_checked(options, named):
    with pytest.raises(ocdl.InvalidInput, match=named):
        ocdl.StochasticValueIteration(**options).value_function(stated())


def test_queries_are_checked():
    found = value(stated(), (-4, 4), 21, 8)
    for ask, named in (
        (lambda: found([9.0]), "outside the box"),
        (lambda: found([[1.0, 2.0]]), "shape"),
        (lambda: found([1.0], 2.0), "depth"),
        (lambda: found.rollout(1), "count"),
        (lambda: found.rollout(10, steps=3), "even"),
        (lambda: found.rollout(10, t=1.0), "depth"),
    ):
        with pytest.raises(ocdl.InvalidInput, match=named):
            ask()
