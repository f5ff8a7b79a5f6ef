"""What value iteration is not for is refused in its own words, with what to use instead."""

import pytest

import ocdl

BASE = {
    "dynamics": lambda x, u: u - x,
    "terminal": lambda x: (x - 1) ** 2,
    "initial": [0.5],
    "horizon": 1.0,
    "bounds": ocdl.Box(u=(-1, 1)),
}
REFUSED = {
    "minimum time": {"horizon": ocdl.Free(0.1, 2.0), "final": [0.0], "terminal": None, "effort": lambda u: 1.0},
    "minimum time is not": {"horizon": ocdl.Free(0.5), "initial": [ocdl.Free(-1, 1)]},
    "leaves 1 initial state free": {"initial": [ocdl.Free(-1, 1)]},
    "trains 1 parameter and leaves 1 initial state free": {
        "initial": [ocdl.Free(-1, 1)],
        "parameters": 1,
        "terminal": lambda x, p: x - p,
    },
    "trains 2 parameters": {"parameters": 2, "terminal": lambda x, p: (x - p[0] * p[1]) ** 2},
}


@pytest.mark.parametrize("said", REFUSED)
def test_what_is_free_beside_the_controls_is_named(said):
    problem = ocdl.ControlProblem(**{**BASE, **REFUSED[said]})
    for ask in (
        lambda method: ocdl.solve(problem, ocdl.Radau(4, 2), method),
        lambda method: method.value_function(problem),
        lambda method: method.plan(problem),
    ):
        with pytest.raises(ocdl.NotSupported, match=f"ValueIteration: .*{said}.*Ipopt"):
            ask(ocdl.ValueIteration())


def test_lower_bounds_name_it_too():
    statement = ocdl.SelectionProblem(
        activation=ocdl.Tanh(), horizon=1.0, initial=[0.1, 0.2], target=1.0, bounds=ocdl.Box(a=(-1, 1), b=(-1, 1)),
        readout=ocdl.Readout(),
    )  # fmt: skip
    with pytest.raises(ocdl.NotSupported, match=r"lower_bound: .*trains 3 parameters"):
        ocdl.lower_bound(statement.discretise(ocdl.Midpoint(2)))
