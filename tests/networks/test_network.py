"""The statement of training: names, shapes, bounds, labels, and what it refuses."""

import pickle

import numpy as np
import pytest

import ocdl
from ocdl.sweeps.reduced import ReducedCost

RNG = np.random.default_rng(5)
INPUTS = RNG.standard_normal((6, 2))
LABELS = np.array([0.0, 1.0, 0.0, 1.0, 1.0, 0.0])


def stated(architecture=None, inputs=INPUTS, labels=LABELS, **changes):
    return ocdl.network(ocdl.Residual() if architecture is None else architecture, inputs, labels, **changes)


def test_controls_and_readout_have_names_dimensions_and_entries():
    problem = stated(channels=3, readout=ocdl.Readout(outputs=2), labels=LABELS.astype(int))
    assert [(part.name, part.dims, part.shape) for part in problem.layout.controls] == [
        ("K", ("y", "z"), (3, 3)),
        ("beta", ("y",), (3,)),
    ]
    assert [(part.name, part.shape) for part in problem.layout.parameters] == [("W", (2, 3)), ("mu", (2,))]
    assert problem.controls[1] == "K[0,1]" and problem.controls[-1] == "beta[2]" and problem.parameters[-1] == "mu[1]"


def test_more_channels_than_inputs_begin_at_zero():
    problem = stated(channels=4)
    np.testing.assert_array_equal(problem.x0, np.hstack([INPUTS, np.zeros((6, 2))]))
    assert stated(ocdl.Hamiltonian(), channels=4).n == 8


def test_classes_are_unit_vectors():
    problem = stated(labels=np.array([0, 1, 2, 2, 1, 0]), readout=ocdl.Readout(outputs=3))
    np.testing.assert_array_equal(problem.data, np.eye(3)[[0, 1, 2, 2, 1, 0]])


def test_one_of_three_classes_by_softmax():
    classes = np.array([0, 1, 2, 2, 1, 0])
    readout = ocdl.Readout(ocdl.Softmax(), outputs=3)
    problem = stated(labels=classes, readout=readout, loss=ocdl.SoftmaxCrossEntropy())
    np.testing.assert_array_equal(problem.data, np.eye(3)[classes])
    p = RNG.standard_normal(9)
    output = p[:6].reshape(3, 2) @ INPUTS[1] + p[6:]
    expected = np.log(np.sum(np.exp(output))) - output[1]
    assert float(problem.terminal_function(INPUTS[1], p, problem.data[1])[0]) == pytest.approx(expected, rel=1e-13)


def test_tied_controls_are_parameters_and_cost_and_slope_what_equal_ones_do():
    depth, layers = ocdl.Kutta4(4), 4
    tied, free = (
        ReducedCost(stated(tied=tied, regulariser=ocdl.Tikhonov(0.2), horizon=1.5), depth) for tied in (True, False)
    )
    assert tied.problem.m == 0 and tied.problem.P == 6 + 3
    layer, head = RNG.standard_normal(6), RNG.standard_normal(3)
    cost, slope = tied.value_and_gradient(np.concatenate([layer, head]))
    again, slopes = free.value_and_gradient(np.concatenate([head, np.tile(layer, layers)]))
    assert cost == pytest.approx(again, rel=1e-13)
    np.testing.assert_allclose(slope[6:], slopes[:3], atol=1e-14)
    np.testing.assert_allclose(slope[:6], slopes[3:].reshape(layers, 6).sum(axis=0), atol=1e-14)


def test_bounds_go_by_the_names_of_controls_and_the_architecture_keeps_its_own():
    problem = stated(
        ocdl.ODENet(steps="simplex"),
        horizon=2.0,
        bounds=ocdl.Box(K=(-1, np.eye(2)), alpha=(-3, 4), x=(-9, 9)),
        readout=ocdl.Readout(weight=(-2, 2), bias=(0, 0)),
    )
    low, high = problem.control_box
    np.testing.assert_array_equal(low, [-1, -1, -1, -1, -np.inf, -np.inf, 0])
    np.testing.assert_array_equal(high, [1, 0, 0, 1, np.inf, np.inf, 4])
    np.testing.assert_array_equal(problem.parameter_box, [[-2, -2, 0], [2, 2, 0]])
    assert problem.budgets == (ocdl.Budget("alpha", 2.0),) and "alpha" in problem.controls
    assert problem.state_box_at(np.zeros(1))[1].tolist() == [[9, 9]]


def test_bounds_may_depend_on_depth_unless_tied():
    bounds = ocdl.Box(beta=(-1, lambda t: 1 + t))
    assert stated(bounds=bounds).control_box_at(np.array([0.0, 0.5]))[1][:, -1].tolist() == [1.0, 1.5]
    with pytest.raises(ocdl.InvalidInput, match="tied=True: one beta"):
        stated(bounds=bounds, tied=True)
    tied = stated(bounds=ocdl.Box(beta=(-1, 3)), tied=True)
    assert tied.parameter_box[1].tolist() == [np.inf] * 4 + [3, 3] + [np.inf] * 3


@pytest.mark.parametrize("tied", [False, True])
def test_a_network_can_be_sent_to_other_processes(tied):
    problem = stated(ocdl.Hamiltonian(), tied=tied, bounds=ocdl.Box(K=(-1, 1)), regulariser=ocdl.Tikhonov(1e-2))
    costs = [ReducedCost(p, ocdl.ExplicitEuler(3)) for p in (problem, pickle.loads(pickle.dumps(problem)))]
    w = RNG.standard_normal(costs[0].size)
    assert costs[0].value(w) == costs[1].value(w)


def test_without_a_readout_the_states_are_the_output():
    problem = stated(readout=None, labels=INPUTS[:, ::-1])
    assert problem.P == 0
    loss = float(problem.terminal_function(problem.x0[0], [], problem.data[0])[0])
    assert loss == pytest.approx(0.5 * np.sum((INPUTS[0] - INPUTS[0, ::-1]) ** 2))
    doubled = stated(ocdl.Hamiltonian(), readout=None, labels=INPUTS[:, ::-1])
    assert doubled.P == 0 and doubled.n == 4
    assert float(doubled.terminal_function(doubled.x0[0], [], doubled.data[0])[0]) == pytest.approx(loss)


def test_discrete_networks_have_so_many_unit_steps():
    assert stated(ocdl.Plain(), horizon=20).span == 20.0
    for horizon in (None, 2.5, 0):
        with pytest.raises(ocdl.InvalidInput, match="Plain is a network of unit steps"):
            stated(ocdl.Plain(), horizon=horizon)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"inputs": [[np.nan, 0.0]] * 6}, "inputs"),
        ({"inputs": np.zeros((6, 2, 1))}, r"inputs: one row a sample, shape \(S, d\), is needed; got \(6, 2, 1\)"),
        ({"inputs": [[0.0], [1.0, 2.0]]}, "inputs"),
        ({"inputs": np.zeros((0, 2))}, r"inputs: one row a sample"),
        ({"inputs": 1.0}, r"inputs: one row a sample"),
        ({"labels": [np.nan] * 6}, "labels"),
        ({"labels": [1.0] * 6}, "labels: a classifier needs at least two classes; all 6 labels are the same"),
        ({"labels": LABELS[:4]}, r"labels: one row a sample is needed, 6 in all; got shape \(4,\)"),
        ({"labels": np.zeros((6, 2))}, r"6 sample\(s\) with 1 output\(s\) need labels of shape \(6, 1\); got \(6, 2\)"),
        ({"labels": LABELS * 2}, r"labels lie in \[0, 1\]; they range over \[0, 2\]"),
        ({"labels": LABELS + 1, "readout": ocdl.Readout(outputs=2)}, "classes of 2 outputs are 0 to 1; got 2"),
        ({"labels": LABELS * 2, "loss": ocdl.CrossEntropy()}, r"CrossEntropy needs labels in \[0, 1\]"),
        ({"channels": 1}, "channels=1: a whole number is needed, at least the 2 of the inputs"),
        ({"architecture": "resnet"}, "architecture='resnet'"),
        ({"bounds": ocdl.Box(L=(0, 1))}, "controls of Residual are K, beta, and x are its states; got L"),
        ({"bounds": ocdl.Box(K=(0, np.ones(3)))}, r"shape \(2, 2\)"),
        ({"weights": np.zeros(6)}, "weights"),
        ({"architecture": ocdl.ODENet(steps="simplex"), "tied": True}, "tied=True: .* gives ∫ alpha dt"),
    ],
)
def test_what_is_wrong_is_said(changes, said):
    with pytest.raises(ocdl.InvalidInput, match=said):
        stated(**changes)


@pytest.mark.parametrize(
    "make",
    [
        lambda: ocdl.ODENet(steps="positive"),
        lambda: ocdl.Residual("tanh"),
        lambda: ocdl.Residual(kernel="dense"),
        lambda: ocdl.GramKernel(rank=0),
        lambda: ocdl.LowRankKernel(rank=1.5),
        lambda: ocdl.Antisymmetric(damping=-1.0),
        lambda: ocdl.Contractive(width=0),
        lambda: ocdl.Contractive(ocdl.CustomActivation(np.sin)),
        lambda: ocdl.Leapfrog(step=0.0),
    ],
)
def test_architectures_refuse_what_they_cannot_be(make):
    with pytest.raises(ocdl.InvalidInput):
        make()


def test_memory_mapped_samples_stay_in_their_files(tmp_path):
    rng = np.random.default_rng(0)
    arrays = {"inputs": rng.uniform(-1.0, 1.0, (30, 2)), "labels": rng.integers(0, 2, 30).astype(float)}
    for name, array in arrays.items():
        np.save(tmp_path / f"{name}.npy", array)
    mapped = {name: np.load(tmp_path / f"{name}.npy", mmap_mode="r") for name in arrays}
    problem = ocdl.network(ocdl.Residual(), **mapped)
    assert np.shares_memory(problem.x0, mapped["inputs"]) and np.shares_memory(problem.data, mapped["labels"])
    method, how = ocdl.LBFGS(max_iterations=5), {"seed": 0, "certificate": "first order", "on_failure": "return"}
    found, copied = (
        ocdl.solve(ocdl.network(ocdl.Residual(), **given), ocdl.ExplicitEuler(3), method, **how)
        for given in (mapped, arrays)
    )
    assert found.cost == copied.cost
    arrays["inputs"][17, 1] = np.nan
    np.save(tmp_path / "inputs.npy", arrays["inputs"])
    with pytest.raises(ocdl.InvalidInput, match=r"inputs: .* got nan at index \(17, 1\)"):
        ocdl.network(ocdl.Residual(), np.load(tmp_path / "inputs.npy", mmap_mode="r"), mapped["labels"])
