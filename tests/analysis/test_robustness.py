"""Radii of classifications: certified ones hold in the whole ball, attacked ones are reached; brute force agrees."""

from dataclasses import replace

import numpy as np
import pytest
from families import SoftSign, activations, name_of, schemes

import ocdl
from ocdl.analysis import Robustness
from ocdl.analysis.conditioning.attacks import Margins
from ocdl.analysis.conditioning.certificates import Deviation
from ocdl.analysis.conditioning.lipschitz import network_bound
from ocdl.solving.layered import Affine, LayeredNetwork
from ocdl.sweeps.fused.form import LayerArrays

EULER = ocdl.ExplicitEuler(1).tableau
EXPLICIT = [scheme.tableau for scheme in schemes() if scheme.tableau.explicit]
PROVEN = [a for a in activations() if not isinstance(a, ocdl.CustomActivation)]


def random_network(seed, *, activation=None, tableau=EULER, classes=2, layers=3, n=3, d=2, dense=False):
    """Of Gaussian coefficients; d inputs followed by zeros."""
    rng = np.random.default_rng(seed)
    Q = layers * (tableau.stages if dense else 1)  # each stage its own layer
    matrices = rng.standard_normal((2, Q, n, n)) if dense else (None, None)
    K = 1 if classes == 2 else classes
    return LayeredNetwork(
        LayerArrays(1.5 * rng.standard_normal((Q, n, n)), rng.standard_normal((Q, n)), *matrices),
        *(np.full(layers, 0.5), tableau, activation or ocdl.Tanh(), Affine(np.eye(n, d), np.zeros(n))),
        Affine(rng.standard_normal((K, n)), 0.1 * rng.standard_normal(K)),
        ocdl.Logistic() if K == 1 else ocdl.Softmax(),
    )


def told(network, x):
    output = network.output(x)
    return (output[:, 0] > 0).astype(int) if output.shape[1] == 1 else output.argmax(axis=1)


def nearest(network, x, reach, angles=240, radii=120):
    """The least radius up to ``reach`` of a dense grid of the ball of x (2,) at which another class is told."""
    phi, r = 2 * np.pi * np.arange(angles) / angles, reach * np.arange(1, radii + 1) / radii
    points = x + np.stack([np.outer(r, np.cos(phi)), np.outer(r, np.sin(phi))], axis=2).reshape(-1, 2)
    other = (told(network, points) != told(network, x[None])).reshape(radii, angles).any(axis=1)
    return r[np.argmax(other)] if other.any() else np.inf


CASES = [
    *({"activation": activation} for activation in PROVEN),
    *({"tableau": tableau, "dense": True} for tableau in EXPLICIT),
    *({"classes": 3}, {"classes": 4, "dense": True}),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: "-".join(map(name_of, case.values())))
def test_radii_hold_against_brute_force(case):
    network = random_network(0, layers=1 if case.get("tableau", EULER).stages > 4 else 3, **case)
    x = np.random.default_rng(9).standard_normal((2, 2))
    found = Robustness.of(network, x)
    assert np.all(found.right) and np.all(found.certified > 0.0) and np.all(found.certified <= found.attacked)
    for one, certified in zip(x, found.certified, strict=True):
        assert nearest(network, one, certified) == np.inf and certified <= nearest(network, one, 20.0 * certified)


def test_attacks_come_near_to_what_brute_force_finds():
    """They are bounds, not minima: of wild networks, all but a few are within 5 per cent."""
    near = []
    for seed in range(6):
        network, x = random_network(seed, classes=3), np.random.default_rng(seed).standard_normal((3, 2))
        for one, attacked in zip(x, Robustness.of(network, x).attacked, strict=True):
            reach = min(1.02 * attacked, 10.0)
            near.append(attacked <= 1.05 * nearest(network, one, reach))
    assert np.mean(near) > 0.9


@pytest.mark.parametrize("case", CASES, ids=lambda case: "-".join(map(name_of, case.values())))
def test_no_output_deviates_by_more_than_its_bound(case):
    network, rng = random_network(4, n=4, d=3, **case), np.random.default_rng(5)
    x, radius = rng.standard_normal((6, 3)), np.array([0.0, 1e-6, 0.01, 0.1, 1.0, 10.0])
    A = network.readout.weight
    bound = Deviation.of(network, x, radius).bound(A)
    directions = rng.standard_normal((400, 1, 3))
    changes = radius[:, None] * directions / np.linalg.norm(directions, axis=2, keepdims=True)
    *_, ends = network.flow(network.entrance(np.concatenate([x[None], x + changes])))
    apart = np.abs((ends[1:] - ends[0]) @ A.T).max(axis=0)
    assert np.all(apart <= bound * (1 + 1e-9) + 1e-14)
    assert np.all(np.linalg.norm(ends[1:] - ends[0], axis=2).max(axis=0) <= network_bound(network) * radius + 1e-14)
    seen = Margins(network, x, np.broadcast_to(A[0], (6, 4)), np.zeros(6)).gradient(np.zeros((6, 3)))[1]
    assert bound[1, 0] / radius[1] == pytest.approx(np.linalg.norm(seen[1]), rel=1e-3)  # sharp in small balls


def contractive(seed, *, layers=8, n=4, d=3):
    """x⁺ = x − hBᵀσ(Bx + β) with |B| = 1 and h = 1: a contraction."""
    rng = np.random.default_rng(seed)
    B = rng.standard_normal((layers, n, n))
    B /= np.linalg.norm(B, 2, axis=(1, 2))[:, None, None]
    arrays = LayerArrays(-B, rng.standard_normal((layers, n)), B.swapaxes(1, 2))
    return replace(random_network(seed, n=n, d=d), layers=arrays, widths=np.ones(layers))


@pytest.mark.parametrize("network", [random_network(4, n=4, d=3), contractive(1)], ids=["wild", "contractive"])
@pytest.mark.parametrize("radius", [0.01, 0.3, 3.0])
def test_what_is_said_of_every_layer_on_the_way_holds(network, radius):
    rng = np.random.default_rng(5)
    x, directions = rng.standard_normal((1, 3)), rng.standard_normal((2000, 3))
    found = Deviation.of(network, x, np.array([radius]))
    states = network.features(x + radius * directions / np.linalg.norm(directions, axis=1)[:, None])
    for q, (W, (root, norm)) in enumerate(zip(network.layers.W, found.passed, strict=True)):
        apart = (states[q] - network.features(x)[q]) @ W.T
        assert np.all(root**2 * np.abs(apart) <= found.spread[:, q] * (1 + 1e-9))
        assert np.all(np.linalg.norm(root * apart, axis=1) <= norm * (1 + 1e-9))


@pytest.mark.parametrize("tableau", EXPLICIT)
def test_gradients_are_those_of_the_network(tableau):
    network, rng = random_network(2, tableau=tableau, dense=True, classes=3), np.random.default_rng(3)
    rows = rng.standard_normal((4, 3))
    margins = Margins(network, rng.standard_normal((4, 2)), rows, rng.standard_normal(4))
    gradient = margins.gradient(np.zeros((4, 2)))[1]
    for i, d in enumerate(1e-6 * np.eye(2)):
        differences = (margins.gradient(d)[0] - margins.gradient(-d)[0]) / 2e-6
        assert np.abs(differences - gradient[:, i]).max() < 1e-7 * (1 + np.abs(gradient).max())


def test_linear_networks_have_the_radius_of_the_plane():
    network = random_network(1, activation=ocdl.Identity())
    x = np.random.default_rng(2).standard_normal((4, 2))
    found = Robustness.of(network, x)
    for radius in (found.certified, found.attacked):
        assert radius == pytest.approx(found.linearised, rel=1e-3)


def test_a_contractive_network_keeps_its_margin():
    """x⁺ = x − hBᵀσ(Bx + β) with h|B|² ≤ 2 is a contraction, which the product of its steps sees: radius ≥ m / |A|."""
    network = contractive(0)
    assert network_bound(network) == pytest.approx(1.0, abs=1e-9)
    found = Robustness.of(network, np.random.default_rng(0).standard_normal((5, 3)))
    assert np.all(found.certified >= (1 - 1e-8) * found.margin / np.linalg.norm(network.readout.weight))
    grows = replace(
        network, layers=network.layers._replace(V=-network.layers.V)
    )  # planted: of the other sign it is none
    assert network_bound(grows) > 10.0


def test_what_is_told_wrongly_has_no_radius():
    network = random_network(3, classes=3)
    x = np.random.default_rng(1).standard_normal((6, 2))
    labels = told(network, x)
    labels[2] = (labels[2] + 1) % 3
    found = Robustness.of(network, x, labels)
    assert found.right.sum() == 5 and found.margin[2] < 0.0 < np.delete(found.margin, 2).min()
    for radius in (found.certified, found.attacked, found.linearised):
        assert radius[2] == 0.0 < np.delete(radius, 2).min()
    assert np.all(told(network, x + found.changes)[found.right] != labels[found.right])
    assert np.linalg.norm(found.changes, axis=1) == pytest.approx(found.attacked)
    assert found.findings[0].applies and "5 of 6" in str(found)
    tampered = replace(found, bounds={"too good": 2.0 * found.attacked})
    assert not tampered.findings[0].applies and "nothing" in str(tampered)


def test_inputs_move_and_states_that_begin_at_0_do_not():
    whole, x = random_network(6, d=3), np.random.default_rng(1).standard_normal((3, 2))
    padded = replace(whole, entrance=Affine(np.eye(3, 2), np.zeros(3)))
    inputs, states = Robustness.of(padded, x), Robustness.of(whole, np.pad(x, ((0, 0), (0, 1))))
    assert inputs.margin == pytest.approx(states.margin)
    assert np.all(inputs.attacked >= states.attacked * (1 - 1e-9)) and inputs.changes.shape == (3, 2)


def test_a_trained_network_has_radii_in_the_plane_of_its_inputs():
    train, test = ocdl.donut2d(count=30)
    options = {"channels": 3, "regulariser": ocdl.Tikhonov(1e-3)}
    problem, depth = ocdl.network(ocdl.Residual(), train.inputs, train.labels, **options), ocdl.ExplicitEuler(4)
    trained = ocdl.solve(
        problem, depth, ocdl.LBFGS(max_iterations=60), seed=1, certificate="first order", on_failure="return"
    )
    network = ocdl.LayeredNetwork.of(problem, depth, trained, inputs=2)
    found = Robustness.of(network, test.inputs[:6], test.labels[:6].astype(int))
    assert found.changes.shape == (6, 2) and found.right.any()
    for s in np.flatnonzero(found.right):
        said = ocdl.predict(problem, depth, trained, np.stack([test.inputs[s], test.inputs[s] + found.changes[s]]))
        assert (said.values[0, 0] > 0.5) != (said.values[1, 0] > 0.5)
        assert nearest(network, test.inputs[s], found.certified[s]) == np.inf


@pytest.mark.parametrize(
    ("wrong", "error", "said"),
    [
        (lambda net, x: Robustness.of(replace(net, link=ocdl.IdentityLink()), x), ocdl.NotSupported, "Softmax"),
        (lambda net, x: Robustness.of(replace(net, activation=SIGMOID), x), ocdl.NotSupported, "turn only at 0"),
        (lambda net, x: Robustness.of(net, x, [0, 2]), ocdl.InvalidInput, "from 0 to 1"),
        (lambda net, x: Robustness.of(net, x, [0, 1, 1]), ocdl.InvalidInput, "shape"),
        (lambda net, x: Robustness.of(net, x[0]), ocdl.InvalidInput, "one sample a row"),
    ],
)
def test_wrong_questions_are_told_off(wrong, error, said):
    with pytest.raises(error, match=said):
        wrong(random_network(0), np.zeros((2, 2)))


SIGMOID = ocdl.CustomActivation(SoftSign(), increasing=True, bounds=(-1.0, 1.0))
