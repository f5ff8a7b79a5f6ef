"""Steady states are there where a ∈ R(B), other equilibria where σ(u_e) ∈ N(B); Lemma 3.3 by random kernels."""

import numpy as np
import pytest
from theory_kernels import flow, growing, orthonormal, plain

import ocdl
from ocdl.analysis import KernelOperator, equilibria, equilibrium, equilibrium_of, steady_states

NODES = ocdl.GaussLegendre(6).on((0, 2))
EMPTY = KernelOperator(np.zeros((6, 6)), NODES)
ODD = (ocdl.Tanh(), ocdl.Arctan(), ocdl.Identity(), ocdl.LeakyReLU(), ocdl.ELU())


def low_rank(random, rank=3):
    phi, psi = (orthonormal(EMPTY, random, rank) for _ in range(2))
    return KernelOperator(phi.T @ (random.uniform(0.2, 2.0, rank)[:, None] * psi), NODES)


@pytest.mark.parametrize("seed", range(5))
def test_steady_states_are_those_of_least_norm_and_what_b_does_not_see(seed):
    random = np.random.default_rng(seed)
    B, g = low_rank(random), random.standard_normal(6)
    found = steady_states(flow(B, B(g)))
    assert found.exist and not found.unique and found.null_space.shape == (6, 3)
    seen = found.least_norm + found.null_space @ random.standard_normal(3)
    assert np.abs(flow(B, B(g)).layer(0)(seen)).max() < 1e-13
    assert np.abs(B.inner(found.null_space.T, found.least_norm)).max() < 1e-13
    assert B.norm(found.least_norm) < B.norm(g)
    assert np.abs(found.system.psi[:, :3] @ found.preimage.coefficients - found.least_norm).max() < 1e-14


@pytest.mark.parametrize("seed", range(5))
def test_where_a_is_not_in_the_range_no_state_is_steady(seed):
    random = np.random.default_rng(seed)
    B = low_rank(random)
    outside = B.adjoint.singular_system().null_space[:, 0]
    found = steady_states(flow(B, B(random.standard_normal(6)) + 1e-9 * outside))
    assert not found.exist and found.none and found.residual == pytest.approx(1e-9, rel=1e-5)
    assert "a ∈ R(B)" in found.finding.says


@pytest.mark.parametrize("seed", range(5))
def test_f_grows_where_no_state_is_steady_and_b_is_symmetric(seed):
    random = np.random.default_rng(seed)
    phi = orthonormal(EMPTY, random, 3)
    growing_for_ever = flow(KernelOperator(phi.T @ phi, NODES), random.standard_normal(6), 60.0)
    (found,) = equilibria(growing_for_ever, starts=3)  # the least of ∫ Σ(u) dy on a + R(B), which is convex
    end = growing_for_ever.evolve(0.0, times=[60.0])
    assert np.abs(end.preactivation[0, 0] - found.u).max() < 1e-4
    assert growing_for_ever.norm(found.velocity) > 0.1 and "u_e ∈ R(B)" in found.lemma.says


def test_a_regular_operator_has_one_steady_state():
    assert steady_states(flow(plain([[1.0, 2.0], [0.0, 1.0]]), 1.0)).unique


def test_the_rank_decision_decides():
    B = plain(np.diag([1.0, 1e-9]))
    assert steady_states(flow(B, 1.0)).exist
    assert not steady_states(flow(B, 1.0), tolerance=1e-6).exist


def test_without_its_hypotheses_bf_equal_to_a_says_nothing():
    B = plain(np.eye(2))
    never = flow(B, 1.0, activation=ocdl.Sigmoid())
    found = steady_states(never)
    assert "σ(0) = 0" in found.finding.says and np.all(never.layer(0)(found.least_norm) == 0.5)
    more = flow(B, 1.0, activation=ocdl.ReLU())
    assert not found.exist and "for s ≠ 0" in steady_states(more).finding.says
    assert steady_states(more).exist and not steady_states(more).unique
    assert np.all(more.layer(0)(steady_states(more).least_norm + 1.0) == 0.0)  # steady, and Bf ≠ a


@pytest.mark.parametrize("activation", ODD, ids=repr)
def test_rank_one_kernels_have_solutions_that_grow_for_ever(activation):
    rank_one, phi, psi = growing(activation=activation)
    B, found = rank_one.kernel_operator(), equilibrium(rank_one, phi)
    assert found.growing.applies and float(B.inner(found.initial, psi)) == pytest.approx(0.7 - 1.0, abs=1e-13)
    evolution = rank_one.evolve(found.initial)
    assert np.abs(evolution.x[:, 0] - found.solution(evolution.t)).max() < 1e-12
    assert "Bᵀ" in found.lemma.says and found.product > 0.1  # the lemma's counterexample without symmetry


@pytest.mark.parametrize("activation", ODD, ids=repr)
def test_every_function_that_b_does_not_see_is_a_velocity(activation):
    B = low_rank(np.random.default_rng(0))
    velocity = 0.3 * B.singular_system().null_space[:, 0]
    u = equilibrium_of(flow(B, activation=activation), velocity).u
    found = equilibrium_of(flow(B, u, activation=activation), velocity)  # with a = u_e
    assert found.growing.applies and np.abs(found.velocity - velocity).max() < 1e-14
    end = flow(B, u, 5.0, activation).evolve(found.initial, times=[5.0])
    assert np.abs(end.x[0] - found.solution(5.0)).max() < 1e-11
    assert not equilibrium_of(flow(B, activation=activation), velocity + 0.1).growing.applies


def test_equilibria_are_found_again():
    rank_one, phi, _ = growing()
    found = equilibria(rank_one, starts=10)
    assert [round(float(rank_one.norm(one.u)), 9) for one in found] == [0.0, 1.0, 1.0]
    assert min(np.abs(one.u - phi).max() for one in found) < 1e-9
    assert not equilibrium(rank_one, 1.1 * phi).growing.applies


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("activation", ODD, ids=repr)
def test_lemma_3_3(activation, seed):
    random = np.random.default_rng(seed)
    phi = orthonormal(EMPTY, random, 2)
    B = KernelOperator(phi.T @ (np.array([[1.0], [random.uniform(-1.0, 1.0)]]) * phi), NODES)
    found = equilibria(flow(B, B(random.standard_normal(6)), activation=activation), starts=10)
    assert found and all(one.lemma.applies and one.product < 1e-12 for one in found)


def test_lemma_3_3_of_relu_is_not_that_u_is_0():
    B = plain(np.ones((2, 2)))
    found = equilibrium(flow(B, 0.0, activation=ocdl.ReLU()), [-1.0, -1.0])
    assert found.lemma.applies and found.product == 0.0


def test_lemma_3_3_needs_the_sign_of_sigma():
    falls = ocdl.CustomActivation(lambda s: s * (s**2 - 1.0) / (1.0 + s**2) ** 2)
    phi = np.array([1.0, 2.0]) / np.sqrt(5.0)
    (_, *others) = equilibria(flow(plain(np.outer(phi, phi)), 0.0, activation=falls), starts=20)
    assert others and all("sσ(s) ≥ 0" in one.lemma.says and one.product > 1e-2 for one in others)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda given: equilibrium(given, np.zeros(3)), "shape"),
        (lambda given: equilibrium(given, np.zeros(2), tolerance=-1), "tolerance=-1"),
        (lambda given: steady_states(given, layer=1), "layer=1: a whole number up to 0"),
        (lambda given: equilibria(given, starts=0.5), "starts=0.5"),
        (lambda given: equilibrium_of(given, [0.0, 1.5]), "above 1.5"),
    ],
)
def test_wrong_questions_are_told_off(wrong, said):
    with pytest.raises(ocdl.InvalidInput, match=said):
        wrong(flow(plain(np.eye(2))))
