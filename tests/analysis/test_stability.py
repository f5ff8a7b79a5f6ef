"""Linear stability: modes are those of the flow, each statement of section 3.2 by random and by planted kernels."""

from dataclasses import replace

import numpy as np
import pytest
from families import activations, name_of
from theory_kernels import flow, plain, turned, waves

import ocdl
from ocdl.analysis import Flow, KernelOperator, gram_stability, linear_stability, settling, steady_states
from ocdl.sweeps.fused.form import LayerArrays

SMALL = 1e-7
SEEDS = range(8)


def matrix(seed, size=4):
    return np.random.default_rng(seed).standard_normal((size, size))


def followed(B, w, t):
    """The perturbation of f∞ = 0, relative to ``SMALL``, that is w in the beginning."""
    return flow(B, horizon=t[-1]).evolve(SMALL * w, tolerance=1e-14, times=t).x[:, 0] / SMALL


def stability(B, activation=None):
    return linear_stability(flow(B, activation=activation))


def holds(found):
    """The conclusions of section 3.2 that are drawn, by their first words."""
    return {one.theorem.split(":")[0] for one in found.findings if one.applies}


@pytest.mark.parametrize("seed", SEEDS)
def test_modes_are_those_of_the_flow(seed):
    B, t = KernelOperator(matrix(seed), ocdl.GaussLegendre(4).on((0, 1))), np.array([0.0, 0.5, 2.0])
    found = stability(B)
    for omega, mode in zip(found.eigenvalues, found.modes.T, strict=True):
        expected = (np.exp(-omega * t)[:, None] * mode).real
        assert np.abs(followed(B, mode.real, t) - expected).max() < 1e-5 * np.abs(expected).max()
    assert np.abs(found.eigenvalues - B.eigenvalues).max() < 1e-12


@pytest.mark.parametrize("seed", SEEDS)
def test_verdicts_are_what_random_perturbations_do(seed):
    B, shift = matrix(seed), np.random.default_rng(seed).uniform(-0.5, 3.0)
    B = plain(B + shift * np.eye(4))
    found = stability(B)
    sizes = np.linalg.norm(followed(B, np.ones(4), np.array([0.0, 4.0, 12.0]) / abs(found.rate)), axis=1)
    if found.verdict == "unstable":
        assert sizes[2] > sizes[0] and "instability" in holds(found)
    else:
        assert found.verdict == "asymptotically stable" and sizes[2] < 0.1 * min(sizes[0], sizes[1])


@pytest.mark.parametrize("seed", SEEDS)
def test_where_the_symmetric_part_is_not_negative_no_perturbation_grows(seed):
    G, S = matrix(seed, 4)[:, :2], matrix(seed + 100)
    B = plain(G @ G.T + S - S.T)
    sizes = np.linalg.norm(followed(B, np.array([1.0, -1.0, 2.0, 0.5]), np.linspace(0.0, 5.0, 30)), axis=1)
    assert {"stability"} == holds(stability(B)) & {"stability", "instability"}
    assert np.all(np.diff(sizes) < 1e-6)


def test_a_planted_kernel_is_stable_and_lets_perturbations_grow_at_first():
    B = plain([[1.0, 10.0], [0.0, 1.0]])
    found, sizes = stability(B), np.linalg.norm(followed(B, np.array([0.0, 1.0]), np.linspace(0.0, 30.0, 31)), axis=1)
    assert found.verdict == "asymptotically stable" and "stability" not in holds(found)
    assert sizes.max() > 3.0 and sizes[-1] < 1e-4 and found.least_symmetric == pytest.approx(-4.0)


@pytest.mark.parametrize("seed", SEEDS)
def test_symmetric_kernels_decay_off_their_null_space(seed):
    Q, _ = np.linalg.qr(matrix(seed))
    null, positive = plain(Q @ np.diag([0.0, 0.3, 1.0, 2.0]) @ Q.T), plain(Q @ np.diag([0.2, 0.3, 1.0, 2.0]) @ Q.T)
    assert stability(null).verdict == "stable" and stability(null).rate == 0.0
    assert holds(stability(null)) == {"no asymptotic stability", "stability"}
    assert holds(stability(positive)) == {"stability", "asymptotic stability"}
    assert stability(positive).rate == pytest.approx(0.2, abs=1e-14)
    left = followed(null, Q.sum(axis=1), np.array([0.0, 60.0]))[-1]
    assert np.abs(left - Q[:, 0]).max() < 1e-6


@pytest.mark.parametrize("seed", SEEDS)
def test_eigenvalues_on_the_axis_and_defective_ones(seed):
    X = matrix(seed) + 2.0 * np.eye(4)

    def verdict(J):
        return stability(plain(X @ np.array(J, dtype=float) @ np.linalg.inv(X))).verdict

    turn, one, zero = np.array([[0.0, 1.0], [-1.0, 0.0]]), np.eye(2), np.zeros((2, 2))
    assert verdict(np.diag([0.0, 0.0, 1.0, 2.0])) == "stable"
    assert verdict(np.diag([0.0, 0.0, 1.0, 2.0]) + np.diag([1.0, 0.0, 0.0], 1)) == "unstable"
    assert verdict(np.block([[turn, zero], [zero, turn]])) == "stable"
    assert verdict(np.block([[turn, one], [zero, turn]])) == "unstable"
    assert verdict(np.block([[turn, zero], [zero, turn + 0.1 * one]])) == "stable"
    assert verdict(np.diag([0.1] * 4) + np.diag([1.0, 0.0, 0.0], 1)) == "asymptotically stable"


def test_a_planted_nilpotent_kernel_lets_perturbations_grow_as_t():
    B = plain([[0.0, 1.0], [0.0, 0.0]])
    grown = followed(B, np.array([0.0, 1.0]), np.array([0.0, 50.0]))[-1]
    assert stability(B).verdict == "unstable" and "no stability" in holds(stability(B))
    assert grown == pytest.approx([-50.0, 1.0], rel=1e-6)


def test_volterra_kernels_are_not_taken_for_unstable():
    width = ocdl.GaussLegendre(24)
    found = stability(KernelOperator.of(lambda y, z: (y > z) + 0.5 * (y == z), width))
    assert found.verdict == "asymptotically stable" and found.least_symmetric == pytest.approx(0.0, abs=1e-14)
    assert stability(KernelOperator.of(lambda y, z: 1.0 * (y > z), width)).verdict == "unstable"  # its powers vanish


@pytest.mark.parametrize("activation", activations(), ids=name_of)
def test_only_what_is_smooth_and_vanishes_at_0_is_linearised(activation):
    found = stability(plain(np.diag([1.0, 2.0])), activation)
    about = np.array([-1e-7, 0.0, 1e-7])
    values = np.asarray(activation(about))
    smooth = values[1] == 0.0 and abs(values[2] + values[0]) < 1e-10
    assert (found.verdict == "none") == (not smooth)
    if smooth:
        assert found.rate == pytest.approx((values[2] - values[0]) / 2e-7, rel=1e-6)
    else:
        said = "σ(0) = 0" if values[1] else "derivative at 0"
        assert said in found.linearised.says and not holds(found)


def test_what_a_kink_does_is_no_linear_decay():
    relu = flow(plain(np.eye(2)), 0.0, 20.0, ocdl.ReLU())
    assert np.array_equal(relu.evolve([SMALL, SMALL]).x[-1, 0], [SMALL, SMALL])


def test_without_a_steady_state_nothing_is_linearised():
    found = linear_stability(flow(plain(np.diag([1.0, 0.0])), 1.0))
    assert found.verdict == "none" and "a ∈ R(B)" in found.linearised.says


def test_kernels_of_finite_rank_are_stable_on_every_grid():
    for count in (8, 24):
        found = stability(KernelOperator.finite_rank([1.0, 0.5, 0.25], turned(0.5), waves, ocdl.GaussLegendre(count)))
        assert found.verdict == "stable" and found.rate == 0.0
        assert found.spectrum.values.real[-3:] == pytest.approx([0.25, 0.658187, 0.658187], abs=1e-6)


def layered(share):
    """20 layers whose a and b differ from those of the last by ``share`` of them in the first, and e^−k of it on."""
    k = np.arange(20)[:, None, None]
    factor = 1.0 + share * np.exp(-k)
    W = -factor * np.array([[2.0, 1.0], [-1.0, 2.0]])
    return Flow(ocdl.Tanh(), LayerArrays(W, factor[:, 0] * np.ones(2)), np.linspace(0.0, 20.0, 21), np.ones(2))


def test_networks_that_settle_have_limits():
    found = settling(layered(0.5))
    assert found.finding.applies and found.first == 15 and found.drift < 1e-6
    assert found.stability.verdict == "asymptotically stable" and found.stability.rate == pytest.approx(2.0)
    assert found.of_kernel[0] == pytest.approx(0.5 / 1.5, rel=1e-6) and found.of_bias[-1] == 0.0


def test_networks_that_do_not_settle_have_none():
    moving = layered(0.5)
    turned_over = replace(moving, layers=LayerArrays(moving.layers.W[::-1], moving.layers.v[::-1]))
    assert "settled" in settling(turned_over).finding.says
    assert "one layer" in settling(layered(0.5), tail=0.01).finding.says
    with pytest.raises(ocdl.InvalidInput, match="tail=0"):
        settling(moving, tail=0)


def network(kernels, horizon):
    """Layers −Bf of the same depth."""
    count = len(kernels)
    return Flow(
        ocdl.Tanh(),
        LayerArrays(-np.array(kernels), np.zeros((count, 2))),
        np.linspace(0.0, horizon, count + 1),
        np.ones(2),
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_remark_3_1(seed):
    random = np.random.default_rng(seed)
    last = np.array([[random.uniform(0.3, 1.0), random.normal()], [0.0, random.uniform(1.5, 2.0)]])
    kernels = [last + 2.0 * np.exp(-0.7 * k) * random.standard_normal((2, 2)) for k in range(20)]
    settled = settling(network([*kernels, last], 21.0), tolerance=0.05)
    assert settled.finding.applies and settled.stability.rate == pytest.approx(last[0, 0])
    t = np.array([14.0, 20.0])
    sizes = np.linalg.norm(
        network([*kernels, last], 21.0).evolve([1e-6, 2e-6], tolerance=1e-14, times=t).x[:, 0], axis=1
    )
    assert -np.diff(np.log(sizes))[0] / 6.0 == pytest.approx(last[0, 0], rel=0.02)


def test_remark_3_1_needs_a_limit():
    turns = [[[0.1, -1.0], [10.0, 0.1]], [[0.1, -10.0], [1.0, 0.1]]]  # a quarter of a turn each, on other ellipses
    given = network(turns * 6, 12 * np.pi / (2.0 * np.sqrt(10.0)))
    found = settling(given)
    sizes = np.linalg.norm(given.evolve([1e-9, 0.0], tolerance=1e-14).x[:, 0], axis=1)
    assert found.stability.verdict == "asymptotically stable" and "settled" in found.finding.says
    assert sizes.max() > 1e3 * sizes[0]


def test_trained_networks_are_asked():
    data = np.random.default_rng(0).standard_normal((6, 2))
    labels = (data[:, 0] > 0).astype(float)
    problem = ocdl.network(ocdl.Residual(ocdl.Tanh()), data, labels, regulariser=ocdl.Tikhonov(1e-2))
    grid = ocdl.ExplicitEuler(4)
    trained = ocdl.solve(problem, grid, ocdl.LBFGS(max_iterations=3), certificate="first order", on_failure="return")
    net = Flow.of(problem, grid, trained)
    found = settling(net, tail=0.5)
    assert found.of_bias.shape == (4,) and found.first == 2 and found.of_kernel[-1] == 0.0
    assert found.drift == pytest.approx(max(found.of_bias[2], found.of_kernel[2]))
    assert found.stability.rate == pytest.approx(np.linalg.eigvals(-net.layers.W[-1]).real.min())
    steps = Flow.of(problem, grid, trained, steps=True)
    assert steady_states(steps).least_norm == pytest.approx(found.stability.steady.least_norm)
    for ask in (linear_stability, settling, gram_stability):
        with pytest.raises(ocdl.NotSupported, match="steps of a scheme"):
            ask(steps)
