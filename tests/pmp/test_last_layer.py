"""Trained readouts in the methods of the maximum principle: a last layer with its own Hamiltonian."""

from dataclasses import fields, replace

import casadi as ca
import numpy as np
import pytest
from families import concrete
from pmp_problems import network, start

import ocdl
from ocdl.errors import NotSupported
from ocdl.pmp import ExtendedSuccessiveApproximations, SequentialQuadraticHamiltonian, SuccessiveApproximations
from ocdl.pmp.iterate import Ground
from ocdl.pmp.updates.last_layer import LastLayer
from ocdl.solving.method import Method

EULER = ocdl.ExplicitEuler(3)
MONOTONE = [
    SequentialQuadraticHamiltonian(max_iterations=8),
    ExtendedSuccessiveApproximations(adaptive=True, penalty=0.1, max_iterations=8),
    ExtendedSuccessiveApproximations(adaptive=True, penalty=0.1, minimiser="newton", max_iterations=8),
]


def classifier(reach=np.inf, **bounds):
    """Thirty points in two classes that overlap, cross-entropy and Tikhonov's term."""
    generator = np.random.default_rng(3)
    x = generator.normal(size=(30, 2))
    return ocdl.network(
        ocdl.Residual(),
        x,
        (x[:, 0] * x[:, 1] + 0.5 * generator.normal(size=30) > 0.0).astype(float),
        readout=ocdl.Readout(weight=(-reach, reach), bias=(-9, 9)),
        loss=ocdl.CrossEntropy(),
        regulariser=ocdl.Tikhonov(1e-2),
        weights=generator.uniform(0.5, 2.0, 30),
        bounds=ocdl.Box(**bounds),
    )


def at(problem, depth=EULER, seed=1):
    begin = start(problem, depth, seed)
    return Ground(problem, depth).at(begin.u, np.random.default_rng(seed).normal(size=problem.P))


@pytest.mark.parametrize(
    "problem", [classifier(), network().discretise(ocdl.Midpoint(4))], ids=["network", "selection"]
)
def test_its_hamiltonian_is_the_cost_of_the_parameters(problem):
    iterate = at(problem)
    layer = LastLayer(iterate, hold=np.full(problem.P, 0.3), penalty=0.7)
    value, slope = layer(iterate.p)
    assert value == pytest.approx(layer.hamiltonian(iterate.p), rel=1e-14)
    np.testing.assert_allclose(slope, iterate.adjoint.gradient_p, rtol=1e-12, atol=1e-15)
    p = iterate.p + np.random.default_rng(2).normal(size=problem.P)
    moved = iterate.ground.at(iterate.u, p)
    assert layer.hamiltonian(p) - value == pytest.approx(moved.cost - iterate.cost, rel=1e-12)
    pull = moved.adjoint.costate[-1] - iterate.adjoint.costate[-1]
    weights = np.outer(problem.weights, problem.state_metric)
    held = 0.3 * np.sum((p - iterate.p) ** 2) + 0.35 * np.sum(pull**2 / weights)
    assert layer(p)[0] - layer.hamiltonian(p) == pytest.approx(held, rel=1e-11)
    differences = [(layer(p + step)[0] - layer(p - step)[0]) / 2e-5 for step in 1e-5 * np.eye(problem.P)]
    np.testing.assert_allclose(layer(p)[1], differences, rtol=1e-7, atol=1e-9)


def regression(problem):
    """The minimiser (W, μ) of Σ ω (log(1 + e^s) − c s) + ½ 10⁻² |(W, μ)|², s = W x + μ, by Newton's method."""
    c, omega = np.asarray(problem.data)[:, 0], np.asarray(problem.weights)
    features, p = np.column_stack([problem.x0, np.ones(len(c))]), np.zeros(3)
    for _ in range(12):
        q = 1.0 / (1.0 + np.exp(-features @ p))
        hessian = features.T @ ((omega * q * (1.0 - q))[:, None] * features) + 1e-2 * np.eye(3)
        p = p - np.linalg.solve(hessian, features.T @ (omega * (q - c)) + 1e-2 * p)
    return p


@pytest.mark.parametrize(
    "method",
    [
        SuccessiveApproximations(tolerance=1e-15),
        SequentialQuadraticHamiltonian(tolerance=1e-15),
        ExtendedSuccessiveApproximations(penalty=0.1, tolerance=1e-15),
        ExtendedSuccessiveApproximations(penalty=0.1, adaptive=True, tolerance=1e-15),
    ],
    ids=repr,
)
def test_where_no_layer_moves_it_is_logistic_regression(method):
    held = classifier(K=(0.0, 0.0), beta=(0.0, 0.0))
    solution = ocdl.solve(held, EULER, method)
    assert solution.status is ocdl.Status.CONVERGED
    np.testing.assert_allclose(np.append(solution.W, solution.mu), regression(held), atol=1e-6)


@pytest.mark.parametrize("method", MONOTONE, ids=repr)
@pytest.mark.parametrize(
    "problem", [classifier(), network().discretise(ocdl.Midpoint(4))], ids=["network", "selection"]
)
def test_the_cost_falls_at_every_accepted_step(problem, method):
    begin = start(problem, EULER, 1)
    outcome = method.solve(problem, EULER, begin, progress=False)
    curve = {name: np.array(column) for name, column in outcome.history.items()}
    assert np.all(np.diff(curve["cost"][curve["accepted"] == 1.0]) < 0.0)
    assert not np.array_equal(outcome.p, begin.p) and not np.array_equal(outcome.u, begin.u)
    low, high = problem.parameter_box
    assert np.all((outcome.p >= low) & (outcome.p <= high))


def test_parameters_and_controls_move_at_once_and_both_by_their_own_hamiltonian():
    """One step of MSA: p minimises the loss of the features in force, whatever becomes of them."""
    problem = classifier(K=(-1, 1), beta=(-1, 1))
    begin = start(problem, EULER, 1)
    outcome = SuccessiveApproximations(max_iterations=1).solve(problem, EULER, begin, progress=False)
    ground = Ground(problem, EULER)
    layer = LastLayer(ground.at(begin.u, begin.p))
    found = layer.argmin()[0]
    np.testing.assert_allclose(layer(found)[1], 0.0, atol=1e-8)
    following = ground.at(outcome.u, found)
    assert outcome.history["cost"][1] == pytest.approx(following.cost, rel=1e-13)


def test_parameters_stay_in_their_box():
    problem = classifier(0.1, K=(0.0, 0.0), beta=(0.0, 0.0))
    solution = ocdl.solve(problem, EULER, SequentialQuadraticHamiltonian())
    assert solution.status is ocdl.Status.CONVERGED and np.max(np.abs(solution.W)) == 0.1


def test_a_readout_of_nothing_is_no_reachable_target():
    """From W = 0 the costate vanishes, and still there is what to train."""
    problem = network().replace(regulariser=None).discretise(ocdl.Midpoint(4))
    begin = replace(start(problem, EULER, 1), p=np.zeros(problem.P))
    outcome = SuccessiveApproximations(max_iterations=2).solve(problem, EULER, begin, progress=False)
    assert outcome.claim["cost"] < outcome.history["cost"][0]


METHODS = [cls for cls in concrete(Method, "solve") if hasattr(ocdl, cls.__name__)]


@pytest.mark.parametrize("cls", METHODS, ids=lambda cls: cls.__name__)
def test_every_method_moves_a_readout_or_refuses_it_in_words(cls):
    """Over every method that has a public name; and the certificate is of what it found."""
    problem = classifier(9.0, K=(-1, 1), beta=(-1, 1))
    few = {"max_iterations": 2} if "max_iterations" in {f.name for f in fields(cls)} else {}
    begin = start(problem, EULER, 1)
    try:
        outcome = cls(**few).solve(problem, EULER, begin, progress=False)
    except NotSupported as error:
        assert cls.__name__ in str(error)
        return
    assert not np.array_equal(outcome.p, begin.p)
    certificate = ocdl.certify(outcome.judge or problem, EULER, outcome.u, outcome.p)
    assert certificate.cost == pytest.approx(outcome.claim["cost"], rel=1e-9)
    assert certificate.gap >= 0.0


@pytest.mark.parametrize(
    "cls", [SuccessiveApproximations, ExtendedSuccessiveApproximations, SequentialQuadraticHamiltonian]
)
def test_parameters_in_the_layers_are_refused(cls):
    tied = ocdl.ControlProblem(
        dynamics=lambda x, u, p: np.tanh(p[0] * x + u),
        terminal=lambda x, p: ca.sumsqr(x - p[1]),
        initial=[1.0],
        horizon=1.0,
        parameters=2,
        bounds=ocdl.Box(u=(-1, 1)),
    )
    with pytest.raises(NotSupported, match=rf"{cls.__name__} moves controls, and parameters of .* trains 2 parameters"):
        ocdl.solve(tied, EULER, cls())
