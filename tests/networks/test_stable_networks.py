"""Networks that are stable: by their kernels for any controls, and by constraints where they were trained."""

import casadi as ca
import numpy as np
import pytest
from families import concrete, name_of

import ocdl
from ocdl.analysis import Flow
from ocdl.networks.architecture import matrices
from ocdl.sweeps.fused.recognise import dense_form

INPUTS = np.random.default_rng(3).standard_normal((12, 2))
LABELS = np.where(INPUTS[:, 0] * INPUTS[:, 1] > 0, 1.0, 0.0)
LAYERS, HORIZON = 4, 2.0
GRID = ocdl.ExplicitEuler(LAYERS)
STABLE = [ocdl.Dissipative(), ocdl.Dissipative(0.2), ocdl.Nonexpansive(), ocdl.Nonexpansive(0.1), ocdl.Amplification(2)]
CHAIN = ocdl.Chain((ocdl.FullyConnected(3), ocdl.FullyConnected(2)), inputs=2)
PROPER = {ocdl.Convolutional: ocdl.Convolutional(image=(1, 2)), ocdl.Chain: CHAIN}
ARCHITECTURES = [PROPER.get(cls, cls) for cls in concrete(ocdl.Architecture, "parts")]
ARCHITECTURES = [a() if isinstance(a, type) else a for a in ARCHITECTURES]


def stated(architecture=None, **changes):
    options = {"horizon": HORIZON, "regulariser": ocdl.Tikhonov(1e-3), "channels": 3}
    return ocdl.network(architecture or ocdl.Residual(), INPUTS, LABELS, **(options | changes))


def start(seed=0):
    rng = np.random.default_rng(seed)
    return {"K": rng.standard_normal((LAYERS, 3, 3)), "W": rng.standard_normal((1, 3))}


def least_symmetric(K):
    """λ_min of B_s, B = −K, of all layers."""
    return np.linalg.eigvalsh(-0.5 * (K + np.swapaxes(K, -1, -2)))[..., 0].min()


def row_sums(K):
    """max_i K_ii + Σ_{j≠i} |K_ij| of all layers."""
    return np.max([k.diagonal() + np.abs(k).sum(axis=1) - np.abs(k.diagonal()) for k in K])


def kernels(kernel, n, count=20):
    """K (count, n, n) of random controls."""
    parts = kernel.parts(n)
    rng = np.random.default_rng(n)
    draws = [rng.standard_normal(sum(part.size for part in parts)) * 10.0 ** rng.uniform(-1, 1) for _ in range(count)]
    return np.stack([kernel.matrix(matrices(parts, ca.DM(u)), n).full() for u in draws])


# -- by their kernels ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 2, 5])
@pytest.mark.parametrize("margin", [0.0, 0.7])
def test_dissipative_kernels_are_dissipative(n, margin):
    K = kernels(ocdl.DissipativeKernel(margin), n)
    assert least_symmetric(K) >= margin - 1e-14 * np.linalg.norm(K, axis=(1, 2)).max()
    assert least_symmetric(K[np.linalg.norm(K, axis=(1, 2)) < 1.0 + 2 * margin]) < margin + 1.0
    assert least_symmetric(kernels(ocdl.DenseKernel(), max(n, 2))) < 0.0


def test_every_dissipative_matrix_is_such_a_kernel():
    rng, kernel = np.random.default_rng(0), ocdl.DissipativeKernel(0.3)
    for _ in range(5):
        K = rng.standard_normal((4, 4))
        K -= (np.linalg.eigvalsh(0.5 * (K + K.T))[-1] + 0.3) * np.eye(4)
        values, vectors = np.linalg.eigh(-0.5 * (K + K.T) - 0.3 * np.eye(4))
        G = (vectors * np.sqrt(np.maximum(values, 0.0))).T
        flat = np.concatenate([G.ravel(), 0.5 * (K.T - K)[np.triu_indices(4, 1)]])
        np.testing.assert_allclose(kernel.matrix(matrices(kernel.parts(4), ca.DM(flat)), 4).full(), K, atol=1e-13)


@pytest.mark.parametrize("n", [1, 2, 5])
def test_bounded_kernels_are_bounded_and_every_such_matrix_is_one(n):
    kernel, c = ocdl.BoundedKernel(0.8), 0.8
    K = kernels(kernel, n)
    assert np.linalg.norm(K, axis=(1, 2)).max() < c < 1.5 * np.linalg.norm(K, axis=(1, 2)).max()
    M = K[0] / np.sqrt(c**2 - np.sum(K[0] ** 2))
    again = kernel.matrix(matrices(kernel.parts(n), ca.DM(M.ravel())), n).full()
    np.testing.assert_allclose(again, K[0], rtol=1e-12)


@pytest.mark.parametrize("kernel", [ocdl.DissipativeKernel(0.1), ocdl.BoundedKernel(2.0)], ids=name_of)
def test_they_are_dense_layers_that_train(kernel):
    problem = stated(ocdl.Residual(kernel=kernel))
    assert dense_form(problem) is not None
    solution = ocdl.solve(problem, GRID, ocdl.Train(max_iterations=60), seed=0, on_failure="return")
    flow = Flow.of(problem, GRID, solution)
    K = flow.layers.W
    assert solution.cost < 0.13
    if isinstance(kernel, ocdl.DissipativeKernel):
        assert least_symmetric(K) >= 0.1 - 1e-12
    assert np.linalg.norm(K, axis=(1, 2)).max() < 2.0 or isinstance(kernel, ocdl.DissipativeKernel)


# -- by constraints ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("architecture", ARCHITECTURES, ids=name_of)
def test_operators_are_those_of_the_layers_jacobian(architecture):
    """∂φ/∂x = diag(σ') M, seen where σ' is the same for all: of the identity."""
    if type(architecture).operator is ocdl.Architecture.operator:
        layers = architecture.layers() or LAYERS
        for stability in (ocdl.Dissipative(), ocdl.Amplification(2.0)):
            with pytest.raises(ocdl.NotSupported, match=type(architecture).__name__):
                stated(architecture, horizon=layers, channels=None, stability=stability)
        return
    same = type(architecture)(ocdl.Identity())
    problem = stated(same)
    u = np.random.default_rng(0).standard_normal(problem.m)
    M = ca.DM(same.operator(matrices(problem.layout.controls, ca.DM(u)), problem.n)).full()
    values = [problem.rate(0.0, x, u, np.zeros(problem.P), 0.0).full()[:, 0] for x in (*np.eye(3), np.zeros(3))]
    np.testing.assert_allclose(np.stack([v - values[-1] for v in values[:-1]], axis=1), M, atol=1e-13)


@pytest.mark.parametrize("stability", STABLE, ids=repr)
def test_answers_are_as_stable_as_they_had_to_be(stability):
    problem = stated(stability=stability)
    solution = ocdl.solve(problem, GRID, ocdl.Ipopt(), start=start(), certificate="first order")
    K = solution["K"].values
    assert solution.feasibility < 1e-8 and solution.cost < 0.13
    if isinstance(stability, ocdl.Dissipative):
        assert least_symmetric(K) >= stability.margin - 1e-8
    elif isinstance(stability, ocdl.Nonexpansive):
        assert row_sums(K) <= -stability.margin + 1e-8
    else:
        assert np.exp(HORIZON / LAYERS * np.linalg.norm(K, axis=(1, 2)).sum()) <= stability.most * (1.0 + 1e-8)


@pytest.mark.parametrize(
    ("architecture", "stability"),
    [
        (ocdl.Residual(kernel=ocdl.SymmetricKernel()), ocdl.Nonexpansive()),
        (ocdl.Residual(kernel=ocdl.DissipativeKernel()), ocdl.Dissipative(0.1)),
        (ocdl.ODENet(), ocdl.Dissipative()),
        (ocdl.Antisymmetric(damping=0.2), ocdl.Amplification(5.0)),
    ],
    ids=lambda member: type(member).__name__,
)
def test_constraints_and_kernels_may_meet(architecture, stability):
    problem = stated(architecture, stability=stability, channels=2)
    solution = ocdl.solve(problem, ocdl.Kutta3(2), ocdl.Ipopt(), seed=0, certificate="first order")
    M = Flow.of(problem, ocdl.Kutta3(2), solution).layers.W
    scale = solution["alpha"].values[:, None, None] if isinstance(architecture, ocdl.ODENet) else 1.0
    if isinstance(stability, ocdl.Dissipative):
        assert least_symmetric(scale * M) >= stability.margin - 1e-8
    elif isinstance(stability, ocdl.Nonexpansive):
        assert row_sums(M) <= 1e-8
    else:
        assert np.exp(HORIZON / 2 * np.linalg.norm(M, axis=(1, 2)).sum()) <= stability.most * (1 + 1e-8)


def test_without_constraints_none_of_it_holds():
    problem = stated()
    K = ocdl.solve(problem, GRID, ocdl.Ipopt(), start=start(), certificate="first order")["K"].values
    assert least_symmetric(K) < -0.1 and row_sums(K) > 0.1
    assert np.exp(HORIZON / LAYERS * np.linalg.norm(K, axis=(1, 2)).sum()) > 2.1


def test_a_planted_violation_is_reported():
    problem = stated(stability=ocdl.Dissipative())
    solution = ocdl.solve(problem, GRID, ocdl.Ipopt(), start=start(), certificate="first order")
    u = problem.pack(**{name: solution[name].values for name in ("K", "beta", "C")})
    p = np.concatenate([solution[name].values.ravel() for name in ("W", "mu")])
    assert ocdl.certify(problem, GRID, u, p, first_order=True).feasibility < 1e-8
    u[2, 0] += 1e-3
    verdict = ocdl.certify(problem, GRID, u, p, first_order=True)
    assert verdict.violations["path"] == pytest.approx(1e-3, rel=1e-4)


def differences(K, slopes, h):
    """∏ (1 + h D_k K_k)."""
    product = np.eye(K.shape[1])
    for k, d in zip(K, slopes, strict=True):
        product = (np.eye(len(k)) + h * d[:, None] * k) @ product
    return product


def drawn_stable(member, rng, h):
    """K of a few layers with the property."""
    K = rng.standard_normal((6, 3, 3))
    if isinstance(member, ocdl.Amplification):
        return K * np.log(member.most) / (h * np.linalg.norm(K, axis=(1, 2)).sum())
    for k in K:
        k[np.diag_indices(3)] = -(np.abs(k).sum(axis=1) - np.abs(k.diagonal())) - member.margin
    return K


PROMISES = [ocdl.Nonexpansive(), ocdl.Nonexpansive(0.5), ocdl.Amplification(3.0)]


@pytest.mark.parametrize("member", PROMISES, ids=repr)
def test_what_the_properties_promise_of_differences_is_observed(member):
    """For slopes from 0 to 1, whatever they are; and M beyond the property does what it forbids."""
    rng, h, norm = np.random.default_rng(0), 0.02, np.inf if isinstance(member, ocdl.Nonexpansive) else 2
    most = getattr(member, "most", 1.0)
    for _ in range(50):
        K, slopes = drawn_stable(member, rng, h), rng.uniform(0.0, 1.0, (6, 3))
        assert np.linalg.norm(differences(K, slopes, h), norm) <= most * (1.0 + 1e-14)
    planted = np.repeat(np.eye(3)[None], 6, axis=0) * 1.1 * (np.log(most) / (6 * h) + 0.1)
    assert np.linalg.norm(differences(planted, np.ones((6, 3)), h), norm) > most


def test_steps_as_wide_as_stated_do_not_expand_and_wider_ones_do():
    """Of an answer, at the slopes it has and at the steepest."""
    h = 1.5
    problem = stated(stability=ocdl.Nonexpansive(step=h), horizon=LAYERS * h)
    solution = ocdl.solve(problem, GRID, ocdl.Ipopt(), start=start(), certificate="first order")
    flow, rng = Flow.of(problem, GRID, solution, steps=True), np.random.default_rng(0)
    first = rng.standard_normal((200, 3))
    apart = flow.evolve(first).x - flow.evolve(first + 0.3 * rng.standard_normal(first.shape)).x
    distances = np.abs(apart).max(axis=2)
    assert np.all(distances[1:] <= distances[:-1] * (1.0 + 1e-7))
    K = solution["K"].values
    assert np.linalg.norm(np.eye(3) + h * K, np.inf, axis=(1, 2)).max() <= 1.0 + 1e-7
    free = ocdl.solve(
        stated(stability=ocdl.Nonexpansive(), horizon=LAYERS * h),
        GRID,
        ocdl.Ipopt(),
        start=start(),
        certificate="first order",
    )["K"].values
    assert np.linalg.norm(np.eye(3) + h * free, np.inf, axis=(1, 2)).max() > 1.01


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda: stated(ocdl.Contractive(), stability=ocdl.Dissipative()), "Contractive"),
        (lambda: stated(ocdl.Plain(), horizon=4, stability=ocdl.Dissipative()), "Plain"),
        (lambda: stated(stability=ocdl.Dissipative(), tied=True), "DissipativeKernel"),
        (lambda: stated(stability=ocdl.Tikhonov(1.0)), "ocdl.Dissipative"),
        (lambda: ocdl.DissipativeKernel(-0.1), "margin=-0.1"),
        (lambda: ocdl.BoundedKernel(0.0), "most=0.0"),
        (lambda: ocdl.solve(stated(stability=ocdl.Nonexpansive()), GRID, ocdl.Train()), "stability=Nonexpansive"),
    ],
)
def test_what_cannot_be_is_told(wrong, said):
    with pytest.raises((ocdl.InvalidInput, ocdl.NotSupported), match=said):
        wrong()
