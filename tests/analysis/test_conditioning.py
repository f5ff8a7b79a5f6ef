"""Evolution operators of flows and of networks: composed, differenced, bounded, and the same forward as backward."""

import numpy as np
import pytest
from families import activations, name_of, schemes

import ocdl
from ocdl.analysis import Conditioning, Flow, KernelOperator
from ocdl.analysis.conditioning.variational import extreme_singular_values
from ocdl.analysis.steps import Step
from ocdl.sweeps.fused.form import LayerArrays
from ocdl.sweeps.fused.layer import DenseLayer


def draw(*shape, seed=3):
    return np.random.default_rng([seed, *shape]).standard_normal(shape)


def flow(M=4, horizon=1.5, kernel=None, activation=None):
    """σ(a − Bf) of a random kernel on Gauss's points, or of a given one."""
    nodes = ocdl.GaussLegendre(M).on((0, 1))
    B = KernelOperator(3.0 * draw(M, M) if kernel is None else kernel, nodes)
    return Flow.selection(activation or ocdl.Tanh(), draw(M), B, horizon)


def layered(N=3, M=3, **how):
    """N layers of random coefficients, continuous or the steps of a scheme, with weights that differ."""
    layers = LayerArrays(
        *(draw(N, M, M), draw(N, M), draw(N, M, M, seed=4)),
        *(draw(N, M, M, seed=5), None),
    )
    return Flow(ocdl.Tanh(), layers, np.linspace(0.0, 0.9, N + 1), np.array([0.5, 1.0, 2.0]), **how)


EXPLICIT = [scheme.tableau for scheme in schemes() if scheme.tableau.explicit]
NETWORKS = [layered(), *(layered(scheme=tableau) for tableau in EXPLICIT), flow()]


def conditioning(network, x0=None, **how):
    x0 = draw(2, network.weights.size) if x0 is None else x0
    times = {} if network.scheme is not None else {"times": np.linspace(0.0, network.times[-1], 4)}
    return Conditioning.along(network.evolve(x0, **(times | how)), tolerance=1e-11)


@pytest.mark.parametrize("network", NETWORKS)
def test_operators_are_derivatives_of_the_flow_and_compose(network):
    found = conditioning(network)
    e, root, h = found.evolution, np.sqrt(network.weights), 1e-5
    how = {} if network.scheme is not None else {"times": e.t}
    for i, d in enumerate(h * np.eye(root.size)):
        ahead, behind = (network.evolve(e.x[0] + sign * d, **how).x[-1] for sign in (1, -1))
        assert np.abs((ahead - behind) / (2 * h) * root / root[i] - found.operator()[:, :, i]).max() < 1e-8
    assert np.abs(found.operator(-1, 2) @ found.operator(2) - found.operator()).max() < 1e-12
    assert np.abs(found.operator(2, 2) - np.eye(root.size)).max() == 0.0


def test_operators_do_not_depend_on_the_depths_between():
    network, x0 = layered(), draw(1, 3)
    whole = Conditioning.along(network.evolve(x0, times=[0.0, 0.9]))
    parts = Conditioning.along(network.evolve(x0, times=[0.0, 0.1, 0.55, 0.9]))
    assert np.abs(whole.operator() - parts.operator()).max() < 1e-8
    assert np.abs(parts.operator(2, 1) @ parts.operator(1) - parts.operator(2)).max() < 1e-14


@pytest.mark.parametrize("network", NETWORKS)
def test_backward_conditioning_is_forward_conditioning(network):
    found = conditioning(network)
    assert np.abs(found.backward() - found.operator().swapaxes(-1, -2)).max() < 1e-8
    assert found.findings[1].applies


@pytest.mark.parametrize("network", NETWORKS)
def test_bounds_hold_on_every_trajectory(network):
    found = conditioning(network)
    crude, upper, lower = found.bounds
    largest, least = np.moveaxis(found.extremes, -1, 0)
    assert np.all(largest <= upper * (1 + 1e-9)) and np.all(least >= lower * (1 - 1e-9))
    assert np.all(upper <= crude * (1 + 1e-12)) and np.all(found.remaining[0] == pytest.approx(largest[-1]))
    assert np.all(largest[0] == 1.0) and np.all(found.remaining[-1] == 1.0)
    assert np.all(found.eigenvalues.real[..., 0] <= found.log_norms + 1e-12)


def test_bounds_are_sharp_for_normal_kernels():
    """B = c: every norm is the same at every depth, and ‖M‖ is all of them."""
    diagonal = np.diag(1.0 / ocdl.GaussLegendre(4).on((0, 1)).weights)
    found = conditioning(flow(kernel=-diagonal, activation=ocdl.Identity()))
    crude, upper, _ = found.bounds
    assert found.extremes[-1, 0, 0] == pytest.approx(np.exp(1.5), rel=1e-9)
    assert upper[-1, 0] == pytest.approx(np.exp(1.5), rel=1e-9) and crude[-1, 0] == pytest.approx(np.exp(1.5), rel=1e-9)


def test_stable_eigenvalues_do_not_prevent_growth_of_a_kernel_that_is_not_normal():
    shear = KernelOperator(np.array([[2.0, -16.0], [0.0, 2.0]]), ocdl.Midpoint(2).on((0, 1)))
    network = Flow.selection(ocdl.Tanh(), 0.0, shear, 1.0)
    found = conditioning(network, np.zeros((1, 2)))
    assert np.all(found.eigenvalues.real == pytest.approx(-1.0))
    assert found.extremes[-1, 0, 0] > 2.9
    assert not found.findings[0].applies and "nothing" in found.findings[0].says
    M = np.exp(-1.0) * np.array([[1.0, 8.0], [0.0, 1.0]])  # of −B = −1 + 8 N, N² = 0
    assert np.abs(found.operator()[0] - M).max() < 1e-9


def test_nothing_grows_where_the_logarithmic_norm_is_negative():
    B = KernelOperator.of(lambda y, z: np.cos(np.pi * (y - z)), ocdl.GaussLegendre(5))
    found = conditioning(Flow.selection(ocdl.Identity(), 0.2, B, 4.0))
    assert found.findings[0].applies and found.extremes[..., 0].max() <= 1.0 + 1e-9
    for change in draw(3, 5):
        assert found.growth(change).max() <= 1.0 + 1e-9


@pytest.mark.parametrize("activation", [a for a in activations() if a.smooth], ids=name_of)
def test_growth_is_found_within_the_bounds_of_smooth_activations(activation):
    (*_, growth) = conditioning(flow(activation=activation)).findings
    assert growth.applies and "at most" in growth.says
    (*_, nothing) = conditioning(flow(activation=ocdl.ReLU(), horizon=0.1)).findings
    assert [one.statement for one in nothing.failing] == ["σ is C²"]


def test_linearisations_never_exceed_the_norm_of_the_kernel():
    for seed in range(5):
        found = conditioning(flow(kernel=draw(4, 4, seed=seed)))
        norms = np.linalg.norm(found.linearisations, 2, axis=(-2, -1)).max(axis=1)
        assert np.all(norms <= found.operator_bounds())
    with pytest.raises(ocdl.NotSupported, match="a − Bf"):
        conditioning(layered()).operator_bounds()


@pytest.mark.parametrize("network", NETWORKS)
def test_no_finite_change_grows_beyond_the_lipschitz_constants(network):
    found = conditioning(network)
    assert np.all(found.extremes[..., 0].max(axis=1) <= found.finite * (1 + 1e-9))
    for size in (1e-3, 1.0, 30.0):
        changes = size * draw(*found.evolution.x.shape[1:])
        assert np.all(found.growth(changes).max(axis=1) <= found.finite * (1 + 1e-9))


def test_contractive_flows_have_the_lipschitz_constant_1_and_their_mirror_images_do_not():
    W = draw(2, 3, 3)
    for sign in (1, -1):
        layers = LayerArrays(-W, np.zeros((2, 3)), sign * W.swapaxes(1, 2))
        network = Flow(ocdl.Tanh(), layers, np.array([0.0, 0.5, 1.0]), np.ones(3))
        found = conditioning(network)
        grown = found.growth(0.01 * np.ones(3)).max()
        assert (
            (grown <= 1.0 + 1e-12 and found.finite[-1] < 1.0 + 1e-9) if sign == 1 else (1.0 < grown <= found.finite[-1])
        )
        assert found.findings[0].applies == (sign == 1)


def test_what_the_network_amplifies_grows_by_the_singular_value():
    network = layered()
    found = conditioning(network, draw(1, 3))
    out, values, into = found.singular_system()
    small = 1e-6 * into[0, :, 0]
    assert network.norm(into[0, :, 0]) == pytest.approx(1.0) and network.norm(out[0, :, 0]) == pytest.approx(1.0)
    assert found.growth(small)[-1, 0] == pytest.approx(values[0, 0], rel=1e-5)
    others = [found.growth(1e-6 * d)[-1, 0] for d in draw(20, 3)]
    assert max(others) <= values[0, 0] * (1 + 1e-5) and min(others) >= values[0, -1] * (1 - 1e-5)


@pytest.mark.parametrize("activation", [a for a in activations() if a.smooth], ids=name_of)
def test_the_weighted_energy_changes_as_it_should(activation):
    network = flow(activation=activation, horizon=1.0)
    t, weights = np.polynomial.legendre.leggauss(12)
    times = np.concatenate([[0.0], 0.5 + 0.5 * t, [1.0]])
    found = conditioning(network, np.zeros((1, 4)), times=times)
    energy, rate = found.weighted_energy(draw(4))
    assert energy[-1, 0] - energy[0, 0] == pytest.approx(0.5 * weights @ rate[1:-1, 0], rel=1e-7, abs=1e-9)


@pytest.mark.parametrize("tableau", EXPLICIT)
def test_steps_pull_back_what_their_jacobians_do(tableau):
    layers = tuple(DenseLayer(ocdl.Tanh(), draw(3, 3, seed=i), draw(3, seed=i)) for i in range(tableau.stages))
    step, x, p = Step(layers, tableau, 0.7), draw(5, 3), draw(5, 3)
    expected = np.einsum("sij,si->sj", step.jacobian(x), p)
    assert np.abs(step.pulled_back(x, p) - expected).max() < 1e-14


def test_extreme_singular_values_of_large_matrices_are_those_of_the_whole_decomposition():
    M = draw(1, 210, 210)
    whole = np.linalg.svd(M, compute_uv=False)[..., [0, -1]]
    assert extreme_singular_values(M) == pytest.approx(whole, rel=1e-9)
    M[0, :, 3] = 0.0
    assert extreme_singular_values(M)[0, 1] == pytest.approx(0.0, abs=1e-12)


def test_the_report_has_a_row_for_each_layer():
    said = str(conditioning(layered(N=3, scheme=EXPLICIT[0])))
    assert sum(line.strip().startswith(("0 ", "1 ", "2 ", "end ")) for line in said.splitlines()) == 4
    assert "Dahlquist" in said


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda found: Conditioning.along(found.evolution, tolerance=2.0), "tolerance=2"),
        (lambda found: found.operator(0, 1), "rising"),
        (lambda found: found.growth(0.0), "not 0"),
        (lambda found: found.growth([1.0, np.nan, 0.0, 0.0]), "finite"),
        (lambda found: Conditioning.along(found.evolution.flow.evolve(0.0, times=[0.0])), "two depths"),
    ],
)
def test_wrong_questions_are_told_off(wrong, said):
    with pytest.raises(ocdl.InvalidInput, match=said):
        wrong(conditioning(flow()))
