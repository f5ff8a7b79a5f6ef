"""A network grown in channels is the same function, and has somewhere to go."""

import numpy as np
import pytest

import ocdl
from ocdl.solving.start import make_start
from ocdl.sweeps.reduced import ReducedCost

TRAIN, _ = ocdl.donut1d(count=30)
EULER = ocdl.ExplicitEuler(5)
TOLERANCE = 1e-7


def net(architecture=None, **more):
    regular = {"regulariser": ocdl.Tikhonov(1e-3)}
    return ocdl.network(architecture or ocdl.Residual(), TRAIN.inputs, TRAIN.labels, **regular | more)


def trained(problem, depth=EULER):
    method = ocdl.Train(tolerance=TOLERANCE)
    return ocdl.solve(problem, depth, method, seed=1, certificate="first order")


@pytest.mark.parametrize(
    ("architecture", "more"),
    [(ocdl.Residual(), {}), (ocdl.ODENet(steps="simplex"), {}), (ocdl.Residual(), {"tied": True})],
    ids=["residual", "simplex", "tied"],
)
def test_the_grown_network_predicts_the_same_and_learns_from_there(architecture, more):
    narrow, wide = net(architecture, **more), net(architecture, channels=4, **more)
    before = trained(narrow)
    start = ocdl.widened(before, wide)
    begun, cost = make_start(wide, EULER, start, None), ReducedCost(wide, EULER)
    value, gradient = cost.value_and_gradient(cost.join(begun.u, begun.p))
    kernels = start["K"][..., 2:, :]
    penalty = 0.5e-3 * np.sum(kernels**2) / (5 if kernels.ndim == 3 else 1)  # of the new rows alone
    assert value == pytest.approx(before.cost + penalty, rel=1e-12)
    assert np.linalg.norm(gradient) > 100 * TOLERANCE
    after = ocdl.solve(wide, EULER, ocdl.Train(tolerance=TOLERANCE), start=start, certificate="first order")
    assert after.cost < before.cost
    np.testing.assert_allclose(
        ocdl.predict(narrow, EULER, before, TRAIN.inputs[:3]), _predicted(wide, start, TRAIN.inputs[:3]), atol=1e-12
    )


def _predicted(problem, start, inputs):
    nothing = ocdl.LBFGS(max_iterations=0)
    held = ocdl.solve(problem, EULER, nothing, start=start, certificate="first order", on_failure="return")
    return ocdl.predict(problem, EULER, held, inputs)


def test_a_sequence_begins_with_it():
    coarse, wide = trained(net()), net(channels=3)
    start = ocdl.widened(coarse, wide, seed=2)
    deep = ocdl.sequence(
        wide, ocdl.ExplicitEuler(10), ocdl.Train(tolerance=TOLERANCE), start=start, certificate="first order"
    )
    assert deep.state.sizes["t"] == 11 and deep.controls["K"].shape == (10, 3, 3)
    for name, values in ocdl.widened(coarse, wide, seed=3).items():
        assert np.array_equal(values, start[name]) == (name != "K")


def test_what_cannot_be_grown_is_refused_in_words():
    before = trained(net())
    with pytest.raises(ocdl.InvalidInput, match="scale=0"):
        ocdl.widened(before, net(channels=3), scale=0)
    with pytest.raises(ocdl.InvalidInput, match="alpha"):
        ocdl.widened(before, net(ocdl.ODENet(), channels=3))
    with pytest.raises(ocdl.InvalidInput, match="cannot shrink"):
        ocdl.widened(trained(net(channels=3)), net())
    for coupled in (ocdl.Antisymmetric(), ocdl.Hamiltonian()):
        with pytest.raises(ocdl.NotSupported, match="another one"):
            ocdl.widened(trained(net(coupled)), net(coupled, channels=3))
