"""Theorem 3.4: what DT says of the rate, and where it is silent; the rates are those of evolutions."""

import numpy as np
import pytest
from theory_kernels import flow, orthonormal, plain, turned, waves

import ocdl
from ocdl.analysis import KernelOperator, gram_stability, linear_stability, measured_rate

WIDTH = ocdl.GaussLegendre(24)
SEEDS = range(8)


def asked(angle, horizon=40.0):
    """The kernel of issue and theorem: its flow with a = B sin 3y."""
    B = KernelOperator.finite_rank([1.0, 0.5, 0.25], turned(angle), waves, WIDTH)
    return flow(B, B(np.sin(3 * B.nodes.points)), horizon)


def drawn(seed, turn):
    """A kernel of rank 3, φ turned away from ψ by about ``turn``."""
    random, nodes = np.random.default_rng(seed), ocdl.GaussLegendre(7).on((0, 1))
    psi = orthonormal(KernelOperator(np.zeros((7, 7)), nodes), random, 3)
    turned_psi, _ = np.linalg.qr((psi * np.sqrt(nodes.weights)).T + turn * random.standard_normal((7, 3)))
    signs = np.sign(np.sum(turned_psi.T * psi * np.sqrt(nodes.weights), axis=1))
    phi = (signs * turned_psi).T / np.sqrt(nodes.weights)
    B = KernelOperator(phi.T @ (random.uniform(0.4, 1.2, 3)[:, None] * psi), nodes)
    return flow(B, B(random.standard_normal(7)), 60.0)


def test_symmetric_kernels():
    found = gram_stability(asked(0.0))
    assert found.finding.applies and found.verdict == "asymptotically stable"
    assert np.abs(found.gram - np.eye(3)).max() < 1e-13
    assert found.rate == pytest.approx(0.25, abs=1e-14) and found.guaranteed == pytest.approx(0.25, abs=1e-14)
    assert measured_rate(asked(0.0).evolve(lambda y: 0.3 * y**2))[0] == pytest.approx(0.25, abs=2e-8)


def test_turned_kernels():
    found = gram_stability(asked(0.5))
    assert found.finding.applies and found.system.rank == 3
    assert found.eigenvalues.real == pytest.approx([0.25, 0.658, 0.658], abs=5e-4)
    assert found.symmetric == pytest.approx([0.25, 0.408, 0.908], abs=5e-4)
    assert found.eigenvalues.real[1] == pytest.approx(0.75 * np.cos(0.5), abs=1e-13)
    assert found.rate == pytest.approx(0.25, abs=1e-13)
    assert measured_rate(asked(0.5).evolve(lambda y: 0.3 * y**2))[0] == pytest.approx(0.25, abs=2e-8)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_quadratic_form_is_that_of_dt_and_its_eigenvalues_those_of_b(seed):
    given = drawn(seed, 0.4)
    B, found = given.kernel_operator(), gram_stability(given)
    c = np.random.default_rng(seed).standard_normal(3)
    f = found.system.psi[:, :3] @ c
    assert float(B.inner(B(f), f)) == pytest.approx(c @ found.DT @ c, abs=1e-13)
    others = linear_stability(given).eigenvalues
    assert np.abs(others[np.abs(others) > 1e-9] - found.eigenvalues).max() < 1e-12
    assert found.guaranteed <= found.rate + 1e-12


@pytest.mark.parametrize("seed", SEEDS)
def test_theorem_3_4_and_both_rates(seed):
    given = drawn(seed, 0.15)
    found, B = gram_stability(given), given.kernel_operator()
    assert found.finding.applies and found.verdict == "asymptotically stable"
    rest = linear_stability(given).steady.least_norm
    evolution = given.evolve(rest + 1e-3 * np.random.default_rng(seed).standard_normal(7))
    sizes = np.linalg.norm(B.inner((evolution.x[:, 0] - rest)[:, None], found.system.psi[:, :3].T), axis=1)
    early = evolution.t < 10.0
    assert np.all(np.diff(np.log(sizes[early])) <= -0.999 * found.guaranteed * np.diff(evolution.t[early]))
    slowest, turns = found.spectrum.vectors[:, 0].real, found.spectrum.values[0].imag != 0.0
    settling = given.evolve(rest + 1e-3 * found.system.psi[:, :3] @ (slowest / found.system.mu[:3]))
    measured = measured_rate(settling, tail=0.9)[0]
    assert measured == pytest.approx(found.rate, rel=0.1 if turns else 1e-3)


def test_where_dt_is_not_definite_the_theorem_is_silent_and_the_spectrum_decides():
    silent, unstable = gram_stability(asked(1.3)), gram_stability(asked(1.8))
    assert not silent.finding.applies and silent.guaranteed < 0.0 < silent.rate
    assert silent.verdict == "asymptotically stable" and unstable.verdict == "unstable"
    steady = linear_stability(asked(1.8)).steady.least_norm
    grown = asked(1.8).evolve(steady + 1e-3 * waves(WIDTH.on((0, 1)).points)[0])
    first, last = grown.flow.norm(grown.preactivation)[[0, -1], 0]
    assert last > 100.0 * first


def test_the_integral_of_the_primitive_may_grow_although_dt_is_definite():
    T, mu = np.array([[0.6, 0.0], [0.6, 0.6]]), np.array([1.0, 0.05])
    root = np.linalg.cholesky(np.eye(2) - T @ T.T)
    phi, psi = np.hstack([T, root]), np.eye(4)[:2]  # orthonormal, with this Gram matrix
    given = flow(plain(phi.T @ (mu[:, None] * psi)), 0.0, 60.0)
    found = gram_stability(given)
    assert found.finding.applies and found.guaranteed > 0.0 > found.of_primitive
    c = np.linalg.eigh(mu[:, None] * T.T + T * mu)[1][:, 0]
    evolution = given.evolve(-1e-2 * (c / mu) @ psi)  # u = c φ in the beginning
    u, w = evolution.preactivation[:, 0], evolution.x[:, 0, :2]
    primitive = np.sum(np.log(np.cosh(u)), axis=1)
    assert primitive.max() > 1.3 * primitive[0] and primitive[-1] < primitive[0]
    assert np.all(np.diff(np.linalg.norm(w, axis=1)) < 0.0)
    assert given.kernel_operator().least_symmetric < 0.0  # and DT > 0 is not B_s ≥ 0


def test_where_t_is_singular_0_is_no_isolated_equilibrium():
    B = KernelOperator.finite_rank([1.0, 0.5], lambda y: waves(y)[:2], lambda y: waves(y)[[0, 2]], WIDTH)
    stuck = flow(B, 0.0, 40.0)
    assert "(a) T is invertible" in gram_stability(stuck).finding.says
    start = B.singular_system().psi[:, 1]  # B brings it to a function that ψ does not see
    evolution = stuck.evolve(0.1 * start)
    sizes = evolution.flow.norm(evolution.preactivation)[:, 0]
    assert sizes[-1] > 0.99 * sizes[0]


def test_the_theorem_is_silent_of_kinks_and_of_a_beyond_the_range():
    B = KernelOperator.finite_rank([1.0, 0.5, 0.25], waves, waves, WIDTH)
    for given, said in ((flow(B, 0.0, 1.0, ocdl.ReLU()), "derivative"), (flow(B, lambda y: y**5), "a ∈ R(B)")):
        assert gram_stability(given).verdict == "none" and said in gram_stability(given).finding.says


def test_without_a_kernel_u_stays_where_it_is():
    found = gram_stability(flow(KernelOperator.of(0.0, WIDTH), 0.0))
    assert found.gram.shape == (0, 0) and found.rate == found.guaranteed == np.inf


def test_rates_of_wrong_tails_are_told_off():
    with pytest.raises(ocdl.InvalidInput, match="tail=2"):
        measured_rate(asked(0.0, 1.0).evolve(0.0), tail=2)
    assert np.isnan(measured_rate(flow(asked(0.0).kernel_operator(), 0.0).evolve(0.0)))
