"""Flows of finite rank are the full ones: any σ, factors given or found, jumps of the kernel, a outside R(B)."""

from dataclasses import replace

import numpy as np
import pytest
from families import activations, name_of

import ocdl
from ocdl.analysis import FiniteRankFlow, Flow, KernelOperator
from ocdl.analysis.forward.integrals import integrals
from ocdl.sweeps.fused.form import LayerArrays

WIDTH = ocdl.GaussLegendre(20)
MU = np.array([1.0, 0.5, 0.25])


def waves(y):
    return np.stack([np.ones_like(y), np.sqrt(2) * np.cos(np.pi * y), np.sqrt(2) * np.cos(2 * np.pi * y)])


def bias(y):
    return np.exp(y) * np.sin(9 * y)  # not in R(B)


def begin(y):
    return np.stack([np.cos(5 * y), y**2 - 1])


def random_kernel(seed, decay=0.3):
    """Of factors that are neither orthogonal nor normalised."""
    generator = np.random.default_rng(seed)
    return decay ** np.arange(4), *generator.standard_normal((2, 4, WIDTH.size))


@pytest.mark.parametrize("activation", activations(), ids=name_of)
def test_the_reduced_system_is_the_full_one(activation):
    tolerance = 1e-11 if activation.smooth else 1e-8
    for seed in range(2):
        mu, phi, psi = random_kernel(seed)
        B = KernelOperator.finite_rank(mu, phi, psi, WIDTH)
        full = Flow.selection(activation, bias, B, 1.5).evolve(begin, times=[0.0, 0.4, 1.5])
        flow = FiniteRankFlow.selection(activation, bias, mu, phi, psi, WIDTH, 1.5)
        reduced = flow.evolve(begin, times=[0.0, 0.4, 1.5])
        scale = 1.0 + np.abs(full.x).max()
        assert np.abs(reduced.x - full.x).max() < tolerance * scale and reduced.apart < tolerance * scale
        assert np.abs(reduced.preactivation - full.preactivation).max() < 10 * tolerance * scale
        assert flow.rank == 4 and flow.layers[0].outside > 0.01


def test_kinks_do_not_cost_the_tolerance():
    """With 40 samples of a ReLU the integrator's interpolant is no good at its own tolerance, and is taken again."""
    rng = np.random.default_rng(0)
    U, V = rng.standard_normal((2, 1, 2, 12))
    flow = FiniteRankFlow.layered(ocdl.ReLU(), rng.standard_normal((1, 12)), -0.3, U, V, [0.0, 1.0])
    x = rng.standard_normal((40, 12))
    found = flow.evolve(x, tolerance=1e-7, times=[1.0])
    exact = flow.evolve(x, tolerance=1e-11, times=[1.0])
    scale = 1.0 + flow.layers[0].length(exact.x).max()
    assert found.apart <= 1e-6 * scale and np.abs(found.x - exact.x).max() < 1e-6 * scale


def test_what_of_a_lies_outside_the_range_stays():
    """u(t) − u(0) lies in span φ, whatever Z is; for a in R(B) Z is 0."""
    mu, phi, psi = random_kernel(3)
    flow = FiniteRankFlow.selection(ocdl.Tanh(), bias, mu, phi, psi, WIDTH, 1.0)
    u = flow.evolve(begin).preactivation
    moved = (u - u[0]).reshape(-1, WIDTH.size)
    apart = moved - np.linalg.lstsq(phi.T, moved.T, rcond=None)[0].T @ phi
    assert np.abs(moved).max() > 0.1 and np.abs(apart).max() < 1e-11
    inside = FiniteRankFlow.selection(ocdl.Tanh(), phi.sum(axis=0), mu, phi, psi, WIDTH, 1.0)
    assert inside.layers[0].outside < 1e-12 < 0.01 < flow.layers[0].outside


def test_rank_one_is_exact():
    """Bf = (1, f) ψ with (1, ψ) = 0 and f_I = a = −φ: f = t σ(φ) + f_I, as u stays."""
    flow = FiniteRankFlow.selection(
        ocdl.Tanh(),
        lambda y: np.cos(np.pi * y),
        [1.0],
        waves(WIDTH.on((0, 1)).points)[:1],
        lambda y: waves(y)[2:],
        WIDTH,
        3.0,
    )
    evolution = flow.evolve(0.0)
    u = np.cos(np.pi * WIDTH.on((0, 1)).points)
    inner = flow.layers[0].inner(np.tanh(u))
    assert abs(inner[0]) < 1e-12  # tanh cos πy is odd about ½, cos 2πy even
    assert np.abs(evolution.x[:, 0] - evolution.t[:, None] * np.tanh(u)).max() < 1e-12


def test_a_right_hand_side_forms_no_kernel():
    M = 300_000  # a kernel of 700 GB
    nodes = ocdl.Midpoint(M)
    reduced = FiniteRankFlow.selection(ocdl.Tanh(), 0.2, MU, waves, waves, nodes, 1.0).evolve(
        lambda y: y, tolerance=1e-6, times=[1.0]
    )
    few = FiniteRankFlow.selection(ocdl.Tanh(), 0.2, MU, waves, waves, WIDTH, 1.0).evolve(lambda y: y, times=[1.0])
    assert abs(reduced.x[-1, 0].mean() - few.x[-1, 0] @ WIDTH.on((0, 1)).weights) < 1e-6


def test_trained_networks_of_low_rank_kernels():
    data = np.random.default_rng(0).standard_normal((6, 5))
    problem = ocdl.network(
        ocdl.Residual(ocdl.Tanh(), kernel=ocdl.LowRankKernel(2)), data, (data[:, 0] > 0).astype(float)
    )
    grid = ocdl.ExplicitEuler(3)
    trained = ocdl.solve(
        problem, grid, ocdl.Train(max_iterations=10), seed=1, certificate="first order", on_failure="return"
    )
    full = Flow.of(problem, grid, trained).evolve(data)
    U, V = (trained.controls[name].values.swapaxes(1, 2) for name in ("U", "V"))
    given = FiniteRankFlow.layered(ocdl.Tanh(), trained.controls["beta"].values, -1.0, U, V, np.linspace(0, 1, 4))
    found = FiniteRankFlow.of(Flow.of(problem, grid, trained))
    assert given.rank == found.rank == 2
    for flow in (given, found):
        evolution = flow.evolve(data)
        assert np.abs(evolution.x - full.x).max() < 1e-10
        assert np.abs(evolution.preactivation - full.preactivation).max() < 1e-9
    steps = FiniteRankFlow.layered(
        ocdl.Tanh(), trained.controls["beta"].values, -1.0, U, V, np.linspace(0, 1, 4), steps=grid
    )
    for flow in (steps, FiniteRankFlow.of(Flow.of(problem, grid, trained, steps=True))):
        assert np.abs(flow.evolve(data).x - trained.state.values).max() < 1e-13
    with pytest.raises(ocdl.InvalidInput, match="nodes only"):
        steps.evolve(data, times=[0.5])


@pytest.mark.parametrize("seed", range(4))
def test_what_is_cut_off_changes_no_more_than_gronwall_allows(seed):
    activation = (ocdl.Tanh(), ocdl.Sigmoid(), ocdl.Arctan(), ocdl.LeakyReLU())[seed]
    B = KernelOperator.finite_rank(*random_kernel(seed, decay=1e-2), WIDTH)
    full = Flow.selection(activation, bias, B, 0.5)
    flow = FiniteRankFlow.of(full, tolerance=1e-3)
    assert flow.rank < FiniteRankFlow.of(full).rank == 4
    cut, exact = flow.evolve(begin, tolerance=1e-10), full.evolve(begin, tolerance=1e-10)
    error = flow.layers[0].length(cut.x - exact.x)
    assert error.max() > 1e-7 and np.all(error <= cut.truncation_bound + 1e-8)
    assert cut.truncation.applies and f"{cut.truncation_bound.max():.3e}" in cut.truncation.says


def test_gronwall_allows_for_euler_steps():
    mu, phi, psi = random_kernel(7, decay=1e-2)
    kept = {"bias": np.outer([1, 2, 3], bias(WIDTH.on((0, 1)).points)), "times": [0.0, 0.1, 0.3, 0.4]}
    layers = [KernelOperator.finite_rank(mu * (k + 1), phi, psi, WIDTH) for k in range(3)]
    rows = LayerArrays(W=np.stack([-B.kernel * B.weights for B in layers]), v=kept["bias"])
    full = Flow(ocdl.Tanh(), rows, np.array(kept["times"]), layers[0].weights, nodes=WIDTH.on((0, 1)))
    for scheme in (ocdl.ExplicitEuler(3), ocdl.Kutta4(3)):
        stepped = replace(full, scheme=scheme.tableau)
        cut = FiniteRankFlow.of(stepped, tolerance=1e-3).evolve(begin)
        error = cut.flow.layers[0].length(cut.x - stepped.evolve(begin).x)
        assert error.max() > 1e-7 and np.all(error <= cut.truncation_bound + 1e-13)
        assert cut.truncation.applies == (len(scheme.tableau.b) == 1)


def test_of_a_steeper_activation_the_bound_would_not_hold():
    """σ = 4 tanh with the Lipschitz constant of tanh: the planted constant is exceeded, the true one is not."""
    B = KernelOperator.finite_rank([1.0, 0.3], waves(WIDTH.on((0, 1)).points)[:2], lambda y: -waves(y)[:2], WIDTH)
    steep = ocdl.CustomActivation(lambda s: 4.0 * np.tanh(s), increasing=True, bounds=(-4.0, 4.0))
    full, begun = Flow.selection(steep, 0.0, B, 0.4), (lambda y: 1e-3 * np.sqrt(2) * np.cos(np.pi * y))
    cut = FiniteRankFlow.of(full, tolerance=0.5).evolve(begun)
    error = cut.flow.layers[0].length(cut.x - full.evolve(begun).x)
    assert np.isfinite(error).all() and error[-1, 0] > 0.0
    gentle = FiniteRankFlow.of(Flow.selection(ocdl.Tanh(), 0.0, B, 0.4), tolerance=0.5).evolve(begun)
    assert np.any(error[1:] > gentle.truncation_bound[1:])
    if np.isfinite(steep.lipschitz):
        assert np.all(error <= cut.truncation_bound + 1e-12)
    else:
        assert "Lipschitz" in cut.truncation.says


def test_the_bound_needs_the_evolution_from_its_begin():
    full = Flow.selection(ocdl.Tanh(), 0.0, KernelOperator.finite_rank(MU, waves, waves, WIDTH), 1.0)
    finding = FiniteRankFlow.of(full, tolerance=0.3).evolve(1.0, times=[0.5, 1.0]).truncation
    assert not finding.applies and "depth 0" in finding.says


def test_factors_may_depend_on_each_other():
    """The same term in two halves, and one of ψ = 0, are the same kernel."""
    mu, phi, psi = random_kernel(5)
    once = FiniteRankFlow.selection(ocdl.Tanh(), bias, mu, phi, psi, WIDTH, 2.0).evolve(begin)
    phi, psi = np.vstack([phi, phi[:1], phi[1:2]]), np.vstack([psi, psi[:1], 0.0 * psi[:1]])
    mu = np.append(mu, [0.5 * mu[0], 1.0])
    mu[0] *= 0.5
    twice = FiniteRankFlow.selection(ocdl.Tanh(), bias, mu, phi, psi, WIDTH, 2.0).evolve(begin)
    assert np.abs(once.x - twice.x).max() < 1e-11 * (1.0 + np.abs(once.x).max()) and twice.apart < 1e-9


def test_a_kernel_of_zero_is_one_too():
    full = Flow.selection(ocdl.Tanh(), 0.5, KernelOperator.of(0.0, ocdl.Midpoint(4)), 2.0)
    evolution = FiniteRankFlow.of(full).evolve(1.0)
    assert np.abs(evolution.x[:, 0] - (1.0 + np.tanh(0.5) * evolution.t)[:, None]).max() < 1e-13


def test_kinks_are_met_by_their_own_neurons():
    class Kinked:
        """|t − i/7| of neuron i, whatever c is."""

        def velocity(self, c):
            return np.abs(c - np.arange(7) / 7)

        def at(self, c, i):
            return np.abs(c[..., 0] - i[:, None] / 7)

    cuts = np.array([0.0, 0.3, 1.0])
    found = integrals(Kinked(), lambda t: t[..., None, None], cuts, 1e-13, (1, 7)).sum(axis=0)[0]
    k = np.arange(7) / 7
    assert np.abs(found - 0.5 * (k**2 + (1 - k) ** 2)).max() < 1e-12


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda: FiniteRankFlow.selection(np.tanh, 0.0, MU, waves, waves, WIDTH, 1.0), "ocdl.Tanh"),
        (lambda: FiniteRankFlow.selection(ocdl.Tanh(), 0.0, MU[:2], waves, waves, WIDTH, 1.0), "μ"),
        (lambda: FiniteRankFlow.selection(ocdl.Tanh(), 0.0, MU, waves, waves, 3, 1.0), "quadrature"),
        (lambda: FiniteRankFlow.selection(ocdl.Tanh(), 0.0, MU, waves, lambda y: y, WIDTH, 1.0), "one shape"),
        (lambda: FiniteRankFlow.selection(ocdl.Tanh(), 0.0, MU, waves, waves, WIDTH, -1.0), "horizon"),
        (lambda: FiniteRankFlow.of(KernelOperator.of(1.0, WIDTH)), "give a Flow"),
        (lambda: FiniteRankFlow.layered(ocdl.Tanh(), *np.zeros((4, 1, 1, 1)), times=[0, 1]), "N, r, M"),
        (lambda: FiniteRankFlow.selection(ocdl.Tanh(), 0, MU, waves, waves, WIDTH, 1.0).evolve(0, times=[2]), "to 1"),
    ],
)
def test_wrong_flows_are_told_off(wrong, said):
    with pytest.raises(ocdl.InvalidInput, match=said):
        wrong()
