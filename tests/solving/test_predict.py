"""Predictions of trained networks, for their own samples and for others."""

import numpy as np
import pytest
from families import scalar, selection

import ocdl

RNG = np.random.default_rng(7)
INPUTS, OTHERS = RNG.standard_normal((6, 2)), RNG.standard_normal((4, 2))
CLASSES = np.array([0, 1, 2, 2, 1, 0])
TRAINING = ocdl.LBFGSB(gap="gradient", max_iterations=1, round_iterations=3)


def trained(architecture, depth, **changes):
    options = {"readout": ocdl.Readout(outputs=3), "channels": 3, "horizon": 2} | changes
    problem = ocdl.network(architecture, INPUTS, CLASSES, **options)
    return problem, ocdl.solve(problem, depth, TRAINING, seed=1, on_failure="return")


def by_hand(solution, x, h):
    """A ResNet with a logistic readout."""
    for K, beta in zip(solution["K"].values, solution["beta"].values, strict=True):
        x = x + h * np.tanh(x @ K.T + beta)
    return 1.0 / (1.0 + np.exp(-(x @ solution["W"].values.T + solution["mu"].values)))


def test_a_network_of_three_outputs_predicts_for_its_own_samples_and_for_others():
    depth = ocdl.ExplicitEuler(4)
    problem, solution = trained(ocdl.Residual(), depth)
    for inputs, rows in ((None, INPUTS), (OTHERS, OTHERS), (OTHERS[0], OTHERS[:1])):
        found = ocdl.predict(problem, depth, solution, inputs)
        assert found.dims == ("sample", "output")
        expected = by_hand(solution, np.pad(rows, ((0, 0), (0, 1))), 0.5)
        np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("architecture", [ocdl.Hamiltonian(), ocdl.Plain()], ids=lambda a: type(a).__name__)
@pytest.mark.parametrize("tied", [False, True])
def test_other_samples_are_told_apart_from_their_own_by_nothing(architecture, tied):
    depth = ocdl.ExplicitEuler(2)
    problem, solution = trained(architecture, depth, tied=tied)
    own = ocdl.predict(problem, depth, solution)
    again = ocdl.predict(problem, depth, solution, INPUTS[[3, 1]])
    np.testing.assert_allclose(again, own[[3, 1]], rtol=1e-12)


def test_a_state_without_readout_is_the_prediction():
    problem = ocdl.network(ocdl.Residual(), INPUTS, INPUTS[:, ::-1], readout=None)
    depth = ocdl.Kutta4(3)
    solution = ocdl.solve(problem, depth, TRAINING, seed=1, on_failure="return")
    np.testing.assert_allclose(ocdl.predict(problem, depth, solution), solution.state[-1], rtol=1e-12)


def test_several_outputs_of_a_selection_problem():
    problem = selection(
        initial=INPUTS,
        target=np.eye(3)[CLASSES],
        readout=ocdl.Readout(outputs=3),
        bounds=ocdl.Box(a=(-1, 1), b=(-1, 1)),
    )
    grid = ocdl.Grid(ocdl.Midpoint(2), ocdl.ExplicitEuler(3))
    solution = ocdl.solve(problem, grid, TRAINING, seed=1, on_failure="return")
    found = ocdl.predict(problem, grid, solution, OTHERS)
    assert found.dims == ("sample", "output") and found.shape == (4, 3)
    x = OTHERS
    for a, b in zip(solution["a"].values, solution["b"].values, strict=True):
        x = x + np.tanh(a - 0.5 * x @ b.T) / 3
    output = 0.5 * x @ solution["W"].values.T + solution["mu"].values
    np.testing.assert_allclose(found, 1.0 / (1.0 + np.exp(-output)), rtol=1e-12)


def test_what_cannot_be_predicted_is_said():
    depth = ocdl.ExplicitEuler(2)
    problem, solution = trained(ocdl.Residual(), depth)
    with pytest.raises(ocdl.InvalidInput, match="inputs: 4 values a sample do not fit into 3 states"):
        ocdl.predict(problem, depth, solution, np.zeros((2, 4)))
    with pytest.raises(ocdl.InvalidInput, match="ends in no readout"):
        plain = scalar()
        ocdl.predict(plain, depth, ocdl.solve(plain, depth, ocdl.Ipopt()))
    other = ocdl.network(ocdl.Contractive(), INPUTS, CLASSES, readout=ocdl.Readout(outputs=3), channels=3)
    with pytest.raises(ocdl.InvalidInput, match="K, beta given, but this problem's are B, a"):
        ocdl.predict(other, depth, solution)
