"""Networks as plain arrays: what a solution has trained, to rounding; saved without code."""

import numpy as np
import pytest
from families import activations, concrete, name_of, schemes

import ocdl

GENERATOR = np.random.default_rng(3)
INPUTS, CLASSES = GENERATOR.normal(size=(6, 2)), np.array([0, 1, 2, 0, 1, 2])
ARCHITECTURES = [  # whose layers are dense: the second half of a leapfrog sees what the first has made
    cls(image=(2, 2)) if cls is ocdl.Convolutional else cls()
    for cls in concrete(ocdl.Architecture, "dynamics")
    if cls is not ocdl.Leapfrog
]
EXPLICIT = [scheme for scheme in schemes(layers=3) if scheme.tableau.explicit]


def swept(problem, depth, seed=0):
    """A solution that is no more than random controls."""
    return ocdl.solve(
        problem, depth, ocdl.LBFGS(max_iterations=0), seed=seed, certificate="first order", on_failure="return"
    )


def stated(architecture, **more):
    given = {"readout": ocdl.Readout(link=ocdl.Softmax(), outputs=3), "loss": ocdl.SoftmaxCrossEntropy()} | more
    horizon = 3.0 if architecture.discrete else 1.5
    return ocdl.network(architecture, INPUTS, CLASSES, channels=4, horizon=horizon, **given)


def agree(problem, depth, solution, inputs):
    network = ocdl.LayeredNetwork.of(problem, depth, solution, inputs=inputs.shape[1])
    np.testing.assert_allclose(network.features(inputs), solution.state.values, rtol=0, atol=1e-13)
    return network


@pytest.mark.parametrize("architecture", ARCHITECTURES, ids=name_of)
def test_every_architecture_of_dense_layers_predicts_what_its_solution_says(architecture):
    problem, depth = stated(architecture), ocdl.ExplicitEuler(3)
    solution = swept(problem, depth)
    network = agree(problem, depth, solution, INPUTS)
    picked = np.log(network(INPUTS))[np.arange(6), CLASSES]
    assert solution.cost == pytest.approx(-picked.mean(), abs=1e-13)  # the loss of these very predictions


@pytest.mark.parametrize("depth", EXPLICIT, ids=name_of)
def test_every_explicit_scheme_and_controls_of_parameters(depth):
    for tied in (False, True):
        problem = stated(ocdl.Residual(activation=ocdl.Arctan()), tied=tied)
        agree(problem, depth, swept(problem, depth), INPUTS)


def test_controls_that_vary_in_a_layer_have_a_row_a_stage():
    problem = stated(ocdl.Residual())
    depth = ocdl.Kutta4(3, controls=ocdl.PiecewiseLinear())
    solution = ocdl.solve(problem, depth, ocdl.Ipopt(options={"max_iter": 2}), on_failure="return")
    network = ocdl.LayeredNetwork.of(problem, depth, solution, inputs=2)
    assert len(network.layers.W) == 12
    np.testing.assert_allclose(network.features(INPUTS)[0], solution.state.values[0], atol=1e-15)


def test_a_selection_problem_is_a_network_too():
    grid = ocdl.Grid(width=ocdl.Midpoint(4), depth=ocdl.ImprovedEuler(5))
    initial = GENERATOR.normal(size=(3, 4))
    problem = ocdl.SelectionProblem(
        activation=ocdl.Sigmoid(), horizon=1.0, initial=initial, target=[0.0, 1.0, 1.0], readout=ocdl.Readout()
    )
    solution = swept(problem, grid)
    network = agree(problem, grid, solution, initial)
    np.testing.assert_allclose(network(initial)[:, 0], np.ravel(ocdl.predict(problem, grid, solution)), atol=1e-14)


@pytest.mark.parametrize("sigma", activations(), ids=lambda s: f"{type(s).__name__}{s.limits}")
def test_a_file_holds_the_same_network_or_is_not_written(sigma, tmp_path):
    problem, depth, path = stated(ocdl.ODENet(activation=sigma)), ocdl.Kutta3(3), tmp_path / "network.npz"
    network = ocdl.LayeredNetwork.of(problem, depth, swept(problem, depth), inputs=2)
    if isinstance(sigma, ocdl.CustomActivation):
        with pytest.raises(ocdl.NotSupported, match="made of code"):
            network.save(path)
        assert not path.exists()
        return
    network.save(path)
    again = ocdl.LayeredNetwork.load(path)
    assert again.activation == network.activation and again.link == network.link
    np.testing.assert_array_equal(again(INPUTS), network(INPUTS))


def test_other_files_and_inputs_are_refused_in_words(tmp_path):
    problem, depth = stated(ocdl.Residual()), ocdl.ExplicitEuler(3)
    network = ocdl.LayeredNetwork.of(problem, depth, swept(problem, depth), inputs=2)
    path = tmp_path / "other.npz"
    with pytest.raises(ocdl.InvalidInput, match=r"that LayeredNetwork\.save wrote"):
        ocdl.LayeredNetwork.load(path)
    for held in ({"W": np.eye(2)}, {"format": "another"}, {"format": np.array([{}], dtype=object)}):
        np.savez(path, **held)
        with pytest.raises(ocdl.InvalidInput, match=r"that LayeredNetwork\.save wrote"):
            ocdl.LayeredNetwork.load(path)
    with pytest.raises(ocdl.NotWritten, match="cannot be written"):
        network.save(tmp_path / "nowhere" / "network.npz")
    with pytest.raises(ocdl.InvalidInput, match=r"shape \(S, 2\)"):
        network(np.zeros((3, 4)))
    with pytest.raises(ocdl.InvalidInput, match="finite; got nan"):
        network(np.full((1, 2), np.nan))


def test_what_is_no_network_of_dense_layers_is_refused():
    leapfrog = stated(ocdl.Leapfrog())
    with pytest.raises(ocdl.NotSupported, match="dense layers"):
        ocdl.LayeredNetwork.of(leapfrog, ocdl.ExplicitEuler(3), swept(leapfrog, ocdl.ExplicitEuler(3)))
    plain = ocdl.ControlProblem(
        dynamics=lambda x, u: np.tanh(u + x), terminal=lambda x: x**2, initial=[1.0], horizon=1.0
    )
    with pytest.raises(ocdl.NotSupported, match="no loss of a readout"):
        ocdl.LayeredNetwork.of(plain, ocdl.ExplicitEuler(3), swept(plain, ocdl.ExplicitEuler(3)))
