"""The three routes tell the same story: multipliers, costate sweep and ∇V in sign, scale and value, as functions."""

import numpy as np
import pytest

import ocdl


def problem(initial, target):
    return ocdl.SelectionProblem(
        activation=ocdl.Tanh(),
        horizon=1.0,
        initial=np.array(initial),
        target=np.array(target),
        bounds=ocdl.Box(a=(-1, 1), b=(-1, 1)),
    )


@pytest.mark.parametrize(
    ("initial", "target", "accuracy"),
    [([0.5], [3.0], 2e-4), ([0.02, -0.5], [0.0, 1.2], 1e-2), ([0.4, 0.2], [1.5, 2.5], 1e-2)],
    ids=["one neuron", "two neurons", "two neurons, far"],
)
def test_multipliers_sweep_and_the_gradient_of_v_agree(initial, target, accuracy):
    grid = ocdl.Grid(ocdl.Midpoint(len(initial)), ocdl.Radau(layers=50, degree=3))
    statement = problem(initial, target)
    hjb = ocdl.solve(statement, grid, ocdl.ValueIteration())
    direct = ocdl.solve(statement, grid, ocdl.Ipopt(), start=hjb)
    indirect = ocdl.solve(statement, grid, ocdl.NeedleSteps(), start=hjb)
    scale = float(abs(direct.costate).max())
    assert scale > 0.5
    assert float(abs(direct.claim["costate"] - direct.costate).max()) < 1e-8 * scale
    assert float(abs(indirect.costate - direct.costate).max()) < 1e-5 * scale
    assert float(abs(hjb.claim["costate"] - hjb.costate).max()) < accuracy * scale
    assert float(abs(hjb.claim["costate"] - direct.claim["costate"]).max()) < accuracy * scale


def test_the_final_costate_is_the_miss_of_the_target_on_any_width():
    """p(y, T) = f(y, T) − f̃(y), which does not change scale with the width grid."""
    finals = []
    for M in (4, 8, 16):
        statement = ocdl.SelectionProblem(
            activation=ocdl.Tanh(),
            horizon=1.0,
            initial=0.3,
            target=lambda y: 2.0 + y,
            bounds=ocdl.Box(a=(-1, 1), b=(-1, 1)),
        )
        solution = ocdl.solve(statement, ocdl.Grid(ocdl.Midpoint(M), ocdl.Radau(10)), ocdl.Ipopt())
        last = solution.costate.isel(t=-1, sample=0)
        miss = solution.state.isel(t=-1, sample=0) - (2.0 + last["y"])
        assert float(abs(last - miss).max()) < 1e-12
        finals.append(float(last.mean()))
    assert np.ptp(finals) < 1e-2
