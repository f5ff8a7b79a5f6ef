"""Problems without controls: parameters to estimate, free starts, or nothing to choose at all, by every route."""

import numpy as np
import pytest

import ocdl
from ocdl.doors.commands import known_methods

ROUTES = [kind() for kind in known_methods().values()]
DEPTHS = [ocdl.Radau(8, 3), ocdl.ExplicitEuler(6), ocdl.Radau(8, 3, controls=ocdl.PerStage())]


def decay(**changes):
    """ẋ = −x, and what the case leaves open."""
    given = {"dynamics": lambda x: -x, "initial": [1.0], "horizon": 1.0, "controls": 0}
    return ocdl.ControlProblem(**given | changes)


def rate_to_half():
    """ẋ = −p x, x(0) = 1, (x(1) − ½)²: p = log 2."""
    return decay(
        dynamics=lambda x, p: -p * x,
        parameters=["rate"],
        terminal=lambda x: (x[0] - 0.5) ** 2,
        bounds=ocdl.Box(p=(0.0, 3.0)),
    )


def best_start():
    """ẋ = −x, ∫ (x − 1)² dt from a free start: x(0) = (1 − 1/e) / (½ (1 − 1/e²))."""
    return decay(initial=[ocdl.Free(0.0, 3.0)], running=lambda x: (x[0] - 1.0) ** 2)


def takes(method, problem, depth):
    try:
        method.check(problem, depth)
    except ocdl.NotSupported:
        return False
    return True


CASES = [
    (rate_to_half(), "p", np.log(2.0), 0.0),
    (best_start(), "x0", 2.0 / (1.0 + np.exp(-1.0)), 1.0 - 2.0 * np.tanh(0.5)),
    (decay(terminal=lambda x: (x[0] - 0.5) ** 2), None, None, (np.exp(-1.0) - 0.5) ** 2),
]


@pytest.mark.parametrize("method", ROUTES, ids=lambda method: method.name)
@pytest.mark.parametrize(("problem", "name", "value", "cost"), CASES, ids=["parameter", "start", "nothing"])
def test_every_route_that_takes_it_finds_the_answer(problem, name, value, cost, method):
    depth = DEPTHS[0]
    if not takes(method, problem, depth):
        pytest.skip("the route says that it cannot")
    try:
        solution = ocdl.solve(problem, depth, method, progress=False)
    except ocdl.NotSupported:
        pytest.skip("the route says that it cannot")
    assert solution.cost == pytest.approx(cost, abs=1e-8) and solution.u.sizes["control"] == 0
    assert abs(solution.gap) < 1e-6
    if name is not None:
        assert float(solution.parameters[name][0]) == pytest.approx(value, abs=1e-4)


@pytest.mark.parametrize("depth", DEPTHS, ids=repr)
def test_on_every_kind_of_layer_constrained_or_not(depth, tmp_path):
    """(1 − p h)^N for Euler, the exponential to 1e-9 for Radau; with a boundary condition instead of a cost, too."""
    N = depth.count
    exact = N * (1.0 - 0.5 ** (1.0 / N)) if isinstance(depth, ocdl.ExplicitEuler) else np.log(2.0)
    bound = decay(
        dynamics=lambda x, p: -p * x, parameters=1, boundary=lambda xT: xT[0] - 0.5, bounds=ocdl.Box(p=(0.0, 3.0))
    )
    for problem in (rate_to_half(), bound):
        solution = ocdl.solve(problem, depth, ocdl.Ipopt())
        assert float(solution.p[0]) == pytest.approx(exact, abs=1e-8)
    solution.save(tmp_path / "run.nc")
    assert ocdl.load(tmp_path / "run.nc").tree.identical(solution.tree)


def test_routes_are_compared():
    comparison = ocdl.compare(rate_to_half(), DEPTHS[0], [ocdl.Ipopt(), ocdl.LBFGSB(), ocdl.NeedleSteps()])
    assert len(comparison.solutions) == 3 and "agree" in " ".join(comparison.findings())
