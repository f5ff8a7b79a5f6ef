"""Methods that move controls only say what else is free, in the words of the statement."""

import pytest

import ocdl

BASE = {
    "dynamics": lambda x, u: u - x,
    "terminal": lambda x: (x - 1) ** 2,
    "initial": [0.5],
    "horizon": 1.0,
    "bounds": ocdl.Box(u=(-1, 1)),
}
FREE = {
    "leaves its horizon free": {"horizon": ocdl.Free(0.5)},
    "leaves 1 initial state free": {"initial": [ocdl.Free()]},
    "trains 1 parameter and leaves its horizon free": {
        "horizon": ocdl.Free(0.5), "parameters": 1, "terminal": lambda x, p: (x - p) ** 2,
    },
}  # fmt: skip
METHODS = [
    ocdl.SuccessiveApproximations(),
    ocdl.ExtendedSuccessiveApproximations(),
    ocdl.SequentialQuadraticHamiltonian(),
    ocdl.ControlSetNeedleSteps(),
    ocdl.ConditionalGradient(),
]


@pytest.mark.parametrize("said", FREE)
@pytest.mark.parametrize("method", METHODS, ids=lambda m: m.name)
def test_what_else_is_free_is_named(method, said):
    problem = ocdl.ControlProblem(**{**BASE, **FREE[said]})
    with pytest.raises(ocdl.NotSupported, match=f"{method.name}.*{said}"):
        ocdl.solve(problem, ocdl.ImplicitMidpoint(4), method)


def test_conditional_gradients_need_bounded_controls():
    problem = ocdl.ControlProblem(**{**BASE, "bounds": ocdl.Box()})
    with pytest.raises(ocdl.NotSupported, match="finite box is needed for every control"):
        ocdl.solve(problem, ocdl.ImplicitMidpoint(4), ocdl.ConditionalGradient())
